"""What a device needs of its machine: 64 bits, and no more of the libraries than it uses."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from meerkat_contract.errors import UsageError
from meerkat_devices.command import device
from meerkat_devices.running.machine import need_64_bits

FORBIDDEN = (
    *("fastapi", "starlette", "sqlalchemy", "alembic", "boto3", "uvicorn", "httpx", "matplotlib"),
    *("onnxruntime", "ai_edge_litert", "tflite_runtime", "gpiozero", "lgpio", "picamera2", "libcamera"),
    *("zeroconf", "rich", "PIL", "meerkat_hub", "meerkat_inference", "meerkat_homeassistant"),
)


def test_importing_the_device_pulls_nothing_that_a_small_pi_has_no_room_for() -> None:
    code = (
        "import json, sys; import meerkat_devices.service, meerkat_devices.camera, meerkat_devices.meter, "
        "meerkat_devices.command; print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "cv2" in loaded  # else this looks at the wrong thing
    assert sorted(loaded.intersection(FORBIDDEN)) == []


def test_opencv_comes_without_windows() -> None:
    import cv2

    lines = [line.split() for line in cv2.getBuildInformation().splitlines()]
    assert ["GUI:", "NONE"] in lines


@pytest.mark.parametrize("command", [["--name", "pi"], ["lights-off"], ["areas", "porch"], ["init", "--yes"]])
def test_a_32_bit_python_is_refused_whatever_is_asked_of_it(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    result = CliRunner().invoke(device, command)
    assert isinstance(result.exception, UsageError)
    assert "32-bit, although the kernel (aarch64) is a 64-bit one" in str(result.exception)
    assert "Write the 64-bit Raspberry Pi OS" in result.exception.remedy


def test_the_kernel_of_an_old_pi_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "armv7l")
    with pytest.raises(UsageError, match=r"32-bit \(armv7l\); there is no"):
        need_64_bits(2**31 - 1)
    need_64_bits(2**63 - 1)
