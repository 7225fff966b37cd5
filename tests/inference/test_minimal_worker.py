"""The worker of 100 lines: it speaks the protocol as its page says, and needs nothing of ours."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub_support.peers import FakeDevice
from meerkat_cli.private_broker import hash_password
from meerkat_contract.connection import Connection
from meerkat_contract.ids import new_id
from meerkat_contract.messages import ROLL_CALL, ErrorReport, Job, Result, WorkerState, read
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import WorkerTopic
from support.broker import Mosquitto, free_port
from support.media import make_clip
from support.processes import Program
from support.wait import wait_for

SOURCE = Path(__file__).with_name("minimal_worker.py")
NAME = "nano"


class Hub:
    """Reads what the worker says as a hub does: strictly."""

    def __init__(self, connection: Connection) -> None:
        self.states: list[WorkerState] = []
        self.results: list[Result] = []
        self.errors: list[ErrorReport] = []
        self.session = Session(connection, client_id="hub")
        self._listen("state", WorkerState, self.states.append)
        self._listen("results", Result, self.results.append)
        self._listen("error", ErrorReport, self.errors.append)
        self.session.start()
        self.session.wait_subscribed(10)

    def _listen(self, kind: str, model: type, take: Callable[..., None]) -> None:
        def handle(message: Incoming) -> None:
            take(read(model, message.payload, topic=message.topic))

        self.session.subscribe(WorkerTopic(NAME, kind), handle, join_parts=True)

    def send(self, payload: bytes = b"a clip", *, text: str | None = None, **changes: object) -> Job:
        values: dict[str, object] = {
            "job": new_id(),
            "token": 1,
            "device": "porch",
            "camera": "front",
            "media": new_id(),
            "captured_at": datetime.now(UTC),
            "lease": 60,
        }
        job = Job.model_validate(values | changes)
        self.session.publish(
            WorkerTopic(NAME, "jobs"),
            payload,
            qos=1,
            metadata=Metadata(id=new_id(), captured_at=job.captured_at, content_type="video/mp4"),
            properties=[("job", job.to_json().decode() if text is None else text)],
        ).wait(10)
        return job

    def answer(self, job: Job) -> Result:
        def found() -> Result | None:
            return next((r for r in self.results if (r.job, r.token) == (job.job, job.token)), None)

        return wait_for(found, what="the answer")


@pytest.fixture
def hub(broker: Mosquitto) -> Iterator[Hub]:
    peer = Hub(broker.connection)
    yield peer
    peer.session.stop()


@pytest.fixture
def login() -> str:
    """What goes before the broker's address."""
    return ""


@pytest.fixture
def source() -> Path:
    """What is run."""
    return SOURCE


@pytest.fixture
def worker(broker: Mosquitto, tmp_path: Path, login: str, source: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The worker, away from our packages' folders."""
    with (tmp_path / "worker.log").open("wb") as log:
        address = f"mqtt://{login}127.0.0.1:{broker.port}"
        command = [sys.executable, "-I", str(source), address, NAME]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    yield process
    if process.poll() is None:
        process.kill()
    process.wait(10)
    assert b"Traceback" not in (tmp_path / "worker.log").read_bytes()


def online(hub: Hub) -> WorkerState:
    wait_for(lambda: [state for state in hub.states if state.online], what="the announcement")
    return hub.states[-1]


def test_it_is_short_old_and_its_own() -> None:
    text = SOURCE.read_text()
    assert len(text.splitlines()) <= 100
    tree = ast.parse(text, feature_version=(3, 6))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"paho"}


def test_a_call_by_name_means_nothing_to_it(hub: Hub, worker: subprocess.Popen[bytes]) -> None:
    online(hub)
    called = hub.answer(hub.send(b"", task=ROLL_CALL))
    assert (called.state, called.retry) == ("failed", True)
    assert hub.answer(hub.send(b"a clip")).state == "done"
    assert not hub.errors


def test_it_announces_itself_answers_and_takes_nothing_twice(
    hub: Hub, worker: subprocess.Popen[bytes]
) -> None:
    state = online(hub)
    (task,) = state.tasks
    assert (state.worker, state.window, task.task, task.model.name) == (NAME, 2, "detect_objects", "minimal")
    assert not state.ahead, "it holds nothing: there is nothing for a job to go before"

    job = hub.send()
    hub.send(**job.model_dump())
    result = hub.answer(job)
    assert (result.state, result.frames, result.incarnation) == ("done", 1, state.incarnation)
    (track,) = result.tracks
    assert (track.label, track.hits, track.best) == ("person", 1, track.sightings[0])
    renewed = hub.send(**(job.model_dump() | {"token": 2}))
    assert hub.answer(renewed).state == "done"
    assert [r.token for r in hub.results if r.job == job.job] == [1, 2]


def test_what_it_cannot_do_it_says(hub: Hub, worker: subprocess.Popen[bytes]) -> None:
    online(hub)
    empty = hub.answer(hub.send(b""))
    assert (empty.state, empty.retry) == ("failed", False)
    other = hub.answer(hub.send(task="detect_faces"))
    assert (other.state, other.retry) == ("failed", True)
    for text in ("{", "[]", '{"job": "x"}'):
        hub.send(text=text)
    wait_for(lambda: len(hub.errors) == 3, what="three reports")
    late = hub.answer(hub.send(lease=1e-9))
    assert (late.state, late.retry) == ("failed", True)
    assert hub.answer(hub.send()).state == "done"


class TestWhateverLookDoes:
    """`look` is what people replace, and a network on a small machine fails in many ways."""

    LOOK = """
def look(payload, job):
    if payload == b"no memory":
        raise RuntimeError("CUDA error: out of memory")
    if payload == b"an odd answer":
        return [("person", object(), None)]
    if payload == b"no answer":
        return None
    if payload == b"not a video":
        raise ValueError("there is no decoder for it")
    return later(payload)


def later(payload):
    if payload == b"late":
        raise KeyError("person")
    yield ("person", 0.9, (0.4, 0.3, 0.2, 0.5))
"""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        text = SOURCE.read_text()
        (old,) = (one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef))
        lines = text.splitlines()
        lines[old.lineno - 1 : old.end_lineno] = self.LOOK.splitlines()
        path = tmp_path / "worker.py"
        path.write_text("\n".join(lines))
        return path

    def test_the_hub_is_told_and_the_next_job_is_done(
        self, hub: Hub, worker: subprocess.Popen[bytes]
    ) -> None:
        state = online(hub)
        wrong = {
            b"no memory": (True, "RuntimeError: CUDA error: out of memory"),
            b"an odd answer": (True, "TypeError: "),
            b"no answer": (True, "TypeError: "),
            b"late": (True, "KeyError: 'person'"),
            b"not a video": (False, "ValueError: there is no decoder for it"),
        }
        for payload, (retry, reason) in wrong.items():
            failed = hub.answer(hub.send(payload))
            assert (failed.state, failed.retry, failed.tracks) == ("failed", retry, ())
            assert failed.reason.startswith(reason)
            done = hub.answer(hub.send())
            assert (done.state, len(done.tracks)) == ("done", 1)
        assert worker.poll() is None
        assert hub.states == [state], "it never went"


class TestWithPasswords:
    """As at the broker of `meerkat up`, which lets nobody in without one."""

    @pytest.fixture
    def broker(self, tmp_path: Path) -> Iterator[Mosquitto]:
        passwords = tmp_path / "passwords"
        passwords.write_text(
            "".join(f"{user}:{hash_password(word)}\n" for user, word in (("hub", "a"), ("worker", "b-c_d")))
        )
        passwords.chmod(0o600)
        settings = ("allow_anonymous false", f"password_file {passwords}")
        server = Mosquitto(tmp_path / "broker", settings=settings)
        server.start()
        yield server
        server.stop()

    @pytest.fixture
    def hub(self, broker: Mosquitto) -> Iterator[Hub]:
        peer = Hub(replace(broker.connection, username="hub", password="a"))
        yield peer
        peer.session.stop()

    @pytest.mark.parametrize("login", ["worker:b-c_d@"])
    def test_it_logs_in(self, hub: Hub, worker: subprocess.Popen[bytes], login: str) -> None:
        online(hub)
        assert hub.answer(hub.send()).state == "done"

    @pytest.mark.parametrize("login", ["", "worker:wrong@"])
    def test_a_refusal_is_told(
        self, hub: Hub, worker: subprocess.Popen[bytes], login: str, tmp_path: Path
    ) -> None:
        log = tmp_path / "worker.log"
        wait_for(lambda: b"The broker refuses the connection: " in log.read_bytes(), what="the refusal")
        assert not hub.states


def test_a_medium_in_parts_is_joined(hub: Hub, broker: Mosquitto, worker: subprocess.Popen[bytes]) -> None:
    online(hub)
    broker.stop()
    wait_for(lambda: not hub.session.connected, what="the hub to notice")
    hub.states.clear()
    broker.settings = ("allow_anonymous true", "max_packet_size 3000")
    broker.start()
    wait_for(lambda: hub.session.maximum_packet_size == 3000, what="the hub's new connection")
    hub.session.wait_subscribed(20)
    online(hub)
    assert hub.answer(hub.send(bytes(10_000))).state == "done"
    assert len(hub.results) == 1


def test_sigterm_says_goodbye(hub: Hub, worker: subprocess.Popen[bytes]) -> None:
    online(hub)
    job = hub.send()
    hub.answer(job)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
    wait_for(lambda: not hub.states[-1].online, what="the goodbye")


def test_killed_outright_its_will_says_so(hub: Hub, worker: subprocess.Popen[bytes]) -> None:
    online(hub)
    worker.kill()
    wait_for(lambda: not hub.states[-1].online, what="the will")


def test_the_real_hub_gives_it_a_clip_and_records_its_answer(
    hub: Hub, broker: Mosquitto, worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    arguments = ["hub", "--http-port", str(free_port()), "--data", str(tmp_path)]
    program = Program("hub", arguments, connection=broker.connection, folder=tmp_path)
    program.start()
    device: FakeDevice | None = None
    try:
        outcomes: list[bytes] = []
        hub.session.subscribe("meerkat/camera/porch/front/outcome", lambda m: outcomes.append(m.payload))
        wait_for(lambda: f"worker {NAME} is there" in program.text(), seconds=30, what="the hub")
        device = FakeDevice(broker.connection)
        media = device.send(
            make_clip(tmp_path / "clip.mp4", seconds=1).read_bytes(), recording=new_id(), last=True
        )
        assert device.receipt(media).outcome == "stored"
        wait_for(lambda: outcomes, seconds=30, what="the outcome")
        assert b'"state":"done"' in outcomes[0]
        assert b'"minimal"' in outcomes[0]
    finally:
        program.kill()
        if device is not None:
            device.stop()
