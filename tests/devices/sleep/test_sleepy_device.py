"""A sleepy device against a real broker: what the bus hears of its nights."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from meerkat_contract.errors import DeviceError
from meerkat_contract.messages import DeviceInfo, ErrorReport, read
from meerkat_devices.command import _live
from meerkat_devices.service import Device
from meerkat_devices.settings.device import DeviceSettings
from meerkat_devices.settings.sleep import SleepSettings
from meerkat_devices.sleep import sleeper
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


def said(hub: StandInHub) -> list[bytes]:
    """Its words, each once."""
    heard = words(hub)
    return [word for n, word in enumerate(heard) if heard[n - 1 : n] != [word]]


@pytest.mark.parametrize(("fails", "last"), [(False, b"asleep"), (True, b"offline")])
def test_one_that_is_ended_in_its_sleep_is_offline_unless_its_command_switches_it_off(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool, last: bytes
) -> None:
    hub = StandInHub(broker.connection)
    hub.start()
    sleepy = {"wake_every": "1h", "awake_seconds": 30, "command": "shutdown"}
    settings = DeviceSettings.model_validate({**SETTINGS, "sleep": sleepy})

    def sleep(
        _: SleepSettings, wake: datetime | None, *, clock: Any, stop: threading.Event
    ) -> DeviceError | None:
        wait_for(lambda: words(hub)[-1:] == [b"asleep"], what="the goodbye")
        stop.set()
        return DeviceError("no such command") if fails else None

    monkeypatch.setattr(sleeper, "sleep", sleep)
    try:
        _live(lambda _: Device("pi", settings, broker.connection, tmp_path), settings.sleep)
        wait_for(lambda: said(hub)[-1:] == [last], what="the last word")
    finally:
        hub.stop()
    assert said(hub)[-1] == last


def test_one_that_has_no_time_to_hand_over_says_so(broker: Mosquitto, tmp_path: Path) -> None:
    hub = StandInHub(broker.connection, answer=lambda _: None)
    hub.start()
    sleepy = {"wake_every": "1h", "awake_seconds": 5, "watch_seconds": 0}
    own = Device(
        "pi", DeviceSettings.model_validate({**SETTINGS, "sleep": sleepy}), broker.connection, tmp_path
    )
    own.start()
    try:
        wait_for(lambda: own.finished and hub.arrivals, what="the end of its patience")
    finally:
        own.stop(asleep=True)
    wait_for(lambda: hub.states.get("meerkat/device/pi/error"), what="the report")
    hub.stop()
    (report,) = [read(ErrorReport, payload) for payload in hub.states["meerkat/device/pi/error"]]
    assert report.what == "goes to sleep after 5 s, and 1 clip or picture waits for the hub"


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
        _live(lambda _: Device("pi", settings, broker.connection, tmp_path), settings.sleep)
        wait_for(lambda: said(hub)[-1:] == [b"offline"], what="its end")
    finally:
        hub.stop()
    assert said(hub) == [b"online", b"asleep", b"online", b"asleep", b"offline"]
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
    wait_for(lambda: said(hub) == [b"online"], what="it to be there")
    own.stop()
    wait_for(lambda: said(hub) == [b"online", b"offline"], what="its goodbye")
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
