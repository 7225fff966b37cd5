"""`meerkat ha check` and `meerkat ha dashboard` against a real Mosquitto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from meerkat_contract.errors import MeerkatError
from meerkat_contract.messages import CameraInfo, DeviceInfo
from meerkat_contract.session import Session
from meerkat_homeassistant import retained
from meerkat_homeassistant.command import ha
from meerkat_homeassistant.discovery import Bus, discovery, to_json
from meerkat_homeassistant.retained import discovered
from support.broker import Mosquitto

PORCH = DeviceInfo(device="porch", cameras=(CameraInfo(name="front"),))
OTHER = b'{"name": "Lamp", "uniq_id": "l", "cmd_t": "a/c", "objectid": "x"}'


@pytest.fixture
def bus(broker: Mosquitto) -> Iterator[Session]:
    session = Session(broker.connection, client_id="test-house")
    session.start()
    session.wait_connected(10)
    yield session
    session.stop()


def say(bus: Session, topic: str, payload: bytes | str) -> None:
    bus.publish(topic, payload, qos=1, retain=True).wait(10)


def announce(bus: Session) -> None:
    for topic, payload in discovery(Bus({"porch": PORCH}), software="1").items():
        say(bus, topic, to_json(payload))
    for topic in ("meerkat/device/porch/availability", "meerkat/hub/availability"):
        say(bus, topic, "online")
    say(bus, "meerkat/device/porch/front/motion", "OFF")


def run(broker: Mosquitto, *arguments: str) -> Result:
    where = f"mqtt://127.0.0.1:{broker.port}"
    return CliRunner().invoke(ha, [*arguments, "--broker", where], catch_exceptions=False)


def test_what_we_announce_is_good(bus: Session, broker: Mosquitto, tmp_path: Path) -> None:
    announce(bus)
    result = run(broker, "check")
    assert "0 errors, 0 warnings" in result.output
    assert "retained" in result.output
    assert result.exit_code == 0


def test_what_is_wrong_is_said_and_ends_with_status_1(bus: Session, broker: Mosquitto) -> None:
    announce(bus)
    say(bus, "meerkat/device/porch/front/motion", "maybe")
    result = run(broker, "check", "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    (wrong,) = [one for one in told["findings"] if one["severity"] != "note"]
    assert (wrong["rule"], wrong["device"]) == ("state", "Front")
    assert "'maybe' is neither ON nor OFF" in wrong["what"]
    assert wrong["remedy"]


def test_others_are_checked_when_asked_for(bus: Session, broker: Mosquitto) -> None:
    announce(bus)
    say(bus, "homeassistant/switch/lamp/config", OTHER)
    assert run(broker, "check").exit_code == 0
    result = run(broker, "check", "--all")
    assert result.exit_code == 1
    assert "a switch has no 'objectid'" in result.output


def test_a_broker_without_discovery_is_not_called_good(bus: Session, broker: Mosquitto) -> None:
    result = run(broker, "check")
    assert result.exit_code == 1
    assert "meerkat ha bridge" in result.output
    with pytest.raises(MeerkatError, match="nothing is announced"):
        run(broker, "dashboard")


def test_a_dashboard_is_printed(bus: Session, broker: Mosquitto) -> None:
    announce(bus)
    text = run(broker, "dashboard", "--title", "Home").stdout
    config = YAML(typ="safe").load(text)
    assert config["title"] == "Home"
    assert "camera.porch_front" in text
    assert json.loads(run(broker, "dashboard", "--title", "Home", "--json").stdout) == config


def test_events_are_heard_while_it_listens(bus: Session, broker: Mosquitto) -> None:
    """The topics are subscribed before the wait begins; what is said in between counts."""
    announce(bus)
    reader = retained._Reader(broker.connection, "homeassistant")
    try:
        assert reader.configs()
        assert reader.states(["meerkat/camera/porch/front/event"]) == {}
        bus.publish("meerkat/camera/porch/front/event", b"{}", qos=1).wait(10)
        reader._settle()
        assert reader.listen(0) == [("meerkat/camera/porch/front/event", b"{}")]
    finally:
        reader.stop()


def test_a_broker_that_lets_us_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retained, "QUIET_SECONDS", 0.3)
    rules = tmp_path / "acl"
    rules.write_text("topic read #\ntopic readwrite open/#\ntopic write homeassistant/+/+/config\n")
    rules.chmod(0o600)
    broker = Mosquitto(tmp_path / "broker", settings=("allow_anonymous true", f"acl_file {rules}"))
    broker.start()
    try:
        with_topics = Session(broker.connection, client_id="test-house")
        with_topics.start()
        with_topics.wait_connected(10)
        say(with_topics, "homeassistant/switch/lamp/config", OTHER)
        told = discovered(broker.connection, "homeassistant", everything=True)
        assert [message.topic for message in told.messages] == ["homeassistant/switch/lamp/config"]
        with_topics.stop()
    finally:
        broker.stop()
