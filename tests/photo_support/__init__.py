"""A lamp that records, a camera that is told what to show, and a station that listens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from meerkat_contract.errors import DeviceError, MeerkatError, UsageError
from meerkat_contract.session import Delivery
from meerkat_devices.lamps import Lamp
from meerkat_devices.stills import Still, StillCamera

TAKEN = datetime(2026, 11, 20, 7, 15, tzinfo=UTC)


class RecordingLamp:
    """Says in `events` when it goes on and off, among what the others of the same list say."""

    def __init__(self, name: str, events: list[str]) -> None:
        self.name = name
        self.events = events
        self.on = False
        self.brightness: list[float | None] = []
        self.broken = False
        self.sticks = False

    @contextmanager
    def lit(self, brightness: float | None = None) -> Iterator[None]:
        if self.broken:
            raise DeviceError("its pin is used by another program", where=f"light {self.name}")
        assert not self.on
        self.on = True
        self.brightness.append(brightness)
        self.events.append("on")
        try:
            yield
        finally:
            self.on = False
            self.events.append("off")
        if self.sticks:
            raise DeviceError("does not go off", where=f"light {self.name}")

    def set(self, brightness: float) -> None:
        raise AssertionError("a meter does not switch by hand")


class MeterStation:
    """What a meter says: errors, what stands of them by whose they are, and what is kept."""

    name = "pi"
    connected = True

    def __init__(self, *lamps: RecordingLamp) -> None:
        self.lamps = {lamp.name: lamp for lamp in lamps}
        self.errors: list[MeerkatError] = []
        self.standing: dict[str, MeerkatError] = {}
        self.kept: list[tuple[str, bytes]] = []

    def lamp(self, name: str) -> Lamp:
        if name not in self.lamps:
            raise UsageError(f"there is no lamp {name!r}", where="devices.pi.lights")
        return self.lamps[name]

    def send(
        self, topic: object, payload: bytes, *, properties: Sequence[tuple[str, str]], content_type: str
    ) -> Delivery:
        raise AssertionError("a meter's pictures go through the outbox")

    def keep(self, topic: object, payload: bytes | str, *, content_type: str = "") -> None:
        assert isinstance(payload, bytes)
        assert content_type == "application/json"
        self.kept.append((str(topic), payload))

    def report(self, error: MeerkatError, *, about: str = "") -> None:
        self.errors.append(error)
        if about:
            self.standing[about] = error

    def well(self, about: str) -> None:
        self.standing.pop(about, None)

    def changed(self) -> None:
        raise AssertionError("a meter's info does not change")


Act = Any | BaseException | Callable[[], Any]
"""A picture to show, an exception to raise, or what gives a picture."""


class ToldCamera(StillCamera):
    """Shows `acts` one after another: pictures, exceptions, or calls. Never looks while it is closed."""

    def __init__(self, acts: list[Act], events: list[str]) -> None:
        self.acts = acts
        self.events = events
        self.opened = False

    def open(self, *_: object, **how: Any) -> ToldCamera:
        self.events.append("open" if how["lit"] else "open unlit")
        if self.acts and isinstance(self.acts[0], OSError):
            raise self.acts.pop(0)  # type: ignore[misc]
        self.opened = True
        return self

    def stills(self, count: int, stop: threading.Event) -> Iterator[Still]:
        for _ in range(count):
            if stop.is_set() or not self.acts:
                return
            assert self.opened
            act = self.acts.pop(0)
            if isinstance(act, BaseException):
                raise act
            self.events.append("still")
            yield Still(act() if callable(act) else act, TAKEN, 0.01, 2.0, True)

    def __exit__(self, *_: object) -> None:
        self.opened = False
        self.events.append("close")
