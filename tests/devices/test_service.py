"""The device's threads: supervised, told when they fail, ended in time."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meerkat_contract.connection import Connection
from meerkat_contract.errors import MeerkatError, StorageError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import ErrorReport, read
from meerkat_contract.metadata import Metadata
from meerkat_devices.clock import SystemClock
from meerkat_devices.outbox.outbox import Entry
from meerkat_devices.outbox.room import Room
from meerkat_devices.reports import HELD, Reports
from meerkat_devices.service import Device, Replay
from meerkat_devices.settings.device import DeviceSettings
from support.broker import Mosquitto, free_port
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
    own.outbox._room = Room(own.outbox.folder, limit)
    errors: list[MeerkatError] = []
    own.reports.report = lambda error, **_: errors.append(error)  # type: ignore[method-assign]
    own.start()
    try:
        wait_for(lambda: errors, what="the report")
    finally:
        own.stop()
    assert "the outbox is full" in str(errors[0])
    sizes = [path.stat().st_size for path in own.outbox.folder.glob("*.bin")]
    assert sum(sizes) <= limit + 2 * max(sizes), "but for the two that are on their way"


def test_without_a_broker_for_weeks_only_what_waits_is_remembered(tmp_path: Path) -> None:
    own = Device("pi", DeviceSettings(), Connection("127.0.0.1", free_port()), tmp_path)
    own.outbox._room = Room(own.outbox.folder, 3000)
    own.start()
    try:
        for _ in range(50):
            metadata = Metadata(id=new_id(), captured_at=datetime.now(UTC), content_type="video/mp4")
            own.outbox.add_bytes("meerkat/device/pi/porch/clip", metadata, b"x" * 1000)
        wait_for(lambda: len(own._sender._lanes) == 3, what="the evicted ones to be forgotten")
    finally:
        own.stop()
    (report,) = own.reports._held
    assert "the outbox is full: 1 entry" in report.what
    assert own.outbox.counts().evicted == 47


def test_a_hub_that_comes_hears_how_much_was_given_up_also_before_a_restart(
    broker: Mosquitto, tmp_path: Path
) -> None:
    hub = StandInHub(broker.connection)
    for life in range(2):
        own = Device("pi", DeviceSettings(), broker.connection, tmp_path)
        own.outbox._room = Room(own.outbox.folder, 3000)
        own.start()
        try:
            if life == 0:
                for _ in range(20):
                    metadata = Metadata(id=new_id(), captured_at=datetime.now(UTC), content_type="video/mp4")
                    own.outbox.add_bytes("meerkat/device/pi/porch/clip", metadata, b"x" * 1000)
            else:
                hub.start()
                wait_for(lambda: hub.states.get("meerkat/device/pi/error"), what="the report")
        finally:
            own.stop()
    hub.stop()
    report = read(ErrorReport, hub.states["meerkat/device/pi/error"][-1])
    assert "17 entries (0.0 MB) given up" in report.what
    assert "17 in all" in report.what


def test_a_damaged_outbox_is_told_and_the_device_starts(tmp_path: Path) -> None:
    settings, nowhere = DeviceSettings(), Connection("127.0.0.1", free_port())
    outbox = tmp_path / "devices" / "pi" / "outbox"
    outbox.mkdir(parents=True)
    (outbox / "outbox.sqlite").write_bytes(bytes(8192))
    own = Device("pi", settings, nowhere, tmp_path)
    own.start()
    own.stop()
    (report,) = own.reports._held
    assert "was damaged" in report.what
    assert report.where == str(outbox)


class LateClock(SystemClock):
    """Stands in 1970 until it has been waited for."""

    def __init__(self) -> None:
        self.waits = 0

    def now(self) -> datetime:
        return super().now() if self.waits >= 3 else datetime(1970, 1, 1, tzinfo=UTC)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits += 1
        return event.wait(0)


def test_a_clock_that_is_set_later_is_told(tmp_path: Path) -> None:
    own = Device("pi", DeviceSettings(), Connection("127.0.0.1", free_port()), tmp_path, clock=LateClock())
    told: list[str] = []
    own.session.keep = lambda topic, payload, **_: told.append(str(payload))  # type: ignore[method-assign]
    own.start()
    try:
        infos = wait_for(lambda: found if len(found := [t for t in told if "clock" in t]) == 2 else [])
    finally:
        own.stop()
    assert ["unsynced" in info for info in infos] == [True, False]


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
    for number in range(100):
        reports.report(StorageError(f"more {number}"))
    assert len(session.published) == HELD + 100
    assert len(reports._said) <= HELD, "a connection may last for months"


def reports_of(session: Publisher) -> Reports:
    return Reports("pi", session, SystemClock())  # type: ignore[arg-type]


OVER = ""
"""What a report says of a place where nothing is wrong any more."""


def said(session: Publisher) -> list[str]:
    """What was published since the last look."""
    words = [error.what for error in session.published]
    session.published.clear()
    return words


def test_a_hub_that_comes_hears_what_stands_and_what_it_missed() -> None:
    session = Publisher()
    session.connected = True
    reports = reports_of(session)
    reports.report(StorageError("porch away", where="porch"), about="camera porch")
    reports.report(StorageError("yard away", where="yard"), about="camera yard")
    reports.report(StorageError("outbox full"))
    reports.well("camera yard")
    assert said(session) == ["porch away", "yard away", "outbox full", OVER]
    reports.hub_is(here=True, news=True)
    assert said(session) == ["porch away", "yard away", "outbox full", OVER]
    reports.hub_is(here=False, news=True)
    reports.hub_is(here=True, news=True)
    assert said(session) == ["porch away"], "what passed was heard"
    reports.well("camera porch")
    assert said(session) == [OVER]
    reports.well("camera porch")
    reports.hub_is(here=True, news=True)
    assert said(session) == []


def test_a_hub_that_was_there_first_hears_everything_once() -> None:
    session = Publisher()
    reports = reports_of(session)
    reports.report(StorageError("porch away"), about="camera porch")
    session.connected = True
    reports.flush()
    reports.hub_is(here=True, news=False)
    reports.report(StorageError("porch away"), about="camera porch")
    assert said(session) == ["porch away"]


def test_a_hub_that_may_have_come_while_we_were_away_hears_what_stands() -> None:
    session = Publisher()
    session.connected = True
    reports = reports_of(session)
    reports.hub_is(here=True, news=True)
    reports.report(StorageError("porch away"), about="camera porch")
    assert said(session) == ["porch away"]
    reports.disconnected()
    reports.hub_is(here=True, news=False)
    assert said(session) == ["porch away"]


def test_the_same_trouble_that_comes_back_stands_again(caplog: pytest.LogCaptureFixture) -> None:
    session = Publisher()
    session.connected = True
    reports = reports_of(session)
    caplog.set_level(logging.ERROR)
    for _ in range(2):
        reports.report(StorageError("porch away"), about="camera porch")
        reports.report(StorageError("porch away"), about="camera porch")
        reports.well("camera porch")
    reports.report(StorageError("porch away"), about="camera porch")
    assert said(session) == ["porch away", OVER, "porch away", OVER, "porch away"]
    assert caplog.text.count("porch away") == 1, "a camera that comes and goes does not fill the log"
    reports.hub_is(here=True, news=True)
    assert said(session) == ["porch away", OVER, "porch away", OVER, "porch away"]
    reports.hub_is(here=True, news=True)
    assert said(session) == ["porch away"]


def test_the_end_of_a_trouble_ends_no_other_at_its_place() -> None:
    session = Publisher()
    session.connected = True
    reports = reports_of(session)
    reports.report(StorageError("too dark", where="meter"), about="meter, picture")
    reports.report(StorageError("gone", where="meter"), about="meter")
    reports.well("meter")
    assert said(session) == ["too dark", "gone", "too dark"]
    reports.well("meter, picture")
    assert said(session) == [OVER]


def test_a_trouble_that_moves_is_over_where_it_was() -> None:
    session = Publisher()
    session.connected = True
    reports = reports_of(session)
    for where in ("first", "second", "first"):
        reports.report(StorageError("refused", where=where), about="camera")
    assert [(one.where, one.what) for one in session.published] == [
        ("first", "refused"),
        ("first", OVER),
        ("second", "refused"),
        ("second", OVER),
        ("first", "refused"),
    ]


def test_a_hub_that_comes_later_hears_of_a_missing_camera_and_the_other_records(
    broker: Mosquitto, tmp_path: Path
) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=20, moving=lambda at: 8 <= at < 12)
    cameras = {"porch": {"source": str(video)}, "yard": {"source": "97"}, "gate": {"source": "gone.mp4"}}
    own = Device("pi", DeviceSettings.model_validate({"cameras": cameras}), broker.connection, tmp_path)
    hub = StandInHub(broker.connection)
    own.start()
    try:
        wait_for(lambda: len(own.reports._unheard) == 2, what="both errors are published")
        hub.start()
        topic = "meerkat/device/pi/error"
        # What was on its way as the hub came may be heard twice.
        wait_for(lambda: len(set(hub.states.get(topic, []))) == 2, what="the hub hears of them")
        wait_for(hub.clips, what="a clip of the camera that is there")
    finally:
        own.stop()
        hub.stop()
    errors = [read(ErrorReport, payload) for payload in hub.states[topic]]
    assert {(error.where, error.what) for error in errors} == {
        ("camera yard, /dev/video97", "is not there"),
        ("camera gate, gone.mp4", "there is no such file"),
    }
