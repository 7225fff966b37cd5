"""What systemd is told of a device: that it runs, what it does, and that it still gets on with it.

    READY=1      everything has been started
    STATUS=…     a line that `systemctl status` shows
    WATCHDOG=1   every thread gets on; where these fail to come for WatchdogSec, systemd starts us anew
    STOPPING=1   we were asked to end

The protocol is that of sd_notify(3): datagrams to the socket that $NOTIFY_SOCKET names. Without it,
nobody is told and nothing here costs anything.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import socket
import sys
import threading
from collections.abc import Mapping
from typing import Protocol

from meerkat_devices.words import counted

_log = logging.getLogger("meerkat.device")

TELL_SECONDS = 15.0
"""Between looks at the device where no watchdog asks for more."""


class Attended(Protocol):
    """What is asked of the device that is awake."""

    def silent(self) -> tuple[str, ...]:
        """Names of the threads that do not get on."""

    def status(self) -> str:
        """What it does, in a line."""


class Notifier:
    """Datagrams to systemd; one that cannot be sent is told in the log, once."""

    def __init__(self, address: str) -> None:
        """`address` as in $NOTIFY_SOCKET: a path, or `@` and an abstract name."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._failed = False

    def tell(self, *words: str) -> None:
        """Such as `READY=1`; several go in one datagram."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
            link.settimeout(1.0)
            try:
                link.connect(self._address)
                link.sendall("\n".join(words).encode())
            except OSError as error:
                if not self._failed:
                    _log.warning("systemd cannot be told how this device is (%s)", error)
                self._failed = True


class Attendance:
    """A thread that looks at the device and tells systemd. A no-op where systemd does not ask."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        address = environment.get("NOTIFY_SOCKET", "")
        self._notifier = Notifier(address) if address[:1] in ("/", "@") else None
        self._watchdog = _watchdog_seconds(environment)
        self._every = min(TELL_SECONDS, self._watchdog / 2) if self._watchdog else TELL_SECONDS
        self._device: Attended | None = None
        self._ready = False
        self._said = ""
        self._silent: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def started(self, device: Attended) -> None:
        """Everything of `device` was started: look at it from now on."""
        with self._lock:
            self._device = device
        if self._notifier is None:
            return
        if not self._ready:
            self._ready = True
            if self._watchdog:
                faulthandler.enable(sys.stderr)  # systemd ends what hangs by SIGABRT: show where it hung
            self._notifier.tell("READY=1")
            self._thread = threading.Thread(target=self._run, name="systemd", daemon=True)
            self._thread.start()

    def ending(self, *, asleep: bool) -> None:
        """The device is about to be stopped; when `asleep`, another one follows in time."""
        with self._lock:
            self._device = None
            self._said = "Asleep" if asleep else ""
        if self._notifier is None:
            return
        self._notifier.tell("STATUS=Asleep" if asleep else "STOPPING=1")
        if not asleep:
            self.end()

    def end(self) -> None:
        """No more is told."""
        self._stop.set()
        if self._thread:
            self._thread.join(2.0)

    def _run(self) -> None:
        while True:
            self._look()
            if self._stop.wait(self._every):
                return

    def _look(self) -> None:
        assert self._notifier is not None
        with self._lock:  # one that sleeps is well
            device = self._device
        silent = device.silent() if device else ()
        if silent != self._silent:
            self._silent = silent
            if silent:
                _log.error("%s: no sign of life%s", ", ".join(silent), self._consequence())
            else:
                _log.info("every thread gets on again")
        if not silent and self._watchdog:
            self._notifier.tell("WATCHDOG=1")
        if device is None:
            return
        # After the ping: the counts of an outbox wait for a disk that is busy.
        status = f"{', '.join(silent)}: hangs" if silent else device.status()
        with self._lock:
            stale = device is not self._device
        if status != self._said and not stale:
            self._said = status
            self._notifier.tell(f"STATUS={status}")

    def _consequence(self) -> str:
        return "; systemd is left to start this device anew" if self._watchdog else ""


def _watchdog_seconds(environment: Mapping[str, str]) -> float:
    """What systemd allows between two pings; 0 where it asks for none, or asks another process."""
    try:
        microseconds = int(environment.get("WATCHDOG_USEC", "0"))
        process = int(environment.get("WATCHDOG_PID", str(os.getpid())))
    except ValueError:
        return 0.0
    return microseconds / 1e6 if process == os.getpid() and microseconds > 0 else 0.0


def describe(*, running: int, cameras: int, meters: int, waiting: int, connected: bool) -> str:
    """The line of `systemctl status`, such as `2 of 3 cameras running, 1 meter; connected, nothing waits`."""
    parts = []
    if cameras:
        parts.append(f"{running} of {counted(cameras, 'camera', 'cameras')} running")
    if meters:
        parts.append(counted(meters, "meter", "meters"))
    what = ", ".join(parts) or "sensors and lights"
    line = "connected" if connected else "no connection to the broker"
    return f"{what}; {line}, {waiting or 'nothing'} in the outbox"
