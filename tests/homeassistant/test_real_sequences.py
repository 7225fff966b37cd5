"""Five lives of a house before a real Home Assistant, with a real broker and the real bridge.

It runs with MEERKAT_TEST_HOMEASSISTANT, see `real`.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest

from meerkat_contract.session import Session
from meerkat_homeassistant.bridge import restore
from meerkat_homeassistant.discovery import Payload, to_json
from support.broker import Mosquitto
from support.wait import wait_for

from .real import COMMAND, HomeAssistant, home_assistant
from .sequences import Message, Play, registered
from .websocket import Socket

pytestmark = [
    pytest.mark.skipif(not COMMAND, reason="MEERKAT_TEST_HOMEASSISTANT names no Home Assistant to test with"),
    pytest.mark.timeout(600),
]

DISCOVERY = "homeassistant/device/"
OF_THE_BROKER = (
    "Disconnected from MQTT",
    "Failed to connect to MQTT",
    "Error returned from MQTT",
    "Error talking to MQTT: The client is not currently connected",
    "[paho.mqtt.client]",
)
OF_A_DELETION = "No device components to cleanup for"
"""Home Assistant hears itself empty the topic of a device that its user deleted, once for each entity."""


class Real:
    def __init__(self, home: HomeAssistant, broker: Mosquitto) -> None:
        self.home = home
        self.broker = broker
        self._bridge: subprocess.Popen[bytes] | None = None
        self.bus = Session(broker.connection, client_id="test-bus")
        self.bus.start()
        self.bus.wait_connected(10)
        self.bridge(runs=True)

    def close(self) -> None:
        self.bridge(runs=False)
        self.bus.stop()

    def publish(self, topic: str, payload: bytes) -> None:
        self.bus.publish(topic, payload, qos=1, retain=True).wait(20)

    def bridge(self, *, runs: bool) -> None:
        if not runs:
            assert self._bridge is not None
            self._bridge.send_signal(signal.SIGTERM)
            # One that has hardly begun does not listen to signals yet.
            assert self._bridge.wait(20) in (0, -signal.SIGTERM)
            self._bridge = None
            return
        url = f"mqtt://127.0.0.1:{self.broker.port}"
        command = [sys.executable, "-m", "meerkat_cli", "ha", "bridge", "--broker", url]
        with (self.broker.folder / "bridge.log").open("ab") as log:
            self._bridge = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.broker.folder)

    def home_assistant(self, *, runs: bool) -> None:
        if runs:
            self.home.start()
        else:
            self.home.stop()

    def restart_broker(self, again: list[Message] | None) -> None:
        self.broker.stop()
        if again is not None:
            (self.broker.folder / "mosquitto.db").unlink(missing_ok=True)
        wait_for(lambda: not self.bus.connected, what="the end of the connection")
        self.broker.start()
        self.bus.wait_connected(30)
        for topic, payload in again or ():
            self.publish(topic, payload)

    def delete(self, topic: str) -> None:
        identity = json.loads(self.discovery()[topic])["dev"]["ids"][0]
        with Socket(self.home.url, self.home.token) as socket:
            (device,) = [
                one
                for one in socket.ask("config/device_registry/list")
                if ["mqtt", identity] in one["identifiers"]
            ]
            entry = device.get("config_entry_id") or device["config_entries"][0]
            about = {"device_id": device["id"], "config_entry_id": entry}
            socket.ask("config/device_registry/remove_config_entry", **about)
        wait_for(lambda: topic not in self.discovery(), what=f"{topic} empty")

    def restore(self, object_id: str) -> None:
        restore(self.broker.connection, object_id, "homeassistant")

    def wait(self, seconds: float) -> None:
        threading.Event().wait(seconds)

    def settle(self, play: Play) -> None:
        wrong = ["nothing has been looked at"]

        def settled() -> bool:
            self.wait(0.2)  # looking costs time on a small machine
            wrong[:] = self.wrong(play)
            return not wrong

        try:
            wait_for(settled, seconds=120, what="Home Assistant to show what there is")
        except AssertionError as error:
            error.add_note("\n".join(wrong))
            raise

    def wrong(self, play: Play) -> list[str]:
        """What is not as it should be: an entity, a device, a discovery topic."""
        with Socket(self.home.url, self.home.token) as socket:
            entities = socket.ask("config/entity_registry/list")
            devices = socket.ask("config/device_registry/list")
            states = {one["entity_id"]: one["attributes"] for one in socket.ask("get_states")}
        ours = [one for one in entities if one["platform"] == "mqtt"]
        found = [(one["entity_id"].partition(".")[0], one["unique_id"]) for one in ours]
        wished = play.wished
        identities = {name for one in devices for domain, name in one["identifiers"] if domain == "mqtt"}
        enabled = [one["entity_id"] for one in ours if not one["disabled_by"]]
        return [
            *(f"doubled {one}" for one in set(found) if found.count(one) > 1),
            *(f"entity {one}" for one in set(found) ^ registered(wished)),
            *(f"device {one}" for one in identities ^ devices_of(wished)),
            *(f"no state {one}" for one in enabled if one not in states),
            *(f"no longer provided {one}" for one in enabled if states.get(one, {}).get("restored")),
            *(f"nameless {one['name']}" for one in devices if one["name"] == "127.0.0.1"),
            *self._topics_wrong(wished),
        ]

    def _topics_wrong(self, wished: dict[str, Payload]) -> list[str]:
        stand = self.discovery()
        right = {topic: to_json(payload) for topic, payload in wished.items()}
        return [
            f"topic {topic}" for topic in stand.keys() | right.keys() if stand.get(topic) != right.get(topic)
        ]

    def discovery(self) -> dict[str, bytes]:
        return {topic: text for topic, text in self._stand().items() if topic.startswith(DISCOVERY)}

    def _stand(self) -> dict[str, bytes]:
        """What is retained, read anew."""
        found: dict[str, bytes] = {}
        reader = Session(self.broker.connection, client_id="test-reader")
        reader.subscribe("homeassistant/#", lambda message: found.__setitem__(message.topic, message.payload))
        reader.start()
        try:
            reader.wait_subscribed(10)
            reader.publish("homeassistant/meerkat/test", b"end", qos=1).wait(10)
            wait_for(lambda: "homeassistant/meerkat/test" in found, what="all that is retained")
        finally:
            reader.stop()
        return {topic: text for topic, text in found.items() if text}


def devices_of(wished: dict[str, Payload]) -> set[str]:
    children = {child["ids"][0] for payload in wished.values() for child in payload.get("cdevs", ())}
    return children | {payload["dev"]["ids"][0] for payload in wished.values()}


@contextmanager
def real(folder: Path) -> Iterator[Real]:
    persistence = ("persistence true", f"persistence_location {folder}/")
    broker = Mosquitto(folder, settings=("allow_anonymous true", *persistence))
    broker.start()
    try:
        with home_assistant(f"127.0.0.1:{broker.port}") as home:
            stage = Real(home, broker)
            try:
                yield stage
            finally:
                stage.close()
    finally:
        broker.stop()


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens(seed: int, tmp_path: Path) -> None:
    with real(tmp_path) as stage:
        play = Play(stage, seed, software=version("meerkat-home"))
        try:
            play.run(14)
            assert complaints(stage.home) == []
        except AssertionError as error:
            error.add_note("\n".join(play.told))
            error.add_note((tmp_path / "bridge.log").read_text()[-3000:])
            raise


def complaints(home: HomeAssistant) -> list[str]:
    expected = (*OF_THE_BROKER, OF_A_DELETION)
    return [line for line in home.complaints() if not any(words in line for words in expected)]
