"""A node that says other figures all the time costs the hub a plan a second, not one each time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub_support.orchestra import FACES, START, a_spec, a_worker, an_id
from meerkat_hub.core.inputs import BusChanged, Input, TimeReached, WorkerSeen
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import Policy, WorkflowRequested
from meerkat_hub.core.workflows.orchestrator import FIGURES_EVERY, Orchestrator

FIRST = 10.0
"""When the figure was said that the first plan follows."""


class House:
    """A workflow of 2 frames a second waits for a node that is fast enough."""

    def __init__(self) -> None:
        numbers = iter(range(0xE000, 0xF000))
        self.core = HubCore(
            epoch=1, new_id=lambda: an_id(next(numbers)), policy=Policy(reserve=0, gather=0.0)
        )
        self.mono = FIRST - FIGURES_EVERY
        self.do(BusChanged(up=True))
        spec = a_spec(2, "porch/front", feature=None, decision={"rule": "seen"})
        self.do(WorkflowRequested("hall", spec, wait=True))
        self.says(1.0)

    def do(self, happened: Input) -> None:
        self.core.step(happened, Now(START + timedelta(seconds=self.mono), self.mono))

    def says(self, fps: float, **more: object) -> None:
        self.do(WorkerSeen(a_worker("coral", **{FACES: fps}, **more)))  # type: ignore[arg-type]

    @property
    def stands(self) -> str:
        state = self.core.workflows.state("hall")
        assert state is not None
        return state.state


def test_the_first_is_followed_at_once_and_the_next_at_the_end_of_its_second() -> None:
    house = House()
    house.mono = FIRST
    house.says(1.5)
    house.mono = FIRST + 0.2
    house.says(40.0)
    assert house.stands == "refused"
    assert house.core.wake_at() == FIRST + FIGURES_EVERY
    house.mono = FIRST + FIGURES_EVERY
    house.do(TimeReached())
    assert house.stands == "running"


def test_who_loads_something_else_or_leaves_is_planned_at_once() -> None:
    house = House()
    house.mono = FIRST
    house.says(40.0)
    assert house.stands == "running"
    house.mono = FIRST + 0.1
    house.says(39.0)
    house.says(39.0, online=False)
    assert house.stands == "refused"


def test_a_thousand_in_a_second_are_one_plan_or_two(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House()
    plans: list[float] = []
    settle = Orchestrator._settle

    def counted(self: Orchestrator, now: Now, orders: object) -> None:
        plans.append(now.mono)
        settle(self, now, orders)  # type: ignore[arg-type]

    monkeypatch.setattr(Orchestrator, "_settle", counted)
    for number in range(1000):
        house.mono = FIRST + number / 1000
        house.says(1.0 + number % 7 / 10)
    assert len(plans) <= 2
    house.mono = FIRST + FIGURES_EVERY
    house.do(TimeReached())
    assert len(plans) <= 3
