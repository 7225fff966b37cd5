"""A device that reads its own meter: the reading waits in the outbox beside the picture, hub or no hub."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest

from meerkat_contract.device_messages import PictureCondition
from meerkat_contract.errors import ModelError, UsageError
from meerkat_contract.messages import MeterSeen, read
from meerkat_contract.topics import ThingTopic
from meerkat_devices.clock import SystemClock
from meerkat_devices.meter import Meter
from meerkat_devices.outbox.files import Entry
from meerkat_devices.outbox.outbox import Outbox
from meerkat_devices.outbox.room import victims
from meerkat_devices.photo.reading import OwnReader
from meerkat_devices.photo.taking import Photo
from meerkat_devices.picture import encode
from meerkat_devices.scenes.meter import BasementMeter
from meerkat_devices.service import Device
from meerkat_devices.settings.device import DeviceSettings, MeterSettings
from meerkat_inference.meter.layout_file import save_layout
from photo_support import MeterStation
from support.broker import Mosquitto
from support.stand_in_hub import StandInHub
from support.wait import wait_for

MORNING = datetime(2026, 11, 20, 6, 50, tzinfo=UTC)
SCENE = BasementMeter()
CONDITION = PictureCondition(
    verdict="good", brightness=0.4, dark=0.1, burnt_out=0, glare=0, sharpness=0.7, noise=1
)


class ThatMorning(SystemClock):
    """Which figures a wheel stands between, and so whether one picture is enough, is a matter of the hour."""

    def __init__(self) -> None:
        self._began = self.monotonic()

    def now(self) -> datetime:
        return MORNING + timedelta(seconds=self.monotonic() - self._began)


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    file = tmp_path / "layout.yaml"
    save_layout(SCENE.layout(), file)
    return file


def picture(pixels: Any = None) -> Photo:
    return Photo(encode(SCENE.render(MORNING) if pixels is None else pixels), MORNING, CONDITION)


def settings(layout: Path) -> MeterSettings:
    return MeterSettings(source="scene:meter", read="local", layout=str(layout))


def once(tmp_path: Path, layout: Path, photo: Photo) -> tuple[Outbox, MeterStation]:
    """One picture taken and put into a real outbox, which is closed when the meter fails."""
    station, outbox = MeterStation(), Outbox(tmp_path / "outbox", max_bytes=10_000_000, refused_bytes=0)
    stop = threading.Event()

    def take(_: threading.Event) -> Photo:
        stop.set()
        return photo

    meter = Meter(
        "water",
        settings(layout),
        station=station,
        outbox=outbox,
        clock=SystemClock(),
        zone=ZoneInfo("UTC"),
        data=tmp_path,
        take=take,
    )
    try:
        meter.run(stop)
    except BaseException:
        outbox.close()
        raise
    return outbox, station


def seen_in(outbox: Outbox) -> tuple[Entry, MeterSeen]:
    entry = next(one for one in outbox.waiting() if one.kind == "seen")
    payload = outbox.lend(entry)
    assert payload is not None
    outbox.give_back(entry.id)
    return entry, read(MeterSeen, payload)


def test_the_reading_waits_before_its_picture(
    tmp_path: Path, layout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "meerkat.device")
    outbox, station = once(tmp_path, layout, picture())
    try:
        assert [entry.kind for entry in outbox.waiting()] == ["seen", "picture"]
        entry, seen = seen_in(outbox)
        pictured = outbox.waiting()[1]
        assert entry.topic == str(ThingTopic("pi", "water", "seen"))
        assert (entry.metadata.of, entry.metadata.captured_at) == (pictured.id, MORNING)
        assert not entry.retain
        (counter,) = seen.counters
        assert counter.value == pytest.approx(SCENE.reading(MORNING), abs=0.002)
        assert f"meter water: {counter.value:.4f} m³, " in caplog.text
        assert station.errors == []
    finally:
        outbox.close()


def test_a_black_picture_is_told_as_unreadable(tmp_path: Path, layout: Path) -> None:
    outbox, station = once(tmp_path, layout, picture(np.zeros((SCENE.height, SCENE.width, 3), np.uint8)))
    try:
        assert seen_in(outbox)[1].counters[0].verdict == "unreadable"
        assert station.errors == [], "what the picture does not show is no error of the device"
    finally:
        outbox.close()


def test_a_layout_of_another_shape_is_an_error_and_the_picture_goes(tmp_path: Path, layout: Path) -> None:
    outbox, station = once(tmp_path, layout, picture(np.full((600, 600, 3), 90, np.uint8)))
    try:
        assert len(outbox.waiting()) == 2
        (counter,) = seen_in(outbox)[1].counters
        assert counter.verdict == "unreadable"
        assert "600x600" in counter.reason
        error = station.standing["meter water, reading"]
        assert str(layout) in error.where
        assert "600x600" in error.what
    finally:
        outbox.close()


def test_what_cannot_read_leaves_the_picture_to_the_hub(
    tmp_path: Path, layout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object) -> None:
        raise ModelError("no runtime for it", where="wheel.tflite", remedy="Install one")

    monkeypatch.setattr("meerkat_inference.meter.networks.open_engine", lambda *_, **__: nothing())
    outbox, station = once(tmp_path, layout, picture())
    try:
        assert [entry.kind for entry in outbox.waiting()] == ["picture"]
        assert "no runtime" in station.standing["meter water, reading"].what
    finally:
        outbox.close()


def test_a_picture_is_kept_whatever_the_reader_does(
    tmp_path: Path, layout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise cv2.error("out of memory")

    monkeypatch.setattr(OwnReader, "read", fails)
    with pytest.raises(cv2.error):
        once(tmp_path, layout, picture())
    assert len(list((tmp_path / "outbox").glob("*.bin"))) == 1


def test_without_the_reader_installed_the_device_says_how_to_get_it(
    layout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "meerkat_inference.meter.layout_file", None)
    with pytest.raises(ModelError, match="extra `worker`"):
        OwnReader("water", layout)


def test_a_layout_that_cannot_be_ends_the_start(tmp_path: Path) -> None:
    file = tmp_path / "layout.yaml"
    file.write_text("digits: [[1, 2, 3]]\n")
    with pytest.raises(UsageError, match=r"layout\.yaml:1"):
        OwnReader("water", file)


@pytest.mark.parametrize("given", [{"read": "local"}, {"layout": "meter.yaml"}])
def test_reading_and_layout_go_together(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="go together"):
        MeterSettings(source="scene:meter", **given)


def test_a_reading_outlives_its_picture_in_a_full_outbox(tmp_path: Path, layout: Path) -> None:
    outbox, _ = once(tmp_path, layout, picture())
    try:
        assert [entry.kind for entry in victims(outbox.waiting(), ())] == ["picture", "seen"]
    finally:
        outbox.close()


def test_with_the_hub_away_nothing_is_lost(broker: Mosquitto, tmp_path: Path, layout: Path) -> None:
    meters = {"water": {"source": "scene:meter", "read": "local", "layout": str(layout)}}
    clock = ThatMorning()
    own = Device(
        "cellar", DeviceSettings.model_validate({"meters": meters}), broker.connection, tmp_path, clock=clock
    )
    own.start()
    try:
        wait_for(lambda: own.outbox.counts().waiting == 2, seconds=30, what="picture and reading")
        hub = StandInHub(broker.connection)
        hub.start()
        try:
            wait_for(lambda: len(hub.taken) == 2, seconds=30, what="both at the hub")
            wait_for(lambda: own.outbox.counts().waiting == 0, what="the receipts")
        finally:
            hub.stop()
    finally:
        own.stop()
    kinds = {taken.topic.kind: taken for taken in hub.taken.values()}
    assert kinds["seen"].metadata.of == kinds["picture"].metadata.id
    assert kinds["seen"].content_type == "application/json"
    found = read(MeterSeen, kinds["seen"].payload).counters[0]
    assert found.verdict == "accepted"
    assert found.value == pytest.approx(SCENE.reading(kinds["picture"].metadata.captured_at), abs=0.002)
