"""What `meerkat ha check` says of the states on the topics that discovery names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meerkat_homeassistant.check import payload
from meerkat_homeassistant.check.payload import Told
from meerkat_homeassistant.check.report import check

TOPIC = "homeassistant/device/x/config"
HERE = {"a/there": b"online"}


def told(component: dict[str, Any], states: dict[str, bytes], *heard: bytes, **top: Any) -> list[str]:
    """`severity rule` of each finding; `heard` came on the state topic while somebody listened."""
    about = {"ids": ["x"], "name": "Porch"}
    content = {"dev": about, "o": {"name": "m"}, "avty": [{"t": "a/there"}], **top}
    identity = {} if component["p"] == "device_automation" else {"uniq_id": "u"}
    content["cmps"] = {"it": {**identity, **component}}
    message = payload.read(TOPIC, json.dumps(content).encode(), "homeassistant")
    report = check(Told((message,), {**HERE, **states}, tuple(("a/s", one) for one in heard)))
    return [f"{one.severity} {one.rule}" for one in report.findings]


SENSOR = {"p": "sensor", "stat_t": "a/s"}
NUMBER = {"p": "number", "stat_t": "a/s", "cmd_t": "a/c", "min": 0, "max": 10, "step": 1}


@pytest.mark.parametrize(
    ("component", "good", "bad"),
    [
        (SENSOR, "x" * 255, "x" * 256),
        ({**SENSOR, "unit_of_meas": "L"}, "12.5", "a lot"),
        ({**SENSOR, "dev_cla": "enum", "ops": ["dry", "wet"]}, "wet", "damp"),
        ({**SENSOR, "dev_cla": "timestamp"}, "2026-11-20T08:00:00Z", "2026-11-20T08:00:00"),
        ({**SENSOR, "dev_cla": "date"}, "2026-11-20", "today"),
        ({"p": "binary_sensor", "stat_t": "a/s"}, "ON", "on"),
        ({"p": "binary_sensor", "stat_t": "a/s", "off_dly": 5}, "OFF", "ON"),
        ({"p": "switch", "stat_t": "a/s", "cmd_t": "a/c"}, "OFF", "0"),
        ({"p": "switch", "stat_t": "a/s", "cmd_t": "a/c", "stat_on": "1", "stat_off": "0"}, "0", "OFF"),
        ({"p": "select", "stat_t": "a/s", "cmd_t": "a/c", "ops": ["x"]}, "x", "y"),
        (NUMBER, "10", "10.5"),
        (NUMBER, "None", "few"),
        ({"p": "light", "schema": "json", "stat_t": "a/s", "cmd_t": "a/c"}, '{"state": "ON"}', "ON"),
        ({"p": "update", "stat_t": "a/s"}, '{"title": "x"}', '{"version": "1"}'),
        ({**SENSOR, "val_tpl": "{{ value_json.x }}"}, '{"x": 1}', '{"y": 1}'),
        ({**SENSOR, "val_tpl": "{{ value_json.x | round(1) }}"}, '{"x": 1.23}', '{"x": "a"}'),
    ],
)
def test_a_state_is_one_that_home_assistant_takes(component: dict[str, Any], good: str, bad: str) -> None:
    assert told(component, {"a/s": good.encode()}) == []
    (finding,) = told(component, {"a/s": bad.encode()})
    assert finding in ("warning state", "warning template")


def test_what_a_template_asks_of_home_assistant_itself_is_not_guessed() -> None:
    assert told({**SENSOR, "val_tpl": "{{ states('sensor.x') }}"}, {"a/s": b"1"}) == []
    assert told({**SENSOR, "val_tpl": "{{ value | nonsense }}"}, {"a/s": b"1"}) == ["error value"]


def test_unknown_and_empty_are_states_too() -> None:
    assert told({**SENSOR, "unit_of_meas": "L"}, {"a/s": b"None"}) == []
    assert told({**SENSOR, "unit_of_meas": "L"}, {"a/s": b""}) == []


def test_a_state_that_was_never_said_is_a_note() -> None:
    assert told(SENSOR, {}) == ["note no-state"]
    assert told({"p": "event", "stat_t": "a/s", "evt_typ": ["x"]}, {}) == []
    assert told({"p": "button", "cmd_t": "a/c"}, {}) == []


def test_what_was_heard_counts_as_said() -> None:
    assert told(SENSOR, {}, b"1") == []
    assert told({**SENSOR, "unit_of_meas": "L"}, {"a/s": b"1"}, b"x") == ["warning state"]


def test_what_many_entities_share_is_said_once() -> None:
    about = {"dev": {"ids": ["x"], "name": "Porch"}, "o": {"name": "m"}, "avty": [{"t": "a/never"}]}
    parts = {name: {**SENSOR, "uniq_id": name} for name in ("one", "two", "three")}
    message = payload.read(TOPIC, json.dumps({**about, "cmps": parts}).encode(), "homeassistant")
    report = check(Told((message,), {"a/s": b"1"}))
    assert len(report.findings) == 3
    lines = [line for line in report.lines() if "a/never" in line]
    assert [line.partition(": it is")[0] for line in lines] == ["warning: Porch, one and 2 more"]


def test_attributes_are_an_object_of_bounded_size() -> None:
    with_them = {**SENSOR, "json_attr_t": "a/j"}
    said = {"a/s": b"1"}
    assert told(with_them, {**said, "a/j": b'{"x": 1}'}) == []
    assert told(with_them, {**said, "a/j": b"[1]"}) == ["warning attributes"]
    large = json.dumps({"x": "y" * 17_000}).encode()
    assert told(with_them, {**said, "a/j": large}) == ["warning size"]


def test_a_picture_is_bounded() -> None:
    camera = {"p": "camera", "t": "a/i"}
    assert told(camera, {"a/i": b"x" * 200_000}) == []
    assert told(camera, {"a/i": b"x" * 200_001}) == ["warning size"]
    assert told({"p": "image", "img_t": "a/i"}, {"a/i": b"x" * 200_001}) == ["warning size"]


def test_an_availability_that_was_never_said_is_offline_for_ever() -> None:
    other = [{"t": "a/there"}, {"t": "a/never"}]
    said = {"a/s": b"1"}
    assert told({**SENSOR, "avty": other, "avty_mode": "all"}, said) == ["warning availability"]
    assert told({**SENSOR, "avty": other, "avty_mode": "any"}, said) == []
    assert told({**SENSOR, "avty": [{"t": "a/never"}]}, said) == ["warning availability"]
    assert told({**SENSOR, "avty": []}, said) == []


def test_an_availability_says_one_of_two_words() -> None:
    asleep = [{"t": "a/there", "val_tpl": "{{ 'well' if value == 'online' else value }}"}]
    assert told({**SENSOR, "avty": asleep}, {"a/s": b"1"}) == ["warning availability"]
    asleep[0]["pl_avail"] = "well"
    assert told({**SENSOR, "avty": asleep}, {"a/s": b"1"}) == []


def test_events_are_those_that_are_listed() -> None:
    event = {"p": "event", "stat_t": "a/s", "evt_typ": ["ring"]}
    assert told(event, {}, b'{"event_type": "ring"}') == []
    assert told(event, {}, b'{"event_type": "knock"}') == ["warning state"]
    assert told(event, {}, b'{"type": "ring"}') == ["warning state"]
    nothing = {**event, "val_tpl": "{% if value == 'x' %}{{ value }}{% endif %}"}
    assert told(nothing, {}, b"y") == []
    assert told(event, {"a/s": b'{"event_type": "ring"}'}) == ["warning retained-event"]
    trigger = {"p": "device_automation", "atype": "trigger", "type": "x", "stype": "y", "t": "a/s"}
    assert told(trigger, {"a/s": b"ON"}) == ["note retained-event"]
    assert told(trigger, {}) == []


def test_the_states_of_a_rejected_device_are_not_looked_at() -> None:
    assert told({**SENSOR, "unit_of_meas": "L"}, {"a/s": b"x"}, qos=7) == ["error value"]
