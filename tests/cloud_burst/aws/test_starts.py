"""A machine that cannot set itself up is told, so that no other is rented for the same."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud_support.agent import NotingHub, running_agent
from cloud_support.pretend_ports import PretendPorts
from meerkat_cloud_burst.agent.starts import FAILED_LATELY, Starts
from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.messages import Life
from meerkat_cloud_burst.news import Looked
from meerkat_cloud_burst.ports import FleetState, Instance
from meerkat_cloud_burst.settings import BurstSettings
from support.wait import wait_for


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def fleet(*ids: str, trouble: CloudError | None = None) -> FleetState:
    instances = tuple(Instance(id, "running", datetime.now(UTC)) for id in ids)
    return FleetState(desired=len(ids), maximum=2, instances=instances, trouble=trouble)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def starts(clock: Clock) -> Starts:
    """The first look is over."""
    starts = Starts(clock=clock)
    starts.looked(fleet("i-old"))
    return starts


def test_a_machine_that_was_never_ready_is_told_for_a_while(starts: Starts, clock: Clock) -> None:
    starts.looked(fleet("i-1"))
    starts.heard("i-1", "ending", "it failed while installing Meerkat")
    trouble = starts.looked(fleet()).trouble
    assert trouble is not None
    assert "instance i-1" in str(trouble)
    assert "it failed while installing Meerkat" in str(trouble)
    clock.now += FAILED_LATELY
    assert starts.looked(fleet()).trouble is not None
    clock.now += 0.01
    assert starts.looked(fleet()).trouble is None


@pytest.mark.parametrize("what", ["ready", "interrupted"])
def test_a_machine_that_worked_or_was_taken_away_may_end(starts: Starts, what: str) -> None:
    starts.heard("i-1", what, "")
    starts.heard("i-1", "ending", "the queue is empty")
    assert starts.looked(fleet()).trouble is None


def test_a_machine_from_before_the_hub_s_start_may_end(starts: Starts) -> None:
    starts.heard("i-old", "ending", "the queue is empty")
    assert starts.looked(fleet()).trouble is None


def test_before_the_first_look_nothing_is_judged(clock: Clock) -> None:
    starts = Starts(clock=clock)
    starts.heard("i-1", "ending", "the queue is empty")
    assert starts.looked(fleet()).trouble is None


def test_one_that_works_or_comes_to_work_is_enough(starts: Starts) -> None:
    starts.heard("i-1", "ready", "")
    starts.heard("i-2", "ending", "no disk")
    assert starts.looked(fleet("i-1")).trouble is None
    assert starts.looked(fleet()).trouble is not None
    starts.heard("i-3", "ready", "")
    assert starts.looked(fleet()).trouble is None


def test_the_group_s_own_trouble_comes_first(starts: Starts) -> None:
    starts.heard("i-1", "ending", "no disk")
    quota = CloudError("no more", cause="quota")
    assert starts.looked(fleet(trouble=quota)).trouble is quota


def test_the_agent_hears_it(tmp_path: Path) -> None:
    cloud, hub = PretendPorts(), NotingHub(tmp_path)
    settings = BurstSettings(enabled=True, tick=0.1)
    with running_agent(settings, hub, open_ports=lambda _: cloud):
        hub.wait_for(Looked)
        cloud.results_waiting.append((Life(worker="i-1", what="ending", reason="no disk"), "receipt"))
        wait_for(lambda: hub.of(Looked)[-1].fleet.trouble, what="the trouble")
        wait_for(lambda: cloud.of("delete") == [["receipt"]], what="the message to be deleted")
