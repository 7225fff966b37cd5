"""What would be sent out now, were the burst on and things stayed as they are: asked, and nothing is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from meerkat_cloud_burst.policy.making import make_policy
from meerkat_cloud_burst.policy.view import World
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_hub.core.cloud_records import Planned, PlannedClip
from meerkat_hub.core.records import Clip

TICKS = 2
"""A burst begins when so many ticks in a row want it."""


def planned(
    settings: BurstSettings,
    world: World,
    clips: Mapping[str, Clip],
    going: Callable[[Sequence[str], int | None], list[str]],
) -> Planned:
    """By a policy of its own, so that the hub's keeps what it remembers. `going`: which of the clips that it
    wants to send may go with so many machines."""
    policy = make_policy(settings)
    asked = replace(world, enabled=True)
    for _ in range(TICKS):
        decision = policy.decide(asked)
    waiting = {one.id: one for one in world.waiting}
    return Planned(
        code=decision.code,
        reason=decision.reason,
        send=tuple(
            PlannedClip(id, clip.device, clip.camera, waiting[id].age, waiting[id].done_in)
            for id in going(decision.send, decision.desired)
            if (clip := clips.get(id)) is not None and id in waiting
        ),
        machines=decision.desired,
        dollars=decision.reserve.dollars if decision.reserve else 0.0,
    )
