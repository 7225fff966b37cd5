"""Device triggers: what a device's page offers to begin an automation with.

They stand with the device and not with its camera, since child devices have entities only. The subtype is
the thing's name on the bus, not its label, so that an automation survives a new label.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meerkat_contract.messages import DeviceInfo
from meerkat_contract.topics import CameraTopic, ThingTopic, Topic

CATEGORY_TEMPLATE = (
    "{{ value_json.after.category if value_json is defined and value_json.get('type') == 'new' else '' }}"
)

CATEGORIES = ("person", "vehicle")


def triggers(info: DeviceInfo) -> Iterator[tuple[str, dict[str, Any]]]:
    """(component id, component) of each."""
    for camera in info.cameras:
        topic = CameraTopic(info.device, camera.name, "event")
        for category in CATEGORIES:
            yield _trigger(category, camera.name, topic, category, val_tpl=CATEGORY_TEMPLATE)
    for sensor in info.sensors:
        if sensor.kind == "button":
            kind = "doorbell" if sensor.rings else "pressed"
            press = ThingTopic(info.device, sensor.name, "press")
            yield _trigger(kind, sensor.name, press, kind, val_tpl=f"{{{{ {kind!r} if value else '' }}}}")
        elif sensor.kind == "motion":
            # Not its state: that is retained, and would fire at each start of Home Assistant.
            yield _trigger("motion", sensor.name, ThingTopic(info.device, sensor.name, "triggered"), "ON")


def _trigger(kind: str, thing: str, topic: Topic, payload: str, **options: str) -> tuple[str, dict[str, Any]]:
    return f"{thing}:on:{kind}", {
        "p": "device_automation",
        "atype": "trigger",
        "type": kind,
        "stype": thing,
        "t": str(topic),
        "pl": payload,
        "qos": 1,
        **options,
    }
