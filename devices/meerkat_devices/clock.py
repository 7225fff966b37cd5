"""Time as the device sees it: a value that is passed in, so that tests turn it by hand."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Literal, Protocol
from zoneinfo import ZoneInfo


class Clock(Protocol):
    """What a thread needs of time."""

    def now(self) -> datetime:
        """The time of day, UTC. It can jump: a Pi sets its clock when the network comes."""

    def monotonic(self) -> float:
        """Seconds that never jump."""

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for `event` at most `seconds`; whether it is set."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(max(0.0, seconds))


def local_zone() -> tzinfo:
    """The machine's time zone with its daylight-saving rules: $TZ, else /etc/localtime, else UTC."""
    name = os.environ.get("TZ", "").lstrip(":")
    try:
        if name:
            return ZoneInfo(name)
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file, key="local")
    except (OSError, ValueError, LookupError):
        return UTC


_TIMESYNC = Path("/run/systemd/timesync")


def clock_state(now: datetime, *, timesync: Path = _TIMESYNC) -> Literal["synced", "unsynced"]:
    """Whether the time of day can be believed.

    A Pi has no battery for its clock: until the network time comes it says the time of its last
    shutdown, or 1970. systemd-timesyncd marks the moment with a file; where another service keeps
    the time, a year before this software was written is the only sign.
    """
    if now.year < 2026:
        return "unsynced"
    if timesync.is_dir() and not (timesync / "synchronized").exists():
        return "unsynced"
    return "synced"
