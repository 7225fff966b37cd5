"""A light is never left on: killed at any moment while it switches, and started again, it is off."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

from meerkat_devices.pins.mock import FILE
from support.wait import wait_for

KILLS = 10

LAMPS = {
    "lights": {
        "ir": {"gpio": 18, "longest": 600},
        "white": {"gpio": 23, "active_high": False, "dimmable": False},
    },
    "pins": "mock",
}
DARK = {"18": 0, "23": 1}

# The device without a broker: its lamps switch as fast as they can, by hand and by holders in turn.
SWITCHING = """
import itertools, json, sys, threading
from pathlib import Path
from meerkat_contract.connection import Connection
from meerkat_devices.service import Device
from meerkat_devices.settings.device import DeviceSettings

settings = DeviceSettings.model_validate(json.loads(sys.argv[2]))
own = Device("pi", settings, Connection("127.0.0.1", 9), Path(sys.argv[1]))
print("dark", flush=True)
sys.stdin.readline()
own.start()

def by_hand(lamp):
    for level in itertools.cycle((1.0, 0.3, 0.0)):
        lamp.set(level)

def in_turn(lamp):
    while True:
        with lamp.lit(0.5):
            pass

for lamp in (own.lamp("ir"), own.lamp("white")):
    for what in (by_hand, in_turn):
        threading.Thread(target=what, args=(lamp,), daemon=True).start()
threading.Event().wait()
"""


def levels(folder: Path) -> dict[str, float]:
    """Of both lamps' pins; one that was never touched is low."""
    kept = json.loads((folder / "devices/pi" / FILE).read_text())
    return {gpio: kept.get(gpio, 0) for gpio in DARK}


def test_killed_at_random_points_while_lamps_switch(tmp_path: Path) -> None:
    chance = random.Random(4)
    left_on = 0
    for _ in range(KILLS + 1):
        process = subprocess.Popen(
            [sys.executable, "-c", SWITCHING, str(tmp_path), json.dumps(LAMPS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == b"dark\n"
            assert levels(tmp_path) == DARK, "off as soon as the device is there, whatever was before"
            process.stdin.write(b"\n")
            process.stdin.flush()
            wait_for(lambda: levels(tmp_path) != DARK, what="the first light")
            time.sleep(chance.uniform(0, 0.1))  # the moment is what is tried
        finally:
            process.kill()
            process.communicate(timeout=10)
        left_on += levels(tmp_path) != DARK
    assert left_on > 1, "else nothing was tried"
