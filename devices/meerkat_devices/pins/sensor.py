"""A motion sensor, a door contact or a button: from edges on a pin to a state that counts."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from meerkat_devices.clock import Clock
from meerkat_devices.settings.pins import SensorSettings

from .board import Input

_ROUNDING = 1e-6


class Debounce:
    """A level counts once it has lasted. Pure; times in seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.state: bool | None = None
        """What counts; None until the first level is known, which counts at once."""
        self._next: bool | None = None
        self._since = 0.0
        self._counted: list[bool] = []

    def edge(self, level: bool, at: float) -> None:
        """The level from `at` on. What had lasted until then counts, whoever looked at it."""
        self.settle(at)
        if self.state is None:
            self._count(level)
        elif level == self.state:
            self._next = None
        elif self._next is None:
            self._next, self._since = level, at

    def due(self) -> float:
        """When a level will have lasted; infinite while none is waited for."""
        return math.inf if self._next is None else self._since + self._seconds

    def settle(self, at: float) -> None:
        """It is `at` now."""
        if self._next is not None and at >= self.due() - _ROUNDING:
            self._count(self._next)
            self._next = None

    def take(self) -> list[bool]:
        """The states that have come to count since the last call, in turn."""
        counted, self._counted = self._counted, []
        return counted

    def _count(self, level: bool) -> None:
        self.state = level
        self._counted.append(level)


class Sensor:
    """`edge` comes on any thread, `attach` and `work` on the pins' own."""

    def __init__(
        self,
        name: str,
        settings: SensorSettings,
        *,
        clock: Clock,
        news: threading.Event,
        said: Callable[[Sensor, bool], None],
    ) -> None:
        """`said` hears the state at the start (not a button's), and each change.

        `news` is set when `work` has something to do.
        """
        self.name = name
        self.settings = settings
        self._clock = clock
        self._news = news
        self._said = said
        self._lock = threading.Lock()
        self._debounce = Debounce(settings.debounce)
        self._known = False
        self._input: Input | None = None

    @property
    def attached(self) -> bool:
        return self._input is not None

    @property
    def on(self) -> bool:
        """What counts now; OFF while nothing is known."""
        return bool(self._debounce.state)

    def attach(self, pin: Input) -> None:
        """Its pin. A level that is there already counts: no edge would ever tell of it."""
        self._input = pin
        self.edge(pin.high())

    def refresh(self) -> None:
        """Look at the pin itself: an edge may have been lost. Raises DeviceError."""
        pin = self._input
        if pin is not None:
            self.edge(pin.high())

    def close(self) -> None:
        pin, self._input = self._input, None
        if pin is not None:
            pin.close()

    def edge(self, high: bool) -> None:
        with self._lock:
            self._debounce.edge(high == (self.settings.on_level == "high"), self._clock.monotonic())
        self._news.set()

    def work(self) -> float:
        """Tell what has changed; returns when there will be more to do, infinite if nothing is waited for."""
        with self._lock:
            self._debounce.settle(self._clock.monotonic())
            changes, due = self._debounce.take(), self._debounce.due()
        if changes and not self._known:
            self._known = True
            if self.settings.kind == "button":  # held from before: nobody pressed it just now
                del changes[0]
        for on in changes:
            self._said(self, on)
        return due
