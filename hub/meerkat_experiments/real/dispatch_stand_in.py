"""A stand-in for a worker: it holds each job for 1/capacity seconds and looks at nothing.

It speaks docs/reference/worker-protocol.md in full, so that a hub deals with it as with any other; it
says what it is in its state. `meerkat bench dispatch` runs it as a process of its own:

    python -m meerkat_experiments.real.dispatch_stand_in --name flo-1 --capacity 60 --task detect_objects

(MEERKAT_BROKER says where the broker is.) It offers as many tasks as are named, all at the same speed.
A job begins at the instant at which it arrived or the one before ended, whichever is later, and it ends
exactly 1/capacity later. That is a schedule in absolute times: that the system wakes the process a
little too late delays one answer, and no job that follows.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from meerkat_cli import lifeline
from meerkat_contract.connection import Connection, parse_broker_url
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Cancel, Deploy, Job, ModelInfo, Result, TaskInfo, WorkerState, read
from meerkat_contract.session import Incoming, Session, Will
from meerkat_contract.signals import told
from meerkat_contract.topics import HubTopic, WorkerTopic
from meerkat_inference.answers import Answers
from meerkat_inference.inbox import Assignment, Inbox

MODEL = ModelInfo(name="stand-in", engine="stand-in", fallback=True)


@dataclass(slots=True)
class Schedule:
    """When jobs begin and end, without a clock: the later of arrival and the end before, and so long."""

    seconds: float
    free: float = field(default=float("-inf"))
    """When the last job ends."""

    def next(self, received: float) -> tuple[float, float]:
        """(begin, end) of a job that arrived at `received`."""
        begin = max(received, self.free)
        self.free = begin + self.seconds
        return begin, self.free


class StandIn:
    """Start with `start()`, end with `stop()`."""

    def __init__(
        self,
        name: str,
        connection: Connection,
        capacity: float,
        tasks: Sequence[str],
        *,
        window: int = 64,
    ) -> None:
        self._name = name
        self._incarnation = new_id()
        self._seconds = 1 / capacity
        self._state = WorkerState(
            worker=name,
            incarnation=self._incarnation,
            online=True,
            tasks=tuple(TaskInfo(task=task, model=MODEL, frames_per_second=capacity) for task in tasks),
            window=window,
            ahead=True,
            hardware=f"stand-in: holds each job for 1/{capacity:g} s and looks at nothing",
        )
        self._offers = frozenset(tasks)
        self._inbox = Inbox(window, now=time.monotonic)
        self._worker = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._session = Session(
            connection,
            client_id=f"meerkat-worker-{name}",
            will=Will(self._topic("state"), self._offline()),
            on_connected=self._connected,
            on_disconnected=lambda _: self._inbox.taken_back(),
        )
        self._answers = Answers(
            lambda payload, metadata: self._session.publish(
                self._topic("results"), payload, qos=1, metadata=metadata
            )
        )

    def start(self) -> None:
        self._session.subscribe(self._topic("jobs"), self._take, join_parts=True)
        self._session.subscribe(self._topic("cancel"), self._cancel)
        self._session.subscribe(self._topic("deploy"), self._deploy)
        self._session.subscribe(HubTopic("availability"), lambda _: self._inbox.taken_back())
        self._session.keep(self._topic("state"), self._state.to_json())
        self._worker.start()
        self._session.start()

    def stop(self) -> None:
        for held in self._inbox.close():
            self._hand_back(held.job, "the stand-in is ending")
        self._worker.join(2 * self._seconds + 1)
        self._answers.wait_empty(2)
        self._session.keep(self._topic("state"), self._offline())
        self._session.stop()

    # --- the network thread -----------------------------------------------------------------------

    def _connected(self) -> None:
        self._answers.resend()

    def _take(self, message: Incoming) -> None:
        body = dict(message.properties).get("job", "")
        job = read(Job, body.encode(), topic=message.topic)
        if job.task not in self._offers:
            self._hand_back(job, f"this stand-in does not offer {job.task}")
        elif reason := self._inbox.put(job, message.payload):
            self._hand_back(job, reason)

    def _cancel(self, message: Incoming) -> None:
        held = self._inbox.cancel(read(Cancel, message.payload, topic=message.topic))
        if held is not None:
            self._hand_back(held.job, "the hub called it off")

    def _deploy(self, message: Incoming) -> None:
        order = read(Deploy, message.payload, topic=message.topic)
        for held in self._inbox.deploy(order):
            self._hand_back(held.job, f"this stand-in was told to serve {order.task}")

    # --- the job thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        schedule = Schedule(self._seconds)
        while (held := self._inbox.take()) is not None:
            if isinstance(held, Deploy):
                self._serve(held)
                continue
            if isinstance(held, str):  # asked to measure itself: there is nothing to measure
                continue
            begin, end = schedule.next(held.arrived)
            if (left := end - time.monotonic()) > 0:
                time.sleep(left)
            self._answer(held, begin)
            self._inbox.done()

    def _serve(self, order: Deploy) -> None:
        """There is nothing to load: it serves what it is told at once, or goes on as before."""
        if order.task in self._offers:
            self._state = self._state.model_copy(update={"serving": order.task})
            self._session.keep(self._topic("state"), self._state.to_json())
        for held in self._inbox.deployed(self._state.serving):
            self._hand_back(held.job, f"this stand-in serves {self._state.serving}")

    def _answer(self, held: Assignment, begin: float) -> None:
        job = self._inbox.settle()
        if held.called_off:
            self._hand_back(job, "the hub called it off")
            return
        if held.late(time.monotonic()):
            self._hand_back(job, f"its lease of {job.lease:g} s is over")
            return
        result = Result(
            job=job.job,
            token=job.token,
            incarnation=self._incarnation,
            state="done",
            model=MODEL,
            frames=1,
            seconds=self._seconds,
            waited=begin - held.arrived,
        )
        self._answers.send(result, job.captured_at)

    def _hand_back(self, job: Job, reason: str) -> None:
        result = Result(
            job=job.job,
            token=job.token,
            incarnation=self._incarnation,
            state="failed",
            reason=reason,
            retry=True,
            model=MODEL,
        )
        self._answers.send(result, job.captured_at)

    def _offline(self) -> bytes:
        return self._state.model_copy(update={"online": False}).to_json()

    def _topic(self, kind: str) -> str:
        return str(WorkerTopic(self._name, kind))


def main() -> int:
    """Serve until SIGTERM, SIGINT, or the end of who started us."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--name", required=True)
    parser.add_argument("--capacity", type=float, required=True, help="jobs a second")
    parser.add_argument("--task", action="append", required=True, help="repeatable")
    parser.add_argument("--window", type=int, default=64)
    options = parser.parse_args()
    lifeline.hold()
    connection = parse_broker_url(os.environ["MEERKAT_BROKER"], where="MEERKAT_BROKER")
    worker = StandIn(options.name, connection, options.capacity, options.task, window=options.window)
    ended = threading.Event()
    with told((signal.SIGTERM, signal.SIGINT), lambda _number: ended.set()):
        worker.start()
        ended.wait()
        worker.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
