"""The blueprints as Home Assistant reads them, without one: their inputs, and every name that they use."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.nodes import ScalarNode

from meerkat_homeassistant.catalogue import EVENT_TYPES

from .automation_keys import faults
from .docs_house import entities
from .phone import BLUEPRINTS

FILES = sorted(BLUEPRINTS.glob("*.yaml"))
each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


class Input(str):
    """`!input name`."""


class _Constructor(SafeConstructor):
    def input(self, node: ScalarNode) -> Input:
        return Input(node.value)


_Constructor.add_constructor("!input", _Constructor.input)


@cache
def load(path: Path) -> dict[str, Any]:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    loaded: dict[str, Any] = yaml.load(path.read_text())
    return loaded


def inputs(blueprint: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every input, those of sections among them."""
    found: dict[str, dict[str, Any]] = {}
    for name, one in blueprint["input"].items():
        inner = one.get("input", {name: one})
        assert not found.keys() & inner.keys(), "Home Assistant wants a name once over all sections"
        found |= inner
    return found


def walk(value: Any) -> Iterator[Any]:
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


@each
def test_its_head(path: Path) -> None:
    head = load(path)["blueprint"]
    assert head.keys() == {"name", "description", "domain", "author", "source_url", "homeassistant", "input"}
    assert head["name"].startswith("Meerkat: ")
    assert head["domain"] == "automation"
    assert re.fullmatch(r"\d{4}\.\d{1,2}\.\d+", head["homeassistant"]["min_version"])
    where = urlsplit(head["source_url"])
    assert (where.scheme, where.path) == ("http", f"/blueprints/{path.name}")
    sections = [one for one in head["input"].values() if "input" in one]
    assert sections
    assert all(one["collapsed"] and one["name"] and one["icon"].startswith("mdi:") for one in sections)


REQUIRED = {"notify": {"cameras"}, "meter": {"meter"}, "pool": set[str]()}


@each
def test_its_inputs_have_defaults_that_home_assistant_takes(path: Path) -> None:
    known = inputs(load(path)["blueprint"])
    assert {name for name, one in known.items() if "default" not in one} == REQUIRED[path.stem]
    for name, one in known.items():
        assert one["name"], name
        ((kind, about),) = one["selector"].items()
        about = about or {}
        match kind:
            case "entity" | "device" | "condition" | "action":
                # An empty text makes the automation invalid.
                assert one.get("default") != "", name
                assert isinstance(one.get("default", []), list) or not about.get("multiple"), name
            case "select":
                values = [option["value"] for option in about["options"]]
                chosen = one["default"] if about.get("multiple") else [one["default"]]
                assert set(chosen) <= set(values), name
            case "number":
                assert about["min"] <= one["default"] <= about["max"], name
            case "text":
                assert isinstance(one["default"], list if about.get("multiple") else str), name
            case "time":
                assert re.fullmatch(r"\d\d:\d\d:\d\d", one["default"]), name
            case "boolean":
                assert isinstance(one["default"], bool), name
            case _:
                pytest.fail(f"{name}: no selector {kind}")


@each
def test_every_input_is_used_and_every_used_one_is_there(path: Path) -> None:
    blueprint = load(path)
    used = {
        str(one)
        for key, part in blueprint.items()
        if key != "blueprint"
        for one in walk(part)
        if isinstance(one, Input)
    }
    assert used == inputs(blueprint["blueprint"]).keys()


@each
def test_home_assistant_knows_every_key(path: Path) -> None:
    assert list(faults(load(path))) == []


GLOBALS = set("trigger this repeat now timedelta as_datetime range namespace dict".split()) | set(
    "states state_attr device_attr device_id device_entities has_value is_state".split()
)
FILTERS = {"bool", "flatten", "slugify", "states"}
TESTS = {"is_state", "match", "search"}
"""Of Home Assistant's own, what is used."""


@each
def test_every_name_in_a_template_is_defined(path: Path) -> None:
    """Home Assistant renders an unknown name to nothing, with a warning in its log."""
    blueprint = load(path)
    known = inputs(blueprint["blueprint"])
    reader = ImmutableSandboxedEnvironment()
    reader.filters |= dict.fromkeys(FILTERS, str)
    reader.tests |= dict.fromkeys(TESTS, bool)
    names = {
        name
        for part in walk(blueprint)
        if isinstance(part, dict)
        for key in ("variables", "trigger_variables")
        for name in part.get(key, ())
    }
    templates = [
        one
        for key, part in blueprint.items()
        if key != "blueprint"
        for one in walk(part)
        if isinstance(one, str)
    ]
    defaults = [one.get("default") for one in known.values()]
    templates += [text for text in defaults if isinstance(text, str)]
    asked = {name for text in templates for name in meta.find_undeclared_variables(reader.parse(text))}
    assert asked - GLOBALS <= names
    # What a user may write in a template is what the description promises.
    for one in known.values():
        if "It knows" in (text := one.get("description", "")):
            assert set(re.findall(r"`(\w+)`", text)) <= names


def test_the_events_are_those_that_cameras_tell() -> None:
    notify = load(BLUEPRINTS / "notify.yaml")
    options = inputs(notify["blueprint"])["types"]["selector"]["select"]["options"]
    assert sorted(option["value"] for option in options) == sorted(EVENT_TYPES)
    assert sorted(notify["triggers"][0]["options"]["event_type"]) == sorted(EVENT_TYPES)


def test_the_pool_names_the_hubs_entities() -> None:
    known = inputs(load(BLUEPRINTS / "pool.yaml")["blueprint"])
    named = {one["default"] for one in known.values() if "meerkat_hub" in str(one.get("default"))}
    assert len(named) == 8
    assert named <= entities().keys()


# --- what decides whether something is told -------------------------------------------------------

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
SEEN = {"event_type": "person", "label": "person", "score": 0.87, "zones": ["path"], "identity": None}


class State:
    def __init__(self, age: float = 0, **attributes: Any) -> None:
        self.attributes = {**SEEN, **attributes}
        self.last_changed = NOW - timedelta(seconds=age)


def decided(
    earlier: State | None = None,
    *,
    ran: float | None = None,
    seen: dict[str, Any] | None = None,
    homes: dict[str, str] | None = None,
    **given: Any,
) -> dict[str, Any]:
    """The variables of the notification's blueprint for an event, with some inputs given."""
    blueprint = load(BLUEPRINTS / "notify.yaml")
    env = ImmutableSandboxedEnvironment()
    env.filters["bool"] = lambda value, _default: bool(value)
    env.filters["flatten"] = lambda many: [
        inner for one in many for inner in (one if isinstance(one, list) else [one])
    ]
    states = homes or {}
    env.filters["states"] = lambda name: states.get(name, "unknown")
    env.tests["in"] = lambda value, many: value in many
    event = {"id": "event", "entity_id": "event.porch_front_event", "to_state": State(**(seen or {}))}
    known: dict[str, Any] = {
        "trigger": {**event, "from_state": earlier},
        "this": {
            "entity_id": "automation.told",
            "attributes": {"last_triggered": None if ran is None else NOW - timedelta(seconds=ran)},
        },
        "now": lambda: NOW,
        "timedelta": timedelta,
        "as_datetime": lambda value: value,
        "states": states,
    }
    defaults = inputs(blueprint["blueprint"])
    for name, text in blueprint["variables"].items():
        if isinstance(text, Input):
            known[name] = given.get(str(text), defaults[str(text)].get("default"))
        else:
            known[name] = native(env.from_string(text).render(known))
    return known


def native(text: str) -> Any:
    """As Home Assistant reads what a template gives."""
    try:
        return literal_eval(text.strip())
    except (SyntaxError, ValueError):
        return text.strip()


@pytest.mark.parametrize(
    ("given", "seen", "passes"),
    [
        ({}, {}, True),
        ({}, {"event_type": "vehicle"}, False),
        ({"types": []}, {"event_type": "vehicle"}, True),
        ({"types": []}, {"event_type": None}, False),
        ({"labels": ["Person"]}, {}, True),
        ({"labels": ["dog"]}, {}, False),
        ({"labels": ["dog"]}, {"label": None}, False),
        ({"zones": ["path", "street"]}, {}, True),
        ({"zones": ["street"]}, {}, False),
        ({"zones": ["street"]}, {"zones": None}, False),
        ({"score": 87}, {}, True),
        ({"score": 88}, {}, False),
        ({"score": 1}, {"score": None}, False),
        ({"people": "unknown"}, {"identity": "Ada"}, False),
        ({"people": "unknown"}, {}, True),
        ({"people": "known"}, {"identity": "Ada"}, True),
        ({"people": "known"}, {}, False),
        ({"except_people": ["ada"]}, {"identity": "Ada"}, False),
        ({"except_people": ["ada"]}, {"identity": "Grace"}, True),
        ({"alerts_only": True}, {}, False),
        ({"alerts_only": True}, {"alert": True}, True),
    ],
)  # fmt: skip
def test_filters(given: dict[str, Any], seen: dict[str, Any], passes: bool) -> None:
    assert decided(seen=seen, **given)["passes"] == [passes, False]


def test_words_of_others_come_through_as_they_are() -> None:
    """A rule's reason and a person's name are anybody's text."""
    reason, name = """it's "odd" {{ 1 + 1 }}\\n""", "O'Hara"
    seen = decided(seen={"reason": reason, "identity": name, "zones": ["a'b"]})["seen"]
    assert (seen["reason"], seen["identity"], seen["zones"]) == (reason, name, ["a'b"])


@pytest.mark.parametrize(
    ("after", "before", "told"),
    [
        ("00:00:00", "00:00:00", True),
        ("22:30:00", "23:00:00", True),
        ("22:30:01", "23:00:00", False),
        ("22:00:00", "22:30:00", False),
        ("22:30:00", "06:00:00", True),
        ("23:00:00", "06:00:00", False),
        ("06:00:00", "05:00:00", True),
    ],
)
def test_times_of_the_day(after: str, before: str, told: bool) -> None:
    assert decided(after=after, before=before)["in_time"] is told


def test_the_cooldown_is_the_cameras_own() -> None:
    def too_soon(*args: Any, **given: Any) -> bool:
        return bool(decided(*args, **given)["too_soon"])

    assert not too_soon()
    assert too_soon(State(59.9), ran=59.9)
    assert not too_soon(State(60), ran=60)
    assert not too_soon(State(30), ran=None)  # nothing was told yet
    assert not too_soon(State(90), ran=30)  # of another camera
    assert not too_soon(State(30, event_type="vehicle"), ran=30)  # and here only a car went by
    assert not too_soon(State(30), ran=30, cooldown=0)
    assert not too_soon(State(30), ran=30, critical=["alert"], seen={"alert": True})


@pytest.mark.parametrize(
    ("residents", "nobody"),
    [
        ({}, False),
        ({"person.ada": "home"}, False),
        ({"person.ada": "work", "person.bob": "home"}, False),
        ({"person.ada": "work", "person.bob": "not_home"}, True),
        ({"zone.home": "2"}, False),
        ({"zone.home": "0"}, True),
        ({"binary_sensor.somebody": "on"}, False),
    ],
)
def test_who_is_at_home(residents: dict[str, str], nobody: bool) -> None:
    known = decided(homes=residents, residents=list(residents), critical=["nobody_home"])
    assert (known["nobody_home"], known["is_critical"]) == (nobody, nobody)
