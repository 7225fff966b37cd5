"""What is told to a meter's history, what it keeps, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from meerkat_contract.meter_messages import CounterSeen, MeterReading, MeterVerdict, Verdict

PARTS = 10**6
"""Values are whole numbers of millionths of the meter's unit: sums stay exact for ever."""

Source = Literal["picture", "owner", "device"]


def parts(value: float) -> int:
    return round(value * PARTS)


@dataclass(frozen=True, slots=True)
class PictureSeen:
    """One counter of one picture, as its reader saw it."""

    id: str
    """Of the picture."""
    at: datetime
    """When it was taken, in UTC."""
    seen: CounterSeen
    source: Source = "picture"
    """device: the device read it itself."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What the readings up to one of them have told of a meter. Flows are in units per hour."""

    count: int = 0
    """Readings that it comes from."""
    mean: float = 0.0
    high: float = 0.0
    """About nine of ten hours with flow are below it."""
    hours: float = 1.0
    """Usual time from one reading to the next."""
    clearness: float = 1.0
    """Usual confidence of a picture's least clear wheel or needle, and `spread` by how much it differs."""
    spread: float = 0.05
    still_since: datetime | None = None
    """Since when the total has not risen above `still_total` by more than a needle trembles."""
    still_total: float = 0.0
    flowing_since: datetime | None = None
    """Since when something has flowed in every interval: the `longest`, in hours, and the `least` flow."""
    longest: float = 0.0
    least: float = 0.0
    evenly: float = 0.0
    """Log odds that its last wheel above a dial turns evenly, beside what is usual: 0 while nobody knows."""
    evenly_total: float | None = None
    """The total at which a picture last told of that."""


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One line of a meter's history: a picture, or what the owner said. Rows sort by (at, id).

    The first part is what happened, and never changes except by the owner. The second is what the
    history makes of it, and may be revised by any row; it is the answer to store, nothing to fill in.
    """

    id: str
    """Of the picture, or of what the owner said."""
    at: datetime
    kind: Literal["picture", "owner", "exchange"] = "picture"
    source: Source = "picture"
    by_device: bool = False
    """Its device read it: so it is again when the owner takes his word back."""
    seen: CounterSeen | None = None
    """Of a picture."""
    told: float | None = None
    """By the owner, in the meter's unit: what it shows here; at an exchange, where the new one began."""
    told_last: float | None = None
    """By the owner at an exchange: what the old meter showed last."""
    refused: bool = False
    """The owner says that the picture shows no reading."""

    verdict: Verdict = "held"
    reason: str = ""
    value: float | None = None
    """In the meter's own unit; what was read, also when it is not believed."""
    confidence: float = 0.0
    expected: tuple[float, float] | None = None
    total: float | None = None
    """In the meter's own unit, of accepted ones: goes on over rollovers and exchanges."""
    flow: float | None = None
    """Units per hour since the accepted reading before."""
    last_reset: datetime | None = None
    learnt: Learnt | None = None
    """Of accepted ones: a history that is loaded from the middle goes on from it."""
    revision: int = 0

    @property
    def place(self) -> tuple[datetime, str]:
        return self.at, self.id


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from something told. All of it belongs into one transaction."""

    changes: tuple[ReadingRow, ...] = ()
    """Rows to store whole, new or again; in order of time."""
    reading: MeterReading | None = None
    """To publish, retained: the latest accepted reading, when it is new or has changed."""
    verdict: MeterVerdict | None = None
    """To publish, retained: what became of the latest picture, when that is new or has changed."""
    notes: tuple[str, ...] = ()
    """For the owner: what this contradicts, what to do about it. Empty when all is well."""
    withdrawn: bool = False
    """The reading that was published is taken back, and no other takes its place."""
    late: bool = False
    """It is older than what is held in mind: what is stored of it already, stands."""
