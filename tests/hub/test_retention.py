"""What goes and what stays, at the exact limits."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Table, event, select, text, update

from meerkat_contract.connection import Connection
from meerkat_contract.errors import StorageError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import EventState
from meerkat_hub import application
from meerkat_hub.adapters import retention as retention_module
from meerkat_hub.adapters import schema as db
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.queries import Filter, Queries
from meerkat_hub.adapters.retention import CRAMPED, REMEMBER, Retention
from meerkat_hub.adapters.store import Store
from meerkat_hub.core.outputs import (
    Announce,
    Change,
    ClipJoined,
    ClipSettled,
    ClipStored,
    EventSaved,
    PictureStored,
    RecordingClosed,
    RefusalNoted,
)
from meerkat_hub.core.records import Clip, EventRecord, MeterPicture, Refusal
from meerkat_hub.settings import HubSettings, RetentionSettings
from support.wait import wait_for

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class House:
    """A database and media folder with clips of known age and size."""

    def __init__(self, folder: Path) -> None:
        self.engine: Engine = open_database(folder / "hub.db")
        self.media = MediaFolder(folder / "media")
        self.store = Store(self.engine)

    def commit(self, *changes: Change, pictures: dict[str, str] | None = None) -> None:
        self.store.commit(changes, announced=[], now=NOW, pictures=pictures or {})

    def file(self, kind: str, name: str, suffix: str, size: int) -> None:
        self.media.place(self.media.receive(b"x" * size), self.media.path(kind, name, suffix))

    def clip(self, age: timedelta, *, size: int = 1000, settled: bool = True, closed: bool = True) -> str:
        clip_id, at = new_id(), NOW - age
        self.file("clips", clip_id, ".mp4", size)
        self.commit(
            ClipStored(Clip(clip_id, "porch", "front", at, at, recording=clip_id, last=True, size=size))
        )
        if settled:
            self.commit(ClipSettled(clip_id, "done"), ClipJoined(clip_id))
        if closed:
            self.commit(RecordingClosed(clip_id))
        return clip_id

    def event(self, clip_id: str, *, kept: bool = False, size: int = 10) -> str:
        event_id = new_id()
        state = EventState(
            id=event_id,
            device="porch",
            camera="front",
            label="person",
            category="person",
            score=0.9,
            box=(0.1, 0.1, 0.2, 0.4),
            start_time=NOW,
            end_time=NOW,
            picture_time=NOW,
            revision=1,
            recording=clip_id,
        )
        self.file("events", f"{event_id}-1", ".jpg", size)
        record = EventRecord(state, ((clip_id, 0),), ended=True)
        self.commit(EventSaved(record), pictures={event_id: f"{event_id}-1"})
        with self.engine.begin() as connection:
            connection.execute(update(db.events).where(db.events.c.id == event_id).values(kept=kept))
        return event_id

    def picture(self, age: timedelta, *, size: int = 1000) -> str:
        picture_id, at = new_id(), NOW - age
        self.file("pictures", picture_id, ".jpg", size)
        self.commit(PictureStored(MeterPicture(picture_id, "cellar", "water", at, at, size)))
        return picture_id

    def retention(
        self, *, days: float = 14, gigabytes: float = 10, reserve_megabytes: float = 0
    ) -> Retention:
        settings = RetentionSettings(days=days, gigabytes=gigabytes, reserve_megabytes=reserve_megabytes)
        return Retention(self.engine, self.media, settings)

    def sweep(self, *, days: float = 14, gigabytes: float = 10, at: datetime = NOW) -> None:
        self.retention(days=days, gigabytes=gigabytes).sweep(at)

    def files(self) -> set[str]:
        kinds = ("clips", "pictures", "events")
        return {file.path.stem[:36] for kind in kinds for file in self.media.files(kind)}

    def ids(self, table: Table) -> set[str]:
        with self.engine.connect() as connection:
            return set(connection.execute(select(table.c.id)).scalars())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.engine.dispose()


def test_media_go_at_their_age_and_not_a_millisecond_before(house: House) -> None:
    young = house.clip(timedelta(days=14))
    old = house.clip(timedelta(days=14, milliseconds=1))
    picture = house.picture(timedelta(days=15))
    house.sweep()
    assert house.files() == {young}
    assert house.store.known([old, picture]) == {old, picture}, "their rows stay, to know them again"
    queries = Queries(house.engine)
    assert queries.meter_pictures(Filter(device="cellar", camera="water")) == []
    assert queries.latest_meter_pictures() == {}
    assert queries.meter_picture(picture) is None


def test_the_oldest_go_until_the_size_is_within_the_limit(house: House) -> None:
    clips = [house.clip(timedelta(hours=5 - n), size=1000) for n in range(4)]
    picture = house.picture(timedelta(hours=10), size=1000)
    house.sweep(gigabytes=3000 / 1e9)
    assert house.files() == set(clips[1:])
    assert picture not in house.files()


def test_kept_events_and_what_waits_or_goes_on_stay(house: House) -> None:
    old = timedelta(days=30)
    kept, plain = house.clip(old), house.clip(old)
    waiting, open_recording = house.clip(old, settled=False, closed=False), house.clip(old, closed=False)
    kept_event, plain_event = house.event(kept, kept=True), house.event(plain)
    house.sweep()
    assert house.files() == {kept, waiting, open_recording, kept_event}
    with house.engine.connect() as connection:
        assert connection.execute(select(db.events.c.id)).scalars().all() == [kept_event]
    assert plain_event not in house.files()


def test_files_without_a_row_are_removed_at_start(house: House) -> None:
    named = house.clip(timedelta(0))
    seen = house.event(named)
    picture = house.picture(timedelta(0))
    for kind, suffix in (("clips", ".mp4"), ("pictures", ".jpg"), ("events", ".jpg")):
        house.file(kind, new_id(), suffix, 10)
    assert house.retention().remove_orphans() == 3
    assert house.files() == {named, picture, seen}


def test_pictures_of_events_count_towards_the_size(house: House) -> None:
    clips = [house.clip(timedelta(hours=5 - n), size=1000) for n in range(2)]
    events = [house.event(clip, size=500) for clip in clips]
    house.sweep(gigabytes=3000 / 1e9)
    assert house.files() == {*clips, *events}, "exactly the limit"
    house.sweep(gigabytes=2999 / 1e9)
    assert house.files() == {clips[1], events[1]}, "an event goes with its last clip"


def test_an_event_stays_until_its_picture_is_published(house: House) -> None:
    seen = house.event(house.clip(timedelta(days=30)))
    picture = Announce("meerkat/camera/porch/front/event/picture", event_picture=seen)
    waiting = house.store.commit([picture], announced=[], now=NOW, pictures={})
    house.sweep()
    assert house.files() == {seen}
    house.store.commit([], announced=[waiting[0].seq], now=NOW, pictures={})
    house.sweep()
    assert house.files() == set()
    assert house.ids(db.events) == set()


def test_an_event_kept_while_its_clip_is_chosen_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = house.clip(timedelta(days=30))
    seen = house.event(clip)
    choose = retention_module.oldest

    def choose_and_keep(*args: object) -> object:
        rows = choose(*args)  # type: ignore[arg-type]
        Queries(house.engine).keep_event(seen, True)
        return rows

    monkeypatch.setattr(retention_module, "oldest", choose_and_keep)
    house.sweep()
    assert house.files() == {clip, seen}
    assert Queries(house.engine).clip(clip).has_file  # type: ignore[union-attr]


def test_rows_go_when_the_hub_need_not_know_their_media_any_more(house: House) -> None:
    received = timedelta(days=14) + REMEMBER
    clip, picture = house.clip(received), house.picture(received)
    house.commit(RefusalNoted(Refusal("topic", "too large", NOW - received)))
    house.sweep()
    assert house.ids(db.clips) == {clip}, "exactly the limit"
    assert house.ids(db.meter_pictures) == {picture}
    house.sweep(at=NOW + timedelta(milliseconds=1))
    tables = (db.clips, db.meter_pictures, db.recordings)
    assert [house.ids(table) for table in tables] == [set(), set(), set()]
    with house.engine.connect() as connection:
        assert connection.execute(select(db.refusals.c.seq)).all() == []


def test_pictures_that_no_event_names_go_after_an_hour(house: House) -> None:
    seen = house.event(house.clip(timedelta(0)))
    lost = new_id()
    house.file("events", f"{lost}-1", ".jpg", 10)
    for file in house.media.files("events"):
        os.utime(file.path, (NOW.timestamp(), NOW.timestamp()))
    house.sweep(at=NOW + timedelta(hours=1) - timedelta(milliseconds=1))
    assert {seen, lost} <= house.files()
    house.sweep(at=NOW + timedelta(hours=1))
    assert seen in house.files()
    assert lost not in house.files()


def test_the_oldest_go_before_the_disk_is_full(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept = house.clip(timedelta(hours=9), size=1000)
    kept_event = house.event(kept, kept=True)
    clips = [house.clip(timedelta(hours=5 - n), size=1000) for n in range(4)]
    retention = house.retention(reserve_megabytes=1)
    monkeypatch.setattr(MediaFolder, "free_bytes", lambda media: 1_000_000)
    assert not retention.is_low(), "exactly the reserve"
    assert not retention.sweep(NOW)
    monkeypatch.setattr(MediaFolder, "free_bytes", lambda media: 998_500)
    assert retention.is_low()
    assert retention.sweep(NOW).clips == 2
    assert house.files() == {kept, kept_event, *clips[2:]}
    assert "less than the reserve of 1 MB; removed the oldest: 2 clips (0.0 MB)" in caplog.text
    retention.sweep(NOW)
    caplog.clear()
    retention.sweep(NOW)
    retention.sweep(NOW)
    assert house.files() == {kept, kept_event}
    assert caplog.text.count("Free some space on the disk, or let kept events go") == 1, "said once"
    (standing,) = retention.warnings
    assert "only 1 MB are free, less than the reserve of 1 MB" in standing
    monkeypatch.setattr(MediaFolder, "free_bytes", lambda media: 1_000_000)
    retention.sweep(NOW)
    assert retention.warnings == ()


def test_too_much_that_is_kept_is_said_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    kept = house.clip(timedelta(hours=9), size=2_000_000)
    house.event(kept, kept=True)
    retention = house.retention(gigabytes=1_000_010 / 1e9)
    retention.sweep(NOW)
    retention.sweep(NOW)
    assert caplog.text.count("media take 1 MB more than 0.00100001 GB") == 1
    assert kept in house.files()


def test_on_a_full_disk_files_go_before_the_note_of_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database cannot write until there is room again; the disk is a number here, SQLite is real."""
    old, young = house.clip(timedelta(hours=2)), house.clip(timedelta(hours=1))

    def free(media: MediaFolder) -> int:
        return CRAMPED - 1 if media.path("clips", old).exists() else CRAMPED

    def refuse(_cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("UPDATE") and free(house.media) < CRAMPED:
            raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(MediaFolder, "free_bytes", free)
    event.listen(house.engine, "do_execute", refuse)
    swept = house.retention(reserve_megabytes=CRAMPED / 1e6).sweep(NOW)
    assert swept.clips == 1
    assert house.files() == {young}
    assert not Queries(house.engine).clip(old).has_file  # type: ignore[union-attr]


def test_what_the_disk_will_not_remove_keeps_its_row(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, gone = house.clip(timedelta(days=30)), house.clip(timedelta(days=29))
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.stem == stuck:
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StorageError, match="permission is denied"):
        house.sweep()
    assert house.files() == {stuck}
    assert Queries(house.engine).clip(stuck).has_file  # type: ignore[union-attr]
    assert not Queries(house.engine).clip(gone).has_file  # type: ignore[union-attr]
    monkeypatch.undo()
    house.sweep()
    assert house.files() == set()


def test_a_sweep_ends_between_two_writes_when_the_hub_stops(house: House) -> None:
    house.clip(timedelta(days=30))
    retention = house.retention()
    retention.stop()
    assert not retention.sweep(NOW)
    assert len(house.files()) == 1


def test_a_database_that_refuses_is_said_in_words(house: House) -> None:
    with house.engine.begin() as connection:
        connection.execute(text("ALTER TABLE clips RENAME TO hidden"))
    for attempt in (house.sweep, lambda: house.retention().remove_orphans()):
        with pytest.raises(StorageError, match="the database refused a read") as refused:
            attempt()
        assert refused.value.where.endswith("hub.db")
        assert refused.value.remedy


def test_sweeping_goes_on_after_the_database_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(application, "SWEEP_EVERY", 0.0)
    monkeypatch.setattr(application, "LOOK_EVERY", 0.01)
    hub = application.build_hub(tmp_path, Connection("127.0.0.1"), HubSettings())
    hide, show = "ALTER TABLE clips RENAME TO hidden", "ALTER TABLE hidden RENAME TO clips"
    with hub.engine.begin() as connection:
        connection.execute(text(hide))
    swept = threading.Event()
    sweep = hub.retention.sweep
    monkeypatch.setattr(hub.retention, "sweep", lambda now: (sweep(now), swept.set()))
    sweeper = threading.Thread(target=hub._sweep)
    sweeper.start()
    try:
        wait_for(lambda: caplog.text.count("the database refused a read") > 1, what="a second attempt")
        assert not swept.is_set()
        with hub.engine.begin() as connection:
            connection.execute(text(show))
        assert swept.wait(10)
    finally:
        hub._stopping.set()
        sweeper.join(10)
        hub.engine.dispose()


def test_a_full_disk_is_swept_at_every_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "LOOK_EVERY", 0.01)
    hub = application.build_hub(tmp_path, Connection("127.0.0.1"), HubSettings())
    sweeps: list[datetime] = []
    looks: list[bool] = []
    low = threading.Event()

    def is_low() -> bool:
        looks.append(low.is_set())
        return looks[-1]

    monkeypatch.setattr(hub.retention, "sweep", sweeps.append)
    monkeypatch.setattr(hub.retention, "is_low", is_low)
    sweeper = threading.Thread(target=hub._sweep)
    sweeper.start()
    try:
        wait_for(lambda: len(looks) > 3, what="looks at the disk")
        assert len(sweeps) == 1, "the first, and none while there is room"
        low.set()
        wait_for(lambda: len(sweeps) > 3, what="sweeps while the disk is full")
    finally:
        hub._stopping.set()
        sweeper.join(10)
        hub.engine.dispose()


def test_looking_for_what_may_go_reads_indexes(house: House) -> None:
    plans: list[str] = []

    def explain(_connection: object, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT"):
            rows = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.extend(row[3] for row in rows)

    house.clip(timedelta(days=30))
    event.listen(house.engine, "before_cursor_execute", explain)
    house.sweep(gigabytes=1e-9)
    used = "; ".join(plans)
    for index in ("clips_with_file", "pictures_with_file", "ix_clips_received_at", "ix_refusals_at"):
        assert index in used
    assert not [plan for plan in plans if plan in ("SCAN clips", "SCAN meter_pictures", "SCAN refusals")]
