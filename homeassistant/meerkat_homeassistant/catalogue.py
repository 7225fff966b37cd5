"""What Home Assistant is shown: one row per entity, grouped by what it belongs to.

Option names are Home Assistant's abbreviations for MQTT discovery (`stat_t` is `state_topic`);
`tests/homeassistant/discovery_keys.py` lists the ones it knows, because it drops an unknown one
without a word. To add an entity, add a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from meerkat_contract.topics import (
    CameraTopic,
    DeviceTopic,
    EventPictureTopic,
    HubTopic,
    ThingTopic,
    Topic,
)
from meerkat_contract.vocabulary import CATEGORIES

Source = Literal["device", "hub", "always"]
"""On whom an entity depends.

device  The device publishes it, past the hub. A hub that restarts must not make a camera go dark.
hub     The hub publishes it. It does not depend on the device: when a thief cuts the camera's power,
        its last clip is still in the hub's queue, and an event entity that followed the device
        would be unavailable (so that automations miss it) just when it matters.
always  It says itself whether its owner is there, so it must not vanish together with it.
"""

EVENT_TYPES: tuple[str, ...] = (*CATEGORIES, "object")
"""The `event_type`s of a camera: person, vehicle, animal, object."""

EVENT_TEMPLATE = (
    "{% if value_json.type == 'new' %}{% set event = value_json.after %}"
    "{{ {'event_type': event.category if event.category in "
    f"{list(EVENT_TYPES)!r}"
    " else 'object',"
    " 'event_id': event.id, 'label': event.label, 'score': event.score | round(2),"
    " 'start_time': event.start_time, 'device': event.device, 'camera': event.camera,"
    " 'zones': event.get('zones', []), 'identity': event.get('identity'),"
    " 'workflow': event.get('workflow'), 'alert': event.get('alert', false),"
    " 'reason': event.get('reason', '')} | to_json }}{% endif %}"
)
"""Turns the message of a new event into what an event entity wants. An `update` or `end` renders to
nothing, which Home Assistant ignores without a log line: one event triggers an automation once."""

AVAILABILITY_TEMPLATE = "{{ 'online' if value == 'asleep' else value }}"
"""A sleepy device is well: its last picture and state stand. The hub says `offline` if it oversleeps."""


@dataclass(frozen=True)
class Entity:
    """One row: an entity of a device, a camera, a meter or the hub."""

    key: str
    """Names it within its owner, for ever: renaming makes a new entity. Without a hyphen."""
    platform: str
    ending: str
    """What its entity id adds to its owner's name; empty for the owner's main entity."""
    source: Source
    topics: Mapping[str, Callable[[str, str], Topic]]
    """Option → the topic of (device, camera or meter)."""
    options: Mapping[str, Any] = field(default_factory=dict)


CAMERA: tuple[Entity, ...] = (
    Entity("camera", "camera", "", "device", {"t": lambda d, c: ThingTopic(d, c, "picture")}, {"name": None}),
    # No name: Home Assistant has a word for motion in every language.
    Entity(
        "motion",
        "binary_sensor",
        "motion",
        "device",
        {"stat_t": lambda d, c: ThingTopic(d, c, "motion")},
        {"dev_cla": "motion"},
    ),
    Entity(
        "event",
        "event",
        "event",
        "hub",
        {"stat_t": lambda d, c: CameraTopic(d, c, "event")},
        {"name": "Event", "dev_cla": "motion", "evt_typ": list(EVENT_TYPES), "val_tpl": EVENT_TEMPLATE},
    ),
    Entity(
        "event_picture",
        "image",
        "last_event",
        "hub",
        {"img_t": EventPictureTopic},
        {"name": "Last event", "cont_type": "image/jpeg"},
    ),
)

METER: tuple[Entity, ...] = (
    # Not the main entity: that place is for the reading.
    Entity(
        "picture",
        "image",
        "picture",
        "device",
        {"img_t": lambda d, m: ThingTopic(d, m, "picture")},
        {"name": "Picture", "cont_type": "image/jpeg"},
    ),
)

DEVICE: tuple[Entity, ...] = (
    Entity(
        "connectivity",
        "binary_sensor",
        "connectivity",
        "always",
        {"stat_t": lambda d, _: DeviceTopic(d, "availability")},
        {
            "dev_cla": "connectivity",
            "ent_cat": "diagnostic",
            "val_tpl": "{{ 'OFF' if value == 'offline' else 'ON' }}",
        },
    ),
)

HUB: tuple[Entity, ...] = (
    Entity(
        "connectivity",
        "binary_sensor",
        "connectivity",
        "always",
        {"stat_t": lambda _, __: HubTopic("availability")},
        {
            "dev_cla": "connectivity",
            "ent_cat": "diagnostic",
            "val_tpl": "{{ 'OFF' if value == 'offline' else 'ON' }}",
        },
    ),
    Entity(
        "backlog",
        "sensor",
        "backlog",
        "hub",
        {"stat_t": lambda _, __: HubTopic("state")},
        {
            "name": "Waiting clips",
            "ic": "mdi:tray-full",
            "stat_cla": "measurement",
            "unit_of_meas": "clips",
            "ent_cat": "diagnostic",
            "val_tpl": "{{ value_json.backlog }}",
        },
    ),
    Entity(
        "no_worker",
        "binary_sensor",
        "no_worker",
        "hub",
        {"stat_t": lambda _, __: HubTopic("state")},
        {
            "name": "No worker",
            "dev_cla": "problem",
            "ent_cat": "diagnostic",
            "val_tpl": "{{ 'OFF' if value_json.workers > 0 else 'ON' }}",
        },
    ),
)
