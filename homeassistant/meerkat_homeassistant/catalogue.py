"""What Home Assistant is shown: one row per entity, grouped by what it belongs to.

Option names are Home Assistant's abbreviations for MQTT discovery (`stat_t` is `state_topic`);
`tests/homeassistant/discovery_keys.py` lists the ones it knows, because it drops an unknown one
without a word. To add an entity, add a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from meerkat_contract.device_messages import DeviceInfo, LightInfo, MeterInfo, PictureVerdict, SensorInfo
from meerkat_contract.topics import (
    CameraTopic,
    DeviceTopic,
    EventPictureTopic,
    HubTopic,
    SettingTopic,
    ThingTopic,
    Topic,
)
from meerkat_contract.vocabulary import CATEGORIES

Source = Literal["device", "command", "hub", "always"]
"""On whom an entity depends.

device  The device publishes it, past the hub. A hub that restarts must not make a camera go dark.
command As device, but only while it is awake: what is sent to one that is asleep, nobody hears.
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

COMMAND_TEMPLATE = "{{ 'online' if value == 'online' else 'offline' }}"

SAYS_TEMPLATE = "{{ 'online' if value else 'offline' }}"
"""For a topic that is empty, or was never written, while there is nothing to say."""

PRESS_TEMPLATE = "{{{{ {{'event_type': '{}', 'id': value_json.id, 'at': value_json.at}} | to_json }}}}"

ATTRIBUTES_TEMPLATE = (
    "{{ dict(value_json.items() | rejectattr(0, 'in', ['schema', 'verdict'])) | to_json"
    " if value_json is defined else '{}' }}"
)

INFO = "{% set info = value_json if value_json is defined else {} %}"
"""A device that is removed for good empties its info just before Home Assistant hears that it is gone.
What has no value is not in it at all, and Home Assistant logs every use of what is not there."""


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
    says: Callable[[str, str], Topic] | None = None
    """A topic that is empty while the entity cannot say anything: it is unavailable then."""


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

CONDITION = Entity(
    "condition",
    "sensor",
    "condition",
    "device",
    {
        "stat_t": lambda d, m: ThingTopic(d, m, "condition"),
        "json_attr_t": lambda d, m: ThingTopic(d, m, "condition"),
    },
    {
        "name": "Picture quality",
        "dev_cla": "enum",
        "ops": list(get_args(PictureVerdict)),
        "ent_cat": "diagnostic",
        "ic": "mdi:image-check",
        "val_tpl": "{{ value_json.verdict }}",
        "json_attr_tpl": ATTRIBUTES_TEMPLATE,
    },
)
"""What a meter's picture is worth; brightness, glare, sharpness and the rest are its attributes."""


def meter(info: MeterInfo) -> tuple[Entity, ...]:
    """Of a meter. One whose pictures a script posts is not asked for any, nor are they measured."""
    return (*METER, CONDITION) if any(one.name == "capture" for one in info.settings) else METER


def sensor(info: SensorInfo) -> tuple[Entity, ...]:
    """Of a sensor: its main and only entity."""
    if info.kind == "button":
        return (_press("ring", "doorbell") if info.rings else _press("press", "button"),)
    state = {"stat_t": lambda d, s: ThingTopic(d, s, "state")}
    options = {"name": None, "dev_cla": info.kind}
    return (Entity("state", "binary_sensor", "", "device", state, options, says=state["stat_t"]),)


def _press(event: str, kind: str) -> Entity:
    """Home Assistant's own trigger "doorbell rang" wants a doorbell's event to be a `ring`."""
    return Entity(
        "press",
        "event",
        "",
        "device",
        {"stat_t": lambda d, s: ThingTopic(d, s, "press")},
        {"name": None, "dev_cla": kind, "evt_typ": [event], "val_tpl": PRESS_TEMPLATE.format(event)},
    )


def light(info: LightInfo) -> tuple[Entity, ...]:
    """Of a lamp: its main and only entity."""
    dimming = {"sup_clrm": ["brightness"], "bri_scl": 100} if info.dimmable else {"sup_clrm": ["onoff"]}
    return (
        Entity(
            "light",
            "light",
            "",
            "command",
            {
                "stat_t": lambda d, light: SettingTopic(d, light, "light", "state"),
                "cmd_t": lambda d, light: SettingTopic(d, light, "light", "set"),
            },
            {"name": None, "schema": "json", "flsh": False, "trns": False, **dimming},
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

BATTERY = Entity(
    "battery",
    "sensor",
    "battery",
    "device",
    {"stat_t": lambda d, _: DeviceTopic(d, "info"), "json_attr_t": lambda d, _: DeviceTopic(d, "info")},
    {
        "dev_cla": "battery",
        "stat_cla": "measurement",
        "unit_of_meas": "%",
        "sug_dsp_prc": 0,
        "ent_cat": "diagnostic",
        "val_tpl": INFO + "{{ (info.get('battery') or {}).get('level') }}",
        "json_attr_tpl": INFO
        + "{% set known = info.get('battery') or {} %}"
        + "{{ {'voltage': known.get('voltage'), 'charging': known.get('charging')} | to_json }}",
    },
)

NEXT_WAKE = Entity(
    "next_wake",
    "sensor",
    "next_wake",
    "device",
    {"stat_t": lambda d, _: DeviceTopic(d, "info")},
    {
        "name": "Next wake",
        "dev_cla": "timestamp",
        "ent_cat": "diagnostic",
        "val_tpl": INFO + "{{ info.get('next_wake') }}",
    },
)


def device(info: DeviceInfo) -> tuple[Entity, ...]:
    """Of the device itself."""
    battery = (BATTERY,) if info.battery is not None else ()
    sleepy = (NEXT_WAKE,) if info.wake_every is not None else ()
    return (*DEVICE, *battery, *sleepy)


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
