"""Queue and fleet are kept in step: no order without a machine, no launch without an order."""

from __future__ import annotations

import pytest

from burst_support.worlds import aloft, backlog, world
from meerkat_cloud_burst.policy.drain import Drain
from meerkat_cloud_burst.policy.latency import done_by, starts
from meerkat_cloud_burst.policy.threshold import Threshold
from meerkat_cloud_burst.policy.view import BurstDecision, CloudView, Policy

POLICIES = [Drain(), Threshold()]


@pytest.mark.parametrize("policy", POLICIES)
def test_orders_without_a_machine_get_one(policy: Policy) -> None:
    decision = policy.decide(world((), aloft(3)))
    assert decision.code == "reconcile"
    assert decision.desired is not None
    assert decision.reserve is not None


def test_one_that_is_asked_for_already_is_waited_for() -> None:
    assert Drain().decide(world((), aloft(3), cloud={"desired": 1})).desired is None


def test_orders_without_a_machine_and_without_money_come_home() -> None:
    decision = Drain().decide(world((), aloft(3, taken=1), money=0.0))
    assert decision.code == "take-back"
    assert len(decision.take_back) == 3, "whoever had taken one is gone"


def test_an_idle_house_does_few_stranded_orders_itself() -> None:
    few = Drain().decide(world((), aloft(2), idle_at_home=True, home_seconds=35.0))
    many = Drain().decide(world((), aloft(12), idle_at_home=True, home_seconds=35.0))
    assert (few.code, len(few.take_back)) == ("take-back", 2)
    assert (many.code, many.desired) == ("reconcile", 1)


def test_orders_that_nobody_waits_for_launch_nothing() -> None:
    assert Drain().decide(world(cloud={"queued": 5})).desired is None


def test_an_idle_house_takes_back_what_the_cloud_comes_to_last() -> None:
    cloud = {"desired": 1, "ages": (300.0,), "ready": 1}
    decision = Drain().decide(world((), aloft(5, taken=1), cloud=cloud, idle_at_home=True, home_seconds=35.0))
    assert (decision.code, decision.take_back) == ("take-back", ("aloft-4",))


def test_it_leaves_with_the_cloud_what_that_does_sooner() -> None:
    cloud = {"desired": 1, "ages": (300.0,), "ready": 1}
    decision = Drain().decide(world((), aloft(2), cloud=cloud, idle_at_home=True, home_seconds=45.0))
    assert (decision.code, decision.take_back) == ("hold", ())


def test_launches_that_nothing_waits_for_are_withdrawn() -> None:
    decision = Drain().decide(world(backlog(1), cloud={"desired": 3, "ages": (50.0,)}))
    assert (decision.code, decision.desired) == ("reconcile", 1)


def test_a_fleet_that_is_larger_than_asked_for_is_left_to_end_itself() -> None:
    assert Drain().decide(world(cloud={"desired": 1, "ages": (50.0, 60.0)})).desired is None


@pytest.mark.parametrize(
    ("waiting", "flying", "sent"), [(7, 0, 0), (8, 0, 1), (25, 0, 18), (40, 0, 18), (40, 10, 8), (40, 18, 0)]
)
def test_the_threshold_rule_sends_all_above_seven_to_eighteen_at_most(
    waiting: int, flying: int, sent: int
) -> None:
    clips = backlog(waiting)
    cloud = {"maximum": 30, "desired": flying, "ages": (100.0,) * flying}
    decision = Threshold().decide(world(clips, aloft(flying), cloud=cloud))
    assert decision.send == tuple(clip.id for clip in clips[::-1][:sent])
    assert decision.desired == (flying + sent if sent else None)


def test_the_threshold_rule_asks_for_a_machine_per_order_up_to_the_fleets_size_and_the_money() -> None:
    clips = backlog(20)
    assert Threshold().decide(world(clips, cloud={"maximum": 4})).desired == 4
    assert Threshold().decide(world(clips, cloud={"maximum": 4}, money=0.04)).desired == 2
    broke = Threshold().decide(world(clips, cloud={"maximum": 4}, money=0.0))
    assert (broke.code, broke.send) == ("ceiling", ())


def test_the_threshold_rule_leaves_at_home_what_must_stay() -> None:
    assert Threshold().decide(world(backlog(20, rule="never"))).send == ()
    assert Threshold().decide(world(backlog(1, rule="always"))).send == ("clip-0",)


@pytest.mark.parametrize(
    ("begins", "clips", "seconds"),
    [((90.0,), 1, 110.0), ((90.0, 90.0), 3, 130.0), ((0.0, 90.0), 6, 110.0), ((0.0,), 0, 0.0)],
)
def test_when_machines_are_done(begins: tuple[float, ...], clips: int, seconds: float) -> None:
    assert done_by(begins, clips, 20.0) == pytest.approx(seconds, abs=0.05)


def test_when_machines_begin() -> None:
    cloud = CloudView(desired=4, ages=(300.0, 60.0, 100.0), ready=1, boot=90.0)
    assert starts(cloud, 1) == [0.0, 10.0, 30.0, 90.0, 90.0]


@pytest.mark.parametrize("policy", [Drain(), Threshold()])
def test_nothing_is_sent_to_machines_that_are_ended_soon_for_want_of_money(policy: Policy) -> None:
    def decided(runway: float) -> BurstDecision:
        warm = {"desired": 2, "ages": (300.0, 300.0), "ready": 2}
        view = world(backlog(30), money=0.0, runway=runway, cloud=warm)
        policy.decide(view)
        return policy.decide(view)

    assert decided(60.0).send
    decision = decided(59.9)
    assert (decision.code, decision.send) == ("ceiling", ())
    assert "60 s more" in decision.reason
