"""When a sleepy device may sleep, and when it wakes. Pure; time is passed in."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from meerkat_devices.settings.sleep import SleepSettings

SETTLE = 2.0
"""Seconds that a connection is given to bring what was left for the device: settings, commands, receipts."""

NOT_WORTH_IT = 60.0
"""A wake that is nearer than this (or a quarter of the time between) is left out."""


def next_wake(now: datetime, every: float, zone: tzinfo) -> datetime:
    """The next multiple of `every` seconds since local midnight: 14:00 rather than an hour after 13:07."""
    local = now.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    passed = (now - midnight).total_seconds()
    wake = midnight.astimezone(now.tzinfo) + timedelta(seconds=(passed // every + 1) * every)
    if (wake - now).total_seconds() < min(NOT_WORTH_IT, every / 4):
        wake += timedelta(seconds=every)
    return wake


def may_sleep(
    settings: SleepSettings,
    *,
    awake: float,
    connected: float | None,
    watches: bool,
    pictured: bool,
    handed_over: bool,
) -> bool:
    """Whether a device that is `awake` for so many seconds is done.

    `connected`: for how long, None without a connection. `watches`: it has cameras. `pictured`: every
    meter has its picture, or was given up. `handed_over`: the outbox is empty.
    """
    if awake >= settings.awake_seconds:
        return True  # what waits goes next time: the battery comes first
    if watches and awake < settings.watch_seconds:
        return False
    return pictured and handed_over and connected is not None and connected >= SETTLE
