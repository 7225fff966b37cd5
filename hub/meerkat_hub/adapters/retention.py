"""What is kept, and for how long: media go by age, then by size, the oldest first.

Kept events with all their clips, clips that wait or whose recording is open, and unpublished event
pictures stay. The row of a clip outlives its file by REMEMBER, so that a device which sends it again
after a long time hears `duplicate`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select, update

from meerkat_hub.settings import RetentionSettings

from . import schema as db
from .media import MediaFolder, suffix_of

log = logging.getLogger("meerkat.hub")

REMEMBER = timedelta(days=60)
CHUNK = 200


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep removed."""

    clips: int = 0
    pictures: int = 0
    events: int = 0
    bytes: int = 0


class Retention:
    def __init__(self, engine: Engine, media: MediaFolder, settings: RetentionSettings) -> None:
        self._engine = engine
        self._media = media
        self._settings = settings

    def sweep(self, now: datetime) -> Swept:
        """Remove what is too old, then the oldest until the size is within the limit."""
        oldest = now - timedelta(days=self._settings.days)
        swept = self._remove(before=oldest, excess=None)
        with self._engine.connect() as connection:
            excess = _total_bytes(connection) - int(self._settings.gigabytes * 1e9)
        if excess > 0:
            more = self._remove(before=None, excess=excess)
            swept = Swept(
                swept.clips + more.clips,
                swept.pictures + more.pictures,
                swept.events + more.events,
                swept.bytes + more.bytes,
            )
        self._forget(now)
        if swept.clips or swept.pictures or swept.events:
            log.info(
                "removed %d clips, %d pictures and %d events (%.1f MB) that are past their time or size",
                swept.clips,
                swept.pictures,
                swept.events,
                swept.bytes / 1e6,
            )
        return swept

    def remove_orphans(self) -> int:
        """Delete files that no row names, left by a crash between the move and the commit."""
        with self._engine.connect() as connection:
            clips = set(connection.execute(select(db.clips.c.id).where(db.clips.c.file)).scalars())
            pictures = set(connection.execute(select(db.meter_pictures.c.id)).scalars())
            events = set(connection.execute(select(db.events.c.picture)).scalars())
        named: dict[str, set[Any]] = {"clips": clips, "pictures": pictures, "events": events}
        orphans = [
            path
            for kind, names in named.items()
            for path in self._media.files(kind)
            if path.stem not in names
        ]
        self._media.remove(orphans)
        return len(orphans)

    def _remove(self, *, before: datetime | None, excess: int | None) -> Swept:
        """Rows first, files after the commit: a file without its row is an orphan, never the reverse."""
        clips = pictures = freed = 0
        while True:
            with self._engine.begin() as connection:
                rows = _oldest(connection, before)
                if not rows:
                    break
                paths: list[Path] = []
                for row in rows:
                    if excess is not None and freed >= excess:
                        break
                    freed += row.size
                    if row.kind == "clip":
                        clips += 1
                        connection.execute(update(db.clips).where(db.clips.c.id == row.id).values(file=False))
                        paths.append(self._media.path("clips", row.id, suffix_of(row.content_type)))
                    else:
                        pictures += 1
                        connection.execute(delete(db.meter_pictures).where(db.meter_pictures.c.id == row.id))
                        paths.append(self._media.path("pictures", row.id, ".jpg"))
            self._media.remove(paths)
            if not paths or (excess is not None and freed >= excess):
                break
        return Swept(clips, pictures, self._remove_events(), freed)

    def _remove_events(self) -> int:
        """Ended events all of whose clips are gone."""
        has_file = select(db.clips.c.recording).where(db.clips.c.file)
        with self._engine.begin() as connection:
            rows = connection.execute(
                select(db.events.c.id, db.events.c.picture).where(
                    db.events.c.ended, db.events.c.kept.is_(False), db.events.c.recording.not_in(has_file)
                )
            ).all()
            ids = [row.id for row in rows]
            for chunk in _chunks(ids):
                connection.execute(delete(db.events).where(db.events.c.id.in_(chunk)))
        self._media.remove(self._media.path("events", row.picture, ".jpg") for row in rows if row.picture)
        return len(ids)

    def _forget(self, now: datetime) -> None:
        limit = now - timedelta(days=self._settings.days) - REMEMBER
        with self._engine.begin() as connection:
            connection.execute(
                delete(db.clips).where(db.clips.c.file.is_(False), db.clips.c.received_at < limit)
            )
            connection.execute(delete(db.refusals).where(db.refusals.c.at < limit))


def _removable(kept: Any) -> Any:
    return (
        db.clips.c.file,
        db.clips.c.state != "waiting",
        db.clips.c.joined,
        db.clips.c.recording.not_in(kept),
        db.clips.c.recording.in_(select(db.recordings.c.id).where(db.recordings.c.closed)),
    )


def _oldest(connection: Connection, before: datetime | None) -> list[Any]:
    """The oldest clips and meter pictures that may go, at most CHUNK, oldest first."""
    kept = select(db.events.c.recording).where(db.events.c.kept)
    clips = (
        select(db.clips.c.id, db.clips.c.size, db.clips.c.received_at, db.clips.c.content_type)
        .where(*_removable(kept))
        .order_by(db.clips.c.received_at)
        .limit(CHUNK)
    )
    table = db.meter_pictures
    pictures = (
        select(table.c.id, table.c.size, table.c.received_at).order_by(table.c.received_at).limit(CHUNK)
    )
    if before is not None:
        clips = clips.where(db.clips.c.received_at < before)
        pictures = pictures.where(table.c.received_at < before)
    rows = [
        *(_Row("clip", r.id, r.size, r.received_at, r.content_type) for r in connection.execute(clips)),
        *(_Row("picture", r.id, r.size, r.received_at) for r in connection.execute(pictures)),
    ]
    return sorted(rows, key=lambda row: row.received_at)[:CHUNK]


@dataclass(frozen=True, slots=True)
class _Row:
    kind: str
    id: str
    size: int
    received_at: datetime
    content_type: str = ""


def _total_bytes(connection: Connection) -> int:
    clips = connection.execute(select(func.sum(db.clips.c.size)).where(db.clips.c.file)).scalar() or 0
    pictures = connection.execute(select(func.sum(db.meter_pictures.c.size))).scalar() or 0
    return int(clips) + int(pictures)


def _chunks(ids: list[str]) -> Iterable[list[str]]:
    return (ids[i : i + CHUNK] for i in range(0, len(ids), CHUNK))
