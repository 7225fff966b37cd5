"""Workers, the cloud burst, zones, days and device triggers in a real Home Assistant (see `real`)."""

# ruff: noqa: F811 - the fixtures come from another file

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from meerkat_contract.ids import new_id
from meerkat_contract.messages import (
    BurstState,
    Event,
    HubState,
    ModelInfo,
    TaskInfo,
    Today,
    WorkerState,
    ZonesNow,
)
from meerkat_contract.session import Incoming, Session
from support.broker import Mosquitto
from support.wait import wait_for

from .real import COMMAND, HomeAssistant
from .test_discovery import BASEMENT, PORCH
from .test_real_home_assistant import Publish, a_new_event, home, publish  # noqa: F401
from .websocket import Socket

pytestmark = [
    pytest.mark.skipif(not COMMAND, reason="MEERKAT_TEST_HOMEASSISTANT names no Home Assistant to test with"),
    pytest.mark.timeout(300),
]

FRONT = PORCH.cameras[0].model_copy(update={"zones": {"drive": ((0, 0), (1, 0), (1, 1))}})
HOUSE = PORCH.model_copy(update={"cameras": (FRONT,), "mac": "d8:3a:dd:01:02:03", "serial": "1000"})
BURST = BurstState(state="burst", reason="9 of 21 clips would be late", spent_today=0.02, ceiling_day=0.5)
HUB = HubState(backlog=3, oldest_wait=12, per_minute=40, workers=1, jobs={"attic": 2}, burst=BURST)
ATTIC = WorkerState(
    worker="attic",
    incarnation=new_id(),
    online=True,
    tasks=(TaskInfo(task="detect_objects", model=ModelInfo(name="yolox"), frames_per_second=31.5),),
    load=0.4,
    temperature=51,
)
SHOWN = {
    "sensor.meerkat_hub_backlog": "3",
    "sensor.meerkat_hub_oldest_wait": "12.0",
    "sensor.meerkat_hub_per_minute": "40",
    "sensor.meerkat_hub_workers": "1",
    "sensor.meerkat_hub_burst_state": "burst",
    "sensor.meerkat_hub_spent_today": "0.02",
    "sensor.meerkat_hub_ceiling": "0.5",
    "switch.meerkat_hub_burst": "on",
    "binary_sensor.meerkat_worker_attic_connectivity": "on",
    "sensor.meerkat_worker_attic_state": "working",
    "sensor.meerkat_worker_attic_tasks": "detect objects",
    "sensor.meerkat_worker_attic_frames_per_second": "31.5",
    "sensor.meerkat_worker_attic_model": "yolox",
    "sensor.meerkat_worker_attic_jobs": "2",
    "sensor.meerkat_worker_attic_temperature": "51.0",
    "binary_sensor.porch_pi_front_drive_occupancy": "on",
    "sensor.porch_pi_front_person_today": "3",
    "sensor.porch_pi_front_vehicle_today": "0",
}


def test_the_pool_and_the_days_of_a_house(home: HomeAssistant, publish: Publish, broker: Mosquitto) -> None:
    furnish(publish)
    for entity, state in SHOWN.items():
        home.until(entity, state)
    assert home.state("sensor.meerkat_hub_burst_state")["attributes"]["reason"] == BURST.reason
    assert home.state("binary_sensor.porch_pi_front_drive_occupancy")["attributes"]["in_view"] == {
        "person": 1
    }
    porch = device(home, "Porch")
    assert (porch["connections"], porch["serial_number"]) == ([["mac", HOUSE.mac]], "1000")
    commands(home, broker)
    triggers(home, publish, porch["id"])
    leaving(home, publish)
    assert home.complaints() == []


def furnish(publish: Publish) -> None:
    publish("meerkat/hub/availability", b"online")
    publish("meerkat/hub/state", HUB.to_json())
    publish("meerkat/worker/attic/state", ATTIC.to_json())
    for info in (HOUSE, BASEMENT):
        publish(f"meerkat/device/{info.device}/info", info.to_json())
        publish(f"meerkat/device/{info.device}/availability", b"online")
    publish("meerkat/camera/porch-pi/front/zones", ZonesNow(zones={"drive": {"person": 1}}).to_json())
    publish("meerkat/camera/porch-pi/front/today", Today(date="2026-11-20", person=3).to_json())


def device(home: HomeAssistant, name: str) -> dict[str, Any]:
    with Socket(home.url, home.token) as socket:
        found = [one for one in socket.ask("config/device_registry/list") if one["name"] == name]
    assert len(found) == 1
    return dict(found[0])


def commands(home: HomeAssistant, broker: Mosquitto) -> None:
    heard: list[bytes] = []
    hub = Session(broker.connection, client_id="test-hub")

    def take(message: Incoming) -> None:
        assert not message.retain
        heard.append(bytes(message.payload))

    hub.subscribe("meerkat/hub/burst/set", take)
    hub.start()
    hub.wait_subscribed(10)
    try:
        home.call("switch.turn_off", "switch.meerkat_hub_burst")
        home.call("switch.turn_on", "switch.meerkat_hub_burst")
        home.call("button.press", "button.meerkat_hub_burst_stop")
        wait_for(lambda: heard == [b"OFF", b"ON", b"STOP"])
    finally:
        hub.stop()


def triggers(home: HomeAssistant, publish: Publish, porch: str) -> None:
    """Each fires once with what it is for, and not with anything else."""
    with Socket(home.url, home.token) as socket:
        offered = [
            {key: one[key] for key in ("type", "subtype")}
            for one in socket.ask("device_automation/trigger/list", device_id=porch)
            if one["domain"] == "mqtt"
        ]
        assert {(one["subtype"], one["type"]) for one in offered} == {
            ("front", "person"),
            ("front", "vehicle"),
            ("hall-pir", "motion"),
            ("bell", "doorbell"),
            ("panic", "pressed"),
        }
    about = {"trigger": "device", "domain": "mqtt", "device_id": porch}
    seen = a_new_event()
    press = json.dumps({"schema": 1, "id": new_id(), "at": "2026-11-20T08:15:00Z"}).encode()
    happens = (
        ("meerkat/camera/porch-pi/front/event", new(seen)),
        ("meerkat/device/porch-pi/bell/press", press),
    )
    publish("meerkat/device/porch-pi/hall-pir/state", b"ON")  # it stands there, and must set nothing off
    with Socket(home.url, home.token) as socket:
        for one in offered:
            socket.ask("subscribe_trigger", trigger={**about, **one})
        for topic, payload in happens:
            publish(topic, payload, False)
            assert fired(socket) == topic
        begins = "meerkat/device/porch-pi/hall-pir/triggered"
        with repeatedly(lambda: publish(begins, b"ON", False)):
            assert fired(socket) == begins
    publish("meerkat/device/porch-pi/hall-pir/state", b"OFF")


def fired(socket: Socket) -> str:
    return str(socket.next()["event"]["variables"]["trigger"]["topic"])


@contextmanager
def repeatedly(publish: Callable[[], object]) -> Iterator[None]:
    """For what no entity listens to as well: Home Assistant subscribes a moment after it has said so."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(0.1):
            publish()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def new(seen: Any) -> bytes:
    return bytes(Event(type="new", before=None, after=seen).to_json())


def leaving(home: HomeAssistant, publish: Publish) -> None:
    """Topics are emptied while their entities are still there, which must cost no line in the log."""
    publish("meerkat/worker/attic/state", ATTIC.model_copy(update={"online": False}).to_json())
    home.until("sensor.meerkat_worker_attic_model", "unavailable")
    home.until("binary_sensor.meerkat_worker_attic_connectivity", "off")
    publish("meerkat/worker/attic/state", b"")
    for kind in ("zones", "today"):
        publish(f"meerkat/camera/porch-pi/front/{kind}", b"")
    publish("meerkat/device/porch-pi/info", b"")
    gone = ("binary_sensor.meerkat_worker_attic_connectivity", "camera.porch_pi_front")
    wait_for(lambda: not any(home.state(entity) for entity in gone), seconds=30)
    publish("meerkat/hub/state", HubState(workers=0).to_json())
    wait_for(lambda: not home.state("switch.meerkat_hub_burst"), seconds=30)
    home.until("binary_sensor.meerkat_hub_no_worker", "on")
