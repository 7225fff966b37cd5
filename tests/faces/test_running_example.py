"""The running example of the MELINDA paper, from outside: a hub, two nodes, a camera's frame, an alert.

Face detection on one node, face recognition on another, and the rule "this person may not be here".
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from faces_support.pictures import portrait, portrait_path
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Event, read
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import CameraTopic, DeviceTopic, ThingTopic
from meerkat_inference.faces_command import faces
from meerkat_inference.picture import encode_jpeg
from support.broker import Mosquitto, free_port
from support.processes import Program
from support.shared import shared
from support.wait import wait_for

pytestmark = pytest.mark.shared

WORKFLOW = {
    "id": "upper-floor",
    "wait": True,
    "cameras": {"house/stairs": {"fps": 1}},
    "measurement": "detect_faces",
    "feature": "recognise_faces",
    "decision": {"rule": "who_may_be_here", "allowed": ["Ada"], "unknown": "alert"},
    "max_delay": 20,
}


class House:
    """Its processes, its page, and what a subscriber hears of the stairs."""

    def __init__(self, broker: Mosquitto, folder: Path, models: Path) -> None:
        port = free_port()
        self.page = f"http://127.0.0.1:{port}"
        self.models = models
        self._next_frame = 0.0
        self.events: list[Event] = []
        hub = ["hub", "--http-port", str(port), "--data", str(folder / "data")]
        self.programs = [Program("hub", hub, connection=broker.connection, folder=folder)]
        for task in ("detect_faces", "recognise_faces"):
            name = task.replace("_", "-")
            (folder / f"{name}.yaml").write_text(
                json.dumps({"worker": {"tasks": [task], "fetch": False, "coral": "off"}})
            )
            arguments = ["worker", "--id", name, "--config", str(folder / f"{name}.yaml")]
            arguments += ["--models-folder", str(models), "--data", str(folder / name)]
            self.programs.append(Program(name, arguments, connection=broker.connection, folder=folder))
        self.session = Session(broker.connection, client_id="device-house")
        self.session.subscribe(CameraTopic("house", "stairs", "event"), self._event)

    def start(self) -> None:
        for program in self.programs:
            program.start()
        self.session.start()
        self.session.wait_connected(10)
        self.session.wait_subscribed(10)
        self.session.keep(
            DeviceTopic("house", "info"), b'{"device": "house", "cameras": [{"name": "stairs"}]}'
        )
        wait_for(self._answers, seconds=40, what="the hub's page")

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        return httpx.request(method, self.page + path, json=body, headers=headers, timeout=20)

    def state(self) -> Any:
        return self.ask("GET", "/api/workflows/upper-floor").json()["state"]

    def send_frame(self) -> None:
        metadata = Metadata(
            id=new_id(), captured_at=datetime.now(UTC), trigger="frame", content_type="image/jpeg"
        )
        jpeg = encode_jpeg(portrait(), quality=92)
        self.session.publish(ThingTopic("house", "stairs", "frame"), jpeg, qos=0, metadata=metadata)

    def event(self, **wanted: Any) -> Event:
        """The event in which all this is so; a frame is sent again until it is there."""

        def there() -> list[Event]:
            found = [
                event
                for event in self.events
                if all(getattr(event.after, name) == value for name, value in wanted.items())
            ]
            if not found and time.monotonic() >= self._next_frame:
                self._next_frame = time.monotonic() + 1
                self.send_frame()
            return found

        return wait_for(there, seconds=60, what=f"an event with {wanted}")[0]

    def stop(self) -> None:
        self.session.stop()
        for program in reversed(self.programs):
            program.stop()

    def _answers(self) -> bool:
        try:
            return self.ask("GET", "/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    def _event(self, message: Incoming) -> None:
        self.events.append(read(Event, message.payload, topic=message.topic))


@pytest.fixture
def house(broker: Mosquitto, tmp_path: Path) -> Iterator[House]:
    pytest.importorskip("dlib", reason="needs the extra faces")
    made = House(broker, tmp_path, shared("models/yunet_n_320_320.onnx").parent)
    try:
        made.start()
        yield made
    except BaseException:
        for program in made.programs:
            print(f"--- {program.name}\n{program.text()[-3000:]}")
        raise
    finally:
        made.stop()


def test_a_person_who_may_not_be_here_is_told_of_and_after_she_is_forgotten_a_visitor(house: House) -> None:
    arguments = ["enrol", "Grace", str(portrait_path()), "--folder", str(house.models), "--hub", house.page]
    enrolled = CliRunner().invoke(faces, arguments)
    assert enrolled.exit_code == 0, enrolled.output

    answer = house.ask("POST", "/api/workflows", WORKFLOW)
    assert answer.status_code in (201, 202), answer.text
    wait_for(lambda: house.state()["state"] == "running", seconds=60, what="the workflow")

    told = house.event(identity="Grace")
    assert told.after.alert
    assert told.after.workflow == "upper-floor"
    assert told.after.reason == "Grace is not among those who may be here"
    assert told.after.label == "face"
    x, y, width, height = told.after.box
    assert 0.3 < x < 0.4
    assert 0.15 < y < 0.25
    assert 0.3 < width < 0.4
    assert 0.3 < height < 0.42

    forgotten = CliRunner().invoke(faces, ["forget", "Grace", "--yes", "--hub", house.page])
    assert forgotten.exit_code == 0, forgotten.output
    visitor = house.event(identity=None)
    assert visitor.after.alert
    assert "nobody" in visitor.after.reason
