"""The JSON messages of the bus, all under one roof: those of devices and meters lie in
`device_messages` and `meter_messages`."""

# ruff: noqa: PLC0414 - "as" says that a name is passed on

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Base64Bytes, Field

from .burst_messages import BurstState as BurstState
from .burst_messages import CloudRule as CloudRule
from .device_messages import Battery as Battery
from .device_messages import ButtonPress as ButtonPress
from .device_messages import CameraInfo as CameraInfo
from .device_messages import DeviceInfo as DeviceInfo
from .device_messages import ErrorReport as ErrorReport
from .device_messages import LightInfo as LightInfo
from .device_messages import LightState as LightState
from .device_messages import MeterInfo as MeterInfo
from .device_messages import PictureCondition as PictureCondition
from .device_messages import PictureVerdict as PictureVerdict
from .device_messages import Receipt as Receipt
from .device_messages import SensorInfo as SensorInfo
from .device_messages import SettingInfo as SettingInfo
from .ids import Id, Name, UtcTime
from .message import At as At
from .message import Box as Box
from .message import Count as Count
from .message import Fraction as Fraction
from .message import Label as Label
from .message import Message as Message
from .message import read as read
from .meter_messages import MeterOrder as MeterOrder
from .meter_messages import MeterReading as MeterReading
from .meter_messages import MeterSeen as MeterSeen
from .meter_messages import MeterVerdict as MeterVerdict
from .presence_messages import Today as Today
from .presence_messages import ZonesNow as ZonesNow

REASON = 2000
"""Characters of a worker's reason that are kept: it goes into the log, the database and the page."""

# --- what a worker says -------------------------------------------------------------------------


class ModelInfo(Message):
    """Which model looked, on what. `fallback` marks the built-in detector of last resort."""

    name: str
    sha256: str = Field("", description="of the model's file; empty for the built-in fallback")
    engine: str = Field("", description="litert | tflite_runtime | onnxruntime | opencv | hog")
    fallback: bool = False


class TaskInfo(Message):
    """A task that a worker offers, and how fast it measured itself at it."""

    task: str = Field(description="detect_objects | detect_faces | recognise_faces | read_meter")
    model: ModelInfo
    frames_per_second: float = Field(ge=0.001, le=10**6)
    switch_seconds: float = Field(
        0, ge=0, le=3600, description="measured: what it takes to load this task in place of another"
    )
    beside: bool = Field(
        False,
        description="so small that it stays loaded whatever is served: its jobs may always come",
    )


class WorkerState(Message):
    """meerkat/worker/<id>/state, retained; the will is the same with online = false."""

    worker: Name
    incarnation: Id = Field(description="new at each start: jobs of an earlier one are lost")
    online: bool
    tasks: tuple[TaskInfo, ...] = ()
    window: int = Field(2, ge=1, le=64, description="jobs it takes at a time, the running one included")
    ahead: bool = Field(False, description="it does a job marked `ahead` before those it has not begun")
    roll_call: bool = Field(False, description="it answers a job of the task `roll_call` at once")
    host: str = ""
    hardware: str = ""
    software: str = ""
    load: float | None = None
    serving: str | None = Field(
        None, description="the one task that is loaded now; absent when all that it offers are ready"
    )
    fetchable: tuple[str, ...] = Field(
        (),
        max_length=16,
        description="tasks that it does not offer, and would if it were told to fetch a model",
    )
    temperature: float | None = Field(
        None, ge=-60, le=200, description="degrees Celsius, of the hottest part"
    )
    memory_free: int | None = Field(None, ge=0, description="bytes")
    energy: float | None = Field(None, ge=0, le=10_000, description="watts while it works")
    failed: dict[str, str] | None = Field(
        None,
        description="tasks whose last order to load them failed, each with the reason; one that is ordered "
        "again or loaded is no longer in it",
    )

    def offline(self) -> WorkerState:
        """As its will has it: gone, and what it measured of itself with it."""
        gone = {"online": False, "load": None, "temperature": None, "memory_free": None}
        return self.model_copy(update=gone)


class Deploy(Message):
    """meerkat/worker/<id>/deploy: load this task now, and give the others' memory back.

    A node runs one deep-learning task at a time (MELINDA, section 3.2). The worker answers with its
    state, `serving` set. `model` is a name of the catalogue; empty leaves the choice to the worker.

    With `fetch` nothing is loaded in place of anything: the worker fetches a model for a task of its
    `fetchable`, and offers the task from then on.
    """

    task: str
    model: str = ""
    sha256: str = Field("", description="of the model's file; the hub serves it at /api/models/<sha256>")
    address: str = Field("", description="of the hub's HTTP server, when it is reachable from elsewhere")
    fetch: bool = Field(False, description="fetch a model for the task, and offer it")


class Found(Message):
    """One box in one picture, found by an earlier level of a workflow."""

    label: Label
    score: Fraction
    box: Box
    velocity: tuple[float, float] | None = Field(
        None,
        description="of the box's centre, to the right and down, in fractions of the picture per second; "
        "absent when it was not seen just before",
    )


class FrameFindings(Message):
    """The `found` user property of meerkat/device/<d>/<camera>/frame: what the device found in it."""

    task: str = "detect_faces"
    model: ModelInfo | None = None
    found: tuple[Found, ...] = ()


class Face(Message):
    """One face that was described (task recognise_faces)."""

    box: Box
    score: Fraction = Field(description="that it is a face, as the level before found it")
    quality: Fraction = Field(1.0, description="how fit it is to be recognised: size, sharpness, pose")
    embedding: Base64Bytes = Field(description="little-endian float32; near means alike", max_length=16_384)
    picture: Base64Bytes | None = Field(None, description="JPEG of the face, at most 20 kB")


ROLL_CALL = "roll_call"
"""The task of a job that nobody offers: the hub only wants to know whether somebody is there. Its payload is
empty, and its answer says no more than that."""


class Job(Message):
    """The `job` user property of meerkat/worker/<id>/jobs; the payload is the clip or picture itself."""

    job: Id
    token: int = Field(ge=0, description="fencing token: a result with an older one is void")
    task: str = "detect_objects"
    device: Name
    camera: Name
    media: Id
    content_type: str = "video/mp4"
    captured_at: UtcTime
    lease: float = Field(gt=0, description="seconds from receipt after which the hub asks another worker")
    ahead: bool = Field(False, description="to be done before those not begun that are not marked so")
    sample_fps: float = Field(5.0, gt=0, le=60)
    labels: tuple[Label, ...] = Field((), description="labels of interest; empty means the usual ones")
    workflow: Name | None = Field(None, description="on whose behalf; absent for clips of motion")
    found: tuple[Found, ...] = Field((), description="what the level before found in this picture")
    meter: MeterOrder | None = Field(None, description="of task read_meter: what to read where")


class Cancel(Message):
    """meerkat/worker/<id>/cancel"""

    job: Id
    token: int


class Sighting(Message):
    """One box in one sampled frame."""

    at: At
    score: Fraction
    box: Box


class Track(Message):
    """One object followed through one clip."""

    track: Count = Field(description="number within the clip")
    label: Label
    score: Fraction = Field(description="of the best sighting")
    hits: int = Field(ge=1, description="sampled frames in which it scored at least 0.5")
    sightings: tuple[Sighting, ...] = Field(min_length=1, description="in order of time")
    best: Sighting
    picture: Base64Bytes | None = Field(
        None, description="JPEG of the best frame with its boxes drawn, at most 200 kB"
    )


class Result(Message):
    """meerkat/worker/<id>/results: the answer to one job."""

    job: Id
    token: int
    incarnation: Id
    state: Literal["done", "failed"]
    reason: Annotated[str, AfterValidator(lambda said: said[:REASON])] = Field(
        "", description="why it failed: what, and the remedy"
    )
    retry: bool = Field(False, description="failed, but another worker or a later try may succeed")
    model: ModelInfo | None = None
    duration: float = Field(0, ge=0, description="media seconds in the clip")
    frames: Count = Field(0, description="frames looked at")
    seconds: float = Field(0, ge=0, description="the worker's own time on the job")
    waited: float | None = Field(None, ge=0, description="seconds from its arrival to its beginning")
    width: int = Field(0, ge=0)
    height: int = Field(0, ge=0)
    tracks: tuple[Track, ...] = ()
    faces: tuple[Face, ...] = ()
    meter: MeterSeen | None = Field(None, description="of task read_meter")


# --- what the hub says --------------------------------------------------------------------------


class Detection(Message):
    label: Label
    score: Fraction
    box: Box
    track: int
    at: At


class Detections(Message):
    """meerkat/camera/<d>/<camera>/detections: all that was seen in one clip or frame."""

    id: Id
    device: Name
    camera: Name
    captured_at: UtcTime
    model: ModelInfo | None = None
    detections: tuple[Detection, ...] = ()


class EventState(Message):
    """One event as it stands. Its picture was published before it, on …/event/picture."""

    id: Id
    device: Name
    camera: Name
    label: Label
    category: str
    score: Fraction
    box: Box
    start_time: UtcTime
    end_time: UtcTime
    region: Box | None = Field(
        None, description="the part of the camera's picture that the event's picture is; absent: all of it"
    )
    picture_time: UtcTime = Field(description="when the best frame was taken")
    revision: int = Field(ge=1)
    clips: tuple[Id, ...] = ()
    recording: Id | None = None
    has_picture: bool = False
    model: ModelInfo | None = None
    zones: tuple[str, ...] = ()
    identity: str | None = Field(None, description="who it is, when somebody known was recognised")
    stranger: bool | None = Field(None, description="true: a face that is well seen and that nobody knows")
    workflow: Name | None = Field(None, description="the workflow that decided it")
    alert: bool = Field(False, description="a decision rule asks for attention")
    reason: str = Field("", description="what the decision rule says, in words")


class Event(Message):
    """meerkat/camera/<d>/<camera>/event"""

    type: Literal["new", "update", "end"]
    before: EventState | None = None
    after: EventState


class Outcome(Message):
    """meerkat/camera/<d>/<camera>/outcome: how a clip ended. Every clip ends exactly once."""

    id: Id
    device: Name
    camera: Name
    captured_at: UtcTime
    state: Literal["done", "failed", "expired"]
    reason: str = ""
    model: ModelInfo | None = None
    frames: int = 0
    detections: tuple[Detection, ...] = Field((), description="the best sighting of each track")
    events: tuple[Id, ...] = ()


class HubState(Message):
    """meerkat/hub/state, retained."""

    backlog: int = Field(0, ge=0, description="clips that wait")
    running: int = Field(0, ge=0)
    oldest_wait: float = Field(0, ge=0, description="seconds")
    done: int = 0
    failed: int = 0
    expired: int = 0
    workers: int = 0
    per_minute: int = Field(0, ge=0, description="clips that were done within the last minute")
    jobs: dict[Name, int] = Field(
        default_factory=dict, description="how many each worker holds now; those that hold none are left out"
    )
    frames: dict[str, int] = Field(
        default_factory=dict, description="perishable frames by fate: received, done, and dropped by reason"
    )
    burst: BurstState | None = Field(None, description="the cloud burst; absent where none is set up")
    software: str = ""
    page: str = Field("", description="address of the hub's page, when it is known")


class Operator(Message):
    """One node at one level of a workflow."""

    task: str
    node: Name
    capacity: float = Field(ge=0, description="frames per second of this node for the task")
    share: float = Field(ge=0, description="frames per second of this workflow that are booked on it")
    ready: bool = Field(True, description="it has the task loaded")


class WorkflowState(Message):
    """meerkat/workflow/<id>/state, retained; empty when the workflow was withdrawn."""

    workflow: Name
    state: Literal["running", "starting", "refused"] = Field(
        description="starting: admitted, and a level still waits for a node to load its task"
    )
    reason: str = Field("", description="in words, with the numbers")
    cause: Literal["", "capacity", "delay", "decision"] = Field("", description="why it is refused")
    cameras: dict[str, float] = Field(
        default_factory=dict, description="device/camera: frames per second that are asked for"
    )
    flow: float = Field(0, ge=0, description="frames per second of all cameras together (Eq. 1)")
    capacity: dict[str, float] = Field(
        default_factory=dict,
        description="task: frames per second that were free for it when this was decided (Eq. 2)",
    )
    delay: float | None = Field(
        None, ge=0, description="seconds from arrival to decision when a frame waits for no other (Eq. 7)"
    )
    max_delay: float = Field(gt=0, description="seconds that were asked for")
    overbooking: float = Field(1, ge=1, description="times its capacity that a shared node may be booked")
    reserved: tuple[Name, ...] = Field((), description="nodes that are kept for clips of motion")
    nodes: tuple[Operator, ...] = ()
    frames: dict[str, int] = Field(
        default_factory=dict,
        description="since the hub began: received = nothing + decided + dropped by reason + in work",
    )
    warning: str = Field(
        "",
        description="in words, with the remedy: why it may run and recognise nobody; empty when all is well",
    )
    since: UtcTime = Field(description="when it came to this state")


RECORDING_GAP = timedelta(seconds=30)
"""A recording with no clip for this long after the end of its latest is taken as closed."""
