"""Workers in the order in which they would answer one more job, as far as a plan has to look at them."""

from __future__ import annotations

from heapq import heapify
from math import inf

Entry = tuple[float, int, float]
"""When a worker would answer one more job of the usual cost, its position, and its seconds per unit."""


class Line:
    """Those looked at are a heap, whose first is the first of all, and which a plan changes as it goes.

    Whoever makes the first of the heap as late as `bound` calls `look`. Here all have been looked at.
    """

    __slots__ = ("bound", "heap")

    def __init__(self, entries: list[Entry]) -> None:
        heapify(entries)
        self.heap = entries
        self.bound = inf
        """None of those that were not looked at would answer sooner."""

    def look(self) -> None:
        """Have the first of the heap be the first of all, if there is anybody."""

    def until(self, at: float) -> list[Entry]:  # noqa: ARG002
        """Those not looked at that would answer until then, and perhaps some others; they count as looked at,
        but are not in the heap."""
        return []
