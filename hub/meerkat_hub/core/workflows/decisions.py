"""The decision level of a workflow (DLT): what follows from what was seen in a frame.

    decide(rule, seen, camera=…, local=…, memory=…) → (decisions, memory)

`decide` is a function. Its memory is when each cooldown ends; it goes in, and what it has become comes
out. A decision is made for each thing in the frame, and says in words why it is an event or none.

    who_may_be_here   a person who was recognised may be here, may not, or is unknown
    seen              something with one of these labels is there

Source: MELINDA, Information 2021, 12(1), 14, section 4.1: "check if the identified person is authorized
to be in that restricted area of the camera, alerting the security system if necessary".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from meerkat_contract.messages import Box, Label

from .gallery import key_of

WORKING_POINT = 0.5
"""Scores are calibrated so that from here on a thing counts as found: workers begin a track with no less, and
devices send no frame for less."""

Person = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True)]


def _hours(text: str) -> str:
    _read_hours(text)
    return text


def _read_hours(text: str) -> tuple[time, time]:
    try:
        first, last = (datetime.strptime(part.strip(), "%H:%M").time() for part in text.split("-"))  # noqa: DTZ007
    except ValueError:
        raise ValueError(f"{text!r} is no stretch of time: write it as 22:00-06:00") from None
    if first == last:
        raise ValueError(f"{text!r} begins as it ends: leave it out for the whole day")
    return first, last


Hours = Annotated[str, AfterValidator(_hours), Field(examples=["22:00-06:00"])]
"""Local time, the end not included; across midnight when the end is the earlier one."""


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    between: Hours | None = Field(None, description="the rule holds at these hours only, such as 22:00-06:00")
    cooldown: float = Field(
        60, ge=0, le=86_400, description="seconds in which the same camera does not tell of the same again"
    )

    def holds_at(self, local: datetime) -> bool:
        """Whether the rule holds at this local time."""
        if self.between is None:
            return True
        first, last = _read_hours(self.between)
        now = local.time()
        return first <= now < last if first < last else now >= first or now < last


class WhoMayBeHere(_Rule):
    """Recognised people: who may be where these cameras look."""

    rule: Literal["who_may_be_here"] = "who_may_be_here"
    allowed: tuple[Person, ...] = Field(
        (), description="who may be here; empty: everybody who is known and not forbidden"
    )
    forbidden: tuple[Person, ...] = Field((), description="who may not be here")
    unknown: Literal["alert", "ignore"] = Field(
        "alert", description="what to do about a face that is well seen and that nobody knows"
    )
    tell_allowed: bool = Field(True, description="make an event, without alert, of those who may be here")

    @model_validator(mode="after")
    def _not_both(self) -> WhoMayBeHere:
        if both := sorted(person for person in self.allowed if _named(person, self.forbidden)):
            raise ValueError(f"{', '.join(both)} cannot be both allowed and forbidden")
        return self


class SeenRule(_Rule):
    """Something is there."""

    rule: Literal["seen"] = "seen"
    labels: tuple[Label, ...] = Field(
        (), description="what counts, such as dog or suitcase; empty: people, faces, vehicles and animals"
    )
    min_score: float = Field(
        WORKING_POINT,
        ge=WORKING_POINT,
        le=1,
        description=f"what scores less does not count; at least {WORKING_POINT:g}, since workers and devices "
        "report nothing for less",
    )
    alert: bool = Field(True, description="whether the event asks for attention")

    @field_validator("min_score", mode="before")
    @classmethod
    def _not_in_vain(cls, score: object) -> object:
        if isinstance(score, int | float) and score < WORKING_POINT:
            raise ValueError(
                f"{score:g} would have no effect, for workers and devices report nothing below "
                f"{WORKING_POINT:g}: write {WORKING_POINT:g} or more, or leave it out"
            )
        return score


Rule = Annotated[WhoMayBeHere | SeenRule, Field(discriminator="rule")]


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing in a frame, as far as the levels before have come."""

    label: str
    score: float
    box: Box
    identity: str | None = None
    """Who it is, when somebody known was recognised."""
    stranger: bool = False
    """Well seen, and far from all who are known. Without it, no identity means that nobody can tell."""
    doubt: str = ""
    """Why nobody can tell, in words."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one thing in one frame."""

    event: bool
    alert: bool
    seen: Seen
    reason: str


Memory = Mapping[tuple[str, str], datetime]
"""(camera, label or =person) → when its cooldown ends."""

NOTHING_YET: Memory = MappingProxyType({})


def decide(
    rule: WhoMayBeHere | SeenRule,
    seen: Iterable[Seen],
    *,
    camera: str,
    local: datetime,
    memory: Memory = NOTHING_YET,
) -> tuple[tuple[Decision, ...], Memory]:
    """A decision for each thing in the frame, and the memory for the next one.

    `local` is the time of the frame, with the zone of the house: hours are read from it. Two things of
    the same kind in one frame (two unknown faces) are one event.
    """
    decisions: list[Decision] = []
    ends = dict(memory)
    if not rule.holds_at(local):
        outside = f"the rule holds {rule.between} only"
        return tuple(Decision(False, False, thing, outside) for thing in seen), memory
    for thing in seen:
        judged = _judge_person(rule, thing) if isinstance(rule, WhoMayBeHere) else _judge_label(rule, thing)
        if judged.event:
            key = (camera, f"={thing.identity}" if thing.identity else thing.label)
            end = ends.get(key)
            # An end further away than a cooldown is from before the clock was set back.
            if end is not None and local < end <= local + timedelta(seconds=rule.cooldown):
                quiet = (end - local).total_seconds()
                words = f"{judged.reason}; told of already, quiet for {quiet:.0f} s more"
                judged = Decision(False, False, thing, words)
            else:
                ends[key] = local + timedelta(seconds=rule.cooldown)
        decisions.append(judged)
    live = {key: end for key, end in ends.items() if end > local}
    return tuple(decisions), MappingProxyType(live)


def _judge_person(rule: WhoMayBeHere, thing: Seen) -> Decision:
    who = thing.identity
    if who is None:
        if not thing.stranger:
            return Decision(False, False, thing, thing.doubt or "nobody has looked whose face it is")
        if rule.unknown == "ignore":
            return Decision(False, False, thing, "nobody known; the rule ignores visitors")
        return Decision(True, True, thing, "somebody whom nobody here knows")
    if _named(who, rule.forbidden):
        return Decision(True, True, thing, f"{who} is forbidden here")
    if rule.allowed and not _named(who, rule.allowed):
        return Decision(True, True, thing, f"{who} is not among those who may be here")
    return Decision(rule.tell_allowed, False, thing, f"{who} may be here")


def _named(who: str, people: tuple[str, ...]) -> bool:
    """Whether somebody is on a list that a person wrote, however the name is spelt there."""
    return key_of(who) in map(key_of, people)


def _judge_label(rule: SeenRule, thing: Seen) -> Decision:
    if rule.labels and thing.label not in rule.labels:
        return Decision(False, False, thing, f"{thing.label} is not asked for")
    if thing.score < rule.min_score:
        words = f"{thing.label} scores {thing.score:.2f}, less than {rule.min_score:.2f}"
        return Decision(False, False, thing, words)
    return Decision(True, rule.alert, thing, f"{thing.label} is there, score {thing.score:.2f}")
