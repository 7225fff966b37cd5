"""Entities of a meter's pictures. What is read off them: see `counters`."""

from __future__ import annotations

from typing import get_args

from meerkat_contract.messages import MeterInfo, PictureVerdict
from meerkat_contract.topics import ThingTopic

from .entity import Entity, when_told

ATTRIBUTES_TEMPLATE = (
    "{{ dict(value_json.items() | rejectattr(0, 'in', ['schema', 'verdict'])) | to_json"
    " if value_json is defined else '{}' }}"
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
        "val_tpl": when_told("{{ told.verdict }}", "None"),
        "json_attr_tpl": ATTRIBUTES_TEMPLATE,
    },
)
"""What a meter's picture is worth; brightness, glare, sharpness and the rest are its attributes."""


def meter(info: MeterInfo) -> tuple[Entity, ...]:
    """Of a meter. One whose pictures a script posts is not asked for any, nor are they measured."""
    return (*METER, CONDITION) if any(one.name == "capture" for one in info.settings) else METER
