"""That nobody can read a medium, two workers have to say: another may have a decoder for it.

Who says so first ends a try. The item then waits for another worker, also for one that is paused for a
moment, and rather for one that failed at it for another reason than for who cannot read it.
"""

from __future__ import annotations

from dataclasses import replace

from .pool.members import Member
from .pool.pool import Pool
from .pool.work import Dropped, TryEnded

SOON = 30.0
"""Seconds: a worker that is paused for longer is not waited for. Later clips of the recording wait too."""


def may_be_read(pool: Pool, flow: str, cannot: str, now: float) -> bool:
    """Whether another worker than the one that cannot read it does such work, now or soon."""
    return bool(_others(pool, flow, cannot, now))


def ask_another(pool: Pool, tried: TryEnded, cannot: str, now: float) -> list[Dropped]:
    """Let the item wait again, before others; says what its flow had to drop for it.

    `cannot` is who cannot read it, as of this try or before.
    """
    others = _others(pool, tried.item.flow, cannot, now)
    avoid = tried.item.avoid | {tried.worker, cannot} - {""}
    if cannot and all(other.id in avoid for other in others):
        avoid = frozenset({cannot})
    item = replace(tried.item, attempts=tried.item.attempts + 1, avoid=avoid)
    back = [other.paused_until for other in others if other.id not in avoid]
    if back and min(back) > now:
        pool.aside.put(item, min(back))
        return []
    return pool.again(item)


def _others(pool: Pool, flow_id: str, than: str, now: float) -> list[Member]:
    flow = pool.queues.flow(flow_id)
    if flow is None:
        return []
    return [
        member
        for member in pool.members.values()
        if member.id != than
        and member.does(flow.task)
        and (flow.nodes is None or member.id in flow.nodes)
        and member.paused_until <= now + SOON
    ]
