"""A worker that reads meters as the test tells it, over a real broker."""

from __future__ import annotations

from collections.abc import Callable

from meerkat_contract.connection import Connection
from meerkat_contract.ids import new_id
from meerkat_contract.messages import (
    ROLL_CALL,
    Job,
    MeterSeen,
    ModelInfo,
    Result,
    TaskInfo,
    WorkerState,
    read,
)
from meerkat_contract.session import Incoming, Session, Will
from meerkat_contract.topics import WorkerTopic

Reads = Callable[[Job, bytes], MeterSeen | str]
"""What it sees, or why it cannot; None: it stays silent."""


class ScriptedReader:
    """`jobs` are those it got; `reads` answers each, and may be replaced."""

    def __init__(self, connection: Connection, reads: Reads, name: str = "reader") -> None:
        self.jobs: list[Job] = []
        self.reads = reads
        self.name = name
        self._incarnation = new_id()
        self._session = Session(
            connection,
            client_id=f"worker-{name}",
            will=Will(str(WorkerTopic(name, "state")), self._state(online=False)),
        )
        self._session.subscribe(WorkerTopic(name, "jobs"), self._job, join_parts=True)
        self._session.keep(WorkerTopic(name, "state"), self._state(online=True))
        self._session.start()
        self._session.wait_connected(10)

    def _state(self, *, online: bool) -> bytes:
        task = TaskInfo(task="read_meter", model=ModelInfo(name="meter"), frames_per_second=40, beside=True)
        return WorkerState(
            worker=self.name, incarnation=self._incarnation, online=online, tasks=(task,), window=4
        ).to_json()

    def _job(self, message: Incoming) -> None:
        job = read(Job, dict(message.properties)["job"].encode(), topic=message.topic)
        if job.task == ROLL_CALL:
            return
        self.jobs.append(job)
        said = self.reads(job, message.payload)
        result = Result(
            job=job.job,
            token=job.token,
            incarnation=self._incarnation,
            state="failed" if isinstance(said, str) else "done",
            reason=said if isinstance(said, str) else "",
            frames=1,
            seconds=0.02,
            model=ModelInfo(name="meter"),
            meter=None if isinstance(said, str) else said,
        )
        self._session.publish(WorkerTopic(self.name, "results"), result.to_json(), qos=1)

    def leave(self) -> None:
        """Say offline, and end."""
        self._session.keep(WorkerTopic(self.name, "state"), self._state(online=False))
        self._session.stop()
