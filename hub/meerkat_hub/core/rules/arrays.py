"""Many workers, in arrays: what a plan has to know of all of them takes a few steps over an array, however
many they are.

A plan puts its jobs at the few workers that answer first, so only those are taken out of the arrays, as far
as it comes to them. How many turns come before another is counted over all. The arithmetic is that of
`WorkerView.answers_at` and of `line.FewTurns`, operation by operation, so the answers are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify
from math import ceil, exp, inf

import numpy as np
from numpy.typing import NDArray

from .line import Entry, Line, Turn
from .staff import Staff
from .view import CLASS, WorkerView

Floats = NDArray[np.float64]
Positions = NDArray[np.intp]
Span = tuple[int, int, int]
"""Where a class of speed begins and ends when workers stand class by class, and how many of it are looked at
first."""

Starts = tuple[Positions, list[Span]]
"""The places of those looked at first in all classes, and of one more in each; and each class."""

ANSWERS, ROUND_TRIP, LATE, DUE, SECONDS = range(5)
"""Rows of the table: what `WorkerView` says of itself; `DUE` is the answer to the first of what it holds."""

JOBS = 24
"""Of a plan, usually."""

FASTER = 3
"""A class gets as many jobs of a plan as it has workers, times this power of their speed: measured roughly,
for the first look alone; where a class gets more, it is looked at again."""

MORE = 3
"""Workers of each class that are looked at first beyond those."""

FEW_TURNS = 2
"""Turns; so few are sooner looked at one by one than together."""

AT_A_TIME = 6
"""Turns that are looked at together: most often the first few are used, and the others not."""


class ArrayStaff(Staff):
    def __init__(self, workers: Iterable[WorkerView] = ()) -> None:
        super().__init__(workers)
        self.table: Floats = np.array([_column(worker) for worker in self], float).reshape(-1, 5).T.copy()
        """Five rows, a column for each worker."""
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
        """Where the classes of speed begin when workers stand class by class, the fastest class first, and
        how many of each are looked at first."""
        if self._starts is None:
            classes = sorted(self.class_sizes.items())
            shares = [size * exp(-FASTER * speed_class * CLASS) for speed_class, size in classes]
            total = sum(shares)
            places: list[int] = []
            spans: list[Span] = []
            begin = 0
            for (_, size), share in zip(classes, shares, strict=True):
                looks = MORE + ceil(JOBS * share / total)
                spans.append((begin, begin + size, looks))
                places += range(begin, begin + min(size, looks + 1))
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
        return float(self.table[DUE].min()) if self._busy else None


class ArrayTurns:
    """See `line.Turns`."""

    def __init__(self, staff: ArrayStaff, now: float, usual: float, most: int, *, together: bool) -> None:
        self._staff = staff
        table = staff.table
        self.seconds: Floats = table[SECONDS]
        self.each: Floats = self.seconds * usual
        """Seconds for a job of the usual cost."""
        self.firsts: Floats = _answers_at(table, now)
        """When each would answer one."""
        self.firsts += self.each
        order = self.firsts.argsort()
        self.lines: list[Line] = []
        if together:
            entries = self.entries(order[: most + 2])
            self.lines.append(ArrayLine(self, order, (0, len(staff), most + 1), entries))
            return
        order = order[staff.classes[order].argsort(kind="stable")]
        places, spans = staff.starts
        entries, taken = self.entries(order[places]), 0
        for span in spans:
            begin, end, looks = span
            upto = taken + min(end - begin, looks + 1)
            self.lines.append(ArrayLine(self, order, span, entries[taken:upto]))
            taken = upto

    def entries(self, positions: Positions) -> list[Entry]:
        """Of the workers there, in this order."""
        return list(
            zip(
                self.firsts[positions].tolist(),
                positions.tolist(),
                self.seconds[positions].tolist(),
                strict=True,
            )
        )

    def settle(self, moved: Mapping[int, float]) -> None:
        firsts = self.firsts
        for position, answer in moved.items():
            firsts[position] = answer

    def first(self, sated: Iterable[int]) -> Entry:
        willing = self._willing(sated)
        position = int(willing[self.firsts[willing].argmin()])
        return float(self.firsts[position]), position, float(self.seconds[position])

    def soonest(self, most: int, sated: Iterable[int]) -> list[Entry]:
        willing = self._willing(sated)
        return self.entries(willing[self.firsts[willing].argsort(kind="stable")[:most]])

    def used(self, turns: Sequence[Turn], limit: int) -> int:
        used = 0
        while len(turns) - used > FEW_TURNS:
            come, at_once = self._come([at for at, _ in turns[used : used + AT_A_TIME]])
            those = int(come.searchsorted(limit))  # they come first, with all that come at the same instant
            used += those
            if those < len(come):
                if come[those] - at_once[those] >= limit:
                    return used
                break
        while used < len(turns) and self._is_used(turns[used], limit):
            used += 1
        return used

    def _come(self, ats: list[float]) -> tuple[Floats, Positions]:
        """How many turns of all come until each instant, that included; and of how many workers one comes
        just then."""
        turns = np.array(ats)[:, None] - self.firsts
        turns /= self.each
        whole = np.floor(turns)
        at_once = np.add.reduce(whole == turns, axis=1, dtype=np.intp)
        whole += 1
        np.maximum(whole, 0, out=whole)
        return np.add.reduce(whole, axis=1), at_once

    def _is_used(self, turn: Turn, limit: int) -> bool:
        at, of = turn
        turns = at - self.firsts
        turns /= self.each
        whole = np.floor(turns)
        at_once = whole == turns
        whole += 1
        np.maximum(whole, 0, out=whole)
        count = int(np.add.reduce(whole))
        if count < limit:
            return True
        if count - int(np.count_nonzero(at_once)) >= limit:
            return False
        return count - int(np.count_nonzero(at_once[of:] & (turns[of:] >= 0))) < limit

    def _willing(self, sated: Iterable[int]) -> Positions:
        wants = self._staff.wants
        if sated:
            wants = wants.copy()
            wants[list(sated)] = False
        return wants.nonzero()[0]


class ArrayLine(Line):
    """Of one class of speed, or of all."""

    __slots__ = ("_end", "_looked", "_looks", "_order", "_turns")

    def __init__(self, turns: ArrayTurns, order: Positions, span: Span, first: list[Entry]) -> None:
        """Its workers are in this span of the order, who answers first before the others. `first` are those
        that are looked at for now and one more, or all, where they are no more. There is somebody."""
        begin, end, looks = span
        self._turns, self._order = turns, order
        self._looked, self._end, self._looks = begin + looks, end, 2 * looks
        self.bound = first.pop()[0] if len(first) > looks else inf
        heapify(first)
        self.heap = first
        if first[0][0] >= self.bound:
            self.look()

    def look(self) -> None:
        heap, turns, order = self.heap, self._turns, self._order
        while self.bound < inf and not (heap and heap[0][0] < self.bound):
            begin, end = self._looked, min(self._looked + self._looks, self._end)
            heap += turns.entries(order[begin:end])
            heapify(heap)
            self._looked, self._looks = end, 2 * self._looks
            self.bound = float(turns.firsts[order[end]]) if end < self._end else inf


def _column(worker: WorkerView) -> tuple[float, ...]:
    due = worker.first_end + worker.round_trip / 2
    return worker.answers, worker.round_trip, worker.late, due, worker.seconds


def _answers_at(table: Floats, now: float) -> Floats:
    """`WorkerView.answers_at` of each."""
    answers: Floats = table[LATE] + 2 * now
    np.maximum(answers, table[ANSWERS], out=answers)
    np.maximum(answers, table[ROUND_TRIP] + now, out=answers)
    return answers
