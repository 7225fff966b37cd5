"""Workflows on the bus: frames in; their jobs, orders to nodes and cameras, and how they stand, out."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import get_args

from meerkat_contract.errors import BadMessage
from meerkat_contract.frame_region import PROPERTY, parse_region
from meerkat_contract.ids import format_time, is_id
from meerkat_contract.messages import Box, FrameFindings, read
from meerkat_contract.metadata import Trigger
from meerkat_contract.session import Delivery, Incoming, Session
from meerkat_contract.topics import ANY, SettingTopic, ThingTopic, WorkerTopic, WorkflowTopic, parse
from meerkat_hub.core.inputs import Input, MediaLost, SendFailed, WorkerAbsent
from meerkat_hub.core.outputs import SendFrame
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import (
    AnswerRequest,
    ClearLeftovers,
    DeployTask,
    ForgetFrame,
    FrameArrived,
    PublishWorkflow,
    SetFrameRate,
    ShowWorkflows,
    WorkflowEffect,
)

from .desk import Desk
from .frames import FrameStore
from .live import Change

log = logging.getLogger("meerkat.hub")

MAX_FRAME = 8 * 1024 * 1024
"""Bytes; no picture of a camera is larger."""

_PLAIN = frozenset({"schema", "id", "captured-at", "trigger", "found", PROPERTY})
_PLAIN_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
"""As `format_time` writes it."""

_TRIGGERS = get_args(Trigger)
_TYPES = ("image/jpeg", "")


class WorkflowBus:
    def __init__(
        self,
        frames: FrameStore,
        desk: Desk,
        *,
        happened: Callable[[Input], None],
        clock: Callable[[], Now],
        new_id: Callable[[], str],
        address: str,
        tell: Callable[[Change], None] = lambda _change: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`address` of the hub's HTTP server, where nodes fetch models; empty when it has none.

        `tell` lets the page know. `monotonic` is what `clock` has of it, read for each frame in an eighth of
        the time.
        """
        self._frames = frames
        self._desk = desk
        self._happened = happened
        self._clock = clock
        self._new_id = new_id
        self._address = address
        self._tell = tell
        self._monotonic = monotonic
        self._session: Session | None = None
        self._nobody: Callable[[str], None] = lambda _worker: None
        self._lock = threading.Lock()
        """Of what follows: the network thread hears, the hub's thread speaks."""
        self._said: set[str] = set()
        """Workflows whose state this hub has published."""
        self._asked: dict[str, bytes] = {}
        """Cameras' topics on which this hub has asked for frames, and for how many a second."""
        self._planned = False
        """Whether it is known what this run wants. Before, what an earlier one said is left alone."""
        self._left: set[str] = set()
        """Topics of workflows and cameras on which an earlier run has said something."""

    def attach(self, session: Session, nobody: Callable[[str], None] = lambda _worker: None) -> None:
        """Speak through this session from now on. What is retained is said when it connects.

        `nobody` hears of a worker for whom a job found nobody.
        """
        self._session, self._nobody = session, nobody

    def subscribe(self) -> None:
        self._out.subscribe(ThingTopic(ANY, ANY, "frame"), self._frame, qos=1)
        self._out.subscribe(WorkflowTopic(ANY, "state"), self._state)
        self._out.subscribe(SettingTopic(ANY, ANY, "frames", "set"), self._rate)

    @property
    def _out(self) -> Session:
        assert self._session is not None, "attach comes first"
        return self._session

    # --- in -------------------------------------------------------------------------------------

    def _frame(self, message: Incoming) -> None:
        """A JPEG; any subscriber may send one: without an id or a time it gets them here."""
        topic = parse(message.topic)
        assert isinstance(topic, ThingTopic)
        if not message.payload:
            return
        came = self._monotonic()
        if len(message.payload) > MAX_FRAME:
            raise BadMessage(
                f"a frame of {len(message.payload)} bytes",
                where=message.topic,
                remedy=f"Send at most {MAX_FRAME}: a smaller picture, or a lower quality",
            )
        findings: FrameFindings | None = None
        region: Box | None = None
        frame, captured_at, said = "", None, dict(message.properties)
        if said:
            if "found" in said:
                findings = read(FrameFindings, said["found"].encode(), topic=message.topic)
            if PROPERTY in said:
                region = parse_region(said[PROPERTY], topic=message.topic)
            frame, captured_at, as_said = identity(message, said)
        else:
            as_said = ""
        frame = frame or self._new_id()
        if not self._frames.put(frame, message.payload, message.qos, as_said):
            return
        self._happened(
            FrameArrived(
                frame,
                topic.device,
                topic.thing,
                captured_at or self._clock().wall,
                len(message.payload),
                message.content_type or "image/jpeg",
                None if findings is None else findings.found,
                "" if findings is None else findings.task,
                None if findings is None else findings.model,
                region,
                came,
            )
        )

    def _state(self, message: Incoming) -> None:
        """A retained state of a workflow that an earlier run had, and this one has not, is cleared."""
        topic = parse(message.topic)
        assert isinstance(topic, WorkflowTopic)
        with self._lock:
            if message.payload and topic.workflow not in self._said:
                self._leftover(message.topic)

    def _rate(self, message: Incoming) -> None:
        """What a camera is asked for is the hub's to say; another wish, old or new, is taken back."""
        with self._lock:
            asked = self._asked.get(message.topic)
            if message.payload == (asked or b"0") or (asked is None and not message.payload):
                return
            if asked is None:
                self._leftover(message.topic)
                return
            wish = message.payload[:20].decode(errors="replace")
            log.info("%s: another wish, %r; the hub asks for %s again", message.topic, wish, asked.decode())
            self._out.publish(message.topic, asked, qos=1, retain=True)

    def _leftover(self, topic: str) -> None:
        """Something is said that this run has not said."""
        if self._planned:
            self._clear(topic)
        else:
            self._left.add(topic)

    def _clear(self, topic: str) -> None:
        """Take back what was said on this topic of a workflow or of a camera."""
        if isinstance(parse(topic), WorkflowTopic):
            log.info("%s, of an earlier run, is cleared", topic)
            self._out.keep(topic, b"")
        else:
            self._asked[topic] = b"0"
            self._out.keep(topic, b"0")

    def _clear_leftovers(self, effect: ClearLeftovers) -> None:
        """The core, which may be the second one in this process, has made its first plan."""
        self._planned = True
        stays = {str(WorkflowTopic(name, "state")) for name in effect.workflows}
        stays |= {_rate_topic(*camera.split("/")) for camera in effect.cameras}
        said = {str(WorkflowTopic(name, "state")) for name in self._said}
        asked = {topic for topic, rate in self._asked.items() if rate != b"0"}
        for topic in sorted((self._left | said | asked) - stays):
            self._clear(topic)
        self._left.clear()
        self._said &= effect.workflows

    # --- out ------------------------------------------------------------------------------------

    def send(self, effect: SendFrame) -> None:
        """Send a job with its frame's bytes; the frame came and goes with the same QoS.

        Of QoS 0 the broker does not say whether it had anybody for it. A worker that nobody has heard of
        since the broker came may not be there yet, though its state is: what it is sent has QoS 1.
        """
        job = effect.job
        stored = self._frames.get(job.media)
        if stored is None:
            self._happened(MediaLost(job.job, "its bytes are gone"))
            return
        delivery = self._out.publish(
            _jobs_topic(effect.worker),
            stored.payload,
            qos=1 if effect.confirm else stored.qos,
            content_type=job.content_type,
            properties=[
                ("schema", "1"),
                ("id", job.job),
                ("captured-at", stored.captured_at or format_time(job.captured_at)),
                ("trigger", "frame"),
                ("job", job.to_json().decode()),
            ],
        )

        def done(delivery: Delivery) -> None:
            if delivery.nobody:
                self._happened(WorkerAbsent(effect.worker, job.job, job.token))
                self._nobody(effect.worker)
            elif delivery.error is not None:
                self._happened(SendFailed(job.job, job.token, str(delivery.error)))

        delivery.add_done_callback(done)

    def carry_out(self, effect: WorkflowEffect) -> None:
        match effect:
            case ForgetFrame(frame=frame):
                self._frames.forget(frame)
            case DeployTask(worker=worker, deploy=deploy):
                order = deploy.model_copy(update={"address": self._address})
                self._out.publish(WorkerTopic(worker, "deploy"), order.to_json(), qos=1)
            case SetFrameRate(device=device, camera=camera, frames_per_second=rate):
                topic, wish = _rate_topic(device, camera), f"{rate:g}".encode()
                with self._lock:
                    self._asked[topic] = wish
                    self._out.keep(topic, wish)
            case ClearLeftovers():
                with self._lock:
                    self._clear_leftovers(effect)
            case PublishWorkflow(name=name, state=state):
                payload = b"" if state is None else state.to_json()
                with self._lock:
                    if state is None:
                        self._said.discard(name)
                    else:
                        self._said.add(name)
                    self._out.keep(WorkflowTopic(name, "state"), payload, content_type="application/json")
                self._tell(Change("workflow", payload=payload))
            case AnswerRequest() | ShowWorkflows():
                self._desk.answered(effect)


def identity(message: Incoming, said: Mapping[str, str]) -> tuple[str, datetime, str]:
    """A frame's id and when it was taken, that also as it was said if `format_time` would say it so.

    What nearly every frame says is looked at here, in a fifth of the time; what says more, or something
    else, is validated in full. `said` are the message's properties. Raises BadMessage.
    """
    frame, taken = said.get("id", ""), said.get("captured-at", "")
    if (
        said.keys() <= _PLAIN
        and said.get("schema") == "1"
        and said.get("trigger", "frame") in _TRIGGERS
        and message.content_type in _TYPES
        and is_id(frame)
        and _PLAIN_TIME.fullmatch(taken)
    ):
        try:
            return frame, datetime.fromisoformat(taken), taken
        except ValueError:
            pass  # no such day, as the validation says too
    metadata = message.metadata()
    return metadata.id, metadata.captured_at, ""


@lru_cache(maxsize=1024)
def _jobs_topic(worker: str) -> str:
    return str(WorkerTopic(worker, "jobs"))


def _rate_topic(device: str, camera: str) -> str:
    return str(SettingTopic(device, camera, "frames", "set"))
