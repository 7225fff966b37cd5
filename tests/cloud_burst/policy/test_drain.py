"""The drain rule, at its boundaries."""

from __future__ import annotations

import re
from dataclasses import replace
from math import inf

import pytest

from burst_support.worlds import aloft, backlog, world
from meerkat_cloud_burst.policy.drain import Drain
from meerkat_cloud_burst.policy.view import BurstDecision, CloudView, WaitingClip, World

LAUNCH = 0.016
"""Dollars that a launch must find free: 1600 s at $0.036 an hour."""


def second(policy: Drain, view: World) -> BurstDecision:
    """What is decided when it is so at two ticks."""
    policy.decide(view)
    return policy.decide(view)


def test_nothing_waits() -> None:
    decision = Drain().decide(world())
    assert (decision.code, decision.send, decision.desired) == ("idle", (), None)


@pytest.mark.parametrize(("age", "code"), [(0.0, "idle"), (0.1, "waiting")])
def test_a_clip_is_late_beyond_the_deadline_and_not_at_it(age: float, code: str) -> None:
    assert Drain(deadline=120).decide(world(backlog(3, 40, age=age))).code == code


def test_a_burst_begins_at_the_second_tick_in_a_row() -> None:
    policy, busy, calm = Drain(), world(backlog(30)), world(backlog(1))
    codes = [policy.decide(view).code for view in (busy, calm, busy, busy)]
    assert codes == ["waiting", "idle", "waiting", "burst"]


def test_the_tail_is_sent_so_that_house_and_cloud_are_done_together() -> None:
    waiting = backlog(40)
    decision = second(Drain(), world(waiting))
    sent = len(decision.send)
    assert set(decision.send) == {clip.id for clip in waiting[-sent:]}
    assert decision.desired == 2
    home = waiting[-sent - 1].done_in
    boot, machines, each = 90, 2, 20
    cloud = boot + -(-sent // machines) * each
    assert abs(home - cloud) <= 35 + each


def test_machines_that_work_already_are_not_booted_again() -> None:
    decision = second(Drain(), world(backlog(6), cloud={"desired": 2, "ages": (300.0, 300.0), "ready": 2}))
    assert decision.code == "burst"
    assert (decision.desired, decision.reserve) == (None, None)


def test_a_machine_that_boots_is_expected_at_its_remaining_boot() -> None:
    fresh = second(Drain(), world(backlog(8), cloud={"maximum": 1, "desired": 1, "ages": (0.0,)}))
    nearly = second(Drain(), world(backlog(8), cloud={"maximum": 1, "desired": 1, "ages": (85.0,)}))
    assert len(nearly.send) > len(fresh.send) > 0


@pytest.mark.parametrize(("gain", "code"), [(92.0, "burst"), (96.0, "no-gain")])
def test_the_gain_must_be_more_than_is_asked_for(gain: float, code: str) -> None:
    """Seven clips at home take 245 s. With three of them at a fresh machine: 90 + 1 + 3 x 20 s, 94 s less."""
    assert second(Drain(gain=gain), world(backlog(7), cloud={"maximum": 1})).code == code


def test_it_goes_on_until_the_last_waits_less_than_half_the_deadline() -> None:
    policy = Drain(deadline=120)
    warm = {"desired": 1, "ages": (300.0,), "ready": 1, "maximum": 1}
    second(policy, world(backlog(20), cloud=warm))
    assert policy.decide(world(backlog(3, 30), cloud=warm)).code == "burst", "not late, but still on"
    assert policy.decide(world(backlog(2, 30), cloud=warm)).code in {"hold", "burst"}, (
        "60 s is not below half"
    )
    assert policy.decide(world(backlog(2, 29.9), cloud=warm)).code == "idle"
    assert policy.decide(world(backlog(20), cloud=warm)).code == "waiting"


def test_a_further_machine_must_win_half_of_its_boot() -> None:
    few = second(Drain(), world(backlog(8), cloud={"maximum": 10}))
    many = second(Drain(), world(backlog(200), cloud={"maximum": 10}))
    assert few.desired == 1
    assert many.desired is not None
    assert many.desired >= 5


def test_the_ceiling_of_money_limits_the_machines() -> None:
    rich = second(Drain(), world(backlog(200), cloud={"maximum": 4}))
    exact = second(Drain(), world(backlog(200), money=2 * LAUNCH, cloud={"maximum": 4}))
    short = second(Drain(), world(backlog(200), money=2 * LAUNCH - 1e-6, cloud={"maximum": 4}))
    assert (rich.desired, exact.desired, short.desired) == (4, 2, 1)
    assert exact.reserve is not None
    assert exact.reserve.dollars == pytest.approx(2 * LAUNCH)
    assert (exact.reserve.instances, exact.reserve.seconds) == (2, 1600)


def test_without_money_for_one_machine_it_says_so_with_the_numbers() -> None:
    decision = second(Drain(), world(backlog(30), money=0.01))
    assert (decision.code, decision.send, decision.desired) == ("ceiling", (), None)
    for number in ("30", "1050 s", "1600 s", "$0.0160", "$0.0100"):
        assert number in decision.reason


def test_what_may_not_leave_the_house_stays() -> None:
    never = backlog(30, rule="never")
    assert second(Drain(), world(never)).code == "forbidden"
    mixed = (*backlog(15), *backlog(15, rule="never", first=15))
    decision = second(Drain(), world(mixed))
    assert decision.send
    assert not set(decision.send) & {clip.id for clip in never[15:]}


def test_what_came_back_stays_unless_it_goes_always_or_nobody_is_at_home() -> None:
    assert second(Drain(), world(backlog(30, attempts=1))).code == "forbidden"
    assert second(Drain(), world(backlog(5, each=inf, attempts=1))).code == "burst"
    assert second(Drain(), world(backlog(5, each=inf, attempts=2))).code == "forbidden"
    assert Drain().decide(world(backlog(1, rule="always", attempts=1))).send
    assert not Drain().decide(world(backlog(1, rule="always", attempts=2))).send


def test_what_goes_always_goes_at_once_and_takes_nothing_else_along() -> None:
    waiting = (*backlog(2), *backlog(1, rule="always", first=2))
    decision = Drain().decide(world(waiting))
    assert decision.send == ("clip-2",)
    assert decision.desired == 1
    assert decision.reserve is not None


def test_even_what_goes_always_stays_below_the_ceiling() -> None:
    decision = Drain().decide(world(backlog(1, rule="always"), money=0.0))
    assert (decision.code, decision.send) == ("ceiling", ())


def test_where_nobody_is_at_home_all_goes() -> None:
    decision = second(Drain(), world(backlog(10, each=inf)))
    assert len(decision.send) == 10
    assert "the last in more than 12 hours" in decision.reason


def test_an_external_fleet_is_sent_to_while_it_is_there_and_nothing_is_launched() -> None:
    policy = Drain()
    gone = second(policy, world(backlog(30), fresh_instances=False))
    assert (gone.code, gone.desired) == ("no-gain", None)
    assert "no machine of yours" in gone.reason
    there = {"desired": 1, "ages": (5000.0,), "ready": 1}
    decision = policy.decide(world(backlog(30), cloud=there, fresh_instances=False))
    assert decision.code == "burst"
    assert (decision.desired, decision.reserve) == (None, None)


def test_trouble_sends_nothing_and_begins_anew_after_it() -> None:
    policy, busy = Drain(), world(backlog(30))
    second(policy, busy)
    decision = policy.decide(replace(busy, trouble="the key has expired"))
    assert (decision.code, decision.send, decision.desired) == ("trouble", (), None)
    assert "the key has expired" in decision.reason
    assert policy.decide(busy).code == "waiting"


def test_switched_off_it_takes_back_what_no_worker_has_and_withdraws_launches() -> None:
    flying = aloft(3, taken=1)
    view = world(backlog(30), flying, cloud={"desired": 2, "ages": (50.0,)}, enabled=False)
    decision = second(Drain(), view)
    assert (decision.code, decision.send, decision.desired) == ("off", (), 1)
    assert decision.take_back == ("aloft-1", "aloft-2")


def test_clips_of_another_length_count_by_their_length() -> None:
    def with_media(seconds: float) -> int:
        waiting = tuple(replace(clip, seconds=seconds) for clip in backlog(40))
        return len(second(Drain(), world(waiting)).send)

    assert with_media(2.5) > with_media(5.0) > with_media(20.0)


def test_a_slow_line_is_not_filled() -> None:
    def over(rate: float) -> int:
        return len(second(Drain(), world(backlog(40), cloud={"upload_rate": rate})).send)

    assert over(1e6) > over(3e4) > 0


def test_a_slow_cloud_wins_nothing() -> None:
    assert second(Drain(), world(backlog(7), cloud={"clip_seconds": 270.0})).code == "no-gain"


def test_every_decision_says_why_in_numbers() -> None:
    policy = Drain()
    for view in (world(backlog(1)), world(backlog(30)), world(backlog(30)), world((), aloft(2))):
        decision = policy.decide(view)
        assert re.search(r"\d", decision.reason), decision


def test_a_hundred_machines_and_a_thousand_clips_are_decided_in_few_plans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tick must not stop the hub: machines are added while they win, not tried to the last."""
    from meerkat_cloud_burst.policy import plan

    calls = 0
    real = plan.done_by

    def counted(*arguments: object) -> float:
        nonlocal calls
        calls += 1
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(plan, "done_by", counted)
    waiting = tuple(WaitingClip(str(n), 0, 5.0 * (n + 1), 1_000_000, 5.0) for n in range(1000))
    view = replace(world(waiting), cloud=CloudView(maximum=100))
    assert second(Drain(), view).code == "burst"
    assert calls < 1500
