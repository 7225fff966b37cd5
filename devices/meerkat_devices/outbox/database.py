"""The outbox's table of contents: opened, checked, and set aside when it is damaged.

It can be made anew from the files, so a commit does not wait for the disk (WAL, synchronous=NORMAL),
and a row whose sum is wrong counts as none.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

from meerkat_contract.errors import StorageError
from meerkat_contract.metadata import Metadata

from .files import Entry
from .room import Tally

SCHEMA = 2

FILE_NAME = "outbox.sqlite"

_TABLES = """
-- One row for each clip or picture that waits for its receipt. seq is the order in which they were made.
CREATE TABLE IF NOT EXISTS entry (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  topic TEXT NOT NULL,
  metadata TEXT NOT NULL,          -- JSON
  retain INTEGER NOT NULL,
  size INTEGER NOT NULL,
  sum INTEGER NOT NULL             -- CRC-32 of the above
);
-- The newest picture ever made for a retained topic: an older one must not overwrite it. By the order of
-- making, not by the time of day: a clock that was ahead and is set back would silence the topic.
CREATE TABLE IF NOT EXISTS latest (topic TEXT PRIMARY KEY, seq INTEGER NOT NULL);
-- What went otherwise than by a receipt: see outbox_room.Tally.
CREATE TABLE IF NOT EXISTS tally (name TEXT PRIMARY KEY, number INTEGER NOT NULL);
"""

MOST = 10**15
"""No number is higher, but by damage."""

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Lasting(StorageError):
    """The outbox cannot be used, and waiting will not help."""


class Earlier(Exception):
    """The database is one of an earlier version: see outbox_migrate."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is damaged, rather than the disk full or away."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


def refusal(folder: Path, error: sqlite3.Error) -> StorageError:
    return StorageError(
        f"the outbox's database refuses: {error}",
        where=str(folder / FILE_NAME),
        remedy="Is the disk full or worn out? It is made anew from the files when it can be",
    )


def made_anew(folder: Path) -> StorageError:
    return StorageError(
        "the outbox's database was damaged, and was made anew from the files",
        where=str(folder),
        remedy="Nothing is lost, unless refused/ has files of it. Is the SD card worn out?",
    )


def open_database(folder: Path) -> sqlite3.Connection:
    """The database of the folder, new or as it is. In good order it is opened without writing, so that
    it also works on a full disk. Raises sqlite3.Error, OSError; Lasting for one of a newer version, Earlier.
    """
    path = folder / FILE_NAME
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    database.text_factory = lambda data: data.decode(errors="replace")
    try:
        # There is one process per outbox. Exclusive, SQLite needs no file for shared memory.
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        _check_version(database, path)
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _damage(verdict)
        database.executescript(_TABLES)
    except BaseException:
        database.close()
        raise
    return database


def put_database_aside(folder: Path) -> None:
    """Keep the damaged file as `outbox.sqlite.damaged`, one at a time. Raises OSError."""
    path = folder / FILE_NAME
    aside = folder / f"{FILE_NAME}.damaged"
    for end in ("", "-wal"):
        aside.with_name(aside.name + end).unlink(missing_ok=True)
        if (part := path.with_name(path.name + end)).exists():
            part.replace(aside.with_name(aside.name + end))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)


def read_rows(database: sqlite3.Connection) -> Iterator[tuple[str, Entry | None]]:
    """Each row's id and what it says; None when that is damaged."""
    query = "SELECT seq, id, topic, metadata, retain, size, sum FROM entry ORDER BY seq"
    for seq, entry_id, topic, text, retain, size, checked in database.execute(query).fetchall():
        try:
            if checked != _sum((seq, entry_id, topic, text, retain, size)):
                raise ValueError("damaged")
            metadata = Metadata.model_validate_json(text)
        except ValueError:
            yield str(entry_id), None
        else:
            yield entry_id, Entry(seq, entry_id, topic, metadata, bool(retain), size)


def write_row(database: sqlite3.Connection, entry: Entry) -> None:
    """Write the entry's row, or write it anew. Raises sqlite3.Error."""
    text = entry.metadata.model_dump_json(by_alias=True)
    row = (entry.seq, entry.id, entry.topic, text, int(entry.retain), entry.size)
    database.execute("BEGIN IMMEDIATE")
    try:
        database.execute("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, _sum(row)))
        if entry.retain:
            database.execute(
                "INSERT INTO latest VALUES (?, ?)"
                " ON CONFLICT (topic) DO UPDATE SET seq = max(seq, excluded.seq)",
                (entry.topic, entry.seq),
            )
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def delete_row(database: sqlite3.Connection, entry_id: str) -> None:
    """Raises sqlite3.Error."""
    database.execute("DELETE FROM entry WHERE id = ?", (entry_id,))


def newest(database: sqlite3.Connection, topic: str) -> int:
    """The number of the newest picture ever made for a topic; 0 for none. Raises sqlite3.Error."""
    query = "SELECT seq FROM latest WHERE topic = ? AND typeof(seq) = 'integer'"
    row = database.execute(query, (topic,)).fetchone()
    return int(row[0]) if row else 0


def read_tally(database: sqlite3.Connection) -> Tally:
    """Raises sqlite3.Error."""
    known = {field.name for field in fields(Tally)}
    rows = database.execute("SELECT name, number FROM tally WHERE typeof(number) = 'integer'").fetchall()
    return Tally(**{name: number for name, number in rows if name in known and 0 <= number < MOST})


def write_tally(database: sqlite3.Connection, tally: Tally) -> None:
    """Raises sqlite3.Error."""
    values = ", ".join(["(?, ?)"] * len(fields(tally)))
    flat = [value for pair in asdict(tally).items() for value in pair]
    database.execute(f"INSERT OR REPLACE INTO tally VALUES {values}", flat)


def next_seq(database: sqlite3.Connection) -> int:
    """Above every number that was ever given out. Raises sqlite3.Error."""
    query = (
        "SELECT max(seq) FROM sqlite_sequence WHERE name = 'entry' AND typeof(seq) = 'integer' AND seq < ?"
    )
    (last,) = database.execute(query, (MOST,)).fetchone()
    return 1 + (last or 0)


def _sum(row: tuple[object, ...]) -> int:
    return zlib.crc32(repr(row).encode(errors="replace"))


def _damage(verdict: str) -> sqlite3.DatabaseError:
    problem = sqlite3.DatabaseError(verdict)
    problem.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return problem


def _check_version(database: sqlite3.Connection, path: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA:
        raise Lasting(
            f"written by a newer version (schema {version}, this one knows {SCHEMA})",
            where=str(path),
            remedy="Update this device's software, or move the file away",
        )
    if version == 0:
        database.execute(f"PRAGMA user_version = {SCHEMA}")
    elif version < SCHEMA:
        raise Earlier(f"schema {version}")
