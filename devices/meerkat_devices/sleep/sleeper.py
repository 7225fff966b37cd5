"""A sleepy device's nights: one life of the device for each time it is awake.

    awake: cameras look, meters are pictured, the outbox is handed over ──▶ `asleep`, next wake told
      ▲                                                                          │
      └──── the time has come ◀──── switched off, suspended, or just disconnected ┘

Everything that can fail or be forgotten begins anew with each life, as after a power cut.
"""

from __future__ import annotations

import logging
import shlex
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Protocol

from meerkat_contract.connection import Connection
from meerkat_contract.errors import DeviceError, MeerkatError
from meerkat_contract.session import Session
from meerkat_contract.topics import DeviceTopic
from meerkat_devices.clock import Clock, clock_state
from meerkat_devices.programs import run_program
from meerkat_devices.settings.sleep import SleepSettings

from .schedule import may_sleep, next_wake

_log = logging.getLogger("meerkat.device")

LATE = 10.0
"""Seconds after the wake that a command may take to end."""

FAREWELL = 2.0
"""Seconds that a device which is ended in its sleep has to say so."""

LOOK_AGAIN = 60.0
"""Seconds at most between looks at the time of day, which can jump: NTP, or a machine that was suspended."""


class Life(Protocol):
    """What is asked of the device that is awake."""

    @property
    def connected(self) -> bool: ...
    @property
    def watches(self) -> bool: ...
    @property
    def pictured(self) -> bool: ...
    @property
    def handed_over(self) -> bool: ...


class Wakefulness:
    """How long a device has been awake and connected."""

    def __init__(self, settings: SleepSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._since = clock.monotonic()
        self._connected_since: float | None = None

    def over(self, life: Life) -> bool:
        """Ask it again and again: it notices when the connection comes and goes."""
        now = self._clock.monotonic()
        if not life.connected:
            self._connected_since = None
        elif self._connected_since is None:
            self._connected_since = now
        return may_sleep(
            self._settings,
            awake=now - self._since,
            connected=None if self._connected_since is None else now - self._connected_since,
            watches=life.watches,
            pictured=life.pictured,
            handed_over=life.handed_over,
        )


def told_wake(settings: SleepSettings, clock: Clock, zone: tzinfo) -> datetime | None:
    """When it will wake, for others to know; None while its clock is not set."""
    now = clock.now()
    return next_wake(now, settings.wake_every, zone) if clock_state(now) == "synced" else None


def sleep(
    settings: SleepSettings,
    wake: datetime | None,
    *,
    clock: Clock,
    stop: threading.Event,
    run: Callable[[list[str], Night], None] | None = None,
) -> MeerkatError | None:
    """Until `wake`, or `wake_every` from now if that is None; sooner when `stop` is set.

    A command that switches the machine off ends us with it. One that suspends it comes back at the wake.
    Where it fails we wait as if there were none: returns why.
    """
    seconds = (wake - clock.now()).total_seconds() if wake else settings.wake_every
    night = Night(clock, stop, wake, clock.monotonic() + seconds)
    _log.info("asleep until %s", f"{wake.astimezone():%H:%M}" if wake else f"{seconds:.0f} s from now")
    failed = None
    if settings.command:
        text = settings.command.format(seconds=max(1, round(seconds)), wake=wake.isoformat() if wake else "")
        try:
            (run or run_command)(shlex.split(text), night)
        except DeviceError as error:
            failed = error
            _log.error("%s", error)
    while not stop.is_set() and (left := night.left()) > 0:
        clock.wait(stop, min(left, LOOK_AGAIN))
    return failed


def too_short(settings: SleepSettings, what: str) -> DeviceError:
    """It goes to sleep though the hub is there and would take more."""
    return DeviceError(
        f"goes to sleep after {settings.awake_seconds:g} s, and {what}",
        where="sleep.awake_seconds",
        remedy="Should this happen again and again, allow more: devices.<name>.sleep.awake_seconds",
    )


def say_offline(connection: Connection, device: str) -> None:
    """In the place of `asleep`: somebody has ended it while it slept, and it will not wake."""
    session = Session(connection, client_id=f"meerkat-device-{device}")
    session.start()
    try:
        session.wait_connected(FAREWELL)
        session.publish(DeviceTopic(device, "availability"), b"offline", qos=1, retain=True).wait(FAREWELL)
    except MeerkatError as error:
        _log.warning("nobody hears that it ends: %s", error)
    finally:
        session.stop(timeout=0.5)


@dataclass(frozen=True, slots=True)
class Night:
    """How long to sleep: until the time of day `wake`, and no longer than until `end`, monotonic."""

    clock: Clock
    stop: threading.Event
    wake: datetime | None
    end: float

    def left(self) -> float:
        """Seconds. The time of day goes on while a machine is suspended, but it can be set back; the other
        clock stands meanwhile, and cannot. It has a minute more: a wake before its time is pictured twice."""
        left = self.end - self.clock.monotonic()
        return min(left + 60.0, (self.wake - self.clock.now()).total_seconds()) if self.wake else left


def run_command(words: list[str], night: Night) -> None:
    """Until it ends, or the night does. Raises DeviceError when it does not end well, or hangs.

    When we are told to end, it may be the one that is switching the machine off: it is left alone.
    """
    overdue: list[float] = []

    def late() -> str:
        """By the clock that stands while the machine is suspended: it may come back hours after the wake."""
        if night.left() > 0:
            return ""
        overdue.append(night.clock.monotonic())
        return "had not ended when it was time to wake" if overdue[-1] - overdue[0] > LATE else ""

    run_program(
        words,
        where="sleep.command",
        late=late,
        leave=night.stop.is_set,
        cannot="Check devices.<name>.sleep.command",
        failed="May it run without a password? The device stays on, disconnected, until the next wake",
    )
