"""What may be chosen of the pool, and how long a lease lasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from meerkat_hub.core.rules import EctStar, Hedger, Rule

LEASE_FLOOR = 30.0
LEASE_FACTOR = 10.0
LEASE_CAP = 3600.0
"""A lease lasts LEASE_FACTOR times the predicted time until the answer, at least the floor and at most the
cap, seconds; with each try that ended without a result the floor is twice as high."""

GRACE = 2.0
"""Seconds. A lease on perishable work ends at the latest when its deadline is over by so much, or by
LEASE_FACTOR times the predicted time until the answer. Of a frame lost on its way nothing else tells."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    rule: Callable[[], Rule] = EctStar
    hedger: Hedger | None = field(default_factory=Hedger)
    lease_floor: float = LEASE_FLOOR

    def lease_seconds(self, expected: float, attempts: int, left: float = inf) -> float:
        """How long a lease lasts on a job that is expected to take so many seconds until its answer.

        `left`: seconds until the deadline of perishable work.
        """
        least = self.lease_floor * 2.0 ** min(attempts, 6)
        lasts = min(max(least, LEASE_FACTOR * expected), LEASE_CAP)
        return lasts if left == inf else min(lasts, max(left, 0.0) + max(GRACE, LEASE_FACTOR * expected))
