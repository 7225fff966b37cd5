"""Parts of the core that rest while only frames come and go.

Clips, meters and presence have something to do when their own things happen and when a time of theirs comes.
Beside 70 frames a second, to ask each of them at every frame whether its time has come took a twentieth of
what a frame costs: after a pause of some milliseconds a processor reads everything from memory anew.
"""

from __future__ import annotations

from math import inf
from typing import Protocol

from .outputs import Decision
from .records import Now
from .times import soonest

LONGEST = 0.5
"""Seconds without a look, for what changes with the hour of the day: presence looks for it once a second, by
itself."""


class Part(Protocol):
    def pass_time(self, now: Now, out: Decision) -> None: ...
    def wake_at(self) -> float | None: ...


class Resting:
    """Whoever does anything to one of the parts says `stir()`."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts
        self._stirred = True
        """Somebody was, since they were all asked."""
        self._until = -inf
        """Until then nobody need be asked who is not stirred."""
        self._wake: float | None = None
        self._wake_known = False

    def stir(self) -> None:
        self._stirred, self._wake_known = True, False

    def pass_time(self, now: Now, out: Decision) -> None:
        if self._stirred or now.mono >= self._until:
            for part in self._parts:
                part.pass_time(now, out)
            self._stirred, self._wake_known = False, False
            wake, rest = self.wake_at(), now.mono + LONGEST
            self._until = rest if wake is None else min(rest, wake)

    def wake_at(self) -> float | None:
        """When the first of them has something to do by time alone."""
        if not self._wake_known:
            self._wake, self._wake_known = soonest([part.wake_at() for part in self._parts]), True
        return self._wake
