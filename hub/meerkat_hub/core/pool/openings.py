"""Where a job that goes ahead could begin soonest: workers in an order that needs no looking at each of them.

What a worker has at work ends at an instant that does not depend on the present, and so does what comes
before any job that would go ahead there: what went ahead before it, and what was passed so often that it
is passed no more. By that the workers that hold something and have room for more stand in order. It bounds
how soon one may answer; `passing` looks closely at those that may be first.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import exp, inf

from meerkat_hub.core.rules import WorkerView
from meerkat_hub.core.rules.view import CLASS

from .members import Member

PASSED = 0.5
"""Seconds of work. A job that so much has passed is passed no more."""

Opening = tuple[float, int, float, float, float, float, float]
"""When the answer to a job of no cost comes that goes ahead, unless something is overdue or what comes before
it ends too soon; whose (its position); the round trip; seconds per unit of cost; when the answer to what is
at work is due; the seconds of work that come between that and the job; and when the answer comes at best if
one job more begins before it is there, behind those that went ahead of what follows that."""

SHADE = 1 - 1e-9
"""So much below the edge of a class of speed is surely below all in it, however numbers are rounded."""


@dataclass(slots=True)
class Rank:
    """The workers of one class of speed that hold something and have room."""

    least: float
    """Seconds per unit of cost; none of them takes less."""
    order: list[Opening] = field(default_factory=list)


class Openings:
    """Of the workers of a crew, by position. Say `replace` of each that changed."""

    def __init__(self, members: Iterable[tuple[Member, WorkerView]]) -> None:
        self.ranks: list[Rank] = []
        """The fastest first."""
        self._by_class: dict[int, Rank] = {}
        self._idle: dict[int, WorkerView] = {}
        self._at: dict[int, tuple[Rank, Opening]] = {}
        """Where it stands, by position."""
        for position, (member, view) in enumerate(members):
            self._put(position, member, view)

    def replace(self, position: int, member: Member, view: WorkerView) -> None:
        """It is as this says from now on."""
        self._idle.pop(position, None)
        at = self._at.pop(position, None)
        if at is not None:
            order = at[0].order
            del order[bisect_left(order, at[1])]
        self._put(position, member, view)

    def idle_answer(self, cost: float, now: float) -> float:
        """When the first of those that hold nothing would answer a job that is sent now; never, where all
        hold something."""
        return min([now + w.round_trip + w.seconds * cost for w in self._idle.values()], default=inf)

    def _put(self, position: int, member: Member, view: WorkerView) -> None:
        if not view.in_flight:
            self._idle[position] = view
        elif len(member.leases) < member.window:
            rank = self._by_class.get(view.speed_class)
            if rank is None:
                rank = self._by_class[view.speed_class] = Rank(exp((view.speed_class - 0.5) * CLASS) * SHADE)
                insort(self.ranks, rank, key=lambda rank: rank.least)
            opening = _opening(position, member, view)
            self._at[position] = rank, opening
            insort(rank.order, opening)


def _opening(position: int, member: Member, view: WorkerView) -> Opening:
    """Of a worker that holds something."""
    leases, held = member.leases, view.in_flight
    half, seconds = view.round_trip / 2, view.seconds
    free, between = view.first_end, 0.0
    first = _first_to_pass(member)
    for job in held[1:first]:
        free = max(free, job.sent + half) + seconds * job.cost
        between += seconds * job.cost
    later = free
    for place in range(first, len(leases)):
        if place > first and not leases[place].ahead:
            break
        later = max(later, held[place].sent + half) + seconds * held[place].cost
    return (free + half, position, view.round_trip, seconds, view.first_end + half, between, later + half)


def _first_to_pass(member: Member) -> int:
    """The place of the first that a job might pass which goes ahead, though it might not be there in time."""
    leases = member.leases
    if not member.ahead:
        return len(leases)
    for place in range(len(leases) - 1, 0, -1):
        if leases[place].passed >= PASSED:
            return place + 1
    place = 1
    while place < len(leases) and leases[place].ahead:
        place += 1
    return place
