"""The offline optimum of the makespan of a batch at t = 0, or a lower bound of it.

A worker can begin half a round trip after t = 0 and must have ended half a round trip before the last
answer. Who knows everything beforehand keeps every worker busy in between:

- Jobs alike: the earliest T at which the whole jobs that the workers can have answered by then add up
  to the number of jobs. This is exact, deaths and slow-downs included.
- Jobs that differ: the earliest T at which the work that the workers can have done adds up to the work
  of all first tries, and the largest job fits on the fastest worker. This is a lower bound (jobs do
  not split), so a ratio to it is never flattering. It assumes equal round trips only for the largest.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor

from .scenario import Scenario

PRECISION = 1e-9


def optimum(scenario: Scenario) -> float:
    """Seconds from t = 0 to the last answer. Raises ValueError if the workers can never do it all."""
    factors = scenario.first_factors()
    workers = scenario.workers

    def whole_jobs(end: float) -> bool:
        done = (w.done(w.round_trip / 2, end - w.round_trip / 2) for w in workers)
        return sum(floor(jobs + PRECISION) for jobs in done) >= len(factors)

    def work(end: float) -> bool:
        done = sum(w.done(w.round_trip / 2, end - w.round_trip / 2) for w in workers)
        return done >= sum(factors)

    if scenario.identical:
        return _earliest(whole_jobs)
    largest = min(w.round_trip + max(factors) / w.capacity for w in workers)
    return max(_earliest(work), largest)


def _earliest(enough: Callable[[float], bool]) -> float:
    low, high = 0.0, 1.0
    while not enough(high):
        low, high = high, high * 2
        if high > 1e9:
            raise ValueError("these workers can never do all jobs: one must live for ever")
    while high - low > PRECISION:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
