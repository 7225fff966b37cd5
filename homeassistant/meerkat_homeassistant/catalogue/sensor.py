"""Entities of what is wired to a device: sensors, contacts, buttons and lamps."""

from __future__ import annotations

from meerkat_contract.messages import LightInfo, SensorInfo
from meerkat_contract.topics import SettingTopic, ThingTopic

from .entity import Entity

PRESS_TEMPLATE = "{{{{ {{'event_type': '{}', 'id': value_json.id, 'at': value_json.at}} | to_json }}}}"


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
