"""What a day or month will have cost by its end."""

from __future__ import annotations

SHORTEST = 3600.0
"""A pace is taken over an hour at least, so that the first minutes of a storm foretell no fortune."""


def forecast(spent: float, recent: float, reach: float, left: float) -> float:
    """`spent` so far, and for the `left` seconds the pace of `recent` dollars within the last `reach` s."""
    return spent + recent / max(SHORTEST, reach) * max(0.0, left)
