"""A hub over a real broker, and somebody who speaks for devices and hears what is retained of them."""

from __future__ import annotations

import platform
from contextlib import ExitStack
from pathlib import Path

from meerkat_contract.messages import CameraInfo, DeviceInfo
from meerkat_contract.session import Session
from meerkat_hub.adapters.page_cameras import PageCameras
from meerkat_hub.application import Hub, build_hub
from meerkat_hub.settings import HubSettings
from support.broker import Mosquitto
from support.wait import wait_for


class BusHouse:
    """A hub, and somebody who speaks for devices and hears what is retained."""

    def __init__(self, broker: Mosquitto, folder: Path) -> None:
        self.connection = broker.connection
        self.file = folder / "cameras.yaml"
        self.retained: dict[str, bytes] = {}
        self._folder = folder
        self.bus = Session(broker.connection, client_id="devices")
        self.bus.subscribe("meerkat/#", lambda message: self.note(message.topic, bytes(message.payload)))
        self.bus.start()
        self.bus.wait_subscribed(10)

    def note(self, topic: str, payload: bytes) -> None:
        if payload:
            self.retained[topic] = payload
        else:
            self.retained.pop(topic, None)

    def tell(self, topic: str, payload: str | bytes) -> None:
        self.bus.publish(f"meerkat/{topic}", payload, qos=1, retain=True).wait(10)

    def device(
        self, name: str, *cameras: str, word: str = "online", host: str = "", source: str = ""
    ) -> None:
        """All that a device and the hub say of it, as far as it matters here."""
        told = source or ("rtsp" if name == "home" else "scene")
        infos = tuple(CameraInfo(name=one, source=told) for one in cameras)
        info = DeviceInfo(device=name, host=host or platform.node(), cameras=infos)
        for camera in cameras:
            for kind in ("picture", "motion", "sensitivity/state"):
                self.tell(f"device/{name}/{camera}/{kind}", "x")
            for kind in ("event/picture", "today"):
                self.tell(f"camera/{name}/{camera}/{kind}", "x")
        self.tell(f"device/{name}/device/log_level/state", "info")
        self.tell(f"device/{name}/info", info.to_json())
        self.tell(f"device/{name}/availability", word)

    def of(self, device: str) -> set[str]:
        """The rest of what is retained of a device: its thing's name, or its own kind."""
        return {topic.split("/")[3] for topic in self.retained if topic.split("/")[2] == device}

    def hub(
        self, ends: ExitStack, *, demo: tuple[str, ...] = (), over: tuple[str, ...] = (), alone: bool = False
    ) -> Hub:
        """`alone`: it runs no cameras, as `meerkat hub`."""
        cameras = None if alone else PageCameras(self.file, demo=demo)
        hub = build_hub(self._folder, self.connection, HubSettings(), cameras=cameras, over=over)
        hub.start()
        ends.callback(hub.stop)
        wait_for(lambda: hub.live.connected)
        return hub
