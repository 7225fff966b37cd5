"""A device says which one it is, and starts again when it is asked to."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from meerkat_contract.errors import DeviceError, MeerkatError
from meerkat_contract.messages import DeviceInfo, read
from meerkat_contract.session import Session
from meerkat_devices.lamps import Lamp
from meerkat_devices.pins.lamp import PinLamp
from meerkat_devices.running.board import this_board
from meerkat_devices.running.errands import (
    BLINK_SECONDS,
    HALF_BLINK,
    RESTART_STATUS,
    Blinker,
    Led,
    find_led,
    is_looked_after,
)
from meerkat_devices.settings.pins import LightSettings
from support.broker import Mosquitto
from support.pins import HandClock, Pin
from support.wait import wait_for


def an_led(folder: Path, name: str = "ACT") -> Path:
    led = folder / name
    led.mkdir(parents=True)
    (led / "brightness").write_text("0")
    (led / "trigger").write_text("none usb-gadget [mmc0] timer")
    return led


class Watching(HandClock):
    """Turns by itself, and notes what is lit at each wait."""

    def __init__(self, look: object) -> None:
        super().__init__()
        self.look, self.seen = look, []  # type: ignore[var-annotated]
        self.gone = 0.0

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.seen.append(self.look())  # type: ignore[operator]
        self.gone += seconds
        return event.is_set()


def a_blinker(
    clock: HandClock, led: Led | None = None, lamp: Lamp | None = None, stop: threading.Event | None = None
) -> tuple[Blinker, list[MeerkatError]]:
    errors: list[MeerkatError] = []
    stop = stop or threading.Event()
    return Blinker(led, lamp, clock=clock, stop=stop, report=errors.append), errors


def test_the_led_blinks_and_then_does_what_it_did(tmp_path: Path) -> None:
    folder = an_led(tmp_path)
    led = find_led(tmp_path)
    assert led is not None
    clock = Watching(lambda: ((folder / "trigger").read_text(), (folder / "brightness").read_text()))
    blinker, _ = a_blinker(clock, led)
    blinker.blink()
    assert clock.seen == [("none", "1"), ("none", "0")] * round(BLINK_SECONDS / (2 * HALF_BLINK))
    assert clock.gone == BLINK_SECONDS
    assert (folder / "trigger").read_text() == "mmc0"
    assert (folder / "brightness").read_text() == "0"


def test_it_leaves_the_led_as_it_was_also_when_the_device_ends(tmp_path: Path) -> None:
    folder, stop = an_led(tmp_path, "led0"), threading.Event()
    stop.set()
    clock = Watching(lambda: None)
    blinker, _ = a_blinker(clock, find_led(tmp_path), stop=stop)
    blinker.blink()
    assert len(clock.seen) == 1
    assert (folder / "trigger").read_text() == "mmc0"
    assert (folder / "brightness").read_text() == "0"


def test_a_lamp_blinks_where_there_is_no_led(tmp_path: Path) -> None:
    assert find_led(tmp_path) is None
    pin = Pin()
    lamp = PinLamp(
        "porch",
        LightSettings.model_validate({"gpio": 18}),
        clock=HandClock(),
        report=lambda _: None,
        changed=lambda _: None,
    )
    lamp.attach(pin)
    clock = Watching(lambda: pin.level > 0)
    blinker, _ = a_blinker(clock, lamp=lamp)
    assert blinker.possible
    blinker.blink()
    assert clock.seen == [True, False] * 10
    assert pin.level == 0


def test_an_led_that_cannot_be_switched_is_told_with_what_to_do(tmp_path: Path) -> None:
    folder = an_led(tmp_path)
    led = Led(folder)
    (folder / "brightness").unlink()
    (folder / "brightness").mkdir()
    blinker, errors = a_blinker(Watching(lambda: None), led)
    with pytest.raises(DeviceError, match="cannot be switched"):
        blinker.blink()
    blinker.start()
    wait_for(lambda: errors)


def test_what_can_show_nothing_is_not_asked() -> None:
    assert not a_blinker(HandClock())[0].possible


@pytest.mark.parametrize(
    ("environment", "looked_after"),
    [({}, False), ({"NOTIFY_SOCKET": "/run/x"}, True), ({"MEERKAT_LOG_FORMAT": "supervised"}, True)],
)
def test_it_starts_again_only_where_somebody_starts_it(
    environment: dict[str, str], looked_after: bool
) -> None:
    assert is_looked_after(environment) == looked_after


def test_the_board_says_who_it_is(tmp_path: Path) -> None:
    def put(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    put("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.5\0")
    put("proc/device-tree/compatible", "raspberrypi,4-model-b\0brcm,bcm2711\0")
    put("proc/device-tree/serial-number", "10000000abcdef01\0")
    put("proc/net/route", "Iface\tDestination\tGateway\neth1\t0000A8C0\t0\nwlan0\t00000000\t0101A8C0\n")
    put("sys/class/net/wlan0/address", "D8:3A:DD:01:02:03\n")
    board = this_board(tmp_path)
    assert (board.model, board.model_id) == ("Raspberry Pi 4 Model B Rev 1.5", "raspberrypi,4-model-b")
    assert (board.serial, board.mac) == ("10000000abcdef01", "d8:3a:dd:01:02:03")
    for made_up in ("02:42:ac:11:00:02", "00:00:00:00:00:00", "", "x:y"):
        put("sys/class/net/wlan0/address", made_up)
        assert this_board(tmp_path).mac == ""
    assert this_board(tmp_path / "nothing").model


def test_a_device_that_is_asked_to_starts_again(broker: Mosquitto, tmp_path: Path) -> None:
    """It ends cleanly, with the status after which it is started anew."""
    infos: list[DeviceInfo] = []
    words: list[str] = []
    with (tmp_path / "log").open("wb") as log:
        arguments = ("--name", "pi", "--camera", "front=scene:porch", "--data", str(tmp_path))
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from meerkat_devices.command import device; device()",
                *arguments,
                "--broker",
                broker.connection.url,
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, "MEERKAT_CONFIG": "", "MEERKAT_LOG_FORMAT": "supervised"},
        )
    panel = Session(broker.connection, client_id="panel")
    panel.subscribe("meerkat/device/pi/info", lambda message: infos.append(read(DeviceInfo, message.payload)))
    panel.subscribe(
        "meerkat/device/pi/availability", lambda message: words.append(bytes(message.payload).decode())
    )
    try:
        panel.start()
        wait_for(lambda: infos and words[-1:] == ["online"], seconds=60)
        assert "restart" in [one.name for one in infos[-1].settings]
        panel.publish("meerkat/device/pi/device/restart/set", b"PRESS", qos=1).wait(10)
        wait_for(lambda: process.poll() is not None, seconds=30)
        assert process.returncode == RESTART_STATUS
        wait_for(lambda: words[-1:] == ["offline"])
    finally:
        panel.stop()
        process.kill()
        process.wait()
