"""`meerkat worker` as a real process against a real broker, with the test in the hub's place."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from meerkat_contract.ids import new_id
from meerkat_contract.messages import ROLL_CALL, Cancel, Deploy, ErrorReport, Job, Result, WorkerState, read
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import HubTopic, WorkerTopic
from meerkat_inference import catalogue
from support.broker import Mosquitto
from support.media import make_clip
from support.model_server import ModelServer
from support.processes import quiet_models
from support.shared import shared
from support.wait import wait_for

NAME = "bench"


class Hub:
    """What a hub sees of the worker, and how it gives it work."""

    def __init__(self, broker: Mosquitto) -> None:
        self.states: list[WorkerState] = []
        self.results: list[Result] = []
        self.errors: list[ErrorReport] = []
        self.session = Session(broker.connection, client_id="hub")
        self._listen("state", WorkerState, self.states.append)
        self._listen("results", Result, self.results.append)
        self._listen("error", ErrorReport, self.errors.append)
        self.session.start()
        self.session.wait_subscribed(10)

    def _listen(self, kind: str, model: type, take: Callable[..., None]) -> None:
        def handle(message: Incoming) -> None:
            take(read(model, message.payload, topic=message.topic))

        self.session.subscribe(WorkerTopic(NAME, kind), handle, join_parts=kind == "results")

    def online(self, *, but: WorkerState | None = None) -> WorkerState:
        """The state once the worker has announced itself; as another incarnation than in `but`."""

        def seen() -> list[WorkerState]:
            known = but.incarnation if but else ""
            return [state for state in self.states if state.online and state.incarnation != known]

        return wait_for(seen, seconds=30, what="the worker's announcement")[-1]

    def cut_off(self, broker: Mosquitto) -> None:
        """The broker dies, and what was heard before counts no more: a state may be told at any time."""
        broker.kill()
        wait_for(lambda: not self.session.connected, what="the hub to notice")
        self.states.clear()

    def send(
        self, payload: bytes, *, properties: list[tuple[str, str]] | None = None, **changes: object
    ) -> Job:
        job = Job.model_validate(
            {
                "job": new_id(),
                "token": 1,
                "device": "porch-pi",
                "camera": "front",
                "media": new_id(),
                "captured_at": datetime.now(UTC),
                "lease": 60,
                **changes,
            }
        )
        metadata = Metadata(id=job.job, captured_at=job.captured_at, content_type=job.content_type)
        self.session.publish(
            WorkerTopic(NAME, "jobs"),
            payload,
            qos=1,
            metadata=metadata,
            properties=[("job", job.to_json().decode())] if properties is None else properties,
        ).wait(10)
        return job

    def cancel(self, job: Job) -> None:
        message = Cancel(job=job.job, token=job.token)
        self.session.publish(WorkerTopic(NAME, "cancel"), message.to_json(), qos=1).wait(10)

    def deploy(self, **order: str) -> None:
        message = Deploy.model_validate(order)
        self.session.publish(WorkerTopic(NAME, "deploy"), message.to_json(), qos=1).wait(10)

    def answer(self, job: Job) -> Result:
        def found() -> Result | None:
            return next((r for r in self.results if (r.job, r.token) == (job.job, job.token)), None)

        return wait_for(found, seconds=30, what="the answer")


@pytest.fixture
def hub(broker: Mosquitto) -> Iterator[Hub]:
    peer = Hub(broker)
    yield peer
    peer.session.stop()


Launch = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def launch(broker: Mosquitto, tmp_path: Path) -> Iterator[Launch]:
    """Start the worker with the built-in detector: no model, no network."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*, model: str | None = "hog-people", **environment: str) -> subprocess.Popen[bytes]:
        options = ["--id", NAME, *(["--model", model] if model else [])]
        options += ["--broker", broker.connection.url, "--data", str(tmp_path / "data")]
        with (tmp_path / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "meerkat_cli", "worker", *options],
                env={
                    **os.environ,
                    **quiet_models(tmp_path),
                    "MEERKAT_LOG": "debug",
                    "MEERKAT__WORKER__TASKS": "[detect_objects]",
                    **environment,
                },
                stdout=log,
                stderr=log,
                cwd=tmp_path,
            )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait(10)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=2).read_bytes()


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Minutes of work: 300 s of media at 60 samples a second."""
    path = tmp_path_factory.mktemp("clip") / "long.mp4"
    return make_clip(path, seconds=300, fps=4, gop=60, moving=False, size=(64, 36)).read_bytes()


def test_it_announces_itself_does_a_job_and_survives_bad_ones(hub: Hub, launch: Launch, clip: bytes) -> None:
    launch()
    state = hub.online()
    (task,) = state.tasks
    assert (state.worker, state.window, task.task) == (NAME, 16, "detect_objects")
    assert state.ahead, "it does a job marked so before those it has not begun"
    assert (task.model.name, task.model.fallback) == ("hog-people", True)
    assert task.frames_per_second > 0
    assert state.host
    assert state.hardware

    assert state.serving is None
    assert state.memory_free is None or state.memory_free > 1_000_000
    assert task.switch_seconds > 0

    good = hub.answer(hub.send(clip))
    assert (good.state, good.frames, good.incarnation) == ("done", 10, state.incarnation)
    assert good.waited is not None
    assert good.waited >= 0

    assert state.roll_call
    for _ in range(2):
        called = hub.answer(hub.send(b"", task=ROLL_CALL))
        assert (called.state, called.retry, called.incarnation) == ("failed", True, state.incarnation)

    hub.send(clip, properties=[])
    hub.send(clip, properties=[("job", '{"job": "no id"}')])
    wait_for(lambda: len(hub.errors) == 2, what="two error reports")
    assert "'job'" in hub.errors[0].what
    assert "Job field" in hub.errors[1].what
    assert all(error.remedy for error in hub.errors)

    for payload, content_type, words in (
        (b"", "video/mp4", "empty"),
        (clip[: len(clip) // 3], "video/mp4", "not a video"),
        (b"\xff\xd8\xff\xc0\x00\x11\x08\xea\x60\xea\x60\x03" + bytes(40), "image/jpeg", "60000x60000"),
    ):
        answer = hub.answer(hub.send(payload, content_type=content_type))
        assert (answer.state, answer.retry) == ("failed", False)
        assert words in answer.reason
    other = hub.answer(hub.send(clip, task="read_meter"))
    assert (other.state, other.retry) == ("failed", True)
    assert "read_meter" in other.reason
    assert hub.answer(hub.send(clip)).state == "done"


def test_the_window_bounds_what_it_holds_and_cancel_frees_it(
    hub: Hub, launch: Launch, clip: bytes, long_clip: bytes
) -> None:
    launch(MEERKAT__WORKER__WINDOW="2")
    hub.online()
    running = hub.send(long_clip, sample_fps=60)
    waiting = hub.send(clip)
    full = hub.answer(hub.send(clip))
    assert (full.state, full.retry) == ("failed", True)
    assert "window full" in full.reason

    hub.cancel(waiting)
    cancelled = hub.answer(waiting)
    assert (cancelled.state, cancelled.retry) == ("failed", True)
    assert "cancelled" in cancelled.reason

    hub.cancel(running)
    assert "called off" in hub.answer(running).reason
    assert hub.answer(hub.send(clip)).state == "done"


def test_a_job_that_comes_twice_is_done_once(hub: Hub, launch: Launch, clip: bytes) -> None:
    launch()
    hub.online()
    job = hub.send(clip)
    hub.send(clip, **job.model_dump())
    hub.answer(job)
    hub.answer(hub.send(clip))
    assert [result.job for result in hub.results].count(job.job) == 1


def test_a_lease_that_runs_out_ends_the_job(hub: Hub, launch: Launch, long_clip: bytes) -> None:
    launch()
    hub.online()
    answer = hub.answer(hub.send(long_clip, sample_fps=60, lease=0.3))
    assert (answer.state, answer.retry) == ("failed", True)


def test_sigterm_finishes_the_running_job_hands_back_the_waiting_and_says_goodbye(
    hub: Hub, launch: Launch, clip: bytes, long_clip: bytes, tmp_path: Path
) -> None:
    process = launch(MEERKAT__WORKER__DRAIN_SECONDS="0.2")
    hub.online()
    running, waiting = hub.send(long_clip, sample_fps=60), hub.send(clip)
    process.send_signal(signal.SIGTERM)
    assert "ending" in hub.answer(waiting).reason
    assert hub.answer(running).retry
    assert process.wait(10) == 0
    wait_for(lambda: not hub.states[-1].online, what="the goodbye")
    last = (tmp_path / "worker.log").read_text().splitlines()[-1]
    counted = re.search(r"has ended: 0 jobs done, (\d) failed, (\d) handed back, 0 not understood", last)
    assert counted, last
    assert int(counted[1]) + int(counted[2]) == 2


def test_sigterm_lets_a_short_job_finish(hub: Hub, launch: Launch, clip: bytes) -> None:
    process = launch(MEERKAT__WORKER__DRAIN_SECONDS="30")
    hub.online()
    job = hub.send(clip)
    other = hub.send(clip)
    wait_for(lambda: hub.results)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert hub.answer(job).state == "done"
    assert hub.answer(other).state in ("done", "failed")


def test_killed_outright_the_will_says_offline_and_the_next_start_is_a_new_incarnation(
    hub: Hub, launch: Launch, clip: bytes
) -> None:
    process = launch()
    first = hub.online()
    process.kill()
    wait_for(lambda: not hub.states[-1].online, what="the will")
    assert hub.states[-1].incarnation == first.incarnation
    launch()
    second = hub.online(but=first)
    assert second.incarnation != first.incarnation
    assert hub.answer(hub.send(clip)).incarnation == second.incarnation


def test_a_restart_of_the_broker_costs_no_work(
    hub: Hub, launch: Launch, broker: Mosquitto, clip: bytes, long_clip: bytes
) -> None:
    launch()
    state = hub.online()
    job = hub.send(long_clip, sample_fps=0.2)
    hub.cut_off(broker)
    broker.start()
    again = hub.online()
    assert again.incarnation == state.incarnation
    renewed = hub.send(long_clip, **(job.model_dump() | {"token": 2}))
    assert hub.answer(renewed).state == "done"
    assert hub.answer(hub.send(clip)).state == "done"


def test_a_hub_that_starts_anew_finds_room(hub: Hub, launch: Launch, clip: bytes, long_clip: bytes) -> None:
    launch(MEERKAT__WORKER__WINDOW="2")
    hub.online()
    hub.send(long_clip, sample_fps=60)
    hub.send(long_clip, sample_fps=60)
    hub.session.publish(HubTopic("availability"), "online", qos=1, retain=True).wait(10)
    first, second = hub.send(clip), hub.send(clip)
    assert hub.answer(first).state == hub.answer(second).state == "done"


def test_a_job_above_the_brokers_packet_limit_comes_in_parts(
    hub: Hub, launch: Launch, broker: Mosquitto, clip: bytes
) -> None:
    broker.stop()
    broker.settings = ("allow_anonymous true", "max_packet_size 3000")
    broker.start()
    wait_for(lambda: hub.session.maximum_packet_size == 3000, what="the hub's new connection")
    hub.session.wait_subscribed(20)
    assert len(clip) > 2 * 3000
    launch()
    hub.online()
    answer = hub.answer(hub.send(clip))
    assert (answer.state, answer.frames) == ("done", 10)


def test_without_a_network_it_begins_with_what_it_has_and_changes_over(
    hub: Hub, launch: Launch, clip: bytes, tmp_path: Path
) -> None:
    file = catalogue.default().model
    content = shared(f"models/{file.name}").read_bytes()
    with ModelServer({file.name: content}).running() as server:
        server.tricks.append("late")
        process = launch(
            model=None, XDG_CACHE_HOME=str(tmp_path), MEERKAT_MODELS="", MEERKAT_MODELS_MIRROR=server.url
        )
        first = hub.online()
        assert first.tasks[0].model.fallback
        assert hub.answer(hub.send(clip)).model == first.tasks[0].model
        server.released.set()
        second = hub.online(but=first)
        assert not second.tasks[0].model.fallback
        assert second.incarnation != first.incarnation
        assert hub.answer(hub.send(clip)).model == second.tasks[0].model
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


@pytest.fixture
def models(tmp_path: Path) -> dict[str, str]:
    """Environment with one model for objects, two for faces, and both tasks."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("kz_person.tflite", "yunet_n_320_320.onnx", "slim320.tflite"):
        (folder / name).symlink_to(shared(f"models/{name}"))
    return {"MEERKAT_MODELS": str(folder), "MEERKAT__WORKER__TASKS": "[detect_objects, detect_faces]"}


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    tones = np.tile(np.linspace(30, 220, 320).astype(np.uint8), (240, 1))
    return cv2.imencode(".jpg", cv2.cvtColor(tones, cv2.COLOR_GRAY2BGR))[1].tobytes()


@pytest.mark.shared
def test_it_serves_what_it_is_told_alone_until_it_is_released(
    hub: Hub, launch: Launch, models: dict[str, str], jpeg: bytes
) -> None:
    launch(model=None, **models)
    state = hub.online()
    assert [(task.task, task.model.name) for task in state.tasks] == [
        ("detect_objects", "yolox-person"),
        ("detect_faces", "yunet"),
    ]
    picture = {"content_type": "image/jpeg"}
    for task, model in (("detect_objects", "yolox-person"), ("detect_faces", "yunet")):
        answer = hub.answer(hub.send(jpeg, task=task, **picture))
        assert (answer.state, answer.frames, answer.model and answer.model.name) == ("done", 1, model)

    hub.deploy(task="detect_faces", model="slim-face")
    wait_for(lambda: hub.states[-1].serving == "detect_faces", what="the word that it serves faces")
    told = hub.states[-1]
    assert told.incarnation == state.incarnation
    assert {task.task: task.model.name for task in told.tasks}["detect_faces"] == "slim-face"
    refused = hub.answer(hub.send(jpeg, **picture))
    assert (refused.state, refused.retry) == ("failed", True)
    assert "told to serve 'detect_faces'" in refused.reason
    answer = hub.answer(hub.send(jpeg, task="detect_faces", **picture))
    assert (answer.state, answer.model and answer.model.name) == ("done", "slim-face")

    hub.deploy(task="detect_objects", model="nobody-knows")
    wait_for(lambda: hub.errors, what="the word on the order that cannot be followed")
    assert "nobody-knows" in hub.errors[0].what
    assert hub.states[-1].serving == "detect_faces"
    assert hub.answer(hub.send(jpeg, task="detect_faces", **picture)).state == "done"

    hub.deploy(task="")
    wait_for(lambda: hub.states[-1].serving is None, what="the word that all are loaded")
    assert hub.answer(hub.send(jpeg, **picture)).state == "done"


@pytest.mark.shared
def test_a_switch_waits_for_the_running_job(
    hub: Hub, launch: Launch, models: dict[str, str], clip: bytes, jpeg: bytes
) -> None:
    launch(model=None, **models)
    hub.online()
    running, waiting = hub.send(clip, sample_fps=30), hub.send(clip)
    hub.deploy(task="detect_faces")
    later = hub.send(jpeg, task="detect_faces", content_type="image/jpeg")
    assert hub.answer(later).state == "done"
    assert hub.answer(running).state in ("done", "failed")  # it may not have begun when the order came
    handed = hub.answer(waiting)
    assert handed.state == "done" or handed.retry
    assert hub.states[-1].serving == "detect_faces"


def test_what_is_too_much_for_its_memory_is_handed_back(
    hub: Hub, launch: Launch, clip: bytes, long_clip: bytes
) -> None:
    launch(MEERKAT__WORKER__HELD_MEGABYTES=str((len(long_clip) + len(clip)) / 1e6))
    hub.online()
    running = hub.send(long_clip, sample_fps=60)
    fits = hub.send(clip)
    answer = hub.answer(hub.send(clip))
    assert (answer.state, answer.retry) == ("failed", True)
    assert "memory full" in answer.reason
    hub.cancel(running)
    assert hub.answer(fits).state == "done"
