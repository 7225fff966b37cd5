"""What everybody is told of how the hub stands."""

from __future__ import annotations

from hub_support.core_driver import CoreDriver, an_id
from meerkat_contract.messages import HubState
from meerkat_hub.adapters.frames import FrameStore
from meerkat_hub.adapters.live import Live
from meerkat_hub.core.inputs import BusChanged
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.workflow_records import FrameArrived, Policy, WorkflowRequested, WorkflowSpec
from meerkat_hub.turn_told import STATE_EVERY, Teller

SEEN = {
    "cameras": {"porch/front": 2},
    "measurement": "detect_objects",
    "feature": None,
    "decision": {"rule": "seen", "labels": ["person"]},
    "max_delay": 5,
}


def test_clips_at_workers_are_counted_and_frames_are_not() -> None:
    core = CoreDriver()
    core.core = HubCore(epoch=1, new_id=core._new_id, policy=Policy(reserve=0, gather=0))
    core.check = lambda: None  # type: ignore[method-assign]  # it expects clips alone
    core.core.load([], [], core.now)
    core.do(BusChanged(up=True))
    core.worker(window=16, fps=100)
    core.do(WorkflowRequested("walkers", WorkflowSpec.model_validate(SEEN)))
    core.turn(1)
    teller, told = Teller(Live(), FrameStore()), list[HubState]()
    core.do(FrameArrived(an_id(0xF0), "porch", "front", core.now.wall, 1000))
    teller.tell((), core.core, core.now, told.append)
    assert (told[-1].running, told[-1].jobs) == (0, {"cpu": 1})

    clip = core.clip(1)
    core.mono += STATE_EVERY
    teller.tell((), core.core, core.now, told.append)
    assert (told[-1].running, told[-1].backlog, told[-1].jobs) == (1, 0, {"cpu": 2})

    core.answer(clip)
    core.mono += STATE_EVERY
    teller.tell((), core.core, core.now, told.append)
    assert (told[-1].running, told[-1].jobs) == (0, {"cpu": 1})
