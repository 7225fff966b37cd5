"""What is asked of the cloud while it refuses: what is tried again, what is dropped, what holds up nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_support.agent import NotingHub, running_agent
from cloud_support.pretend_ports import PretendPorts
from meerkat_cloud_burst.agent import Agent
from meerkat_cloud_burst.errors import Cause, CloudError
from meerkat_cloud_burst.messages import clip_key, result_key
from meerkat_cloud_burst.news import (
    EndInstances,
    Forget,
    Looked,
    NotSent,
    Reached,
    Scale,
    Sent,
    TakeBack,
    TakenBack,
    Trouble,
)
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.ids import new_id
from support.wait import wait_for


class Clock:
    """Stands still unless it is told to go on."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cloud() -> PretendPorts:
    return PretendPorts()


@pytest.fixture
def hub(tmp_path: Path) -> NotingHub:
    return NotingHub(tmp_path)


@pytest.fixture
def agent(cloud: PretendPorts, hub: NotingHub, clock: Clock) -> Iterator[Agent]:
    settings = BurstSettings(enabled=True, tick=0.1)
    with running_agent(settings, hub, open_ports=lambda _: cloud, clock=clock, first_rest=0.01) as agent:
        yield agent


def refuse(cause: Cause) -> CloudError:
    return CloudError("no", cause=cause, where="there")


def test_forgetting_many_takes_one_request(cloud: PretendPorts, hub: NotingHub, clock: Clock) -> None:
    settings = BurstSettings(enabled=True, tick=0.1)
    agent = Agent(settings, media=hub.media, tell=hub.tell, open_ports=lambda _: cloud, clock=clock)
    jobs = [new_id() for _ in range(20)]
    for job in jobs:
        agent.carry_out(Forget(job, 1))
    agent.start()
    try:
        [keys] = wait_for(lambda: cloud.of("delete"), what="the objects to be deleted")
        assert set(keys) == {clip_key(job, 1) for job in jobs} | {result_key(job) for job in jobs}
    finally:
        agent.stop()


def test_a_machine_whose_end_is_asked_for_again_and_again_is_asked_for_once(
    cloud: PretendPorts, hub: NotingHub, clock: Clock
) -> None:
    """The core asks each minute while it is there: where that is refused, the wishes would heap up."""
    settings = BurstSettings(enabled=True, tick=0.1)
    agent = Agent(settings, media=hub.media, tell=hub.tell, open_ports=lambda _: cloud, clock=clock)
    for instances in (("i-1",), ("i-1",), ("i-2",), ("i-2", "i-1")):
        agent.carry_out(EndInstances(instances, "no group counts it"))
    agent.carry_out(Scale(0, "the last errand"))
    agent.start()
    try:
        wait_for(lambda: cloud.of("set_desired"), what="the last errand")
        assert cloud.of("end") == [["i-2", "i-1"]]
    finally:
        agent.stop()


def test_only_the_latest_wish_for_machines_counts(agent: Agent, cloud: PretendPorts, hub: NotingHub) -> None:
    cloud.failing["set_desired"] = refuse("network")
    agent.carry_out(Scale(2, "a storm"))
    hub.wait_for(Trouble)
    agent.carry_out(Scale(1, "less of one"))
    del cloud.failing["set_desired"]
    wait_for(lambda: cloud.of("set_desired"), what="the wish to be told")
    agent.carry_out(EndInstances(("i-1",), "the next errand"))
    wait_for(lambda: cloud.of("end"), what="the next errand")
    assert cloud.of("set_desired") == [[1]]


def test_a_wish_for_machines_that_is_too_old_is_dropped_and_one_for_none_is_not(
    agent: Agent, cloud: PretendPorts, hub: NotingHub, clock: Clock
) -> None:
    cloud.failing["set_desired"] = refuse("network")
    agent.carry_out(Scale(2, "a storm"))
    hub.wait_for(Trouble)
    clock.now += 6
    wait_for(lambda: agent._errands.idle, what="the wish to be dropped")
    agent.carry_out(Scale(0, "over"))
    clock.now += 3600
    del cloud.failing["set_desired"]
    wait_for(lambda: cloud.of("set_desired") == [[0]], what="the fleet to be sent home")


def test_what_is_refused_holds_up_nobody_else(
    agent: Agent, cloud: PretendPorts, hub: NotingHub, clock: Clock
) -> None:
    cloud.failing["end"] = refuse("permission")
    agent.carry_out(EndInstances(("i-1",), "stop"))
    [trouble] = hub.wait_for(Trouble)
    assert trouble.cause == "permission"
    agent.carry_out(Scale(0, "stop"))
    wait_for(lambda: cloud.of("set_desired"), what="the other errand")
    assert not hub.of(Reached)  # it may still not end instances
    del cloud.failing["end"]
    clock.now += 61
    agent.carry_out(Forget(new_id(), 1))  # wakes the errands, whose clock stands still
    wait_for(lambda: cloud.of("end"), what="it to be tried again")
    hub.wait_for(Reached)


def test_an_instance_that_is_not_ours_is_not_ended_again_and_again(
    agent: Agent, cloud: PretendPorts, hub: NotingHub
) -> None:
    cloud.failing["end"] = refuse("other")
    agent.carry_out(EndInstances(("i-1",), "an orphan"))
    hub.wait_for(Trouble)
    wait_for(lambda: agent._errands.idle, what="it to be dropped")


def test_a_clip_is_taken_back_at_once_though_its_object_cannot_be_deleted_yet(
    agent: Agent, cloud: PretendPorts, hub: NotingHub
) -> None:
    clip = hub.clip()
    job = clip.order.job.job
    agent.carry_out(clip)
    hub.wait_for(Sent)
    cloud.failing["delete"] = refuse("network")
    agent.carry_out(TakeBack(((job, 1),)))
    assert hub.wait_for(TakenBack) == [TakenBack(job, 1)]
    hub.wait_for(Trouble)
    del cloud.failing["delete"]
    wait_for(lambda: [clip_key(job, 1)] in cloud.of("delete"), what="the object to be deleted")


@pytest.mark.parametrize("cause", ["credentials", "permission", "clock", "missing", "region"])
def test_a_clip_stays_at_home_at_once_where_trying_again_would_not_help(
    agent: Agent, cloud: PretendPorts, hub: NotingHub, cause: Cause
) -> None:
    cloud.failing["put_clip"] = refuse(cause)
    agent.carry_out(hub.clip())
    [not_sent] = hub.wait_for(NotSent)
    assert not_sent.cause == cause
    assert hub.wait_for(Trouble)[0].cause == cause


def test_after_refused_uploads_the_cloud_is_tried_again_some_time(
    agent: Agent, cloud: PretendPorts, hub: NotingHub, clock: Clock
) -> None:
    """Nothing goes out while there is trouble, so that nothing could show that it is over."""
    cloud.failing["put_clip"] = refuse("permission")
    agent.carry_out(hub.clip())
    hub.wait_for(NotSent)
    seen = len(hub.of(Looked))
    wait_for(lambda: len(hub.of(Looked)) > seen + 1, what="two more looks")
    assert not hub.of(Reached)
    clock.now += 301
    hub.wait_for(Reached)


def test_a_clip_whose_order_cannot_be_queued_is_ordered_later(
    agent: Agent, cloud: PretendPorts, hub: NotingHub
) -> None:
    cloud.failing["send"] = refuse("throttled")
    agent.carry_out(hub.clip())
    hub.wait_for(Trouble)
    assert not hub.of(Sent)
    del cloud.failing["send"]
    hub.wait_for(Sent)
    hub.wait_for(Reached)
    assert len(cloud.of("send")) == 1
