"""A house with a slow worker and an emulated cloud: everything a process of its own, except the worker."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cloud_support import frail_worker
from hub_support.peers import FakeDevice
from meerkat_cloud_burst.emulated.emulator import Emulator
from meerkat_cloud_burst.emulated.instances import LocalInstances
from meerkat_cloud_burst.emulated.stack import REGION, client, credentials
from meerkat_contract.ids import new_id
from meerkat_contract.messages import (
    ROLL_CALL,
    BurstState,
    HubState,
    Job,
    ModelInfo,
    Outcome,
    Result,
    TaskInfo,
    WorkerState,
    read,
)
from meerkat_contract.session import Incoming, Session, Will
from meerkat_contract.topics import ANY, CameraTopic, HubTopic, WorkerTopic
from support.broker import Mosquitto, free_port
from support.processes import Program
from support.wait import wait_for

MODEL = "hog-people"
LONGEST_HOLD = 8.0
"""Seconds for each of the two clips that the house's worker holds; a lease lasts half a minute at least."""
SAMPLED = 5.0
"""Frames of a second of clip that are looked at."""


@dataclass(frozen=True, slots=True)
class Times:
    """In seconds. `clip` is what the house's worker needs for one; `media` what there is to see in it."""

    clip: float = 0.8
    media: float = 2.0
    tick: float = 1.0
    grace: float = 3.0
    boot: float = 2.0
    cloud_clip: float = 2.0
    deadline: float = 4.0
    gain: float = 1.0
    visibility: float = 3.0
    notice: float = 3.0
    outage: float = 1.0
    timeout: float = 60.0

    def settings(self, endpoint: str) -> str:
        """meerkat.yaml of the hub. It is JSON, which YAML understands."""
        burst = {
            "enabled": True,
            "region": REGION,
            "endpoint": endpoint,
            "policy": {"kind": "drain", "deadline": self.deadline, "gain": self.gain},
            "max_instances": 2,
            "tick": self.tick,
            "boot": self.boot,
            "clip_seconds": self.cloud_clip,
            "idle_grace": self.grace,
            "timeout": self.timeout,
            "model": MODEL,
            "cameras": {"porch/cellar": "always"},
        }
        return json.dumps({"burst": burst}, indent=1) + "\n"


class SlowWorker:
    """The house's own worker, who needs its time for each clip and finds nothing in it.

    A clip with the mark of the poison it cannot do either.
    """

    def __init__(self, broker: Mosquitto, times: Times) -> None:
        self._seconds = times.clip
        self._incarnation = new_id()
        self._ending = threading.Event()
        self.done: list[str] = []
        self.may: Callable[[], bool] = lambda: True
        """Whether it takes up a clip at once: it knows no load, and the cloud is slow on a busy machine."""
        rate = times.media * SAMPLED / times.clip
        will = Will(str(WorkerTopic("house", "state")), self._state(False, rate))
        self._session = Session(broker.connection, client_id="worker-house", will=will)
        self._session.subscribe(WorkerTopic("house", "jobs"), self._take, join_parts=True)
        self._session.keep(WorkerTopic("house", "state"), self._state(True, rate))
        self._jobs: list[tuple[Job, bytes]] = []
        self._bell = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="house", daemon=True)

    def start(self) -> None:
        self._session.start()
        self._session.wait_connected(10)
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        with self._bell:
            self._bell.notify_all()
        self._thread.join(10)
        self._session.stop()

    def _state(self, online: bool, rate: float) -> bytes:
        task = TaskInfo(task="detect_objects", model=ModelInfo(name="slow"), frames_per_second=rate)
        state = WorkerState(
            worker="house", incarnation=self._incarnation, online=online, tasks=(task,), window=2
        )
        return state.to_json()

    def _take(self, message: Incoming) -> None:
        job = read(Job, dict(message.properties)["job"].encode(), topic=message.topic)
        if job.task == ROLL_CALL:
            return
        with self._bell:
            self._jobs.append((job, message.payload))
            self._bell.notify_all()

    def _hold_back(self) -> None:
        until = time.monotonic() + LONGEST_HOLD
        while not self.may() and time.monotonic() < until:
            if self._ending.wait(0.05):
                return

    def _work(self) -> None:
        while True:
            with self._bell:
                self._bell.wait_for(lambda: self._jobs or self._ending.is_set())
                if self._ending.is_set():
                    return
                job, payload = self._jobs.pop(0)
            self._hold_back()
            self._ending.wait(self._seconds)
            poison = frail_worker.POISON in payload
            result = Result(
                job=job.job,
                token=job.token,
                incarnation=self._incarnation,
                state="failed" if poison else "done",
                reason="the clip breaks the decoder" if poison else "",
                retry=poison,
                frames=10,
                seconds=self._seconds,
                model=ModelInfo(name="slow"),
            )
            if not poison:
                self.done.append(job.job)
            self._session.publish(WorkerTopic("house", "results"), result.to_json(), qos=1)


class Listener:
    """What the hub says on the bus, over its restarts."""

    def __init__(self, broker: Mosquitto) -> None:
        self.outcomes: defaultdict[str, list[Outcome]] = defaultdict(list)
        self.states: list[HubState] = []
        self._session = Session(broker.connection, client_id="listener")
        self._session.subscribe(CameraTopic(ANY, ANY, "outcome"), self._outcome)
        self._session.subscribe(HubTopic("state"), self._state)

    def start(self) -> None:
        self._session.start()
        self._session.wait_subscribed(10)

    def stop(self) -> None:
        self._session.stop()

    @property
    def burst(self) -> BurstState:
        """The latest; an empty one before the first."""
        return (self.states[-1].burst if self.states else None) or BurstState()

    def ever(self, name: str) -> set[Any]:
        """All values that a field of BurstState has had."""
        return {getattr(state.burst, name) for state in list(self.states) if state.burst is not None}

    def _outcome(self, message: Incoming) -> None:
        outcome = read(Outcome, message.payload, topic=message.topic)
        self.outcomes[outcome.id].append(outcome)

    def _state(self, message: Incoming) -> None:
        self.states.append(read(HubState, message.payload, topic=message.topic))


class Site:
    """`with Site(folder, Times()) as site`: all of it runs, and all of it has ended afterwards."""

    def __init__(self, folder: Path, times: Times) -> None:
        self.times = times
        self.folder = folder
        self.broker = Mosquitto(folder / "broker")
        self.emulator = Emulator(
            folder / "cloud",
            *("--parameter", f"IdleGrace={times.grace:.0f}", "--parameter", f"Model={MODEL}"),
            port=free_port(),  # taken off the network it must not lose it to an outgoing connection
        )
        self.said: list[tuple[str, str]] = []
        self.data = folder / "data"

    def __enter__(self) -> Self:
        self.broker.start()
        self.emulator.start()
        config = self.folder / "meerkat.yaml"
        config.write_text(self.times.settings(self.emulator.endpoint))
        self.hub = Program(
            "hub",
            ["hub", "--http-port", str(free_port()), "--data", str(self.data), "--config", str(config)],
            connection=self.broker.connection,
            folder=self.folder,
            environment=credentials(),
        )
        self.machines = LocalInstances(
            self.emulator.endpoint,
            self.emulator.stack.group,
            environment={
                **self.emulator.stack.environment,
                "MEERKAT_BURST_VISIBILITY": f"{self.times.visibility:g}",
            },
            command=frail_command(self.folder),
            notice=self.times.notice,
            say=self._say,
        )
        self.listener = Listener(self.broker)
        self.worker = SlowWorker(self.broker, self.times)
        self.hub.start()
        self.machines.start()
        self.listener.start()
        self.worker.start()
        wait_for(lambda: self.listener.states, seconds=60, what=f"the hub's first state\n{self.hub.text()}")
        self.device = FakeDevice(self.broker.connection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.device.stop()
        self.worker.stop()
        self.listener.stop()
        self.hub.kill()
        self.machines.stop()
        self.emulator.stop()
        self.broker.stop()

    def _say(self, instance: str, line: str) -> None:
        self.said.append((instance, line))

    def told(self, beginning: str) -> list[tuple[str, str]]:
        """What the workers said that begins so: instance and line."""
        return [(instance, line) for instance, line in list(self.said) if line.startswith(beginning)]

    def cloud(self, service: str) -> Any:
        """A bare client, for what a test does behind the product's back."""
        return client(self.emulator.endpoint, service)

    def story(self) -> str:
        """For a test that fails."""
        lines = "\n".join(f"{instance}: {line}" for instance, line in self.said[-60:])
        return f"{self.hub.text()[-6000:]}\n--- workers\n{lines}\n--- {self.listener.burst}"


def frail_command(folder: Path) -> tuple[str, ...]:
    return sys.executable, str(Path(frail_worker.__file__)), str(folder)
