"""How fast a worker is, and how far away: running estimates from what its answers tell.

A worker's own time and the way there are kept apart: a slow link asks for more jobs in advance, a slow
accelerator for fewer. Every observation is clipped before it is averaged, so that one straggler moves
nothing much, and a change of speed (a stick that gets hot) is followed within about ten jobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from meerkat_hub.core.rules.estimates import learn, vary
from meerkat_hub.core.rules.view import VARIATION

EARLY = (0.5, 1 / 3, 0.25)
"""Weights of the first observations: what a worker announces counts as one observation like any other."""

EARLY_CLIPS = (1000.0, 30.0, 10.0)
"""So many times the first observations may differ from the estimate: what is announced may be far off."""

LINK_DECAY = 0.9
"""What is left of an observation's weight in the estimate of a link after the next one."""

FIRST_ROUND_TRIP = 0.02
"""Seconds; of a worker that has not answered yet."""

LONGEST_ROUND_TRIP = 10.0
"""Seconds; what is above is no link but a worker that says nothing true."""

SLOWEST = 1e-5
"""Seconds per byte, 100 kB/s: the slowest link that is believed."""

TELLING = 0.05
"""Sizes whose spread is at least this part of their mean tell bandwidth from latency."""


@dataclass(slots=True)
class Speed:
    """Seconds per unit of cost that one worker needs for one task."""

    seconds: float
    """The estimate; at first what the worker announced."""
    seen: int = 0
    """Observations that made it."""
    variation: float = VARIATION
    """Coefficient of variation of the observations."""

    def observe(self, seconds: float) -> None:
        """Learn from one job. Times that cannot be (not above 0) are passed over."""
        if not (seconds > 0 and isfinite(seconds)):
            return
        if self.seen < len(EARLY):
            clip = EARLY_CLIPS[self.seen]
            clipped = min(max(seconds, self.seconds / clip), self.seconds * clip)
            self.seconds += EARLY[self.seen] * (clipped - self.seconds)
        else:
            self.variation = vary(self.variation, self.seconds, seconds)
            self.seconds = learn(self.seconds, seconds)
        self.seen += 1


class Link:
    """Round trip and bandwidth between the hub and a worker: time on the way = base + bytes × per_byte.

    A weighted least-squares line through the latest observations. While all that travels has about the
    same size, the two cannot be told apart, and all is taken as base.
    """

    def __init__(self) -> None:
        self.base = FIRST_ROUND_TRIP
        self.per_byte = 0.0
        self._weight = 0.0
        self._x = self._y = self._xx = self._xy = 0.0

    def round_trip(self, size: float) -> float:
        """Seconds that a job of so many bytes and its answer are on the way."""
        return self.base + self.per_byte * size

    @property
    def bandwidth(self) -> float | None:
        """Bytes a second; None while it is not known."""
        return 1 / self.per_byte if self.per_byte > 0 else None

    def observe(self, seconds: float, size: int) -> None:
        """A job of so many bytes and its answer were on the way for so long together."""
        if not isfinite(seconds):
            return
        most = LONGEST_ROUND_TRIP
        if self._weight > 1.5:  # two observations at least
            most = min(most, 3 * self.round_trip(size) + 0.01)
        y = min(max(seconds, 0.0), most)
        keep = LINK_DECAY
        self._weight = keep * self._weight + 1
        self._x = keep * self._x + size
        self._y = keep * self._y + y
        self._xx = keep * self._xx + size * size
        self._xy = keep * self._xy + size * y
        mean_x, mean_y = self._x / self._weight, self._y / self._weight
        spread = self._xx / self._weight - mean_x * mean_x
        if spread > (TELLING * mean_x) ** 2:
            slope = (self._xy / self._weight - mean_x * mean_y) / spread
            self.per_byte = min(max(slope, 0.0), SLOWEST)
        self.base = max(0.0, mean_y - self.per_byte * mean_x)
