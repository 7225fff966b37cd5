"""`meerkat device --camera front=picamera` on a machine that is no Pi."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.wait import wait_for


def test_a_machine_without_libcamera_is_told_what_to_install(tmp_path: Path) -> None:
    asked = [sys.executable, "-c", "import libcamera"]
    if subprocess.run(asked, capture_output=True, check=False).returncode == 0:
        pytest.skip("libcamera is installed here")
    log = tmp_path / "log"
    command = [
        *(sys.executable, "-m", "meerkat_cli", "device", "--name", "pi", "--camera", "front=picamera"),
        *("--data", tmp_path / "data", "--broker", "mqtt://127.0.0.1:1"),
    ]
    with log.open("wb") as written:
        device = subprocess.Popen(command, stdout=written, stderr=written)
    try:
        wait_for(lambda: "camera front" in log.read_text(), what="the error to be told")
        assert device.poll() is None, "the camera may come yet, and the others go on"
    finally:
        device.send_signal(signal.SIGTERM)
        assert device.wait(20) == 0
    said = log.read_text()
    assert "camera front, picamera:0" in said
    assert "is missing. On a Raspberry Pi: sudo apt install python3-picamera2" in said
    assert "Traceback" not in said
