"""Whether the threads of a device get on with their work.

All that a thread does asks the clock again and again: each frame, each look at a queue, each wait. So the
clock that is handed to them notes who was seen when, and nobody has to remember to give a sign of life.
A thread that waits (a camera in back-off, a meter between two pictures) has said until when, and is
well until then. One that asks for nothing for PATIENCE seconds hangs: in a driver, a library, a lock.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from meerkat_devices.clock import Clock

PATIENCE = 60.0
"""Seconds. An SD card that cleans up holds a write for half a minute."""


class _Pulse:
    __slots__ = ("until",)

    def __init__(self, until: float) -> None:
        self.until = until


class Heartbeats:
    """A `Clock` that notes which of the watched threads use it."""

    def __init__(self, clock: Clock, *, patience: float | None = None) -> None:
        self._clock = clock
        self._patience = PATIENCE if patience is None else patience
        self._pulses: dict[str, _Pulse] = {}
        self._own = threading.local()

    @contextmanager
    def watched(self, name: str) -> Iterator[None]:
        """This thread counts as one that has to get on, under `name`, until the block ends.

        If an exception ends the block, nobody does its work any more: it stays silent for ever.
        """
        pulse = _Pulse(self._clock.monotonic() + self._patience)
        self._own.pulse = self._pulses[name] = pulse
        try:
            yield
        except BaseException:
            pulse.until = -math.inf
            raise
        else:
            del self._pulses[name]
        finally:
            self._own.pulse = None

    def silent(self) -> tuple[str, ...]:
        """Names of the threads that do not get on."""
        now = self._clock.monotonic()
        return tuple(name for name, pulse in self._pulses.copy().items() if pulse.until < now)

    # --- Clock ----------------------------------------------------------------------------------

    def now(self) -> datetime:
        self._beat(self._clock.monotonic())
        return self._clock.now()

    def monotonic(self) -> float:
        now = self._clock.monotonic()
        self._beat(now)
        return now

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self._beat(self._clock.monotonic() + max(0.0, seconds))
        try:
            return self._clock.wait(event, seconds)
        finally:
            self._beat(self._clock.monotonic())

    def _beat(self, at: float) -> None:
        pulse: _Pulse | None = getattr(self._own, "pulse", None)
        if pulse is not None:
            pulse.until = at + self._patience
