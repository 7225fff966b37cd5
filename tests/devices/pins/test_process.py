"""`meerkat device --pins mock` as a process, over a real broker: bells, lights, kill -9, keys."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pytest

from meerkat_contract.messages import ButtonPress, DeviceInfo, ErrorReport, LightState, read
from meerkat_contract.session import Incoming, Session
from support.broker import Mosquitto
from support.wait import wait_for

MAIN = "from meerkat_devices.command import device; device()"
ROOT = "meerkat/device/desk"
OFF = LightState(state="OFF", brightness=0)

WIRED = """
devices:
  desk:
    pins: mock
    sensors:
      hall-pir: {kind: motion, gpio: 17, sample_rate: 50}
      back-door: {kind: door, gpio: 27}
      bell: {kind: button, gpio: 22}
    lights:
      ir: {gpio: 18, longest: 600}
      lamp: {kind: white, gpio: 23, active_high: false, dimmable: false}
"""

CAMERA = """
    cameras:
      front: {source: "scene:porch", motion: {sensors: [hall-pir], combine: sensors}, post_roll: 1}
"""


class Bus:
    """Hears all that the device says, and speaks to it."""

    def __init__(self, broker: Mosquitto) -> None:
        self.heard: dict[str, list[Incoming]] = {}
        self.session = Session(broker.connection, client_id="listener")
        self.session.subscribe(f"{ROOT}/#", self._hear, join_parts=True)
        self.session.start()
        self.session.wait_subscribed(10)

    def _hear(self, message: Incoming) -> None:
        self.heard.setdefault(message.topic.removeprefix(f"{ROOT}/"), []).append(message)

    def said(self, thing: str) -> list[bytes]:
        return [message.payload for message in self.heard.get(thing, [])]

    def say(self, thing: str, payload: str, *, retain: bool = False) -> None:
        self.session.publish(f"{ROOT}/{thing}", payload, qos=1, retain=retain).wait(10)

    def light(self, name: str) -> LightState | None:
        said = self.said(f"{name}/light/state")
        return read(LightState, said[-1]) if said else None


@pytest.fixture
def bus(broker: Mosquitto) -> Iterator[Bus]:
    made = Bus(broker)
    yield made
    made.session.stop(timeout=1)


class Desk:
    """The device's process, its files, and the levels of its mock pins."""

    def __init__(self, folder: Path, broker: Mosquitto, *, wired: str = WIRED) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.url = broker.connection.url
        (folder / "meerkat.yaml").write_text(wired)

    def level(self, gpio: int) -> float | None:
        file = self.folder / "data/devices/desk/mock-pins.json"
        return json.loads(file.read_text()).get(str(gpio)) if file.exists() else None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-W", "error", "-c", MAIN, *arguments]

    @property
    def own(self) -> list[str]:
        return ["--config", str(self.folder / "meerkat.yaml"), "--data", str(self.folder / "data")]

    @contextmanager
    def running(self, *, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
        with self.log.open("ab") as file:
            process = subprocess.Popen(
                self.command(*self.own, "--broker", self.url), stdin=stdin, stdout=file, stderr=file
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(10)


def ready(bus: Bus, times: int = 1) -> None:
    """The device has connected, and the broker knows what it listens to: kept state goes out after."""
    wait_for(lambda: len(bus.said("ir/light/state")) >= times, what="the light's state")


def test_sensors_bells_and_lights_on_the_bus(broker: Mosquitto, bus: Bus, tmp_path: Path) -> None:
    wired = WIRED.replace("gpio: 22", "gpio: 22, rings: front") + CAMERA
    desk = Desk(tmp_path, broker, wired=wired)
    with desk.running() as process:
        ready(bus)
        wait_for(lambda: bus.said("front/picture"), what="the camera")
        info = read(DeviceInfo, bus.said("info")[-1])
        assert [(sensor.name, sensor.kind) for sensor in info.sensors] == [
            ("hall-pir", "motion"),
            ("back-door", "door"),
            ("bell", "button"),
        ]
        assert [(light.name, light.kind, light.dimmable) for light in info.lights] == [
            ("ir", "infrared", True),
            ("lamp", "white", False),
        ]
        # A state that comes while the connection is made is told twice: live, and with all that is kept.
        wait_for(lambda: set(bus.said("hall-pir/state")) == {b"OFF"}, what="the sensor at the start")
        wait_for(lambda: bus.said("back-door/state"), what="the door at the start")
        assert set(bus.said("back-door/state")) == {b"OFF"}, "a mock door is shut"

        bus.say("hall-pir/state/set", "ON")
        wait_for(lambda: bus.said("front/motion")[-1:] == [b"ON"], what="motion by the sensor")
        wait_for(lambda: bus.said("hall-pir/state")[-1:] == [b"ON"], what="the sensor's own word")
        assert [state for state, _ in groupby(bus.said("hall-pir/state"))] == [b"OFF", b"ON"]
        bus.say("hall-pir/state/set", "OFF")
        wait_for(lambda: bus.heard.get("front/clip"), what="the clip of the motion")

        bus.say("back-door/state/set", "ON")
        wait_for(lambda: bus.said("back-door/state")[-1:] == [b"ON"], what="the door to open")

        bus.say("bell/state/set", "PRESS")
        wait_for(lambda: bus.said("bell/press"), what="the press")
        read(ButtonPress, bus.said("bell/press")[0])
        wait_for(
            lambda: [m for m in bus.heard["front/clip"] if m.metadata().trigger == "doorbell"],
            what="the doorbell's clip",
        )
        bus.say("bell/state/set", "PRESS")
        wait_for(lambda: len(bus.said("bell/press")) == 2, what="the button to be let go and pressed again")

        bus.say("ir/light/set", '{"state": "ON", "brightness": 40}')
        wait_for(lambda: bus.light("ir") == LightState(state="ON", brightness=40), what="the light")
        assert desk.level(18) == 0.4
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, desk.log.read_text()
    assert desk.level(18) == 0
    assert desk.level(23) == 1, "a high pin keeps this one dark"
    wait_for(lambda: bus.light("ir") == OFF, what="its last word")
    retained = {topic for topic, messages in bus.heard.items() if messages[0].retain}
    assert retained == set(), "all was heard live"


def test_killed_while_lit_and_started_again_it_is_dark(broker: Mosquitto, bus: Bus, tmp_path: Path) -> None:
    desk = Desk(tmp_path, broker)
    with desk.running() as process:
        ready(bus)
        bus.say("ir/light/set", "ON")
        bus.say("lamp/light/set", "ON")
        wait_for(lambda: (desk.level(18), desk.level(23)) == (1, 0), what="both lights")
        process.kill()
        process.wait(10)
    assert (desk.level(18), desk.level(23)) == (1, 0), "the pins keep their levels"
    wait_for(lambda: bus.said("availability")[-1:] == [b"offline"], what="the will")
    seen = len(bus.said("ir/light/state"))
    with desk.running() as process:
        ready(bus, seen + 1)
        assert (desk.level(18), desk.level(23)) == (0, 1)
        assert bus.light("ir") == OFF
        wait_for(lambda: bus.light("lamp") == OFF, what="the other one's state")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, desk.log.read_text()


def test_a_terminal_that_is_closed_leaves_it_dark(broker: Mosquitto, bus: Bus, tmp_path: Path) -> None:
    desk = Desk(tmp_path, broker)
    # Whoever runs the tests may ignore it, as `nohup` does, and what is started inherits that.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with desk.running() as process:
        signal.signal(signal.SIGHUP, before)
        ready(bus)
        bus.say("ir/light/set", "ON")
        wait_for(lambda: desk.level(18) == 1, what="the light")
        process.send_signal(signal.SIGHUP)
        assert process.wait(20) == 0, desk.log.read_text()
    assert desk.level(18) == 0


def test_lights_off_while_the_device_holds_the_pins(broker: Mosquitto, bus: Bus, tmp_path: Path) -> None:
    """Somebody types it in another terminal: it must not say `off` of a lamp that the device keeps lit."""
    desk = Desk(tmp_path, broker)
    with desk.running():
        ready(bus)
        bus.say("ir/light/set", "ON")
        wait_for(lambda: desk.level(18) == 1, what="the light")
        done = subprocess.run(
            desk.command("lights-off", *desk.own), capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        assert "off: " not in done.stdout
        assert "used by another program" in done.stderr
        assert desk.level(18) == 1


def test_lights_off_of_a_device_that_is_not_in_the_file(broker: Mosquitto, tmp_path: Path) -> None:
    """A name that is mistyped must not read as success: the lamp stays lit."""
    desk = Desk(tmp_path, broker)
    command = desk.command("lights-off", *desk.own, "--name", "dest")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "there is no device 'dest'" in done.stderr
    assert "desk" in done.stderr


def test_lights_off(broker: Mosquitto, bus: Bus, tmp_path: Path) -> None:
    desk = Desk(tmp_path, broker)
    with desk.running() as process:
        ready(bus)
        bus.say("ir/light/set", "ON")
        bus.say("lamp/light/set", "ON")
        wait_for(lambda: (desk.level(18), desk.level(23)) == (1, 0), what="both lights")
        process.kill()
        process.wait(10)
    done = subprocess.run(desk.command("lights-off", *desk.own), capture_output=True, text=True, check=True)
    assert done.stdout == "off: ir, lamp\n"
    assert (desk.level(18), desk.level(23)) == (0, 1)
    done = subprocess.run(
        desk.command("lights-off", *desk.own, "--pins", "none"), capture_output=True, text=True, check=True
    )
    assert done.stdout == "device desk has no light to switch off\n"


def test_a_retained_command_from_long_ago(broker: Mosquitto, bus: Bus, tmp_path: Path) -> None:
    bus.say("ir/light/set", "ON", retain=True)
    desk = Desk(tmp_path, broker)
    with desk.running():
        wait_for(lambda: bus.said("error"), what="the report")
        error = read(ErrorReport, bus.said("error")[0])
        assert "a retained command is ignored" in error.what
        assert error.where == f"{ROOT}/ir/light/set"
        bus.say("lamp/light/set", "ON")
        wait_for(lambda: desk.level(23) == 0, what="a command of now")
        assert desk.level(18) in (None, 0)


def test_keys_on_a_terminal(broker: Mosquitto, bus: Bus, tmp_path: Path) -> None:
    """In a session of its own the process has the terminal for itself, as in a shell."""
    desk = Desk(tmp_path, broker)
    child, terminal = pty.fork()
    if not child:  # pragma: no cover - another process
        os.execv(sys.executable, desk.command(*desk.own, "--broker", desk.url))
    said = b""

    def hear() -> bytes:
        nonlocal said
        said += os.read(terminal, 4096)
        return said

    try:
        wait_for(lambda: b"Mock pins:" in hear(), what="the help line")
        line = re.search(rb"Mock pins: .*", said)
        assert line is not None
        wait_for(lambda: line[0].endswith(b"\r") or b"bell" in hear(), what="the whole line")
        assert b"[space] hall-pir on and off, [d] back-door open and shut, [b] press bell" in said
        ready(bus)
        os.write(terminal, b" ")
        wait_for(lambda: bus.said("hall-pir/state")[-1:] == [b"ON"], what="space to switch the sensor on")
        os.write(terminal, b" ")
        wait_for(lambda: bus.said("hall-pir/state")[-1:] == [b"OFF"], what="and off")
        os.write(terminal, b"D")
        wait_for(lambda: bus.said("back-door/state")[-1:] == [b"ON"], what="d to open the door")
        os.write(terminal, b"b")
        wait_for(lambda: bus.said("bell/press"), what="b to press the button")
        os.write(terminal, b"\x03")
        _, status = os.waitpid(child, 0)
        child = 0
        assert os.waitstatus_to_exitcode(status) == 0
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        os.close(terminal)
