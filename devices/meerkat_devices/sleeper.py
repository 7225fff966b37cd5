"""A sleepy device's nights: one life of the device for each time it is awake.

    awake: cameras look, meters are pictured, the outbox is handed over ──▶ `asleep`, next wake told
      ▲                                                                          │
      └──── the time has come ◀──── switched off, suspended, or just disconnected ┘

Everything that can fail or be forgotten begins anew with each life, as after a power cut.
"""

from __future__ import annotations

import logging
import shlex
import subprocess
import threading
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Protocol

from meerkat_contract.errors import DeviceError, MeerkatError

from .clock import Clock, clock_state
from .sleep import may_sleep, next_wake
from .sleep_settings import SleepSettings

_log = logging.getLogger("meerkat.device")

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
    run: Callable[[list[str]], None] | None = None,
) -> MeerkatError | None:
    """Until `wake`, or `wake_every` from now if that is None; sooner when `stop` is set.

    A command that switches the machine off ends us with it. One that suspends it comes back at the wake.
    Where it fails we wait as if there were none: returns why.
    """
    seconds = (wake - clock.now()).total_seconds() if wake else settings.wake_every
    until = clock.monotonic() + seconds
    _log.info("asleep until %s", f"{wake.astimezone():%H:%M}" if wake else f"{seconds:.0f} s from now")
    failed = None
    if settings.command:
        text = settings.command.format(seconds=max(1, round(seconds)), wake=wake.isoformat() if wake else "")
        try:
            (run or run_command)(shlex.split(text))
        except DeviceError as error:
            failed = error
            _log.error("%s", error)
    while not stop.is_set():
        # The time of day goes on while a machine is suspended, and can be set; the other clock is for none.
        left = (wake - clock.now()).total_seconds() if wake else until - clock.monotonic()
        if left <= 0 or clock.wait(stop, min(left, LOOK_AGAIN)):
            break
    return failed


def run_command(words: list[str]) -> None:
    """Raises DeviceError when it does not end well."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        what = f"{words[0]} cannot be run ({error.strerror})"
        raise DeviceError(what, where="sleep.command", remedy="Check devices.<name>.sleep.command") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-200:] or "nothing"
        raise DeviceError(
            f"{words[0]} ended with {done.returncode} and said: {said}",
            where="sleep.command",
            remedy="May it run without a password? The device stays on, disconnected, until the next wake",
        )
