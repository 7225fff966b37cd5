"""A small Pi that pictures a meter does not load what only cameras of films need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from pathlib import Path
from meerkat_contract.connection import Connection
from meerkat_devices.service import Device
from meerkat_devices.settings import DeviceSettings

settings = DeviceSettings.model_validate({"meters": {"water": {"source": "scene:meter"}}})
own = Device("pi", settings, Connection("127.0.0.1", 1), Path(sys.argv[1]))
heavy = ("av", "cv2", "numpy")
print([name for name in heavy if name in sys.modules])
own.start()
assert own.meters[0].started.wait(30)
assert own.outbox.counts().waiting == 1
print([name for name in heavy if name in sys.modules])
own.stop()
"""


def test_a_meter_loads_nothing_before_its_picture_and_no_decoder_for_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.splitlines() == ["[]", "['cv2', 'numpy']"]
