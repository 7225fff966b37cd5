"""What `meerkat ha check` says of discovery messages, held against what Home Assistant's own schemas said.

`measured_verdicts.json` has a payload with every kind of component, some hundred ways to change one option
of it, and what 2026.11.0 rejected of each: nothing, the whole device, or some components.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from meerkat_homeassistant.check import messages, payload
from meerkat_homeassistant.check.finding import Finding
from meerkat_homeassistant.check.payload import Message
from meerkat_homeassistant.check.templates import Templates

TOPIC = "homeassistant/device/x/config"
MEASURED = json.loads((Path(__file__).parent / "measured_verdicts.json").read_text(encoding="utf-8"))
TEMPLATES = Templates()

SENSOR = {"p": "sensor", "uniq_id": "s", "stat_t": "a/s"}


def read(content: Any, topic: str = TOPIC) -> Message:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return payload.read(topic, body, "homeassistant")


def found(content: Any, topic: str = TOPIC) -> list[Finding]:
    return list(messages.findings(read(content, topic), TEMPLATES))


def device(component: dict[str, Any], **top: Any) -> dict[str, Any]:
    about = {"ids": ["x"], "name": "Porch"}
    return {"dev": about, "o": {"name": "m"}, "cmps": {"it": component}, **top}


def changed(case: dict[str, Any]) -> dict[str, Any]:
    content = copy.deepcopy(MEASURED["payload"])
    parent = content
    for key in case["path"][:-1]:
        parent = parent[key]
    if "value" in case:
        parent[case["path"][-1]] = case["value"]
    else:
        del parent[case["path"][-1]]
    return dict(content)


def test_a_good_payload_with_every_kind_of_component_is_not_rejected() -> None:
    assert [one for one in found(MEASURED["payload"]) if one.severity == "error"] == []


def test_what_home_assistant_rejects_is_an_error_and_nothing_else_is() -> None:
    wrong = []
    for case in MEASURED["cases"]:
        told = [one for one in found(changed(case)) if one.severity == "error"]
        whole = any(not one.component or "whole device" in one.what for one in told)
        mine = "device" if whole else sorted({one.component for one in told})
        if mine != case["rejects"]:
            wrong.append((case, [str(one) for one in told]))
    assert len(MEASURED["cases"]) >= 300
    assert wrong == []


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("stat_topic", "a/b", "unknown-option"),
        ("object_id", "porch", "unknown-option"),
        ("stat_cla", "measurement", "state-class"),
        ("unit_of_meas", None, "unit"),
        ("name", "Porch water", "name"),
        ("def_ent_id", "porch_water", "entity-id"),
        ("stat_t", "a/+/b", "wildcard"),
        ("avty", [{"t": "a", "val_tmpl": "{{ value }}"}], "unknown-option"),
    ],
)
def test_what_is_dropped_or_meant_otherwise_is_a_warning(option: str, value: Any, rule: str) -> None:
    good = {**SENSOR, "dev_cla": "water", "unit_of_meas": "L", "stat_cla": "total"}
    assert found(device(good)) == []
    told = [(one.severity, one.rule, one.component) for one in found(device({**good, option: value}))]
    assert told == [("warning", rule, "it")]


@pytest.mark.parametrize(
    ("component", "rule"),
    [
        ({"p": "event", "evt_typ": ["press"], "stat_t": "a", "dev_cla": "doorbell"}, "events"),
        ({"p": "event", "evt_typ": [], "stat_t": "a"}, "events"),
        ({"p": "update", "stat_t": "a", "cmd_t": "b"}, "together"),
        ({"p": "button", "cmd_t": "b", "ret": True}, "retained-command"),
        ({"p": "select", "cmd_t": "b", "ops": []}, "no-options"),
        ({"p": "number", "cmd_t": "b", "min": 1, "max": 1}, "range"),
        ({"p": "sensor", "stat_t": "a", "dev_cla": "enum"}, "together"),
    ],
)
def test_what_works_but_not_as_meant(component: dict[str, Any], rule: str) -> None:
    told = found(device({"uniq_id": "it", **component}))
    assert [(one.severity, one.rule) for one in told] == [("warning", rule)]


@pytest.mark.parametrize(
    ("content", "topic", "rule"),
    [
        (b"{", TOPIC, "json"),
        (b"[]", TOPIC, "json"),
        (device(SENSOR), "homeassistant/device/a b/config", "topic"),
        (SENSOR, "homeassistant/lamp/x/config", "platform"),
        ({**device(SENSOR), "~": "a/b"}, TOPIC, "unknown-option"),
    ],
)
def test_what_home_assistant_does_not_even_read(content: Any, topic: str, rule: str) -> None:
    assert [(one.severity, one.rule) for one in found(content, topic)] == [("error", rule)]


def test_a_removal_and_a_migration_are_no_fault() -> None:
    assert found(device({"p": "sensor"})) == []
    assert found({"migrate_discovery": True}, "homeassistant/sensor/x/config") == []


def test_a_base_topic_is_put_where_it_belongs() -> None:
    whole = read(device({**SENSOR, "~": "a/b", "stat_t": "~/s", "json_attr_t": "x/~"}))
    assert list(whole.components[0].topics()) == [
        ("state_topic", "a/b/s"),
        ("json_attributes_topic", "x/a/b"),
    ]


def test_a_message_for_one_entity_is_read_like_a_device() -> None:
    one = {"uniq_id": "s", "stat_t": "a", "dev": {"ids": "x", "name": "Porch"}, "nmae": "y"}
    (told,) = found(one, "homeassistant/sensor/porch/s/config")
    assert (told.rule, told.device) == ("unknown-option", "Porch")


def test_two_messages_are_held_against_each_other() -> None:
    hub = read(
        {**device({**SENSOR, "uniq_id": "h"}), "dev": {"ids": ["hub"]}}, "homeassistant/device/h/config"
    )
    about = {"ids": ["x"], "name": "Porch", "via_device": "hub"}
    part = {**SENSOR, "def_ent_id": "sensor.s"}
    first = read({**device(part), "dev": about})
    second = read({**device(part), "dev": {"ids": ["y"], "name": "Yard"}}, "homeassistant/device/y/config")
    assert list(messages.together([first], [hub])) == []
    assert [one.rule for one in messages.together([first], [])] == ["via-device"]
    told = list(messages.together([first, second], [hub]))
    assert sorted((one.severity, one.rule, one.device) for one in told) == [
        ("error", "unique-id", "Yard"),
        ("warning", "entity-id", "Yard"),
    ]
    # What another program announces is not ours to report; that we collide with it is.
    assert [one.device for one in messages.together([second], [hub, first])] == ["Yard", "Yard"]


def test_without_jinja_the_rest_is_still_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    bare = Templates()
    assert not bare.available
    content = device({**SENSOR, "val_tpl": "{{ x", "nmae": "y"})
    assert [one.rule for one in messages.findings(read(content), bare)] == ["unknown-option"]
    assert bare.rendered("{{ value }}", b"x") is None
