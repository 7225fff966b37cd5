"""What is told of the burst on the bus, and how often: subscribers keep a history of each state."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from hub_support.cloud_driver import SETTINGS, CloudDriver
from hub_support.core_driver import START
from meerkat_cloud_burst.policy.making import make_policy
from meerkat_contract.messages import BurstState
from meerkat_hub.core.cloud.money import Figures, for_the_bus
from meerkat_hub.turn_told import STATE_EVERY


def a_fleet(clips: int) -> CloudDriver:
    """Two machines that have run for minutes, so many clips that wait at home, decided by the real rule."""
    hub = CloudDriver()
    hub.sky.desired = 2
    hub.sky.launch("i-0", "i-1", at=START - timedelta(minutes=5))
    for n in range(clips):
        hub.clip(n + 1)
    hub.cloud._policy = make_policy(SETTINGS)
    return hub


def told_within_a_minute(hub: CloudDriver) -> list[BurstState]:
    """Each state that differs from the one before, looked at as often as the hub would publish."""
    hub.do(hub.sky.looked())
    told = [hub.cloud.state(hub.now)]
    for n in range(1, int(60 / STATE_EVERY) + 1):
        hub.turn(STATE_EVERY)
        if n % int(SETTINGS.tick / STATE_EVERY) == 0:
            hub.do(hub.sky.looked(taken=min(1, len(hub.sky.orders))))
        if (state := hub.cloud.state(hub.now)) != told[-1]:
            told.append(state)
    return told[1:]


def test_a_minute_without_a_machine_tells_nothing() -> None:
    hub = CloudDriver()
    assert told_within_a_minute(hub) == []


@pytest.mark.parametrize("clips", [0, 60], ids=["idle", "busy"])
def test_a_quiet_minute_tells_at_most_one_state_a_tick(clips: int) -> None:
    hub = a_fleet(clips)
    told = told_within_a_minute(hub)
    assert 1 <= len(told) <= 60 / SETTINGS.tick
    assert hub.cloud.money.figures(hub.now)["spent_today"] > 0, "it costs something meanwhile"
    words = [state.state for state in told]
    assert sum(a != b for a, b in itertools.pairwise(words)) <= 1, "what a log of states shows"


def test_who_asks_is_told_the_money_of_now() -> None:
    hub = a_fleet(0)
    hub.do(hub.sky.looked())
    before, told = hub.cloud.view(hub.now).state, hub.cloud.state(hub.now)
    hub.turn(19)
    assert hub.cloud.view(hub.now).state.forecast_day != before.forecast_day
    assert hub.cloud.state(hub.now) == told


def test_money_is_rounded_and_what_may_be_spent_is_rounded_up() -> None:
    exact = Figures(
        spent_today=0.0424,
        spent_month=1.236,
        reserved=0.011,
        ceiling_day=0.5,
        ceiling_month=5,
        forecast_day=0.1,
    )
    told = for_the_bus(exact)
    assert (told["spent_today"], told["spent_month"]) == (0.042, 1.24)
    assert (told["reserved"], told["forecast_day"]) == (0.02, 0.1)
    assert (told["ceiling_day"], told["ceiling_month"]) == (0.5, 5)
