"""Pins without hardware and without gpiozero: a clock that is turned, pins that remember, and who hears."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from meerkat_contract.errors import DeviceError, MeerkatError
from meerkat_contract.session import Delivery, Incoming
from meerkat_devices.clock import SystemClock
from meerkat_devices.motion.senses import Senses
from meerkat_devices.pins.wiring import Pins
from meerkat_devices.settings.device import DeviceSettings

ROOT = "meerkat/device/pi"


class HandClock(SystemClock):
    """Stands still until it is turned; nobody waits."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.is_set()


class Pin:
    """Input and output; `broken` lets it refuse."""

    def __init__(self, *, level: float = 0.0) -> None:
        self.levels = [level]
        self.changed: Callable[[bool], None] = lambda high: None
        self.broken: DeviceError | None = None
        self.closed = False

    @property
    def level(self) -> float:
        return self.levels[-1]

    def write(self, value: float) -> None:
        if self.broken:
            raise self.broken
        self.levels.append(value)

    def high(self) -> bool:
        if self.broken:
            raise self.broken
        return bool(self.level)

    def drive(self, high: bool) -> None:
        self.levels.append(float(high))
        self.changed(high)

    def close(self) -> None:
        self.closed = True


class Station:
    name = "pi"
    connected = True

    def __init__(self) -> None:
        self.kept: list[tuple[str, bytes]] = []
        self.sent: list[tuple[str, bytes]] = []
        self.errors: list[MeerkatError] = []
        self.standing: set[str] = set()
        self.lamp: Callable[[str], Any] = lambda name: None

    def keep(self, topic: object, payload: bytes | str, *, content_type: str = "") -> None:
        self.kept.append((str(topic), payload.encode() if isinstance(payload, str) else payload))

    def send(
        self, topic: object, payload: bytes, *, properties: Sequence[tuple[str, str]], content_type: str
    ) -> Delivery:
        self.sent.append((str(topic), payload))
        return Delivery()

    def report(self, error: MeerkatError, *, about: str = "") -> None:
        self.errors.append(error)
        if about:
            self.standing.add(about)

    def well(self, about: str) -> None:
        self.standing.discard(about)

    def said(self, thing: str) -> list[bytes]:
        return [payload for topic, payload in self.kept if topic == f"{ROOT}/{thing}"]


class Session:
    """Remembers who listens; a message is handed over by hand."""

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[[Incoming], None]] = {}

    def subscribe(self, topic: object, handler: Callable[[Incoming], None]) -> None:
        self.handlers[str(topic)] = handler

    def hand(self, thing: str, payload: bytes, *, retain: bool = False) -> None:
        parts = f"{ROOT}/{thing}".split("/")
        handler = self.handlers["/".join([*parts[:3], "+", *parts[4:]])]
        handler(Incoming("/".join(parts), payload, retain=retain))


class Board:
    """Pins by number; some are taken by another program."""

    name = "a board"

    def __init__(self) -> None:
        self.pins = {gpio: Pin() for gpio in range(28)}
        self.taken: set[int] = set()
        self.opened: list[int] = []
        self.closed = False

    def _take(self, gpio: int) -> Pin:
        if gpio in self.taken:
            raise DeviceError("the pin is used by another program", where=f"GPIO {gpio}", remedy="Wait")
        self.opened.append(gpio)
        return self.pins[gpio]

    def output(self, gpio: int, *, hertz: int | None, active_high: bool) -> Pin:
        pin = self._take(gpio)
        pin.levels.append(0.0)
        return pin

    def input(self, gpio: int, *, pull: str, samples: float | None, changed: Callable[[bool], None]) -> Pin:
        pin = self._take(gpio)
        pin.changed = changed
        return pin

    def close(self) -> None:
        self.closed = True


class Bench:
    def __init__(self, folder: Path, *, board: Board | None = None, **settings: Any) -> None:
        self.settings = DeviceSettings.model_validate(settings)
        self.clock = HandClock()
        self.station = Station()
        self.session = Session()
        self.board = board or Board()
        given = self.board if settings.get("pins", "auto") == "auto" else None
        self.pins = Pins(self.settings, folder, station=self.station, clock=self.clock, board=given)
        self.station.lamp = self.pins.lamp
        self.pins.open()
        self.senses = {}
        for name, own in self.settings.cameras.items():
            self.senses[name] = Senses(name, own.motion, own.light, station=self.station, clock=self.clock)
            self.pins.connect(name, self.senses[name], own)
        self.pins.start(self.session)

    def settle(self, seconds: float = 1.0) -> None:
        """Let the sensors' thread do what is due, `seconds` later."""
        for sensor in self.pins.sensors.values():
            sensor.work()
        self.clock.seconds += seconds
        for sensor in self.pins.sensors.values():
            sensor.work()

    def moves(self, camera: str = "front", at: float = 0.0) -> bool:
        return self.senses[camera].look(at, lambda forget: False).moving


WIRED: dict[str, Any] = {
    "sensors": {
        "pir": {"kind": "motion", "gpio": 17, "label": "Hall"},
        "door": {"kind": "door", "gpio": 27},
        "bell": {"kind": "button", "gpio": 22, "rings": "front"},
    },
    "lights": {
        "ir": {"gpio": 18, "brightness": 0.8},
        "lamp": {"gpio": 23, "kind": "white", "dimmable": False},
    },
    "cameras": {
        "front": {"source": "scene:porch", "motion": {"sensors": ["pir"]}, "light": {"name": "ir"}},
        "back": {"source": "scene:porch", "motion": {"sensors": ["door"]}},
    },
}
