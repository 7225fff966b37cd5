"""A recording that somebody asks for, whether anything moves or not."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .clock import Clock


class ByHand:
    """`ask` on any thread; `active` on the camera's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = 0.0
        self._lock = threading.Lock()
        self.on = False
        self.ended: Callable[[], None] = lambda: None
        """Called when its time is over and nobody has switched it off."""

    def ask(self, on: bool, seconds: float) -> None:
        """Record from now on for `seconds`, or no longer."""
        with self._lock:
            self.on = on
            self._until = self._clock.monotonic() + seconds

    def active(self) -> bool:
        """Whether to record now."""
        if not self.on:
            return False
        with self._lock:
            if self._clock.monotonic() < self._until:
                return True
            self.on = False
        self.ended()
        return False
