"""How soon a real Home Assistant shows it: all entities, a change of state, a push with its picture.

    MEERKAT_TEST_HOMEASSISTANT=COMMAND python benchmarks/homeassistant.py [--devices N] [--rounds N]

COMMAND starts a Home Assistant, see tests/homeassistant/real.py. Beside it run a real Mosquitto and the
real bridge, all on loopback. Measured are

- from Home Assistant's connection to the broker, as the broker logs it, until the last entity is in its
  registry and has a state (disabled ones have none), when it is new and when it has only restarted;
- from a message's hand-over to the broker until the state's change is heard on Home Assistant's
  WebSocket, of motion and of meters' readings, in random order;
- from an event's hand-over until a phone has its notification, by the blueprint, which keeps the picture
  in a file, and by plain YAML, which names the image entity; the phone then fetches the picture and its
  hash is compared. The picture (60 kB) is published just before its event, as the hub does it.

The promises: 10 s; p95 100 ms; p95 200 ms, and the picture of that very event.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
from rich.console import Console
from rich.table import Table
from tests.homeassistant.phone import Phone, automation, of_blueprint, save_blueprint
from tests.homeassistant.real import COMMAND, HomeAssistant, home_assistant
from tests.homeassistant.sequences import registered
from tests.homeassistant.websocket import Socket

from meerkat_contract.ids import new_id
from meerkat_contract.messages import (
    CameraInfo,
    DeviceInfo,
    Event,
    EventState,
    HubState,
    MeterInfo,
    MeterReading,
    WorkerState,
)
from meerkat_contract.session import Session
from support.broker import Mosquitto
from support.processes import Program
from support.wait import wait_for

console = Console()
DISCOVERY = "homeassistant/device/"
CAMERAS = ("front", "yard")


class House:
    """Every device has two cameras and a water meter; a hub and a worker are there as well."""

    def __init__(self, broker: Mosquitto, devices: int) -> None:
        self.bus = Session(broker.connection, client_id="bench-bus")
        self.discovery: dict[str, bytes] = {}
        self.bus.subscribe(
            "homeassistant/#", lambda message: self.discovery.__setitem__(message.topic, message.payload)
        )
        self.bus.start()
        self.bus.wait_subscribed(10)
        self.names = [f"pi-{number}" for number in range(devices)]
        self.publish("meerkat/hub/availability", b"online")
        self.publish("meerkat/hub/state", HubState(workers=1).to_json())
        worker = WorkerState(worker="attic", incarnation=new_id(), online=True)
        self.publish("meerkat/worker/attic/state", worker.to_json())
        cameras = tuple(CameraInfo(name=name) for name in CAMERAS)
        for name in self.names:
            self.publish(f"meerkat/device/{name}/availability", b"online")
            for camera in CAMERAS:
                self.publish(f"meerkat/device/{name}/{camera}/motion", b"OFF")
            info = DeviceInfo(device=name, cameras=cameras, meters=(MeterInfo(name="water"),))
            self.publish(f"meerkat/device/{name}/info", info.to_json())
            self.read(name, 1.0)

    def publish(self, topic: str, payload: bytes, *, retain: bool = True) -> None:
        self.bus.publish(topic, payload, qos=1, retain=retain).wait(20)

    def read(self, device: str, value: float) -> None:
        about = {"id": new_id(), "device": device, "meter": "water", "at": datetime.now(UTC)}
        told = MeterReading.model_validate({**about, "value": value, "total": value, "unit": "m³"})
        self.publish(f"meerkat/meter/{device}/water/reading", told.to_json())

    def wished(self) -> set[tuple[str, str]]:
        told = {
            topic: json.loads(text)
            for topic, text in self.discovery.items()
            if topic.startswith(DISCOVERY) and text
        }
        return registered(told)

    def shown(self) -> bool:
        """The bridge has told of all, and has no more to say."""
        topics = [topic for topic, text in self.discovery.items() if topic.startswith(DISCOVERY) and text]
        return len(topics) == len(self.names) + 2 and all(
            b"/water/reading" in self.discovery[topic] for topic in topics if "_device_" in topic
        )


@contextmanager
def clock_of_connection(broker: Mosquitto) -> Iterator[list[float]]:
    """Filled with the moment in which another client has connected than those that are there."""
    log = broker.folder / "mosquitto.log"
    seen, end, moments = log.stat().st_size, threading.Event(), list[float]()

    def watch() -> None:
        while not end.wait(0.005) and not moments:
            with log.open("rb") as file:
                file.seek(seen)
                if b"New client connected" in file.read():
                    moments.append(time.monotonic())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield moments
    finally:
        end.set()
        thread.join()


def all_there(home: HomeAssistant, wished: set[tuple[str, str]]) -> bool:
    with Socket(home.url, home.token) as socket:
        entries = [one for one in socket.ask("config/entity_registry/list") if one["platform"] == "mqtt"]
        states = {one["entity_id"]: one["attributes"] for one in socket.ask("get_states")}
    there = {(one["entity_id"].partition(".")[0], one["unique_id"]) for one in entries}
    enabled = [one["entity_id"] for one in entries if not one["disabled_by"]]
    alive = all(name in states and not states[name].get("restored") for name in enabled)
    return there == wished and alive


def until_all_are_there(home: HomeAssistant, wished: set[tuple[str, str]], connected: list[float]) -> float:
    wait_for(lambda: all_there(home, wished), seconds=60, what="every entity")
    return time.monotonic() - connected[0]


def states(home: HomeAssistant, house: House, rounds: int) -> list[float]:
    """Seconds of each."""
    chance, taken = random.Random(1), []
    motion = {(name, camera): False for name in house.names for camera in CAMERAS}
    total = dict.fromkeys(house.names, 1.0)
    with Socket(home.url, home.token) as socket:
        socket.ask("subscribe_events", event_type="state_changed")
        for _ in range(rounds):
            name = chance.choice(house.names)
            if chance.random() < 0.5:
                camera = chance.choice(CAMERAS)
                motion[name, camera] = not motion[name, camera]
                word = "on" if motion[name, camera] else "off"
                entity = f"binary_sensor.{name.replace('-', '_')}_{camera}_motion"
                began = time.monotonic()
                house.publish(f"meerkat/device/{name}/{camera}/motion", word.upper().encode())
            else:
                total[name] = round(total[name] + 0.125, 3)
                word, entity = str(total[name]), f"sensor.{name.replace('-', '_')}_water"
                began = time.monotonic()
                house.read(name, total[name])
            while True:
                told = socket.next()["event"]["data"]
                if told["entity_id"] == entity and told["new_state"]["state"] == word:
                    break
            taken.append(time.monotonic() - began)
            threading.Event().wait(chance.uniform(0, 0.05))
    return taken


def pushes(house: House, phone: Phone, rounds: int) -> tuple[list[float], int]:
    """Seconds of each, and in how many the picture was that of the very event."""
    chance, taken, right = random.Random(2), [], 0
    for _ in range(rounds):
        camera = chance.choice(CAMERAS)
        where = f"meerkat/camera/{house.names[0]}/{camera}/event"
        picture = b"\xff\xd8\xff\xe0" + chance.randbytes(60_000) + b"\xff\xd9"
        house.publish(f"{where}/picture", picture)
        now = datetime.now(UTC)
        about = {"id": new_id(), "device": house.names[0], "camera": camera, "revision": 1}
        times = {"start_time": now, "end_time": now, "picture_time": now}
        seen = {"label": "person", "category": "person", "score": 0.87, "box": (0.1, 0.1, 0.2, 0.5)}
        event = Event(type="new", after=EventState.model_validate({**about, **times, **seen})).to_json()
        began = time.monotonic()
        house.publish(where, event, retain=False)
        push = phone.next()
        taken.append(time.monotonic() - began)
        fetched = phone.picture(push) if "image" in push["data"] else b""
        right += hashlib.sha256(fetched).digest() == hashlib.sha256(picture).digest()
        threading.Event().wait(chance.uniform(0.05, 0.2))
    return taken, right


def plain(house: House, phone: Phone) -> dict[str, object]:
    """An automation that writes itself: the image entity is named by the camera that told."""
    cameras = [f"event.{house.names[0].replace('-', '_')}_{camera}_event" for camera in CAMERAS]
    image = "{{ trigger.entity_id.replace('event.', '/api/image_proxy/image.')[:-6] }}_last_event"
    return {
        "mode": "queued",
        "triggers": [{"trigger": "state", "entity_id": cameras}],
        "actions": [
            {"action": phone.service, "data": {"title": "Event", "message": "now", "data": {"image": image}}}
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=5, help="each with two cameras and a meter")
    parser.add_argument("--rounds", type=int, default=200, help="changes of state; a quarter as many events")
    options = parser.parse_args()
    if not COMMAND:
        raise SystemExit("MEERKAT_TEST_HOMEASSISTANT names no command that starts a Home Assistant")
    table = Table("", "p50", "p95", "worst", "promise", title="A real Home Assistant")

    def add(what: str, taken: list[float], promise: str) -> None:
        p50, p95, worst = (np.percentile(taken, q) * 1000 for q in (50, 95, 100))
        table.add_row(what, f"{p50:.0f} ms", f"{p95:.0f} ms", f"{worst:.0f} ms", promise)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Mosquitto(folder)
        broker.start()
        bridge = Program("bridge", ["ha", "bridge"], connection=broker.connection, folder=folder)
        try:
            house = House(broker, options.devices)
            bridge.start()
            wait_for(house.shown, what="the bridge to tell of all")
            wished = house.wished()
            with clock_of_connection(broker) as connected, running(broker) as home:
                new = until_all_are_there(home, wished, connected)
                home.stop()
                with clock_of_connection(broker) as restarted:
                    home.start()
                    again = until_all_are_there(home, wished, restarted)
                add(f"state, {options.rounds} changes", states(home, house, options.rounds), "p95 ≤ 100 ms")
                rounds = max(1, options.rounds // 4)
                with Phone(home) as phone:
                    save_blueprint(home, "notify")
                    for what, config in automations(home, house, phone).items():
                        with automation(home, "bench", config):
                            taken, right = pushes(house, phone, rounds)
                        add(f"push by {what}, {right} of {rounds} right", taken, "p95 ≤ 200 ms")
            house.bus.stop()
        finally:
            bridge.stop()
            broker.stop()
    table.add_row(f"{len(wished)} entities, new", f"{new:.1f} s", "", "", "≤ 10 s")
    table.add_row(f"{len(wished)} entities, restarted", f"{again:.1f} s", "", "", "≤ 10 s")
    console.print(table)
    console.print("load average: " + ", ".join(f"{one:.1f}" for one in os.getloadavg()))


def running(broker: Mosquitto) -> AbstractContextManager[HomeAssistant]:
    return home_assistant(f"127.0.0.1:{broker.port}")


def automations(home: HomeAssistant, house: House, phone: Phone) -> dict[str, dict[str, object]]:
    cameras = [f"event.{house.names[0].replace('-', '_')}_{camera}_event" for camera in CAMERAS]
    allowed = json.loads(home.get("/api/config"))["allowlist_external_dirs"]
    (media,) = [folder for folder in allowed if folder.endswith("media")]
    given = {"cameras": cameras, "phones": [phone.device], "folder": f"{media}/meerkat", "cooldown": 0}
    return {"the blueprint": of_blueprint("notify", **given), "plain YAML": plain(house, phone)}


if __name__ == "__main__":
    main()
