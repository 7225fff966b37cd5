"""The part of systemd: a real socket, and the real device as a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meerkat_devices.running.systemd import Attendance, Notifier, describe
from support.broker import Mosquitto
from support.wait import wait_for

MAIN = """
import os, sys, threading
from pathlib import Path
from meerkat_devices import camera, service
from meerkat_devices.running import heartbeat
from meerkat_devices.command import device

heartbeat.PATIENCE = service.PATIENCE = float(os.environ["PATIENCE"])
look = camera.Camera._look
def hanging(self, shot):
    if Path(sys.argv.copy()[-1], "hang").exists():
        threading.Event().wait()
    look(self, shot)
camera.Camera._look = hanging
device()
"""
"""A camera whose thread never comes back once a file `hang` is in the data folder."""


class Systemd:
    """Listens where $NOTIFY_SOCKET points."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)

    def next(self, seconds: float) -> list[str]:
        """The lines of the next datagram; raises TimeoutError."""
        self._socket.settimeout(seconds)
        return self._socket.recv(4096).decode().splitlines()

    def until(self, line: str, seconds: float = 30) -> list[str]:
        """All lines up to the first that begins like `line`."""
        lines: list[str] = []
        deadline = time.monotonic() + seconds
        while not any(each.startswith(line) for each in lines):
            lines += self.next(max(0.01, deadline - time.monotonic()))
        return lines

    def silence(self, line: str, seconds: float) -> bool:
        """Whether no such line comes for `seconds`."""
        deadline = time.monotonic() + seconds
        try:
            while (left := deadline - time.monotonic()) > 0:
                if line in self.next(left):
                    return False
        except TimeoutError:
            pass
        return True

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    own = Systemd(str(tmp_path / "notify") if request.param == "path" else f"@meerkat-{os.getpid()}")
    yield own
    own.close()


class Unit:
    """`meerkat device` as systemd starts it."""

    def __init__(
        self, systemd: Systemd, broker: Mosquitto, folder: Path, *, watchdog: float, patience: float = 60
    ) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.log = folder / "device.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-c", MAIN, "--name", "pi", "--camera", "porch=scene:porch"),
                    *("--broker", broker.connection.url, "--data", str(self.data)),
                ],
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "MEERKAT_CONFIG": "",
                    "NOTIFY_SOCKET": systemd.address,
                    "PATIENCE": str(patience),
                    "WATCHDOG_USEC": str(int(watchdog * 1e6)),
                },
            )

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


def test_it_is_ready_pings_in_time_and_says_goodbye(
    systemd: Systemd, broker: Mosquitto, tmp_path: Path
) -> None:
    unit = Unit(systemd, broker, tmp_path, watchdog=6)
    try:
        assert systemd.next(60) == ["READY=1"]
        assert systemd.next(6) == ["WATCHDOG=1"]
        for _ in range(2):  # systemd would end it where one does not come within its 6 seconds
            systemd.until("WATCHDOG=1", seconds=6)
        systemd.until("STATUS=1 of 1 camera running; connected, ")
        assert unit.end() == 0
        systemd.until("STOPPING=1", seconds=5)
        assert systemd.silence("WATCHDOG=1", 1)
    finally:
        unit.kill()


@pytest.mark.parametrize("systemd", ["path"], indirect=True)
def test_a_thread_that_hangs_ends_the_pings(systemd: Systemd, broker: Mosquitto, tmp_path: Path) -> None:
    for attempt in ("first", "second", "third"):
        folder = tmp_path / attempt
        folder.mkdir()
        log = log_of_one_that_hangs(systemd, broker, folder)
        # Python walks the stacks of threads that go on running meanwhile, and may stumble over one.
        if "Segmentation fault" not in log:
            break
    assert "in hanging" in log, "where it hung is in the log"


def log_of_one_that_hangs(systemd: Systemd, broker: Mosquitto, folder: Path) -> str:
    unit = Unit(systemd, broker, folder, watchdog=1, patience=3)
    try:
        systemd.until("STATUS=1 of 1 camera running", seconds=60)
        systemd.until("WATCHDOG=1")
        (unit.data / "hang").touch()
        systemd.until("STATUS=camera porch: hangs")
        assert systemd.silence("WATCHDOG=1", 2)
        said = "camera porch: no sign of life; systemd is left to start this device anew"
        wait_for(lambda: said in unit.log.read_text())
        unit.process.send_signal(signal.SIGABRT)  # what systemd does then
        unit.process.wait(20)
        return unit.log.read_text()
    finally:
        unit.kill()


class Life:
    def __init__(self) -> None:
        self.hang: tuple[str, ...] = ()

    def silent(self) -> tuple[str, ...]:
        return self.hang

    def status(self) -> str:
        return "well"


@pytest.mark.parametrize("systemd", ["path"], indirect=True)
def test_one_that_sleeps_is_well_and_the_next_life_is_no_new_start(systemd: Systemd) -> None:
    attendance = Attendance({"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "100000"})
    life = Life()
    attendance.started(life)
    try:
        assert systemd.until("STATUS=well") == ["READY=1", "WATCHDOG=1", "STATUS=well"]
        life.hang = ("meter water",)
        systemd.until("STATUS=meter water: hangs")
        attendance.ending(asleep=True)
        assert "WATCHDOG=1" in systemd.until("STATUS=Asleep") or systemd.next(5) == ["WATCHDOG=1"]
        attendance.started(Life())
        assert "READY=1" not in systemd.until("STATUS=well")
        attendance.ending(asleep=False)
        assert "STOPPING=1" in systemd.until("STOPPING=1")
    finally:
        attendance.end()


@pytest.mark.parametrize("systemd", ["path"], indirect=True)
def test_without_a_watchdog_there_are_no_pings(systemd: Systemd) -> None:
    for watchdog in ({}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}):
        attendance = Attendance({"NOTIFY_SOCKET": systemd.address, **watchdog})
        attendance.started(Life())
        attendance.ending(asleep=False)
        assert "WATCHDOG=1" not in systemd.until("STOPPING=1")


def test_without_systemd_nothing_happens() -> None:
    attendance = Attendance({"WATCHDOG_USEC": "100000"})
    attendance.started(Life())
    assert "systemd" not in {thread.name for thread in threading.enumerate()}
    attendance.ending(asleep=False)


def test_a_socket_that_is_not_there_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier(str(tmp_path / "none"))
    notifier.tell("READY=1")
    notifier.tell("WATCHDOG=1")
    assert caplog.text.count("systemd cannot be told") == 1


def test_what_systemctl_status_shows() -> None:
    assert (
        describe(running=2, cameras=3, meters=1, waiting=4, connected=False)
        == "2 of 3 cameras running, 1 meter; no connection to the broker, 4 in the outbox"
    )
    assert (
        describe(running=0, cameras=0, meters=0, waiting=0, connected=True)
        == "sensors and lights; connected, nothing in the outbox"
    )
