"""A workflow from end to end: asked for over HTTP, frames to a worker, an event with its picture.

Broker, hub, worker and device are processes of their own.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from faces_support.pictures import PORTRAIT_BOX, portrait
from meerkat_contract.connection import Connection
from meerkat_contract.ids import new_id
from meerkat_contract.messages import CameraInfo, DeviceInfo, Event, EventState, Found, FrameFindings, read
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import DeviceTopic, SettingTopic, ThingTopic
from support.broker import Mosquitto, free_port
from support.processes import Program
from support.wait import wait_for

pytestmark = pytest.mark.timeout(420)

HEADERS = {"Content-Type": "application/json"}


class House:
    """Hub and worker over a broker, the hub's API, and all that is said on the bus."""

    def __init__(self, folder: Path, broker: Mosquitto, configuration: str, *, worker: bool = True) -> None:
        self.folder = folder
        self.broker = broker
        self.configuration = folder / "meerkat.yaml"
        self.configuration.write_text(configuration)
        self.programs: list[Program] = []
        port = free_port()
        self.hub = self.program("hub", "hub", "--http-port", str(port))
        self.worker = self.program("worker", "worker", "--id", "cpu") if worker else None
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)
        self.heard: list[Incoming] = []
        self.session = Session(broker.connection, client_id="witness")
        self.session.subscribe("meerkat/#", self.heard.append)
        self.session.start()
        self.session.wait_subscribed(10)

    def program(self, name: str, *arguments: str) -> Program:
        made = Program(
            name,
            [*arguments, "--data", str(self.folder / "data"), "--config", str(self.configuration)],
            connection=self.broker.connection,
            folder=self.folder,
        )
        self.programs.append(made)
        made.start()
        return made

    def said(self, ending: str) -> list[Incoming]:
        return [message for message in self.heard if message.topic.endswith(ending)]

    def decided(self, workflow: str) -> list[EventState]:
        """Events of a workflow, as they are on the bus."""
        events = [read(Event, message.payload) for message in self.said("/event")]
        return [event.after for event in events if event.after.workflow == workflow]

    def wait_for_task(self, task: str | None) -> None:
        """Until the hub's API answers, and counts on the worker for the task."""

        def counts() -> bool:
            assert all(program.running for program in self.programs), self.logs()
            try:
                nodes = self.api.get("/api/nodes").raise_for_status().json()
            except httpx.TransportError:
                return False
            return task is None or any(node["online"] and task in node["capacity"] for node in nodes)

        wait_for(counts, seconds=90, what=f"the hub, and a node for {task}")

    def ask(self, name: str, **workflow: Any) -> None:
        answer = self.api.post("/api/workflows", json={"id": name, **workflow}, headers=HEADERS)
        assert answer.status_code == 201, answer.text

    def state(self, name: str) -> dict[str, Any]:
        listed = self.api.get("/api/workflows").raise_for_status().json()
        (found,) = [one["state"] for one in listed if one["id"] == name]
        return dict(found)

    def stored(self, name: str) -> list[dict[str, Any]]:
        answer = self.api.get(f"/api/workflows/{name}/events").raise_for_status()
        return list(answer.json()["events"])

    def logs(self) -> str:
        return "\n".join(f"--- {program.name}\n{program.text()[-3000:]}" for program in self.programs)

    def end(self) -> None:
        self.session.stop(timeout=1)
        self.api.close()
        for program in reversed(self.programs):
            program.kill()


@pytest.fixture
def houses(tmp_path: Path, broker: Mosquitto) -> Iterator[Any]:
    made: list[House] = []

    def make(configuration: str, **more: bool) -> House:
        made.append(House(tmp_path, broker, configuration, **more))
        return made[-1]

    yield make
    for house in made:
        house.end()


def balance(counts: dict[str, int]) -> int:
    """Frames that were received and have no fate: 0, or some were lost silently."""
    fates = ("nothing", "decided", "surplus", "unmeasured", "full", "late", "gone", "failed", "lost")
    return counts["received"] - counts.get("in_work", 0) - sum(counts.get(fate, 0) for fate in fates)


PORCH = """\
devices:
  porch:
    cameras:
      front: {source: "scene:porch", picture_seconds: 1, frames: {when: always, width: 640}}
worker: {tasks: [detect_objects]}
orchestrator: {reserve: 0}
"""


def test_a_person_at_the_porch_is_told_by_a_workflow(houses: Any) -> None:
    house = houses(PORCH)
    device = house.program("device", "device", "--name", "porch")
    house.wait_for_task("detect_objects")
    house.ask(
        "visitors",
        cameras={"porch/front": 2},
        measurement="detect_objects",
        feature=None,
        decision={"rule": "seen", "labels": ["person"], "cooldown": 5},
        max_delay=10,
    )
    state = house.state("visitors")
    assert state["state"] == "running", house.logs()
    assert [node["node"] for node in state["nodes"] if node["task"] == "detect_objects"]

    wait_for(lambda: house.said("/front/frame"), seconds=90, what=f"a frame\n{house.logs()}")
    # A frame may overtake the rate: its QoS is 0, and what has QoS 1 waits for room on the way.
    wait_for(lambda: [one.payload for one in house.said("/front/frames/state")][-1:] == [b"2"], what="2")
    frame = house.said("/front/frame")[0]
    assert frame.qos == 0
    assert frame.payload[:2] == b"\xff\xd8"
    assert "found" not in dict(frame.properties)

    wait_for(lambda: house.decided("visitors"), seconds=90, what=f"an event\n{house.logs()}")
    event = house.decided("visitors")[0]
    assert (event.device, event.camera, event.label) == ("porch", "front", "person")
    assert event.alert
    assert event.has_picture
    assert event.clips == ()
    sent = {message.metadata().id: message.metadata() for message in house.said("/front/frame")}
    assert event.picture_time in {metadata.captured_at for metadata in sent.values()}
    pictures = [one for one in house.said("/event/picture") if dict(one.properties).get("id") == event.id]
    assert pictures[0].payload[:2] == b"\xff\xd8"

    stored = wait_for(lambda: house.stored("visitors"), what="the event in the API")
    assert event.id in {one["id"] for one in stored}
    assert {one["workflow"] for one in stored} == {"visitors"}
    shown = house.api.get(f"/api/events/{event.id}/picture").raise_for_status()
    assert shown.headers["content-type"] == "image/jpeg"
    told, plain = (
        cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(int)
        for jpeg in (pictures[0].payload, shown.content)
    )
    x, y, _, tall = event.box
    row, column = round((y + tall / 2) * (plain.shape[0] - 1)), round(x * (plain.shape[1] - 1))
    assert np.abs(told - plain)[row, column].max() > 40, "the box is in what is published"
    counts = house.state("visitors")["frames"]
    assert counts["events"] >= 1
    assert balance(counts) == 0, counts

    _ends(house, device)


def _ends(house: House, device: Program) -> None:
    """After DELETE nothing is asked for, and nothing is sent while there are pictures to send."""
    assert house.api.delete("/api/workflows/visitors", headers=HEADERS).status_code == 204
    assert house.api.get("/api/workflows").json() == []
    wait_for(lambda: house.said("/frames/state")[-1].payload == b"0", what="the device to hear of it")
    over = max(n for n, message in enumerate(house.heard) if message.topic.endswith("/frames/state"))

    def since(ending: str) -> list[Incoming]:
        return [message for message in house.heard[over:] if message.topic.endswith(ending)]

    wait_for(lambda: len(since("/front/picture")) >= 4, seconds=60, what=f"pictures\n{house.logs()}")
    assert not since("/front/frame")
    assert house.stored("visitors"), "what it decided stays"
    assert device.stop() == 0
    assert "no more frames are asked for" in device.text()


LOOKING = """\
devices:
  porch: {cameras: {front: {source: "scene:porch", frames: {detect: detect_objects, labels: [person]}}}}
"""


def test_a_device_that_looks_by_itself_needs_no_worker(houses: Any) -> None:
    house = houses(LOOKING, worker=False)
    device = house.program("device", "device", "--name", "porch")
    house.wait_for_task(None)
    house.ask(
        "visitors",
        cameras={"porch/front": 2},
        measurement="device",
        feature=None,
        decision={"rule": "seen", "labels": ["person"]},
        max_delay=10,
    )
    wait_for(lambda: house.decided("visitors"), seconds=90, what=f"an event\n{house.logs()}")
    event = house.decided("visitors")[0]
    assert event.label == "person"
    assert event.model is not None
    assert event.model.fallback
    for message in house.said("/front/frame"):
        findings = read(FrameFindings, dict(message.properties)["found"].encode())
        assert findings.task == "detect_objects"
        assert findings.found[0].label == "person"
        assert findings.found[0].score >= 0.5
    counts = house.state("visitors")["frames"]
    assert not counts.get("nothing"), "nothing else was sent"
    assert not counts.get("unmeasured"), "nor without what was found"
    assert balance(counts) == 0, counts  # of those that come together some are more than was asked for
    assert house.api.delete("/api/workflows/visitors", headers=HEADERS).status_code == 204
    wait_for(lambda: house.said("/frames/state")[-1].payload == b"0", what="the device to hear of it")
    assert device.stop() == 0, device.text()


# --- faces ---------------------------------------------------------------------------------------------


class LookingDevice:
    """Stands for a device that finds faces by itself: it sends frames while it is asked for some."""

    def __init__(self, connection: Connection, payload: bytes, found: tuple[Found, ...]) -> None:
        self.payload = payload
        self.found = FrameFindings(task="detect_faces", found=found).to_json().decode()
        self.rate = 0.0
        self.sent: list[str] = []
        self._stop = threading.Event()
        self._asked = threading.Event()
        self.session = Session(connection, client_id="lab")
        info = DeviceInfo(device="lab", cameras=(CameraInfo(name="door"),))
        self.session.keep(DeviceTopic("lab", "info"), info.to_json())
        self.session.subscribe(SettingTopic("lab", "door", "frames", "set"), self._told)
        self.session.start()
        self.session.wait_subscribed(10)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _told(self, message: Incoming) -> None:
        self.rate = float(message.payload or b"0")
        (self._asked.set if self.rate else self._asked.clear)()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._asked.wait()
            if self._stop.wait(1 / (self.rate or 10)):
                return
            if self.rate:
                self.send()

    def send(self) -> None:
        metadata = Metadata(id=new_id(), captured_at=datetime.now(UTC), trigger="frame")
        self.sent.append(metadata.id)
        self.session.publish(
            ThingTopic("lab", "door", "frame"),
            self.payload,
            metadata=metadata,
            content_type="image/jpeg",
            properties=[("found", self.found)],
        )

    def end(self) -> None:
        self._stop.set()
        self._asked.set()
        self._thread.join(10)
        self.session.stop(timeout=1)


def jpeg(picture: Any) -> bytes:
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes())


def enrol(house: House, name: str) -> None:
    """A mirrored, darker copy of the portrait, so that it is not the very same picture that is met."""
    from meerkat_inference.faces.loading import load_embedder

    seen = cv2.convertScaleAbs(portrait()[:, ::-1], alpha=0.8)
    x, y, width, height = PORTRAIT_BOX
    embedder = load_embedder("dlib-resnet")
    try:
        told = embedder.describe(seen, (1 - x - width, y, width, height))
        model = embedder.info.model_dump(mode="json", by_alias=True)
    finally:
        embedder.close()
    vector = base64.b64encode(told.embedding.astype("<f4").tobytes()).decode()
    answer = house.api.post(
        f"/api/people/{name}/samples",
        json={"model": model, "samples": [{"embedding": vector, "quality": told.quality}]},
        headers=HEADERS,
    )
    assert answer.status_code == 200, answer.text


def test_a_face_that_the_device_found_is_recognised_and_told(houses: Any, broker: Mosquitto) -> None:
    if not (find_spec("_dlib_pybind11") or find_spec("dlib")) or not find_spec("face_recognition_models"):
        pytest.skip("needs the extra `faces`: pip install 'meerkat-home[faces]'")
    picture = portrait()
    house = houses("worker: {tasks: [recognise_faces]}\n")
    face = Found(label="face", score=0.9, box=PORTRAIT_BOX)
    device = LookingDevice(broker.connection, jpeg(picture), (face,))
    try:
        house.wait_for_task("recognise_faces")
        enrol(house, "Grace")
        house.ask(
            "lab",
            cameras={
                "lab/door": {"fps": 0.5, "measurement": "device"}
            },  # 13 a second here, 2 when it is busy
            measurement="detect_faces",
            feature="recognise_faces",
            decision={"rule": "who_may_be_here", "forbidden": ["Grace"]},
            max_delay=10,
        )
        assert house.state("lab")["state"] == "running"
        wait_for(lambda: device.rate == 0.5, what="the hub to ask for frames")
        wait_for(lambda: house.decided("lab"), seconds=60, what=f"an event\n{house.logs()}")
        event = house.decided("lab")[0]
        assert event.identity == "Grace", event.reason
        assert event.alert
        assert "Grace" in event.reason
        assert event.label == "face"
        assert event.box == pytest.approx(PORTRAIT_BOX, abs=0.01)
        stored = wait_for(lambda: house.stored("lab"), what="the event in the API")
        assert stored[0]["identity"] == "Grace"
        shown = house.api.get(f"/api/events/{event.id}/picture").raise_for_status()
        assert shown.content[:2] == b"\xff\xd8"
        assert house.api.delete("/api/workflows/lab", headers=HEADERS).status_code == 204
        wait_for(lambda: device.rate == 0, what="the hub to ask for none")
    finally:
        device.end()
