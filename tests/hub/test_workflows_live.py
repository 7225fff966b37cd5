"""Workflows through a whole hub: a real broker and database, HTTP, and workers of the contract."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from struct import pack
from typing import Any

import httpx
import pytest

from hub_support.orchestra import CLIPS, FACES, WHO
from hub_support.peers import FakeDevice
from meerkat_contract.ids import new_id
from meerkat_contract.messages import (
    ROLL_CALL,
    Deploy,
    Event,
    Face,
    Job,
    ModelInfo,
    Result,
    Sighting,
    TaskInfo,
    Track,
    WorkerState,
    WorkflowState,
    read,
)
from meerkat_contract.session import Incoming, Session, Will
from meerkat_contract.topics import ThingTopic, WorkerTopic
from meerkat_hub.adapters.people_store import NewSample
from meerkat_hub.application import Hub, build_hub
from meerkat_hub.core.workflow_records import Policy, WorkflowSpec
from meerkat_hub.settings import HubSettings
from meerkat_hub.web.server import HubServer, listen
from meerkat_inference import catalogue
from support.broker import Mosquitto
from support.wait import wait_for

BOX = (0.25, 0.25, 0.125, 0.25)
FRAME = b"\xff\xd8 a frame \xff\xd9"


class Node:
    """A worker that loads one task at a time, finds a face in every frame, and says whose it is."""

    def __init__(self, broker: Mosquitto, name: str, *, serving: str | None = None, **tasks: float) -> None:
        self.name, self.serving, self.tasks = name, serving, tasks
        entry = catalogue.default(WHO)
        self.embedder = ModelInfo(name=entry.name, sha256=entry.model.sha256)
        self.incarnation, self.person = new_id(), 0.0
        self.done: list[Job] = []
        self.deployed: list[str] = []
        self.held = threading.Event()
        """Set: it keeps its jobs to itself."""
        will = Will(str(WorkerTopic(name, "state")), self._state(online=False))
        self.session = Session(broker.connection, client_id=f"worker-{name}", will=will)
        self.session.subscribe(WorkerTopic(name, "jobs"), self._job)
        self.session.subscribe(WorkerTopic(name, "deploy"), self._deploy)
        self.session.start()
        self.session.wait_subscribed(10)
        self.announce()

    def _state(self, *, online: bool) -> bytes:
        tasks = tuple(
            TaskInfo(task=task, model=self._model(task), frames_per_second=fps, switch_seconds=0.1)
            for task, fps in self.tasks.items()
        )
        return WorkerState(
            worker=self.name,
            incarnation=self.incarnation,
            online=online,
            tasks=tasks,
            serving=self.serving if online else None,
            temperature=50,
        ).to_json()

    def _model(self, task: str) -> ModelInfo:
        return self.embedder if task == WHO else ModelInfo(name=task)

    def announce(self) -> None:
        self.session.keep(WorkerTopic(self.name, "state"), self._state(online=True))

    def _deploy(self, message: Incoming) -> None:
        self.serving = read(Deploy, message.payload).task
        self.deployed.append(self.serving)
        self.announce()

    def _job(self, message: Incoming) -> None:
        job = read(Job, dict(message.properties)["job"].encode())
        if job.task == ROLL_CALL:
            return
        assert message.payload == FRAME
        self.done.append(job)
        if self.held.is_set():
            return
        sighting = Sighting(at=0, score=0.9, box=BOX)
        track = Track(track=0, label="face", score=0.9, hits=1, sightings=(sighting,), best=sighting)
        numbers = [self.person] + [0.0] * 127
        embedding = base64.b64encode(pack("<128f", *numbers))
        result = Result(
            job=job.job,
            token=job.token,
            incarnation=self.incarnation,
            state="done",
            frames=1,
            seconds=0.01,
            model=self._model(job.task),
            tracks=(track,) if job.task == FACES else (),
            faces=(Face(box=BOX, score=0.9, embedding=embedding),) if job.task == WHO else (),
        )
        self.session.publish(WorkerTopic(self.name, "results"), result.to_json(), qos=1)

    def stop(self) -> None:
        self.session.keep(WorkerTopic(self.name, "state"), self._state(online=False))
        self.session.stop()


class Site:
    """A hub with its page, a device with a camera, and nodes."""

    def __init__(self, broker: Mosquitto, folder: Path, workflows: dict[str, WorkflowSpec]) -> None:
        self.broker, self.folder = broker, folder
        self.nodes: list[Node] = []
        self.states: dict[str, WorkflowState | None] = {}
        self.events: list[Event] = []
        self.rates: dict[str, str] = {}
        self.said: list[str] = []
        """All rates and states, one after the other."""
        self.hub = self._build(workflows)
        self.device = FakeDevice(broker.connection)
        self.heard = Session(broker.connection, client_id="subscriber")
        self.heard.subscribe("meerkat/workflow/+/state", self._state)
        self.heard.subscribe("meerkat/camera/+/+/event", self._event)
        self.heard.subscribe("meerkat/device/+/+/frames/set", self._rate)
        self.heard.start()
        self.heard.wait_subscribed(10)

    def _build(self, workflows: dict[str, WorkflowSpec], gather: float = 0.0) -> Hub:
        policy = Policy(reserve=0, gather=gather)
        connection = self.broker.connection
        hub = build_hub(self.folder, connection, HubSettings(), workflows=workflows, policy=policy)
        hub.start()
        hub.bus.session.wait_subscribed(10)
        return hub

    def restart(self, workflows: dict[str, WorkflowSpec] | None = None, *, gather: float = 0.0) -> None:
        self.hub.stop()
        self.said.clear()
        self.hub = self._build(workflows or {}, gather)

    def _state(self, message: Incoming) -> None:
        name = message.topic.split("/")[2]
        self.states[name] = read(WorkflowState, message.payload) if message.payload else None
        self.said.append(self.state(name))

    def _event(self, message: Incoming) -> None:
        self.events.append(read(Event, message.payload))

    def _rate(self, message: Incoming) -> None:
        self.rates["/".join(message.topic.split("/")[2:4])] = message.payload.decode()
        self.said.append(message.payload.decode())

    def node(self, name: str, *, serving: str | None = None, **tasks: float) -> Node:
        made = Node(self.broker, name, serving=serving, **tasks)
        self.nodes.append(made)
        return made

    def frame(self, *, found: list[dict[str, Any]] | None = None) -> None:
        properties = [("schema", "1"), ("id", new_id()), ("captured-at", datetime.now(UTC).isoformat())]
        if found is not None:
            properties.append(("found", json.dumps({"task": FACES, "found": found})))
        topic = ThingTopic("porch", "front", "frame")
        self.device.session.publish(
            topic, FRAME, qos=1, properties=properties, content_type="image/jpeg"
        ).wait(10)

    def state(self, name: str) -> str:
        state = self.states.get(name)
        return state.state if state else "gone"

    def counts(self, name: str = "lobby") -> dict[str, int]:
        return next(one.frames for one in self.hub.desk.view().workflows if one.workflow == name)

    def ended(self, fates: dict[str, int], name: str = "lobby") -> None:
        wait_for(lambda: self.counts(name) == fates, what=f"{fates}, not {self.counts(name)}")

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()
        self.heard.stop()
        self.device.stop()
        self.hub.stop()


@pytest.fixture
def site(broker: Mosquitto, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(**workflows: WorkflowSpec) -> Site:
        made.append(Site(broker, tmp_path / "data", workflows))
        return made[0]

    yield make
    for one in made:
        one.stop()


def spec(**more: Any) -> WorkflowSpec:
    decision = {"rule": "who_may_be_here", "allowed": ["Ada"], "cooldown": 0}
    return WorkflowSpec.model_validate(
        {"cameras": {"porch/front": 20}, "decision": decision, "max_delay": 20, **more}
    )


def test_from_a_frame_to_an_alert(site: Callable[..., Site]) -> None:
    house = site(lobby=spec())
    coral = house.node("coral", serving=CLIPS, detect_objects=20, detect_faces=40)
    jetson = house.node("jetson", recognise_faces=30)
    wait_for(lambda: house.state("lobby") == "running", what="the workflow to run")
    assert coral.deployed == [FACES]
    wait_for(lambda: house.rates, what="the rate")
    assert house.rates == {"porch/front": "20"}
    first = pack("<128f", *([0.0] * 128))
    house.hub.people.add("Ada", jetson.embedder.sha256, jetson.embedder.name, [NewSample(first, 0.9)])
    house.frame()
    wait_for(lambda: len(house.events) == 2, what="an event, new and ended")
    known = house.events[0].after
    assert (known.identity, known.alert, known.workflow) == ("Ada", False, "lobby")
    jetson.person = 9.0
    house.frame()
    wait_for(lambda: len(house.events) == 4, what="an alert")
    alert = house.events[2].after
    assert (alert.identity, alert.alert) == (None, True)
    assert [job.task for job in coral.done] == [FACES, FACES]
    assert [job.found[0].box for job in jetson.done] == [BOX, BOX]
    house.ended({"received": 2, "decided": 2, "events": 2, "alerts": 1})
    with served(house.hub) as http:
        page = http.get("/api/workflows/lobby/events").json()
        assert [event["alert"] for event in page["events"]] == [True, False]
        picture = http.get(f"/api/events/{alert.id}/picture")
        assert picture.content == FRAME, "the frame itself, when the node sends no picture of the face"
        nodes = {node["worker"]: node for node in http.get("/api/nodes").json()}
        assert nodes["coral"]["serving"] == FACES
        assert nodes["jetson"]["temperature"] == 50
    wait_for(lambda: house.hub.frames.held == (0, 0), what="every frame's bytes to be forgotten")


def test_what_the_device_found_goes_to_the_feature_level(site: Callable[..., Site]) -> None:
    house = site(lobby=spec(measurement="device"))
    jetson = house.node("jetson", recognise_faces=30)
    wait_for(lambda: house.state("lobby") == "running", what="the workflow to run")
    house.frame(found=[])
    house.frame(found=[{"label": "face", "score": 0.8, "box": BOX}])
    house.ended({"received": 2, "nothing": 1, "decided": 1, "events": 1, "alerts": 1})
    assert [job.found[0].score for job in jetson.done] == [0.8]


def test_a_node_that_dies_is_replaced_and_its_frames_are_not_forgotten(site: Callable[..., Site]) -> None:
    house = site(lobby=spec(measurement="device"))
    first = house.node("a-jetson", recognise_faces=30)
    wait_for(lambda: house.state("lobby") == "running", what="the workflow to run")
    first.held.set()
    house.frame(found=[{"label": "face", "score": 0.8, "box": BOX}])
    wait_for(lambda: first.done, what="the frame to be at the node")
    house.node("b-jetson", recognise_faces=30)
    first.stop()
    house.nodes.remove(first)
    wait_for(lambda: house.state("lobby") == "running" and on(house) == {"b-jetson"}, what="it to move")
    house.frame(found=[{"label": "face", "score": 0.8, "box": BOX}])

    def over() -> bool:
        counts = house.counts()
        return counts["received"] == 2 and counts.get("decided", 0) >= 1 and "in_work" not in counts

    wait_for(over, what="an end")
    counts = house.counts()
    assert counts["received"] == 2 == counts["decided"] + counts.get("gone", 0) + counts.get("failed", 0)
    wait_for(lambda: house.hub.frames.held == (0, 0), what="every frame's bytes to be forgotten")


def on(house: Site) -> set[str]:
    state = house.states["lobby"]
    return {operator.node for operator in state.nodes} if state else set()


def test_a_workflow_asked_for_over_http_outlives_the_hub(site: Callable[..., Site]) -> None:
    house = site()
    body = {"id": "lobby", **spec(measurement="device").model_dump(mode="json")}
    with served(house.hub) as http:
        refused = http.post("/api/workflows", json=body)
        assert refused.status_code == 409
        assert refused.json()["workflow"]["capacity"] == {WHO: 0}
        house.node("jetson", recognise_faces=30)
        wait_for(lambda: len(http.get("/api/nodes").json()) == 1, what="the node")
        assert http.post("/api/workflows", json=body).status_code == 201
    wait_for(lambda: house.state("lobby") == "running", what="its state on the bus")
    house.restart()
    with served(house.hub) as http:
        wait_for(lambda: house.hub.desk.view().workflows[0].state == "running", what="it to run again")
        assert http.get("/api/workflows/lobby").json()["state"]["state"] == "running"
        ended = http.request("DELETE", "/api/workflows/lobby", headers={"Content-Type": "application/json"})
        assert ended.status_code == 204
    wait_for(lambda: house.states["lobby"] is None, what="its state to be cleared")
    wait_for(lambda: house.rates["porch/front"] == "0", what="the camera to be told")
    house.restart()
    assert house.hub.desk.view().workflows == ()


def test_what_an_earlier_run_left_on_the_bus_is_cleared(site: Callable[..., Site]) -> None:
    house = site(lobby=spec(measurement="device"))
    house.node("jetson", recognise_faces=30)
    wait_for(lambda: house.state("lobby") == "running", what="the workflow to run")
    wait_for(lambda: house.rates.get("porch/front") == "20", what="the rate")
    house.restart()
    wait_for(lambda: house.states["lobby"] is None, what="the state to be cleared")
    wait_for(lambda: house.rates["porch/front"] == "0", what="the rate to be taken back")


def test_a_restart_of_the_hub_is_calm(site: Callable[..., Site]) -> None:
    house = site(lobby=spec(measurement="device"))
    house.node("jetson", recognise_faces=30)
    wait_for(lambda: house.state("lobby") == "running", what="the workflow to run")
    wait_for(lambda: house.rates.get("porch/front") == "20", what="the rate")
    house.restart({"lobby": spec(measurement="device")}, gather=0.5)
    wait_for(lambda: {"20", "running"} <= set(house.said), what="the new hub to say what it wants")
    assert set(house.said) == {"20", "running"}, "neither camera nor subscribers hear of an end"


class served:
    """The hub's HTTP server, for as long as the block lasts."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def __enter__(self) -> httpx.Client:
        self._listener = listen("127.0.0.1", 0)
        self._server = HubServer(self.hub, HubSettings())
        sockets = {"sockets": [self._listener]}
        self._thread = threading.Thread(target=self._server.run, kwargs=sockets)
        self._thread.start()
        wait_for(lambda: self._server.started, what="the server")
        port = self._listener.getsockname()[1]
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)
        return self._client

    def __exit__(self, *error: object) -> None:
        self._client.close()
        self._server.should_exit = True
        self._thread.join(20)
        self._listener.close()
