"""The statements of a commit, and of the look before it.

They are made once, by SQLAlchemy, and executed by the driver itself: SQLAlchemy's own execution takes
several times as long as SQLite needs for these. So their values come as the driver takes them, times as
text (see schema.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert as upsert

from . import schema as db

Row = dict[str, Any]


class Statement:
    """SQL for many rows."""

    def __init__(self, statement: Any, **same: Any) -> None:
        """`same`: what is the same in every row, beside what the statement says itself."""
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        self.text = str(compiled)
        self.names: tuple[str, ...] = tuple(compiled.positiontup)
        self._same: Row = {name: value for name, value in compiled.params.items() if value is not None} | same

    def run(self, cursor: sqlite3.Cursor, rows: Sequence[Row]) -> None:
        names, same = self.names, self._same
        rows = [{**same, **row} for row in rows] if same else rows
        cursor.executemany(self.text, [tuple([row[name] for name in names]) for row in rows])


def driver(connection: Connection) -> sqlite3.Cursor:
    """A cursor of the driver, in this connection's transaction."""
    made: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    return made.cursor()


# --- of a commit, in the order in which they run ------------------------------------------------------


def _open_recordings() -> Any:
    statement = upsert(db.recordings)
    return statement.on_conflict_do_update(index_elements=["id"], set_={"closed": False})


def _save_events() -> Any:
    """An event keeps what people said of it (`kept`), and its picture until there is a better one."""
    statement = upsert(db.events)
    new = statement.excluded
    names = ("label", "score", "start_time", "end_time", "ended", "state", "members")
    values: Row = {name: new[name] for name in names}
    values["picture"] = func.coalesce(new.picture, db.events.c.picture)
    return statement.on_conflict_do_update(index_elements=["id"], set_=values)


def _count() -> Any:
    statement = upsert(db.totals)
    value = db.totals.c.value + statement.excluded.value
    return statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})


def _settle_clips() -> Any:
    names = ("state", "reason", "settled_at", "model", "frames", "seconds", "worker", "tracks", "joined")
    return (
        update(db.clips)
        .where(db.clips.c.id == bindparam("clip"), db.WAITING)
        .values({name: bindparam(name) for name in names})
    )


OPEN_RECORDINGS = Statement(_open_recordings())
STORE_CLIPS = Statement(
    insert(db.clips),
    state="waiting",
    reason="",
    settled_at=None,
    joined=False,
    model=None,
    frames=0,
    seconds=0.0,
    worker="",
    tracks=None,
    file=True,
)
NOTE_TRIES = Statement(
    update(db.clips)
    .where(db.clips.c.id == bindparam("clip"))
    .values({name: bindparam(name) for name in ("attempts", "reason", "worker")})
)
SETTLE_CLIPS = Statement(_settle_clips())
JOIN_CLIPS = Statement(update(db.clips).where(db.clips.c.id == bindparam("clip")).values(joined=True))
SAVE_EVENTS = Statement(_save_events())
CLOSE_RECORDINGS = Statement(
    update(db.recordings).where(db.recordings.c.id == bindparam("recording")).values(closed=True)
)
STORE_PICTURES = Statement(
    insert(db.meter_pictures),
    file=True,
    attempts=0,
    reason="",
    model=None,
    seconds=0.0,
    worker="",
    alignment=None,
    example=None,
)
NOTE_REFUSALS = Statement(insert(db.refusals), seq=None)
ANNOUNCE = Statement(insert(db.announcements))
FORGET = Statement(delete(db.announcements).where(db.announcements.c.seq == bindparam("over")))
COUNT = Statement(_count())

ORDER = (
    OPEN_RECORDINGS,
    STORE_CLIPS,
    NOTE_TRIES,
    SETTLE_CLIPS,
    JOIN_CLIPS,
    SAVE_EVENTS,
    CLOSE_RECORDINGS,
    STORE_PICTURES,
    NOTE_REFUSALS,
    ANNOUNCE,
    FORGET,
    COUNT,
)

LAST_SEQ = str(select(func.max(db.announcements.c.seq)))

# The pictures that tracks of a closed recording still carry: the events have theirs on disk.
WITH_PICTURES = select(db.clips.c.id, db.clips.c.tracks).where(
    db.clips.c.recording.in_(bindparam("recordings", expanding=True)),
    db.clips.c.tracks.like('%"picture"%'),
)
REPLACE_TRACKS = Statement(
    update(db.clips).where(db.clips.c.id == bindparam("clip")).values(tracks=bindparam("tracks"))
)


# --- before it ------------------------------------------------------------------------------------------

MEDIA, READING, RECORDING = range(3)
"""What an id was found as."""


def find(cursor: sqlite3.Cursor, ids: Sequence[str], recordings: Sequence[str]) -> Iterable[tuple[int, str]]:
    """Which of these ids name stored media, or read pictures; and which of these recordings ever were."""
    return cursor.execute(_finding(len(ids), len(recordings)), (*ids, *ids, *ids, *recordings))


@lru_cache(64)
def _finding(ids: int, recordings: int) -> str:
    """One statement: each of four costs more than what it finds."""
    parts = [
        f"SELECT {found}, id FROM {table.name} WHERE id IN ({', '.join('?' * count)})"
        for found, table, count in (
            (MEDIA, db.clips, ids),
            (MEDIA, db.meter_pictures, ids),
            (READING, db.readings, ids),
            (RECORDING, db.recordings, recordings),
        )
        if count
    ]
    return " UNION ALL ".join(parts)
