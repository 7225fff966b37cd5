"""The agent against the emulator: clips out, answers in, the fleet, and an emulator that is away."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cloud_support.agent import AnsweringWorker, NotingHub, running_agent
from cloud_support.emulator import Emulator
from cloud_support.orders import finished
from meerkat_cloud_burst.agent import Agent
from meerkat_cloud_burst.aws.opening import Cloud, open_cloud
from meerkat_cloud_burst.errors import Gone
from meerkat_cloud_burst.messages import RECEIVES, Announced, Life, annotated_key, clip_key, result_key
from meerkat_cloud_burst.news import (
    Booted,
    CloudAnswered,
    CloudDead,
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
from support.wait import wait_for


@pytest.fixture
def hub(tmp_path: Path) -> NotingHub:
    return NotingHub(tmp_path)


@pytest.fixture
def settings(aws: Emulator, stack: Mapping[str, str]) -> BurstSettings:
    return aws.settings(tick=0.2)


@pytest.fixture
def worker(stack: Mapping[str, str], cloud: Cloud) -> AnsweringWorker:
    return AnsweringWorker(cloud)


@pytest.fixture
def agent(settings: BurstSettings, hub: NotingHub, cloud: Cloud) -> Iterator[Agent]:
    with running_agent(settings, hub, open_ports=lambda _: cloud) as agent:
        yield agent


def waiting(worker: AnsweringWorker) -> int:
    return worker.cloud.orders.look().waiting


def gone(worker: AnsweringWorker, key: str) -> bool:
    try:
        worker.cloud.store.fetch_clip(key, Path("/dev/null/nowhere"))
    except Gone:
        return True
    except Exception:  # noqa: BLE001 the file could not be written, so it is there
        return False
    return False


def test_a_clip_goes_out_whole_and_its_answer_comes_back(
    agent: Agent, hub: NotingHub, worker: AnsweringWorker, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 40_000  # ten megabytes: in parts
    clip = hub.clip(content)
    agent.carry_out(clip)
    [sent] = hub.wait_for(Sent)
    assert (sent.job, sent.token, sent.size) == (clip.order.job.job, 1, len(content))
    assert sent.seconds > 0
    received = worker.take()
    assert received.order.sha256 == hashlib.sha256(content).hexdigest()
    assert received.order.size == len(content)
    worker.cloud.store.fetch_clip(received.order.key, tmp_path / "there")
    assert (tmp_path / "there").read_bytes() == content
    worker.answer(received.order, worker="i-7", boot=41)
    [answered] = hub.wait_for(CloudAnswered)
    assert (answered.result.job, answered.worker) == (clip.order.job.job, "i-7")
    assert hub.of(Booted) == [Booted("i-7", 41)]


def test_an_answer_is_offered_until_it_is_forgotten(
    aws: Emulator, hub: NotingHub, settings: BurstSettings, worker: AnsweringWorker
) -> None:
    """As after a hub that was killed before it had committed: the next one hears it again."""
    with running_agent(settings, hub, open_ports=lambda _: worker.cloud) as agent:
        clip = hub.clip()
        agent.carry_out(clip)
        order = worker.do_one()
        hub.wait_for(CloudAnswered)
        job = order.job.job
    give_back_all(aws, worker)
    second = NotingHub(hub.folder)
    with running_agent(settings, second, open_ports=lambda _: worker.cloud) as agent:
        second.wait_for(CloudAnswered)
        agent.carry_out(Forget(job, 1))
        wait_for(lambda: gone(worker, clip_key(job, 1)), what="the clip to be deleted")
        wait_for(lambda: gone(worker, result_key(job)), what="the result to be deleted")
        wait_for(lambda: results_left(aws, worker) == 0, what="its message to be deleted")


def test_an_older_result_in_the_way_answers_the_order_that_found_it(
    agent: Agent, hub: NotingHub, worker: AnsweringWorker
) -> None:
    """It is written once, and the worker that found it has deleted its order: no other answer comes."""
    clip = hub.clip(token=2)
    agent.carry_out(clip)
    order = worker.take().order
    late = order.model_copy(update={"job": order.job.model_copy(update={"token": 1})})
    key = result_key(order.job.job)
    worker.cloud.store.put_result(key, finished(late, worker="i-1", state="failed", retry=True))
    assert not worker.cloud.store.put_result(key, finished(order, worker="i-2"))
    worker.cloud.results.announce(Announced(job=order.job.job, token=2, key=key, worker="i-2"))
    [answered] = hub.wait_for(CloudAnswered)
    assert (answered.result.token, answered.result.state) == (2, "failed")


def test_a_video_with_boxes_is_fetched_when_it_is_asked_for(
    agent: Agent, cloud: Cloud, tmp_path: Path
) -> None:
    (tmp_path / "drawn").write_bytes(b"video")
    cloud.store.put_annotated(annotated_key("0194a3c0"), tmp_path / "drawn")
    agent.fetch_annotated("0194a3c0", tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == b"video"
    with pytest.raises(Gone):
        agent.fetch_annotated("0194a3c1", tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def results_left(aws: Emulator, worker: AnsweringWorker) -> int:
    told = aws.client("sqs").get_queue_attributes(
        QueueUrl=worker.cloud.names.results,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )
    return sum(int(count) for count in told["Attributes"].values())


def give_back_all(aws: Emulator, worker: AnsweringWorker) -> None:
    """As if the visibility of every result that was taken had ended."""
    from moto.sqs.models import sqs_backends

    name = worker.cloud.names.results.rsplit("/", 1)[-1]
    for message in sqs_backends["123456789012"]["eu-central-1"].queues[name]._messages:
        message.visible_at = 0


def test_a_duplicate_is_told_again_and_forgotten_with_the_first(
    aws: Emulator, agent: Agent, hub: NotingHub, worker: AnsweringWorker
) -> None:
    agent.carry_out(hub.clip())
    order = worker.do_one()
    worker.answer(order, worker="i-2")
    answers = hub.wait_for(CloudAnswered, 2)
    assert answers[0].worker == answers[1].worker == "i-1"  # the first result counts
    agent.carry_out(Forget(order.job.job, 1))
    wait_for(lambda: results_left(aws, worker) == 0, what="both messages to be deleted")
    worker.cloud.results.announce(Announced(job=order.job.job, token=1))
    wait_for(lambda: results_left(aws, worker) == 0, what="a late one to be deleted")
    assert len(hub.of(CloudAnswered)) == 2


def test_an_order_that_was_sent_before_is_not_sent_again_once_it_is_answered(
    agent: Agent, hub: NotingHub, worker: AnsweringWorker
) -> None:
    """A hub that was killed between the order and its commit sends again."""
    clip = hub.clip()
    agent.carry_out(clip)
    worker.do_one()
    hub.wait_for(CloudAnswered)
    agent.carry_out(clip)
    hub.wait_for(Sent, 2)
    assert waiting(worker) == 0


def test_an_old_result_does_not_stand_in_a_new_one_s_way(
    agent: Agent, hub: NotingHub, worker: AnsweringWorker
) -> None:
    first = hub.clip(token=1)
    agent.carry_out(first)
    worker.do_one()
    hub.wait_for(CloudAnswered)
    agent.carry_out(hub.clip(token=2, job=first.order.job.job))
    hub.wait_for(Sent, 2)
    agent.carry_out(Forget(first.order.job.job, 1))
    worker.do_one()
    assert [answer.result.token for answer in hub.wait_for(CloudAnswered, 2)] == [1, 2]


def test_a_clip_taken_back_is_not_there_for_a_worker(
    agent: Agent, hub: NotingHub, worker: AnsweringWorker
) -> None:
    clip = hub.clip()
    job = clip.order.job.job
    agent.carry_out(clip)
    hub.wait_for(Sent)
    agent.carry_out(TakeBack(((job, 1),)))
    assert hub.wait_for(TakenBack) == [TakenBack(job, 1)]
    wait_for(lambda: gone(worker, clip_key(job, 1)), what="the clip to be deleted")


def test_a_clip_that_waits_for_its_upload_is_taken_back_without_one(
    hub: NotingHub, settings: BurstSettings, worker: AnsweringWorker
) -> None:
    released = threading.Event()

    def media(id: str) -> Path:
        assert released.wait(20)
        return hub.media(id)

    agent = Agent(settings, media=media, tell=hub.tell, poll=1, open_ports=lambda _: worker.cloud)
    agent.start()
    try:
        clips = [hub.clip() for _ in range(4)]
        for clip in clips:
            agent.carry_out(clip)
        marks = tuple((clip.order.job.job, 1) for clip in clips[1:])
        agent.carry_out(TakeBack(marks))
        assert hub.wait_for(TakenBack, 3) == [TakenBack(*mark) for mark in marks]
        released.set()
        [sent] = hub.wait_for(Sent)
        assert sent.job == clips[0].order.job.job
        wait_for(lambda: agent._uploads.idle, what="the uploads to end")
        assert waiting(worker) == 1
        assert [gone(worker, clip.order.key) for clip in clips] == [False, True, True, True]
    finally:
        released.set()
        agent.stop()


def test_a_clip_that_is_not_there_is_told_and_no_trouble_of_the_cloud(agent: Agent, hub: NotingHub) -> None:
    clip = hub.clip()
    hub.media(clip.media).unlink()
    agent.carry_out(clip)
    [not_sent] = hub.wait_for(NotSent)
    assert (not_sent.job, not_sent.cause) == (clip.order.job.job, "other")
    assert not hub.of(Trouble)


def test_a_clip_that_kills_its_workers_is_told_until_it_is_forgotten(
    agent: Agent, hub: NotingHub, worker: AnsweringWorker
) -> None:
    clip = hub.clip(b"poison")
    agent.carry_out(clip)
    for _ in range(RECEIVES):
        worker.cloud.orders.prolong(worker.take().receipt, 0)
    assert worker.cloud.orders.receive(0) is None
    [dead] = hub.wait_for(CloudDead)
    assert (dead.job, dead.token) == (clip.order.job.job, 1)
    assert "3 workers" in dead.reason
    assert worker.cloud.orders.look().dead == 1
    agent.carry_out(Forget(dead.job, dead.token))
    wait_for(lambda: worker.cloud.orders.look().dead == 0, what="the letter to be buried")


def test_a_dead_letter_with_a_result_is_an_answer(
    agent: Agent, hub: NotingHub, worker: AnsweringWorker
) -> None:
    """Each worker died after writing its result and before announcing it."""
    from cloud_support.orders import finished

    agent.carry_out(hub.clip())
    for _ in range(RECEIVES):
        received = worker.take()
        worker.cloud.store.put_result(result_key(received.order.job.job), finished(received.order))
        worker.cloud.orders.prolong(received.receipt, 0)
    assert worker.cloud.orders.receive(0) is None
    hub.wait_for(CloudAnswered)
    assert not hub.of(CloudDead)


def test_the_fleet_is_scaled_looked_at_and_ended(agent: Agent, hub: NotingHub) -> None:
    agent.carry_out(Scale(9, "too many"))
    wait_for(lambda: hub.of(Looked) and hub.of(Looked)[-1].fleet.desired == 2, what="two instances")
    instances = hub.of(Looked)[-1].fleet.instances
    agent.carry_out(EndInstances((instances[0].id,), "one"))
    wait_for(lambda: hub.of(Looked)[-1].fleet.desired == 1, what="one instance")
    agent.carry_out(Scale(0, "none"))
    wait_for(lambda: not hub.of(Looked)[-1].fleet.instances, what="no instance")


def test_an_external_fleet_is_what_speaks(
    aws: Emulator, stack: Mapping[str, str], hub: NotingHub, worker: AnsweringWorker
) -> None:
    with running_agent(aws.settings(tick=0.2, fleet="external"), hub) as agent:
        worker.cloud.results.announce(Life(worker="pc", what="ready"))
        wait_for(lambda: hub.of(Looked) and hub.of(Looked)[-1].fleet.instances, what="the PC")
        agent.carry_out(Scale(2, "nobody listens"))
        worker.cloud.results.announce(Life(worker="pc", what="ending", reason="switched off"))
        wait_for(lambda: not hub.of(Looked)[-1].fleet.instances, what="nobody")
    assert not hub.of(Trouble)


def test_nothing_is_lost_while_the_emulator_is_away(
    aws: Emulator, agent: Agent, hub: NotingHub, worker: AnsweringWorker
) -> None:
    hub.wait_for(Looked)
    aws.stop()
    try:
        clips = [hub.clip(bytes([number])) for number in range(5)]
        for clip in clips:
            agent.carry_out(clip)
        agent.carry_out(Scale(0, "told late"))
        [trouble] = hub.wait_for(Trouble)
        assert trouble.cause == "network"
        assert aws.url in trouble.reason
    finally:
        aws.start()
    hub.wait_for(Reached)
    hub.wait_for(Sent, 5)
    for _ in clips:
        worker.do_one()
    hub.wait_for(CloudAnswered, 5)
    assert {trouble.cause for trouble in hub.of(Trouble)} == {"network"}
    assert len(hub.of(Reached)) == 1
    assert not hub.of(NotSent)


def test_a_clip_that_cannot_be_sent_for_too_long_stays_at_home(
    aws: Emulator, settings: BurstSettings, hub: NotingHub
) -> None:
    aws.stop()
    try:
        with running_agent(settings, hub, patience=0.1) as agent:
            clips = [hub.clip(), hub.clip(), hub.clip()]
            for clip in clips:
                agent.carry_out(clip)
            told = hub.wait_for(NotSent, 3)
            assert {one.job for one in told} == {clip.order.job.job for clip in clips}
            assert {one.cause for one in told} == {"network"}
    finally:
        aws.start()


def test_without_the_stack_the_trouble_names_it_and_it_is_found_when_it_is_there(
    aws: Emulator, stack: Mapping[str, str], hub: NotingHub
) -> None:
    with running_agent(aws.settings(tick=0.2, stack="later"), hub) as agent:
        [trouble] = hub.wait_for(Trouble)
        assert trouble.cause == "missing"
        assert "stack later" in trouble.reason
        assert "meerkat burst deploy" in trouble.reason
        agent.carry_out(hub.clip())
        assert hub.wait_for(NotSent)[0].cause == "missing"
        aws.make_stack("later")
        hub.wait_for(Reached)
        hub.wait_for(Looked)


def test_credentials_that_a_person_mends_are_taken_up(settings: BurstSettings, hub: NotingHub) -> None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    with pytest.MonkeyPatch.context() as without:
        for name in names:
            without.delenv(name)
        with running_agent(settings, hub):
            [trouble] = hub.wait_for(Trouble)
            assert trouble.cause == "credentials"
            without.undo()
            hub.wait_for(Looked)
            assert len(hub.of(Reached)) == 1


def test_it_ends_soon_even_in_a_long_poll_and_tells_nothing_after(
    settings: BurstSettings, hub: NotingHub, worker: AnsweringWorker
) -> None:
    before = set(threading.enumerate())
    with running_agent(settings, hub, poll=20, open_ports=lambda _: worker.cloud) as agent:
        hub.wait_for(Looked)
    # It did not wait for the poll: that goes on by itself, and what it brings is given back.
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert "cloud-results" in left
    assert not left.intersection({"cloud-looks", "cloud-errands", "cloud-upload-0", "cloud-upload-1"})
    told = len(hub.news)
    agent.carry_out(hub.clip())
    worker.cloud.results.announce(Life(worker="i-1", what="ready", boot=3))
    wait_for(lambda: worker.cloud.results.receive(1), what="the message to be given back")
    assert len(hub.news) == told


def test_an_error_of_our_own_is_told_and_the_agent_goes_on(
    settings: BurstSettings, hub: NotingHub, stack: Mapping[str, str]
) -> None:
    faults = iter([KeyError("secret")])

    def opening(wanted: BurstSettings) -> object:
        for fault in faults:
            raise fault
        return open_cloud(wanted)

    with running_agent(settings, hub, open_ports=opening):
        hub.wait_for(Looked)
    assert all("secret" not in trouble.reason for trouble in hub.of(Trouble))
    assert len({trouble.cause for trouble in hub.of(Trouble)}) == len(hub.of(Reached)) == 1
