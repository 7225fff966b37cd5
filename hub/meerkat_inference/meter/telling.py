"""Readings as JSON and in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from meerkat_contract.meter_messages import CounterSeen, MeterSeen, PositionSeen

from .choice import Choice


def as_json(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False)


def as_object(picture: Path, seen: MeterSeen, counter: CounterSeen, chosen: Choice) -> dict[str, Any]:
    """One counter of one picture, with the verdict as `choice` has it."""
    told: dict[str, Any] = {"picture": str(picture)}
    if len(seen.counters) > 1:
        told["counter"] = counter.counter
    told |= {
        "value": chosen.value,
        "unit": counter.unit,
        "verdict": chosen.verdict,
        "reason": chosen.reason,
        "confidence": round(chosen.confidence, 4),
        "wheels": [_position(one) for one in counter.wheels],
        "needles": [_position(one) for one in counter.needles],
        "candidates": [
            {"value": one.value, "likelihood": round(one.likelihood, 4)} for one in counter.candidates
        ],
    }
    if chosen.expected is not None:
        told["expected"] = list(chosen.expected)
    if seen.alignment is not None:
        told["alignment"] = seen.alignment.model_dump(exclude={"schema_version"})
    return told


def unread(picture: Path, reason: str) -> dict[str, Any]:
    """A file that is no picture, or does not fit the layout."""
    return {
        "picture": str(picture),
        "value": None,
        "verdict": "unreadable",
        "reason": reason,
        "confidence": 0.0,
        "wheels": [],
        "needles": [],
        "candidates": [],
    }


def _position(one: PositionSeen) -> dict[str, Any]:
    return {"position": one.position, "confidence": one.confidence, "digit": one.digit}


def in_words(picture: Path, counter: CounterSeen, chosen: Choice) -> str:
    """One line for people, and a second one with what each wheel and needle shows."""
    which = f" {counter.counter}" if counter.counter else ""
    value = "no reading" if chosen.value is None else f"{written(chosen.value, counter.step)} {counter.unit}"
    line = f"{picture}{which}: {value}, {chosen.verdict} ({chosen.confidence:.0%})"
    if chosen.reason:
        line += f": {chosen.reason}"
    parts = [
        f"{kind} " + " ".join("-" if one.position is None else f"{one.position % 9.95:.1f}" for one in ones)
        for kind, ones in (("wheels", counter.wheels), ("needles", counter.needles))
        if ones
    ]
    return f"{line}\n    {', '.join(parts)}" if parts else line


def written(value: float, step: float) -> str:
    """A value with as many decimals as its step has."""
    decimals = len(f"{step:.10f}".rstrip("0").partition(".")[2])
    return f"{value:.{decimals}f}"
