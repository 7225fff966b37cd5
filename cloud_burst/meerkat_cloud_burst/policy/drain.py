"""Drain: send the tail of the backlog when that makes all of it done sooner, and only when it would be late.

    W_j   seconds until the house has done the j-th waiting clip
    late  those with age + W_j > deadline
    L     seconds until the cloud has done m clips more with n machines: boot, upload, its queue and theirs
    gain  W_last - max(W of the last that stays, L)

On once clips were late at two ticks, off when W_last < deadline / 2. In between, at each tick, the pair
(m, n) of the greatest gain is chosen; where more machines win next to nothing, fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .latency import slots
from .plan import Plan, best_plan
from .tend import closed, launchable, may_go, reservation, shortage, spent_up, tend
from .view import BurstDecision, WaitingClip, World
from .words import last, many, seconds

TICKS = 2
"""So many ticks in a row must clips be late before a burst begins."""


@dataclass(slots=True)
class Drain:
    deadline: float = 120.0
    gain: float = 30.0
    _late_ticks: int = 0
    _on: bool = False

    def decide(self, world: World) -> BurstDecision:
        if (decision := closed(world)) is not None:
            self._late_ticks, self._on = 0, False
            return decision
        late = [clip for clip in world.waiting if clip.age + clip.done_in > self.deadline]
        self._turn(world, late)
        always = [clip for clip in world.waiting if clip.rule == "always" and may_go(clip)]
        if always or self._on:
            return self._burst(world, late, always)
        if late:
            reason = f"{self._told(world, late)}; a burst begins if it is so at the next tick too"
            return tend(world) or BurstDecision(code="waiting", reason=reason)
        return tend(world) or self._quiet(world)

    def _turn(self, world: World, late: Sequence[WaitingClip]) -> None:
        self._late_ticks = self._late_ticks + 1 if late else 0
        if self._late_ticks >= TICKS:
            self._on = True
        elif last(world.waiting) < self.deadline / 2:
            self._on = False

    def _burst(
        self, world: World, late: Sequence[WaitingClip], always: Sequence[WaitingClip]
    ) -> BurstDecision:
        held = slots(world.cloud)
        most = launchable(world)
        if spent_up(world) or not (held or most):
            code = "ceiling" if world.fresh_instances else "no-gain"
            reason = f"{self._told(world, late)}; {shortage(world)}"
            return tend(world) or BurstDecision(code=code, reason=reason)
        going = {clip.id for clip in always}
        tail = [clip for clip in world.waiting if may_go(clip) and clip.id not in going][::-1]
        plan = best_plan(world, always, tail if self._on else (), most)
        if not always and plan.gain <= self.gain:
            return tend(world) or self._kept(world, late, plan, tail)
        new = plan.new
        return BurstDecision(
            send=tuple(clip.id for clip in plan.clips),
            desired=held + new if new else None,
            reserve=reservation(world, new),
            code="burst",
            reason=self._why(world, late, always, plan, new),
        )

    def _kept(
        self, world: World, late: Sequence[WaitingClip], plan: Plan, tail: Sequence[WaitingClip]
    ) -> BurstDecision:
        """On, and nothing is sent."""
        told = self._told(world, late)
        if late and not tail:
            return BurstDecision(
                code="forbidden", reason=f"{told}; none of those that wait may leave the house"
            )
        if not late:
            return BurstDecision(code="hold", reason=f"{told}; what is in the cloud is enough")
        if short := shortage(world):
            room = world.fresh_instances and slots(world.cloud) < world.cloud.maximum
            told = f"{told}; {short}, and to send more would win {plan.gain:.0f} s"
            return BurstDecision(code="ceiling" if room else "hold", reason=told)
        reason = f"{told}; the cloud would win {plan.gain:.0f} s, and {self.gain:.0f} s are asked for"
        return BurstDecision(code="no-gain", reason=reason)

    def _quiet(self, world: World) -> BurstDecision:
        if world.aloft:
            return BurstDecision(
                code="hold", reason=f"{many(len(world.aloft), 'clip')} in the cloud, and none at home is late"
            )
        if not world.waiting:
            return BurstDecision(code="idle", reason="no clip waits")
        told = f"{many(len(world.waiting), 'clip')} at home, all done in {seconds(last(world.waiting))}"
        reason = f"{told}: none is late"
        return BurstDecision(code="idle", reason=reason)

    def _told(self, world: World, late: Sequence[WaitingClip]) -> str:
        clips = many(len(world.waiting), "clip")
        told = f"of {clips} {len(late)} would be done later than {self.deadline:.0f} s"
        return f"{told}, the last in {seconds(last(world.waiting))}"

    def _why(
        self,
        world: World,
        late: Sequence[WaitingClip],
        always: Sequence[WaitingClip],
        plan: Plan,
        new: int,
    ) -> str:
        machines = f"{many(slots(world.cloud) + new, 'machine')} ({new} new)"
        if not self._on:
            told = f"{many(len(always), 'clip')} of cameras that always use the cloud"
            return f"{told}: to {machines}, done in {plan.seconds:.0f} s"
        told = f"{self._told(world, late)}; with {len(plan.clips)} sent to {machines}"
        return f"{told} all is done in {plan.seconds:.0f} s, {seconds(plan.gain)} sooner"
