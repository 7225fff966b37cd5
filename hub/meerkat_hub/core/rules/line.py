"""Workers in the order in which they would answer one more job, as far as a plan has to look at them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify
from math import inf
from typing import Protocol

Entry = tuple[float, int, float]
"""When a worker would answer one more job of the usual cost, its position, and its seconds per unit."""

Turn = tuple[float, int]
"""When a worker would answer a job of the usual cost, and its position."""


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


class Turns(Protocol):
    """What all workers would do with jobs of the usual cost from now on. A plan puts jobs in the lines'
    heaps first, and then asks for what comes behind them."""

    lines: list[Line]

    def settle(self, moved: Mapping[int, float]) -> None:
        """The plan has put its jobs; what follows is of the lines as they are now. `moved` tells of those, by
        position, that were given one when they would answer another."""

    def first(self, sated: Iterable[int]) -> Entry:
        """The first turn of those that should be given another job; the `sated` should not, though their
        view says so. There is somebody."""

    def soonest(self, most: int, sated: Iterable[int]) -> list[Entry]:
        """The first turns of those that should be given another job, in order, at most so many."""

    def used(self, turns: Sequence[Turn], limit: int) -> int:
        """How many of these turns, which are in order, are among the first `limit` of all workers. At the
        same instant the first worker comes first."""


class FewTurns:
    """Of workers that are gone through one by one."""

    def __init__(self, lines: list[Line], willing: set[int], usual: float) -> None:
        self.lines = lines
        self._willing, self._usual = willing, usual
        self._entries: list[Entry] = []

    def settle(self, moved: Mapping[int, float]) -> None:  # noqa: ARG002
        lines = self.lines
        self._entries = lines[0].heap if len(lines) == 1 else [entry for line in lines for entry in line.heap]

    def first(self, sated: Iterable[int]) -> Entry:
        willing = self._willing.difference(sated)
        return min([entry for entry in self._entries if entry[1] in willing])

    def soonest(self, most: int, sated: Iterable[int]) -> list[Entry]:
        willing = self._willing.difference(sated)
        return sorted([entry for entry in self._entries if entry[1] in willing])[:most]

    def used(self, turns: Sequence[Turn], limit: int) -> int:
        return bisect_left(turns, limit, key=self._before)

    def _before(self, turn: Turn) -> int:
        """How many turns of all workers come before this one."""
        (at, of), usual = turn, self._usual
        before = 0
        for first, position, seconds in self._entries:
            if first <= at:
                turns = (at - first) / (seconds * usual)
                before += 1 + int(turns)
                if position >= of and turns.is_integer():
                    before -= 1
        return before
