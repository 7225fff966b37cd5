"""What is dealt out: pieces of work, the flows they belong to, and the leases on them.

All times are monotonic seconds on the hub's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from math import inf

from meerkat_contract.values import value
from meerkat_hub.core.rules.view import InFlight


class Priority(IntEnum):
    """Who goes first. Within a priority the flows share by their weights."""

    URGENT = 0
    """Somebody stands at the door."""
    LIVE = 1
    BACKLOG = 2
    """Sent late, after the device or the network was away."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A stream of like work, such as one level of one workflow. Flows share the pool by weight."""

    id: str
    task: str
    """What a worker must offer to take it."""
    weight: float = 1.0
    nodes: frozenset[str] | None = None
    """The only workers that may take it; None leaves it to the whole pool."""
    bound: int | None = None
    """Perishable work: so many wait at most, and beyond it the oldest is dropped. None: durable."""

    @property
    def perishable(self) -> bool:
        return self.bound is not None


@value
class Item:
    """A piece of work that waits for a worker."""

    id: str
    flow: str
    """The id of its flow."""
    cost: float
    """Frames to look at."""
    size: int = 0
    """Bytes that travel to the worker."""
    arrived: float = 0.0
    deadline: float = inf
    """When its answer is worthless, if it is perishable."""
    priority: Priority = Priority.LIVE
    source: str = ""
    """Where it comes from, such as a camera: behind schedule, only the newest of each source waits."""
    attempts: int = 0
    """Tries that ended without a result."""
    returns: int = 0
    """How often it was sent and came back unbegun."""
    avoid: frozenset[str] = frozenset()
    """Workers that failed at it; they get it again only if nobody else is able to."""


@dataclass(slots=True, eq=False)
class Lease:
    """An item that a worker has been given. `item` may be held by two leases: the second is a copy."""

    item: Item
    task: str
    worker: str
    incarnation: str
    token: int
    sent: float
    expires: float
    charge: float = 0.0
    """Seconds of service that its flow was charged for it."""
    alone: bool = False
    """The worker held nothing else when it was sent."""
    copy: bool = False
    ahead: bool = False
    """It goes before what its worker held and had not begun when it was sent (see `passing`)."""
    passed: float = 0.0
    """Seconds of work that went before it so."""
    unmet: bool = False
    """Who knows whether it reaches the worker? That has answered nothing since it, or the broker, came."""
    in_flight: InFlight = field(init=False)
    """The same as a rule sees it."""

    def __post_init__(self) -> None:
        self.in_flight = InFlight(self.item.id, self.item.cost, self.sent)


@value
class Dropped:
    """Perishable work that nobody will do. reason: full | late | gone (its flow ended)."""

    item: Item
    reason: str


@value
class TryEnded:
    """A try at this item ended without a result, for this reason; the pool keeps the item no longer."""

    item: Item
    worker: str
    reason: str


@value
class Answer:
    """A result that counts. `void` are the other leases on the item, which nobody needs any more."""

    lease: Lease
    void: tuple[Lease, ...] = ()
    kept: bool = False
    """It was not done here, and the pool keeps the item: another has it too, or it was never begun."""


@value
class Passed:
    """What time has ended. `over` are the leases that ran out: their workers may stop."""

    over: tuple[Lease, ...] = ()
    ended: tuple[TryEnded, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    notes: tuple[str, ...] = ()
    """Lines for the log."""


NOTHING_PASSED = Passed()
