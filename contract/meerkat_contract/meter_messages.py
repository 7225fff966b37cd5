"""What a reader saw on a meter, and what the hub makes of it.

A worker (task read_meter) says what one picture shows, without any history: `MeterSeen` in its result.
The hub compares it with the meter's own past and publishes:

    meerkat/meter/<d>/<meter>/reading    MeterReading, retained: accepted readings only
    meerkat/meter/<d>/<meter>/verdict    MeterVerdict, retained: what became of the last picture

A counter with a name is a meter of its own there: `<meter>-<counter>`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .ids import Id, Name, UtcTime
from .message import Fraction, Message
from .meter_layout import CounterLayout, MeterLayout

Verdict = Literal["accepted", "held", "unreadable", "implausible"]
"""accepted: to be trusted. held: it may be right, and waits for a later one or the owner to say so.
unreadable: the picture does not show a reading. implausible: it shows one that cannot be."""

Alarm = Literal["leak", "no_flow", "silent"]
"""leak: it flows without a pause, or all night. no_flow: the meter stands still. silent: no readings come."""

EVENLY = 0.4
"""The share of meters whose last wheel above a dial turns evenly: what a `Candidate.evenly` is when the
picture says nothing of it."""

Position = Annotated[float, Field(ge=0, le=10)]

MOST = 10**13
"""No meter shows more: twelve wheels, in whatever unit. So sums of millionths stay sums of numbers."""

Shown = Annotated[float, Field(ge=0, le=MOST)]


class PositionSeen(Message):
    """One wheel or needle."""

    position: Position | None = Field(
        None, description="0 to 10, in the middle of what is likely; absent when it is no wheel or needle"
    )
    confidence: Fraction = Field(description="how much of the distribution lies about that position")
    digit: int | None = Field(None, ge=0, le=9, description="as the whole reading has it")
    factor: float | None = Field(
        None, ge=1 / MOST, le=MOST, description="what one step of it counts, in units of the counter"
    )


class Candidate(Message):
    """A reading that explains what was seen."""

    value: Shown = Field(description="in units of the counter, a multiple of its step")
    likelihood: Fraction = Field(description="beside the other candidates, history left out")
    evenly: Fraction | None = Field(
        None,
        description="were it the reading, how likely the last wheel above a dial turns evenly with it, and"
        " does not rest until the dial goes from 9 to 0; absent without such a wheel",
    )


class Alignment(Message):
    """How the picture lies on the one that the layout was made for."""

    score: Fraction = Field(description="how well they agree; below 0.5 the picture is refused")
    dx: float = Field(description="pixels by which it is shifted to the right")
    dy: float = Field(description="pixels by which it is shifted down")
    rotation_deg: float = Field(description="by which it is turned clockwise")
    scale: float = Field(1.0, gt=0)


class CounterSeen(Message):
    """What the picture alone says of one counter."""

    counter: Name | None = Field(None, description="absent for the main one")
    verdict: Verdict
    reason: str = Field("", max_length=500, description="why it is not accepted, and the remedy")
    value: Shown | None = Field(None, description="the likeliest; absent when it is unreadable")
    confidence: Fraction = 0.0
    unit: str = ""
    step: float = Field(ge=1 / MOST, le=MOST, description="what the last wheel or needle counts")
    span: float = Field(ge=1 / MOST, le=MOST, description="where it begins again at zero")
    wheels: tuple[PositionSeen, ...] = ()
    needles: tuple[PositionSeen, ...] = ()
    candidates: tuple[Candidate, ...] = Field((), max_length=16, description="the likeliest first")


class MeterSeen(Message):
    """A result's `meter`: the answer of task read_meter."""

    counters: tuple[CounterSeen, ...] = Field((), description="the main one first")
    alignment: Alignment | None = Field(None, description="absent without a reference")
    layout: MeterLayout | None = Field(None, description="when the job asked for a proposal")
    doubts: tuple[str, ...] = Field((), description="what the owner should look at in the proposal")


class MeterOrder(Message):
    """A job's `meter`: what to do with the picture. Without a layout one is proposed, and then read."""

    layout: MeterLayout | None = None
    landmarks: bool = Field(False, description="make the layout's landmarks from this picture, and answer it")


class MeterReading(Message):
    """meerkat/meter/<d>/<meter>/reading, retained: an accepted reading."""

    id: Id = Field(description="of the picture, or of what the owner said")
    device: Name
    meter: Name
    at: UtcTime = Field(description="when the picture was taken")
    value: float = Field(ge=0, description="what the meter shows, in `unit`")
    total: float = Field(description="goes on over rollovers and exchanges of the meter, in `unit`")
    unit: str
    flow: float | None = Field(None, description="units per hour since the reading before")
    last_reset: UtcTime | None = Field(None, description="when the meter was last exchanged")
    confidence: Fraction = 1.0
    source: Literal["picture", "owner", "device"] = "picture"
    revision: int = Field(1, ge=1, description="counts up when it is corrected")


class MeterVerdict(Message):
    """meerkat/meter/<d>/<meter>/verdict, retained: what became of the last picture."""

    id: Id
    device: Name
    meter: Name
    at: UtcTime
    verdict: Verdict
    reason: str = ""
    confidence: Fraction = 0.0
    value: float | None = Field(None, description="what was read, also when it is not believed")
    expected: tuple[float, float] | None = Field(None, description="from, to: what history leaves possible")
    unit: str = ""
    leak: str = Field("", description="what is wrong with the flow, in words; empty when nothing is")
    alarm: Alarm | None = Field(None, description="of what kind that is")


def unread(layout: MeterLayout, reason: str) -> MeterSeen:
    """What is said of a picture that nobody could read."""
    counters = layout.all_counters.items()
    return MeterSeen(counters=tuple(unread_counter(name, one, reason) for name, one in counters))


def unread_counter(name: str, counter: CounterLayout, reason: str) -> CounterSeen:
    """The same of one counter; the main one's name is empty."""
    return CounterSeen(
        counter=name or None,
        verdict="unreadable",
        reason=reason[:500],
        unit=counter.unit,
        step=counter.step,
        span=counter.span,
    )
