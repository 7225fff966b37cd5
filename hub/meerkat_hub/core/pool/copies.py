"""Copies of stragglers: who gets one, where nothing waits and a worker idles. The rule is `rules.hedging`."""

from __future__ import annotations

from collections.abc import Iterable

from meerkat_hub.core.rules import Hedger

from .crews import Crew, Crews
from .lease_book import LeaseBook
from .members import Member
from .queues import Group, Queues
from .work import Lease

SOON = 0.001
"""Seconds; the rule is asked again no earlier."""


def stragglers(
    hedger: Hedger, book: LeaseBook, queues: Queues, crews: Crews, now: float
) -> tuple[list[tuple[Lease, Member]], float | None]:
    """The leases of which a copy is to be sent, each with its worker; and when to ask again."""
    chosen: list[tuple[Lease, Member]] = []
    wakes: list[float] = []
    taken: set[str] = set()
    for group in _groups_in_flight(book, queues):
        crew = crews.of(group)
        if not (crew.has_idle() and crew.has_busy()):
            continue
        hedge = hedger.hedge(crew.views, book.copied, now)
        for copy in hedge.copies:
            lease = book.by_item[copy.job][0]
            if queues.group(lease.item.flow) is not group or lease.task != group.task:
                continue
            worker = _idle(crew, group, lease, copy.worker, taken)
            if worker is not None and now < lease.item.deadline:
                taken.add(worker.id)
                chosen.append((lease, worker))
        if hedge.wake_at is not None:
            wakes.append(max(hedge.wake_at, now + SOON))
    return chosen, min(wakes, default=None)


def _idle(crew: Crew, group: Group, lease: Lease, best: str, taken: set[str]) -> Member | None:
    """`best`, or the next best when the item is to avoid that one, or another group has taken it."""
    avoid = lease.item.avoid | taken | {lease.worker}
    idle = [member for member in crew.members if not member.leases and member.id not in avoid]
    return min(idle, key=lambda m: (m.id != best, m.seconds(group.task), m.id), default=None)


def _groups_in_flight(book: LeaseBook, queues: Queues) -> Iterable[Group]:
    """Each of which nothing waits, once, in the order of their flows."""
    groups: dict[Group, None] = {}
    for flow_id in book.flows:
        group = queues.group(flow_id)
        if group is not None and not group.waiting:
            groups[group] = None
    return groups
