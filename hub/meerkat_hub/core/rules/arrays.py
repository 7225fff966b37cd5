"""Many workers, in arrays: what a plan has to know of all of them takes a few steps over an array, however
many they are.

A plan puts its jobs at the few workers that answer first, so only those are taken out of the arrays, as far
as it comes to them. How many turns come before another is counted over all. The arithmetic is that of
`WorkerView.answers_at` and of `line.FewTurns`, operation by operation, so the answers are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from heapq import heapify
from math import inf

import numpy as np
from numpy.typing import NDArray

from .line import Entry, Line
from .staff import Staff
from .view import WorkerView

Floats = NDArray[np.float64]
Positions = NDArray[np.intp]
InOrder = tuple[Floats, Positions, Floats]
"""When workers would answer first, who they are, and their seconds per unit: `Entry`, in arrays."""

Starts = tuple[Positions, list[tuple[int, int]]]
"""The places of those looked at first in all classes, and of one more in each; and where each class begins
and ends."""

ANSWERS, PLAIN_UNTIL, HALF, FIRST_END, ENDS, BEHIND, SECONDS = range(7)
"""Rows of the table: what `WorkerView` says of itself, `HALF` of the round trip."""

FIRST_LOOK = 20
"""Workers that a plan looks at first, those that answer soonest."""

FIRST_LOOK_OF_CLASS = 5
"""The same, of one class of speed."""


class ArrayStaff(Staff):
    def __init__(self, workers: Iterable[WorkerView] = ()) -> None:
        super().__init__(workers)
        self.table: Floats = np.array([_column(worker) for worker in self], float).reshape(-1, 7).T.copy()
        """Seven rows, a column for each worker."""
        self.wants: NDArray[np.bool_] = np.array([worker.wants for worker in self], bool)
        self.classes: NDArray[np.int16] = np.array([worker.speed_class for worker in self], np.int16)
        self.class_sizes = Counter([worker.speed_class for worker in self])
        self._busy = sum([bool(worker.in_flight) for worker in self])
        self._starts: Starts | None = None

    def replace(self, position: int, worker: WorkerView) -> None:
        old = self[position]
        super().replace(position, worker)
        self.table[:, position] = _column(worker)
        self.wants[position] = worker.wants
        self._busy += bool(worker.in_flight) - bool(old.in_flight)
        if worker.speed_class != old.speed_class:
            self.classes[position] = worker.speed_class
            self.class_sizes[worker.speed_class] += 1
            self.class_sizes[old.speed_class] -= 1
            if not self.class_sizes[old.speed_class]:
                del self.class_sizes[old.speed_class]
            self._starts = None

    @property
    def starts(self) -> Starts:
        """Where the classes of speed begin when workers stand class by class, the fastest class first."""
        if self._starts is None:
            places: list[int] = []
            spans: list[tuple[int, int]] = []
            begin = 0
            for _, size in sorted(self.class_sizes.items()):
                spans.append((begin, begin + size))
                places += range(begin, begin + min(size, FIRST_LOOK_OF_CLASS + 1))
                begin += size
            self._starts = np.array(places, np.intp), spans
        return self._starts

    def turns(self, now: float, usual: float, most: int, *, together: bool) -> ArrayTurns:
        return ArrayTurns(self, now, usual, most, together=together)

    def has_idle(self) -> bool:
        return self._busy < len(self)

    def has_busy(self) -> bool:
        return self._busy > 0

    def overdue_at(self) -> float | None:
        return float((self.table[FIRST_END] + self.table[HALF]).min()) if self._busy else None


class ArrayTurns:
    """See `line.Turns`."""

    def __init__(self, staff: ArrayStaff, now: float, usual: float, most: int, *, together: bool) -> None:
        self._staff = staff
        self.seconds: Floats = staff.table[SECONDS]
        self.each: Floats = self.seconds * usual
        """Seconds for a job of the usual cost."""
        self.firsts: Floats = _answers_at(staff.table, now) + self.each
        """When each would answer one."""
        order = self.firsts.argsort()
        if not together:
            order = order[staff.classes[order].argsort(kind="stable")]
        in_order = self.firsts[order], order, self.seconds[order]
        self.lines: list[Line] = []
        if together:
            looks = min(most, FIRST_LOOK)
            entries = _standing(in_order, slice(looks + 1))
            self.lines.append(ArrayLine(in_order, entries, looks, 0, len(staff)))
            return
        places, spans = staff.starts
        entries, taken, looks = _standing(in_order, places), 0, FIRST_LOOK_OF_CLASS
        for begin, end in spans:
            upto = taken + min(end - begin, looks + 1)
            self.lines.append(ArrayLine(in_order, entries[taken:upto], looks, begin, end))
            taken = upto

    def settle(self, moved: Mapping[int, float]) -> None:
        firsts = self.firsts
        for position, answer in moved.items():
            firsts[position] = answer

    def first(self, sated: Iterable[int]) -> Entry:
        willing = self._willing(sated)
        position = int(willing[self.firsts[willing].argmin()])
        return float(self.firsts[position]), position, float(self.seconds[position])

    def until(self, latest: float, sated: Iterable[int]) -> list[Entry]:
        willing = self._willing(sated)
        willing = willing[self.firsts[willing] <= latest]
        return sorted(_entries(self.firsts[willing], willing, self.seconds[willing]))

    def count(self, at: float) -> tuple[int, int]:
        turns = (at - self.firsts) / self.each
        turns = turns[turns >= 0]
        return int(np.add.reduce(np.floor(turns))) + len(turns), len(turns)

    def ties(self, at: float, of: int) -> int:
        turns = (at - self.firsts[of:]) / self.each[of:]
        return int(np.count_nonzero((turns >= 0) & (np.floor(turns) == turns)))

    def _willing(self, sated: Iterable[int]) -> Positions:
        wants = self._staff.wants
        if sated:
            wants = wants.copy()
            wants[list(sated)] = False
        return wants.nonzero()[0]


class ArrayLine(Line):
    """Of one class of speed, or of all."""

    __slots__ = ("_end", "_in_order", "_looked", "_looks")

    def __init__(self, in_order: InOrder, first: list[Entry], looks: int, begin: int, end: int) -> None:
        """Its workers are those from `begin` to `end`, who answers first before the others; `looks` of them
        are looked at for now. `first` are those and one more, or all, where they are no more. There is
        somebody."""
        self._in_order, self._looked, self._end, self._looks = in_order, begin + looks, end, 2 * looks
        self.bound = first.pop()[0] if len(first) > looks else inf
        heapify(first)
        self.heap = first
        if first[0][0] >= self.bound:
            self.look()

    def look(self) -> None:
        heap, in_order = self.heap, self._in_order
        while self.bound < inf and not (heap and heap[0][0] < self.bound):
            begin, end = self._looked, min(self._looked + self._looks, self._end)
            heap += _standing(in_order, slice(begin, end))
            heapify(heap)
            self._looked, self._looks = end, 2 * self._looks
            self.bound = float(in_order[0][end]) if end < self._end else inf


def _standing(in_order: InOrder, places: Positions | slice) -> list[Entry]:
    """Those who stand there."""
    firsts, positions, seconds = in_order
    return _entries(firsts[places], positions[places], seconds[places])


def _entries(firsts: Floats, positions: Positions, seconds: Floats) -> list[Entry]:
    return list(zip(firsts.tolist(), positions.tolist(), seconds.tolist(), strict=True))


def _column(worker: WorkerView) -> tuple[float, ...]:
    return (
        worker.answers,
        worker.plain_until,
        worker.round_trip / 2,
        worker.first_end,
        worker.ends,
        worker.behind,
        worker.seconds,
    )


def _answers_at(table: Floats, now: float) -> Floats:
    """`WorkerView.answers_at` of each."""
    half, first_end, free = table[HALF], table[FIRST_END], table[ENDS]
    latest = now - half
    overdue = (latest > first_end).nonzero()[0]
    if len(overdue):
        free = free.copy()
        again = 2 * latest[overdue] - first_end[overdue] + table[BEHIND][overdue]
        free[overdue] = np.maximum(free[overdue], again)
    answers: Floats = np.maximum(now + half, free)
    answers += half
    np.copyto(answers, table[ANSWERS], where=table[PLAIN_UNTIL] >= now)
    return answers
