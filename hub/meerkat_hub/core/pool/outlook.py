"""When the pool will have done what waits in a flow, as far as can be told: for who may send it elsewhere.

Nothing of the dealing is touched. It is asked now and then, not at every step.

    wait of an item = what workers hold / workers + work before it / (capacity × share) + its own time

The share is what the flow's weight gives it beside the flows that compete for the same workers. How much
each of them competes is how often it was seen to have work waiting or leased, a running mean: a flow that
is at it a fifth of the time takes a sixth from an equal one, and one that always is takes half.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from .members import Member
from .pool import Pool
from .work import Flow, Item

SMOOTHING = 0.3
"""Weight of the newest look at whether a flow competes."""

SHORT = 5.0
"""Seconds. A worker whose pause is shorter is as good as there."""


@dataclass(frozen=True, slots=True)
class Expected:
    item: Item
    done_in: float
    """Seconds from now; inf where nobody does such work."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a flow may expect. `items` in the order of service; `capacity` in units of cost a second."""

    items: tuple[Expected, ...]
    capacity: float
    unit: float
    """Seconds of one worker for a unit of cost; 0 where there is none."""
    idle: bool
    """Somebody who does such work holds nothing."""


class Outlook:
    """Of one flow. `learn` at even times; `look` whenever somebody wants to know."""

    def __init__(self, pool: Pool, flow: str) -> None:
        self._pool = pool
        self._flow = flow
        self._busy: dict[str, float] = {}
        """How much of the time each other flow has had work, by flow."""

    def learn(self) -> None:
        """See which other flows have work."""
        leased = {held[0].item.flow for held in self._pool.leases.values() if held}
        queues = self._pool.queues
        self._busy = {
            other.id: _smooth(
                self._busy.get(other.id, 0.0), bool(queues.length(other.id)) or other.id in leased
            )
            for other in queues.flows()
            if other.id != self._flow
        }

    def look(self, now: float, most: int, *, reachable: bool = True) -> Prospect:
        """Of the first `most` items. Not `reachable`: work reaches nobody, whoever is there."""
        queues = self._pool.queues
        flow = queues.flow(self._flow)
        items = queues.first_of(self._flow, most)
        able = self._able(flow, now) if flow is not None and reachable else []
        if flow is None or not able:
            return Prospect(tuple(Expected(item, inf) for item in items), 0.0, 0.0, idle=False)
        capacity = sum(member.capacity(flow.task) for member in able)
        share = self._share(flow)
        own = len(able) / capacity
        ahead = sum(_held(member, now) for member in able) / len(able)
        expected = []
        for item in items:
            expected.append(Expected(item, ahead + item.cost * own))
            ahead += item.cost / (capacity * share)
        return Prospect(tuple(expected), capacity * share, own, any(not member.leases for member in able))

    def _able(self, flow: Flow, now: float) -> list[Member]:
        return [
            member
            for member in self._pool.members.values()
            if member.does(flow.task)
            and (flow.nodes is None or member.id in flow.nodes)
            and member.paused_until - now < SHORT
        ]

    def _share(self, flow: Flow) -> float:
        """What the flow's weight gives it beside those that compete."""
        queues = self._pool.queues
        group = queues.group(flow.id)
        near = {group, *self._pool.queues.neighbours(group)} if group is not None else set()
        others = [other for other in queues.flows() if other.id != flow.id and queues.group(other.id) in near]
        return flow.weight / (
            flow.weight + sum(other.weight * self._busy.get(other.id, 0.0) for other in others)
        )


def _smooth(before: float, busy: bool) -> float:
    return before + SMOOTHING * (busy - before)


def _held(member: Member, now: float) -> float:
    """Seconds until the worker is done with all that it holds, as predicted."""
    if not member.leases:
        return 0.0
    begun = max(member.leases[0].sent, member.last_answer)
    return max(member.held_seconds - (now - begun), 0.0)
