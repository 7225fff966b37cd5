"""The ledger: nothing runs that is not paid for, and what has run is counted."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from burst_support.books import MIDNIGHT, NOON, TERMS, Desk
from meerkat_cloud_burst.policy import Machine, Refused, Terms, make_policy
from meerkat_cloud_burst.settings import BurstSettings, ThresholdSettings

LEAD = 0.105


def test_a_launch_is_paid_for_before_it_is_asked_for() -> None:
    desk = Desk()
    desk.reserve(2)
    assert desk.ledger.available(desk.now) == pytest.approx(1.0 - 2 * LEAD)
    assert desk.reserved == pytest.approx(2 * LEAD)
    assert desk.spent == 0


def test_exactly_what_is_left_may_be_reserved_and_no_more() -> None:
    desk = Desk(replace(TERMS, per_day=2 * LEAD))
    desk.reserve(2)
    refused = desk.ledger.reserve(1, desk.now)
    assert isinstance(refused, Refused)
    assert refused.needed == pytest.approx(LEAD)
    assert refused.available == pytest.approx(0)
    assert "$0.1050" in refused.reason
    assert "$0.0000" in refused.reason


def test_the_months_ceiling_holds_as_well() -> None:
    desk = Desk(replace(TERMS, per_month=LEAD * 1.5))
    desk.reserve(1)
    assert isinstance(desk.ledger.reserve(1, desk.now), Refused)


def test_what_ran_is_spent_and_the_rest_is_given_back() -> None:
    desk = Desk()
    desk.reserve()
    desk.run("i-1", 0, 400)
    desk.pass_time(20)
    desk.observe(desired=0)
    assert desk.spent == pytest.approx(420 * 1e-4)
    assert desk.reserved == 0
    closed = sum(entry.dollars for entry in desk.stored if entry.refers)
    assert closed == pytest.approx(sum(entry.dollars for entry in desk.lines("reserved")))


def test_a_minute_is_billed_at_least() -> None:
    desk = Desk()
    desk.reserve()
    desk.run("i-1", 0, 20)
    desk.pass_time(10)
    desk.observe(desired=0)
    assert desk.spent == pytest.approx(60 * 1e-4)


def test_a_launch_that_never_comes_costs_nothing() -> None:
    desk = Desk()
    desk.reserve()
    for _ in range(9):
        desk.pass_time(20)
        desk.observe(desired=0)
        assert desk.reserved or desk.steady >= 1180, "it may still be on its way to the cloud"
    assert (desk.spent, desk.reserved) == (0, 0)


def test_a_launch_that_is_refused_is_released_at_the_next_look() -> None:
    desk = Desk()
    desk.reserve()
    desk.ledger.launch_failed()
    desk.pass_time(20)
    desk.observe(desired=0)
    assert (desk.spent, desk.reserved) == (0, 0)
    assert len(desk.lines("released")) == 1


def test_an_earlier_burst_holds_no_money_of_the_next() -> None:
    desk = Desk()
    desk.reserve(4)
    for _ in range(10):
        desk.pass_time(20)
        desk.observe()
    desk.reserve()
    desk.pass_time(20)
    desk.observe(desired=1)
    assert desk.reserved == pytest.approx(LEAD)


def test_while_the_fleet_still_wants_it_the_money_stays() -> None:
    desk = Desk()
    desk.reserve()
    for _ in range(30):
        desk.pass_time(20)
        desk.observe(desired=1)
    assert desk.reserved == pytest.approx(LEAD)


def test_a_machine_is_ended_while_there_is_money_for_its_end() -> None:
    desk = Desk(replace(TERMS, per_day=0.15))
    desk.reserve()
    age = 0.0
    while not (seen := desk.run("i-1", age, 20)).end:
        age += 20
        day = desk.ledger.today(desk.now)
        assert day.spent + day.reserved <= day.ceiling + 1e-9
        assert day.reserved >= TERMS.hold * 1e-4 - 1e-9, "it could not end unattended"
    assert seen.end == ("i-1",)
    assert seen.desired == 0
    assert "paid for 600 s" in seen.reason
    assert age == pytest.approx(0.15 / 1e-4 - TERMS.hold, abs=40)


def test_it_says_how_long_what_runs_can_still_be_paid() -> None:
    desk = Desk(replace(TERMS, per_day=0.15))
    assert desk.ledger.view(desk.now).runway == inf
    desk.reserve()
    assert desk.ledger.view(desk.now).runway == pytest.approx(1500 - 600)
    desk.run("i-1", 0, 300)
    assert desk.ledger.view(desk.now).runway == pytest.approx(600, abs=1)
    while not desk.run("i-1", desk.steady - 1000, 20).end:
        before = desk.ledger.view(desk.now).runway
    assert before <= 20
    assert desk.ledger.view(desk.now).runway == 0, "what is being ended is no machine to send to"


def test_of_two_the_younger_is_ended_and_its_money_carries_the_other() -> None:
    desk = Desk(replace(TERMS, per_day=0.25))
    desk.reserve(2)
    ages = {"old": 300.0, "young": 0.0}
    ended: list[str] = []
    while ages:
        desk.pass_time(20)
        ages = {id: age + 20 for id, age in ages.items()}
        seen = desk.observe(*ages.items())
        for id in seen.end:
            del ages[id]
            ended.append(id)
            assert desk.ledger.today(desk.now).reserved > 0
    assert ended == ["young", "old"]
    desk.pass_time(20)
    desk.observe()
    assert desk.spent <= 0.25
    assert desk.spent > 0.18, "the money of the first end was of no use"


def test_launches_that_cannot_be_paid_any_longer_are_withdrawn_before_machines_are_ended() -> None:
    desk = Desk(replace(TERMS, per_day=0.25))
    desk.reserve(2)
    age = 0.0
    while True:
        desk.pass_time(20)
        age += 20
        if (seen := desk.observe(("i-1", age), desired=2)).desired is not None:
            break
    assert (seen.end, seen.desired) == ((), 1)


def test_a_machine_that_nobody_paid_for_is_counted_from_its_launch_and_ended_without_money() -> None:
    desk = Desk(replace(TERMS, per_day=0.05))
    seen = desk.observe(("stray", 100.0))
    assert seen.end == ("stray",)
    assert desk.spent == pytest.approx(100 * 1e-4)


def test_midnight_forgets_no_machine_that_runs() -> None:
    desk = Desk(wall=MIDNIGHT - 310)
    desk.reserve()
    desk.run("i-1", 0, 300)
    assert desk.spent == pytest.approx(300 * 1e-4)
    desk.run("i-1", 300, 20)
    day = desk.ledger.today(desk.now)
    assert day.spent < 150 * 1e-4, "of the day before no more than what was not written yet"
    assert day.reserved >= TERMS.hold * 1e-4
    assert desk.ledger.month(desk.now).spent == pytest.approx(320 * 1e-4)


def test_a_clock_set_on_by_a_day_gives_no_second_days_money() -> None:
    desk = Desk()
    desk.reserve()
    desk.run("i-1", 0, 600)
    desk.pass_time(20)
    desk.observe()
    before = desk.spent
    desk.pass_time(20, leap=86_400)
    desk.observe()
    assert desk.spent >= before
    desk.pass_time(86_400)
    assert desk.spent == 0, "a day later it is another day by any clock"


@pytest.mark.parametrize("leap", [-7200.0, -90_000.0])
def test_a_clock_set_back_loses_nothing(leap: float) -> None:
    desk = Desk()
    desk.reserve()
    desk.run("i-1", 0, 600)
    desk.pass_time(20, leap=leap)
    desk.observe(("i-1", 620 + leap))
    assert desk.spent == pytest.approx(620 * 1e-4)


def test_what_a_suspended_hub_did_not_see_is_counted_by_the_wall_clock() -> None:
    desk = Desk()
    desk.reserve()
    desk.run("i-1", 0, 100)
    desk.pass_time(0, leap=400)
    desk.observe(("i-1", 500))
    assert desk.spent == pytest.approx(500 * 1e-4)


def test_a_leap_is_still_doubted_after_a_restart() -> None:
    desk = Desk()
    desk.reserve()
    desk.run("i-1", 0, 600)
    desk.pass_time(20)
    desk.observe()
    before = desk.spent
    desk.pass_time(20, leap=40_000)
    desk.observe()
    desk.restart(down=10)
    assert desk.wall > MIDNIGHT + 36_000
    assert desk.spent >= before


def test_lines_of_the_future_count_for_a_day_and_no_longer() -> None:
    desk = Desk()
    desk.reserve()
    desk.run("i-1", 0, 600)
    desk.pass_time(20)
    desk.observe()
    desk.restart(leap=-30 * 86_400)
    assert desk.spent == pytest.approx(620 * 1e-4)
    desk.pass_time(86_401)
    assert desk.spent == 0


def test_a_restart_goes_on_with_the_machines_that_run() -> None:
    desk = Desk()
    desk.reserve()
    desk.run("i-1", 0, 500)
    desk.restart(down=200)
    desk.observe(("i-1", 700))
    assert desk.spent == pytest.approx(700 * 1e-4)
    assert desk.reserved >= TERMS.hold * 1e-4 - 1e-9


def test_what_ended_while_the_hub_was_down_may_have_run_all_the_time() -> None:
    desk = Desk()
    desk.reserve()
    desk.run("i-1", 0, 500)
    desk.restart(down=200)
    desk.observe()
    assert 700 * 1e-4 <= desk.spent <= 1000 * 1e-4
    assert desk.reserved == 0


def test_a_machine_that_came_and_went_between_far_looks_may_have_run() -> None:
    desk = Desk()
    desk.observe()
    desk.reserve()
    desk.pass_time(300)
    desk.observe(desired=0)
    assert desk.spent == pytest.approx(300 * 1e-4)


def test_a_dearer_price_holds_at_once_and_a_lower_one_for_the_next_machine() -> None:
    desk = Desk()
    desk.reserve()
    desk.run("i-1", 0, 100)
    desk.pass_time(20)
    desk.ledger.observe([Machine("i-1", 120)], 1, desk.now, instance_hour=0.72)
    assert desk.spent == pytest.approx(100 * 1e-4 + 20 * 2e-4)
    desk.pass_time(20)
    desk.ledger.observe([Machine("i-1", 140)], 1, desk.now, instance_hour=0.18)
    assert desk.ledger.view(desk.now).instance_hour == pytest.approx(0.72)
    for _ in range(10):
        desk.pass_time(20)
        desk.ledger.observe([], 0, desk.now)
    assert desk.ledger.view(desk.now).instance_hour == pytest.approx(0.18)


def test_a_forecast_goes_on_at_the_present_pace_and_stops_at_the_ceiling() -> None:
    desk = Desk(wall=NOON)
    desk.reserve()
    desk.run("i-1", 0, 60)
    desk.pass_time(20)
    desk.observe()
    hourly = 80 * 1e-4
    day = desk.ledger.today(desk.now)
    assert day.forecast == pytest.approx(day.spent + 12 * hourly, rel=0.05)
    assert day.ends == MIDNIGHT + 86_400
    desk.run("i-2", 0, 3000)
    assert desk.ledger.today(desk.now).forecast == 1.0


def test_lines_are_few() -> None:
    desk = Desk()
    desk.reserve()
    desk.run("i-1", 0, 3600)
    assert len(desk.stored) <= 70, "an hour of a machine: a line each for spending and topping up in 2 min"


def test_the_terms_of_the_default_settings() -> None:
    terms = Terms.of(BurstSettings())
    assert terms.hold == 90 + 900 + 300 + 2 * 20 + 60 + 60
    assert terms.lead * terms.instance_hour / 3600 < 0.02, "a launch must not need much of the day's $0.50"


def test_the_threshold_rule_keeps_no_machine_idle() -> None:
    settings = BurstSettings(policy=ThresholdSettings())
    assert Terms.of(settings).hold == Terms.of(BurstSettings()).hold - 60
    assert make_policy(settings) == make_policy(settings)


def test_a_machine_must_outlast_a_tick() -> None:
    with pytest.raises(ValueError, match=r"idle_grace \(20 s\) must be longer than tick \(20 s\)"):
        BurstSettings(tick=20, idle_grace=20)
    assert BurstSettings(tick=20, idle_grace=0, policy=ThresholdSettings())


def test_a_machine_must_have_the_time_to_answer() -> None:
    with pytest.raises(ValueError, match=r"timeout \(110 s\) must be longer than boot and clip_seconds"):
        BurstSettings(timeout=110, boot=90, clip_seconds=20)
    assert BurstSettings(timeout=110.5, boot=90, clip_seconds=20)
    assert BurstSettings(timeout=30, fleet="external"), "which boots for nobody"


@pytest.mark.parametrize("name", ["cot", "nursery/Cot", "nursery cot", "nursery/cot/", ""])
def test_what_can_be_no_camera_is_refused(name: str) -> None:
    """It would forbid nothing, and the clips would leave."""
    with pytest.raises(ValueError, match="cameras"):
        BurstSettings(cameras={name: "never"})
