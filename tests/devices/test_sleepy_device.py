"""A sleepy device against a real broker: what the bus hears of its nights."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from meerkat_contract.messages import DeviceInfo, read
from meerkat_devices import sleeper
from meerkat_devices.command import _live
from meerkat_devices.service import Device
from meerkat_devices.settings import DeviceSettings
from meerkat_devices.sleep_settings import SleepSettings
from support.broker import Mosquitto
from support.stand_in_hub import StandInHub
from support.wait import wait_for

SETTINGS: dict[str, Any] = {
    "meters": {"water": {"source": "scene:meter"}},
    "sleep": {"wake_every": "1h", "awake_seconds": 30},
    "battery": {"command": "echo 80"},
}


def infos(hub: StandInHub) -> list[DeviceInfo]:
    return [read(DeviceInfo, payload) for payload in hub.states["meerkat/device/pi/info"]]


def words(hub: StandInHub) -> list[bytes]:
    return hub.states.get("meerkat/device/pi/availability", [])


def test_each_time_it_wakes_it_is_pictured_hands_over_and_says_when_it_comes_back(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandInHub(broker.connection)
    hub.start()
    settings = DeviceSettings.model_validate(SETTINGS)
    nights: list[tuple[bytes, int, datetime | None]] = []

    def sleep(_: SleepSettings, wake: datetime | None, *, clock: Any, stop: threading.Event) -> None:
        wait_for(lambda: words(hub)[-1:] == [b"asleep"], what="the goodbye")
        nights.append((words(hub)[-1], len(hub.taken), wake))
        if len(nights) == 2:
            stop.set()

    monkeypatch.setattr(sleeper, "sleep", sleep)
    try:
        _live(lambda: Device("pi", settings, broker.connection, tmp_path), settings.sleep)
    finally:
        hub.stop()
    assert [word for n, word in enumerate(words(hub)) if words(hub)[n - 1 : n] != [word]] == [
        b"online",
        b"asleep",
        b"online",
        b"asleep",
    ]
    assert [pictures for _, pictures, _ in nights] == [1, 2], "one picture for each time it was awake"
    told = infos(hub)
    assert told[0].wake_every == 3600
    assert told[0].next_wake is None, "while it is awake"
    assert told[-1].next_wake == nights[-1][2]
    assert told[-1].next_wake is not None
    assert timedelta(0) < told[-1].next_wake - datetime.now(UTC) <= timedelta(seconds=3660)
    assert told[-1].battery
    assert told[-1].battery.level == 80
    assert [trigger.metadata.trigger for trigger in hub.arrivals] == ["start", "start"]


def test_one_that_is_told_to_end_is_offline_not_asleep(broker: Mosquitto, tmp_path: Path) -> None:
    hub = StandInHub(broker.connection)
    hub.start()
    own = Device("pi", DeviceSettings.model_validate(SETTINGS), broker.connection, tmp_path)
    own.start()
    wait_for(lambda: words(hub) == [b"online"], what="it to be there")
    own.stop()
    wait_for(lambda: words(hub) == [b"online", b"offline"], what="its goodbye")
    hub.stop()


def test_without_a_hub_it_sleeps_all_the_same_and_keeps_its_picture(
    broker: Mosquitto, tmp_path: Path
) -> None:
    settings = DeviceSettings.model_validate(
        {**SETTINGS, "sleep": {"wake_every": "1h", "awake_seconds": 5, "watch_seconds": 0}}
    )
    own = Device("pi", settings, broker.connection, tmp_path)
    own.start()
    try:
        wait_for(lambda: own.finished, what="the end of its patience")
        assert own.outbox.counts().waiting == 1
    finally:
        own.stop(asleep=True)
    assert own.next_wake is not None
