"""`meerkat watch` over a real broker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner

from meerkat_cli import watch as module
from meerkat_cli.watch import in_words, json_line
from meerkat_contract import messages
from meerkat_contract.connection import write_connections
from meerkat_contract.device_messages import PictureCondition, PictureVerdict
from meerkat_contract.errors import BrokerError
from meerkat_contract.ids import new_id
from meerkat_contract.session import Incoming, Session
from support.broker import Mosquitto

NOW = datetime(2026, 11, 20, 8, 15, tzinfo=UTC)
MODEL = messages.ModelInfo(name="efficientdet", engine="litert")
_OF_WATER = {"id": new_id(), "device": "cellar", "meter": "water", "at": NOW, "value": 206.9914, "unit": "m³"}
READING = messages.MeterReading.model_validate(
    {**_OF_WATER, "total": 206.9914, "flow": 0.012, "source": "owner"}
)
VERDICT = messages.MeterVerdict.model_validate({**_OF_WATER, "verdict": "accepted"})


@contextmanager
def watching(*arguments: str) -> Iterator[IO[str]]:
    """The lines of a running `meerkat watch`."""
    command = [sys.executable, "-m", "meerkat_cli", "watch", *arguments]
    environment = {**os.environ, "MEERKAT_LOG": "error"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        try:
            yield process.stdout
        finally:
            process.terminate()


@pytest.fixture
def bus(broker: Mosquitto) -> Iterator[Session]:
    session = Session(broker.connection, client_id="bus")
    session.start()
    session.wait_connected(20)
    yield session
    session.stop()


def lines(bus: Session, output: IO[str], *, first: str) -> Iterator[str]:
    """The lines from the retained one on; it comes once `watch` has subscribed."""
    for line in output:
        if first in line:
            yield line
            break
    yield from output


def test_json_lines(broker: Mosquitto, bus: Session) -> None:
    bus.keep("meerkat/hub/availability", "online")
    with watching("--json", "--broker", broker.connection.url) as output:
        found = lines(bus, output, first="availability")
        assert json.loads(next(found))["payload"] == "online"
        bus.publish("meerkat/camera/porch/front/person", '{"in": 1}', qos=1, properties=[("id", "7")])
        line = json.loads(next(found))
        assert (line["topic"], line["payload"]) == ("meerkat/camera/porch/front/person", {"in": 1})
        assert (line["properties"], line["retain"]) == ({"id": "7"}, False)
        bus.publish("meerkat/device/porch/front/picture", b"\xff\xd8\xff", qos=1, content_type="image/jpeg")
        line = json.loads(next(found))
        assert (line["size"], line["content_type"]) == (3, "image/jpeg")
        assert "payload" not in line


def test_one_topic_in_words(broker: Mosquitto, bus: Session) -> None:
    bus.keep("own/topic", "hello")
    with watching("--topic", "own/#", "--broker", broker.connection.url) as output:
        assert re.fullmatch(r"\d\d:\d\d:\d\d own/topic: hello\n", output.readline())


def test_words_by_default(broker: Mosquitto, bus: Session) -> None:
    bus.keep("meerkat/device/porch/availability", "online")
    with watching("--broker", broker.connection.url) as output:
        assert output.readline().endswith("porch is online\n")
        bus.publish("meerkat/device/porch/front/picture", b"not fetched", qos=1)
        bus.publish("meerkat/device/porch/front/motion", "ON", qos=1)
        assert output.readline().endswith("porch/front: motion begins\n")


def test_a_worker_is_told_of_once_however_its_load_changes(broker: Mosquitto, bus: Session) -> None:
    state = messages.WorkerState(worker="attic", incarnation=new_id(), online=True, load=0.0)
    bus.keep("meerkat/worker/attic/state", state.to_json())
    with watching("--broker", broker.connection.url) as output:
        assert output.readline().endswith("worker attic is online: no task yet\n")
        for changes in ({"load": 0.5}, {"online": False}, {"online": True}):
            message = state.model_copy(update=changes).to_json()
            bus.publish("meerkat/worker/attic/state", message, qos=1, retain=True)
        assert output.readline().endswith("worker attic is offline\n")
        assert output.readline().endswith("worker attic is online: no task yet\n")


def test_a_workflow_is_told_of_when_it_changes_and_not_with_every_frame(
    broker: Mosquitto, bus: Session
) -> None:
    topic = "meerkat/workflow/lobby/state"
    bus.keep(topic, workflow().to_json())
    with watching("--broker", broker.connection.url) as output:
        assert output.readline().endswith("workflow lobby runs: detect_faces on coral\n")
        for changes in ({"frames": {"received": 2}}, {"state": "starting"}):
            bus.publish(topic, workflow(**changes).to_json(), qos=1, retain=True)
        assert output.readline().endswith("workflow lobby starts: detect_faces on coral\n")


def test_an_unreachable_broker_is_an_error_in_words() -> None:
    result = CliRunner().invoke(module.watch, ["--broker", "mqtt://127.0.0.1:1"])
    assert isinstance(result.exception, BrokerError)
    assert "mqtt://127.0.0.1:1: no broker listens there. `meerkat up` starts it" in str(result.exception)
    assert result.stdout == ""


def test_the_folder_that_is_named_goes_before_the_environment(
    broker: Mosquitto, bus: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus.keep("meerkat/device/porch/availability", "online")
    write_connections(tmp_path, {"client": broker.connection})
    monkeypatch.setenv("MEERKAT_BROKER", "mqtt://127.0.0.1:1")
    with watching("--data", str(tmp_path)) as output:
        assert output.readline().endswith("porch is online\n")


def said(topic: str, message: messages.Message | str | bytes, content_type: str = "") -> str:
    payload = message.to_json() if isinstance(message, messages.Message) else message
    payload = payload.encode() if isinstance(payload, str) else payload
    return in_words(Incoming(topic, payload, content_type=content_type))


def event(kind: str, **changes: object) -> messages.Event:
    state = messages.EventState(
        id=new_id(),
        device="porch",
        camera="front",
        label="person",
        category="person",
        score=0.87,
        box=(0.1, 0.1, 0.2, 0.4),
        start_time=NOW,
        end_time=NOW + timedelta(seconds=12),
        picture_time=NOW,
        revision=1,
    ).model_copy(update=changes)
    return messages.Event.model_validate({"type": kind, "after": state})


def outcome(**changes: object) -> messages.Outcome:
    base = messages.Outcome(
        id="01900000-0000-7000-8000-000000000000",
        device="porch",
        camera="front",
        captured_at=NOW,
        state="done",
    )
    return base.model_copy(update=changes)


def workflow(**changes: object) -> messages.WorkflowState:
    operator = messages.Operator(task="detect_faces", node="coral", capacity=40, share=10)
    base = messages.WorkflowState(
        workflow="lobby", state="running", max_delay=1, nodes=(operator,), frames={"received": 1}, since=NOW
    )
    return base.model_copy(update=changes)


def detection(label: str) -> messages.Detection:
    return messages.Detection(label=label, score=0.8, box=(0, 0, 1, 1), track=0, at=0)


def condition(verdict: PictureVerdict) -> PictureCondition:
    return PictureCondition(
        verdict=verdict, brightness=0.3, dark=0, burnt_out=0, glare=0, sharpness=1, noise=1
    )


CAMERA = "meerkat/camera/porch/front"
PORCH = "meerkat/device/porch"


@pytest.mark.parametrize(
    ("topic", "message", "words"),
    [
        ("meerkat/hub/availability", "online", "the hub is online"),
        ("meerkat/device/porch/availability", "asleep", "porch is asleep"),
        ("meerkat/device/porch/front/motion", "OFF", "porch/front: motion ends"),
        (f"{CAMERA}/event", event("new"), "porch/front: person seen, score 87%"),
        (f"{CAMERA}/event", event("update"), "porch/front: person still there, score 87%"),
        (
            f"{CAMERA}/event",
            event("end", identity="Ann"),
            "porch/front: Ann (person) is gone after 12 s",
        ),
        (
            f"{CAMERA}/outcome",
            outcome(detections=(detection("cat"), detection("person"), detection("cat"))),
            "porch/front: clip 01900000-0000-7000-8000-000000000000 is done: 2 × cat, person",
        ),
        (
            f"{CAMERA}/outcome",
            outcome(model=MODEL.model_copy(update={"fallback": True})),
            "porch/front: clip 01900000-0000-7000-8000-000000000000 is done: nothing seen "
            "(by the built-in fallback)",
        ),
        (
            f"{CAMERA}/outcome",
            outcome(state="failed", reason="no key frame"),
            "porch/front: clip 01900000-0000-7000-8000-000000000000 failed: no key frame",
        ),
        (
            "meerkat/device/porch/error",
            messages.ErrorReport(what="no frames", where="front", remedy="Check the cable", at=NOW),
            "porch: front: no frames. Check the cable",
        ),
        (
            "meerkat/device/porch/error",
            messages.ErrorReport(what="", where="front", at=NOW),
            "porch: front: all is well again",
        ),
        (
            "meerkat/meter/cellar/water/reading",
            '{"value": 12.3, "unit": "m³"}',
            "cellar/water: reads 12.3 m³",
        ),
        ("meerkat/meter/cellar/water/reading", "12", "cellar/water: reads 12"),
        (
            "meerkat/meter/cellar/water/reading",
            READING,
            "cellar/water: reads 206.9914 m³, 0.012 m³/h, says its owner",
        ),
        ("meerkat/meter/cellar/water/verdict", VERDICT, ""),
        (
            "meerkat/meter/cellar/water/verdict",
            VERDICT.model_copy(update={"verdict": "unreadable", "value": None, "reason": "it is dark"}),
            "cellar/water: the picture is unreadable: it is dark",
        ),
        (
            "meerkat/meter/cellar/water/verdict",
            VERDICT.model_copy(update={"leak": "it has flowed for 30 h"}),
            "cellar/water: it has flowed for 30 h",
        ),
        (
            "meerkat/worker/attic/state",
            messages.WorkerState(
                worker="attic",
                incarnation=new_id(),
                online=True,
                tasks=(messages.TaskInfo(task="detect_objects", model=MODEL, frames_per_second=23.44),),
            ),
            "worker attic is online: detect_objects with efficientdet at 23.4/s",
        ),
        (
            "meerkat/worker/attic/state",
            messages.WorkerState(worker="attic", incarnation=new_id(), online=False),
            "worker attic is offline",
        ),
        (
            f"{CAMERA}/event",
            event("new", workflow="lobby", alert=True, reason="Bob is forbidden here"),
            "porch/front: ALERT, lobby: Bob is forbidden here",
        ),
        (
            f"{CAMERA}/event",
            event("new", workflow="lobby", reason="Ada may be here"),
            "porch/front: lobby: Ada may be here",
        ),
        (f"{CAMERA}/event", event("end", workflow="lobby", reason="Ada may be here"), ""),
        ("meerkat/workflow/lobby/state", workflow(), "workflow lobby runs: detect_faces on coral"),
        (
            "meerkat/workflow/lobby/state",
            workflow(state="refused", nodes=(), reason="workflow lobby is refused: nobody is free"),
            "workflow lobby does not run: nobody is free",
        ),
        ("meerkat/workflow/lobby/state", b"", "workflow lobby is withdrawn"),
        (f"{PORCH}/hall/state", "ON", "porch/hall: is ON"),
        (f"{PORCH}/hall/state", "", "porch/hall: is not known any more"),
        (f"{PORCH}/bell/press", messages.ButtonPress(id=new_id(), at=NOW), "porch/bell: is pressed"),
        (f"{PORCH}/water/condition", condition("burnt_out"), "porch/water: the picture is burnt out"),
        (
            f"{PORCH}/ir/light/state",
            messages.LightState(state="ON", brightness=80.4),
            "porch/ir: the light is on at 80%",
        ),
        (f"{PORCH}/ir/light/state", messages.LightState(state="OFF"), "porch/ir: the light is off"),
        (f"{PORCH}/front/clip_seconds/state", "7", "porch/front: clip seconds is 7"),
        (f"{PORCH}/info", messages.DeviceInfo(device="porch"), ""),
        (f"{PORCH}/info", "", "porch is removed"),
        ("other/topic", "text", "other/topic: text"),
        ("other/topic", b"\xff\xfe", "other/topic: 2 bytes of bytes"),
    ],
)
def test_words(topic: str, message: messages.Message | str | bytes, words: str) -> None:
    assert said(topic, message) == words


def test_a_sensor_is_told_of_by_its_kind_and_a_setting_when_it_changes(
    broker: Mosquitto, bus: Session
) -> None:
    hall = messages.SensorInfo(name="hall", kind="motion")
    door = messages.SensorInfo(name="door", kind="door")
    info = messages.DeviceInfo(device="porch", sensors=(hall, door), battery=messages.Battery(level=87))
    bus.keep(f"{PORCH}/info", info.to_json())
    bus.keep(f"{PORCH}/front/sensitivity/state", "0.5")
    bus.keep(f"{PORCH}/front/motion", "OFF")
    with watching("--broker", broker.connection.url) as output:
        first = {output.readline().split(maxsplit=1)[1] for _ in range(2)}
        assert first == {"porch: battery 87%\n", "porch/front: no motion\n"}, "nothing has just ended"
        bus.publish(f"{PORCH}/info", info.to_json(), qos=1, retain=True)
        for topic, text in (("hall/state", "ON"), ("door/state", "OFF"), ("front/sensitivity/state", "0.7")):
            bus.publish(f"{PORCH}/{topic}", text, qos=1, retain=True)
        sleeps = info.model_copy(update={"next_wake": NOW, "battery": None})
        bus.publish(f"{PORCH}/info", sleeps.to_json(), qos=1, retain=True)
        assert output.readline().endswith("porch/hall: motion begins\n")
        assert output.readline().endswith("porch/door: is shut\n")
        assert output.readline().endswith("porch/front: sensitivity is 0.7\n")
        assert output.readline().endswith(f"porch: sleeps until {NOW.astimezone():%H:%M}\n")


def test_what_cannot_be_understood_is_named() -> None:
    assert said(f"{CAMERA}/event", "{}").startswith(
        f"cannot be understood: {CAMERA}/event: Event field 'type'"
    )
    assert said("meerkat/what/is/this", "x").startswith(
        "cannot be understood: meerkat/what/is/this: not a topic"
    )


def test_a_picture_that_happens_to_be_text_is_media_all_the_same() -> None:
    line = json.loads(json_line(Incoming("x", b"text", content_type="image/svg+xml")))
    assert line["size"] == 4
