"""What must start fast and small: reading the configuration loads no library that works on pictures."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "cv2", "av", "fastapi", "sqlalchemy", "alembic", "httpx", "onnxruntime", "ai_edge_litert")


@pytest.mark.parametrize(
    "code",
    [
        "import meerkat_devices.command, meerkat_devices.settings",
        "import meerkat_cli.up; from meerkat_contract.configfile import installed_sections as s; s()",
        "import meerkat_hub.command, meerkat_inference.worker_command, meerkat_homeassistant.command",
    ],
)
def test_commands_and_settings_load_no_heavy_library(code: str) -> None:
    asked = f"{code}; import sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
