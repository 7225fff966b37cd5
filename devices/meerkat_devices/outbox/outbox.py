"""What a device has to hand over, on its disk until the hub says that it has it.

Beside the database lie the files, each named by its entry's id and sealed (see outbox_files):

    <id>.part      being written
    <id>.bin       whole, waiting for its receipt
    refused/<id>   what the hub refused, with <id>.json that says why

An entry is added in this order: file sealed, synced, renamed, folder synced, row written. Sealed, it
outlives our own death; synced, a power cut. From then on it is safe: a row that is missing is written anew
from the file, at the next start or as soon as a database that failed works again. So the database need
not sync on every commit, and two syncs are all that a clip costs.

With `wait=False` the entry is handed over as soon as it is sealed, and synced meanwhile on a thread of its
own: a slow card holds up neither the camera nor the clip. What the hub has stored before the card is
forgotten all the same; a power cut in between takes what it would have taken in the middle of a sync.

What goes, goes file first: on a full disk the database can write nothing before. A power cut can bring
back what was handed over a moment ago: the hub then says `duplicate`.

When the outbox or the disk is full the oldest clips go first, then the oldest pictures; never what is
on its way just now, by which the bound may be passed for a moment. What went is counted and told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from meerkat_contract.errors import MeerkatError, StorageError
from meerkat_contract.metadata import Metadata

from .database import Lasting, delete_row, made_anew, newest, write_row, write_tally
from .files import Entry, disk, payload_of, seal, set_aside, storage_error, sync, trim
from .index import Index
from .keeper import Keeper
from .repair import Opened
from .room import Room, Tally, victims

__all__ = ["Counts", "Entry", "Outbox"]

LAST_SYNCS = 0.5
"""Seconds that an end waits for the disk. What is not synced then is, by the system, within half a minute."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How much waits; `evicted` and `refused` since the outbox was made, over restarts."""

    waiting: int
    bytes: int
    refused: int
    evicted: int


class Outbox:
    """Every method may be called on any thread; each raises StorageError when the disk refuses.

    What the disk refuses once is tried again at the next call: an outbox on a disk that is read-only,
    or not there yet, works as soon as the disk does.
    """

    def __init__(self, folder: Path, *, max_bytes: int, refused_bytes: int) -> None:
        """Open or create the outbox and repair what a crash left. One at a time per folder.

        Raises StorageError when waiting will not help: it is used by another process, or of a newer
        version. Any other trouble is left in `trouble`.
        """
        self.folder = folder
        self.refused_folder = folder / "refused"
        self.trouble: StorageError | None = None
        """Why it cannot be used, or what was found damaged: at the start, and read by nobody later."""
        self.repaired = 0
        """Rows dropped and half files deleted because a crash had left them alone."""
        self.damaged = False
        """The database could not be read, and was made anew from the files."""
        self.on_evicted: Callable[[int, int], bool] | None = None
        """Called with how many entries and bytes were given up to make room and not told yet; whether
        they are told now. What is not, also by an earlier run, is in the next call."""
        self.on_trouble: Callable[[MeerkatError], None] | None = None
        """Called with what went wrong and hindered nobody."""
        self._room = Room(folder, max_bytes)
        self._refused_bytes = refused_bytes
        self._lock = threading.RLock()
        self._bytes = 0
        self._tally = Tally()
        self._next_seq = 1
        self._held: dict[str, Entry] = {}
        self._in_flight: set[str] = set()
        self._added: Callable[[Entry], None] | None = None
        self._evicted_one: Callable[[str], None] | None = None
        self._known = False
        """Whether the tally is: it has been opened."""
        self._index = Index(
            folder,
            self.refused_folder,
            refused_bytes=refused_bytes,
            opened=self._opened,
            tell=self._tell,
        )
        self._keeper = Keeper(self._keep)
        try:
            self._index.open()
        except Lasting:
            self.close()
            raise
        except StorageError as error:
            self.trouble = error

    # --- adding ----------------------------------------------------------------------------------

    def temporary(self, entry_id: str) -> Path:
        """Where to write an entry's file before `add`, after `make_room`."""
        return self.folder / f"{entry_id}.part"

    def path(self, entry_id: str) -> Path:
        return self.folder / f"{entry_id}.bin"

    def add(self, topic: object, metadata: Metadata, *, retain: bool = False, wait: bool = True) -> Entry:
        """Take over the file at `temporary(metadata.id)`: after this it is handed over, whatever happens.

        `wait`: returns when it is durable. Else as soon as it is whole; a disk that then refuses to sync it
        is told to `on_trouble`, and the file is handed over as long as it can be read.
        """
        part = self.temporary(metadata.id)
        with self._lock:
            self._index.open()
            with disk(part):
                self._make_room(part.stat().st_size, on_disk=True)
            seq, self._next_seq = self._next_seq, self._next_seq + 1
        entry = seal(part, seq, str(topic), metadata, retain=retain)  # others go on meanwhile
        if wait:
            with disk(part):
                sync(part)
            with self._lock:
                self._name(entry)
                self._hold(entry)
            self._finish(entry)
        else:
            with self._lock:
                self._hold(entry)
        if self._added:
            self._added(entry)
        if not wait:
            self._keeper.take(entry)
        return entry

    def add_bytes(self, topic: object, metadata: Metadata, payload: bytes, *, retain: bool = False) -> Entry:
        """Write `payload` as the entry's file and add it."""
        part = self.temporary(metadata.id)
        self.make_room(len(payload))
        try:
            with disk(part):
                part.write_bytes(payload)
            return self.add(topic, metadata, retain=retain)
        except StorageError:
            self.discard(metadata.id)
            raise

    def discard(self, entry_id: str) -> None:
        """Clear away the file that was not to be added; what the disk refuses the next start clears away."""
        with suppress(OSError):
            self.temporary(entry_id).unlink(missing_ok=True)

    def make_room(self, size: int) -> None:
        """Give up what is oldest until a file of `size` bytes can be written; call it before."""
        with self._lock:
            self._index.open()
            self._make_room(size, on_disk=False)

    def watch(
        self, added: Callable[[Entry], None], evicted: Callable[[str], None] | None = None
    ) -> list[Entry]:
        """Everything that waits, oldest first. From now on `added` is called with each entry, `evicted`
        with the id of each that is given up to make room. Where the folder could not be opened yet,
        `added` hears of what waits in it as soon as it can."""
        with self._lock:
            self._added, self._evicted_one = added, evicted
            return self.waiting()

    # --- handing over ----------------------------------------------------------------------------

    def waiting(self) -> list[Entry]:
        with self._lock:
            return sorted(self._held.values(), key=lambda entry: entry.seq)

    def lend(self, entry: Entry) -> bytes | None:
        """The entry's content, which is safe from eviction until `give_back`; None when it is gone.

        One that is not what was written (a bad sector, a card that lied) is kept aside: StorageError.
        """
        path = self.path(entry.id)
        with self._lock:
            self._in_flight.add(entry.id)
        try:
            payload = self._read(entry)  # a slow card does not hold up those who add
        except FileNotFoundError:
            self.forget(entry.id)
            return None
        except OSError as error:
            self.give_back(entry.id)
            raise storage_error(error, path) from error
        if payload is not None:
            return payload
        self.give_back(entry.id)
        self.refuse(entry.id, "its file was damaged on the disk")
        raise StorageError(
            "a file was damaged on the disk and is not sent",
            where=str(self.refused_folder / entry.id),
            remedy="It was kept aside. Is the SD card worn out?",
        )

    def give_back(self, entry_id: str) -> None:
        with self._lock:
            self._in_flight.discard(entry_id)

    def is_newest(self, entry: Entry) -> bool:
        """Whether no newer picture was ever made for its topic."""
        with self._lock, self._index.queried() as database:
            highest = newest(database, entry.topic)
            return entry.seq >= highest or highest >= self._next_seq  # a damaged one silences nobody

    def forget(self, entry_id: str) -> bool:
        """The hub has it. Returns whether it was still here."""
        with self._lock:
            return self._delete(entry_id)

    def refuse(self, entry_id: str, reason: str) -> bool:
        """The hub will never take it: keep it aside with the reason. Returns whether it was still here."""
        with self._lock:
            entry = self._held.get(entry_id)
            if entry is None:
                return False
            self._put_aside(entry, reason)
            self._delete(entry_id)
            self._tally.refused += 1
            self._count()
            trim(self.refused_folder, self._refused_bytes)
            return True

    def counts(self) -> Counts:
        with self._lock:
            return Counts(len(self._held), self._bytes, self._tally.refused, self._tally.evicted)

    def remind(self) -> None:
        """There is somebody to hear what was given up and not told."""
        with self._lock:
            self._tell_evicted()

    def close(self) -> None:
        self._keeper.close(LAST_SYNCS)
        with self._lock:
            self._index.close()

    # --- inside ----------------------------------------------------------------------------------

    def _opened(self, found: Opened) -> None:
        """At the start, and again after an error of the database."""
        if not self._known:  # else what is known here is newer
            self._tally, self._known = found.tally, True
        self._next_seq = max(self._next_seq, found.next_seq)
        self.repaired += found.dropped
        if found.damaged:
            self.damaged = True
            self.trouble = made_anew(self.folder)
            self._tell(self.trouble)
        for entry in sorted(found.entries, key=lambda entry: entry.seq):
            if entry.id not in self._held:
                self._hold(entry)
                if self._added:  # of a first opening that came late
                    self._added(entry)

    def _keep(self, entry: Entry) -> None:
        """Make lasting what was handed over already; on the keeper's thread."""
        part = self.temporary(entry.id)
        try:
            with disk(part):
                sync(part)
            with self._lock:
                if entry.id not in self._held:
                    return  # the hub was quicker than the disk
                self._name(entry)
        except StorageError as error:
            if entry.id in self._held:
                self._tell(error)  # at the next start it is found under the name that it has
        else:
            self._finish(entry)

    def _name(self, entry: Entry) -> None:
        part = self.temporary(entry.id)
        with disk(part):
            part.replace(self.path(entry.id))

    def _finish(self, entry: Entry) -> None:
        """Make the name last, and write the row. What the disk refuses is only told: the file is there."""
        try:
            with disk(self.folder):
                sync(self.folder)
        except StorageError as error:
            self._tell(error)
        with self._lock:
            if entry.id in self._held and not self._index.closed:
                self._index.write(lambda database: write_row(database, entry))

    def _read(self, entry: Entry) -> bytes | None:
        """Under the name that the file has just now. Raises OSError."""
        for path in (self.path(entry.id), self.temporary(entry.id)):
            with suppress(FileNotFoundError):
                return payload_of(path, entry.size)
        return payload_of(self.path(entry.id), entry.size)  # it was renamed in between

    def _hold(self, entry: Entry) -> None:
        if entry.id not in self._held:
            self._held[entry.id] = entry
            self._bytes += entry.size

    def _tell(self, error: MeerkatError) -> None:
        if self.on_trouble:
            self.on_trouble(error)

    def _put_aside(self, entry: Entry, reason: str) -> None:
        metadata = entry.metadata.model_dump(mode="json", by_alias=True)
        note = {"topic": entry.topic, "metadata": metadata}
        path = self.path(entry.id)
        if not path.exists():
            path = self.temporary(entry.id)
        set_aside(path, self.refused_folder, reason, size=entry.size, about=note)

    def _delete(self, entry_id: str) -> bool:
        """File first: that makes room for the database's own writing."""
        self._in_flight.discard(entry_id)
        with disk(self.path(entry_id)):
            self.path(entry_id).unlink(missing_ok=True)
            if entry_id in self._held:
                self.temporary(entry_id).unlink(missing_ok=True)
        entry = self._held.pop(entry_id, None)
        if entry is None:
            return False
        self._bytes -= entry.size
        self._index.write(lambda database: delete_row(database, entry_id))
        return True

    def _make_room(self, size: int, *, on_disk: bool) -> None:
        """`on_disk`: the file of `size` bytes is written already."""
        if not self._room.lacks(size, waiting=self._bytes, on_disk=on_disk):
            return
        order = victims(self._held.values(), self._in_flight)
        self._room.check(size, order, on_disk=on_disk)
        count = 0
        for entry in order:
            if count and not self._room.lacks(size, waiting=self._bytes, on_disk=on_disk):
                break
            if self._delete(entry.id):
                count += 1
                self._tally.evicted += 1
                self._tally.untold += 1
                self._tally.untold_bytes += entry.size
                if self._evicted_one:
                    self._evicted_one(entry.id)
        if count and not self._tell_evicted():
            self._count()

    def _tell_evicted(self) -> bool:
        tally = self._tally
        if not (tally.untold and self.on_evicted and self.on_evicted(tally.untold, tally.untold_bytes)):
            return False
        tally.untold = tally.untold_bytes = 0
        self._count()
        return True

    def _count(self) -> None:
        self._index.write(lambda database: write_tally(database, self._tally))
