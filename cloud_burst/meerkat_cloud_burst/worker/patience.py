"""What passes by itself and what does not, and how long it is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from meerkat_cloud_burst.errors import Cause

PASSING: frozenset[Cause] = frozenset({"network", "throttled", "capacity", "other"})
"""Another try may succeed."""
SOON = 30.0
"""Seconds for which the rest is tried: a role or a queue that was made just now is known a little later."""
LATER = 600.0
"""…and for which a machine that costs money waits for the cloud to answer at all."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds between tries: each twice the one before."""

    first: float = 0.5
    longest: float = 10.0

    def anew(self) -> Iterator[float]:
        pause = self.first
        while True:
            yield pause
            pause = min(2 * pause, self.longest)
