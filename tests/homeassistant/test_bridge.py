"""The bridge against a real Mosquitto."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meerkat_contract.connection import Connection, write_connections
from meerkat_contract.messages import HubState
from meerkat_contract.session import Incoming, Session
from meerkat_homeassistant.bridge import Bridge, restore
from meerkat_homeassistant.exchange import marker_topic
from meerkat_homeassistant.settings import HomeAssistantSettings
from support.broker import Mosquitto
from support.wait import wait_for

from .world import HUB, info, topic

PORCH = topic("porch")


class Home:
    """What a subscriber like Home Assistant sees, and the means to act like a device or its user."""

    def __init__(self, connection: Connection) -> None:
        self.retained: dict[str, bytes] = {}
        self.seen: list[str] = []
        self.session = Session(connection, client_id="test-home")
        self.session.subscribe("homeassistant/#", self._take)
        self.session.start()
        self.session.wait_subscribed(10)

    def _take(self, message: Incoming) -> None:
        self.seen.append(message.topic)
        self.retained[message.topic] = message.payload

    def publish(self, name: str, payload: bytes, *, retain: bool = True) -> None:
        self.session.publish(name, payload, qos=1, retain=retain).wait(10)

    def device(self, name: str) -> dict[str, Any]:
        """Waits until the topic holds a device's discovery."""
        payload: dict[str, Any] = json.loads(wait_for(lambda: self.retained.get(name), what=name))
        return payload

    def gone(self, name: str) -> None:
        wait_for(lambda: self.retained.get(name) == b"", what=f"{name} empty")


@pytest.fixture
def home(broker: Mosquitto) -> Iterator[Home]:
    home = Home(broker.connection)
    try:
        yield home
    finally:
        home.session.stop()


@pytest.fixture
def bridge(broker: Mosquitto) -> Iterator[Bridge]:
    bridge = Bridge(broker.connection, HomeAssistantSettings(), software="1.2.3", chance=lambda: 0.0)
    thread = threading.Thread(target=bridge.run)
    thread.start()
    try:
        yield bridge
    finally:
        bridge.stop()
        thread.join(10)
        assert not thread.is_alive()


def test_a_device_on_the_bus_is_told_to_home_assistant(home: Home, bridge: Bridge) -> None:
    home.publish("meerkat/hub/state", HubState(page="http://10.0.0.5:8480", software="1.2.3").to_json())
    home.publish("meerkat/device/porch/info", info("porch", "front").to_json())
    payload = home.device(PORCH)
    assert payload["o"] == {"name": "Meerkat", "sw": "1.2.3", "url": "http://10.0.0.5:8480"}
    assert payload["dev"]["via_device"] == home.device(HUB)["dev"]["ids"][0]
    assert home.seen.index(HUB) < home.seen.index(PORCH)

    home.publish("meerkat/device/porch/info", b"")
    home.gone(PORCH)


def test_a_deletion_is_respected_until_asked(home: Home, bridge: Bridge, broker: Mosquitto) -> None:
    home.publish("meerkat/device/porch/info", info("porch", "front").to_json())
    home.device(PORCH)
    home.publish(PORCH, b"")
    marker = marker_topic("meerkat_device_porch", "homeassistant")
    wait_for(lambda: home.retained.get(marker), what="the marker")
    assert home.retained[PORCH] == b""

    restore(broker.connection, "meerkat_device_porch", "homeassistant")
    wait_for(lambda: home.retained[PORCH], what="the device again")
    home.gone(marker)


def test_all_again_when_home_assistant_starts(home: Home, bridge: Bridge) -> None:
    home.publish("meerkat/device/porch/info", info("porch", "front").to_json())
    home.device(PORCH)
    home.seen.clear()
    home.publish("homeassistant/status", b"online", retain=False)
    wait_for(lambda: PORCH in home.seen, what="discovery again")
    assert home.seen.index(HUB) < home.seen.index(PORCH)


def test_a_broker_that_lost_its_memory_is_told_again(home: Home, bridge: Bridge, broker: Mosquitto) -> None:
    home.publish("meerkat/device/porch/info", info("porch", "front").to_json())
    home.device(PORCH)
    broker.kill()
    wait_for(lambda: not home.session.connected, what="the end of the connection")
    home.retained.clear()
    broker.start()
    home.session.wait_connected(20)
    home.publish("meerkat/device/porch/info", info("porch", "front", "yard").to_json())
    assert [child["name"] for child in home.device(PORCH)["cdevs"]] == ["Front", "Yard"]


def test_what_cannot_be_read_is_named_and_all_else_goes_on(
    home: Home, bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "meerkat_homeassistant"):
        home.publish("meerkat/device/broken/info", b'{"device":"broken","cameras":[{"name":"No Name"}]}')
        home.publish("meerkat/device/porch/info", info("porch", "front").to_json())
        home.device(PORCH)
    assert "meerkat/device/broken/info" in caplog.text
    assert "cameras.0.name" in caplog.text


def test_the_command_finds_its_broker_and_ends_on_sigterm(
    home: Home, broker: Mosquitto, tmp_path: Path
) -> None:
    home.publish("meerkat/device/porch/info", info("porch", "front").to_json())
    write_connections(tmp_path, {"homeassistant": broker.connection})
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEERKAT")}
    command = [sys.executable, "-m", "meerkat_cli", "ha", "bridge", "--data", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--prefix", "homeassistant"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    try:
        home.device(PORCH)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, said
    assert "porch is shown in Home Assistant with 10 entities" in said
    assert home.retained[PORCH], "what is shown outlives the bridge"
