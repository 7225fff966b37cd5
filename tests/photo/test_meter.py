"""A meter says what its pictures are worth, takes one when it is asked, and keeps them on its disk."""

from __future__ import annotations

import errno
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from meerkat_contract.device_messages import PictureCondition, PictureVerdict
from meerkat_contract.errors import MeerkatError, StorageError
from meerkat_contract.messages import read
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import SettingTopic, ThingTopic
from meerkat_devices.clock import SystemClock
from meerkat_devices.meter import Meter, not_good
from meerkat_devices.outbox.outbox import Outbox
from meerkat_devices.photo.archive import Archive
from meerkat_devices.photo.taking import Photo
from meerkat_devices.service import Device
from meerkat_devices.settings.device import DeviceSettings, MeterSettings
from meerkat_devices.sources.source import SourceError
from photo_support import MeterStation
from support.broker import Mosquitto
from support.stand_in_hub import StandInHub
from support.wait import wait_for

NOON = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)
CAPTURE = str(SettingTopic("pi", "water", "capture", "set"))


def condition(verdict: PictureVerdict = "good", **known: Any) -> PictureCondition:
    measured = {"brightness": 0.4, "dark": 0.1, "burnt_out": 0.01, "glare": 0.01, "sharpness": 0.6}
    return PictureCondition(verdict=verdict, **{**measured, **known})


class Bench:
    """A meter on a thread of its own whose photographer waits to be let on, picture by picture."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.station = MeterStation()
        self.outbox = Outbox(folder / "outbox", max_bytes=10_000_000, refused_bytes=0)
        self.begun = 0
        self.let = threading.Semaphore(0)
        self.outcomes: list[Photo | MeerkatError] = []
        self.stop = threading.Event()
        self.folder = folder
        self.meter = Meter(
            "water",
            MeterSettings(source="scene:meter", schedule="0 0 1 1 *", **settings),
            station=self.station,
            outbox=self.outbox,
            clock=SystemClock(),
            zone=ZoneInfo("Europe/Berlin"),
            data=folder,
            take=self._take,
        )
        self._thread = threading.Thread(target=self.meter.run, args=(self.stop,))

    def _take(self, stop: threading.Event) -> Photo | None:
        self.begun += 1
        self.let.acquire()
        if stop.is_set():
            return None
        outcome = self.outcomes.pop(0) if self.outcomes else Photo(b"\xff\xd8", NOON, condition())
        if isinstance(outcome, MeerkatError):
            raise outcome
        return outcome

    def tell(self, payload: bytes = b"PRESS", *, retain: bool = False) -> None:
        self.meter.told(Incoming(CAPTURE, payload, retain=retain))

    def taken(self, count: int) -> list[str]:
        """The triggers, once there are so many pictures."""
        wait_for(lambda: len(self.outbox.waiting()) >= count, what=f"{count} pictures")
        return [entry.metadata.trigger for entry in self.outbox.waiting()]

    def __enter__(self) -> Bench:
        self._thread.start()
        wait_for(lambda: self.begun == 1, what="the first picture")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.meter.wake()
        self.let.release()
        self._thread.join(10)
        assert not self._thread.is_alive()
        self.outbox.close()


@pytest.mark.parametrize("payload", [b"PRESS", b""])
def test_a_command_takes_a_picture_at_once(tmp_path: Path, payload: bytes) -> None:
    with Bench(tmp_path) as bench:
        bench.let.release()
        assert bench.taken(1) == ["start"]
        bench.tell(payload)
        bench.let.release()
        assert bench.taken(2) == ["start", "command"]


def test_commands_while_one_is_taken_are_answered_by_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "meerkat.device")
    with Bench(tmp_path) as bench:
        bench.tell()
        bench.tell()
        assert caplog.text.count("a picture is being taken already") == 2
        bench.let.release()
        bench.taken(1)
        bench.tell()
        wait_for(lambda: bench.begun == 2, what="the picture on command")
        bench.tell()
        bench.let.release()
        assert bench.taken(2) == ["start", "command"]
    assert bench.begun == 2


def test_a_command_while_the_picture_is_put_away_takes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Bench(tmp_path) as bench:
        add = Outbox.add_bytes

        def told_meanwhile(self: Outbox, *given: Any, **how: Any) -> None:
            if not bench.outbox.waiting():
                bench.tell()
            add(self, *given, **how)

        monkeypatch.setattr(Outbox, "add_bytes", told_meanwhile)
        bench.let.release(2)
        assert bench.taken(2) == ["start", "command"]


def test_what_the_broker_keeps_is_no_command(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.let.release()
        bench.taken(1)
        bench.tell(retain=True)
    (error,) = bench.station.errors
    assert (error.where, error.what.partition(":")[0]) == (CAPTURE, "a retained command is ignored")
    assert "clears this one" in error.remedy
    assert bench.begun == 1


def test_another_word_is_refused(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.tell(b"ON")
    assert [str(error) for error in bench.station.errors] == [
        f"{CAPTURE}: 'ON' asks for no picture. Send PRESS"
    ]


def test_a_command_does_not_wait_for_the_next_try(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.outcomes = [SourceError("no answer", where="rtsp://cellar")]
        bench.let.release()
        wait_for(lambda: bench.station.standing, what="the report")
        bench.tell()
        bench.let.release()
        assert bench.taken(1) == ["command"]
        wait_for(lambda: not bench.station.standing, what="the end of the trouble")


def test_the_verdict_rides_with_the_picture_and_is_kept(tmp_path: Path) -> None:
    dark = condition("dark", brightness=0.009, light="ir")
    with Bench(tmp_path) as bench:
        bench.outcomes = [Photo(b"\xff\xd8", NOON, dark)]
        bench.let.release()
        bench.taken(1)
        (entry,) = bench.outbox.waiting()
        assert entry.metadata.condition == dark
        wait_for(lambda: "meter water, picture" in bench.station.standing, what="the report")
        ((topic, payload),) = bench.station.kept
        assert topic == str(ThingTopic("pi", "water", "condition"))
        kept = read(PictureCondition, payload)
        assert kept == dark.model_copy(update={"id": entry.id, "captured_at": NOON})
        bench.tell()
        bench.let.release()
        bench.taken(2)
        wait_for(lambda: not bench.station.standing, what="a good picture that ends the trouble")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (condition("dark", brightness=0.009, light="ir"), ["too dark (mean brightness 0.9%)", "lamp ir"]),
        (condition("dark", brightness=0.009), ["too dark", "`light`"]),
        (condition("burnt_out", burnt_out=0.48), ["burnt out (48% of it)", "`brightness`"]),
        (condition("blurred", sharpness=0.11), ["blurred (sharpness 0.11", "Focus"]),
    ],
)
def test_what_is_wrong_is_said_in_words(what: PictureCondition, words: list[str]) -> None:
    error = not_good(what, where="meter water")
    assert error is not None
    assert all(word in str(error) for word in words), str(error)
    assert str(error).startswith("meter water: ")
    assert str(error).endswith("It is sent with this verdict")


def test_a_good_picture_is_no_error() -> None:
    assert not_good(condition(), where="meter water") is None


def test_the_archive_is_on_the_device_s_disk_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    with Bench(tmp_path, archive={}) as bench:
        bench.let.release()
        kept = tmp_path / "archive" / "water" / "2026-11-20_1200.jpg"
        wait_for(kept.exists, what="the picture")
        assert kept.read_bytes() == b"\xff\xd8"
    other = tmp_path / "usb stick"
    with Bench(tmp_path / "second", archive={"folder": str(other)}) as bench:
        bench.let.release()
        wait_for((other / "2026-11-20_1200.jpg").exists, what="the picture")


def test_a_full_archive_disk_is_said_and_the_picture_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Bench(tmp_path, archive={}) as bench:
        with monkeypatch.context() as patch:

            def full(self: Archive, picture: bytes, path: Path) -> None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            patch.setattr(Archive, "_write", full)
            bench.let.release()
            wait_for(lambda: "meter water, archive" in bench.station.standing, what="the report")
        assert bench.taken(1) == ["start"]
        bench.tell()
        bench.let.release()
        wait_for(lambda: not bench.station.standing, what="the disk that has room again")


def test_an_outbox_that_takes_nothing_does_not_keep_a_picture_from_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SD card is read-only, the stick is not."""
    with Bench(tmp_path, archive={"folder": str(tmp_path / "stick")}) as bench:

        def refuses(self: Outbox, *_: object, **__: object) -> None:
            raise StorageError("Read-only file system", where=str(self.folder))

        with monkeypatch.context() as patch:
            patch.setattr(Outbox, "add_bytes", refuses)
            bench.let.release()
            wait_for((tmp_path / "stick" / "2026-11-20_1200.jpg").exists, what="the picture on the stick")
            wait_for(lambda: "meter water" in bench.station.standing, what="the report")
        assert not bench.station.kept, "no condition of a picture that nobody gets"
        bench.tell()
        bench.let.release()
        assert bench.taken(1) == ["command"]
        wait_for(lambda: not bench.station.standing, what="the card that can be written again")


def test_two_meters_do_not_share_an_archive() -> None:
    meter = {"source": "scene:meter", "archive": {"folder": "/mnt/usb"}}
    with pytest.raises(ValueError, match="folder of its own"):
        DeviceSettings.model_validate({"meters": {"water": meter, "gas": meter}})
    both = {"water": {**meter, "archive": {}}, "gas": {**meter, "archive": {}}}
    assert len(DeviceSettings.model_validate({"meters": both}).meters) == 2


def test_a_lamp_that_is_not_in_lights_is_refused() -> None:
    with pytest.raises(ValueError, match="no light 'ir'"):
        DeviceSettings.model_validate({"meters": {"water": {"source": "0", "light": "ir"}}})


def test_a_device_in_a_dark_basement(broker: Mosquitto, tmp_path: Path) -> None:
    """With its lamp the picture is good; asked over the broker it takes another."""
    hub = StandInHub(broker.connection)
    kept: dict[str, Incoming] = {}
    hub.session.subscribe(ThingTopic("cellar", "water", "condition"), lambda one: kept.update(last=one))
    hub.start()
    settings = DeviceSettings.model_validate(
        {
            "pins": "mock",
            "lights": {"ir": {"kind": "infrared", "gpio": 18}},
            "meters": {"water": {"source": "scene:meter", "light": "ir", "exposures": 2}},
        }
    )
    own = Device("cellar", settings, broker.connection, tmp_path)
    asks = Session(broker.connection, client_id="somebody")
    asks.start()
    own.start()
    try:
        wait_for(lambda: len(hub.taken) == 1, what="the picture at the start")
        asks.publish(SettingTopic("cellar", "water", "capture", "set"), b"PRESS", qos=1)
        wait_for(lambda: len(hub.taken) == 2, what="the picture on command")
        conditions = [taken.metadata.condition for taken in hub.taken.values()]
        assert [one and (one.verdict, one.light, one.exposures) for one in conditions] == [
            ("good", "ir", 2)
        ] * 2
        assert [taken.metadata.trigger for taken in hub.taken.values()] == ["start", "command"]
        wait_for(
            lambda: kept and read(PictureCondition, kept["last"].payload).id in list(hub.taken)[1:], what="it"
        )
        (info,) = (meter.info for meter in own.meters)
        assert [setting.name for setting in info.settings] == ["capture"]
    finally:
        own.stop()
        asks.stop(timeout=1)
        hub.stop()
