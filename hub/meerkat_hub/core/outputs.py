"""What leaves the core: changes, committed together, and effects, carried out after the commit.

Announcements are changes: they are written with what they announce and published from the
database, so that the bus hears of everything at least once, in order, with the same id and revision.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from meerkat_contract.messages import Job, ModelInfo, Receipt, Track
from meerkat_contract.values import value

from .cloud_records import AnyCloudEffect, CloudChange
from .meter_records import MeterChange, MeterEffect
from .records import Clip, EventRecord, MeterPicture, Refusal
from .workflow_records import WorkflowChange, WorkflowEffect

# --- changes ------------------------------------------------------------------------------------


@value
class ClipStored:
    clip: Clip


@value
class ClipTried:
    """A try ended without a result; the clip waits again."""

    id: str
    attempts: int
    reason: str
    unreadable_by: str = ""
    """The worker that said it cannot be read, in this try or before."""


@value
class ClipSettled:
    """The clip has ended, for ever. state: done | failed | expired."""

    id: str
    state: str
    reason: str = ""
    model: ModelInfo | None = None
    frames: int = 0
    seconds: float = 0.0
    tracks: tuple[Track, ...] = ()
    worker: str = ""


@value
class ClipJoined:
    """The clip's tracks are part of its recording's objects, and its outcome is announced."""

    id: str


@value
class EventSaved:
    """An event is new or has changed. `picture` is the JPEG of its best frame when that changed.

    Without it, `frame` names a perishable frame whose bytes, still in memory, are the picture.
    """

    record: EventRecord
    picture: bytes | None = None
    frame: str | None = None


@value
class RecordingClosed:
    """`pictured`: whether tracks of its clips may still carry pictures in the database."""

    id: str
    pictured: bool = True


@value
class Announce:
    """A message to publish after the commit, at least once. `event_picture` sends that event's JPEG."""

    topic: str
    payload: bytes = b""
    retain: bool = False
    content_type: str = "application/json"
    event_picture: str | None = None


@value
class PictureStored:
    """state: kept | waiting (for a worker that reads it) | done (its device has read it)."""

    picture: MeterPicture
    state: str = "kept"


@value
class RefusalNoted:
    refusal: Refusal


Change = (
    PictureStored
    | RefusalNoted
    | ClipStored
    | ClipTried
    | ClipSettled
    | ClipJoined
    | EventSaved
    | RecordingClosed
    | Announce
    | WorkflowChange
    | MeterChange
    | CloudChange
)

# --- effects ------------------------------------------------------------------------------------


@value
class SendReceipt:
    device: str
    receipt: Receipt


@value
class SendJob:
    """Publish the clip's media with this job to the worker."""

    worker: str
    job: Job
    clip: Clip


@value
class CancelJob:
    worker: str
    job: str
    token: int


@value
class CallWorker:
    """Ask the broker whether anybody listens to the jobs of a worker that was not there."""

    worker: str


@value
class SendFrame:
    """Publish the bytes of the frame that `job.media` names, with this job, to the worker."""

    worker: str
    job: Job
    confirm: bool = False
    """Let the broker say whether anybody gets it."""


@value
class KeepState:
    """Publish what is so now, retained: the latest alone counts. Empty: there is nothing to say any more."""

    topic: str
    payload: bytes


Effect = (
    SendReceipt
    | SendJob
    | SendFrame
    | CancelJob
    | CallWorker
    | KeepState
    | WorkflowEffect
    | MeterEffect
    | AnyCloudEffect
)


@dataclass(slots=True)
class Decision:
    """The answer of one step. `notes` are lines for the log, in words."""

    changes: list[Change] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
