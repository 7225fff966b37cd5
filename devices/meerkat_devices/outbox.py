"""What a device has to hand over, on its disk until the hub says that it has it.

Beside the database lie the files, each named by its entry's id:

    <id>.part      being written
    <id>.bin       whole, waiting for its receipt
    refused/<id>   what the hub refused, with <id>.json that says why

An entry is added in this order: file synced, row committed, file renamed. So at any instant of a
power cut the row tells the truth or can be completed: see `_reconcile`. The database syncs on every
commit (synchronous=FULL): there are a few commits a minute, and the alternative loses the last ones.
What goes, goes in the other order, file first: on a full disk the database can write nothing before.

When the outbox or the disk is full the oldest clips go first, then the oldest pictures; never what is
on its way just now, by which the bound may be passed for a moment. What went is counted and told.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from meerkat_contract.errors import StorageError
from meerkat_contract.ids import is_id
from meerkat_contract.metadata import Metadata

from .outbox_database import FILE_NAME, open_database

RESERVE = 20_000_000
"""Bytes left free on the disk, so that the next clip can be written at all."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to hand over. `seq` grows in the order in which they were made."""

    seq: int
    id: str
    topic: str
    metadata: Metadata
    retain: bool
    size: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How much waits; `evicted` and `refused` since the start of the process."""

    waiting: int
    bytes: int
    refused: int
    evicted: int


class Outbox:
    """Every method may be called on any thread; each raises StorageError when the disk refuses."""

    def __init__(self, folder: Path, *, max_bytes: int, refused_bytes: int) -> None:
        """Open or create the outbox and repair what a crash left. One at a time per folder."""
        self.folder = folder
        self.refused_folder = folder / "refused"
        self._max_bytes = max_bytes
        self._refused_bytes = refused_bytes
        self._lock = threading.RLock()
        self._refused = 0
        self._evicted = 0
        self._bytes = 0
        self._in_flight: set[str] = set()
        self._added: Callable[[Entry], None] | None = None
        self._evicted_one: Callable[[str], None] | None = None
        self.on_evicted: Callable[[int, int], None] | None = None
        """Called with how many entries and bytes were given up to make room."""
        with _disk(folder):
            self.refused_folder.mkdir(parents=True, exist_ok=True)
            self._lock_file = (folder / "lock").open("w")
        self._claim()
        try:
            with self._database_errors(), _disk(folder):
                self._db, self.damaged = open_database(folder)
                """`damaged`: the database could not be read and a new one was begun, with what was saved."""
        except BaseException:
            self._lock_file.close()
            raise
        try:
            self.repaired = self._reconcile()
            """Rows dropped and files deleted at the start because a crash had left them alone."""
            with self._database_errors():
                (self._bytes,) = self._db.execute("SELECT coalesce(sum(size), 0) FROM entry").fetchone()
        except BaseException:
            self.close()
            raise

    # --- adding ----------------------------------------------------------------------------------

    def temporary(self, entry_id: str) -> Path:
        """Where to write an entry's file before `add`. A leftover is deleted at the next start."""
        return self.folder / f"{entry_id}.part"

    def path(self, entry_id: str) -> Path:
        return self.folder / f"{entry_id}.bin"

    def add(self, topic: object, metadata: Metadata, *, retain: bool = False) -> Entry:
        """Take over the file at `temporary(metadata.id)`, which has been synced to the disk.

        Returns when it is durable: after this it is handed over, whatever happens.
        """
        name = str(topic)
        part = self.temporary(metadata.id)
        with self._lock:
            with _disk(part):
                size = part.stat().st_size
            self._make_room(size, on_disk=True)
            kind = "clip" if metadata.content_type.startswith("video/") else "picture"
            with self._database_errors(), self._transaction():
                cursor = self._db.execute(
                    "INSERT INTO entry (id, topic, kind, metadata, retain, size) VALUES (?, ?, ?, ?, ?, ?)",
                    (metadata.id, name, kind, metadata.model_dump_json(by_alias=True), retain, size),
                )
                seq = cursor.lastrowid
                if retain:
                    self._db.execute("INSERT OR REPLACE INTO latest VALUES (?, ?)", (name, seq))
            assert seq is not None
            with _disk(part):
                part.replace(self.path(metadata.id))
                _sync_folder(self.folder)
            self._bytes += size
            entry = Entry(seq, metadata.id, name, metadata, retain, size)
        if self._added:
            self._added(entry)
        return entry

    def add_bytes(self, topic: object, metadata: Metadata, payload: bytes, *, retain: bool = False) -> Entry:
        """Write `payload` as the entry's file and add it."""
        part = self.temporary(metadata.id)
        self.make_room(len(payload))
        try:
            with _disk(part), part.open("wb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            return self.add(topic, metadata, retain=retain)
        except StorageError:
            part.unlink(missing_ok=True)
            raise

    def make_room(self, size: int) -> None:
        """Give up what is oldest until a file of `size` bytes can be written; call it before."""
        with self._lock:
            self._make_room(size, on_disk=False)

    def watch(
        self, added: Callable[[Entry], None], evicted: Callable[[str], None] | None = None
    ) -> list[Entry]:
        """Everything that waits, oldest first. From now on `added` is called with each entry, `evicted`
        with the id of each that is given up to make room."""
        with self._lock:
            self._added, self._evicted_one = added, evicted
            return self.waiting()

    # --- handing over ----------------------------------------------------------------------------

    def waiting(self) -> list[Entry]:
        with self._lock, self._database_errors():
            rows = self._db.execute(
                "SELECT seq, id, topic, metadata, retain, size FROM entry ORDER BY seq"
            ).fetchall()
        found = []
        for seq, entry_id, topic, text, retain, size in rows:
            try:
                metadata = Metadata.model_validate_json(text)
            except ValidationError as error:  # of another version, or damaged: the rest goes on
                self.refuse(entry_id, f"its metadata cannot be read: {error}")
                continue
            found.append(Entry(seq, entry_id, topic, metadata, bool(retain), size))
        return found

    def lend(self, entry: Entry) -> bytes | None:
        """The entry's content, which is safe from eviction until `give_back`; None when it is gone."""
        with self._lock:
            self._in_flight.add(entry.id)
            try:
                return self.path(entry.id).read_bytes()
            except FileNotFoundError:
                self._in_flight.discard(entry.id)
                self._delete(entry.id)
                return None
            except OSError as error:
                self._in_flight.discard(entry.id)
                raise _storage_error(error, self.path(entry.id)) from error

    def give_back(self, entry_id: str) -> None:
        with self._lock:
            self._in_flight.discard(entry_id)

    def is_newest(self, entry: Entry) -> bool:
        """Whether no newer picture was ever made for its topic."""
        with self._lock, self._database_errors():
            row = self._db.execute("SELECT seq FROM latest WHERE topic = ?", (entry.topic,)).fetchone()
        return row is None or entry.seq >= row[0]

    def forget(self, entry_id: str) -> bool:
        """The hub has it. Returns whether it was still here."""
        with self._lock:
            return self._delete(entry_id)

    def refuse(self, entry_id: str, reason: str) -> bool:
        """The hub will never take it: keep it aside with the reason. Returns whether it was still here."""
        with self._lock:
            with self._database_errors():
                row = self._db.execute(
                    "SELECT topic, metadata FROM entry WHERE id = ?", (entry_id,)
                ).fetchone()
            if row is None:
                return False
            self._set_aside(entry_id, reason, topic=row[0], metadata=row[1])
            self._delete(entry_id)
            self._refused += 1
            self._trim_refused()
            return True

    def counts(self) -> Counts:
        with self._lock, self._database_errors():
            (waiting,) = self._db.execute("SELECT count(*) FROM entry").fetchone()
            return Counts(waiting, self._bytes, self._refused, self._evicted)

    def close(self) -> None:
        with self._lock, self._database_errors():
            self._db.close()
            self._lock_file.close()

    # --- inside ----------------------------------------------------------------------------------

    def _claim(self) -> None:
        """The system gives the lock back when the process ends, however it ends."""
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.close()
            raise StorageError(
                "another process uses this outbox",
                where=str(self.folder),
                remedy="Is the same device running already? Give this one another --name",
            ) from None

    def _set_aside(self, entry_id: str, reason: str, *, topic: str = "", metadata: str = "") -> None:
        """Move an entry's file to refused/, with a note; `metadata` is JSON, or what should be."""
        note = {"topic": topic, "reason": reason, "metadata": metadata}
        with suppress(ValueError):  # then the text stays as it is
            note["metadata"] = json.loads(metadata)
        with _disk(self.refused_folder):
            (self.refused_folder / f"{entry_id}.json").write_text(json.dumps(note, indent=1))
            if self.path(entry_id).exists():
                self.path(entry_id).replace(self.refused_folder / entry_id)

    def _delete(self, entry_id: str) -> bool:
        """File first: that makes room for the database's own writing. `lend` and the next start know
        what a row without a file means."""
        self._in_flight.discard(entry_id)
        with _disk(self.path(entry_id)):
            self.path(entry_id).unlink(missing_ok=True)
        with self._database_errors():
            row = self._db.execute("DELETE FROM entry WHERE id = ? RETURNING size", (entry_id,)).fetchone()
        if row is None:
            return False
        self._bytes -= row[0]
        return True

    def _make_room(self, size: int, *, on_disk: bool) -> None:
        """`on_disk`: the file of `size` bytes is written already."""
        if not self._lacks_room(size, on_disk=on_disk):
            return
        with self._database_errors():
            rows = self._db.execute(
                "SELECT id, size FROM entry ORDER BY kind = 'picture', seq"  # clips first, oldest first
            ).fetchall()
        count = freed = 0
        for entry_id, entry_size in rows:
            if not self._lacks_room(size, on_disk=on_disk):
                break
            if entry_id not in self._in_flight and self._delete(entry_id):
                count += 1
                freed += entry_size
                if self._evicted_one:
                    self._evicted_one(entry_id)
        self._evicted += count
        if count and self.on_evicted:
            self.on_evicted(count, freed)

    def _lacks_room(self, size: int, *, on_disk: bool) -> bool:
        if self._bytes + size > self._max_bytes:
            return True
        with _disk(self.folder):
            return shutil.disk_usage(self.folder).free < RESERVE + (0 if on_disk else size)

    def _trim_refused(self) -> None:
        with _disk(self.refused_folder):
            kept = sorted(
                (path for path in self.refused_folder.iterdir() if not path.suffix),
                key=lambda path: path.stat().st_mtime,
            )
            total = sum(path.stat().st_size for path in kept)
            for path in kept:
                if total <= self._refused_bytes:
                    break
                total -= path.stat().st_size
                path.unlink()
                path.with_suffix(".json").unlink(missing_ok=True)

    def _reconcile(self) -> int:
        """Repair what a crash at any instant left; returns how many rows and files went."""
        dropped = 0
        with self._lock, self._database_errors(), _disk(self.folder):
            known = {row[0] for row in self._db.execute("SELECT id FROM entry")}
            for entry_id in known:
                part, whole = self.temporary(entry_id), self.path(entry_id)
                if whole.exists():
                    continue
                if part.exists():  # committed, not yet renamed: complete it
                    part.replace(whole)
                    continue
                self._db.execute("DELETE FROM entry WHERE id = ?", (entry_id,))
                # In refused/ it was set aside just before the crash; else its file was taken away.
                dropped += not (self.refused_folder / entry_id).exists()
            for path in list(self.folder.iterdir()):
                ours = path.suffix in (".part", ".bin") and is_id(path.stem)
                if not ours or (path.stem in known and path.suffix != ".part"):
                    continue
                if self.damaged and path.suffix == ".bin":  # whole, but nobody knows what it is of
                    self._set_aside(path.stem, "the outbox's database was damaged")
                else:
                    path.unlink()
                    dropped += 1
            _sync_folder(self.folder)
        if self.damaged:
            self._trim_refused()
        return dropped

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _database_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StorageError(
                f"the outbox's database refuses: {error}",
                where=str(self.folder / FILE_NAME),
                remedy="Is the disk full or worn out? A damaged file is set aside at the next start",
            ) from error


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _storage_error(error, path) from error


def _storage_error(error: OSError, path: Path) -> StorageError:
    return StorageError(
        f"the disk refuses: {error.strerror}",
        where=str(error.filename or path),
        remedy="Free some space, or check the folder's permissions",
    )


def _sync_folder(folder: Path) -> None:
    """Make renames in it durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
