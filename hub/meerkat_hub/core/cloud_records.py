"""What can happen to the cloud burst, and what follows: the inputs, changes and effects that are its own.

What the cloud tells and what is asked of it are `meerkat_cloud_burst.news`. Times are UTC where they are
datetimes, Unix seconds in the ledger; money is in US dollars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from meerkat_cloud_burst.news import CloudEffect, CloudNews
from meerkat_cloud_burst.policy.view import LedgerEntry
from meerkat_contract.messages import BurstState

# --- inputs -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BurstQuestion:
    """How does the cloud burst stand?"""

    ticket: str


CloudInput = CloudNews | BurstQuestion

# --- changes ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flight:
    """A clip that is in the cloud, or came back from it without a result. `id` is the clip's."""

    id: str
    token: int
    """Of its last way out."""
    at: datetime
    """When it went out last."""
    aloft: bool = True
    sent: bool = False
    """Its order is queued there, as was told."""
    returns: int = 0
    """Times that it came back without a result, for a reason of its own."""
    reason: str = ""
    """Why it came back last."""


@dataclass(frozen=True, slots=True)
class FlightSaved:
    flight: Flight


@dataclass(frozen=True, slots=True)
class FlightsEnded:
    """Of clips that have ended nothing needs to be known any more."""


@dataclass(frozen=True, slots=True)
class LedgerWritten:
    entry: LedgerEntry


@dataclass(frozen=True, slots=True)
class BurstFact:
    """A number to remember over restarts; see `Cloud`."""

    name: str
    value: int


CloudChange = FlightSaved | FlightsEnded | LedgerWritten | BurstFact

# --- effects ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision of the policy, with its reason. Those that say the same one after another are one."""

    at: datetime
    code: str
    reason: str
    sent: int = 0
    """Clips that it sent out."""
    taken_back: int = 0
    desired: int | None = None
    """Machines that it asked for."""


@dataclass(frozen=True, slots=True)
class Aloft:
    """A clip in the cloud, as people are shown it."""

    clip: str
    device: str
    camera: str
    sent_at: datetime
    returns: int


@dataclass(frozen=True, slots=True)
class PlannedClip:
    """A clip that would go out now. Seconds."""

    clip: str
    device: str
    camera: str
    age: float
    done_in: float
    """Until the house would have done it; inf where no worker is there."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What would be decided now; see `cloud.planned`."""

    code: str
    reason: str
    send: tuple[PlannedClip, ...] = ()
    machines: int | None = None
    """That would be asked for; None: as many as now."""
    dollars: float = 0.0
    """That would be set apart for them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How it stood from then on, until the next sample."""

    at: datetime
    at_home: int
    """Clips that wait for a worker of the house, or are with one."""
    in_cloud: int
    machines: int
    """That start or run."""
    spent_today: float
    """US dollars of the day (UTC) until then."""


@dataclass(frozen=True, slots=True)
class BurstView:
    """How the cloud burst stands, at length."""

    state: BurstState
    policy: str
    rules: Mapping[str, str]
    """device/camera → never | overflow | always, where the configuration says so."""
    default: str
    aloft: tuple[Aloft, ...]
    decisions: tuple[Decided, ...]
    """The latest first."""
    dropped: int
    """Results that came late, twice, or for nothing, since the hub began."""
    boot: float
    """Seconds, measured; so are the following."""
    clip_seconds: float
    upload_rate: float
    """Bytes a second."""
    plan: Planned
    fleet: str = "asg"
    """asg: machines are rented, external: they are the owner's and cost nothing."""
    history: tuple[Sample, ...] = ()
    """The earliest first."""


@dataclass(frozen=True, slots=True)
class ShowBurst:
    """The answer to BurstQuestion; None where no burst is set up."""

    ticket: str
    view: BurstView | None


AnyCloudEffect = CloudEffect | ShowBurst

# --- what is loaded -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredBurst:
    """What the database holds of the cloud burst."""

    flights: tuple[Flight, ...] = ()
    """Of clips that have not ended."""
    ledger: tuple[LedgerEntry, ...] = ()
    """In the order in which it was written: what the ceilings are reckoned from."""
    facts: Mapping[str, int] | None = None


NO_BURST = StoredBurst()
