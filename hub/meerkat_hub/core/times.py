"""What is due first."""

from __future__ import annotations

from collections.abc import Iterable


def soonest(times: Iterable[float | None]) -> float | None:
    """The earliest of those that are known; None when none is."""
    first: float | None = None
    for at in times:
        if at is not None and (first is None or at < first):
            first = at
    return first
