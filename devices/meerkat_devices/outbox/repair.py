"""Opening an outbox: rows and files are made to agree, from whatever a crash at any instant left."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from meerkat_contract.ids import is_id

from .database import (
    Earlier,
    delete_row,
    is_damage,
    next_seq,
    open_database,
    put_database_aside,
    read_rows,
    read_tally,
    write_row,
)
from .files import Entry, disk, entry_of, set_aside, sync
from .migrate import seal_all
from .room import Tally


@dataclass(frozen=True, slots=True)
class Opened:
    database: sqlite3.Connection
    entries: tuple[Entry, ...]
    next_seq: int
    tally: Tally
    dropped: int
    """Rows and half files that went."""
    damaged: bool
    """The database could not be read, and is a new one."""


def open_folder(folder: Path, refused: Path, *, running: bool) -> Opened:
    """The database and what it and the files tell. A damaged one is set aside and made anew.

    `running`: files are being written just now, and those with no name yet are left alone.
    Raises sqlite3.Error, StorageError; Lasting for a database of a newer version.
    """
    try:
        try:
            return _open(folder, refused, running=running, damaged=False)
        except Earlier:
            with disk(folder):
                seal_all(folder)
            return _open(folder, refused, running=running, damaged=False)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
    except UnicodeDecodeError:  # of SQLite's own message, which quotes the damaged part
        pass
    with disk(folder):
        put_database_aside(folder)
    return _open(folder, refused, running=running, damaged=True)


def _open(folder: Path, refused: Path, *, running: bool, damaged: bool) -> Opened:
    with disk(folder):
        database = open_database(folder)
    try:
        above = next_seq(database)
        tally = read_tally(database)
        with disk(folder):
            entries, dropped = _reconcile(database, folder, refused, running=running)
    except BaseException:
        database.close()
        raise
    above = max([above, *(entry.seq + 1 for entry in entries)])
    return Opened(database, tuple(entries), above, tally, dropped, damaged)


def _reconcile(
    database: sqlite3.Connection, folder: Path, refused: Path, *, running: bool
) -> tuple[list[Entry], int]:
    dropped = 0
    rows = dict(read_rows(database))
    whole = {path.stem for path in folder.glob("*.bin")}
    for entry_id in rows.keys() - whole:
        delete_row(database, entry_id)
        # In refused/ it was set aside just before the crash; else its file was taken away.
        dropped += not (refused / entry_id).exists()
    entries = []
    for path in list(folder.iterdir()):
        part = path.suffix == ".part"
        if not (part or path.suffix == ".bin") or not is_id(path.stem) or (part and running):
            continue
        entry = rows.get(path.stem) or entry_of(path)
        if entry and entry.id == path.stem:
            if part:  # sealed, and not yet renamed
                path.replace(path.with_suffix(".bin"))
            if not rows.get(entry.id):
                write_row(database, entry)
            entries.append(entry)
        elif part:
            path.unlink()
            dropped += 1
        else:
            delete_row(database, path.stem)
            set_aside(path, refused, "the file is damaged")
    sync(folder)
    return entries, dropped
