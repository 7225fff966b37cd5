"""A clock that is turned, and a board without gpiozero that remembers what was done to it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from meerkat_contract.errors import DeviceError
from meerkat_devices.clock import SystemClock


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
