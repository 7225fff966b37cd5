"""From what is on the bus to what Home Assistant is told: a pure function.

One message per Meerkat device. What hangs on it (cameras, meters, sensors, lights) are its child devices;
the hub is a device of its own, and the others point to it. Conventions: Home Assistant 2026.11, MQTT
device discovery.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from meerkat_contract.ids import is_name
from meerkat_contract.messages import (
    CameraInfo,
    DeviceInfo,
    LightInfo,
    MeterInfo,
    SensorInfo,
    SettingInfo,
)
from meerkat_contract.topics import DeviceTopic, HubTopic, Topic

from . import catalogue, counters
from .controls import controls
from .counters import Counter

Payload = dict[str, Any]

ORIGIN = "Meerkat"
HUB_OBJECT = "meerkat_hub"
_DEVICE_OBJECT = "meerkat_device_"


@dataclass(frozen=True)
class Bus:
    """What is known of the bus, as far as discovery depends on it."""

    devices: Mapping[str, DeviceInfo] = field(default_factory=dict)
    page: str = ""
    """Address of the hub's page, or empty while it is not known."""
    hub_software: str = ""
    counters: Mapping[tuple[str, str], Counter] = field(default_factory=dict)
    """By device and what they are called on the bus: `water`, or `water-night` for one with a name."""


def device_object(device: str) -> str:
    """The object id of a Meerkat device: the part of its discovery topic that is its own."""
    return f"{_DEVICE_OBJECT}{device}"


def device_of(object_id: str) -> str:
    """The Meerkat device of an object id; empty for the hub's."""
    return object_id.removeprefix(_DEVICE_OBJECT) if object_id.startswith(_DEVICE_OBJECT) else ""


def object_of(topic: str, prefix: str) -> str | None:
    """The object id in a discovery topic that is ours to write, or None."""
    match topic.removeprefix(f"{prefix}/").split("/"):
        case ["device", name, "config"] if topic.startswith(f"{prefix}/") and _is_ours(name):
            return name
    return None


def _is_ours(name: str) -> bool:
    return name == HUB_OBJECT or (
        name.startswith(_DEVICE_OBJECT) and is_name(name.removeprefix(_DEVICE_OBJECT))
    )


def config_topic(object_id: str, prefix: str) -> str:
    return f"{prefix}/device/{object_id}/config"


def discovery(
    bus: Bus, *, prefix: str = "homeassistant", software: str = "", dismissed: frozenset[str] = frozenset()
) -> dict[str, Payload]:
    """Every discovery topic with its payload: the hub's first, then the devices' in order of name.

    `software` is the version that signs as the origin. The objects in `dismissed` were deleted by
    Home Assistant's user and are left out.
    """
    origin = {"name": ORIGIN, **({"sw": software} if software else {}), **_link("url", bus.page)}
    told: dict[str, Payload] = {}
    if HUB_OBJECT not in dismissed:
        told[HUB_OBJECT] = _hub(bus)
    for name in sorted(bus.devices):
        if device_object(name) not in dismissed:
            # A reference to a hub that Home Assistant does not know would make a nameless stub of it.
            told[device_object(name)] = _device(bus, bus.devices[name], via=HUB_OBJECT not in dismissed)
    return {config_topic(name, prefix): {**payload, "o": origin} for name, payload in told.items()}


def to_json(payload: Payload) -> bytes:
    """One text per value, whatever the order of its keys: equal payloads are equal bytes."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _hub(bus: Bus) -> Payload:
    return {
        "dev": {
            "ids": ["meerkat/hub"],
            "name": "Meerkat hub",
            "mf": "Meerkat",
            "mdl": "Hub",
            **({"sw": bus.hub_software} if bus.hub_software else {}),
            **_link("cu", bus.page),
        },
        "avty": [_available(HubTopic("availability"))],
        "qos": 1,
        "cmps": {
            row.key: _component(row, "meerkat/hub", "meerkat_hub", None, "", shared="hub")
            for row in catalogue.HUB
        },
    }


def _device(bus: Bus, info: DeviceInfo, *, via: bool) -> Payload:
    identity = f"meerkat/device/{info.device}"
    about = {
        "ids": [identity],
        "name": info.label or _spoken(info.device),
        "mf": "Meerkat",
        "mdl": _kinds(info),
        "hw": info.model,
        "sw": info.software,
        "via_device": "meerkat/hub" if via else "",
        **_link("cu", bus.page),
    }
    owner = _Owner(info, identity, _entity_id(info.device), DEVICE)
    payload: Payload = {
        "dev": {key: value for key, value in about.items() if value},
        "avty": [_available(DeviceTopic(info.device, "availability"))],
        "qos": 1,
        "cmps": _components(owner, catalogue.device(info), info.settings),
    }
    # All of a device share their names' space. Of two with one name only the first is told, because
    # Home Assistant rejects a whole device when two of its children have one identifier.
    children: dict[str, Payload] = {}
    for camera in info.cameras:
        children.setdefault(camera.name, _child(info, camera, catalogue.CAMERA, camera.settings))
    for meter in info.meters:
        read = counters.rows(meter, bus.counters.get((info.device, meter.name), Counter()))
        children.setdefault(meter.name, _child(info, meter, (*read, *catalogue.meter(meter)), meter.settings))
    for sensor in info.sensors:
        children.setdefault(sensor.name, _child(info, sensor, catalogue.sensor(sensor)))
    for light in info.lights:
        children.setdefault(light.name, _child(info, light, catalogue.light(light)))
    for named, known in _named_counters(bus, info):
        children.setdefault(named.name, _child(info, named, counters.rows(named, known)))
    return {**payload, "cdevs": list(children.values())} if children else payload


def _named_counters(bus: Bus, info: DeviceInfo) -> Iterator[tuple[MeterInfo, Counter]]:
    """Further counters on the face of a meter, day and night tariff say: each is a meter of its own here."""
    meters = sorted(info.meters, key=lambda meter: -len(meter.name))
    own = {meter.name for meter in meters}
    for (device, name), known in sorted(bus.counters.items()):
        meter = next((meter for meter in meters if name.startswith(f"{meter.name}-")), None)
        if device == info.device and name not in own and meter is not None:
            counter = _spoken(name.removeprefix(f"{meter.name}-")).lower()
            label = f"{meter.label or _spoken(meter.name)} {counter}"
            yield MeterInfo(name=name, label=label, kind=meter.kind), known


def _kinds(info: DeviceInfo) -> str:
    """`Camera`, `Camera, meter and light`, or `Device`."""
    there = {"camera": info.cameras, "meter": info.meters, "sensor": info.sensors, "light": info.lights}
    *before, last = [kind for kind, things in there.items() if things] or ["device"]
    return (f"{', '.join(before)} and {last}" if before else last).capitalize()


DEVICE = "device"
"""The thing under which settings of the device itself are."""


@dataclass(frozen=True)
class _Owner:
    """Whose entities are told: the device itself, or one of its things."""

    info: DeviceInfo
    identity: str
    entity: str
    thing: str
    part: str = ""
    """Ends the component ids of a thing: they must be unique over the device and its things."""


def _child(
    info: DeviceInfo,
    thing: CameraInfo | MeterInfo | SensorInfo | LightInfo,
    rows: tuple[catalogue.Entity, ...],
    settings: tuple[SettingInfo, ...] = (),
) -> Payload:
    identity = f"meerkat/device/{info.device}/{thing.name}"
    # A camera that is named like its device needs no second name in the entity id.
    parts = (info.device,) if thing.name == info.device else (info.device, thing.name)
    owner = _Owner(info, identity, _entity_id(*parts), thing.name, part=thing.name)
    return {
        "ids": [identity],
        "name": thing.label or _spoken(thing.name),
        "cmps": _components(owner, rows, settings),
    }


def _components(
    owner: _Owner, rows: tuple[catalogue.Entity, ...], settings: tuple[SettingInfo, ...]
) -> dict[str, Payload]:
    """Component id → component. A row's key has no hyphen and no name has a colon: no two ids are equal."""
    told = {
        f"{row.key}-{owner.part}" if owner.part else row.key: _component(
            row, owner.identity, owner.entity, owner.info, owner.thing, shared="device"
        )
        for row in rows
    }
    primary = sum("ent_cat" not in row.options for row in rows)
    labels = {info.name: info.label or _spoken(info.name) for info in settings}
    for name, control in controls(settings, owner.info.device, owner.thing, primary=primary):
        told[f"{owner.part}:{name}"] = {
            "uniq_id": f"{owner.identity}/set:{name}",
            "def_ent_id": f"{control['p']}.{owner.entity}_{_entity_id(name)}",
            "name": labels[name],
            **control,
            **_availability("command", "device", owner.info),
        }
    return told


def _component(
    row: catalogue.Entity,
    identity: str,
    entity: str,
    info: DeviceInfo | None,
    thing: str,
    *,
    shared: catalogue.Source,
) -> Payload:
    name = f"{entity}_{row.ending}" if row.ending else entity
    device = info.device if info else ""
    available = _availability(row.source, shared, info)
    if row.says and info:
        says = {"t": str(row.says(device, thing)), "val_tpl": catalogue.SAYS_TEMPLATE}
        available = {"avty": [_available(DeviceTopic(device, "availability")), says], "avty_mode": "all"}
    return {
        "p": row.platform,
        "uniq_id": f"{identity}/{row.key}",
        "def_ent_id": f"{row.platform}.{name}",
        **{option: str(topic(device, thing)) for option, topic in row.topics.items()},
        **row.options,
        **available,
    }


def _available(topic: Topic) -> Payload:
    if isinstance(topic, HubTopic):
        return {"t": str(topic)}
    return {"t": str(topic), "val_tpl": catalogue.AVAILABILITY_TEMPLATE}


def _availability(source: catalogue.Source, shared: catalogue.Source, info: DeviceInfo | None) -> Payload:
    """What an entity's availability has to say beyond its device's."""
    if source == "command":
        if info is None or info.wake_every is None:  # never asleep
            return {}
        awake = {
            "t": str(DeviceTopic(info.device, "availability")),
            "val_tpl": catalogue.COMMAND_TEMPLATE,
        }
        return {"avty": [awake]}
    return {} if source == shared else {"avty": _AVAILABILITY[source]}


# An empty list overrides what the device says and means: always available.
_AVAILABILITY: dict[str, list[Payload]] = {"hub": [_available(HubTopic("availability"))], "always": []}


def _entity_id(*names: str) -> str:
    return "_".join(names).replace("-", "_")


def _spoken(name: str) -> str:
    words = name.replace("-", " ").replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _link(option: str, address: str) -> Payload:
    """`{option: address}` if Home Assistant takes the address; one bad link would cost the whole device."""
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    return {option: address} if good and not any(c.isspace() for c in address) else {}
