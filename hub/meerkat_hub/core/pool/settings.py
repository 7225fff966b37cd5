"""What may be chosen of the pool, and how long a lease lasts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from meerkat_hub.core.rules import EctStar, Hedger, Rule

LEASE_FLOOR = 30.0
LEASE_FACTOR = 10.0
LEASE_CAP = 3600.0
"""A lease lasts LEASE_FACTOR times the predicted time until the answer, at least the floor and at most the
cap, seconds; with each try that ended without a result the floor is twice as high."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    rule: Callable[[], Rule] = EctStar
    hedger: Hedger | None = field(default_factory=Hedger)
    lease_floor: float = LEASE_FLOOR

    def lease_seconds(self, expected: float, attempts: int) -> float:
        """How long a lease lasts on a job that is expected to take so many seconds until its answer."""
        least = self.lease_floor * 2.0 ** min(attempts, 6)
        return min(max(least, LEASE_FACTOR * expected), LEASE_CAP)
