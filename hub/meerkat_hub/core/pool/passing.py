"""Going ahead: a job of a flow far below its share need not wait for what the workers hold already.

A worker is given a job or two before it asks, so that it does not idle while they travel. They were taken
from the queue when nobody else wanted it; who comes then, and has had far less (`Queues.far_below`), or
stands at the door, goes before those of them that have not begun. Its job is sent at once, marked
`ahead`, to whoever would answer it first that way, though that one has enough. It is charged like any
other, so the shares stay what they are: only the order changes, of jobs that differ by what their flows
have had.

Nobody is passed for ever. A job that a worker holds is passed only while it has been passed by less than
PASSED seconds of work, and never by more than PASSED_OF_LEASE of its lease, or PASSED where that is more: so
little is in a lease, which lasts ten times what is expected and at least half a minute (a frame's: 2 s), that
neither the hub nor the worker need count it anew. What goes ahead does not pass what went ahead before it.

Nor does anything pass what is more urgent, or what its own flow has sent before.

A worker whose state does not say that it knows of all this is given its jobs as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from meerkat_hub.core.rules import WorkerView

from .crews import Crew, Crews
from .members import Member
from .openings import PASSED
from .queues import Queues
from .work import Item, Lease

PASSED_OF_LEASE = 0.1
"""Part of its lease by which a job may be passed in all."""

NEXT = 0.001
"""Seconds after which the next step comes, if nothing happens before."""

NEAR = 1e-8
"""Seconds. So much later is surely later, however numbers are rounded."""

AT_ONCE = 2
"""Flows that are looked at in vain in one step; the others are next."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """An item that is to be sent now to a worker that is busy, and its place among what that one holds."""

    item: Item
    task: str
    member: Member
    place: int


class Passing:
    """Flows in which something came are looked at until nothing in them may go ahead."""

    def __init__(self, queues: Queues, crews: Crews) -> None:
        self._queues = queues
        self._crews = crews
        self._came: dict[str, None] = {}
        """Where something came that was not looked at."""
        self._again: dict[str, None] = {}
        """Looked at in vain; nobody may have had room."""

    def came(self, item: Item) -> None:
        """It waits since now."""
        self._again.pop(item.flow, None)
        self._came[item.flow] = None

    @property
    def looks(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._came or self._again) and self._crews.know_ahead()

    @property
    def left(self) -> bool:
        """Whether there is anything that was not looked at."""
        return bool(self._came) and self._crews.know_ahead()

    def next(self, now: float, unit: Callable[[str], float]) -> Ahead | None:
        """What to send next, until there is none; asked while it `looks`. `unit` tells what one unit of
        cost of a task takes."""
        in_vain = 0
        for flow in (*self._came, *self._again):
            group = self._queues.group(flow)
            item = self._queues.far_below(flow, unit(group.task)) if group is not None else None
            self._came.pop(flow, None)
            self._again.pop(flow, None)
            if group is None or item is None:
                continue
            found = _soonest(self._crews.of(group), item, now)
            if found is not None:
                self._came[flow] = None  # behind the others; it may have more
                return Ahead(item, group.task, *found)
            self._again[flow] = None
            in_vain += 1
            if in_vain == AT_ONCE:
                break
        return None


def _soonest(crew: Crew, item: Item, now: float) -> tuple[Member, int] | None:
    """The busy worker that would answer first if the item went ahead there, and its place.

    None where going ahead wins nothing: somebody idles who would answer sooner, or a busy one whose turn
    it has to wait for. The rule deals it out then, as any other.
    """
    openings = crew.openings
    if item.avoid or openings is None:
        return None
    members, views, cost = crew.members, crew.views, item.cost
    soonest = openings.idle_answer(cost, now)
    best: tuple[Member, int] | None = None
    for rank in openings.ranks:
        enough = soonest - rank.least * cost
        if now >= enough:
            continue
        for at_best, position, round_trip, seconds, due, between, later in rank.order:
            if at_best >= enough:
                break
            begins = at_best
            if now > due:  # it is taken to need as long again, as in `WorkerView.free_at`
                begins = max(begins, 2 * now - due + between)
            if begins <= now + round_trip:
                begins = max(later, now + round_trip)
            if begins + seconds * cost >= soonest + NEAR:
                continue
            member, view = members[position], views[position]
            place, free = _place(member.leases, view, now)
            there, half = now + round_trip / 2, round_trip / 2
            answer = max(free, there) + seconds * cost + half
            if answer >= soonest:
                continue
            goes = _may_pass(item, member, place, seconds * cost)
            if not goes:  # it has to wait for its turn
                answer = max(view.free_at(now), there) + seconds * cost + half
            if answer < soonest:
                soonest, best = answer, (member, place) if goes else None
                enough = soonest - rank.least * cost
    return best


def _place(leases: list[Lease], view: WorkerView, now: float) -> tuple[int, float]:
    """Where a job goes that is sent ahead now, and when what comes before it ends.

    It passes neither what will have begun when it arrives, nor what went ahead before it. What is overdue
    is taken to need as long again, as in `WorkerView.free_at`.
    """
    half = view.round_trip / 2
    there, latest = now + half, now - half
    free = max(view.first_end, 2 * latest - view.first_end)
    place = 1
    for lease, job in zip(leases[1:], view.in_flight[1:], strict=True):
        if free > there and not lease.ahead:
            break
        free = max(free, lease.sent + half) + view.seconds * job.cost
        place += 1
    return place, free


def _may_pass(item: Item, member: Member, place: int, seconds: float) -> bool:
    """Whether an item of so many seconds may go before all that is held from that place on: not before one
    more urgent, nor before one of its own flow that is as urgent, nor where too much did already."""
    if not member.ahead:
        return False
    for held in member.leases[place:]:
        other = held.item
        if item.priority > other.priority or (item.flow == other.flow and item.priority == other.priority):
            return False
        if held.passed >= PASSED:
            return False
        if held.passed + seconds > max(PASSED_OF_LEASE * (held.expires - held.sent), PASSED):
            return False
    return True
