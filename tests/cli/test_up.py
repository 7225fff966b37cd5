"""`meerkat up` as a process: one per data folder, words for mistakes, and an end that leaves nobody."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from meerkat_cli import private_broker
from meerkat_contract.connection import find_connection, find_page
from support.broker import accepts, free_port
from support.wait import wait_for


def arguments(data: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "meerkat_cli", "up", "--no-demo", "--data", str(data), *more]


def surroundings(**more: str) -> dict[str, str]:
    """The environment without a developer's own Meerkat."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MEERKAT_")} | more


def up_once(data: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """For calls that are to fail at once."""
    return subprocess.run(
        arguments(data, *more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=data.parent,
        env=surroundings(**environment),
    )


class Up:
    def __init__(self, data: Path, log: Path, *more: str) -> None:
        self.data, self.log = data, log
        self.mqtt_port = free_port()
        ports = ["--mqtt-port", str(self.mqtt_port), "--http-port", str(free_port())]
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                arguments(data, *ports, *more),
                stderr=out,
                stdout=out,
                start_new_session=True,
                cwd=log.parent,
                env=surroundings(),
            )
        wait_for(
            lambda: accepts(self.mqtt_port) or self.process.poll() is not None, what="the broker accepts"
        )
        wait_for(lambda: "The broker listens" in self.text)

    @property
    def text(self) -> str:
        return self.log.read_text()

    def broker_pid(self) -> int:
        """The Mosquitto that runs with this data folder's configuration."""
        configuration = str(self.data / "broker" / "mosquitto.conf")
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (folder / "cmdline").read_text().split("\0")[2:3] == [configuration]:
                    return int(folder.name)
        return 0


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Up]:
    run = Up(tmp_path / "data", tmp_path / "log")
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.terminate()
        run.process.wait(20)


def test_it_records_who_connects_how_and_ends_in_order(started: Up) -> None:
    data = started.data
    assert stat.S_IMODE((data / "connections.json").stat().st_mode) == 0o600
    roles = set(json.loads((data / "connections.json").read_text())["roles"])
    assert roles == {*private_broker.ROLES, "device-home"}, "and the device of cameras added on the page"
    assert find_connection("client", data=data).port == started.mqtt_port
    assert find_page(data).startswith("http://127.0.0.1:")

    second = up_once(data)
    assert second.returncode == 2
    assert f"another `meerkat up` uses this data folder (process {started.process.pid})" in second.stderr

    started.process.send_signal(signal.SIGINT)
    assert started.process.wait(20) == 0
    assert started.text.splitlines()[-1].endswith("INFO up: Everything has ended")
    assert not accepts(started.mqtt_port)
    assert (data / "up.lock").read_text() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_the_broker_comes_back_and_does_not_outlive_a_killed_up(started: Up) -> None:
    first = started.broker_pid()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: started.broker_pid() not in (0, first), what="another broker")
    wait_for(lambda: accepts(started.mqtt_port))
    started.process.kill()
    started.process.wait(10)
    wait_for(lambda: started.broker_pid() == 0, what="the broker has ended too")


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = up_once(tmp_path, "--http-port", str(port))
    assert done.returncode == 2
    assert f"error: --http-port: port {port} is taken by " in done.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--video", "a.mp4", "--camera", "0"), "both --video and --camera are given"),
        (("--camera", "kitchen"), "'kitchen' is not a camera"),
        (("--camera", __file__), f"Write --video {__file__}"),
        (("--video", "absent.mp4"), "absent.mp4: there is no such file"),
        (("--broker", "http://x"), "--broker: http://… is not the address of an MQTT broker"),
        (("--broker", "mqtt://x", "--open-lan"), "--mqtt-port and --open-lan are for the private broker"),
        (("--config", "absent.yaml"), "absent.yaml: cannot be read"),
        (("--data", "/proc/nowhere"), "/proc/nowhere: the data folder cannot be used"),
    ],
)
def test_mistakes_are_named_before_anything_starts(
    tmp_path: Path, more: tuple[str, ...], message: str
) -> None:
    done = up_once(tmp_path / "data", *more)
    assert done.returncode == 2
    assert f"error: {message}" in done.stderr or message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_configuration_stops_it(tmp_path: Path) -> None:
    file = tmp_path / "meerkat.yaml"
    file.write_text("broker: {ulr: mqtt://house}\n")
    done = up_once(tmp_path / "data", MEERKAT_CONFIG=str(file))
    assert done.returncode == 2
    assert f"{file}:1:10: broker.ulr: there is no such field (did you mean 'url'?)" in done.stderr


@pytest.mark.parametrize("host", ["203.0.113.9", "no-such-host.invalid"])
def test_the_page_goes_where_the_file_says_or_is_refused(tmp_path: Path, host: str) -> None:
    file = tmp_path / "meerkat.yaml"
    file.write_text(f"hub: {{http_host: {host}}}\n")
    done = up_once(tmp_path / "data", "--config", str(file))
    assert done.returncode == 2
    assert f"{host}: is not an address of this machine" in done.stderr


def test_the_file_opens_the_page_and_leaves_home_assistant_alone(tmp_path: Path) -> None:
    file = tmp_path / "meerkat.yaml"
    file.write_text("hub: {http_host: 127.0.0.2}\nhomeassistant: {enabled: false}\nworker: {fetch: false}\n")
    run = Up(tmp_path / "data", tmp_path / "log", "--config", str(file))
    try:
        wait_for(lambda: "Open http://127.0.0.2:" in run.text, seconds=60)
        wait_for(lambda: "worker: Worker" in run.text, seconds=60)
        assert " ha: " not in run.text
        assert find_page(data=run.data).startswith("http://127.0.0.2:")
    finally:
        run.process.terminate()
        run.process.wait(20)
