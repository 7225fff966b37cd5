"""Clips on their way through the cloud: each ends once, whatever the cloud does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest

from hub_support.cloud_driver import SETTINGS, CloudDriver
from hub_support.core_driver import track
from meerkat_cloud_burst.messages import HOME
from meerkat_cloud_burst.news import CloudDead, Forget, NotSent, Sent, TakenBack
from meerkat_cloud_burst.policy.view import BurstDecision
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_hub.core.clips import MAX_TRIES, CoreSettings
from meerkat_hub.core.cloud.flights import MAX_RETURNS
from meerkat_hub.core.outputs import CancelJob, ClipSettled


@pytest.fixture
def hub() -> Iterator[CloudDriver]:
    driver = CloudDriver()
    driver.sky.launch("i-0")
    yield driver
    driver.check()


def test_what_leaves_the_house_names_neither_device_nor_camera(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    (sent,) = hub.sky.orders.values()
    assert (sent.order.job.device, sent.order.job.camera) == (HOME, HOME)
    said = sent.order.to_json().decode()
    assert "porch" not in said
    assert "front" not in said
    assert sent.media == clip.id
    assert sent.order.key == f"clips/{clip.id}-{sent.order.job.token}"
    assert (sent.order.until - sent.order.sent_at).total_seconds() == SETTINGS.timeout  # type: ignore[operator]


def test_a_clip_that_is_out_is_given_to_no_worker_of_the_house(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    hub.worker()
    assert not hub.jobs()
    assert clip.id in hub.core.clips.unfinished
    assert hub.core.clips.backlog == 0
    assert hub.cloud.state(hub.now).in_cloud == 1


def test_the_result_makes_the_same_event_wherever_it_was_found() -> None:
    """But for ids and the worker's name, nothing tells that it ran elsewhere."""
    told = []
    for where in ("house", "cloud"):
        hub = CloudDriver()
        clip = hub.clip(1, last=True)
        if where == "cloud":
            hub.sky.launch("i-0")
            hub.send([clip.id])
            hub.cloud_answers(clip.id, track())
        else:
            hub.worker()
            hub.answer(clip, track())
        ended = [change for change in hub.changes if isinstance(change, ClipSettled)]
        told.append(
            (
                hub.settled(),
                [event.after.model_dump(exclude={"model", "id"}) for event in hub.events()],
                [outcome.model_dump(exclude={"model", "events"}) for outcome in hub.outcomes()],
            )
        )
        assert ended[0].worker == ("cloud:i-0" if where == "cloud" else "cpu")
    assert told[0] == told[1]
    assert [kind for kind, *_ in told[0][0]] == [clip.id]


def test_the_first_result_counts_and_the_others_are_dropped_and_counted(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    token = hub.sky.token_of(clip.id)
    for _ in range(3):
        hub.cloud_answers(clip.id, track(), token=token)
    assert hub.settled() == [(clip.id, "done")]
    assert hub.cloud.view(hub.now).dropped == 2
    assert hub.sky.forgotten.count((clip.id, token)) == 3  # each message of the cloud may go


def test_a_result_of_a_clip_that_never_left_is_dropped(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.cloud_answers(clip.id, token=7)
    assert not hub.settled()
    assert hub.cloud.flights.dropped == 1


def test_without_an_answer_in_time_a_clip_is_done_at_home(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    hub.worker()
    hub.turn(SETTINGS.timeout - 0.001)
    assert not hub.jobs()
    assert hub.core.wake_at() == pytest.approx(SETTINGS.timeout)
    hub.turn(0.001)
    assert [job.clip.id for job in hub.jobs()] == [clip.id]
    assert (clip.id, hub.sky.token_of(clip.id)) in hub.sky.forgotten
    assert hub.core.clips.unfinished[clip.id].attempts == 0  # none of its tries has ended
    assert any("did not answer within 300 s" in note for note in hub.notes)


def test_a_good_result_that_comes_late_counts_if_nobody_was_faster(hub: CloudDriver) -> None:
    """And who looks at it at home is told to stop."""
    clip = hub.clip(1)
    hub.send([clip.id])
    hub.worker()
    hub.turn(SETTINGS.timeout)
    hub.cloud_answers(clip.id)
    assert hub.settled() == [(clip.id, "done")]
    (cancelled,) = [effect for effect in hub.effects if isinstance(effect, CancelJob)]
    assert cancelled.token == hub.job_of(clip).job.token
    hub.answer(clip)
    assert hub.settled() == [(clip.id, "done")]


def test_a_late_failure_counts_for_nothing(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    hub.turn(SETTINGS.timeout)
    hub.cloud_answers(clip.id, state="failed", reason="it cannot be decoded")
    assert not hub.settled()
    assert hub.cloud.flights.dropped == 1


def test_an_old_result_of_a_clip_that_went_out_again_counts_once(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    first = hub.sky.token_of(clip.id)
    hub.turn(SETTINGS.timeout)
    hub.send([clip.id])
    second = hub.sky.token_of(clip.id)
    assert second > first
    hub.cloud_answers(clip.id, token=first)
    hub.cloud_answers(clip.id, token=second)
    assert hub.settled() == [(clip.id, "done")]
    assert {(clip.id, first), (clip.id, second)} <= set(hub.sky.forgotten)


@pytest.mark.parametrize("cause", ["network", "other"])
def test_what_could_not_be_sent_waits_in_the_pool_again(
    hub: CloudDriver, cause: Literal["network", "other"]
) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    hub.worker()
    hub.do(NotSent(clip.id, hub.sky.token_of(clip.id), cause, "no way there"))
    assert [job.clip.id for job in hub.jobs()] == [clip.id]
    assert hub.cloud.flights.returns(clip.id) == (cause == "other")


def test_what_is_taken_back_is_done_at_home_without_a_try(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    hub.worker()
    token = hub.sky.token_of(clip.id)
    hub.tick(BurstDecision(take_back=(clip.id,), code="take-back"))
    hub.tick(BurstDecision(take_back=(clip.id,), code="take-back"))
    assert hub.sky.asked_back == [(clip.id, token)]  # once, though it was wanted twice
    assert not hub.jobs()
    hub.do(TakenBack(clip.id, token))
    hub.do(TakenBack(clip.id, token))
    assert [job.clip.id for job in hub.jobs()] == [clip.id]
    assert hub.cloud.flights.returns(clip.id) == 0


def test_news_of_an_earlier_way_out_mean_nothing(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    token = hub.sky.token_of(clip.id)
    hub.turn(SETTINGS.timeout)
    hub.send([clip.id])
    for news in (
        TakenBack(clip.id, token),
        NotSent(clip.id, token, "other", ""),
        CloudDead(clip.id, token, ""),
        Sent(clip.id, token, 1.0, 10),
    ):
        hub.do(news)
    assert list(hub.core.clips.aloft) == [clip.id]
    assert not hub.cloud.flights.known[clip.id].sent
    assert hub.core.clips.unfinished[clip.id].attempts == 0


def test_a_poison_clip_ends_failed_with_what_the_cloud_said_of_it(hub: CloudDriver) -> None:
    clip = hub.clip(1, last=True)
    hub.send([clip.id])
    hub.do(CloudDead(clip.id, hub.sky.token_of(clip.id), "3 workers ended in the middle of it"))
    assert hub.core.clips.unfinished[clip.id].attempts == 1
    hub.worker("cpu-0", start=1)
    hub.worker("cpu-1", start=1)
    for _ in range(
        MAX_TRIES
    ):  # one of them has done nothing yet, while another might do it: no try of the clip
        job = hub.job_of(clip)
        hub.answer(clip, state="failed", retry=True, reason=f"{job.worker} could not either")
    assert hub.settled() == [(clip.id, "failed")]
    (outcome,) = hub.outcomes()
    assert f"given up after 3 tries; the last: {job.worker} could not either" in outcome.reason
    assert "dead-letter queue: 3 workers ended in the middle of it" in outcome.reason


def test_a_clip_that_only_the_cloud_tries_ends_in_the_cloud(hub: CloudDriver) -> None:
    """Nobody is at home; after MAX_RETURNS it is not sent again, and waits for a worker of the house."""
    clip = hub.clip(1)
    for _ in range(MAX_RETURNS):
        hub.send([clip.id])
        hub.cloud_answers(clip.id, state="failed", retry=True, reason="out of memory")
    hub.send([clip.id])
    assert len(hub.sky.sent) == MAX_RETURNS
    assert hub.policy.worlds[-1].waiting[0].attempts == MAX_RETURNS
    hub.worker()
    hub.answer(clip, state="failed", retry=True, reason="and here")
    assert hub.settled() == [(clip.id, "failed")]
    assert "in the cloud: out of memory" in hub.outcomes()[0].reason


def test_what_a_worker_there_hands_back_unbegun_is_no_try(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    hub.cloud_answers(clip.id, state="failed", retry=True, begun=False, reason="interrupted")
    assert hub.core.clips.unfinished[clip.id].attempts == 0
    assert clip.id in hub.core.waiting


def test_a_clip_that_cannot_be_read_ends_as_after_a_worker_of_the_house(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    hub.cloud_answers(clip.id, state="failed", reason="it cannot be decoded")
    assert hub.settled() == [(clip.id, "failed")]


def test_a_clip_that_grows_too_old_aloft_is_waited_for_and_never_waits_again() -> None:
    hub = CloudDriver(settings=CoreSettings(expire_after=400))
    hub.sky.launch("i-0")
    waits, answered = hub.clip(1), hub.clip(2)
    hub.turn(200)
    hub.send([waits.id, answered.id])
    hub.turn(200)
    assert not hub.settled()  # somebody may be looking at it
    hub.cloud_answers(answered.id)
    hub.turn(100)
    assert hub.settled() == [(answered.id, "done"), (waits.id, "expired")]
    hub.check()


def test_of_a_clip_that_ended_nothing_is_left(hub: CloudDriver) -> None:
    clip = hub.clip(1)
    hub.send([clip.id])
    hub.turn(SETTINGS.timeout)
    hub.worker()
    hub.answer(clip)
    hub.tick()
    assert not hub.cloud.flights.known
    assert hub.cloud.wake_at() is None
    assert not hub.core.clips.cloud_said


def test_an_external_fleet_is_sent_clips_and_never_scaled() -> None:
    hub = CloudDriver(BurstSettings(enabled=True, fleet="external"))
    clip = hub.clip(1)
    hub.send([clip.id])
    assert hub.sky.sent
    assert hub.sky.desired == 0
    assert not hub.ledger()
    assert not hub.policy.worlds[-1].fresh_instances
    assert [effect for effect in hub.effects if isinstance(effect, Forget)] == []
