"""What may go, as conditions, and lookups that only read.

The conditions are used twice: to find candidates, and again in the statement that lets them go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, exists, func, select

from . import schema as db


@dataclass(frozen=True, slots=True)
class Row:
    kind: str
    id: str
    size: int
    received_at: datetime
    content_type: str = "image/jpeg"


REMOVABLE = (
    db.clips.c.file,
    db.clips.c.state != "waiting",
    db.clips.c.joined,
    exists().where(db.recordings.c.id == db.clips.c.recording, db.recordings.c.closed),
    ~exists().where(db.events.c.recording == db.clips.c.recording, db.events.c.kept),
)
"""Clips that may go."""

PICTURES = (
    db.meter_pictures.c.file,
    db.meter_pictures.c.state != "waiting",
    db.meter_pictures.c.example.is_(None),
)
"""Pictures of meters that may go: what they showed stays for ever, see `readings`."""

OVER = (
    db.events.c.recording.is_not(None),
    db.events.c.ended,
    db.events.c.kept.is_(False),
    ~exists().where(db.clips.c.recording == db.events.c.recording, db.clips.c.file),
    db.events.c.id.not_in(
        select(db.announcements.c.event).where(db.announcements.c.event.is_not(None)).scalar_subquery()
    ),
)
"""Events of recordings that may go. Of a waiting announcement the picture is read from its file when its
turn comes."""

DECIDED = (
    db.events.c.recording.is_(None),
    db.events.c.ended,
    db.events.c.kept.is_(False),
    db.events.c.id.not_in(
        select(db.announcements.c.event).where(db.announcements.c.event.is_not(None)).scalar_subquery()
    ),
)
"""Events of workflows that may go when they are old enough: no clip shows what they show."""

EMPTY = (
    db.recordings.c.closed,
    ~exists().where(db.clips.c.recording == db.recordings.c.id),
    ~exists().where(db.events.c.recording == db.recordings.c.id),
)
"""Recordings of which nothing is left."""


def oldest(connection: Connection, before: datetime | None, most: int) -> list[Row]:
    """The oldest clips and meter pictures that may go, at most `most` rows, oldest first."""
    table = db.clips
    clips = (
        select(table.c.id, table.c.size, table.c.received_at, table.c.content_type)
        .where(*REMOVABLE)
        .order_by(table.c.received_at)
        .limit(most)
    )
    meters = db.meter_pictures
    pictures = (
        select(meters.c.id, meters.c.size, meters.c.received_at)
        .where(*PICTURES)
        .order_by(meters.c.received_at)
        .limit(most)
    )
    if before is not None:
        clips = clips.where(table.c.received_at < before)
        pictures = pictures.where(meters.c.received_at < before)
    rows = [
        *(Row("clips", r.id, r.size, r.received_at, r.content_type) for r in connection.execute(clips)),
        *(Row("pictures", r.id, r.size, r.received_at) for r in connection.execute(pictures)),
    ]
    return sorted(rows, key=lambda row: row.received_at)[:most]


def up_to(rows: list[Row], most: int) -> list[Row]:
    """As many from the front as make up `most` bytes."""
    taken, total = [], 0
    for row in rows:
        if total >= most:
            break
        taken.append(row)
        total += row.size
    return taken


def total_bytes(connection: Connection) -> int:
    """Bytes of clips and meter pictures."""
    sizes = (
        select(func.coalesce(func.sum(table.c.size), 0)).where(table.c.file)
        for table in (db.clips, db.meter_pictures)
    )
    return sum(int(connection.execute(size).scalar_one()) for size in sizes)


def event_pictures(connection: Connection) -> set[str]:
    """The file names of all events' pictures, without suffix."""
    table = db.events
    names = connection.execute(select(table.c.picture).where(table.c.picture.is_not(None))).scalars()
    return {str(name) for name in names}
