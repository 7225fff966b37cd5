"""Threshold: the rule of the camera that Meerkat succeeds, within the ceilings.

All that waits above `threshold` goes to the cloud, at most `max` clips at a time; there, a machine for each
order up to the fleet's size. No look at gain or latency, and a worker ends as soon as the queue is empty.
"""

from __future__ import annotations

from dataclasses import dataclass

from .latency import slots
from .tend import closed, launchable, may_go, reservation, shortage, spent_up, tend
from .view import BurstDecision, World
from .words import many


@dataclass(frozen=True, slots=True)
class Threshold:
    threshold: int = 7
    max: int = 18

    def decide(self, world: World) -> BurstDecision:
        if (decision := closed(world)) is not None:
            return decision
        always = [clip.id for clip in world.waiting if clip.rule == "always" and may_go(clip)]
        above = world.waiting[self.threshold :]
        over = [clip.id for clip in above if may_go(clip) and clip.id not in always]
        room = max(0, self.max - len(world.aloft) - len(always))
        send = (*always, *over[::-1][:room])
        held = slots(world.cloud)
        aloft = len(world.aloft) + len(send)
        new = min(launchable(world), max(0, aloft - held))
        told = f"{many(len(world.waiting), 'clip')} at home, {len(world.aloft)} in the cloud"
        if not send and not new:
            return tend(world) or self._nothing(world, told)
        if spent_up(world) or not held + new:
            return tend(world) or BurstDecision(code="ceiling", reason=f"{told}; {shortage(world)}")
        return BurstDecision(
            send=send,
            desired=held + new if new else None,
            reserve=reservation(world, new),
            code="burst" if send else "reconcile",
            reason=f"{told}: {len(send)} go, to {many(held + new, 'machine')} ({new} new)",
        )

    def _nothing(self, world: World, told: str) -> BurstDecision:
        if world.aloft:
            return BurstDecision(code="hold", reason=f"{told}, of at most {self.max}")
        return BurstDecision(code="idle", reason=f"{told}: not more than {self.threshold} stay at home")
