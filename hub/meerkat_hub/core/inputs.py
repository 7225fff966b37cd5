"""What can happen to the hub: the only ways into the core. Each names its cause in its type."""

from __future__ import annotations

from meerkat_contract.messages import Result, WorkerState
from meerkat_contract.values import value

from .cloud_records import CloudInput
from .meter_records import MeterInput
from .records import Clip, MeterPicture, RecordingSnapshot, Refusal
from .workflow_records import WorkflowInput


@value
class ClipArrived:
    """A whole clip lies on disk under its id. `earlier` is its recording when the core does not hold it."""

    clip: Clip
    earlier: RecordingSnapshot | None = None


@value
class AlreadyKnown:
    """A clip or picture arrived whose id is in the database already."""

    id: str
    device: str


@value
class PictureArrived:
    """A meter's picture lies on disk under its id. `read`: its device has read it already."""

    picture: MeterPicture
    read: bool = False


@value
class Refused:
    """Something came that breaks the contract or cannot be read."""

    refusal: Refusal


@value
class WorkerSeen:
    """A worker's state as published, online or offline."""

    state: WorkerState


@value
class ResultArrived:
    """A worker's answer."""

    worker: str
    result: Result


@value
class SendFailed:
    """A job could not be handed to the broker; the worker has not got it."""

    clip: str
    token: int
    reason: str


@value
class WorkerAbsent:
    """The broker took a job and nobody was there to receive it: the worker has not (re)connected yet.

    A `token` of None: it was called by name (`CallWorker`), and had no job.
    """

    worker: str
    clip: str
    token: int | None


@value
class MediaLost:
    """The bytes of a clip or frame are gone or unreadable, so that it cannot be sent to any worker.

    `clip` is the job's id.
    """

    clip: str
    reason: str


@value
class BusChanged:
    """The connection to the broker is up again, or gone."""

    up: bool


@value
class CamerasTold:
    """A device told what cameras it has; none when it was removed."""

    device: str
    cameras: tuple[str, ...] = ()


@value
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
