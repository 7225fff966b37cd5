"""A workflow that ends takes back what its nodes are at."""

from __future__ import annotations

from datetime import timedelta

from hub_support.orchestra import FACES, START, a_spec, a_worker, an_id
from meerkat_hub.core.inputs import BusChanged, Input, WorkerSeen
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.outputs import CancelJob, Effect, SendFrame
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import (
    ForgetFrame,
    FrameArrived,
    Policy,
    WorkflowRequested,
    WorkflowWithdrawn,
)


def test_what_its_nodes_are_at_is_called_off_and_its_frames_are_counted_as_gone() -> None:
    numbers = iter(range(0xE000, 0xF000))
    core = HubCore(epoch=1, new_id=lambda: an_id(next(numbers)), policy=Policy(reserve=0, gather=0.0))
    effects: list[Effect] = []
    mono = 10.0

    def do(happened: Input) -> None:
        effects.extend(core.step(happened, Now(START + timedelta(seconds=mono), mono)).effects)

    do(BusChanged(up=True))
    do(WorkerSeen(a_worker("coral", **{FACES: 20})))
    do(WorkflowRequested("hall", a_spec(2, "porch/front", feature=None, decision={"rule": "seen"})))
    for number in (1, 2):
        do(FrameArrived(an_id(number), "porch", "front", START, 1000))
    sent = [effect for effect in effects if isinstance(effect, SendFrame)]
    assert sent, "somebody looks"
    do(WorkflowWithdrawn("hall"))
    cancelled = [(e.worker, e.job, e.token) for e in effects if isinstance(e, CancelJob)]
    assert cancelled == [(one.worker, one.job.job, one.job.token) for one in sent]
    assert sorted(e.frame for e in effects if isinstance(e, ForgetFrame)) == [an_id(1), an_id(2)]
    assert core.workflows.totals() == {"received": 2, "done": 0, "gone": 2}
    assert not core.leases
    assert not core.waiting
