"""The automations of the documents in a real Home Assistant: each is taken, fires, and does what it says.

It runs with MEERKAT_TEST_HOMEASSISTANT, see `real`.
"""

# ruff: noqa: F811 - the fixtures come from another file

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from meerkat_contract.ids import format_time, new_id
from meerkat_contract.messages import BurstState, Event, EventState, HubState, MeterReading, MeterVerdict
from support.wait import wait_for

from .docs_house import BASEMENT, PORCH, examples, yours
from .phone import Home, Phone, ask, automation, complaints
from .real import COMMAND, HomeAssistant
from .test_real_home_assistant import JPEG, Publish, home, publish  # noqa: F401
from .websocket import Socket

pytestmark = [
    pytest.mark.skipif(not COMMAND, reason="MEERKAT_TEST_HOMEASSISTANT names no Home Assistant to test with"),
    pytest.mark.timeout(300),
]

AHEAD = timedelta(seconds=6)
"""How soon a time of the day is: Home Assistant must have the automation by then."""

Call = tuple[str, str]
"""An action and the entity that it is for."""


class Calls(Socket):
    """Every action that Home Assistant is asked for."""

    def __init__(self, home: Home) -> None:
        super().__init__(home.url, home.token)
        self.ask("subscribe_events", event_type="call_service")
        self._heard: queue.SimpleQueue[Call] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                data = self._receive()["event"]["data"]
                target = data["service_data"].get("entity_id", "")
                for entity in target if isinstance(target, list) else [target]:
                    self._heard.put((f"{data['domain']}.{data['service']}", entity))
        except (OSError, ValueError):  # closed
            return

    def asked_for(self, action: str, automation: str) -> Call:
        """The next call of an action."""
        while True:
            try:
                call = self._heard.get(timeout=20)
            except queue.Empty:
                raise AssertionError(f"{automation}: no {action} within 20 s") from None
            if call[0] == action:
                return call


class Street:
    """What happens at the house of the documents."""

    def __init__(self, home: HomeAssistant, publish: Publish) -> None:
        self.home = home
        self._publish = publish
        media = json.loads(home.get("/api/config"))["allowlist_external_dirs"]
        (self.media,) = [folder for folder in media if folder.endswith("media")]
        self.spends(0)
        publish("meerkat/hub/availability", b"online")
        for device in (PORCH, BASEMENT):
            publish(f"meerkat/device/{device.device}/availability", b"online")
            for camera in device.cameras:
                publish(f"meerkat/device/{device.device}/{camera.name}/picture", JPEG)
            publish(f"meerkat/device/{device.device}/info", device.to_json())
        publish("meerkat/device/basement/water/picture", JPEG)
        publish("meerkat/device/porch/gate/state", b"OFF")
        self.zone("front", "path", {})
        self.zone("yard", "drive", {"car": 1})
        self.meter()
        for camera in PORCH.cameras:
            home.until(f"event.porch_{camera.name}_event", "unknown")
            today = {"date": "2026-11-20", "person": 3, "vehicle": 2}
            publish(f"meerkat/camera/porch/{camera.name}/today", json.dumps(today).encode())
        home.until("binary_sensor.porch_yard_drive_occupancy", "on")
        home.until("sensor.basement_water", "734.9")

    def sees(self, camera: str = "front", **seen: Any) -> None:
        self._publish(f"meerkat/camera/porch/{camera}/event/picture", JPEG)
        now = "2026-11-20T08:15:00.250Z"
        times = {"start_time": now, "end_time": now, "picture_time": now, "revision": 1}
        what = {"label": "person", "category": "person", "score": 0.9, "box": (0.1, 0.1, 0.2, 0.5), **seen}
        state = EventState.model_validate(
            {"id": new_id(), "device": "porch", "camera": camera, **times, **what}
        )
        self._publish(f"meerkat/camera/porch/{camera}/event", Event(type="new", after=state).to_json(), False)

    def rings(self) -> None:
        press = {"id": new_id(), "at": format_time(datetime.now(UTC))}
        self._publish("meerkat/device/porch/bell/press", json.dumps(press).encode(), False)

    def zone(self, camera: str, zone: str, there: dict[str, int]) -> None:
        self._publish(f"meerkat/camera/porch/{camera}/zones", json.dumps({"zones": {zone: there}}).encode())

    def gate(self, state: bytes) -> None:
        self._publish("meerkat/device/porch/gate/state", state)

    def meter(self, **verdict: Any) -> None:
        at = datetime.now(UTC)
        about: dict[str, Any] = {
            "id": new_id(),
            "device": "basement",
            "meter": "water",
            "at": at,
            "unit": "m³",
        }
        reading = MeterReading(**about, value=734.9, total=734.9, flow=0)
        self._publish("meerkat/meter/basement/water/reading", reading.to_json())
        told = MeterVerdict(**about, verdict="accepted", **verdict)
        self._publish("meerkat/meter/basement/water/verdict", told.to_json())

    def spends(self, money: float) -> None:
        burst = BurstState(spent_today=money, ceiling_day=5)
        self._publish("meerkat/hub/state", HubState(workers=1, burst=burst).to_json())


def test_every_automation_does_what_it_says(home: HomeAssistant, publish: Publish) -> None:
    street = Street(home, publish)
    for entity in yours("automations.md"):
        has(home, entity)
    done: set[str] = set()
    with Phone(home, "Your phone") as phone, Calls(home) as calls:
        ask(home, "POST", "/api/states/sun.sun", {"state": "below_horizon"})
        for name, stimulus, wanted in of(street):
            (example,) = [one for one in examples() if one.name == name and one.document == "automations.md"]
            config = brisk(example.config, street.media, home)
            with automation(home, f"example_{len(done)}", config):
                stimulus()
                for step in wanted:
                    if callable(step):
                        step()
                    elif step[0] == "notify":
                        assert set(phone.next()) >= {"title", "message"}, name
                    else:
                        assert calls.asked_for(step[0], name) == step, name
            done.add(name)
    assert done == {one.name for one in examples() if one.document == "automations.md"}
    assert complaints(home) == []


Step = Call | Callable[[], None]


def of(street: Street) -> Iterator[tuple[str, Callable[[], None], list[Step]]]:
    """Each automation, what happens, and what must come of it, in this order; and what happens meanwhile."""
    notify = ("notify", "")
    yield (
        "Light for whoever comes after dark",
        lambda: comes(street),
        [
            ("light.turn_on", "light.entrance"),
            lambda: leaves(street),
            ("light.turn_off", "light.entrance"),
        ],
    )
    yield (
        "Shut the water off on a leak",
        lambda: street.meter(leak="30 h", alarm="leak"),
        [
            ("valve.close_valve", "valve.water_main"),
            notify,
        ],
    )
    yield "Are the bins out?", lambda: None, [("camera.snapshot", "camera.porch_yard"), notify]
    yield (
        "Who rings, on the television",
        street.rings,
        [
            ("camera.snapshot", "camera.porch_front"),
            ("media_player.play_media", "media_player.television"),
            ("media_player.turn_off", "media_player.television"),
        ],
    )
    yield "A package was left", lambda: street.sees(label="package", category="object"), [notify, notify]
    yield (
        "Somebody unknown at night",
        lambda: street.sees("yard", stranger=True),
        [
            ("light.turn_on", "light.entrance"),
            ("light.turn_on", "light.living_room"),
            ("switch.turn_on", "switch.siren"),
            ("switch.turn_off", "switch.siren"),
        ],
    )
    yield "The gate is open and the car is there", lambda: street.gate(b"ON"), [notify]
    yield (
        "The meter is not read",
        lambda: street.meter(leak="no reading since Monday", alarm="silent"),
        [
            ("button.press", "button.basement_water_capture"),
            notify,
        ],
    )
    yield "While you are away, who came", lambda: None, [notify]
    yield (
        "No cloud beyond two dollars a day",
        lambda: street.spends(2.5),
        [
            ("switch.turn_off", "switch.meerkat_hub_burst"),
            lambda: a_new_day(street),
            ("switch.turn_on", "switch.meerkat_hub_burst"),
        ],
    )


def comes(street: Street) -> None:
    street.zone("front", "path", {"person": 1})
    street.home.until("binary_sensor.porch_front_path_occupancy", "on")
    street.sees()


def leaves(street: Street) -> None:
    """More than once: what happens before the automation waits for it does not count."""
    for _ in range(5):
        for there, state in (({"person": 1}, "on"), ({}, "off")):
            street.zone("front", "path", there)
            street.home.until("binary_sensor.porch_front_path_occupancy", state)


def a_new_day(street: Street) -> None:
    """After the automation has ended: of a single one Home Assistant drops what comes meanwhile."""
    ends = "automation.example_9"
    ended = lambda: street.home.state(ends)["attributes"]["current"] == 0  # noqa: E731
    wait_for(ended, seconds=20, what="the end of its run")
    street.spends(0)


def brisk(config: dict[str, Any], media: str, home: Home) -> dict[str, Any]:
    """The automation with short waits, at this time of this day, and with the test's folder for media."""
    zone = ZoneInfo(json.loads(home.get("/api/config"))["time_zone"])
    now = datetime.now(zone)
    soon = f"{now + AHEAD:%H:%M:%S}"
    here = {"at": soon, "for": "00:00:01", "delay": "00:00:01", "timeout": "00:00:02"}
    here |= {
        "after": f"{now - timedelta(hours=1):%H:%M:%S}",
        "before": f"{now + timedelta(hours=1):%H:%M:%S}",
    }

    def changed(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {inner: changed(one, inner) for inner, one in value.items()}
        if key == "weekday":
            return [f"{now + AHEAD:%a}".lower()]
        if isinstance(value, list):
            return [changed(one) for one in value]
        if key == "timeout" and value == "00:10:00":  # there it is what is waited for that comes
            return value
        if key == "filename":
            return value.replace("/media", media)
        return here.get(key, value) if isinstance(value, str) else value

    return {key: changed(value, key) for key, value in config.items() if key != "alias"}


def has(home: HomeAssistant, entity: str) -> None:
    """Makes an entity of the reader's own: a group of one that there is not."""
    domain, name = entity.split(".")
    if domain in ("notify", "zone"):
        return
    flow = ask(home, "POST", "/api/config/config_entries/flow", {"handler": "group"})
    path = f"/api/config/config_entries/flow/{flow['flow_id']}"
    ask(home, "POST", path, {"next_step_id": domain})
    made = ask(home, "POST", path, {"name": name, "entities": [f"{domain}.nowhere"], "hide_members": False})
    assert made["type"] == "create_entry", made
    home.until(entity, ".*")
