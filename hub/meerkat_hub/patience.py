"""How long to rest before something that failed is tried again."""

from __future__ import annotations

STEADY = 60.0
"""Seconds without a failure after which the next one is the first again."""

LONGEST = 30.0


class Patience:
    """Twice as long after each failure that follows soon after the last one.

    A disk that is full refuses every commit. A hub that came back each second would each time make the
    devices send again and the workers begin anew, and never get further.
    """

    def __init__(self, first: float) -> None:
        """`first` seconds after the first failure."""
        self._first = first
        self._pause = 0.0
        self._quiet_until = 0.0

    def failed(self, now: float) -> float:
        """It failed at `now` (monotonic): the seconds to rest."""
        again = now < self._quiet_until
        self._pause = min(self._pause * 2, LONGEST) if again else self._first
        self._quiet_until = now + self._pause + STEADY
        return self._pause
