"""A keeper between a modelled broker and a modelled Home Assistant, on a clock that the test turns."""

from __future__ import annotations

from collections import deque

from meerkat_contract.errors import BadMessage
from meerkat_contract.messages import CameraInfo, DeviceInfo, HubState
from meerkat_homeassistant.exchange import (
    Birth,
    Connected,
    Death,
    Disconnected,
    Event,
    Note,
    Received,
    Tick,
    marker_topic,
    sync_topic,
)
from meerkat_homeassistant.fake import FakeBroker, FakeHomeAssistant
from meerkat_homeassistant.keeper import Keeper

HUB = "homeassistant/device/meerkat_hub/config"
HEARD = (
    "meerkat/device/",
    "meerkat/meter/",
    "meerkat/hub/state",
    "meerkat/worker/",
    "homeassistant/device/",
    "homeassistant/meerkat/",
)


def topic(device: str) -> str:
    return f"homeassistant/device/meerkat_device_{device}/config"


def info(device: str, *cameras: str, label: str = "") -> DeviceInfo:
    return DeviceInfo(device=device, label=label, cameras=tuple(CameraInfo(name=name) for name in cameras))


def parts(camera: str) -> set[str]:
    """The component ids of a camera, its device triggers among them."""
    kinds = ("camera", "motion", "event", "event_picture")
    days = ("today_person", "today_vehicle", "today_animal", "today_object")
    return {f"{key}-{camera}" for key in (*kinds, *days)} | {f"{camera}:on:person", f"{camera}:on:vehicle"}


class World:
    def __init__(self) -> None:
        self.now = 1000.0
        self.broker = FakeBroker()
        self.home = FakeHomeAssistant(self.broker, lambda: self.now)
        self.sent: list[tuple[float, str, bytes]] = []
        self.notes: list[str] = []
        self._inbox: deque[Event] = deque()
        self.keeper = Keeper()
        self.there = False
        self.broker.listeners += [self.home.read, self._hear]

    # --- the bridge ---

    def connect(self) -> None:
        self.there = True
        self._inbox.append(Connected())
        self._inbox.extend(Received(name, payload) for name, payload in self.broker.retained.items())
        self._work()

    def disconnect(self) -> None:
        self.there = False
        self._inbox.append(Disconnected())
        self._work()

    def restart_bridge(self) -> None:
        self.disconnect()
        self.keeper = Keeper()
        self.connect()

    def advance(self, seconds: float) -> None:
        self._work()
        end = self.now + seconds
        while (wake := self.keeper.wake_at) is not None and wake <= end:
            self.now = max(self.now, wake)
            self._inbox.append(Tick())
            self._work()
        self.now = end

    def settle(self) -> None:
        self.advance(300)
        assert self.keeper.wake_at is None

    # --- what happens in the house ---

    def appear(self, *devices: DeviceInfo) -> None:
        for device in devices:
            self.broker.publish(f"meerkat/device/{device.device}/info", device.to_json())
        self._work()

    def vanish(self, device: str) -> None:
        self.broker.publish(f"meerkat/device/{device}/info", b"")
        self._work()

    def hub(self, page: str) -> None:
        self.broker.publish("meerkat/hub/state", HubState(page=page).to_json())
        self._work()

    def delete_in_home_assistant(self, name: str) -> None:
        self.home.delete(name)
        self._work()

    def restore(self, object_id: str) -> None:
        self.broker.publish(marker_topic(object_id, "homeassistant"), b"")
        self._work()

    def restart_home_assistant(self) -> None:
        self.home.stop()
        self._work()
        self.start_home_assistant()

    def start_home_assistant(self) -> None:
        """It greets five seconds after it has read what is retained."""
        self.home.start()
        self.advance(5)
        self.greet()

    def greet(self) -> None:
        self.home.greet()
        self._work()

    def shown(self, name: str) -> set[str]:
        """The component ids that Home Assistant has of one discovery topic."""
        return {part.name for part in self.home.entities if part.topic == name}

    def sent_to(self, name: str) -> list[float]:
        return [at for at, where, _ in self.sent if where == name]

    def _hear(self, name: str, payload: bytes) -> None:
        if not self.there:
            return
        if name == "homeassistant/status":
            self._inbox.append(Birth(1.0) if payload == b"online" else Death())
        elif name.startswith(HEARD):
            self._inbox.append(Received(name, payload))

    def _work(self) -> None:
        while self._inbox:
            try:
                effects = self.keeper.step(self._inbox.popleft(), self.now)
            except BadMessage as error:
                self.notes.append(str(error))
                continue
            for effect in effects:
                if isinstance(effect, Note):
                    self.notes.append(effect.text)
                else:
                    if effect.topic != sync_topic("homeassistant"):
                        self.sent.append((self.now, effect.topic, effect.payload))
                    self.broker.publish(effect.topic, effect.payload, retain=effect.retain)
