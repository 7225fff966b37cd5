"""What the outbox gives up, in which order, when it or the disk is full; and how much that was."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from meerkat_contract.errors import StorageError

from .files import Entry, disk, storage_error

RESERVE = 20_000_000
"""Bytes left free on the disk, or a twentieth of a small one, so that the next clip can be written at all."""


@dataclass(slots=True)
class Tally:
    """Kept in the database, so that a restart does not begin to count anew; a damaged database does."""

    evicted: int = 0
    refused: int = 0
    untold: int = 0
    """Of what was evicted: what the hub has not heard of."""
    untold_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Room:
    """The bounds of one outbox."""

    folder: Path
    max_bytes: int

    def lacks(self, size: int, *, waiting: int, on_disk: bool) -> bool:
        """Whether something has to go for a file of `size` bytes, which may be `on_disk` already."""
        if waiting + size > self.max_bytes:
            return True
        with disk(self.folder):
            usage = shutil.disk_usage(self.folder)
        return usage.free < min(RESERVE, usage.total // 20) + (0 if on_disk else size)

    def check(self, size: int, victims: Iterable[Entry], *, on_disk: bool) -> None:
        """Raises StorageError where giving up all of `victims` would not help: then they stay."""
        if size > self.max_bytes:
            raise StorageError(
                f"{size / 1e6:.1f} MB are more than the whole outbox may hold",
                where=str(self.folder),
                remedy="Allow more: devices.<name>.outbox.max_bytes",
            )
        with disk(self.folder):
            free = shutil.disk_usage(self.folder).free
        if not on_disk and free + sum(entry.size for entry in victims) < size:
            raise storage_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), self.folder)


_GO = ("clip", "picture", "seen")
"""What goes first. A reading is small, and all that is left of a picture that went."""


def victims(entries: Iterable[Entry], on_their_way: Collection[str]) -> list[Entry]:
    """Clips first, the oldest first, then pictures, then readings; never what is on its way just now."""
    order = sorted(entries, key=lambda entry: (_GO.index(entry.kind), entry.seq))
    return [entry for entry in order if entry.id not in on_their_way]
