"""Workers in the order in which they would answer one more job, as far as a plan has to look at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heapify
from math import inf
from typing import Protocol

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

    def until(self, latest: float, sated: Iterable[int]) -> list[Entry]:
        """The first turns until then of those that should be given another job, in order."""

    def count(self, at: float) -> tuple[int, int]:
        """How many turns come until then, the instant included; and of how many workers."""

    def ties(self, at: float, of: int) -> int:
        """How many turns come at that instant, of the workers from this position on."""


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

    def until(self, latest: float, sated: Iterable[int]) -> list[Entry]:
        willing = self._willing.difference(sated)
        return sorted([entry for entry in self._entries if entry[0] <= latest and entry[1] in willing])

    def count(self, at: float) -> tuple[int, int]:
        usual = self._usual
        turns = [(at - answer) / (seconds * usual) for answer, _, seconds in self._entries if answer <= at]
        return len(turns) + sum(map(int, turns)), len(turns)

    def ties(self, at: float, of: int) -> int:
        usual = self._usual
        return sum(
            [
                position >= of and ((at - answer) / (seconds * usual)).is_integer()
                for answer, position, seconds in self._entries
                if answer <= at
            ]
        )
