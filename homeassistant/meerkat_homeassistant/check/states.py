"""Rules for what stands on the topics that discovery names: does Home Assistant make a state of it?

A state that it cannot read is a line in its log, or nothing at all; the entity then stays as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from . import classes, schema
from .finding import Finding, Severity
from .payload import Component, Message, Told, as_dict, as_list
from .templates import TemplateProblem, Templates
from .values import number

Fault = tuple[Severity, str, str, str]

LONGEST_STATE = 255
"""Characters."""

LARGEST_ATTRIBUTES = 16_384
"""Bytes; what is larger is not kept in the history."""

LARGEST_PICTURE = 200_000
"""Bytes: Home Assistant keeps the last ten messages of a topic in memory."""

_SILENT = {"button", "device_automation", "event", "notify", "scene", "tag"}
"""Their topics hold nothing between two moments."""


def findings(
    message: Message, told: Told, templates: Templates, rejected: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    """What is wrong with the states of a message's components, but for the ids in `rejected`."""
    for component in message.components:
        if not component.removal and component.id not in rejected:
            for severity, rule, what, remedy in _faults(component, told, templates):
                topic, device = component.topic, component.device
                yield Finding(severity, rule, topic, device, component.id, what, remedy)


def _faults(component: Component, told: Told, templates: Templates) -> Iterator[Fault]:
    yield from _available(component, told, templates)
    unsaid = []
    for option, topic in component.topics():
        silent = component.platform in _SILENT and option != "json_attributes_topic"
        if topic not in (told.states if silent else told.said):
            if "+" not in topic and "#" not in topic and not silent:
                unsaid.append(topic)
            continue
        payload = told.said[topic]
        if option == "json_attributes_topic":
            yield from _attributes(component.all, payload, templates)
        elif component.platform == "event":
            what = f"{topic} is retained, and Home Assistant ignores events that are"
            yield "warning", "retained-event", what, "Publish it without retain"
        elif silent:
            what = f"{topic} is retained, so what it sets off happens again when Home Assistant starts"
            yield "note", "retained-event", what, "If that matters, publish it without retain"
        elif option in _PICTURES:
            yield from _picture(topic, payload)
        elif option == "state_topic":
            yield from _state(component, payload, templates)
    if unsaid:
        what = f"nothing was ever said on {', '.join(dict.fromkeys(unsaid))}: it is unknown until then"
        yield "note", "no-state", what, "If it stays so: does the device publish there, retained?"
    if component.platform == "event":
        for topic, payload in told.heard:
            if topic == component.all.get("state_topic"):
                yield from _event(component.all, payload, templates)


_PICTURES = {"topic", "image_topic"}


def _available(component: Component, told: Told, templates: Templates) -> Iterator[Fault]:
    """A topic that was never seen counts as offline, in mode `all` for ever."""
    topics = list(component.availability)
    if component.platform in schema.NOT_ENTITIES:
        return
    unseen = [item["topic"] for item in topics if item["topic"] not in told.said]
    mode = component.all.get("availability_mode", "latest")
    if unseen and (mode == "all" or len(unseen) == len(topics)):
        what = f"it is unavailable: nothing was ever said on {', '.join(unseen)}"
        yield "warning", "availability", what, "Publish the availability there, retained, or take it out"
    for item in topics:
        if item["topic"] not in told.said:
            continue
        words = {
            str(item.get("payload_available", "online")),
            str(item.get("payload_not_available", "offline")),
        }
        template = item.get("value_template")
        text, faults = _read(template, told.said[item["topic"]], "availability", templates)
        yield from faults
        if text is not None and text not in words:
            what = f"{item['topic']} says {_short(text)}, which is neither {' nor '.join(sorted(words))}"
            yield "warning", "availability", what, "Correct the payload, or what counts as available"


def _read(template: Any, payload: bytes, option: str, templates: Templates) -> tuple[str | None, list[Fault]]:
    """What a template makes of a payload, or None; and what Home Assistant would log."""
    try:
        rendered = templates.rendered(template if isinstance(template, str) else None, payload)
    except TemplateProblem as problem:
        what = f"the template of its {option} fails on what is there now: {problem}"
        return None, [("warning", "template", what, "Let it expect that, or correct what is published")]
    if rendered is None:
        return None, []
    return rendered.text, [
        ("warning", "template", f"the template of its {option} uses what is not there: {line}", _EXPECT)
        for line in rendered.missing
    ]


_EXPECT = "Say `value_json.get('…')`, or `… | default`"


def _attributes(options: Mapping[str, Any], payload: bytes, templates: Templates) -> Iterator[Fault]:
    text, faults = _read(options.get("json_attributes_template"), payload, "attributes", templates)
    yield from faults
    if text is None:
        return
    if len(text.encode()) > LARGEST_ATTRIBUTES:
        what = f"its attributes have {len(text.encode())} bytes, so the history leaves them out"
        yield "warning", "size", what, f"At most {LARGEST_ATTRIBUTES} bytes are kept"
    try:
        good = isinstance(json.loads(text), dict)
    except ValueError:
        good = False
    if not good:
        what = f"its attributes are no JSON object: {_short(text)}"
        yield "warning", "attributes", what, "Publish one, or use json_attributes_template"


def _picture(topic: str, payload: bytes) -> Iterator[Fault]:
    if len(payload) > LARGEST_PICTURE:
        what = f"the picture on {topic} has {len(payload) // 1000} kB"
        remedy = "Home Assistant keeps ten of them in memory: make it smaller than 200 kB"
        yield "warning", "size", what, remedy


def _state(component: Component, payload: bytes, templates: Templates) -> Iterator[Fault]:
    options = component.all
    rule = _STATES.get(component.platform)
    if rule is None:
        return
    text, faults = _read(options.get("value_template"), payload, "state", templates)
    yield from faults
    if text is not None and text not in ("", "None"):
        yield from rule(options, text)


def _bad(what: str, remedy: str) -> Fault:
    return "warning", "state", what, remedy


def _sensor(options: Mapping[str, Any], text: str) -> Iterator[Fault]:
    kind = str(options.get("device_class") or "").lower()
    if kind in ("timestamp", "uptime"):
        if (at := _time(text)) is None or at.tzinfo is None:
            yield _bad(f"its state {_short(text)} is no time with a zone", "Write 2026-11-20T08:00:00+00:00")
    elif kind == "date":
        if _date(text) is None:
            yield _bad(f"its state {_short(text)} is no date", "Write 2026-11-20")
    elif kind == "enum":
        known = [str(one) for one in as_list(options.get("options"))]
        if known and text not in known:
            yield _bad(f"its state {_short(text)} is not among its options", "Add it to the options")
    elif _measures(options, kind):
        if number(text) is None:
            what = f"its state {_short(text)} is no number, which its unit or class asks for"
            yield _bad(what, "Publish a number, or take out unit, state class and precision")
    elif len(text) > LONGEST_STATE:
        yield _bad(f"its state has {len(text)} characters", "At most 255; put long texts into attributes")


def _measures(options: Mapping[str, Any], kind: str) -> bool:
    return classes.is_number(kind) or any(
        options.get(key) is not None
        for key in ("unit_of_measurement", "state_class", "suggested_display_precision")
    )


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _date(text: str) -> date | None:
    return date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) and _time(text) else None


def _binary_sensor(options: Mapping[str, Any], text: str) -> Iterator[Fault]:
    words = [str(options.get("payload_on", "ON")), str(options.get("payload_off", "OFF"))]
    if text not in words:
        what = f"its state {_short(text)} is neither {words[0]} nor {words[1]}"
        yield _bad(what, "Correct what is published, or payload_on and payload_off")
    elif text == words[0] and "off_delay" in options:
        what = "it says for itself when it is off, and its last `on` is retained: it goes on at every restart"
        yield _bad(what, "Publish it without retain")


def _switch(options: Mapping[str, Any], text: str) -> Iterator[Fault]:
    words = [
        str(options.get(f"state_{word.lower()}", options.get(f"payload_{word.lower()}", word)))
        for word in ("ON", "OFF")
    ]
    if text not in words:
        what = f"its state {_short(text)} is neither {words[0]} nor {words[1]}: dropped without a word"
        yield _bad(what, "Correct what is published, or state_on and state_off")


def _select(options: Mapping[str, Any], text: str) -> Iterator[Fault]:
    if text not in [str(one) for one in as_list(options.get("options"))]:
        yield _bad(f"its state {_short(text)} is not among its options", "Add it to the options")


def _number(options: Mapping[str, Any], text: str) -> Iterator[Fault]:
    if text == str(options.get("payload_reset", "None")):
        return
    value = number(text)
    low, high = (number(options.get(key, default)) for key, default in (("min", 0), ("max", 100)))
    if value is None:
        yield _bad(f"its state {_short(text)} is no number", "Publish a number")
    elif low is not None and high is not None and not low <= value <= high:
        what = f"its state {value:g} is not within {low:g} and {high:g}: dropped with an error in the log"
        yield _bad(what, "Correct its range")


def _light(options: Mapping[str, Any], text: str) -> Iterator[Fault]:
    if options.get("schema") != "json":
        return
    try:
        told = as_dict(json.loads(text))
    except ValueError:
        told = {}
    if told.get("state") not in ("ON", "OFF", None) or not told:
        yield _bad(f"its state {_short(text)} is not JSON with state ON or OFF", "Publish that")


def _update(_: Mapping[str, Any], text: str) -> Iterator[Fault]:
    if not text.startswith("{"):
        return  # a version by itself
    try:
        told = as_dict(json.loads(text))
    except ValueError:
        yield _bad(f"its state {_short(text)} is no JSON", "Publish JSON or a version")
        return
    if strange := sorted(told.keys() - _UPDATE):
        what = f"its state has {', '.join(strange)}, which rejects all of it"
        yield _bad(what, f"There are {', '.join(sorted(_UPDATE))}")


_UPDATE = frozenset(
    "installed_version latest_version title release_summary release_url entity_picture in_progress "
    "update_percentage".split()
)

_STATES: dict[str, Callable[[Mapping[str, Any], str], Iterator[Fault]]] = {
    "sensor": _sensor,
    "binary_sensor": _binary_sensor,
    "switch": _switch,
    "select": _select,
    "number": _number,
    "light": _light,
    "update": _update,
}


def _event(options: Mapping[str, Any], payload: bytes, templates: Templates) -> Iterator[Fault]:
    """One that happened while somebody listened."""
    text, faults = _read(options.get("value_template"), payload, "event", templates)
    yield from faults
    if text is None or text in ("", "None", "{}", '""'):
        return
    try:
        told = as_dict(json.loads(text))
    except ValueError:
        told = {}
    types = [str(one) for one in as_list(options.get("event_types"))]
    if "event_type" not in told:
        yield _bad(f"an event came without an event_type: {_short(text)}", "Publish JSON with event_type")
    elif str(told["event_type"]) not in types:
        what = f"the event {_short(str(told['event_type']))} is not among its types, so nothing happened"
        yield _bad(what, f"List it; there are {', '.join(types)}")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
