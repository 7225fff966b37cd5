"""Devices that sleep: away and well until the time that they gave, and called missed after it.

    told `asleep` ──▶ sleeping ──(wake + grace, nothing heard)──▶ missed ──(told anything)──▶ awake or away
                         └──────────(told `online`)──────────▶ awake

A device that gave no time, because its clock was not set, is missed by how often it wakes, counted from
when it went. One that says neither is never missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from meerkat_contract.messages import DeviceInfo

from .records import Now

GRACE = 120.0
"""Seconds that a wake may take until the bus hears of it: a Pi starts, finds the network, tries again."""
GRACE_SHARE = 0.1
"""Of the time between wakes: clocks of sleeping machines drift."""


@dataclass(frozen=True, slots=True)
class Sleeper:
    device: str
    since: float
    """Monotonic: when it said that it sleeps, or when the hub began to listen."""
    every: float | None
    wake: datetime | None

    @property
    def grace(self) -> float:
        return max(GRACE, GRACE_SHARE * (self.every or 0.0))

    def missed(self, now: Now) -> bool:
        if self.wake is not None:
            return now.wall >= self.wake + timedelta(seconds=self.grace)
        return self.every is not None and now.mono >= self.since + self.every + self.grace


class Sleepers:
    """Who sleeps, by what each device says: its availability, and its info."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._info: dict[str, DeviceInfo] = {}

    def described(self, info: DeviceInfo) -> None:
        self._info[info.device] = info

    def forgotten(self, device: str) -> None:
        self._info.pop(device, None)
        self._since.pop(device, None)

    def told(self, device: str, word: str, now: Now) -> None:
        """What its availability says."""
        if word == "asleep":
            self._since.setdefault(device, now.mono)
        else:
            self._since.pop(device, None)

    def missed(self, now: Now) -> list[Sleeper]:
        """Who should have woken, and has not."""
        return [sleeper for sleeper in map(self._sleeper, sorted(self._since)) if sleeper.missed(now)]

    def _sleeper(self, device: str) -> Sleeper:
        info = self._info.get(device)
        every, wake = (info.wake_every, info.next_wake) if info else (None, None)
        return Sleeper(device, self._since[device], every, wake)
