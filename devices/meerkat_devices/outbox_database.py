"""The outbox's table of contents: opened, checked, and set aside when it is damaged.

It can be made anew from the files, so a commit does not wait for the disk (WAL, synchronous=NORMAL).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from meerkat_contract.errors import StorageError
from meerkat_contract.metadata import Metadata

from .outbox_files import Entry

SCHEMA = 1

FILE_NAME = "outbox.sqlite"

_TABLES = """
-- One row for each clip or picture that waits for its receipt. seq is the order in which they were made.
CREATE TABLE IF NOT EXISTS entry (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  topic TEXT NOT NULL,
  kind TEXT NOT NULL,              -- clip | picture
  metadata TEXT NOT NULL,          -- JSON
  retain INTEGER NOT NULL,
  size INTEGER NOT NULL
);
-- The newest picture ever made for a retained topic: an older one must not overwrite it. By the order of
-- making, not by the time of day: a clock that was ahead and is set back would silence the topic.
CREATE TABLE IF NOT EXISTS latest (topic TEXT PRIMARY KEY, seq INTEGER NOT NULL);
"""

_COLUMNS = "seq, id, topic, kind, metadata, retain, size"


class Lasting(StorageError):
    """The outbox cannot be used, and waiting will not help."""


_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def open_database(folder: Path) -> tuple[sqlite3.Connection, bool]:
    """The database of the folder, and whether a damaged one was set aside for a new one.

    A damaged file is kept as `outbox.sqlite.damaged`, one at a time; rows that can still be read are
    taken over. Opening one in good order writes nothing, so that it also works on a full disk.
    Raises sqlite3.Error, OSError; Lasting for one of a newer version.
    """
    path = folder / FILE_NAME
    try:
        return _opened(path), False
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in _DAMAGED:
            raise
    aside = folder / f"{FILE_NAME}.damaged"
    for end in ("", "-wal"):
        aside.with_name(aside.name + end).unlink(missing_ok=True)
        if (part := path.with_name(path.name + end)).exists():
            part.replace(aside.with_name(aside.name + end))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    database = _opened(path)
    _take_over(aside, database)
    return database, True


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        # There is one process per outbox. Exclusive, SQLite needs no file for shared memory.
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        _check_version(database, path)
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            problem = sqlite3.DatabaseError(verdict)
            problem.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise problem
        database.executescript(_TABLES)
    except BaseException:
        database.close()
        raise
    return database


def _check_version(database: sqlite3.Connection, path: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version not in (0, SCHEMA):
        raise Lasting(
            f"written by a newer version (schema {version}, this one knows {SCHEMA})",
            where=str(path),
            remedy="Update this device's software, or move the file away",
        )
    if version == 0:
        database.execute(f"PRAGMA user_version = {SCHEMA}")


def read_rows(database: sqlite3.Connection) -> Iterator[tuple[str, Entry | None]]:
    """Each row's id and what it says; None when that cannot be read, of another version or damaged."""
    for row in database.execute(f"SELECT {_COLUMNS} FROM entry ORDER BY seq").fetchall():
        seq, entry_id, topic, _, text, retain, size = row
        try:
            metadata = Metadata.model_validate_json(text)
            yield str(entry_id), Entry(int(seq), str(entry_id), str(topic), metadata, bool(retain), int(size))
        except (ValueError, TypeError):
            yield str(entry_id), None


def write_row(database: sqlite3.Connection, entry: Entry) -> None:
    """Write the entry's row, or write it anew. Raises sqlite3.Error."""
    text = entry.metadata.model_dump_json(by_alias=True)
    row = (entry.seq, entry.id, entry.topic, entry.kind, text, entry.retain, entry.size)
    database.execute("BEGIN IMMEDIATE")
    try:
        database.execute(f"INSERT OR REPLACE INTO entry ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
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


def next_seq(database: sqlite3.Connection) -> int:
    """Above every number that was ever given out."""
    (last,) = database.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'entry'").fetchone()
    return 1 + (last or 0)


def _take_over(damaged: Path, database: sqlite3.Connection) -> None:
    """Copy the rows up to the first that cannot be read."""
    with closing(sqlite3.connect(damaged, isolation_level=None)) as old:
        rows: list[tuple[object, ...]] = []
        # What cannot be read is what the damage took. extend() keeps the rows that came before it.
        with suppress(sqlite3.DatabaseError):
            rows.extend(old.execute(f"SELECT {_COLUMNS} FROM entry ORDER BY seq"))
    database.execute("BEGIN IMMEDIATE")
    database.executemany(f"INSERT OR IGNORE INTO entry ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    database.execute(
        "INSERT OR IGNORE INTO latest SELECT topic, max(seq) FROM entry WHERE retain GROUP BY topic"
    )
    database.execute("COMMIT")
