"""A house that is open to the network, and a new machine that becomes a device of it by `device init`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from meerkat_contract.connection import Connection, find_connection
from meerkat_contract.session import Incoming, Session
from support.broker import accepts, free_port
from support.processes import Program
from support.wait import wait_for


@pytest.mark.timeout(300)
def test_a_new_machine_becomes_a_device_of_the_house(tmp_path: Path) -> None:
    (tmp_path / "house.yaml").write_text("devices: {gate: {}}\n")
    (tmp_path / "pi").mkdir()
    mqtt, http = free_port(), free_port()
    house = Program(
        "up",
        [
            *("up", "--open-lan", "--no-demo", "--no-homeassistant", "--data", str(tmp_path / "data")),
            *("--config", "house.yaml", "--mqtt-port", str(mqtt), "--http-port", str(http)),
        ],
        connection=_nowhere(),
        folder=tmp_path,
        environment={"MEERKAT_BROKER": ""},
    )
    house.start()
    gate: Program | None = None
    try:
        wait_for(lambda: accepts(mqtt) and _is_well(http), seconds=90, what="the house")
        secret = find_connection("device-gate", data=tmp_path / "data")
        _set_up(tmp_path / "pi", secret.secret_url)
        file = tmp_path / "pi" / "meerkat.yaml"
        assert file.stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "pi" / "meerkat-front.jpg").read_bytes()[:2] == b"\xff\xd8"

        heard: dict[str, Incoming] = {}

        def hear(message: Incoming) -> None:
            heard[message.topic] = message

        client = Session(find_connection("client", data=tmp_path / "data"), client_id="client")
        client.subscribe("meerkat/device/gate/#", hear, join_parts=True)
        client.start()
        arguments = ["device", "--config", str(file), "--data", str(tmp_path / "pi" / "data")]
        gate = Program(
            "gate", arguments, connection=_nowhere(), folder=tmp_path, environment={"MEERKAT_BROKER": ""}
        )
        gate.start()
        try:
            wait_for(lambda: "meerkat/device/gate/front/picture" in heard, seconds=60, what="a picture")
            word = "meerkat/device/gate/availability"
            wait_for(lambda: word in heard and heard[word].payload == b"online", what="its word")
        except AssertionError:
            print(gate.text(), house.text())
            raise
        finally:
            client.stop(timeout=1)
        assert gate.stop() == 0
    finally:
        if gate:
            gate.kill()
        if house.running:
            house.stop()


def _is_well(port: int) -> bool:
    """Whether the hub answers there, and has a connection to the broker."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _set_up(folder: Path, broker: str) -> None:
    options = ["--yes", "--name", "gate", "--broker", broker, "--camera", "front=scene:porch"]
    done = subprocess.run(
        [sys.executable, "-m", "meerkat_cli", "device", "init", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lets this device in, and the hub is online" in done.stdout


def _nowhere() -> Connection:
    return Connection("127.0.0.1", 9)
