"""What happens in a house over the years, by chance: restarts, renames, removals, deletions, in any order.

The same play is given before the model of Home Assistant and before the real one. A `Stage` acts; the
`Play` decides, and knows what has to be shown in the end.
"""

from __future__ import annotations

import random
from typing import Protocol

from meerkat_contract.ids import new_id
from meerkat_contract.messages import (
    CameraInfo,
    DeviceInfo,
    HubState,
    LightInfo,
    MeterInfo,
    MeterReading,
    SensorInfo,
    WorkerState,
)
from meerkat_homeassistant.diff import components
from meerkat_homeassistant.discovery import (
    HUB_OBJECT,
    Payload,
    config_topic,
    device_object,
    discovery,
    worker_object,
)
from meerkat_homeassistant.fake import SAVES_AFTER
from meerkat_homeassistant.heard import Heard

Message = tuple[str, bytes]
DEVICES = ("porch", "yard", "cellar")


class Stage(Protocol):
    """Home Assistant, the bridge and the broker, to be acted upon."""

    def publish(self, topic: str, payload: bytes) -> None:
        """A retained message of a device, a worker or the hub."""

    def bridge(self, *, runs: bool) -> None: ...

    def home_assistant(self, *, runs: bool) -> None: ...

    def restart_broker(self, again: list[Message] | None) -> None:
        """With its memory, or without: then devices and hub say `again` what they are."""

    def delete(self, topic: str) -> None:
        """Home Assistant's user deletes the device of a discovery topic."""

    def restore(self, object_id: str) -> None:
        """`meerkat ha restore`"""

    def wait(self, seconds: float) -> None: ...

    def settle(self, play: Play) -> None:
        """Wait until the discovery topics are as they should be, while the bridge runs."""


class Play:
    def __init__(self, stage: Stage, seed: int, *, software: str = "") -> None:
        self._stage = stage
        self._chance = random.Random(seed)
        self._software = software
        self._heard = Heard()
        self._bus: dict[str, bytes] = {}
        self._dismissed: set[str] = set()
        self._bridge = self._home = True
        self.told: list[str] = []
        """What happened, to be read when it did not go well."""

    @property
    def wished(self) -> dict[str, Payload]:
        """The discovery that there should be."""
        dismissed = frozenset(self._dismissed)
        return discovery(self._heard.bus(), software=self._software, dismissed=dismissed)

    def run(self, steps: int) -> None:
        self._publish("meerkat/hub/availability", b"online")
        self._publish("meerkat/hub/state", HubState(page="http://10.0.0.5:8480").to_json())
        self._device("porch")
        scenes = (
            *(self._a_device_changes,) * 4,
            *(self._something_goes,) * 3,
            self._a_device_is_renamed,
            self._a_worker_comes,
            self._a_meter_is_read,
            self._the_hub_restarts,
            *(self._home_assistant,) * 3,
            *(self._bridge_restarts,) * 3,
            self._broker_restarts,
            self._user_deletes,
            self._user_restores,
        )
        for _ in range(steps):
            self._chance.choice(scenes)()
            if self._chance.random() < 0.5:
                self._say(f"{(seconds := self._chance.choice((0.1, 0.6, 1.5, 3.0)))} s pass")
                self._stage.wait(seconds)
        self._runs(bridge=True, home=True)
        self._stage.settle(self)

    # --- on the bus ---

    def _publish(self, topic: str, payload: bytes) -> None:
        self._say(f"{topic} {payload.decode()[:160]}")
        if payload:
            self._bus[topic] = payload
        else:
            self._bus.pop(topic, None)
        self._heard.take(topic, payload)
        self._stage.publish(topic, payload)

    def _device(self, name: str) -> None:
        def some(*names: str) -> list[str]:
            return sorted(self._chance.sample(names, self._chance.randint(0, len(names))))

        kind = self._chance.choice(("motion", "door", "button"))
        info = DeviceInfo(
            device=name,
            label=self._chance.choice(("", "", "Another name")),
            cameras=tuple(CameraInfo(name=camera) for camera in some("front", "back", "side")),
            meters=tuple(MeterInfo(name=meter) for meter in some("water")),
            sensors=tuple(SensorInfo(name=sensor, kind=kind) for sensor in some("pin")),
            lights=tuple(LightInfo(name=light) for light in some("lamp")),
        )
        self._publish(f"meerkat/device/{name}/availability", b"online")
        self._publish(f"meerkat/device/{name}/info", info.to_json())

    def _a_device_changes(self) -> None:
        self._device(self._chance.choice(DEVICES))

    def _something_goes(self) -> None:
        if topics := [name for name in self._bus if name.endswith("/info") or "/worker/" in name]:
            self._publish(self._chance.choice(topics), b"")

    def _a_device_is_renamed(self) -> None:
        old, new = self._chance.sample(DEVICES, 2)
        self._publish(f"meerkat/device/{old}/info", b"")
        self._device(new)

    def _a_worker_comes(self) -> None:
        state = WorkerState(worker="attic", incarnation=new_id(), online=True)
        self._publish("meerkat/worker/attic/state", state.to_json())

    def _a_meter_is_read(self) -> None:
        about = {"id": new_id(), "device": "cellar", "meter": "water", "at": "2026-11-20T08:15:00Z"}
        reading = MeterReading.model_validate({**about, "value": 7.5, "total": 7.5, "unit": "m³"})
        self._publish("meerkat/meter/cellar/water/reading", reading.to_json())

    def _the_hub_restarts(self) -> None:
        page = self._chance.choice(("http://10.0.0.5:8480", "http://10.0.0.6:8480"))
        self._publish("meerkat/hub/availability", b"offline")
        self._publish("meerkat/hub/state", HubState(page=page).to_json())
        self._publish("meerkat/hub/availability", b"online")

    # --- around it ---

    def _home_assistant(self) -> None:
        self._runs(home=not self._home)

    def _bridge_restarts(self) -> None:
        self._runs(bridge=not self._bridge)

    def _broker_restarts(self) -> None:
        """What it forgets while the bridge is away nobody can know: then it keeps its memory."""
        forgets = self._bridge and self._chance.random() < 0.5
        if forgets:
            self._dismissed.clear()
        self._say(f"the broker restarts, {forgets=}")
        self._stage.restart_broker(list(self._bus.items()) if forgets else None)

    def _user_deletes(self) -> None:
        """What is shown, once it is; with the bridge there, or away."""
        self._runs(bridge=True, home=True)
        self._stage.settle(self)
        topic = self._chance.choice(list(self.wished) or [""])
        if not topic:
            return
        self._runs(bridge=self._chance.random() < 0.5)
        self._say(f"the user deletes {topic}")
        self._dismissed |= {name for name in self._objects() if topic == config_topic(name, "homeassistant")}
        self._stage.delete(topic)
        # If it ended suddenly before it has saved its registry, the user would have to do it again.
        self._stage.wait(SAVES_AFTER + 1)

    def _user_restores(self) -> None:
        if self._dismissed:
            self._runs(bridge=True)
            self._stage.settle(self)
            name = self._chance.choice(sorted(self._dismissed))
            self._say(f"the user restores {name}")
            self._dismissed.discard(name)
            self._stage.restore(name)

    def _objects(self) -> tuple[str, ...]:
        return (HUB_OBJECT, worker_object("attic"), *map(device_object, DEVICES))

    def _runs(self, *, bridge: bool | None = None, home: bool | None = None) -> None:
        if home is not None and home != self._home:
            self._home = home
            self._say(f"Home Assistant {'starts' if home else 'ends'}")
            self._stage.home_assistant(runs=home)
        if bridge is not None and bridge != self._bridge:
            self._bridge = bridge
            self._say(f"the bridge {'starts' if bridge else 'ends'}")
            self._stage.bridge(runs=bridge)

    def _say(self, what: str) -> None:
        self.told.append(what)


def registered(wished: dict[str, Payload]) -> set[tuple[str, str]]:
    """Platform and unique id of every entity; device triggers are in no registry."""
    return {
        (part["p"], part["uniq_id"])
        for payload in wished.values()
        for part in components(payload).values()
        if "uniq_id" in part
    }
