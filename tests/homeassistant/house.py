"""A house of three cameras, a water meter, a worker and a cloud, played to a real Home Assistant."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from meerkat_contract.ids import new_id
from meerkat_contract.messages import (
    BurstState,
    CameraInfo,
    DeviceInfo,
    Event,
    EventState,
    HubState,
    MeterInfo,
    MeterReading,
    MeterVerdict,
    WorkerState,
)
from meerkat_contract.session import Session

from .phone import Phone
from .real import HomeAssistant
from .test_real_home_assistant import JPEG, Publish

PORCH = DeviceInfo(
    device="porch",
    cameras=(CameraInfo(name="front", label="Front door"), CameraInfo(name="yard"), CameraInfo(name="shed")),
    meters=(MeterInfo(name="water", label="Water meter"),),
)
FRONT, YARD, SHED = (f"event.porch_{camera.name}_event" for camera in PORCH.cameras)


class House:
    """Speaks for all of it."""

    def __init__(self, home: HomeAssistant, publish: Publish) -> None:
        self.home = home
        self._publish = publish
        self._pictures = 0
        self.hub()
        self.worker(online=True)
        publish("meerkat/device/porch/availability", b"online")
        for camera in PORCH.cameras:
            publish(f"meerkat/device/porch/{camera.name}/picture", JPEG)
        publish("meerkat/device/porch/water/picture", JPEG + b"meter")
        publish("meerkat/device/porch/info", PORCH.to_json())
        for entity in (FRONT, YARD, SHED):
            home.until(entity, "unknown")
        allowed = json.loads(home.get("/api/config"))["allowlist_external_dirs"]
        (self.media,) = [folder for folder in allowed if folder.endswith("media")]

    def sees(self, camera: str = "front", *, picture: bool = True, **event: Any) -> bytes:
        """An event, with its picture before it; the picture."""
        jpeg = self._next_picture()
        if picture:
            self._publish(f"meerkat/camera/porch/{camera}/event/picture", jpeg)
        self._publish(f"meerkat/camera/porch/{camera}/event", self._event(camera, **event).to_json(), False)
        return jpeg

    def sees_at_once(self, session: Session, events: int) -> dict[str, bytes]:
        """Several events of one clip, as fast as they can be sent; their ids and pictures, in order."""
        pictures = {}
        for _ in range(events):
            told, jpeg = self._event("front"), self._next_picture()
            pictures[told.after.id] = jpeg
            topic = "meerkat/camera/porch/front/event"
            session.publish(f"{topic}/picture", jpeg, qos=1, retain=True)
            session.publish(topic, told.to_json(), qos=1)
        return pictures

    def _next_picture(self) -> bytes:
        self._pictures += 1
        return JPEG + f"picture {self._pictures}".encode()

    def _event(self, camera: str, **event: Any) -> Event:
        now = "2026-11-20T08:15:00.250Z"
        times = {"start_time": now, "end_time": now, "picture_time": now, "revision": 1}
        seen = {"label": "person", "category": "person", "score": 0.8734, "box": (0.1, 0.1, 0.2, 0.5)}
        where = {"id": new_id(), "device": "porch", "camera": camera}
        state = EventState.model_validate({**where, **times, **seen, **event})
        return Event(type="new", after=state)

    def proceed(self, phone: Phone, marker: str) -> None:
        """Nothing was told before this: the next notification is that of an event made for the purpose."""
        self.sees("yard", reason=marker)
        assert marker in phone.next()["message"]

    # --- the meter ---

    def reads(self, value: float, *, ago: float = 0, flow: float = 0, leak: str = "") -> None:
        """A reading of the meter, of a picture taken `ago` seconds ago."""
        at = datetime.now(UTC) - timedelta(seconds=ago)
        about: dict[str, Any] = {"id": new_id(), "device": "porch", "meter": "water", "at": at, "unit": "m³"}
        reading = MeterReading(**about, value=value, total=value, flow=flow)
        self._publish("meerkat/meter/porch/water/reading", reading.to_json())
        alarm = {"leak": leak, "alarm": "leak"} if leak else {}
        verdict = MeterVerdict(**about, verdict="accepted", **alarm)
        self._publish("meerkat/meter/porch/water/verdict", verdict.to_json())

    # --- the pool ---

    def hub(self, *, online: bool = True, spent: float = 0, state: str = "idle", **told: Any) -> None:
        burst = BurstState(spent_today=spent, ceiling_day=5, state=state, reason="so it is")
        self._publish("meerkat/hub/state", HubState(burst=burst, **{"workers": 1, **told}).to_json())
        self._publish("meerkat/hub/availability", b"online" if online else b"offline")

    def worker(self, *, online: bool) -> None:
        state = WorkerState(worker="jetson", incarnation=new_id(), online=online)
        self._publish("meerkat/worker/jetson/state", state.to_json())
