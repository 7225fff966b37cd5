"""When machines of the cloud would be done."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from .view import CloudView, World

UNIT = 5.0
"""Seconds of media to which the cloud's measured time belongs."""


def slots(cloud: CloudView) -> int:
    """Machines that run or are asked for."""
    return max(cloud.desired, len(cloud.ages))


def starts(cloud: CloudView, new: int = 0) -> list[float]:
    """Seconds until each machine can begin: those at work, those that boot, those asked for, `new` ones.

    One that boots longer than measured is expected to need as long again as it is overdue.
    """
    ages = sorted(cloud.ages, reverse=True)
    booting = [abs(cloud.boot - age) for age in ages[cloud.ready :]]
    asked = slots(cloud) - len(ages) + new
    return [0.0] * min(cloud.ready, len(ages)) + booting + [cloud.boot] * asked


def done_by(begins: Sequence[float], clips: int, seconds: float) -> float:
    """Seconds until `clips` of `seconds` each are done by machines that can begin at `begins`; inf by none.

    The least T with sum over machines of floor((T - begin) / seconds) >= clips, to a thousandth of a clip.
    Where all begin together that is begin + ceil(clips / machines) x seconds.
    """
    if not clips:
        return 0.0
    if not begins:
        return inf
    low = min(begins)
    high = low + clips * seconds
    while high - low > seconds / 1000:
        middle = (low + high) / 2
        if sum(int((middle - begin) / seconds) for begin in begins if begin < middle) >= clips:
            high = middle
        else:
            low = middle
    return high


def clip_seconds(world: World) -> float:
    """A machine's time for one of these clips: the measured time is for a clip of `UNIT` seconds."""
    clips = world.waiting
    mean = sum(clip.seconds for clip in clips) / len(clips) if clips else UNIT
    return max(0.01, world.cloud.clip_seconds * mean / UNIT)
