"""Two clocks and how far they are to be believed: the steady one leaps never, the wall clock names the day.

A hub may be told the time late, suspended, or told a wrong time. What a machine costs is reckoned by
whichever clock says more. To which day it belongs is said by the wall clock; once that has leapt, nobody
knows by how much it is wrong, and for a day the ledger counts as today's whatever may have been spent today.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

DAY = 86_400.0
TOLERANCE = 5.0
"""Seconds by which the clocks may part without being said to have leapt: they are trimmed all the time."""


@dataclass(frozen=True, slots=True)
class Moment:
    """`steady`: monotonic seconds; `wall`: Unix seconds (UTC) as the hub believes."""

    steady: float
    wall: float


@dataclass(frozen=True, slots=True)
class Period:
    """A day or a month of UTC around a moment, in Unix seconds."""

    begin: float
    end: float

    @classmethod
    def day(cls, wall: float) -> Period:
        begin = wall - wall % DAY
        return cls(begin, begin + DAY)

    @classmethod
    def month(cls, wall: float) -> Period:
        first = datetime.fromtimestamp(wall, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        following = (first + timedelta(days=32)).replace(day=1)
        return cls(first.timestamp(), following.timestamp())

    def reach(self, wall: float, doubt: float) -> float:
        """Seconds back from `wall` that may belong to this period if the clock may be wrong by `doubt`."""
        ran = wall - self.begin
        return self.end - self.begin if ran < doubt or wall + doubt >= self.end else ran + doubt


@dataclass(slots=True)
class Clocks:
    """Follows both clocks of one run."""

    _last: Moment | None = None
    _offset: float = 0.0
    _leaps: list[tuple[float, float]] = field(default_factory=list)
    """(steady time, seconds): forgotten after a day."""

    def advance(self, now: Moment) -> tuple[float, float]:
        """(seconds since the last call by the clock that says more, seconds that the wall clock leapt)."""
        last, self._last = self._last, now
        if last is None:
            self._offset = now.wall - now.steady
            return 0.0, 0.0
        leap = now.wall - now.steady - self._offset
        if abs(leap) <= TOLERANCE:
            leap = 0.0
        else:
            self._offset += leap
            self.distrust(now, abs(leap))
        return self.since(last, now), leap

    @staticmethod
    def since(last: Moment, now: Moment) -> float:
        return max(now.steady - last.steady, now.wall - last.wall, 0.0)

    def progress(self, now: Moment) -> float:
        """Seconds since the last `advance`, by the clock that says more."""
        return self.since(self._last, now) if self._last else 0.0

    def distrust(self, now: Moment, seconds: float) -> None:
        self._leaps.append((now.steady, seconds))

    def doubt(self, now: Moment) -> float:
        """By how many seconds the wall clock may be wrong: all its leaps of the last day together."""
        self._leaps = [(at, seconds) for at, seconds in self._leaps if now.steady - at < DAY]
        return sum(seconds for _, seconds in self._leaps)
