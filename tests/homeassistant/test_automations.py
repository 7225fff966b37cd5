"""The automations that people copy from the documents: Home Assistant knows every word of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from .automation_keys import faults
from .docs_house import DOCS, Example, entities, examples, yours

EXAMPLES = examples()
HOME_ASSISTANTS = {"sun.sun"}
DOMAINS = (
    "binary_sensor|button|camera|event|image|light|media_player|number|select|sensor|sun|switch|valve|zone"
)
ENTITY = re.compile(rf"(?<![\w.])({DOMAINS})\.[a-z0-9_]+")
BY_THE_DOZEN = pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.document}: {one.name}")


def test_there_are_ten_and_each_is_called_what_its_section_is() -> None:
    text = (DOCS / "automations.md").read_text()
    ours = [one.name for one in EXAMPLES if one.document == "automations.md"]
    assert len(ours) == len(set(ours)) == len(re.findall(r"^## \d+\. ", text, flags=re.MULTILINE)) == 10


@BY_THE_DOZEN
def test_home_assistant_knows_every_key(example: Example) -> None:
    assert list(faults(example.config)) == []


@BY_THE_DOZEN
def test_every_entity_is_there_or_said_to_be_the_readers(example: Example) -> None:
    there = entities().keys() | yours("automations.md") | HOME_ASSISTANTS
    named = {match[0] for text in _texts(example.config) for match in ENTITY.finditer(text)}
    # What an action or trigger is called has the form of an entity id.
    kinds = {part[key] for part in _parts(example.config) for key in ("action", "trigger") if key in part}
    assert named - {kind for kind in kinds if isinstance(kind, str)} <= there
    assert any(name in entities() for name in named)


@BY_THE_DOZEN
def test_what_is_waited_for_can_come(example: Example) -> None:
    """Types of events, and states, that the entity knows."""
    there = entities()
    for part in _parts(example.config):
        if part.get("trigger") == "event.received":
            wanted = part["target"]["entity_id"]
            for entity in [wanted] if isinstance(wanted, str) else wanted:
                assert set(part["options"]["event_type"]) <= set(there[entity]["evt_typ"])
        if part.get("trigger") == "state" and part["entity_id"].startswith("binary_sensor."):
            assert part["to"] in ("on", "off")
        for key in ("at", "after", "before", "for", "delay", "timeout"):
            if key in part:
                assert re.fullmatch(r"\d\d:\d\d:\d\d", part[key]), f"{key}: write it in quotation marks"


@BY_THE_DOZEN
def test_its_templates_can_be_read(example: Example) -> None:
    reader = ImmutableSandboxedEnvironment()
    for text in _texts(example.config):
        reader.parse(text)
    json.dumps(example.config)  # what an editor sends: nothing that YAML made a date or a set of


def test_a_wrong_key_is_found() -> None:
    """The check itself."""
    (light,) = [one.config for one in EXAMPLES if one.name == "Light for whoever comes after dark"]
    wrong = [
        {**light, "trigger": []},
        {**light, "mode": "twice"},
        {**light, "triggers": [{"trigger": "event.recieved"}]},
        {**light, "triggers": [{"trigger": "state", "entity_id": "sun.sun", "too": "x"}]},
        {**light, "conditions": [{"condition": "sun"}]},
        {**light, "actions": [{"action": "light.turn_up"}]},
        {**light, "actions": [{"action": "camera.snapshot", "data": {"file": "x"}}]},
        {**light, "actions": [{"delay": "00:00:01", "wait": 1}]},
    ]
    assert list(faults(light)) == []
    assert all(list(faults(config)) for config in wrong)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _parts(inner)
