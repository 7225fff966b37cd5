"""One device that publishes n images at once, and a client that sees each answered.

Both are sessions of the process that measures, which the hub and the workers know nothing of.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from meerkat_contract.messages import CameraInfo, DeviceInfo, HubState, Result, WorkflowState, read
from meerkat_contract.session import Delivery, Incoming, Session
from meerkat_contract.topics import ANY, DeviceTopic, HubTopic, WorkerTopic, WorkflowTopic, parse

from .dispatch_carriers import Carrier
from .dispatch_site import DEVICE, Site, SiteError, cpu_of

CONNECT_SECONDS = 20.0
UNDER_WAY = 64
"""Images that the broker has not acknowledged yet; more wait in the device."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One batch. Times in seconds."""

    messages: int
    makespan: float
    """From the first image's publish to the last answer, as a client of the broker sees it."""
    served: dict[str, int]
    hub_cpu: float | None
    """Of the hub's process, user and system, per image; None where it cannot be read."""
    stand_in_cpu: float | None
    """Of the stand-ins together, per image, each of which is one message in and one out: what that costs on
    this machine now."""
    copies: int
    """Answers beyond the first to the same image."""
    failed: int
    """Answers that said that it failed; the hub gave the image to somebody else."""


class Source:
    """Open while a site runs: `start()`, `batch()` as often as you like, `stop()`."""

    def __init__(self, site: Site, carrier: Carrier) -> None:
        self._site = site
        self._carrier = carrier
        quiet = logging.getLogger("meerkat.bench.sessions")
        quiet.setLevel(logging.ERROR)  # what goes wrong here is raised, with more to it
        self._device = Session(site.connection(f"device-{DEVICE}"), client_id=f"device-{DEVICE}", log=quiet)
        self._client = Session(site.connection("client"), client_id="bench", log=quiet)
        self._changed = threading.Condition()
        self._answered: dict[str, float] = {}
        self._served: Counter[str] = Counter()
        self._copies = 0
        self._failed = 0
        self._hub = HubState()
        self._workflow: WorkflowState | None = None

    def start(self, workers: int) -> None:
        """Connect, and wait until the hub knows so many workers and its workflow runs.

        Raises BrokerError or SiteError.
        """
        cameras = tuple(CameraInfo(name=name) for name in self._carrier.cameras)
        info = DeviceInfo(device=DEVICE, cameras=cameras)
        self._client.subscribe(WorkerTopic(ANY, "results"), self._result)
        self._client.subscribe(HubTopic("state"), self._state)
        self._client.subscribe(WorkflowTopic(ANY, "state"), self._workflow_state)
        self._device.keep(DeviceTopic(DEVICE, "info"), info.to_json())
        for session in (self._device, self._client):
            session.start()
            session.wait_connected(CONNECT_SECONDS)
        self._client.wait_subscribed(CONNECT_SECONDS)
        self._await(lambda: self._hub.workers >= workers, CONNECT_SECONDS, "the hub does not see all workers")
        if self._carrier.workflow:
            self._await(self._workflow_runs, CONNECT_SECONDS, "the workflow does not run")

    def stop(self) -> None:
        self._device.stop(timeout=1)
        self._client.stop(timeout=1)

    def batch(self, messages: int, *, patience: float) -> Measured:
        """Publish so many at once and wait for the answers, `patience` seconds at most."""
        with self._changed:
            self._answered.clear()
            self._served.clear()
            self._copies = self._failed = 0
        hub, stand_ins = self._site.hub, self._site.stand_ins
        cpu, theirs = cpu_of([hub]), cpu_of(stand_ins)
        begun = time.monotonic()
        self._publish(messages, patience)
        self._await(lambda: len(self._answered) >= messages, patience, "images are not answered")
        self._await(lambda: not self._hub.backlog and not self._hub.jobs, patience, "the hub is not done")
        spent, spent_there = cpu_of([hub]), cpu_of(stand_ins)
        with self._changed:
            return Measured(
                messages,
                makespan=max(self._answered.values()) - begun,
                served=dict(self._served),
                hub_cpu=_each(cpu, spent, messages),
                stand_in_cpu=_each(theirs, spent_there, messages),
                copies=self._copies,
                failed=self._failed,
            )

    def idle(self, seconds: float) -> float | None:
        """The part of a core that the hub uses while nothing happens; None where it cannot be read."""
        before = self._site.hub.cpu_seconds()
        time.sleep(seconds)
        after = self._site.hub.cpu_seconds()
        return None if before is None or after is None else (after - before) / seconds

    def _publish(self, messages: int, patience: float) -> None:
        room = threading.Semaphore(UNDER_WAY)
        lost: list[Delivery] = []

        def done(delivery: Delivery) -> None:
            if delivery.error is not None:
                lost.append(delivery)
            room.release()

        most = self._carrier.most_waiting or messages
        for number in range(messages):
            room.acquire()
            if number >= most:
                self._await(
                    lambda sent=number: sent - len(self._answered) < most,  # type: ignore[misc]
                    patience,
                    "images are not answered",
                )
            self._carrier.publish(self._device, number).add_done_callback(done)
        for _ in range(UNDER_WAY):
            room.acquire()
        if lost:
            assert lost[0].error is not None
            raise lost[0].error

    def _result(self, message: Incoming) -> None:
        at = time.monotonic()
        topic = parse(message.topic)
        assert isinstance(topic, WorkerTopic)
        result = read(Result, message.payload, topic=message.topic)
        with self._changed:
            if result.state == "failed":
                self._failed += 1
            elif result.job in self._answered:
                self._copies += 1
            else:
                self._answered[result.job] = at
                self._served[topic.worker] += 1
            self._changed.notify_all()

    def _state(self, message: Incoming) -> None:
        with self._changed:
            self._hub = read(HubState, message.payload, topic=message.topic)
            self._changed.notify_all()

    def _workflow_state(self, message: Incoming) -> None:
        with self._changed:
            self._workflow = read(WorkflowState, message.payload, topic=message.topic)
            self._changed.notify_all()

    def _workflow_runs(self) -> bool:
        return self._workflow is not None and self._workflow.state == "running"

    def _await(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._changed.wait_for(condition, timeout=1):
                self._site.check()
                if (workflow := self._workflow) is not None and workflow.state == "refused":
                    raise SiteError(workflow.reason, where="the hub")
                if time.monotonic() > deadline:
                    hub = self._hub
                    fates = "".join(
                        f", {n} {fate}" for fate, n in (workflow.frames if workflow else {}).items()
                    )
                    raise SiteError(
                        f"{what} within {seconds:.0f} s: {len(self._answered)} answered, "
                        f"{self._failed} failed; at the hub {hub.backlog} clips wait, {hub.workers} workers "
                        f"have {sum(hub.jobs.values())} jobs{fates}",
                        where="bench",
                        remedy=f"The hub's last words: {self._site.hub.tail()}",
                    )


def _each(before: float | None, after: float | None, messages: int) -> float | None:
    return None if before is None or after is None else (after - before) / messages
