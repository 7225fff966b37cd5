"""What the bus says right now: latest pictures, motion, availability, workers. In memory only.

The page and the API read it; listeners (server-sent events) hear of every change. Thread-safe.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from meerkat_contract.messages import DeviceInfo, HubState, LightState, WorkerState
from meerkat_hub.core.zones import Zones

from .errors import Errors

MAX_PICTURE = 5_000_000
"""Bytes; a larger live picture is ignored."""

MAX_SETTING = 200
"""Bytes of a setting's state."""

MOST_SETTINGS = 10_000
"""Of all devices together; what says more is no house."""


@dataclass(frozen=True, slots=True)
class LivePicture:
    jpeg: bytes
    captured_at: datetime
    """When the device took it, or when it came if the device did not say."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a listener hears: `kind` event | outcome | picture | motion | device | worker | hub | workflow,
    and of a meter reading | verdict | meter."""

    kind: str
    device: str = ""
    thing: str = ""
    payload: bytes = b""
    """JSON where the kind has any."""


Listener = Callable[[Change], None]


class Live:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self.devices: dict[str, DeviceInfo] = {}
        self.availability: dict[str, str] = {}
        self.pictures: dict[tuple[str, str], LivePicture] = {}
        self.motion: dict[tuple[str, str], bool] = {}
        self.settings: dict[tuple[str, str, str], str] = {}
        """What is in force, by device, thing and setting."""
        self.sensors: dict[tuple[str, str], bool] = {}
        """What motion sensors and contacts say, by device and sensor: True is ON."""
        self.presses: dict[tuple[str, str], datetime] = {}
        """When each button was last pressed, since the hub has been there."""
        self.lights: dict[tuple[str, str], LightState] = {}
        self.workers: dict[str, WorkerState] = {}
        self.errors = Errors(self._picture_at)
        """What devices reported."""
        self.hub = HubState()
        self.connected = False
        """Whether the hub is connected to the broker."""

    def _picture_at(self, device: str, camera: str) -> datetime | None:
        picture = self.pictures.get((device, camera))
        return picture.captured_at if picture is not None else None

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Hear of every change, on the thread that makes it; returns what ends it."""
        with self._lock:
            self._listeners.append(listener)

        def end() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return end

    def tell(self, change: Change) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(change)

    def set_to(self, device: str, thing: str, setting: str, payload: bytes) -> bool:
        """A device says what is in force of a setting; what is too long to be a value is ignored.

        Whether it is different now.
        """
        key = (device, thing, setting)
        before = self.settings.get(key)
        if not payload:
            self.settings.pop(key, None)
        elif len(payload) <= MAX_SETTING and (key in self.settings or len(self.settings) < MOST_SETTINGS):
            self.settings[key] = payload.decode(errors="replace")
        return self.settings.get(key) != before

    def zones(self, device: str, camera: str) -> Zones:
        """The zones of a camera by name, as its device tells them."""
        info = self.devices.get(device)
        cameras = info.cameras if info is not None else ()
        return next((one.zones for one in cameras if one.name == camera), {})

    def cloud(self, device: str, camera: str) -> str:
        """What a camera says of the cloud now, as a setting; empty while it has not said."""
        return self.settings.get((device, camera, "cloud"), "")

    def is_meter(self, device: str, thing: str) -> bool:
        info = self.devices.get(device)
        return info is not None and any(meter.name == thing for meter in info.meters)
