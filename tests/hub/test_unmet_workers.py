"""A worker that has said that it is there, and does not listen yet: its frames are not lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from hub_support.orchestra import START
from hub_support.peers import FakeDevice
from meerkat_contract.ids import new_id
from meerkat_contract.messages import ROLL_CALL, Job, ModelInfo, Result, TaskInfo, WorkerState, read
from meerkat_contract.session import Delivery, Incoming, Session
from meerkat_contract.topics import ThingTopic, WorkerTopic
from meerkat_hub.adapters.desk import Desk
from meerkat_hub.adapters.frames import FrameStore
from meerkat_hub.adapters.workflow_bus import WorkflowBus
from meerkat_hub.application import Hub, build_hub
from meerkat_hub.core.inputs import Input, WorkerAbsent
from meerkat_hub.core.outputs import SendFrame
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import Policy, WorkflowSpec
from meerkat_hub.settings import HubSettings
from support.broker import Mosquitto
from support.wait import wait_for

FRAME = b"\xff\xd8 a frame \xff\xd9"
STATE = WorkerState(
    worker="stick",
    incarnation=new_id(),
    online=True,
    window=16,
    tasks=(TaskInfo(task="detect_objects", model=ModelInfo(name="m"), frames_per_second=60),),
)


# --- with which QoS -------------------------------------------------------------------------------


class Link:
    """Takes what is published, and says of each that nobody was there."""

    def __init__(self) -> None:
        self.qos: list[int] = []

    def publish(self, _topic: str, _payload: bytes, *, qos: int, **_: Any) -> Delivery:
        self.qos.append(qos)
        delivery = Delivery()
        delivery.nobody = qos == 1
        delivery.finish()
        return delivery


@pytest.mark.parametrize(("came", "confirm", "goes"), [(0, False, 0), (0, True, 1), (1, False, 1)])
def test_a_frame_goes_as_it_came_or_so_that_the_broker_says_who_had_it(
    came: int, confirm: bool, goes: int
) -> None:
    frames, link = FrameStore(), Link()
    happened: list[Input] = []
    bus = WorkflowBus(
        frames,
        Desk(lambda _: None),
        happened=happened.append,
        clock=lambda: Now(START, 0.0),
        new_id=new_id,
        address="",
    )
    bus.attach(cast(Session, link))
    frame = new_id()
    frames.put(frame, FRAME, came)
    job = Job(
        job=new_id(),
        token=7,
        task="detect_objects",
        device="porch",
        camera="front",
        media=frame,
        content_type="image/jpeg",
        captured_at=START,
        lease=3.0,
    )
    bus.send(SendFrame("stick", job, confirm=confirm))
    assert link.qos == [goes]
    assert happened == ([WorkerAbsent("stick", job.job, 7)] if goes else [])


# --- with a broker --------------------------------------------------------------------------------


@pytest.fixture
def hub(broker: Mosquitto, tmp_path: Path) -> Iterator[Hub]:
    """Of a workflow in which a frame may wait for long: nothing is won by leases that end."""
    spec = WorkflowSpec.model_validate(
        {
            "cameras": {"porch/front": 20},
            "measurement": "detect_objects",
            "feature": None,
            "decision": {"rule": "seen", "labels": ["person"]},
            "max_delay": 600,
        }
    )
    made = build_hub(
        tmp_path / "data",
        broker.connection,
        HubSettings(),
        policy=Policy(reserve=0),
        workflows={"walkers": spec},
    )
    made.start()
    try:
        yield made
    finally:
        made.stop()


def workers(hub: Hub) -> list[str]:
    """Those that are there."""
    return [node.worker for node in hub.desk.view().nodes if node.online]


def test_frames_that_reach_nobody_are_told_of_at_once_and_the_worker_has_some_when_it_is_there(
    broker: Mosquitto, hub: Hub
) -> None:
    camera = FakeDevice(broker.connection)
    looked: list[str] = []
    early = Session(broker.connection, client_id="early")
    early.start()
    early.wait_connected(10)
    wait_for(lambda: hub.live.connected, what="the hub")
    early.publish(WorkerTopic("stick", "state"), STATE.to_json(), qos=1, retain=True).wait(10)
    early.stop()
    wait_for(lambda: hub.desk.view().workflows[0].state == "running", what="it to run on what was said")

    def send() -> None:
        said = [("schema", "1"), ("id", new_id()), ("captured-at", datetime.now(UTC).isoformat())]
        topic = ThingTopic("porch", "front", "frame")
        camera.session.publish(topic, FRAME, properties=said, content_type="image/jpeg").wait(10)

    def counts() -> dict[str, int]:
        return dict(hub.desk.view().workflows[0].frames)

    for _ in range(4):
        send()
    wait_for(lambda: "stick" not in workers(hub), what="the broker's word that nobody listens")
    assert counts()["received"] > 0

    def look(message: Incoming) -> None:
        job = read(Job, dict(message.properties)["job"].encode())
        if job.task == ROLL_CALL:
            return
        looked.append(job.media)
        result = Result(
            job=job.job,
            token=job.token,
            incarnation=STATE.incarnation,
            state="done",
            frames=1,
            seconds=0.01,
            waited=0.0,
        )
        worker.publish(WorkerTopic("stick", "results"), result.to_json(), qos=1)

    worker = Session(broker.connection, client_id="worker-stick")
    worker.subscribe(WorkerTopic("stick", "jobs"), look)
    try:
        worker.start()
        worker.wait_subscribed(10)
        worker.keep(WorkerTopic("stick", "state"), STATE.to_json())

        def ended() -> bool:
            if not looked:
                send()  # what was sent before may be gone with the workflow's place
            return bool(looked) and not counts().get("in_work")

        wait_for(ended, seconds=10, what="the frames to be looked at")
        assert "failed" not in counts()
    finally:
        worker.stop()
        camera.stop()
