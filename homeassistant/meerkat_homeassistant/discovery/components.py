"""From rows of the catalogue to components of a discovery payload."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from meerkat_contract.messages import DeviceInfo, SettingInfo
from meerkat_contract.topics import DeviceTopic, HubTopic, Topic, WorkerTopic
from meerkat_homeassistant.catalogue.entity import (
    AVAILABILITY_TEMPLATE,
    COMMAND_TEMPLATE,
    SAYS_TEMPLATE,
    Entity,
    Source,
    spoken,
)
from meerkat_homeassistant.controls import MOST_PRIMARY, controls

Payload = dict[str, Any]

WORKER_TEMPLATE = "{{ 'online' if value_json is defined and value_json.get('online') else 'offline' }}"


@dataclass(frozen=True)
class Owner:
    """Whose entities are told: the hub, a worker, a device itself, or one of its things."""

    identity: str
    """Begins the unique ids, for ever."""
    entity: str
    """Begins the entity ids."""
    shared: Source
    """On whom the whole payload depends."""
    name: str = ""
    """Of the device or worker."""
    thing: str = ""
    """Of the thing; `device` for settings of the device itself."""
    part: str = ""
    """Ends the component ids of a thing: they must be unique over the device and its things."""
    sleeps: bool = False

    @classmethod
    def of(cls, info: DeviceInfo, thing: str, *, own: bool = False) -> Owner:
        """A thing of a device; `own` when it is the device itself."""
        identity = f"meerkat/device/{info.device}" if own else f"meerkat/device/{info.device}/{thing}"
        # A camera that is named like its device needs no second name in the entity id.
        parts = (info.device,) if own or thing == info.device else (info.device, thing)
        return cls(
            identity,
            entity_id(*parts),
            "device",
            info.device,
            thing,
            "" if own else thing,
            info.wake_every is not None,
        )


def components(
    owner: Owner, rows: tuple[Entity, ...], settings: tuple[SettingInfo, ...] = ()
) -> dict[str, Payload]:
    """Component id → component. No two ids are equal: no name has a colon, and no key a hyphen before it."""
    told: dict[str, Payload] = {}
    primary = 0
    for row in rows:
        part = _component(row, owner)
        if "ent_cat" not in part:
            primary += 1
            if primary > MOST_PRIMARY:
                part["ent_cat"] = "diagnostic"
        told[_component_id(row, owner)] = part
    labels = {info.name: info.label or spoken(info.name) for info in settings}
    for name, control in controls(settings, owner.name, owner.thing, primary=min(primary, MOST_PRIMARY)):
        told[f"{owner.part}:{name}"] = {
            "uniq_id": f"{owner.identity}/set:{name}",
            "def_ent_id": f"{control['p']}.{owner.entity}_{entity_id(name)}",
            "name": labels[name],
            **control,
            **_availability("command", owner),
        }
    return told


def _component_id(row: Entity, owner: Owner) -> str:
    if not owner.part:
        return row.key
    return f"{owner.part}:{row.key}" if ":" in row.key else f"{row.key}-{owner.part}"


def _component(row: Entity, owner: Owner) -> Payload:
    name = f"{owner.entity}_{row.ending}" if row.ending else owner.entity
    where = owner.name, owner.thing
    available = _availability(row.source, owner)
    if row.says:
        says = {"t": str(row.says(*where)), "val_tpl": SAYS_TEMPLATE}
        available = {"avty": [available_when(DeviceTopic(owner.name, "availability")), says]}
        available["avty_mode"] = "all"
    return {
        "p": row.platform,
        "uniq_id": f"{owner.identity}/{row.key}",
        "def_ent_id": f"{row.platform}.{name}",
        **{option: str(topic(*where)) for option, topic in row.topics.items()},
        **row.options,
        **available,
    }


def available_when(topic: Topic) -> Payload:
    """An entry of `avty`."""
    match topic:
        case HubTopic():
            return {"t": str(topic)}
        case WorkerTopic():
            return {"t": str(topic), "val_tpl": WORKER_TEMPLATE}
        case _:
            return {"t": str(topic), "val_tpl": AVAILABILITY_TEMPLATE}


def _availability(source: Source, owner: Owner) -> Payload:
    """What an entity's availability has to say beyond its device's."""
    hub = available_when(HubTopic("availability"))
    match source, owner.shared:
        case "always", _:
            return {"avty": []}  # it overrides what the device says and means: always available
        case "command", _:
            if not owner.sleeps:
                return {}
            topic = str(DeviceTopic(owner.name, "availability"))
            return {"avty": [{"t": topic, "val_tpl": COMMAND_TEMPLATE}]}
        case "hub", "worker":  # the hub's word on a worker that is gone is none
            return {"avty": [hub, available_when(WorkerTopic(owner.name, "state"))], "avty_mode": "all"}
        case "hub", "device":
            return {"avty": [hub]}
        case _:
            return {}


def link(option: str, address: str) -> Payload:
    """`{option: address}` if Home Assistant takes the address; one bad link would cost the whole device."""
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https", "homeassistant") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    return {option: address} if good and not any(c.isspace() for c in address) else {}


def filled(about: Payload) -> Payload:
    """What is known of it."""
    return {key: value for key, value in about.items() if value}


def entity_id(*names: str) -> str:
    return "_".join(names).replace("-", "_")


def macs(devices: Iterator[DeviceInfo]) -> frozenset[str]:
    """Network addresses that one device alone has: Home Assistant makes one of two that share one."""
    seen = [info.mac for info in devices if info.mac]
    return frozenset(mac for mac in seen if seen.count(mac) == 1)
