"""What is kept, and for how long: media go by age, by size, and when the disk is nearly full.

The oldest go first. Kept events with all their clips, clips that wait or whose recording is open, events
whose picture is still to be published, and meters' pictures that wait or whose owner said what they show
stay. An event goes with the last of its clips; one that a workflow decided has none, and goes by its age, or
when room is needed that clips alone do not make. The row of a clip or meter picture outlives its file by
REMEMBER, so that a device which sends it again after a long time hears `duplicate`. What meters read stays
for ever: an hourly reading for a year takes some 20 MB.

The sweeper is a second writer beside the hub's thread. Candidates are looked up by reading alone; each
write is one short transaction that begins with its write and repeats every condition, so that neither
waits for a lock while it holds one, and an event that is kept meanwhile loses nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, select, update

from meerkat_contract.errors import StorageError
from meerkat_hub.settings import RetentionSettings

from . import burst_store
from . import schema as db
from .database import connected
from .media import MediaFolder, suffix_of
from .removable import (
    DECIDED,
    EMPTY,
    OVER,
    PICTURES,
    REMOVABLE,
    Row,
    event_pictures,
    oldest,
    total_bytes,
    up_to,
)

log = logging.getLogger("meerkat.hub")

REMEMBER = timedelta(days=60)

CHUNK = 20
"""Rows of one write. With it a commit of the hub takes 1.8 ms in the middle and 7 ms at the 99th percentile
while 20,000 clips go, against 1.5 and 3 ms alone; with 100 it was 2.7 and 27 (benchmarks/retention.py).
"""

LOOKED_UP = 500
"""Rows of one lookup, which holds nobody up."""

BREATH = 0.01
"""Seconds between two writes, in which the hub gets its turn."""

UNNAMED = 3600.0
"""Seconds after which a picture that no event names has no owner: its batch was committed long ago."""

CRAMPED = 4_000_000
"""Bytes: with less on the disk even SQLite cannot be sure of writing."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep removed."""

    clips: int = 0
    pictures: int = 0
    events: int = 0
    bytes: int = 0

    def __add__(self, other: Swept) -> Swept:
        return Swept(
            self.clips + other.clips,
            self.pictures + other.pictures,
            self.events + other.events,
            self.bytes + other.bytes,
        )

    def __bool__(self) -> bool:
        return bool(self.clips or self.pictures or self.events)

    def __str__(self) -> str:
        counts = ((self.clips, "clip"), (self.pictures, "meter picture"), (self.events, "event"))
        words = [f"{count} {name}{'s' if count > 1 else ''}" for count, name in counts if count]
        return f"{', '.join(words) or 'nothing'} ({self.bytes / 1e6:.1f} MB)"


class Retention:
    """Used by one thread at a time. Every method raises StorageError when disk or database refuses."""

    def __init__(self, engine: Engine, media: MediaFolder, settings: RetentionSettings) -> None:
        self._engine = engine
        self._media = media
        self._settings = settings
        self._stopping = threading.Event()
        self._said: dict[str, str] = {}
        """Warnings that stand: each is said once until its cause is over."""

    def stop(self) -> None:
        """End a sweep that is under way after its current write; from any thread, for good."""
        self._stopping.set()

    def is_low(self) -> bool:
        """Whether the disk has less left than the reserve."""
        return self._media.free_bytes() < self._settings.reserve_megabytes * 1e6

    @property
    def warnings(self) -> tuple[str, ...]:
        """What stands in the way of a limit as of the last sweep, in words; from any thread."""
        return tuple(self._said.copy().values())

    def sweep(self, now: datetime) -> Swept:
        """Make room if the disk is nearly full, remove what is too old, then what is too much."""
        room = self._keep_reserve()
        swept = self._remove(before=now - timedelta(days=self._settings.days), most=None)
        swept += self._remove_events(None)
        swept += self._remove_decided(before=now - timedelta(days=self._settings.days), most=None)
        of_events, unnamed = self._measure_event_pictures(now)
        swept += self._keep_size(of_events)
        if swept:
            log.info("removed what is past its time or size: %s", swept)
        self._forget(now)
        self._media.remove(unnamed)
        return room + swept

    def remove_orphans(self) -> int:
        """Delete files that no row names, left by a crash between the move and the commit."""
        with self._connection() as connection:
            clips = set(connection.execute(select(db.clips.c.id).where(db.clips.c.file)).scalars())
            table = db.meter_pictures
            pictures = set(connection.execute(select(table.c.id).where(table.c.file)).scalars())
            events = event_pictures(connection)
        named = {"clips": clips, "pictures": pictures, "events": events}
        orphans = [
            file.path
            for kind, names in named.items()
            for file in self._media.files(kind)
            if file.path.stem not in names
        ]
        self._media.remove(orphans)
        return len(orphans)

    # --- the limits -----------------------------------------------------------------------------

    def _keep_reserve(self) -> Swept:
        """Free what the reserve lacks, reckoned once: some disks show freed space only later."""
        free, reserve = self._media.free_bytes(), self._settings.reserve_megabytes * 1e6
        if free >= reserve:
            self._said.pop("low", None)
            return Swept()
        swept = self._make_room(int(reserve - free))
        if swept:
            self._said.pop("low", None)
            log.warning(
                "%s: %.0f MB were free, less than the reserve of %.0f MB; removed the oldest: %s",
                self._media.root,
                free / 1e6,
                reserve / 1e6,
                swept,
            )
        else:
            self._warn_once(
                "low",
                f"{self._media.root}: only {free / 1e6:.0f} MB are free, less than the reserve of "
                f"{reserve / 1e6:.0f} MB, and all media that are left are kept, in work or to be published. "
                "Free some space on the disk, or let kept events go",
            )
        return swept

    def _keep_size(self, of_events: int) -> Swept:
        """The oldest, until clips, meter pictures and `of_events` bytes are within the limit."""
        limit = int(self._settings.gigabytes * 1e9)
        with self._connection() as connection:
            excess = total_bytes(connection) + of_events - limit
        if excess <= 0:
            self._said.pop("size", None)
            return Swept()
        swept = self._make_room(excess)
        if swept.bytes < excess and not self._stopping.is_set():
            self._warn_once(
                "size",
                f"media take {(excess - swept.bytes) / 1e6:.0f} MB more than {limit / 1e9:g} GB, "
                "and all that are left are kept, in work or to be published. "
                "Let kept events go, or raise hub.retention.gigabytes",
            )
        else:
            self._said.pop("size", None)
        return swept

    def _warn_once(self, cause: str, words: str) -> None:
        if cause not in self._said:
            log.warning("%s", words)
        self._said[cause] = words

    def _measure_event_pictures(self, now: datetime) -> tuple[int, list[Path]]:
        """Bytes of all event pictures, and those that no event names, which a failed batch left."""
        with self._connection() as connection:
            named = event_pictures(connection)
        limit = now.timestamp() - UNNAMED
        total, unnamed = 0, []
        for file in self._media.files("events"):
            if file.path.stem in named or file.modified > limit:
                total += file.size
            else:
                unnamed.append(file.path)
        return total, unnamed

    # --- removing -------------------------------------------------------------------------------

    def _make_room(self, wanted: int) -> Swept:
        """The oldest clips and meter pictures; if that is not enough, the oldest events of workflows."""
        swept = self._remove(before=None, most=wanted)
        if swept.bytes < wanted and not self._stopping.is_set():
            swept += self._remove_decided(before=None, most=wanted - swept.bytes)
        return swept

    def _remove_decided(self, *, before: datetime | None, most: int | None) -> Swept:
        """Events of workflows: those that began before, or the oldest that make up `most` bytes."""
        table, swept = db.events, Swept()
        query = select(table.c.id).where(*DECIDED).order_by(table.c.start_time, table.c.id)
        if before is not None:
            query = query.where(table.c.start_time < before)
        with self._connection() as connection:
            ids = list(connection.execute(query).scalars())
        for chunk in _chunks(ids):
            if self._stopping.is_set() or (most is not None and swept.bytes >= most):
                break
            statement = delete(table).where(table.c.id.in_(chunk), *DECIDED).returning(table.c.picture)
            with self._connection(write=True) as connection:
                pictures = list(connection.execute(statement).scalars())
            freed = self._media.remove(self._path("events", name) for name in pictures if name)
            swept += Swept(events=len(pictures), bytes=freed)
            self._stopping.wait(BREATH)
        return swept

    def _remove(self, *, before: datetime | None, most: int | None) -> Swept:
        """The oldest that may go: those older than `before`, or as many as make up `most` bytes.

        Rows first, files after the commit: a file without its row is an orphan, never the reverse.
        """
        swept = Swept()
        while True:
            with self._connection() as connection:
                rows = oldest(connection, before, LOOKED_UP)
            if most is not None:
                rows = up_to(rows, most - swept.bytes)
            if not rows:
                return swept
            for chunk in _chunks(rows):
                if self._stopping.is_set() or (most is not None and swept.bytes >= most):
                    return swept
                gone = self._let_go(chunk)
                try:
                    self._media.remove(gone.files)
                except StorageError:
                    self._take_back(gone)
                    raise
                swept += gone.swept
                swept += self._remove_events(sorted(gone.recordings))
                self._stopping.wait(BREATH)

    def _let_go(self, batch: list[Row]) -> _Gone:
        try:
            return self._mark(batch)
        except StorageError as error:
            if self._media.free_bytes() >= CRAMPED:
                raise
            # So full that the database cannot note it: files first. If this ends here, the rows still
            # name them, and the next sweep finds these rows again, for they stay the oldest.
            log.warning("%s; removing %d old files to make room for its notes", error.what, len(batch))
            self._media.remove(self._path(row.kind, row.id, row.content_type) for row in batch)
            return self._mark(batch)

    def _mark(self, batch: list[Row]) -> _Gone:
        """Note in one transaction that these files go, those of them that still may."""
        clips = [row.id for row in batch if row.kind == "clips"]
        pictures = [row.id for row in batch if row.kind == "pictures"]
        gone = _Gone()
        with self._connection(write=True) as connection:
            if clips:
                table = db.clips
                for row in connection.execute(
                    update(table)
                    .where(table.c.id.in_(clips), *REMOVABLE)
                    .values(file=False)
                    .returning(table.c.id, table.c.size, table.c.recording, table.c.content_type)
                ).all():
                    gone.files[self._path("clips", row.id, row.content_type)] = table
                    gone.recordings.add(row.recording)
                    gone.swept += Swept(clips=1, bytes=row.size)
            if pictures:
                table = db.meter_pictures
                for row in connection.execute(
                    update(table)
                    .where(table.c.id.in_(pictures), *PICTURES)
                    .values(file=False)
                    .returning(table.c.id, table.c.size)
                ).all():
                    gone.files[self._path("pictures", row.id)] = table
                    gone.swept += Swept(pictures=1, bytes=row.size)
        return gone

    def _take_back(self, gone: _Gone) -> None:
        """The disk would not remove them all: those that are left keep their place in the queue."""
        with self._connection(write=True) as connection:
            for path, table in gone.files.items():
                if path.exists():
                    connection.execute(update(table).where(table.c.id == path.stem).values(file=True))

    def _path(self, kind: str, name: str, content_type: str = "image/jpeg") -> Path:
        return self._media.path(kind, name, suffix_of(content_type))

    def _remove_events(self, recordings: list[str] | None) -> Swept:
        """Ended events all of whose clips are gone: of these recordings, or (None) wherever they are."""
        table = db.events
        swept = Swept()
        if recordings is None:
            with self._connection() as connection:
                ids = list(connection.execute(select(table.c.id).where(*OVER)).scalars())
            column = table.c.id
        else:
            column, ids = table.c.recording, recordings
        for chunk in _chunks(ids):
            statement = delete(table).where(column.in_(chunk), *OVER).returning(table.c.picture)
            with self._connection(write=True) as connection:
                pictures = list(connection.execute(statement).scalars())
            freed = self._media.remove(self._path("events", name) for name in pictures if name)
            swept += Swept(events=len(pictures), bytes=freed)
            if len(ids) > CHUNK and self._stopping.wait(BREATH):
                break
        return swept

    def _forget(self, now: datetime) -> None:
        """Rows whose file is long gone, recordings of which nothing is left, old refusals, ledger lines."""
        limit = now - timedelta(days=self._settings.days) - REMEMBER
        for table in (db.clips, db.meter_pictures):
            self._delete(table, table.c.id, (table.c.file.is_(False), table.c.received_at < limit))
        self._delete(db.recordings, db.recordings.c.id, EMPTY)
        self._delete(db.refusals, db.refusals.c.seq, (db.refusals.c.at < limit,))
        lines = db.burst_ledger.c
        self._delete(db.burst_ledger, lines.seq, (lines.at < burst_store.younger_than(burst_store.KEPT),))

    def _delete(self, table: Any, key: Any, conditions: tuple[Any, ...]) -> None:
        """Look up what meets the conditions, then delete it in short transactions if it still does."""
        with self._connection() as connection:
            keys = list(connection.execute(select(key).where(*conditions)).scalars())
        for chunk in _chunks(keys):
            with self._connection(write=True) as connection:
                connection.execute(delete(table).where(key.in_(chunk), *conditions))
            if len(keys) > CHUNK and self._stopping.wait(BREATH):
                return

    def _connection(self, *, write: bool = False) -> AbstractContextManager[Connection]:
        return connected(
            self._engine,
            write=write,
            what="old media stay, the database refused a",
            remedy="Look at the disk's space and health; it is tried again by itself",
        )


@dataclass(slots=True)
class _Gone:
    files: dict[Path, Table] = field(default_factory=dict)
    """Each with the table of its row."""
    recordings: set[str] = field(default_factory=set)
    swept: Swept = Swept()


def _chunks(keys: list[Any]) -> Iterator[list[Any]]:
    return (keys[i : i + CHUNK] for i in range(0, len(keys), CHUNK))
