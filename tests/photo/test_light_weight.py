"""A small Pi that pictures a meter does not load what only cameras of films need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from support.http_camera import HttpCamera, send

CODE = """
import json, sys
from pathlib import Path
from meerkat_contract.connection import Connection
from meerkat_devices.service import Device
from meerkat_devices.settings.device import DeviceSettings

settings = DeviceSettings.model_validate(json.loads(sys.argv[2]))
own = Device("pi", settings, Connection("127.0.0.1", 1), Path(sys.argv[1]))
heavy = ("av", "cv2", "numpy")
print([name for name in heavy if name in sys.modules])
if own.cameras:
    own.outbox.close()
    sys.exit()
own.start()
for meter in own.meters:
    assert meter.started.wait(30)
assert own.outbox.counts().waiting == len(own.meters)
print([name for name in heavy if name in sys.modules])
own.stop()
"""


def loaded(folder: Path, settings: dict[str, Any]) -> list[str]:
    """What a device has loaded of av, cv2 and numpy: before it starts, and after its first pictures.

    One with cameras is not started.
    """
    command = [sys.executable, "-c", CODE, str(folder), json.dumps(settings)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return found.stdout.splitlines()


def test_a_meter_loads_nothing_before_its_picture_and_no_decoder_for_it(tmp_path: Path) -> None:
    meters = {"water": {"source": "scene:meter"}}
    assert loaded(tmp_path, {"meters": meters}) == ["[]", "['cv2', 'numpy']"]


def test_a_picture_over_http_needs_no_decoder_of_films(tmp_path: Path) -> None:
    data = cv2.imencode(".jpg", np.full((180, 320, 3), 90, np.uint8))[1].tobytes()
    with HttpCamera(lambda handler: send(handler, data)).serving() as port:
        meters = {"water": {"source": f"http://127.0.0.1:{port}/x.jpg"}}
        assert loaded(tmp_path, {"meters": meters}) == ["[]", "['cv2', 'numpy']"]


def test_sensors_and_lamps_alone_load_none_of_it(tmp_path: Path) -> None:
    wired = {
        "sensors": {"pir": {"kind": "motion", "gpio": 17}},
        "lights": {"ir": {"gpio": 18}},
        "pins": "mock",
    }
    assert loaded(tmp_path, wired) == ["[]", "[]"]


def test_a_camera_loads_it_all(tmp_path: Path) -> None:
    """Else the other tests look for the wrong names."""
    assert loaded(tmp_path, {"cameras": {"porch": {"source": "scene:porch"}}}) == ["['av', 'cv2', 'numpy']"]
