"""The device's threads: supervised, told when they fail, ended in time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from meerkat_contract.errors import StorageError
from meerkat_contract.messages import ErrorReport, read
from meerkat_devices.clock import SystemClock
from meerkat_devices.outbox import Entry
from meerkat_devices.reports import HELD, Reports
from meerkat_devices.service import Device, Replay
from meerkat_devices.settings import DeviceSettings
from support.broker import Mosquitto
from support.media import make_clip
from support.stand_in_hub import StandInHub
from support.wait import wait_for


def test_a_thread_that_fails_is_reported_and_runs_again(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandInHub(broker.connection)
    hub.start()
    video = make_clip(tmp_path / "in.mp4", seconds=20, moving=lambda at: 8 <= at < 12)
    settings = DeviceSettings.model_validate({"cameras": {"porch": {"source": str(video)}}})
    own = Device("pi", settings, broker.connection, tmp_path, replay=Replay(pace="fast"))
    (camera,) = own.cameras
    run, runs = camera.run, []

    def failing(stop: threading.Event) -> None:
        runs.append(stop)
        if len(runs) == 1:
            raise ZeroDivisionError("a mistake of ours")
        run(stop)

    monkeypatch.setattr(camera, "run", failing)
    own.start()
    try:
        wait_for(lambda: own.finished, what="the replay")
    finally:
        own.stop()
    wait_for(lambda: hub.states.get("meerkat/device/pi/error"), what="the report")
    hub.stop()
    error = read(ErrorReport, hub.states["meerkat/device/pi/error"][0])
    assert error.what == "an error in the program: ZeroDivisionError: a mistake of ours"
    assert error.where == "camera porch"
    assert hub.clips()


def test_the_outbox_goes_on_after_an_error(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StandInHub(broker.connection)
    hub.start()
    video = make_clip(tmp_path / "in.mp4", seconds=30, moving=lambda at: 8 <= at < 20)
    settings = DeviceSettings.model_validate({"cameras": {"porch": {"source": str(video)}}})
    own = Device("pi", settings, broker.connection, tmp_path, replay=Replay(pace="fast"))
    lend, lent = own.outbox.lend, []

    def failing(entry: Entry) -> bytes | None:
        lent.append(entry.id)
        if len(lent) == 1:
            raise ZeroDivisionError("a mistake of ours")
        if len(lent) == 2:
            raise StorageError("the disk refuses")
        return lend(entry)

    monkeypatch.setattr(own.outbox, "lend", failing)
    own.start()
    try:
        wait_for(lambda: own.finished, what="the replay")
    finally:
        own.stop()
    hub.stop()
    assert set(lent) == set(hub.taken)
    assert len(lent) == len(hub.arrivals) + 2


def test_a_full_outbox_is_reported(broker: Mosquitto, tmp_path: Path) -> None:
    """Without a hub the oldest clips go, and the device says so."""
    video = make_clip(tmp_path / "in.mp4", seconds=60, fps=30, size=(640, 360), codec="mpeg4")
    settings = DeviceSettings.model_validate(
        {"cameras": {"porch": {"source": str(video)}}, "outbox": {"max_bytes": 1_000_000}}
    )
    limit = 200_000
    own = Device("pi", settings, broker.connection, tmp_path, replay=Replay(pace="fast"))
    own.outbox._max_bytes = limit
    errors: list[StorageError] = []
    own.reports.report = errors.append  # type: ignore[method-assign,assignment]
    own.start()
    try:
        wait_for(lambda: errors, what="the report")
    finally:
        own.stop()
    assert "the outbox is full" in str(errors[0])
    sizes = [path.stat().st_size for path in own.outbox.folder.glob("*.bin")]
    assert sum(sizes) <= limit + 2 * max(sizes), "but for the two that are on their way"


class Publisher:
    """Stands for the session where only `publish` matters."""

    def __init__(self) -> None:
        self.connected = False
        self.published: list[ErrorReport] = []

    def publish(self, topic: object, payload: bytes, **_: object) -> None:
        assert str(topic) == "meerkat/device/pi/error"
        self.published.append(read(ErrorReport, payload))


def test_reports_wait_for_a_connection_and_are_not_repeated() -> None:
    session = Publisher()
    reports = Reports("pi", session, SystemClock())  # type: ignore[arg-type]
    for number in range(HELD + 5):
        for _ in range(3):
            reports.report(StorageError(f"error {number}"))
    assert session.published == []
    session.connected = True
    reports.flush()
    assert [error.what for error in session.published] == [f"error {n}" for n in range(5, HELD + 5)]
