"""The discovery payloads of the hub, of workers and of devices."""

from __future__ import annotations

import json
from collections.abc import Iterator

from meerkat_contract.messages import (
    CameraInfo,
    DeviceInfo,
    LightInfo,
    MeterInfo,
    SensorInfo,
    SettingInfo,
)
from meerkat_contract.topics import DeviceTopic, HubTopic, WorkerTopic
from meerkat_homeassistant import catalogue, counters
from meerkat_homeassistant.catalogue.entity import Entity, spoken
from meerkat_homeassistant.catalogue.worker import Worker
from meerkat_homeassistant.counters import Counter

from .bus import Bus
from .components import (
    Owner,
    Payload,
    available_when,
    components,
    entity_id,
    filled,
    link,
    macs,
)
from .objects import HUB_OBJECT, config_topic, device_object, worker_object
from .triggers import triggers

ORIGIN = "Meerkat"
HUB = "meerkat/hub"
WORKERS = "meerkat/worker/"
"""What the identity of a worker begins with; `HUB` is the hub's."""

DEVICE = "device"
"""The thing under which settings of the device itself are."""


def discovery(
    bus: Bus, *, prefix: str = "homeassistant", software: str = "", dismissed: frozenset[str] = frozenset()
) -> dict[str, Payload]:
    """Every discovery topic with its payload: the hub's first, then the devices', then the workers', in
    order of name.

    `software` is the version that signs as the origin. The objects in `dismissed` were deleted by
    Home Assistant's user and are left out.
    """
    origin = {"name": ORIGIN, **({"sw": software} if software else {}), **link("url", bus.page)}
    told: dict[str, Payload] = {}
    if HUB_OBJECT not in dismissed:
        told[HUB_OBJECT] = _hub(bus)
    # A reference to a hub that Home Assistant does not know would make a nameless stub of it.
    via = HUB_OBJECT not in dismissed
    alone = macs(iter(bus.devices.values()))
    for name in sorted(bus.devices):
        told[device_object(name)] = _device(bus, bus.devices[name], via=via, macs=alone)
    for name in sorted(bus.workers):
        told[worker_object(name)] = _worker(bus, bus.workers[name], via=via)
    return {
        config_topic(name, prefix): {**payload, "o": origin}
        for name, payload in told.items()
        if name not in dismissed
    }


def to_json(payload: Payload) -> bytes:
    """One text per value, whatever the order of its keys: equal payloads are equal bytes."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _hub(bus: Bus) -> Payload:
    about = {
        "ids": [HUB],
        "name": "Meerkat hub",
        "mf": "Meerkat",
        "mdl": "Hub",
        "sw": bus.hub_software,
        **link("cu", bus.page),
    }
    return {
        "dev": filled(about),
        "avty": [available_when(HubTopic("availability"))],
        "qos": 1,
        "cmps": components(Owner(HUB, "meerkat_hub", "hub"), catalogue.hub(burst=bus.burst)),
    }


def _worker(bus: Bus, known: Worker, *, via: bool) -> Payload:
    identity = f"{WORKERS}{known.name}"
    about = {
        "ids": [identity],
        "name": f"Worker {spoken(known.name).lower()}",
        "mf": "Meerkat",
        "mdl": "Worker",
        "hw": known.hardware,
        "sw": known.software,
        "via_device": HUB if via else "",
        **link("cu", bus.page),
    }
    owner = Owner(identity, entity_id("meerkat_worker", known.name), "worker", known.name)
    return {
        "dev": filled(about),
        "avty": [available_when(WorkerTopic(known.name, "state"))],
        "qos": 1,
        "cmps": components(owner, catalogue.worker(known)),
    }


def _device(bus: Bus, info: DeviceInfo, *, via: bool, macs: frozenset[str]) -> Payload:
    about = {
        "ids": [f"meerkat/device/{info.device}"],
        "cns": [["mac", info.mac]] if info.mac in macs else [],
        "name": info.label or spoken(info.device),
        "mf": "Meerkat",
        "mdl": _kinds(info),
        "mdl_id": info.model_id,
        "hw": info.model,
        "sn": info.serial,
        "sw": info.software,
        "via_device": HUB if via else "",
        **link("cu", _own_page(bus.page, info.device)),
    }
    own = components(Owner.of(info, DEVICE, own=True), catalogue.device(info), info.settings)
    payload: Payload = {
        "dev": filled(about),
        "avty": [available_when(DeviceTopic(info.device, "availability"))],
        "qos": 1,
        "cmps": {**own, **dict(triggers(info))},
    }
    # All of a device share their names' space. Of two with one name only the first is told, because
    # Home Assistant rejects a whole device when two of its children have one identifier.
    children: dict[str, Payload] = {}
    for camera in info.cameras:
        settings = tuple(one for one in camera.settings if bus.burst or one.name != "cloud")
        rows = catalogue.camera(camera, bus.events)
        children.setdefault(camera.name, _child(info, camera, rows, settings))
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


def _own_page(page: str, device: str) -> str:
    """Where the hub's page speaks of this device; within Home Assistant only the page as a whole is found."""
    if page.startswith("homeassistant://"):
        return page
    return f"{page.rstrip('/')}/#device={device}" if page else ""


def _named_counters(bus: Bus, info: DeviceInfo) -> Iterator[tuple[MeterInfo, Counter]]:
    """Further counters on the face of a meter, day and night tariff say: each is a meter of its own here."""
    meters = sorted(info.meters, key=lambda meter: -len(meter.name))
    own = {meter.name for meter in meters}
    for (device, name), known in sorted(bus.counters.items()):
        meter = next((meter for meter in meters if name.startswith(f"{meter.name}-")), None)
        if device == info.device and name not in own and meter is not None:
            counter = spoken(name.removeprefix(f"{meter.name}-")).lower()
            label = f"{meter.label or spoken(meter.name)} {counter}"
            yield MeterInfo(name=name, label=label, kind=meter.kind), known


def _kinds(info: DeviceInfo) -> str:
    """`Camera`, `Camera, meter and light`, or `Device`."""
    there = {"camera": info.cameras, "meter": info.meters, "sensor": info.sensors, "light": info.lights}
    *before, last = [kind for kind, things in there.items() if things] or ["device"]
    return (f"{', '.join(before)} and {last}" if before else last).capitalize()


def _child(
    info: DeviceInfo,
    thing: CameraInfo | MeterInfo | SensorInfo | LightInfo,
    rows: tuple[Entity, ...],
    settings: tuple[SettingInfo, ...] = (),
) -> Payload:
    owner = Owner.of(info, thing.name)
    return {
        "ids": [owner.identity],
        "name": thing.label or spoken(thing.name),
        "cmps": components(owner, rows, settings),
    }
