"""What the rules go by: service times, how much they vary, and the rate of arrivals."""

from __future__ import annotations

from collections import deque
from math import sqrt

from .rule import ArrivalEstimate

SMOOTHING = 0.2
"""Weight of the newest observation: a change of speed is followed within about ten jobs."""

SLOW_SMOOTHING = 0.05
"""Weight of the newest observation in the variation, which changes less and needs more of them."""

CLIP = 3.0
"""An observation counts at most this many times the estimate, or this part of it."""

ARRIVAL_WINDOW = 2.0
"""Seconds over which arrivals are counted."""


def learn(estimate: float, observed: float) -> float:
    """The new estimate of seconds per unit of cost after one observation of it.

    Raises ValueError unless both are positive: a worker that says it needed no time has not measured.
    """
    if not (estimate > 0 and observed > 0):
        raise ValueError(f"service times must be positive: estimate {estimate!r}, observed {observed!r}")
    clipped = min(max(observed, estimate / CLIP), estimate * CLIP)
    return estimate + SMOOTHING * (clipped - estimate)


def vary(variation: float, estimate: float, observed: float) -> float:
    """The new coefficient of variation after one observation; `estimate` is that from before it.

    Raises ValueError as `learn` does.
    """
    if not (estimate > 0 and observed > 0):
        raise ValueError(f"service times must be positive: estimate {estimate!r}, observed {observed!r}")
    off = min(max(observed / estimate, 1 / CLIP), CLIP) - 1
    return sqrt(variation**2 + SLOW_SMOOTHING * (off**2 - variation**2))


class ArrivalWindow:
    """The rate of arrivals over the last `window` seconds, as far as they are a stream.

    The lesser of the window's two halves counts, twice. So a batch is no stream: jobs that came at once
    say nothing of jobs to come, for whose sake its last jobs would go to slow workers. For a stream at
    random the lesser half is a little low: by 7 % at 100 arrivals.
    """

    def __init__(self, window: float = ARRIVAL_WINDOW) -> None:
        self._half = window / 2
        self._newer: deque[tuple[float, float]] = deque()
        self._older: deque[tuple[float, float]] = deque()
        self._newer_cost = 0.0
        self._older_cost = 0.0

    def arrive(self, at: float, cost: float = 1.0) -> None:
        self._age(at)
        self._newer.append((at, cost))
        self._newer_cost += cost

    def estimate(self, now: float) -> ArrivalEstimate:
        return ArrivalEstimate(self.rate(now))

    def rate(self, now: float) -> float:
        """Units of cost a second. An arrival exactly half a window ago is of the older half; exactly a window
        ago, of none."""
        self._age(now)
        if not self._newer or not self._older:
            self._newer_cost = self._newer_cost if self._newer else 0.0
            self._older_cost = self._older_cost if self._older else 0.0
            return 0.0
        return min(self._newer_cost, self._older_cost) / self._half

    def _age(self, now: float) -> None:
        newer, older = self._newer, self._older
        since = now - self._half
        while newer and newer[0][0] <= since:
            arrival = newer.popleft()
            self._newer_cost -= arrival[1]
            older.append(arrival)
            self._older_cost += arrival[1]
        since = now - 2 * self._half
        while older and older[0][0] <= since:
            self._older_cost -= older.popleft()[1]
