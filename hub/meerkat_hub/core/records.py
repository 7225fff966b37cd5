"""What the hub knows: the records its core decides upon."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from meerkat_contract.device_messages import PictureCondition
from meerkat_contract.messages import Box, EventState, ModelInfo, TaskInfo, Track
from meerkat_contract.values import value


@value
class Now:
    """The instant of a step: `wall` (UTC) for what people read, `mono` (seconds) for leases."""

    wall: datetime
    mono: float


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip or a picture that is to be looked at. Its media file is named by its id."""

    id: str
    device: str
    camera: str
    captured_at: datetime
    received_at: datetime
    recording: str
    sequence: int = 0
    last: bool = False
    duration: float = 0.0
    content_type: str = "video/mp4"
    size: int = 0
    trigger: str = "motion"
    attempts: int = 0
    """Tries that ended without a result."""
    unreadable_by: str = ""
    """The worker that said it cannot be read, if one did. If another says so too, it is settled."""
    cloud: str = ""
    """What its camera said of the cloud: never | overflow | always; empty: nothing."""

    @property
    def end_at(self) -> datetime:
        return self.captured_at + timedelta(seconds=self.duration)


@dataclass(frozen=True, slots=True)
class MeterPicture:
    """A picture of a meter. Its file is named by its id."""

    id: str
    device: str
    meter: str
    captured_at: datetime
    received_at: datetime
    size: int
    trigger: str = "schedule"
    condition: PictureCondition | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """What came and could not be accepted; `id` and `device` where they could be read."""

    topic: str
    reason: str
    at: datetime
    id: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """A clip of an open recording that has ended; `tracks` is empty unless it ended as done."""

    clip: Clip
    state: str
    tracks: tuple[Track, ...] = ()
    model: ModelInfo | None = None
    reason: str = ""
    frames: int = 0


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event as last committed, and which tracks (clip id, track number) it is made of."""

    state: EventState
    members: tuple[tuple[str, int], ...]
    ended: bool = False
    where: Box | None = field(default=None, compare=False)
    """Its box at its last sighting; not known of one that was loaded."""


@dataclass(frozen=True, slots=True)
class RecordingSnapshot:
    """All that is needed to go on with a recording after a restart, or when a late clip reopens it."""

    id: str
    device: str
    camera: str
    joined: tuple[Settled, ...] = ()
    unjoined: tuple[Settled, ...] = ()
    """Ended, but held back by a clip before them."""
    events: tuple[EventRecord, ...] = ()


@dataclass(slots=True)
class Lease:
    """A clip that a worker has been given."""

    clip: Clip
    worker: str
    incarnation: str
    token: int
    sent: float
    """Monotonic seconds."""
    expires: float
    finish: float
    """When the worker is predicted to answer, monotonic seconds."""


@dataclass(slots=True)
class Worker:
    """A worker as it announced itself, and what the hub has measured since."""

    id: str
    incarnation: str
    tasks: dict[str, TaskInfo]
    window: int
    seconds_per_frame: dict[str, float] = field(default_factory=dict)
    paused_until: float = 0.0
    """It handed a job back unbegun; it gets no other before this monotonic time."""
    leases: list[Lease] = field(default_factory=list)
    """In the order they were sent, which is the order in which the worker takes them."""


@dataclass(frozen=True, slots=True)
class Place:
    """A box in one frame of one clip, at its absolute time."""

    at: datetime
    box: Box
    score: float
    clip: str
    track: int
