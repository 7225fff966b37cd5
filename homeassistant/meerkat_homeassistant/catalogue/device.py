"""Entities of a device itself: a Pi, say."""

from __future__ import annotations

from meerkat_contract.messages import DeviceInfo
from meerkat_contract.topics import DeviceTopic

from .entity import Entity

INFO = "{% set info = value_json if value_json is defined else {} %}"
"""A device that is removed for good empties its info just before Home Assistant hears that it is gone.
What has no value is not in it at all, and Home Assistant logs every use of what is not there."""

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
    Entity(
        "last_seen",
        "sensor",
        "last_seen",
        "always",
        {"stat_t": lambda d, _: DeviceTopic(d, "heard")},
        {"name": "Last seen", "dev_cla": "timestamp", "ent_cat": "diagnostic", "en": False},
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
