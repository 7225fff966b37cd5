"""What a policy looks at and what it says. Times in seconds, money in US dollars, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Literal, Protocol

Rule = Literal["never", "overflow", "always"]


@dataclass(frozen=True, slots=True)
class WaitingClip:
    """A clip that waits at home, in the order in which the pool would begin it."""

    id: str
    age: float
    """Since the hub has it."""
    done_in: float
    """W_j: seconds until the pool of the house will have done it: the work ahead of it and its own, over
    the pool's measured capacity; inf where no worker is there."""
    size: int
    seconds: float
    """Of media; a clip of 5 s is the unit of the cloud's measured time."""
    rule: Rule = "overflow"
    attempts: int = 0
    """Times that it came back from the cloud without a result."""


@dataclass(frozen=True, slots=True)
class AloftClip:
    """A clip in the cloud."""

    id: str
    age: float
    sent: float
    """Seconds since it was sent out."""
    taken: bool = False
    """A worker is known to have begun it."""
    rule: Rule = "overflow"


@dataclass(frozen=True, slots=True)
class CloudView:
    """The cloud as measured. `instances` are (age in seconds since launch, working) each."""

    desired: int = 0
    maximum: int = 2
    ages: tuple[float, ...] = ()
    """Seconds since the launch of each instance that is pending or running."""
    ready: int = 0
    """Of them, those that have worked already (boot is over)."""
    boot: float = 90.0
    clip_seconds: float = 20.0
    """An instance's time for a clip of 5 s, measured."""
    upload_rate: float = 1e6
    """Bytes a second, measured."""
    queued: int = 0
    """Orders in the queue as the cloud counts them, taken or not."""


@dataclass(frozen=True, slots=True)
class MoneyView:
    """What may still be spent: what is neither spent nor reserved, under both ceilings."""

    available: float
    instance_hour: float
    launch_seconds: float = 0.0
    """For so long each machine that is launched has to be paid beforehand (`Terms.lead` of the ledger)."""
    runway: float = inf
    """Seconds for which all machines that run can still be paid; then one must be ended."""


@dataclass(frozen=True, slots=True)
class World:
    """All that one tick is decided upon."""

    waiting: tuple[WaitingClip, ...]
    aloft: tuple[AloftClip, ...]
    cloud: CloudView
    money: MoneyView
    idle_at_home: bool = False
    """A worker of the house has nothing to do."""
    home_seconds: float = 0.0
    """What a clip of 5 s takes a worker of the house that is idle, measured; 0: not known."""
    trouble: str = ""
    """Why the cloud cannot be used now; nothing is sent then."""
    enabled: bool = True
    """False: switched off; what is aloft is finished, nothing new goes out."""
    fresh_instances: bool = True
    """False with an external fleet: nobody is launched and nothing costs money."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set apart before a launch (or before running machines go on)."""

    instances: int
    seconds: float
    """Of each."""
    dollars: float


@dataclass(frozen=True, slots=True)
class BurstDecision:
    send: tuple[str, ...] = ()
    take_back: tuple[str, ...] = ()
    desired: int | None = None
    """Instances to ask for; None leaves it as it is."""
    reserve: Reservation | None = None
    """To be in the ledger before `desired` is asked for."""
    code: str = "idle"
    """One word: idle | waiting (first of two ticks) | burst | hold | ceiling | reconcile | off | trouble
    | no-gain | forbidden | take-back | stop."""
    reason: str = ""
    """A sentence with the numbers."""


class Policy(Protocol):
    """Keeps its own hysteresis between ticks; one per hub. Everything else comes with the world."""

    def decide(self, world: World) -> BurstDecision: ...


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of the ledger, as it is stored. A reservation is closed by what was truly spent."""

    id: str
    at: float
    """Unix seconds (wall clock, UTC)."""
    kind: Literal["reserved", "spent", "released"]
    dollars: float
    seconds: float = 0.0
    instance: str = ""
    reason: str = ""
    refers: str = field(default="", kw_only=True)
    """The reservation that it closes, wholly or in part."""
