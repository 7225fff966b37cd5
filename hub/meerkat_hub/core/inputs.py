"""What can happen to the hub: the only ways into the core. Each names its cause in its type."""

from __future__ import annotations

from dataclasses import dataclass

from meerkat_contract.messages import Result, WorkerState

from .cloud_records import CloudInput
from .meter_records import MeterInput
from .records import Clip, MeterPicture, RecordingSnapshot, Refusal
from .workflow_records import WorkflowInput


@dataclass(frozen=True, slots=True)
class ClipArrived:
    """A whole clip lies on disk under its id. `earlier` is its recording when the core does not hold it."""

    clip: Clip
    earlier: RecordingSnapshot | None = None


@dataclass(frozen=True, slots=True)
class AlreadyKnown:
    """A clip or picture arrived whose id is in the database already."""

    id: str
    device: str


@dataclass(frozen=True, slots=True)
class PictureArrived:
    """A meter's picture lies on disk under its id. `read`: its device has read it already."""

    picture: MeterPicture
    read: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Something came that breaks the contract or cannot be read."""

    refusal: Refusal


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker's state as published, online or offline."""

    state: WorkerState


@dataclass(frozen=True, slots=True)
class ResultArrived:
    """A worker's answer."""

    worker: str
    result: Result


@dataclass(frozen=True, slots=True)
class SendFailed:
    """A job could not be handed to the broker; the worker has not got it."""

    clip: str
    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerAbsent:
    """The broker took a job and nobody was there to receive it: the worker has not (re)connected yet."""

    worker: str
    clip: str
    token: int


@dataclass(frozen=True, slots=True)
class MediaLost:
    """The bytes of a clip or frame are gone or unreadable, so that it cannot be sent to any worker.

    `clip` is the job's id.
    """

    clip: str
    reason: str


@dataclass(frozen=True, slots=True)
class BusChanged:
    """The connection to the broker is up again, or gone."""

    up: bool


@dataclass(frozen=True, slots=True)
class CamerasTold:
    """A device told what cameras it has; none when it was removed."""

    device: str
    cameras: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeReached:
    """A moment the core asked to be woken at, or any other."""


Input = (
    ClipArrived
    | AlreadyKnown
    | PictureArrived
    | Refused
    | WorkerSeen
    | ResultArrived
    | SendFailed
    | WorkerAbsent
    | MediaLost
    | BusChanged
    | CamerasTold
    | TimeReached
    | WorkflowInput
    | MeterInput
    | CloudInput
)
