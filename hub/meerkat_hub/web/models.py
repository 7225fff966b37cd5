"""What the API answers: contract messages, and what the hub knows beyond them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from meerkat_contract.device_messages import PictureCondition
from meerkat_contract.ids import Name
from meerkat_contract.messages import (
    Battery,
    CameraInfo,
    ErrorReport,
    EventState,
    HubState,
    LightInfo,
    MeterInfo,
    ModelInfo,
    SensorInfo,
    SettingInfo,
    TaskInfo,
    Track,
    WorkerState,
    WorkflowState,
)
from meerkat_hub.core.workflow_records import WorkflowSpec

from . import examples

PictureState = Literal["kept", "waiting", "done", "failed", "expired"]
ClipState = Literal["waiting", "done", "failed", "expired"]
Category = Literal["person", "vehicle", "animal", "object"]


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


class Problem(View):
    """Why a request was not answered."""

    what: str = Field(description="what is wrong", examples=["there is no such event"])
    where: str = Field("", description="the path, parameter or file", examples=["/api/events/0194…"])
    remedy: str = Field("", description="what to do", examples=["GET /api/events lists what there is"])


class WorkflowProblem(Problem):
    """Why a workflow cannot be had, with the numbers that failed."""

    workflow: WorkflowState


class Health(View):
    ok: bool
    reason: str = Field("", description="why not", examples=["not connected to the broker"])


# --- clips and events ---------------------------------------------------------------------------


class ClipView(View):
    """One clip, and how it ended."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CLIP]})

    id: str
    device: str
    camera: str
    recording: str
    sequence: int = Field(description="which clip of its recording, from 0")
    captured_at: datetime
    received_at: datetime
    settled_at: datetime | None = None
    duration: float = Field(description="seconds of media")
    content_type: str = "video/mp4"
    size: int = Field(description="bytes")
    trigger: str
    state: ClipState
    reason: str = Field("", description="why it failed or expired, or why the last try gave no result")
    attempts: int = Field(description="tries that ended without a result")
    worker: str = Field("", description="who looked at it; of one that waits, who could not read it")
    frames: int = Field(0, description="frames looked at")
    seconds: float = Field(0, description="the worker's own time on it")
    model: ModelInfo | None = None
    available: bool = Field(description="false when its media file has gone by the retention rule")


class ClipDetails(ClipView):
    """A clip with everything that was seen in it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**examples.CLIP, "tracks": []}]})

    tracks: tuple[Track, ...] = Field((), description="pictures left out")


class ClipPage(View):
    clips: list[ClipView]
    next: str | None = Field(None, description="`cursor` of the next page; null on the last one")


class EventView(EventState):
    """An event as it stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.EVENT]})

    ended: bool
    kept: bool = Field(description="its clips and picture are never removed")
    picture_revision: int | None = Field(None, description="of its picture; null when it has none")


class EventDetails(EventView):
    """An event with its clips, in order of time."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**examples.EVENT, "outcomes": [examples.CLIP]}]}
    )

    outcomes: list[ClipView] = Field(description="its clips, and how each of them ended")


class EventPage(View):
    events: list[EventView]
    next: str | None = Field(None, description="`cursor` of the next page; null on the last one")


class Keep(BaseModel):
    """Whether an event and its clips stay for good."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{"kept": True}]})

    kept: bool


# --- devices ------------------------------------------------------------------------------------


class CameraView(CameraInfo):
    motion: bool | None = Field(None, description="null until the device has said")
    picture_at: datetime | None = Field(None, description="time of the live picture, null when there is none")
    late_after: float | None = Field(
        None,
        description="seconds after a picture at which the next one is late; null when none is to be expected",
    )


class MeterPictureView(View):
    id: str
    device: str
    meter: str
    captured_at: datetime
    received_at: datetime
    size: int = Field(description="bytes")
    trigger: str
    condition: PictureCondition | None = Field(
        None, description="what it is worth, as the device measured it; null when it did not say"
    )
    state: PictureState = Field(
        "kept", description="kept: nobody has said where its wheels are; else what became of its reading"
    )
    reason: str = Field("", description="why it failed or expired, or why the last try gave no result")


class MeterPicturePage(View):
    pictures: list[MeterPictureView]
    next: str | None = Field(None, description="`cursor` of the next page; null on the last one")


class MeterView(MeterInfo):
    latest: MeterPictureView | None = Field(None, description="its newest stored picture")


class SensorView(SensorInfo):
    on: bool | None = Field(None, description="motion, or open; null until it has said, and of a button")
    pressed_at: datetime | None = Field(None, description="of a button, while the hub has been there")


class LightView(LightInfo):
    on: bool | None = Field(None, description="null until the device has said")
    brightness: float | None = Field(None, description="percent; null while it is off, or not known")


class LightWish(BaseModel):
    """How a lamp is to be."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"on": True, "brightness": 40}]}
    )

    on: bool
    brightness: float | None = Field(None, ge=0, le=100, description="percent; else what is configured")


class DeviceView(View):
    """A device as it introduced itself, and what it says now."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.DEVICE]})

    device: str
    label: str = ""
    model: str = ""
    software: str = ""
    host: str = ""
    clock: str = "synced"
    battery: Battery | None = None
    wake_every: float | None = Field(None, description="seconds between its wakes, when it sleeps")
    next_wake: datetime | None = Field(None, description="when it sleeps: until when")
    availability: Literal["online", "offline", "asleep", "unknown"]
    error: ErrorReport | None = Field(None, description="the last of `errors`")
    errors: tuple[ErrorReport, ...] = Field(
        (),
        description="what it reported, the latest at each place, the latest first: eight at most. That of a "
        "camera's source goes when the camera gives a picture again",
    )
    cameras: list[CameraView] = []
    meters: list[MeterView] = []
    sensors: list[SensorView] = []
    lights: list[LightView] = []
    settings: tuple[SettingInfo, ...] = Field((), description="of the device itself")


class SettingView(SettingInfo):
    """Something that can be set of a device while it runs."""

    thing: str = Field(description="a camera or meter, or `device` for the device itself")
    value: str | None = Field(None, description="what is in force; null while it is not known, or a button")
    takes: str = Field(description="in words, what can be set")


class SettingWish(BaseModel):
    """What is to be set."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"value": 0.7}]})

    value: bool | float | str = Field(
        description="a switch takes true or false, a button PRESS; `default` is what meerkat.yaml says"
    )

    @property
    def payload(self) -> bytes:
        """As on the bus."""
        if isinstance(self.value, bool):
            return b"ON" if self.value else b"OFF"
        text = f"{self.value:.10g}" if isinstance(self.value, float) else self.value
        return text.encode(errors="replace")  # JSON can hold half a character


# --- workflows ----------------------------------------------------------------------------------


class WorkflowRequest(WorkflowSpec):
    """A workflow that is asked for."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.WORKFLOW]})

    id: Name = Field(description="what it is called")
    wait: bool = Field(
        False, description="keep it though it is refused now, and try again whenever the nodes change"
    )

    @property
    def spec(self) -> WorkflowSpec:
        """The workflow itself."""
        return WorkflowSpec.model_validate(self.model_dump(exclude={"id", "wait"}))


class WorkflowView(View):
    """A workflow as it was asked for, and how it stands."""

    id: str
    configured: bool = Field(description="it is in the configuration file, which alone can change it")
    wanted: WorkflowSpec
    state: WorkflowState
    unknown_cameras: tuple[str, ...] = Field(
        description="those that no device has introduced itself with: mistyped, or not there yet"
    )


class NodeTelemetry(View):
    """A worker as a node: what it says of itself, and what the hub has measured."""

    worker: str
    online: bool
    host: str = ""
    hardware: str = ""
    software: str = ""
    serving: str | None = Field(None, description="the one task that is loaded; null when all of them are")
    task: str | None = Field(None, description="what it is to serve for workflows")
    workflows: tuple[str, ...] = Field((), description="that run on it")
    capacity: dict[str, float] = Field(description="task: frames per second, as the hub plans with")
    announced: tuple[TaskInfo, ...] = Field((), description="as it measured itself")
    round_trip: float = Field(description="seconds to the worker and back, measured; 0 before the first job")
    availability: float = Field(description="the share of time online, one hour of grace included")
    load: float | None = Field(None, description="1 is one core busy")
    temperature: float | None = Field(None, description="degrees Celsius, of the hottest part")
    memory_free: int | None = Field(None, description="bytes")
    energy: float | None = Field(None, description="watts while it works")
    window: int = Field(0, description="jobs it takes at a time")


# --- the hub ------------------------------------------------------------------------------------


class TotalsView(View):
    """Since the database was made. received = done + failed + expired + waiting, always."""

    received: int
    done: int
    failed: int
    expired: int
    waiting: int
    pictures: int = Field(description="meter pictures stored; some are only kept, the others:")
    pictures_done: int = Field(0, description="meter pictures that were read")
    pictures_failed: int = Field(0, description="that could not be read, each with its reason")
    pictures_expired: int = Field(0, description="that no worker could read in time")
    pictures_waiting: int = Field(0, description="that wait for a worker, or are with one")
    refused: int = Field(description="clips and pictures that could not be accepted")


class StateView(View):
    """How the hub is."""

    ok: bool
    reason: str = Field("", description="what is wrong")
    connected: bool = Field(description="to the broker")
    broker: str = Field("", description="why it is not connected, where that is known")
    hub: HubState = Field(description="as it is said on the bus")
    totals: TotalsView
    oldest_wait: float = Field(description="seconds that the oldest waiting clip has waited")
    announcements: int = Field(description="messages that the broker has not confirmed yet")
    fallback: bool = Field(description="only the built-in detector of last resort is looking")
    room: list[str] = Field([], description="why media take too much room, or the disk is nearly full")
    demo: bool = Field(False, description="nothing but the drawn demo is to be seen")
    hints: list[str] = Field([], description="what could be better, with `code` in backticks")
    workers: list[WorkerState] = Field(description="that are online")


class RefusalView(View):
    """Something that came and was not accepted."""

    at: datetime
    device: str
    media: str = Field(description="id of the clip or picture, when it could be read")
    topic: str
    reason: str
