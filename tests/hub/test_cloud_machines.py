"""Machines and money: what the core asks for, what it ends, and never more than is paid for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from hub_support.cloud_driver import SETTINGS, CloudDriver
from hub_support.core_driver import START
from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.policy import make_policy
from meerkat_cloud_burst.policy.view import BurstDecision, Reservation
from meerkat_cloud_burst.ports import Instance
from meerkat_cloud_burst.settings import MoneySettings
from meerkat_hub.core.cloud.machines import ENDED_AGAIN, LAUNCH_PAUSE, OVERSTAYED


@pytest.fixture
def hub() -> Iterator[CloudDriver]:
    driver = CloudDriver()
    yield driver
    driver.check()


def test_money_is_in_the_ledger_before_a_machine_is_asked_for(hub: CloudDriver) -> None:
    hub.send([hub.clip(1).id], machines=2)
    assert hub.sky.desired == 2
    (reserved,) = hub.ledger()
    assert reserved.kind == "reserved"
    state = hub.cloud.view(hub.now).state
    assert state.reserved == pytest.approx(reserved.dollars, abs=0.001)
    assert (state.ceiling_day, state.ceiling_month) == (0.50, 5.00)
    assert state.spent_today == 0


def test_a_machine_that_nobody_paid_for_is_not_asked_for(hub: CloudDriver) -> None:
    hub.tick(BurstDecision(desired=1, code="burst"))
    assert hub.sky.desired == 0
    assert not hub.ledger()


def test_above_the_ceiling_nothing_is_asked_for_and_no_clip_goes_out() -> None:
    hub = CloudDriver(SETTINGS.model_copy(update={"money": MoneySettings(per_day=0.001)}))
    clip = hub.clip(1)
    hub.send([clip.id])
    assert (hub.sky.desired, hub.sky.sent, hub.ledger()) == (0, [], [])
    assert clip.id in hub.core.waiting
    assert hub.cloud.state(hub.now).ceiling_day == 0.001


@pytest.mark.parametrize("money", [MoneySettings(per_day=0), MoneySettings(per_month=0)])
def test_with_a_ceiling_of_nothing_nothing_is_rented_and_why_is_told(money: MoneySettings) -> None:
    settings = SETTINGS.model_copy(update={"money": money})
    hub = CloudDriver(settings)
    hub.core.cloud._policy = make_policy(settings)  # type: ignore[union-attr]
    for number in range(30):
        hub.clip(number)
    hub.turn(130)
    for _ in range(3):
        hub.do(hub.sky.looked())
    assert (hub.sky.desired, hub.sky.sent, hub.ledger()) == (0, [], [])
    state = hub.cloud.state(hub.now)
    assert state.state == "ceiling"
    assert "$0.0000 are left under the ceilings" in state.reason


def test_never_more_machines_than_configured_or_than_the_group_takes(hub: CloudDriver) -> None:
    wanted = BurstDecision(desired=9, reserve=Reservation(1, 900, 0.01), code="burst")
    hub.sky.maximum = 1
    hub.tick(wanted)
    assert hub.sky.desired == 1
    hub.sky.maximum = 20
    hub.tick(wanted)
    assert hub.sky.desired == SETTINGS.max_instances


def test_machines_that_no_group_counts_are_ended(hub: CloudDriver) -> None:
    hub.sky.orphans = (Instance("i-lost", "running", START),)
    hub.tick()
    hub.tick()
    assert hub.sky.ended == ["i-lost"]
    hub.turn(ENDED_AGAIN)
    hub.tick()
    assert hub.sky.ended == ["i-lost"] * 2  # it is still there
    assert hub.cloud.money.view(hub.now).available < 0.5  # it is paid for while it runs


def test_a_machine_that_cannot_be_paid_any_longer_is_ended() -> None:
    """It was launched by hand, say; whatever the policy wants meanwhile."""
    hub = CloudDriver(SETTINGS.model_copy(update={"money": MoneySettings(per_day=0.02)}))
    hub.sky.launch("i-0")
    hub.sky.desired = 1
    for _ in range(400):
        hub.turn(20)
        hub.tick()
        if hub.sky.ended:
            break
    assert "i-0" in hub.sky.ended
    assert hub.sky.desired == 0
    assert hub.cloud.state(hub.now).spent_today <= 0.02


def test_where_no_machine_comes_the_house_goes_on_alone_for_a_while(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    error = CloudError("you may have 0 of these machines", cause="quota", remedy="Ask AWS for more")
    looked = hub.sky.looked()
    hub.do(replace(looked, fleet=replace(looked.fleet, trouble=error)))
    assert hub.sky.desired == 0
    assert clip.id in hub.core.waiting
    trouble = hub.cloud.state(hub.now).trouble
    assert "you may have 0 of these machines" in trouble
    assert "Ask AWS for more" in trouble
    hub.turn(LAUNCH_PAUSE - 1)
    assert hub.tick().trouble == trouble
    hub.turn(1)
    assert hub.tick().trouble == ""


def test_a_launch_that_fails_is_withdrawn_also_when_the_money_runs_out() -> None:
    """Money for one of two launches would leave one that no quota lets come."""
    hub = CloudDriver(SETTINGS.model_copy(update={"money": MoneySettings(per_day=0.029)}))
    hub.sky.desired = 2
    looked = hub.sky.looked()
    error = CloudError("you may have 0 of these machines", cause="quota", remedy="Ask AWS for more")
    hub.do(replace(looked, fleet=replace(looked.fleet, trouble=error)))
    assert hub.sky.desired == 0


def test_a_stop_holds_until_somebody_switches_it_on(hub: CloudDriver) -> None:
    """A machine that comes late, or that could not be ended, is ended too."""
    hub.switch("stop")
    hub.sky.launch("i-late")
    hub.sky.desired = 1
    hub.tick()
    assert (hub.sky.desired, hub.sky.ended) == (0, ["i-late"])
    hub.turn(ENDED_AGAIN)
    hub.tick()
    assert hub.sky.ended == ["i-late"] * 2
    hub.switch("off")
    hub.sky.launch("i-other")
    hub.tick()
    assert "i-other" not in hub.sky.ended


def test_a_machine_that_stays_without_work_is_ended(hub: CloudDriver) -> None:
    """Its worker hangs: it should have ended itself long ago."""
    clip = hub.clip(1)
    hub.send([clip.id])
    hub.sky.launch("i-0")
    hub.tick()
    hub.cloud_answers(clip.id)
    hub.tick()
    hub.turn(SETTINGS.boot + SETTINGS.idle_grace + OVERSTAYED - 1)
    hub.tick()
    assert (hub.sky.desired, hub.sky.ended) == (1, [])
    hub.turn(1)
    hub.tick(taken=1)  # a clip that was taken back is being looked at
    assert hub.sky.ended == []
    hub.tick()
    hub.turn(SETTINGS.boot + SETTINGS.idle_grace + OVERSTAYED)
    again = hub.clip(2)
    hub.send([again.id])  # it is needed now
    assert hub.sky.ended == []
    hub.cloud_answers(again.id)
    hub.tick()
    hub.turn(SETTINGS.boot + SETTINGS.idle_grace + OVERSTAYED)
    hub.tick()
    assert (hub.sky.desired, hub.sky.ended) == (0, ["i-0"])


def test_no_more_goes_out_than_can_be_answered_in_time(hub: CloudDriver) -> None:
    """Of 300 s, 240 are counted on; 90 are the boot, and a clip takes 20."""
    clips = [hub.clip(number).id for number in range(20)]
    hub.send(clips)
    assert [job for job, _ in hub.sky.sent] == clips[:7]
    hub.send(clips[7:])
    assert len(hub.sky.sent) == 7
    hub.cloud_answers(clips[0], seconds=20)
    hub.send(clips[7:])
    assert [job for job, _ in hub.sky.sent] == clips[:8]
    hub.send(clips[8:], machines=2)
    assert len(hub.sky.sent) == 16  # 15 of them are out
