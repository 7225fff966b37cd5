"""The hub on the bus: what it listens to, and how its effects are carried out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from meerkat_cloud_burst.news import BurstAsked, CloudEffect
from meerkat_contract.connection import Connection
from meerkat_contract.errors import BadMessage, MeerkatError, MessageTooLarge
from meerkat_contract.messages import (
    Cancel,
    DeviceInfo,
    ErrorReport,
    HubState,
    Job,
    Result,
    WorkerState,
    read,
)
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Delivery, Incoming, Session, Will
from meerkat_contract.topics import (
    ANY,
    DeviceTopic,
    HubSettingTopic,
    HubTopic,
    SettingTopic,
    ThingTopic,
    WorkerTopic,
    parse,
)
from meerkat_hub.clock import now
from meerkat_hub.core.cloud_records import ShowBurst
from meerkat_hub.core.inputs import (
    BusChanged,
    CamerasTold,
    Input,
    MediaLost,
    ResultArrived,
    SendFailed,
    WorkerAbsent,
    WorkerSeen,
)
from meerkat_hub.core.meter_records import AnswerMeter, SendPicture, ShowMeters
from meerkat_hub.core.outputs import (
    CallWorker,
    CancelJob,
    Effect,
    KeepState,
    SendFrame,
    SendJob,
    SendReceipt,
)
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import ForgetFrame
from meerkat_hub.turn import Actions
from meerkat_hub.turn_work import cameras_of

from .announcer import Announcer
from .event_pictures import EventPictures
from .ingest import Ingest
from .live import MAX_PICTURE, Change, Live, LivePicture
from .media import MediaFolder, suffix_of
from .roll_call import RollCall
from .sleepers import SleepWatch
from .store import Store
from .wired import Wired
from .worker_calls import CALL, WorkerCalls
from .workflow_bus import WorkflowBus

log = logging.getLogger("meerkat.hub")

DURABLE = ("schedule", "start", "command")
"""Triggers of pictures that are kept, rather than shown until the next one comes."""


_OWN = (
    SendReceipt
    | KeepState
    | CancelJob
    | CallWorker
    | SendJob
    | SendPicture
    | SendFrame
    | AnswerMeter
    | ShowMeters
    | ShowBurst
)
"""Effects that neither workflows nor the cloud know anything of."""

WAIT_STEP = 10
"""Seconds by which the oldest wait has to change to be told for itself."""

SWITCH: dict[bytes, Literal["on", "off", "stop"]] = {b"ON": "on", b"OFF": "off", b"STOP": "stop"}
"""What meerkat/hub/burst/set takes."""


class Service(Protocol):
    """Who takes what the bus says, on the network thread."""

    def happened(self, happened: Input) -> None: ...

    def confirm(self, seq: int, error: MeerkatError | None) -> None: ...


class HubBus:
    """Connects the hub's service to the broker."""

    def __init__(
        self,
        connection: Connection,
        *,
        service: Service,
        ingest: Ingest,
        store: Store,
        media: MediaFolder,
        live: Live,
        software: str,
        page: str,
        workflows: WorkflowBus | None = None,
        answer: Callable[[AnswerMeter | ShowMeters | ShowBurst], None] = lambda _answer: None,
        cloud: Callable[[CloudEffect], None] | None = None,
        clock: Callable[[], Now] = now,
        make_session: Callable[..., Session] = Session,
    ) -> None:
        """`answer` takes what the core answers to questions about meters and the cloud burst; `cloud` carries
        out what is asked of the cloud, where there is one."""
        self._service = service
        self._answer = answer
        self._cloud = cloud
        self._ingest = ingest
        self._store = store
        self._media = media
        self._live = live
        self._workflows = workflows
        self._clock = clock
        self._about = {"software": software, "page": page}
        self._state: HubState | None = None
        self.session = make_session(
            connection,
            client_id="meerkat-hub",
            will=Will(str(HubTopic("availability")), b"offline"),
            persistent=True,
            on_connected=self._connected,
            on_disconnected=self._disconnected,
        )
        self.asleep = SleepWatch(self.session, live)
        self.roll_call = RollCall(self.session, live)
        self.calls = WorkerCalls(self.session, service.happened, clock)
        self._wired = Wired(self.session, live)
        if workflows is not None:
            workflows.attach(self.session, self.calls.nobody)
        pictures = EventPictures(store, media)
        self._announcer = Announcer(self.session, pictures.read, service.confirm, lambda: clock().mono)

    def actions(self) -> Actions:
        return Actions(
            carry_out=self._carry_out,
            announce=self._announcer.add,
            announce_again=self._announcer.reset,
            confirmed=self._announcer.confirmed,
            pump=self._announcer.pump,
            publish_state=self._publish_state,
            recovered=self._recovered,
            together=self.session.together,
        )

    def start(self) -> None:
        subscribe = self.session.subscribe
        subscribe(DeviceTopic(ANY, "info"), self._info)
        subscribe(DeviceTopic(ANY, "availability"), self._availability)
        subscribe(DeviceTopic(ANY, "error"), self._error)
        subscribe(WorkerTopic(ANY, "state"), self._worker)
        subscribe(WorkerTopic(ANY, "results"), self._result, join_parts=True)
        if self._workflows is not None:
            self._workflows.subscribe()
        subscribe(ThingTopic(ANY, ANY, "motion"), self._motion)
        self._wired.subscribe()
        subscribe(HubSettingTopic(ANY, "set"), self._switched)
        handlers = {"picture": self._picture, "clip": self._ingest.take, "seen": self._ingest.take}
        for kind, handler in handlers.items():
            subscribe(
                ThingTopic(ANY, ANY, kind),
                handler,
                auto_ack=False,
                join_parts=True,
                on_refused=self._ingest.refuse,
            )
        self.session.keep(HubTopic("availability"), b"online")
        self.session.start()

    def stop(self) -> None:
        self.session.keep(HubTopic("availability"), b"offline")
        self.session.stop()

    # --- connection -----------------------------------------------------------------------------

    def _connected(self) -> None:
        self._live.connected = True
        self._live.tell(Change("hub"))
        self._service.happened(BusChanged(up=True))

    def _disconnected(self, reason: str) -> None:
        del reason  # the session has said it in the log
        self._live.connected = False
        self._live.tell(Change("hub"))
        self._service.happened(BusChanged(up=False))

    # --- what others say ------------------------------------------------------------------------

    def _info(self, message: Incoming) -> None:
        topic = parse(message.topic)
        assert isinstance(topic, DeviceTopic)
        if not message.payload:
            self._live.devices.pop(topic.device, None)
            self._live.errors.forgotten(topic.device)
            self._store.forget_device(topic.device)
            self._service.happened(CamerasTold(topic.device))
            self.asleep.forgotten(topic.device)
            self.roll_call.forgotten(topic.device)
            self._live.tell(Change("device", topic.device))
            return
        info = read(DeviceInfo, message.payload, topic=message.topic)
        if info.device != topic.device:
            raise BadMessage(
                f"it says that it is {info.device}",
                where=message.topic,
                remedy="A device publishes on its own topics",
            )
        self.asleep.described(info)
        if self._live.devices.get(topic.device) != info:
            self._live.devices[topic.device] = info
            self._store.save_device(info, self._clock().wall)
            self._service.happened(cameras_of(info))
            self._live.tell(Change("device", topic.device, payload=message.payload))

    def _availability(self, message: Incoming) -> None:
        topic = parse(message.topic)
        assert isinstance(topic, DeviceTopic)
        word = message.payload.decode(errors="replace")
        if word not in ("online", "offline", "asleep", ""):
            raise BadMessage(
                f"{word[:40]!r} is no availability", where=message.topic, remedy="online, offline or asleep"
            )
        self.asleep.told(topic.device, word, self._clock())
        self.roll_call.told(topic.device, word, self._clock(), news=not message.retain)
        if self._live.availability.get(topic.device) != word:
            self._live.availability[topic.device] = word
            log.info("device %s is %s", topic.device, word or "forgotten")
            self._live.tell(Change("device", topic.device))

    def _error(self, message: Incoming) -> None:
        topic = parse(message.topic)
        assert isinstance(topic, DeviceTopic)
        report = read(ErrorReport, message.payload, topic=message.topic)
        news = self._live.errors.add(topic.device, report)
        where = f"{report.where}: " if report.where else ""
        if not news:
            log.debug("device %s reports again: %s%s", topic.device, where, report.what or "all is well")
        elif report.what:
            log.warning("device %s reports: %s%s. %s", topic.device, where, report.what, report.remedy)
        else:
            log.info("device %s reports: %sall is well again", topic.device, where)
        self._live.tell(Change("device", topic.device))

    def _worker(self, message: Incoming) -> None:
        topic = parse(message.topic)
        assert isinstance(topic, WorkerTopic)
        if not message.payload:
            self.roll_call.worker_gone(topic.worker)
            self.calls.forgotten(topic.worker)
            self._live.tell(Change("worker"))
            return
        state = read(WorkerState, message.payload, topic=message.topic)
        if state.worker != topic.worker:
            raise BadMessage(
                f"it says that it is {state.worker}",
                where=message.topic,
                remedy="A worker publishes on its own topics",
            )
        if not self.calls.heard(state, message):
            return
        known = self._live.workers.get(state.worker)
        if known is None or state.online or known.incarnation == state.incarnation:
            self._live.workers[state.worker] = state
        self.roll_call.worker(state.worker, online=state.online, now=self._clock())
        self._service.happened(WorkerSeen(state))
        self._live.tell(Change("worker", payload=message.payload))

    def _result(self, message: Incoming) -> None:
        topic = parse(message.topic)
        assert isinstance(topic, WorkerTopic)
        result = read(Result, message.payload, topic=message.topic)
        if result.job == CALL:
            self.calls.spoke(topic.worker, result.incarnation)
            return
        self._service.happened(ResultArrived(topic.worker, result))

    def command(self, device: str, thing: str, setting: str, payload: bytes) -> Delivery:
        """Set something of a device. `nobody` of the delivery says that the device is away."""
        return self.session.publish(SettingTopic(device, thing, setting, "set"), payload, qos=1)

    def _switched(self, message: Incoming) -> None:
        topic = parse(message.topic)
        asked = SWITCH.get(bytes(message.payload))
        if topic != HubSettingTopic("burst", "set") or message.retain or asked is None:
            raise BadMessage(
                "it says nothing that the hub can be told",
                where=message.topic,
                remedy="meerkat/hub/burst/set takes ON, OFF and STOP, not retained",
            )
        self._service.happened(BurstAsked(asked, by="a message"))

    def _motion(self, message: Incoming) -> None:
        topic = parse(message.topic)
        assert isinstance(topic, ThingTopic)
        self._live.motion[topic.device, topic.thing] = message.payload == b"ON"
        self._live.tell(Change("motion", topic.device, topic.thing, message.payload))

    def _picture(self, message: Incoming) -> None:
        """A camera's latest picture stays in memory; a meter's is kept for good."""
        topic = parse(message.topic)
        assert isinstance(topic, ThingTopic)
        if not message.payload:
            self._live.pictures.pop((topic.device, topic.thing), None)
            message.ack()
            return
        properties = dict(message.properties)
        durable = self._live.is_meter(topic.device, topic.thing) or properties.get("trigger") in DURABLE
        if len(message.payload) <= MAX_PICTURE:
            captured = self._clock().wall
            claimed = properties.get("captured-at", "")
            try:
                captured = datetime.fromisoformat(claimed).astimezone(UTC) if claimed else captured
            except ValueError:
                log.debug("%s: captured-at %r is no time", message.topic, claimed)
            known = self._live.pictures.get((topic.device, topic.thing))
            if known is None or known.captured_at <= captured:
                self._live.pictures[topic.device, topic.thing] = LivePicture(message.payload, captured)
                self._live.tell(Change("picture", topic.device, topic.thing))
        if durable:
            self._ingest.take(message)
        else:
            message.ack()

    # --- what the hub does ----------------------------------------------------------------------

    def _carry_out(self, effect: Effect) -> None:
        match effect:  # the most frequent first
            case SendFrame() if self._workflows is not None:
                self._workflows.send(effect)
            case ForgetFrame() if self._workflows is not None:
                self._workflows.carry_out(effect)
            case SendReceipt(device=device, receipt=receipt):
                self.session.publish(DeviceTopic(device, "receipt"), receipt.to_json(), qos=1)
            case CancelJob(worker=worker, job=job, token=token):
                body = Cancel.model_validate({"job": job, "token": token}).to_json()
                self.session.publish(WorkerTopic(worker, "cancel"), body, qos=1)
            case CallWorker(worker=worker):
                self.calls.call(worker)
            case SendJob():
                self._send_clip(effect)
            case SendPicture():
                self._send_picture(effect)
            case KeepState(topic=topic, payload=payload):
                self.session.keep(topic, payload, content_type="application/json")
            case AnswerMeter() | ShowMeters() | ShowBurst():
                self._answer(effect)
            case _:
                self._carry_out_elsewhere(effect)

    def _carry_out_elsewhere(self, effect: Effect) -> None:
        if isinstance(effect, CloudEffect):
            if self._cloud is None:
                log.error("a hub without a cloud cannot carry out %r", effect)
            else:
                self._cloud(effect)
        elif self._workflows is None:
            log.error("a hub without workflows cannot carry out %r", effect)
        elif not isinstance(effect, _OWN):
            self._workflows.carry_out(effect)

    def _send_clip(self, effect: SendJob) -> None:
        clip = effect.clip
        path = self._media.path("clips", clip.id, suffix_of(clip.content_type))
        self._send(
            effect.worker, effect.job, path, {"duration": clip.duration or None, "trigger": clip.trigger}
        )

    def _send_picture(self, effect: SendPicture) -> None:
        path = self._media.path("pictures", effect.picture.id, ".jpg")
        self._send(effect.worker, effect.job, path, {"trigger": effect.picture.trigger})

    def _send(self, worker: str, job: Job, path: Path, about: dict[str, object]) -> None:
        """Send a job with its media; `about` is more of their metadata."""
        try:
            payload = self._media.read(path)
        except OSError as error:
            reason = self._media.unreadable(path, error, taken=job.captured_at)
            self._service.happened(MediaLost(job.job, reason))
            return
        metadata = Metadata.model_validate(
            {"id": job.media, "captured_at": job.captured_at, "content_type": job.content_type, **about}
        )
        delivery = self.session.publish(
            WorkerTopic(worker, "jobs"),
            payload,
            qos=1,
            metadata=metadata,
            content_type=job.content_type,
            properties=[("job", job.to_json().decode())],
        )

        def done(delivery: Delivery) -> None:
            if delivery.nobody:
                self._service.happened(WorkerAbsent(worker, job.job, job.token))
                self.calls.nobody(worker)
            elif isinstance(delivery.error, BadMessage | MessageTooLarge):
                self._service.happened(MediaLost(job.job, f"it cannot be sent to a worker: {delivery.error}"))
            elif delivery.error is not None:
                self._service.happened(SendFailed(job.job, job.token, str(delivery.error)))

        delivery.add_done_callback(done)

    def _recovered(self) -> None:
        """Say `online` afresh: devices then send at once what has no receipt."""
        self.session.publish(HubTopic("availability"), b"online", qos=1, retain=True)

    def _publish_state(self, state: HubState) -> None:
        """Retained; only when something but the waiting time has changed, or that by WAIT_STEP."""
        state = state.model_copy(update=self._about)
        known = self._state
        if (
            known is None
            or abs(known.oldest_wait - state.oldest_wait) >= WAIT_STEP
            or known != state.model_copy(update={"oldest_wait": known.oldest_wait})
        ):
            self._state = state
            self._live.hub = state
            self.session.keep(HubTopic("state"), state.to_json(), content_type="application/json")
            self._live.tell(Change("hub"))
