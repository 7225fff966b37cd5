"""Decision rules: who may be where, at which hours, and how often it is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from meerkat_devices.frames import detector
from meerkat_hub.core.workflows.decisions import (
    NOTHING_YET,
    WORKING_POINT,
    Decision,
    Memory,
    Rule,
    Seen,
    SeenRule,
    WhoMayBeHere,
    decide,
)
from meerkat_inference import tracker

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BOX = (0.1, 0.1, 0.2, 0.2)


def face(who: str | None = None) -> Seen:
    """Of somebody known, or of a stranger."""
    return Seen("face", 0.9, BOX, identity=who, stranger=who is None)


def ask(
    rule: WhoMayBeHere | SeenRule, *seen: Seen, at: datetime = NOON, memory: Memory = NOTHING_YET
) -> tuple[Decision, ...]:
    return decide(rule, seen, camera="porch/front", local=at, memory=memory)[0]


def outcome(decision: Decision) -> str:
    return "alert" if decision.alert else "event" if decision.event else "nothing"


@pytest.mark.parametrize(
    ("rule", "who", "expected"),
    [
        ({"allowed": ["ada"]}, "ada", "event"),
        ({"allowed": ["ada"]}, "bob", "alert"),
        ({"allowed": ["ada"], "tell_allowed": False}, "ada", "nothing"),
        ({"allowed": ["Ada"]}, "ada", "event"),
        ({"forbidden": ["bob"]}, "Bob", "alert"),
        ({"forbidden": ["bob"]}, "ada", "event"),
        ({"forbidden": ["bob"]}, "bob", "alert"),
        ({"allowed": ["ada"], "forbidden": ["bob"]}, "bob", "alert"),
        ({}, "anybody", "event"),
        ({}, None, "alert"),
        ({"unknown": "ignore"}, None, "nothing"),
    ],
)
def test_who_may_be_here(rule: dict[str, Any], who: str | None, expected: str) -> None:
    (decision,) = ask(WhoMayBeHere(**rule), face(who))
    assert outcome(decision) == expected
    assert decision.reason


def test_a_face_of_which_nobody_can_tell_is_no_stranger() -> None:
    (decision,) = ask(WhoMayBeHere(), Seen("face", 0.9, BOX, doubt="hardly to be made out"))
    assert not decision.event
    assert decision.reason == "hardly to be made out"


@pytest.mark.parametrize(
    ("between", "clock", "holds"),
    [
        ("22:00-06:00", "21:59", False),
        ("22:00-06:00", "22:00", True),
        ("22:00-06:00", "05:59", True),
        ("22:00-06:00", "06:00", False),
        ("08:00-12:00", "08:00", True),
        ("08:00-12:00", "12:00", False),
    ],
)
def test_hours(between: str, clock: str, holds: bool) -> None:
    hour, minute = map(int, clock.split(":"))
    (decision,) = ask(WhoMayBeHere(between=between), face(), at=NOON.replace(hour=hour, minute=minute))
    assert decision.alert is holds


@pytest.mark.parametrize(
    "between", ["22:00", "25:00-06:00", "22:00-22:00", "late-early", "22:00-06:00-07:00"]
)
def test_hours_that_cannot_be(between: str) -> None:
    with pytest.raises(ValidationError, match="between"):
        WhoMayBeHere(between=between)


def test_a_cooldown_ends_at_its_very_second() -> None:
    rule = WhoMayBeHere(cooldown=60)
    told, memory = decide(rule, [face()], camera="porch/front", local=NOON)
    assert told[0].event
    for seconds, expected in ((0, False), (59.999, False), (60, True)):
        at = NOON + timedelta(seconds=seconds)
        assert ask(rule, face(), at=at, memory=memory)[0].event is expected, seconds


def test_a_cooldown_is_of_one_person_at_one_camera() -> None:
    rule = WhoMayBeHere(cooldown=60)
    _, memory = decide(rule, [face("ada")], camera="porch/front", local=NOON)
    assert not ask(rule, face("ada"), memory=memory)[0].event
    assert ask(rule, face("bob"), memory=memory)[0].event
    assert ask(rule, face(), memory=memory)[0].alert
    elsewhere, _ = decide(rule, [face("ada")], camera="porch/back", local=NOON, memory=memory)
    assert elsewhere[0].event


def test_a_person_named_as_a_label_has_a_cooldown_of_its_own() -> None:
    rule = WhoMayBeHere(cooldown=60)
    _, memory = decide(rule, [face("face")], camera="porch/front", local=NOON)
    assert ask(rule, face(), memory=memory)[0].alert


def test_what_was_decided_before_is_not_changed() -> None:
    rule = WhoMayBeHere(cooldown=60)
    _, first = decide(rule, [face()], camera="porch/front", local=NOON)
    decide(rule, [face("ada")], camera="porch/front", local=NOON, memory=first)
    assert len(first) == 1


def test_ends_that_are_over_are_forgotten() -> None:
    rule = WhoMayBeHere(cooldown=60)
    memory = NOTHING_YET
    for n in range(100):
        at = NOON + timedelta(minutes=n)
        _, memory = decide(rule, [face(f"guest {n}")], camera="porch/front", local=at, memory=memory)
    assert len(memory) == 1


def test_two_strangers_in_one_frame_are_one_event() -> None:
    assert [d.event for d in ask(WhoMayBeHere(), face(), face())] == [True, False]


def test_seen() -> None:
    rule = SeenRule(labels=("dog",), min_score=0.6)
    dog, cat = Seen("dog", 0.6, BOX), Seen("cat", 0.9, BOX)
    assert [outcome(d) for d in ask(rule, dog, cat)] == ["alert", "nothing"]
    assert not ask(rule, Seen("dog", 0.59, BOX))[0].event
    assert outcome(ask(SeenRule(alert=False), cat)[0]) == "event"


def test_a_score_that_nobody_reports_is_refused_with_the_reason() -> None:
    """The floor is that of our workers and devices: a rule below it would read as one that works."""
    assert WORKING_POINT == tracker.START == detector.WORKING_POINT
    assert SeenRule(min_score=WORKING_POINT).min_score == SeenRule().min_score == 0.5
    for least in (0.499, 0.35, 0, -1):
        with pytest.raises(ValidationError, match=f"{least:g} would have no effect, .* write 0.5 or more"):
            SeenRule(min_score=least)
    for wrong in ("0.3", "much", 1.01, float("nan"), None):
        with pytest.raises(ValidationError):
            TypeAdapter(Rule).validate_python({"rule": "seen", "min_score": wrong})


def test_the_rule_is_found_by_its_name() -> None:
    read = TypeAdapter(Rule).validate_python
    assert read({"rule": "seen", "labels": ["dog"]}) == SeenRule(labels=("dog",))
    assert isinstance(read({"rule": "who_may_be_here"}), WhoMayBeHere)
    for wrong in ({"rule": "who_knows"}, {"rule": "seen", "allowed": ["ada"]}, {}):
        with pytest.raises(ValidationError):
            read(wrong)


def test_nobody_is_both_allowed_and_forbidden() -> None:
    with pytest.raises(ValidationError, match="ada cannot be both"):
        WhoMayBeHere(allowed=("ada", "bob"), forbidden=("ada",))


def test_a_clock_that_is_set_back_silences_nobody() -> None:
    rule = SeenRule(cooldown=60)
    dog = Seen("dog", 0.9, BOX)
    wrong = NOON + timedelta(days=365)
    (first,), memory = decide(rule, [dog], camera="a/b", local=wrong, memory=NOTHING_YET)
    (second,), memory = decide(rule, [dog], camera="a/b", local=NOON, memory=memory)
    (third,), memory = decide(rule, [dog], camera="a/b", local=NOON + timedelta(seconds=59), memory=memory)
    assert [first.event, second.event, third.event] == [True, True, False]
