"""What a discovery payload of ours must be: what `meerkat ha check` asks for, and our own habits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from meerkat_homeassistant.check import messages, schema
from meerkat_homeassistant.check.payload import Component, read
from meerkat_homeassistant.check.templates import Templates

TOPIC = "homeassistant/device/meerkat_test/config"
FROM_OUTSIDE = {"name", "no-options"}
"""Whoever calls a camera `porch` and a setting of it `porch`, or lists no options, gets just that."""

_TEMPLATES = Templates()


def faults(payload: dict[str, Any]) -> Iterator[str]:
    """What Home Assistant would drop silently, or reject, in one device's discovery payload."""
    message = read(TOPIC, json.dumps(payload).encode(), "homeassistant")
    found = messages.findings(message, _TEMPLATES)
    yield from (str(finding) for finding in found if finding.rule not in FROM_OUTSIDE)
    for component in message.components:
        if not component.removal:
            yield from (f"{component.id}: {habit}" for habit in _habits(component))


def _habits(component: Component) -> Iterator[str]:
    options = component.options
    if component.platform not in schema.NOT_ENTITIES and "default_entity_id" not in options:
        yield "its entity id depends on the room it is in"
    if options.get("retain"):
        yield "its commands would be retained"
    if component.platform == "number" and not {"min", "max", "step"} <= options.keys():
        yield "its range is Home Assistant's"
    if component.platform == "switch" and "state_topic" not in options:
        yield "its state would be assumed"
