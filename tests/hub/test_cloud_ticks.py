"""What a tick sees, and what the core makes of a decision: ceilings, permissions, switch, trouble."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from math import inf
from typing import Literal

import pytest

from hub_support.cloud_driver import SETTINGS, CloudDriver
from hub_support.core_driver import START, a_clip
from meerkat_cloud_burst.news import Booted, Reached, Scale, Sent, Trouble
from meerkat_cloud_burst.policy.view import BurstDecision
from meerkat_cloud_burst.ports import FleetState, Instance, QueueState
from meerkat_cloud_burst.settings import BurstSettings, CloudRule
from meerkat_hub.core.cloud.history import REACH, History
from meerkat_hub.core.cloud.permission import rule_of
from meerkat_hub.core.cloud.scene import BUS_GRACE
from meerkat_hub.core.cloud.strangers import GRACE
from meerkat_hub.core.cloud_records import Sample
from meerkat_hub.core.inputs import BusChanged, CamerasTold, ClipArrived
from meerkat_hub.core.outputs import EventSaved


@pytest.fixture
def hub() -> Iterator[CloudDriver]:
    driver = CloudDriver()
    yield driver
    driver.check()


# --- the world ----------------------------------------------------------------------------------


def test_clips_are_seen_in_the_order_in_which_the_pool_would_take_them(hub: CloudDriver) -> None:
    late = replace(a_clip(1), trigger="submit", received_at=START)  # behind what is live
    hub.do(ClipArrived(late))
    live = hub.clip(2)
    bell = replace(a_clip(3), trigger="doorbell", received_at=START)
    hub.do(ClipArrived(bell))
    world = hub.tick()
    assert [clip.id for clip in world.waiting] == [bell.id, live.id, late.id]
    assert [clip.done_in for clip in world.waiting] == [inf] * 3  # nobody is there


def test_the_wait_is_the_work_ahead_over_the_measured_capacity(hub: CloudDriver) -> None:
    hub.worker("slow", fps=5, window=1)  # 5 s for a clip of 25 frames
    hub.clip(1)
    for number in range(2, 5):
        hub.clip(number)
    world = hub.tick()
    assert [round(clip.done_in) for clip in world.waiting] == [10, 15, 20]  # the first is at the worker
    assert world.home_seconds == pytest.approx(5)
    hub.turn(4)
    assert [round(clip.done_in) for clip in hub.tick().waiting] == [6, 11, 16]
    assert [clip.age for clip in hub.policy.worlds[-1].waiting] == [4, 4, 4]


def test_two_workers_halve_the_wait_and_not_the_work(hub: CloudDriver) -> None:
    hub.do(BusChanged(up=False))  # nothing is dealt
    for number in range(4):
        hub.clip(number)
    hub.worker("one", fps=5)
    hub.worker("two", fps=5)
    assert [clip.done_in for clip in hub.tick().waiting] == pytest.approx([5, 7.5, 10, 12.5])


def test_a_broker_that_is_away_for_long_leaves_the_house_without_workers(hub: CloudDriver) -> None:
    hub.worker("one", fps=5)
    hub.do(BusChanged(up=False))
    hub.clip(1)
    hub.turn(BUS_GRACE - 0.001)
    assert hub.tick().waiting[0].done_in == pytest.approx(5)
    hub.turn(0.001)
    assert hub.tick().waiting[0].done_in == inf
    hub.send([hub.policy.worlds[-1].waiting[0].id])
    assert len(hub.sky.sent) == 1  # the bus does not matter to the cloud


def test_an_idle_house_is_said_to_be_idle(hub: CloudDriver) -> None:
    assert not hub.tick().idle_at_home
    hub.worker(window=1)
    assert hub.tick().idle_at_home
    hub.clip(1)
    assert not hub.tick().idle_at_home


def test_the_cloud_is_seen_as_it_was_measured(hub: CloudDriver) -> None:
    hub.sky.launch("i-0", "i-1")
    first = hub.tick()
    assert (first.cloud.boot, first.cloud.clip_seconds) == (SETTINGS.boot, SETTINGS.clip_seconds)
    assert first.cloud.ready == 0
    clip = hub.clip(1)
    hub.send([clip.id])
    hub.do(Sent(clip.id, hub.sky.token_of(clip.id), 1.0, 400_000))
    hub.do(Booted("i-1", 60.0))
    hub.cloud_answers(clip.id, seconds=10.0)
    hub.turn(7)
    cloud = hub.tick().cloud
    assert cloud.boot == pytest.approx(75)
    assert cloud.clip_seconds == pytest.approx(15)
    assert cloud.upload_rate == pytest.approx(700_000)
    assert cloud.ready == 2
    assert cloud.ages == (7, 7)


def test_what_is_aloft_is_told_with_its_times(hub: CloudDriver) -> None:
    clips = [hub.clip(number).id for number in range(3)]
    hub.turn(5)
    hub.send(clips)
    hub.turn(10)
    aloft = hub.tick(taken=1).aloft
    assert [(clip.age, clip.sent, clip.taken) for clip in aloft] == [
        (15, 10, True),
        (15, 10, False),
        (15, 10, False),
    ]


# --- who may leave the house ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clip", "now", "configured", "default", "holds"),
    [
        ("", "", None, "overflow", "overflow"),
        ("", "", None, "never", "never"),
        ("always", "", None, "never", "always"),
        ("", "", "always", "overflow", "always"),
        ("overflow", "", "always", "overflow", "overflow"),
        ("always", "", "never", "overflow", "never"),
        ("never", "always", "always", "always", "never"),
        ("always", "never", "always", "always", "never"),
        ("", "auto", None, "overflow", "overflow"),
    ],
)
def test_the_strictest_word_holds(
    clip: str, now: str, configured: CloudRule | None, default: CloudRule, holds: str
) -> None:
    cameras = {"porch/front": configured} if configured else {}
    settings = BurstSettings(cameras=cameras, default=default)
    assert rule_of(replace(a_clip(1), cloud=clip), settings, now) == holds


def test_a_clip_of_a_camera_that_says_never_stays_whatever_the_policy_wants(hub: CloudDriver) -> None:
    mine = replace(a_clip(1), cloud="never", received_at=START)
    hub.do(ClipArrived(mine))
    other = hub.clip(2)
    hub.send([mine.id, other.id])
    assert [job for job, _ in hub.sky.sent] == [other.id]
    assert hub.policy.worlds[-1].waiting[0].rule == "never"


def test_a_clip_that_is_out_comes_back_when_its_camera_may_send_none_any_more() -> None:
    said = {"porch": ""}
    hub = CloudDriver(cloud_of=lambda device, camera: said[device])
    clip = hub.clip(1)
    hub.send([clip.id])
    token = hub.sky.token_of(clip.id)
    hub.do(Sent(clip.id, token, 1.0, 5))
    said["porch"] = "never"
    hub.tick()
    assert clip.id in hub.core.waiting
    assert hub.sky.forgotten == [(clip.id, token)]  # it lies there no longer
    assert any("may not leave" in note for note in hub.notes)
    hub.check()


# --- the switch -----------------------------------------------------------------------------------


def test_off_sends_nothing_new_and_waits_for_what_is_out(hub: CloudDriver) -> None:
    first, second = hub.clip(1), hub.clip(2)
    hub.send([first.id])
    hub.switch("off")
    assert hub.cloud.state(hub.now).state == "off"
    hub.send([second.id])
    assert [job for job, _ in hub.sky.sent] == [first.id]
    assert not hub.policy.worlds[-1].enabled
    hub.cloud_answers(first.id)
    assert hub.settled() == [(first.id, "done")]
    hub.switch("on")
    hub.send([second.id])
    assert [job for job, _ in hub.sky.sent] == [first.id, second.id]


def test_stop_ends_every_machine_and_all_is_done_at_home(hub: CloudDriver) -> None:
    clips = [hub.clip(number).id for number in range(3)]
    hub.send(clips)
    hub.sky.launch("i-0", "i-1")
    hub.tick()
    hub.switch("stop")
    assert hub.sky.ended == ["i-0", "i-1"]
    assert hub.sky.desired == 0
    assert sorted(hub.core.waiting) == sorted(clips)
    assert not hub.cloud.on
    state = hub.cloud.state(hub.now)
    assert (state.state, state.on, state.in_cloud) == ("stop", False, 0)
    assert "by the test" in state.reason


# --- what is told ---------------------------------------------------------------------------------


def test_a_decision_is_told_once_until_it_is_another(hub: CloudDriver) -> None:
    for number in range(3):
        hub.tick(BurstDecision(code="hold", reason=f"for {number} s"))
    hub.tick(BurstDecision(code="ceiling", reason="nothing is left"))
    said = [note for note in hub.notes if note.startswith("cloud burst:")]
    assert said == ["cloud burst: hold: for 0 s", "cloud burst: ceiling: nothing is left"]
    shown = hub.cloud.view(hub.now).decisions
    assert [(one.code, one.reason) for one in shown] == [("ceiling", "nothing is left"), ("hold", "for 2 s")]
    state = hub.cloud.state(hub.now)
    assert (state.state, state.reason) == ("ceiling", "nothing is left")


def test_trouble_is_told_with_its_reason_and_ends(hub: CloudDriver) -> None:
    for _ in range(2):
        hub.do(Trouble("credentials", "the key has expired. Run aws sso login"))
    assert hub.cloud.state(hub.now).trouble == "the key has expired. Run aws sso login"
    assert sum("the key has expired" in note for note in hub.notes) == 1
    assert "expired" in hub.tick().trouble
    hub.do(Reached())
    assert hub.cloud.state(hub.now).trouble == ""
    assert hub.tick().trouble == ""


def test_the_page_is_shown_what_is_aloft(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    view = hub.cloud.view(hub.now)
    assert [(one.clip, one.device, one.camera, one.returns) for one in view.aloft] == [
        (clip.id, "porch", "front", 0)
    ]
    assert view.decisions[0].sent == 1
    assert view.decisions[0].desired == 1


def test_a_machine_that_boots_is_paid_and_its_cost_shows(hub: CloudDriver) -> None:
    hub.send([hub.clip(1).id])
    hub.sky.launch("i-0", at=START)
    for _ in range(30):
        hub.turn(20)
        hub.tick()
    state = hub.cloud.state(hub.now)
    assert state.instances == 1
    assert state.spent_today == pytest.approx(600 / 3600 * 0.035, rel=0.15)
    assert state.spent_today <= state.spent_month
    assert state.forecast_day >= state.spent_today
    assert {entry.kind for entry in hub.ledger()} >= {"reserved", "spent"}


def test_events_of_the_cloud_do_not_wake_what_is_asleep(hub: CloudDriver) -> None:
    """A tick with nothing to do changes nothing."""
    before = len(hub.changes)
    hub.tick()
    hub.turn(20)
    hub.tick()
    assert not [change for change in hub.changes[before:] if isinstance(change, EventSaved)]
    assert [effect for effect in hub.effects if isinstance(effect, Scale)] == []


def test_the_clock_that_is_set_back_makes_no_clip_sent_in_the_future(hub: CloudDriver) -> None:
    hub.send([hub.clip(1).id])
    clip = hub.cloud.flights.aloft[0]
    hub.cloud.flights.known[clip.id] = replace(clip, at=clip.at + timedelta(hours=1))
    assert hub.tick().aloft[0].sent == 0


def test_fleet_and_queue_may_be_empty(hub: CloudDriver) -> None:
    kinds: tuple[Literal["pending"], Literal["ending"]] = ("pending", "ending")
    instances = tuple(Instance(f"i-{kind}", kind, START) for kind in kinds)
    hub.do(replace(hub.sky.looked(), fleet=FleetState(1, 2, instances), queue=QueueState()))
    world = hub.policy.worlds[-1]
    assert world.cloud.ages == (0,)  # one that ends does no more work
    assert hub.cloud.state(hub.now).instances == 1


def test_a_hub_that_has_not_looked_yet_says_so(hub: CloudDriver) -> None:
    state = hub.cloud.state(hub.now)
    assert (state.state, state.since) == ("idle", None)
    assert "has not looked yet" in state.reason
    hub.tick()
    assert hub.cloud.state(hub.now).since == hub.now.wall


def test_hours_are_remembered_by_their_changes() -> None:
    """Of what is older than REACH only the state at the beginning is kept; a clock that is set back begins
    anew."""
    history = History()
    for minutes, clips in ((0, 1), (1, 1), (2, 2), (358, 3)):
        history.note(Sample(START + timedelta(minutes=minutes), clips, 0, 0, 0.0))
    assert [sample.at_home for sample in history.all] == [1, 2, 3]
    history.note(Sample(START + timedelta(minutes=2) + REACH, 4, 0, 0, 0.0))
    assert [sample.at_home for sample in history.all] == [2, 3, 4]
    history.note(Sample(START, 5, 0, 0, 0.0))
    assert [sample.at_home for sample in history.all] == [5]


# --- names that may be misspelt -------------------------------------------------------------------


def a_burst(cameras: dict[str, CloudRule]) -> BurstSettings:
    return SETTINGS.model_copy(update={"cameras": cameras})


def test_a_rule_for_a_camera_that_no_device_has_is_told_once() -> None:
    hub = CloudDriver(a_burst({"porch/frnot": "never", "garden/gate": "always"}))
    hub.do(CamerasTold("garden", ("gate",)))
    hub.turn(GRACE - 0.1)
    hub.tick()
    assert hub.cloud.state(hub.now).doubt == "", "devices may still introduce themselves"
    hub.turn(0.1)
    hub.tick()
    said = "burst.cameras names porch/frnot, which no device has; known are garden/gate"
    assert hub.cloud.state(hub.now).doubt == said
    hub.do(CamerasTold("porch", ("front",)))
    guessed = said.replace("frnot", "frnot (did you mean 'porch/front'?)") + ", porch/front"
    assert hub.cloud.state(hub.now).doubt == guessed
    hub.turn(20)
    hub.tick()
    told = [note for note in hub.notes if "burst.cameras" in note]
    assert told == [f"cloud burst: {said}", f"cloud burst: {guessed}"]
    hub.do(CamerasTold("porch", ("front", "frnot")))
    assert hub.cloud.state(hub.now).doubt == ""


def test_nothing_is_doubted_of_a_house_that_is_not_known() -> None:
    hub = CloudDriver(a_burst({"porch/frnot": "never"}))
    hub.turn(10 * GRACE)
    hub.do(CamerasTold("basement", ()))
    hub.tick()
    assert hub.cloud.state(hub.now).doubt == ""
