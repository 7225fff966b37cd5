"""A workflow that ends takes back what its nodes are at; and what is left of a stall of the hub."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub_support.orchestra import FACES, START, a_spec, a_worker, an_id
from meerkat_hub.core.inputs import BusChanged, Input, TimeReached, WorkerSeen
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


@pytest.mark.parametrize("max_delay", [1.0, 0.75, 2.0])
def test_after_a_stall_the_newest_are_looked_at_and_the_oldest_are_late(max_delay: float) -> None:
    """A commit takes 8 s; what came meanwhile, two frames a second, is taken up as one batch."""
    numbers = iter(range(0xE000, 0xF000))
    core = HubCore(epoch=1, new_id=lambda: an_id(next(numbers)), policy=Policy(reserve=0, gather=0.0))
    effects: list[Effect] = []
    mono = 100.0

    def do(happened: Input) -> None:
        effects.extend(core.step(happened, Now(START + timedelta(seconds=mono), mono)).effects)

    do(BusChanged(up=True))
    do(WorkerSeen(a_worker("coral", **{FACES: 60}).model_copy(update={"window": 16})))
    rule = {"rule": "seen"}
    do(WorkflowRequested("hall", a_spec(2, feature=None, decision=rule, max_delay=max_delay)))
    came = {an_id(number): mono + number / 2 for number in range(1, 17)}
    mono += 8.0
    for frame, at in came.items():
        core.deals = at == mono
        do(FrameArrived(frame, "porch", "front", START, 1000, came=at))
    do(TimeReached())
    in_time = [frame for frame, at in came.items() if mono < at + max_delay]
    assert [e.job.media for e in effects if isinstance(e, SendFrame)] == in_time
    counts = core.workflows.totals()
    assert counts == {"received": 16, "done": 0, "late": 16 - len(in_time)}, "its camera kept its rate"
    mono += max_delay
    do(TimeReached())
    assert core.workflows.totals() == counts, "who looks at it may answer later: that is overdue"
