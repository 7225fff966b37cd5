"""What must start fast and small: reading the configuration loads no library that works on pictures."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "cv2", "av", "fastapi", "sqlalchemy", "alembic", "httpx", "onnxruntime", "ai_edge_litert")


@pytest.mark.parametrize(
    "code",
    [
        "import meerkat_devices.command, meerkat_devices.settings.device",
        "import meerkat_cli.up; from meerkat_contract.configfile import installed_sections as s; s()",
        "import meerkat_hub.command, meerkat_inference.worker_command, meerkat_homeassistant.command",
    ],
)
def test_commands_and_settings_load_no_heavy_library(code: str) -> None:
    asked = f"{code}; import sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_hub_alone_needs_no_library_of_a_worker() -> None:
    """With the extra `hub` alone it judges clips and pictures, and serves."""
    absent = ("numpy", "cv2", "av", "httpx", "onnxruntime", "ai_edge_litert", "cronsim")
    jpeg = b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x10\x00\x20" + bytes(8)
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r}))\n"
        "import meerkat_hub.application, meerkat_hub.web.server\n"
        "from meerkat_hub.adapters.ingest import check_jpeg\n"
        f"check_jpeg({jpeg!r}, where='picture')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
