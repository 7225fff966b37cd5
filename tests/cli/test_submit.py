"""`meerkat submit` over a real broker, with a small stand-in for the hub."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from meerkat_cli import submit as module
from meerkat_cli.submit import submit
from meerkat_contract.connection import Connection, write_connections
from meerkat_contract.errors import BrokerError, MeerkatError, UsageError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Detection, Event, EventState, ModelInfo, Outcome, Receipt
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import ANY, CameraTopic, DeviceTopic, ThingTopic, parse
from support.broker import Mosquitto

CAPTURED = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)


class StandIn:
    """Answers clips as a hub does: a receipt, then, unless told otherwise, an event and the outcome."""

    def __init__(self, broker: Mosquitto) -> None:
        self.clips: list[Incoming] = []
        self.receipt: str | None = "stored"
        self.deaf_to = 0
        self.state: str | None = "done"
        self.session = Session(broker.connection, client_id="hub")
        self.session.subscribe(ThingTopic(ANY, ANY, "clip"), self._clip, join_parts=True)

    def _clip(self, message: Incoming) -> None:
        self.clips.append(message)
        if self.receipt is None or len(self.clips) <= self.deaf_to:
            return
        topic, metadata = parse(message.topic), message.metadata()
        assert isinstance(topic, ThingTopic)
        other = Receipt(id=new_id(), outcome="refused", reason="another clip")
        mine = Receipt.model_validate(
            {"id": metadata.id, "outcome": self.receipt, "reason": f"{message.topic}: no video in it"}
        )
        for receipt in (other, mine):
            self.session.publish(DeviceTopic(topic.device, "receipt"), receipt.to_json(), qos=1)
        if self.state is None or self.receipt == "refused":
            return
        state = EventState(
            id=new_id(),
            device=topic.device,
            camera=topic.thing,
            label="person",
            category="person",
            score=0.9,
            box=(0, 0, 1, 1),
            start_time=metadata.captured_at,
            end_time=metadata.captured_at,
            picture_time=metadata.captured_at,
            revision=1,
            clips=(metadata.id,),
            recording=metadata.recording,
        )
        outcome = Outcome.model_validate(
            {
                "id": metadata.id,
                "device": topic.device,
                "camera": topic.thing,
                "captured_at": metadata.captured_at,
                "state": self.state,
                "reason": "" if self.state == "done" else "the worker gave up",
                "model": ModelInfo(name="small"),
                "detections": (Detection(label="person", score=0.9, box=(0, 0, 1, 1), track=0, at=0.4),),
                "events": (state.id,),
            }
        )
        where = (topic.device, topic.thing)
        self.session.publish(CameraTopic(*where, "outcome"), outcome.to_json(), qos=1)
        for revision in (1, 2):  # the event may come after the outcome that names it
            event = Event(type="new", after=state.model_copy(update={"revision": revision}))
            self.session.publish(CameraTopic(*where, "event"), event.to_json(), qos=1)


@pytest.fixture
def hub(broker: Mosquitto) -> Iterator[StandIn]:
    stand_in = StandIn(broker)
    stand_in.session.start()
    stand_in.session.wait_subscribed(20)
    yield stand_in
    stand_in.session.stop()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "porch.mp4"
    path.write_bytes(b"\0\0\0\x18ftypisom" + bytes(50_000))
    os.utime(path, (CAPTURED.timestamp(), CAPTURED.timestamp()))
    return path


Submit = Callable[..., Result]


@pytest.fixture
def run(broker: Mosquitto, clip: Path) -> Submit:
    def call(*arguments: object, file: Path = clip) -> Result:
        words = [
            file,
            "--camera",
            "front",
            "--device",
            "porch",
            "--broker",
            broker.connection.url,
            *arguments,
        ]
        return CliRunner().invoke(submit, [str(word) for word in words])

    return call


def test_a_clip_goes_with_its_metadata_and_the_receipt_ends_it(run: Submit, hub: StandIn, clip: Path) -> None:
    result = run()
    assert result.exit_code == 0
    (message,) = hub.clips
    metadata = message.metadata()
    assert message.topic == "meerkat/device/porch/front/clip"
    assert message.payload == clip.read_bytes()
    assert (metadata.trigger, metadata.last, metadata.captured_at) == ("submit", True, CAPTURED)
    assert metadata.recording
    assert message.content_type == "video/mp4"
    assert result.stdout == f"clip {metadata.id} is stored\n"


def test_the_outcome_as_one_object(run: Submit, hub: StandIn) -> None:
    result = run("--wait", "--json", "--captured-at", "2026-01-02T03:04:05+01:00")
    assert result.exit_code == 0
    answer = json.loads(result.stdout)
    metadata = hub.clips[0].metadata()
    assert metadata.captured_at == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert set(answer) == {"id", "state", "reason", "detections", "events", "model"}
    assert (answer["id"], answer["state"], answer["model"]["name"]) == (metadata.id, "done", "small")
    assert [d["label"] for d in answer["detections"]] == ["person"]
    assert [e["recording"] for e in answer["events"]] == [metadata.recording]


def test_the_outcome_in_words(run: Submit, hub: StandIn) -> None:
    result = run("--wait")
    assert result.stdout == f"clip {hub.clips[0].metadata().id} is done: person\n"


@pytest.mark.parametrize("state", ["failed", "expired"])
def test_a_clip_that_ends_badly(run: Submit, hub: StandIn, state: str) -> None:
    hub.state = state
    result = run("--wait", "--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert (answer["state"], answer["reason"]) == (state, "the worker gave up")


def test_a_refused_clip(run: Submit, hub: StandIn) -> None:
    hub.receipt = "refused"
    result = run("--wait")
    assert isinstance(result.exception, MeerkatError)
    assert result.exception.exit_status == 1
    assert "the hub refused the clip: no video in it" in str(result.exception)
    assert str(result.exception).count("/clip: ") == 1
    assert result.stdout == ""


def test_without_a_receipt_it_is_sent_again(
    run: Submit, hub: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    hub.receipt, hub.deaf_to = "duplicate", 2
    result = run("--json")
    assert json.loads(result.stdout)["state"] == "duplicate"
    assert len(hub.clips) >= 3
    assert len({message.metadata().id for message in hub.clips}) == 1


def test_no_receipt_in_time(run: Submit, hub: StandIn) -> None:
    hub.receipt = None
    result = run("--timeout", "1.5")
    assert isinstance(result.exception, MeerkatError)
    assert result.exception.exit_status == 3
    assert "the hub sent no receipt in time" in str(result.exception)


def test_no_outcome_in_time(run: Submit, hub: StandIn) -> None:
    hub.state = None
    result = run("--wait", "--timeout", "1.5")
    assert isinstance(result.exception, MeerkatError)
    assert result.exception.exit_status == 3
    assert "Is a worker running?" in str(result.exception)


def test_a_clip_in_parts(tmp_path: Path) -> None:
    large = tmp_path / "large.mp4"
    large.write_bytes(bytes(range(256)) * 4000)
    small = Mosquitto(tmp_path / "small", settings=("allow_anonymous true", "max_packet_size 100000"))
    small.start()
    try:
        hub = StandIn(small)
        hub.session.start()
        hub.session.wait_subscribed(20)
        words = [str(large), "--camera", "front", "--broker", small.connection.url, "--wait"]
        assert CliRunner().invoke(submit, words).exit_code == 0
        assert hub.clips[0].payload == large.read_bytes()
        hub.session.stop()
    finally:
        small.stop()


@pytest.fixture
def no_broker() -> list[str]:
    """Where nobody listens: what is wrong with the words must be said before anybody connects."""
    return ["--broker", "mqtt://127.0.0.1:1"]


@pytest.mark.parametrize("content", [None, b""])
def test_no_clip_no_connection(tmp_path: Path, no_broker: list[str], content: bytes | None) -> None:
    file = tmp_path / "x.mp4"
    if content is not None:
        file.write_bytes(content)
    result = CliRunner().invoke(submit, [str(file), "--camera", "front", *no_broker])
    assert isinstance(result.exception, UsageError)
    assert result.exception.where == str(file)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--camera", "Front Door"], "--camera: 'Front Door' cannot be a name. Write front-door"),
        (["--camera", "front", "--device", "#"], "--device: '#' cannot be a name. Use a-z"),
        (["--camera", "front", "--captured-at", "noon"], "--captured-at: 'noon' is not a time with its zone"),
        (["--camera", "front", "--captured-at", "2026-11-20T08:15:00"], "is not a time with its zone"),
    ],
)
def test_wrong_usage(clip: Path, no_broker: list[str], arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(submit, [str(clip), *arguments, *no_broker])
    assert isinstance(result.exception, UsageError)
    assert words in str(result.exception)


def test_the_folder_that_is_named_goes_before_the_environment(
    broker: Mosquitto, hub: StandIn, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_connections(tmp_path, {"client": broker.connection})
    monkeypatch.setenv("MEERKAT_BROKER", "mqtt://127.0.0.1:1")
    result = CliRunner().invoke(submit, [str(clip), "--camera", "front", "--data", str(tmp_path)])
    assert result.exit_code == 0
    assert hub.clips[0].topic.startswith("meerkat/device/submit")


@pytest.mark.parametrize(
    ("host", "remedy"), [("127.0.0.1", "`meerkat up` starts it"), ("localhost", "`meerkat up` starts it")]
)
def test_a_broker_that_is_not_there_is_said_once_and_at_once(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, host: str, remedy: str
) -> None:
    write_connections(tmp_path, {"client": Connection(host, 1)})
    result = CliRunner().invoke(submit, [str(clip), "--camera", "front", "--data", str(tmp_path)])
    assert isinstance(result.exception, BrokerError)
    assert str(result.exception) == f"mqtt://{host}:1: no broker listens there. {remedy}"
    assert result.stdout == ""
    assert caplog.messages == []


def test_what_refuses_us_is_said_once(clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    locked = Mosquitto(tmp_path / "locked", settings=("allow_anonymous false",))
    locked.start()
    try:
        result = CliRunner().invoke(
            submit, [str(clip), "--camera", "front", "--broker", locked.connection.url]
        )
    finally:
        locked.stop()
    assert isinstance(result.exception, BrokerError)
    assert "wrong user or password" in str(result.exception)
    assert caplog.messages == []
