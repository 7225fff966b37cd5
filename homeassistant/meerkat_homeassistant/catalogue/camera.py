"""Entities of a camera."""

from __future__ import annotations

from collections.abc import Sequence

from meerkat_contract.messages import CameraInfo
from meerkat_contract.topics import CameraTopic, EventPictureTopic, ThingTopic

from .entity import Entity, attributes_told, spoken, when_told
from .events import EVENT_TYPES, event_template

_PICTURE = Entity(
    "camera", "camera", "", "device", {"t": lambda d, c: ThingTopic(d, c, "picture")}, {"name": None}
)

_MOTION = Entity(  # without a name: Home Assistant has a word for motion in every language
    "motion",
    "binary_sensor",
    "motion",
    "device",
    {"stat_t": lambda d, c: ThingTopic(d, c, "motion")},
    {"dev_cla": "motion"},
)

_EVENT_PICTURE = Entity(
    "event_picture",
    "image",
    "last_event",
    "hub",
    {"img_t": EventPictureTopic},
    {"name": "Last event", "cont_type": "image/jpeg"},
)


def _event(types: Sequence[str]) -> Entity:
    return Entity(
        "event",
        "event",
        "event",
        "hub",
        {"stat_t": lambda d, c: CameraTopic(d, c, "event")},
        {"name": "Event", "dev_cla": "motion", "evt_typ": list(types), "val_tpl": event_template(types)},
    )


def _today(category: str, name: str, icon: str, *, noisy: bool = False) -> Entity:
    """It begins at zero at midnight, which is what `total_increasing` is made for."""
    return Entity(
        f"today_{category}",
        "sensor",
        f"{category}_today",
        "hub",
        {"stat_t": lambda d, c: CameraTopic(d, c, "today")},
        {
            "name": name,
            "ic": icon,
            "stat_cla": "total_increasing",
            "sug_dsp_prc": 0,
            "ent_cat": "diagnostic",
            **({"en": False} if noisy else {}),
            "val_tpl": when_told(f"{{{{ told.get({category!r}, 0) }}}}"),
        },
    )


TODAY = (
    _today("person", "People today", "mdi:account-multiple"),
    _today("vehicle", "Vehicles today", "mdi:car-multiple"),
    _today("animal", "Animals today", "mdi:paw", noisy=True),
    _today("object", "Other things today", "mdi:shape", noisy=True),
)

CAMERA: tuple[Entity, ...] = (_PICTURE, _MOTION, _event(EVENT_TYPES), _EVENT_PICTURE, *TODAY)
"""Of every camera, whatever it says of itself."""


def _zone(name: str) -> Entity:
    there = f"told.get('zones', {{}}).get({name!r}, {{}})"
    return Entity(
        f"zone:{name}",
        "binary_sensor",
        f"{name.replace('-', '_')}_occupancy",
        "hub",
        {
            "stat_t": lambda d, c: CameraTopic(d, c, "zones"),
            "json_attr_t": lambda d, c: CameraTopic(d, c, "zones"),
        },
        {
            "name": f"{spoken(name)} occupancy",
            "dev_cla": "occupancy",
            "val_tpl": when_told(f"{{{{ 'ON' if {there} else 'OFF' }}}}"),
            "json_attr_tpl": attributes_told(f"{{{{ {{'in_view': {there}}} | to_json }}}}"),
        },
    )


def camera(info: CameraInfo, events: Sequence[str] = EVENT_TYPES) -> tuple[Entity, ...]:
    """Of a camera, its zones among them; `events` are the types that its event entity tells."""
    zones = tuple(_zone(name) for name in sorted(info.zones))
    return (_PICTURE, _MOTION, _event(events), _EVENT_PICTURE, *zones, *TODAY)
