"""A device and a worker that speak the contract over a real broker, without cameras or models."""

from __future__ import annotations

import queue
from datetime import UTC, datetime
from typing import Any

from meerkat_contract.connection import Connection
from meerkat_contract.ids import new_id
from meerkat_contract.messages import (
    ROLL_CALL,
    CameraInfo,
    DeviceInfo,
    Job,
    MeterInfo,
    ModelInfo,
    Receipt,
    Result,
    TaskInfo,
    Track,
    WorkerState,
    read,
)
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming, Session, Will
from meerkat_contract.topics import DeviceTopic, ThingTopic, WorkerTopic
from support.wait import wait_for


class FakeDevice:
    """Publishes what the test gives it and keeps the receipts."""

    def __init__(self, connection: Connection, name: str = "porch", *, introduce: bool = True) -> None:
        self.name = name
        self.receipts: dict[str, list[Receipt]] = {}
        self.session = Session(connection, client_id=f"device-{name}")
        self.session.subscribe(DeviceTopic(name, "receipt"), self._receipt)
        self.session.start()
        self.session.wait_subscribed(10)
        if introduce:
            self.introduce()

    def introduce(self) -> None:
        info = DeviceInfo(
            device=self.name, cameras=(CameraInfo(name="front"),), meters=(MeterInfo(name="water"),)
        )
        self.session.keep(DeviceTopic(self.name, "info"), info.to_json())

    def _receipt(self, message: Incoming) -> None:
        receipt = read(Receipt, message.payload, topic=message.topic)
        self.receipts.setdefault(receipt.id, []).append(receipt)

    def send(self, payload: bytes, *, thing: str = "front", kind: str = "clip", **fields: Any) -> str:
        """Publish a clip or picture; returns its id."""
        values = {
            "id": new_id(),
            "captured_at": datetime.now(UTC),
            "content_type": "video/mp4" if kind == "clip" else "image/jpeg",
            **fields,
        }
        metadata = Metadata.model_validate(values)
        topic = ThingTopic(self.name, thing, kind)
        self.session.publish(topic, payload, qos=1, retain=kind == "picture", metadata=metadata).wait(10)
        return metadata.id

    def receipt(self, media_id: str, *, seconds: float = 20) -> Receipt:
        """The first receipt for it."""
        return wait_for(lambda: self.receipts.get(media_id, []), seconds=seconds, what="the receipt")[0]

    def stop(self) -> None:
        self.session.stop()


class FakeWorker:
    """Announces itself and keeps its jobs until the test answers them."""

    def __init__(self, connection: Connection, name: str = "cpu", *, window: int = 4) -> None:
        self.name = name
        self.incarnation = new_id()
        self.jobs: queue.Queue[tuple[Job, bytes]] = queue.Queue()
        self.session = Session(
            connection,
            client_id=f"worker-{name}",
            will=Will(str(WorkerTopic(name, "state")), self._state(False, window)),
        )
        self.session.subscribe(WorkerTopic(name, "jobs"), self._job, join_parts=True)
        self.session.keep(WorkerTopic(name, "state"), self._state(True, window))
        self.session.start()
        self.session.wait_subscribed(10)

    def _state(self, online: bool, window: int) -> bytes:
        task = TaskInfo(task="detect_objects", model=ModelInfo(name="fake"), frames_per_second=50)
        return WorkerState(
            worker=self.name, incarnation=self.incarnation, online=online, tasks=(task,), window=window
        ).to_json()

    def _job(self, message: Incoming) -> None:
        job = read(Job, dict(message.properties)["job"].encode(), topic=message.topic)
        if job.task != ROLL_CALL:
            self.jobs.put((job, message.payload))

    def job(self, *, seconds: float = 20) -> tuple[Job, bytes]:
        return self.jobs.get(timeout=seconds)

    def answer(self, job: Job, *tracks: Track, state: str = "done", reason: str = "") -> None:
        result = Result(
            job=job.job,
            token=job.token,
            incarnation=self.incarnation,
            state=state,
            reason=reason,
            frames=25,
            seconds=0.5,
            model=ModelInfo(name="fake"),
            tracks=tracks,
        )
        self.session.publish(WorkerTopic(self.name, "results"), result.to_json(), qos=1).wait(10)

    def stop(self) -> None:
        self.session.stop()
