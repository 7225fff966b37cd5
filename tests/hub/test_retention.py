"""What goes and what stays, at the exact limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from meerkat_contract.ids import new_id
from meerkat_contract.messages import EventState
from meerkat_hub.adapters import schema as db
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.retention import Retention
from meerkat_hub.adapters.store import Store
from meerkat_hub.core.outputs import (
    Change,
    ClipJoined,
    ClipSettled,
    ClipStored,
    EventSaved,
    PictureStored,
    RecordingClosed,
)
from meerkat_hub.core.records import Clip, EventRecord, MeterPicture
from meerkat_hub.settings import RetentionSettings

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class House:
    """A database and media folder with clips of known age and size."""

    def __init__(self, folder: Path) -> None:
        self.engine: Engine = open_database(folder / "hub.db")
        self.media = MediaFolder(folder / "media")
        self.store = Store(self.engine)

    def commit(self, *changes: Change, pictures: dict[str, str] | None = None) -> None:
        self.store.commit(changes, announced=[], now=NOW, pictures=pictures or {})

    def _file(self, kind: str, name: str, suffix: str, size: int) -> None:
        self.media.place(self.media.receive(b"x" * size), self.media.path(kind, name, suffix))

    def clip(self, age: timedelta, *, size: int = 1000, settled: bool = True, closed: bool = True) -> str:
        clip_id, at = new_id(), NOW - age
        self._file("clips", clip_id, ".mp4", size)
        self.commit(
            ClipStored(Clip(clip_id, "porch", "front", at, at, recording=clip_id, last=True, size=size))
        )
        if settled:
            self.commit(ClipSettled(clip_id, "done"), ClipJoined(clip_id))
        if closed:
            self.commit(RecordingClosed(clip_id))
        return clip_id

    def event(self, clip_id: str, *, kept: bool = False) -> str:
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
        self._file("events", f"{event_id}-1", ".jpg", 10)
        record = EventRecord(state, ((clip_id, 0),), ended=True)
        self.commit(EventSaved(record), pictures={event_id: f"{event_id}-1"})
        with self.engine.begin() as connection:
            connection.execute(update(db.events).where(db.events.c.id == event_id).values(kept=kept))
        return event_id

    def picture(self, age: timedelta, *, size: int = 1000) -> str:
        picture_id, at = new_id(), NOW - age
        self._file("pictures", picture_id, ".jpg", size)
        self.commit(PictureStored(MeterPicture(picture_id, "cellar", "water", at, at, size)))
        return picture_id

    def sweep(self, *, days: float = 14, gigabytes: float = 10) -> None:
        Retention(self.engine, self.media, RetentionSettings(days=days, gigabytes=gigabytes)).sweep(NOW)

    def files(self) -> set[str]:
        return {path.stem[:36] for kind in ("clips", "pictures", "events") for path in self.media.files(kind)}


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
    assert house.store.known([old, picture]) == {old}, "the clip's row stays, to know it again"


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
    event = house.event(named)
    house._file("clips", new_id(), ".mp4", 10)
    retention = Retention(house.engine, house.media, RetentionSettings())
    assert retention.remove_orphans() == 1
    assert house.files() == {named, event}
