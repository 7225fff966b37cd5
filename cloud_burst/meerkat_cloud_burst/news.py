"""What the cloud tells the hub's core, and what the core asks of the cloud: plain records, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from meerkat_contract.messages import Result

from .errors import Cause
from .messages import Order
from .ports import FleetState, QueueState

# --- from the cloud to the core -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Looked:
    """The fleet and the queues as they are; comes before each tick. The tick is decided on its arrival."""

    fleet: FleetState
    queue: QueueState


@dataclass(frozen=True, slots=True)
class Sent:
    """A clip is up and its order queued. `seconds`: what the upload took."""

    job: str
    token: int
    seconds: float
    size: int


@dataclass(frozen=True, slots=True)
class NotSent:
    job: str
    token: int
    cause: Cause
    reason: str


@dataclass(frozen=True, slots=True)
class CloudAnswered:
    """A worker's result. Its message is deleted once the core's decision upon it is committed."""

    result: Result
    worker: str
    annotated: str = ""


@dataclass(frozen=True, slots=True)
class CloudDead:
    """An order ended in the dead-letter queue."""

    job: str
    token: int
    reason: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """An order that was asked back is no longer offered: its clip may be done at home."""

    job: str
    token: int


@dataclass(frozen=True, slots=True)
class Booted:
    """An instance was ready so many seconds after its launch."""

    worker: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """The cloud cannot be used: the hub goes on at home. Told when that begins or changes, and with each look
    as long as it stands."""

    cause: Cause
    reason: str


@dataclass(frozen=True, slots=True)
class Reached:
    """It can be used again."""


@dataclass(frozen=True, slots=True)
class BurstAsked:
    """Somebody switches it: on | off (nothing new goes out) | stop (off, and every instance ends now)."""

    what: Literal["on", "off", "stop"]
    by: str = ""


CloudNews = (
    Looked | Sent | NotSent | CloudAnswered | CloudDead | TakenBack | Booted | Trouble | Reached | BurstAsked
)

# --- from the core to the cloud, carried out after the commit ------------------------------------


@dataclass(frozen=True, slots=True)
class SendOut:
    """Upload the clip's media and queue its order. `order.sha256` and `size` are filled in by who sends."""

    order: Order
    media: str
    """Id of the media file at home."""
    content_type: str


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Do not offer these orders any more if no worker has them yet: (job, token) each."""

    jobs: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """Hold so many instances."""

    desired: int
    reason: str


@dataclass(frozen=True, slots=True)
class EndInstances:
    """Orphans, and all when somebody says stop."""

    instances: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Forget:
    """A clip of the cloud has ended: delete what lies there of it."""

    job: str
    token: int


CloudEffect = SendOut | TakeBack | Scale | EndInstances | Forget
