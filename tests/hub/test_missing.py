"""Workers to whose jobs nobody listens, in the core: who hears of it, and when they are called again."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest

from hub_support.core_driver import START, a_clip, an_id
from hub_support.orchestra import a_spec, a_worker
from meerkat_hub.core.inputs import BusChanged, ClipArrived, Input, TimeReached, WorkerAbsent, WorkerSeen
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.missing import CALL_AGAIN
from meerkat_hub.core.outputs import CallWorker, Effect, SendFrame, SendJob
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import FrameArrived, Policy, PublishWorkflow, WorkflowRequested

WALKERS = a_spec(2, measurement="detect_objects", feature=None, decision={"rule": "seen"})
STARTS = {"left": 1, "right": 2}


class House:
    """A workflow that looks at the porch, and two workers, of which one is kept for clips."""

    def __init__(self) -> None:
        numbers = count(0xE000)
        policy = Policy(reserve=None, gather=0)
        self.core = HubCore(epoch=1, new_id=lambda: an_id(next(numbers)), policy=policy)
        self.mono = 0.0
        self.effects: list[Effect] = []
        self.notes: list[str] = []
        self.do(BusChanged(up=True))
        self.see("left")
        self.see("right")
        self.do(WorkflowRequested("walkers", WALKERS, wait=True))

    def do(self, happened: Input) -> list[Effect]:
        decision = self.core.step(happened, Now(START + timedelta(seconds=self.mono), self.mono))
        self.effects += decision.effects
        self.notes += decision.notes
        return decision.effects

    def turn(self, seconds: float) -> None:
        self.mono += seconds
        self.do(TimeReached())

    def see(self, name: str) -> None:
        self.do(WorkerSeen(a_worker(name, start=STARTS[name], detect_objects=60)))

    def frame(self, number: int) -> SendFrame:
        """The job that a frame becomes at once."""
        effects = self.do(FrameArrived(an_id(0xF000 + number), "porch", "front", START, 1000))
        (sent,) = [effect for effect in effects if isinstance(effect, SendFrame)]
        return sent

    def nodes(self) -> list[str]:
        told = [effect.state for effect in self.effects if isinstance(effect, PublishWorkflow)]
        assert told[-1] is not None
        return [node.node for node in told[-1].nodes]

    def calls(self) -> list[str]:
        return [effect.worker for effect in self.effects if isinstance(effect, CallWorker)]


@pytest.fixture
def house() -> House:
    return House()


def other_of(name: str) -> str:
    return "right" if name == "left" else "left"


def test_a_workflow_leaves_a_worker_that_is_called_and_not_there(house: House) -> None:
    (first,) = house.nodes()
    house.do(WorkerAbsent(first, an_id(0), None))
    assert house.nodes() == [other_of(first)]
    assert list(house.core.workers) == [other_of(first)]
    assert house.frame(1).worker == other_of(first)
    assert f"worker {first} is not there: nobody listens to its jobs" in house.notes


def test_a_job_that_finds_nobody_tells_workflows_as_well(house: House) -> None:
    sent = house.frame(1)
    house.do(WorkerAbsent(sent.worker, sent.job.job, sent.job.token))
    assert house.nodes() == [other_of(sent.worker)]
    assert house.frame(2).worker == other_of(sent.worker)


def test_a_lease_that_was_over_says_nothing(house: House) -> None:
    sent = house.frame(1)
    house.do(WorkerAbsent(sent.worker, sent.job.job, sent.job.token - 1))
    assert house.nodes() == [sent.worker]
    assert len(house.core.workers) == 2
    house.turn(2 * CALL_AGAIN)
    assert house.calls() == []


def test_who_is_not_there_is_called_once_more_and_used_when_it_speaks(house: House) -> None:
    (first,) = house.nodes()
    house.do(WorkerAbsent(first, an_id(0), None))
    wake = house.core.wake_at()
    assert wake is not None
    assert wake <= CALL_AGAIN
    house.turn(CALL_AGAIN - 0.001)
    assert house.calls() == []
    house.turn(0.001)
    assert house.calls() == [first]
    house.turn(10 * CALL_AGAIN)
    assert house.calls() == [first], "once"
    house.see(first)
    assert list(house.core.workers) == [other_of(first), first]
    house.do(WorkerAbsent(other_of(first), an_id(0), None))
    assert house.nodes() == [first]
    assert house.frame(1).worker == first


def test_who_is_back_before_is_not_called(house: House) -> None:
    (first,) = house.nodes()
    house.do(WorkerAbsent(first, an_id(0), None))
    house.see(first)
    house.turn(10 * CALL_AGAIN)
    assert house.calls() == []


def test_nobody_is_kept_for_clips_who_is_not_there(house: House) -> None:
    (first,) = house.nodes()
    house.do(WorkerAbsent(other_of(first), an_id(0), None))
    effects = house.do(ClipArrived(a_clip(1)))
    assert [effect.worker for effect in effects if isinstance(effect, SendJob)] == [first]
