"""Many workers, kept in order from decision to decision.

A decision is mostly about the few workers that would answer first. To find them among two hundred, what
each would answer must not be worked out at every step: that depends upon the present and upon the job. So
the workers stand in order of what does not, by class of speed (`WorkerView.speed_class`), and from that
follows how soon those may answer at best that nobody has looked at yet. Who changed is put in place anew,
which takes the logarithm of their number.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace
from math import exp, inf

from .line import Entry, Line
from .staff import Staff
from .view import CLASS, WorkerView

MANY = 500
"""Workers; fewer are gone through one by one sooner than they are kept in order. Kept in order, a step of the
pool took half as long again with 200, a quarter less with 500, and half or a third with 2,000."""

SHADE = 1 - 1e-9
"""So much below the edge of a class of speed is surely below all in it, however numbers are rounded."""


NEAR = 1e-6
"""Seconds. So much later is surely later, however numbers are rounded."""

FIRST_LOOK = 4
"""Workers of a feed that are looked at together at first; then each time twice as many and so many more."""

Place = tuple[float, int, float]
"""By what a worker stands in order, its position, and its seconds per unit of cost."""

_Feed = tuple[float, int, list[Place], int, float, bool]
"""No worker of it that was not looked at would answer sooner; the feed's number; all its workers; how many
of them were looked at; what the least of them would take for the job; whether they hold nothing."""


@dataclass(slots=True)
class Rank:
    """The workers of one class of speed."""

    least: float
    """Seconds per unit of cost; none of them takes less."""
    eager: list[Place] = field(default_factory=list)
    """By `answers`, those that hold something and should be given more. None answers sooner."""
    sated: list[Place] = field(default_factory=list)
    """By `answers`, those that hold enough."""
    idle: list[Place] = field(default_factory=list)
    """By half their round trip, those that hold nothing."""
    starts: list[tuple[float, int]] = field(default_factory=list)
    """(`first_end`, position) of those that hold something."""

    def of(self, worker: WorkerView, position: int) -> tuple[list[Place], Place]:
        """Where it stands, and how."""
        if not worker.in_flight:
            return self.idle, (worker.round_trip / 2, position, worker.seconds)
        return self.eager if worker.wants else self.sated, (worker.answers, position, worker.seconds)


class OrderedStaff(Staff):
    """Kept in order from decision to decision."""

    def __init__(self, workers: Iterable[WorkerView] = ()) -> None:
        super().__init__(workers)
        self.ranks: dict[int, Rank] = {}
        """By class of speed; none is empty."""
        self._plain: list[tuple[float, int]] = []
        """(`plain_until`, position) of those that hold something, in order."""
        for position, worker in enumerate(self):
            rank = self._rank(worker)
            places, place = rank.of(worker, position)
            places.append(place)
            if worker.in_flight:
                rank.starts.append((worker.first_end, position))
                self._plain.append((worker.plain_until, position))
        for rank in self.ranks.values():
            for ordered in (rank.eager, rank.sated, rank.idle, rank.starts):
                ordered.sort()
        self._plain.sort()

    def replace(self, position: int, worker: WorkerView) -> None:
        old = self[position]
        if old is worker:
            return
        super().replace(position, worker)
        rank = self.ranks[old.speed_class]
        places, place = rank.of(old, position)
        del places[bisect_left(places, place)]
        if old.in_flight:
            del rank.starts[bisect_left(rank.starts, (old.first_end, position))]
            del self._plain[bisect_left(self._plain, (old.plain_until, position))]
        if old.speed_class != worker.speed_class:
            if not (rank.eager or rank.sated or rank.idle):
                del self.ranks[old.speed_class]
            rank = self._rank(worker)
        places, place = rank.of(worker, position)
        insort(places, place)
        if worker.in_flight:
            insort(rank.starts, (worker.first_end, position))
            insort(self._plain, (worker.plain_until, position))

    def lines(self, now: float, cost: float, *, together: bool) -> list[Line]:
        unlike = self.unlike(now)
        if together:
            return [FedLine(self, self.ranks.values(), now, cost, unlike)]
        return [FedLine(self, (rank,), now, cost, unlike) for rank in self.ranks.values()]

    def eager_line(self, now: float, cost: float) -> Line:
        return FedLine(self, self.ranks.values(), now, cost, self.unlike(now), eager=True)

    def unlike(self, now: float) -> set[int]:
        """Positions of those that answer later than their `answers` tell: something is overdue there, or
        ends before a job could be there."""
        plain = self._plain
        return {position for _, position in plain[: bisect_left(plain, (now, -1))]}

    def has_idle(self) -> bool:
        return any(rank.idle for rank in self.ranks.values())

    def has_busy(self) -> bool:
        return bool(self._plain)

    def overdue_at(self) -> float | None:
        soonest = inf
        for rank in self.ranks.values():
            for first_end, position in rank.starts:
                if first_end >= soonest:
                    break
                soonest = min(soonest, first_end + self[position].round_trip / 2)
        return soonest if soonest < inf else None

    def _rank(self, worker: WorkerView) -> Rank:
        rank = self.ranks.get(worker.speed_class)
        if rank is None:
            least = exp((worker.speed_class - 0.5) * CLASS) * SHADE
            rank = self.ranks[worker.speed_class] = Rank(least)
        return rank


class FedLine(Line):
    """Only those are looked at that may be first."""

    __slots__ = ("_feeds", "_now", "_staff", "_unlike", "_usual")

    def __init__(
        self,
        staff: OrderedStaff,
        ranks: Iterable[Rank],
        now: float,
        usual: float,
        unlike: set[int],
        *,
        eager: bool = False,
    ) -> None:
        """The workers of these ranks, or those of them that are `eager` for more or idle; `usual` is the
        cost of the job, `unlike` is `OrderedStaff.unlike`."""
        super().__init__([])
        self._staff, self._now, self._usual, self._unlike = staff, now, usual, unlike
        feeds: list[_Feed] = []
        for rank in ranks:
            more = rank.least * usual
            for workers in (rank.eager,) if eager else (rank.eager, rank.sated):
                if workers:
                    feeds.append((workers[0][0] + more, len(feeds), workers, 0, more, False))
            if rank.idle:
                half = rank.idle[0][0]
                feeds.append((now + half + half + more, len(feeds), rank.idle, 0, more, True))
        heapify(feeds)
        self._feeds = feeds
        self.look()

    def look(self) -> None:
        heap, feeds, now = self.heap, self._feeds, self._now
        while feeds and not (heap and heap[0][0] < feeds[0][0]):
            _, number, workers, looked, more, idle = feeds[0]
            end = 2 * looked + FIRST_LOOK
            heap += self._entries(workers[looked:end], idle)
            heapify(heap)
            if end >= len(workers):
                heappop(feeds)
                continue
            at = workers[end][0]
            bound = (now + at + at if idle else at) + more
            heapreplace(feeds, (bound, number, workers, end, more, idle))
        self.bound = feeds[0][0] if feeds else inf

    def until(self, at: float) -> list[Entry]:
        entries: list[Entry] = []
        now, feeds = self._now, self._feeds
        while feeds and feeds[0][0] <= at:
            _, number, workers, looked, more, idle = feeds[0]
            last = (at - now - more) / 2 + NEAR if idle else at - more + NEAR
            end = max(bisect_right(workers, (last, inf, inf)), looked + 1)
            entries += self._entries(workers[looked:end], idle)
            if end == len(workers):
                heappop(feeds)
                continue
            begins = workers[end][0]
            bound = (now + begins + begins if idle else begins) + more
            heapreplace(feeds, (bound, number, workers, end, more, idle))
        self.bound = feeds[0][0] if feeds else inf
        return entries

    def _entries(self, places: list[Place], idle: bool) -> list[Entry]:
        now, usual, unlike = self._now, self._usual, self._unlike
        if idle:
            return [(now + half + half + seconds * usual, p, seconds) for half, p, seconds in places]
        if not unlike:
            return [(a + seconds * usual, p, seconds) for a, p, seconds in places]
        staff = self._staff
        return [
            ((staff[p].answers_at(now) if p in unlike else a) + seconds * usual, p, seconds)
            for a, p, seconds in places
        ]


def staff_of(workers: Iterable[WorkerView]) -> Staff:
    """Those workers; kept in order where they are many."""
    staff = Staff(workers)
    return staff if len(staff) < MANY else OrderedStaff(staff)
