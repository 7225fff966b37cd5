"""What any policy does besides sending: what may go, what can be paid, queue and fleet kept in step."""

from __future__ import annotations

from math import floor, inf

from .latency import clip_seconds, done_by, slots, starts
from .view import AloftClip, BurstDecision, Reservation, WaitingClip, World
from .words import many

RUNWAY = 60.0
"""Seconds that machines must still be paid for, so that clips are sent to them."""


def may_go(clip: WaitingClip) -> bool:
    """Whether a clip may leave the house at all.

    One that came back from the cloud stays at home: there its fate is known. It goes a second time where it
    is to go always, or where the house has nobody for it, and not a third.
    """
    if clip.rule == "never":
        return False
    return clip.attempts == 0 or (clip.attempts == 1 and (clip.rule == "always" or clip.done_in == inf))


def launch_dollars(world: World) -> float:
    """What must be free for each machine that is launched."""
    return world.money.launch_seconds / 3600 * world.money.instance_hour


def launchable(world: World) -> int:
    """So many machines may be launched, by the fleet's size and by the money."""
    if not world.fresh_instances:
        return 0
    room = max(0, world.cloud.maximum - slots(world.cloud))
    dollars = launch_dollars(world)
    return floor(min(room, world.money.available / dollars + 1e-9)) if dollars > 0 else room


def spent_up(world: World) -> bool:
    """Machines that run are ended within a minute for want of money: what is sent to them would come back."""
    return world.fresh_instances and world.money.runway < RUNWAY


def reservation(world: World, new: int) -> Reservation | None:
    if not new:
        return None
    return Reservation(new, world.money.launch_seconds, new * launch_dollars(world))


def shortage(world: World) -> str:
    """The sentence for a machine that is wanted and cannot be had; empty when one can."""
    cloud, money = world.cloud, world.money
    if launchable(world) and not spent_up(world):
        return ""
    if not world.fresh_instances:
        return "no machine of yours takes clips now"
    if spent_up(world):
        told = f"machines that run are paid for {money.runway:.0f} s more before one is ended"
        return f"{told}, with ${money.available:.4f} left under the ceilings"
    if slots(cloud) >= cloud.maximum:
        return f"{slots(cloud)} of at most {cloud.maximum} machines run or are asked for"
    return (
        f"a machine must be paid for {money.launch_seconds:.0f} s ahead, ${launch_dollars(world):.4f}, and "
        f"${money.available:.4f} are left under the ceilings"
    )


def closed(world: World) -> BurstDecision | None:
    """The decision while nothing may be sent: switched off, or the cloud cannot be used."""
    if world.trouble:
        return BurstDecision(code="trouble", reason=f"the cloud cannot be used: {world.trouble}")
    if world.enabled:
        return None
    back = tuple(clip.id for clip in world.aloft if not clip.taken)
    reason = "switched off: nothing goes out"
    if world.aloft:
        told = f"of {many(len(world.aloft), 'clip')} still in the cloud {len(back)}"
        reason += f"; {told} {'is' if len(back) == 1 else 'are'} taken back"
    return BurstDecision(take_back=back, desired=_withdrawn(world), code="off", reason=reason)


def tend(world: World) -> BurstDecision | None:
    """What is to be done where nothing is sent: no order without a machine, no launch without an order."""
    return _stranded(world) or _idle(world) or _unwanted(world)


def _stranded(world: World) -> BurstDecision | None:
    """Orders and no machine to take them, nor one asked for: its workers ended, or were taken away."""
    aloft = len(world.aloft)
    if slots(world.cloud) or not aloft:
        return None
    launched = done_by(starts(world.cloud, 1), aloft, clip_seconds(world))
    home = aloft * world.home_seconds
    told = f"{many(aloft, 'clip')} in the cloud and no machine"
    if world.idle_at_home and home <= launched:
        return _back(world.aloft, f"{told}: the idle house does them in {home:.0f} s")
    if not launchable(world):
        return _back(world.aloft, f"{told}; {shortage(world)}")
    return BurstDecision(
        desired=1,
        reserve=reservation(world, 1),
        code="reconcile",
        reason=f"{told}: one is launched, to do them in {launched:.0f} s",
    )


def _idle(world: World) -> BurstDecision | None:
    """The house has nothing to do: it takes back the order that the cloud would come to last."""
    untaken = [clip for clip in world.aloft if not clip.taken and clip.rule != "always"]
    if not world.idle_at_home or world.waiting or not untaken:
        return None
    cloud = done_by(starts(world.cloud), len(world.aloft), clip_seconds(world))
    if cloud <= world.home_seconds:
        return None
    last = min(untaken, key=lambda clip: clip.sent)
    home = f"the house is idle and does a clip in {world.home_seconds:.0f} s"
    return _back((last,), f"{home}; the cloud's last would take {cloud:.0f} s")


def _unwanted(world: World) -> BurstDecision | None:
    """Launches that have not come while there is nothing left for them."""
    desired = _withdrawn(world)
    if desired is None or world.aloft or world.cloud.queued:
        return None
    asked = many(world.cloud.desired - desired, "machine")
    reason = f"{asked} asked for and not there yet: withdrawn, as nothing waits for it"
    return BurstDecision(desired=desired, code="reconcile", reason=reason)


def _withdrawn(world: World) -> int | None:
    """The size of the fleet without the launches that have not come; None where there is none of them."""
    present = len(world.cloud.ages)
    return present if world.fresh_instances and world.cloud.desired > present else None


def _back(clips: tuple[AloftClip, ...], reason: str) -> BurstDecision:
    return BurstDecision(take_back=tuple(clip.id for clip in clips), code="take-back", reason=reason)
