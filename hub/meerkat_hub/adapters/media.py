"""Media files beside the database, named by id, spread over 256 folders.

    clips/3f/<id>.mp4      pictures/3f/<id>.jpg      events/3f/<id>-<revision>.jpg      incoming/

A file is written to its place, or to `incoming/` and moved there, and synced with the others of its batch
before the rows that name them are committed. So a row always has its file; a file without a row is left
over from a crash and goes.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from meerkat_contract.errors import StorageError
from meerkat_contract.ids import is_id, new_id
from meerkat_contract.put_back import media_left_out

from .sync import Syncer

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

SUFFIXES = {"video/mp4": ".mp4", "image/jpeg": ".jpg"}
KINDS = ("clips", "pictures", "events")

LATELY = 16_000_000
"""Bytes of what came last that stay in memory, since mostly a worker is sent it at once."""

_RIGHTS = "Let the user that runs the hub write to this folder (chown, chmod), or name another with --data"
_WORDS = {
    errno.ENOSPC: (
        "the disk is full",
        "Free some space, lower hub.retention.gigabytes, or raise hub.retention.reserve_megabytes",
    ),
    errno.EDQUOT: (
        "this user's quota of the disk is used up",
        "Free some space, raise the quota, or lower hub.retention.gigabytes",
    ),
    errno.EACCES: ("permission is denied", _RIGHTS),
    errno.EPERM: ("permission is denied", _RIGHTS),
    errno.EROFS: (
        "the disk is read-only",
        "Mount it for writing; a worn SD card turns read-only by itself, the kernel's log (dmesg) says so",
    ),
    errno.EIO: (
        "the disk reports an error of its own",
        "Look at the kernel's log (dmesg), save what you need, and replace the disk or card",
    ),
    errno.ENOENT: (
        "the folder is not there",
        "If it is on a disk of its own, mount that; then start the hub again, which makes its folders",
    ),
}
"""errno → what is wrong and what helps."""


@dataclass(frozen=True, slots=True)
class MediaFile:
    path: Path
    size: int
    """Bytes."""
    modified: float
    """Seconds since 1970."""


class MediaFolder:
    """Every method raises StorageError, in words, when the disk refuses."""

    def __init__(self, root: Path, *, syncer: Syncer | None = None) -> None:
        """Makes the folders; raises OSError when it cannot."""
        self.root = root
        for name in (*KINDS, "incoming"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self._incoming = root / "incoming"
        self._syncer = syncer or Syncer(root)
        self._lately = _Lately(LATELY)

    def path(self, kind: str, name: str, suffix: str = ".mp4") -> Path:
        """Where a file belongs. `name` starts with a UUID made by the program, never by a person."""
        if kind not in KINDS or not is_id(name[:36]):
            raise StorageError(f"{name!r} is not a media id", where=kind)
        return Path(f"{self.root}/{kind}/{name[34:36]}/{name}{suffix}")

    def receive(self, payload: bytes, final: Path | None = None) -> Path:
        """Write bytes to a new file: at `final` if its folder is there and empty of it, else in incoming/;
        answers where.

        They are durable once they are placed.
        """
        path, descriptor = final, None
        try:
            if final is not None:
                descriptor = self._create(final)
            if path is None or descriptor is None:
                path = self._incoming / new_id()
                descriptor = os.open(path, NEW, 0o666)
            else:
                self._lately.add(path, payload)
            try:
                left = memoryview(payload)
                while left:
                    left = left[os.write(descriptor, left) :]
            finally:
                os.close(descriptor)
        except OSError as error:
            where = path or self._incoming
            if descriptor is not None:
                self.discard([where])  # the first error is the one to tell
            raise _refused("written", where, error) from error
        return path

    @staticmethod
    def _create(path: Path) -> int | None:
        """The descriptor of a new file; None where there is one, or no folder: `place_all` makes that."""
        try:
            return os.open(path, NEW, 0o666)
        except (FileExistsError, FileNotFoundError):
            return None

    def read(self, path: Path) -> bytes:
        """A file's bytes; raises OSError."""
        return self._lately.take(path) or path.read_bytes()

    def unreadable(self, path: Path, error: OSError, *, taken: datetime) -> str:
        """Why `read` failed, and what helps; `taken`: when the clip or picture was."""
        if not isinstance(error, FileNotFoundError) or not self.root.is_dir():
            return str(_refused("read", path, error))
        made_at = media_left_out(self.root.parent)
        if made_at is not None and taken <= made_at:
            return (
                f"it is not in the backup of {made_at:%Y-%m-%d %H:%M} that was put back: "
                "`meerkat backup --media` takes clips and pictures too"
            )
        return f"{path}: its file was removed. The hub removes none that waits, so somebody else did"

    def place(self, incoming: Path, final: Path) -> None:
        """Move a received file to its place, durably."""
        self.place_all([(incoming, final)])

    def place_all(self, moves: Sequence[tuple[Path, Path]]) -> None:
        """Move received files to their places, unless they are there, and return when all of it is on the
        disk.

        When the disk refuses one, none of them is left, neither here nor there.
        """
        to_sync: dict[str, None] = {}
        where = self.root
        try:
            for incoming, final in moves:
                where = final
                self._move(incoming, final, to_sync)
            self._syncer.sync(list(to_sync))
        except OSError as error:
            self.discard(chain.from_iterable(moves))  # the first error is the one to tell
            raise _refused("written", where, error) from error

    @staticmethod
    def _move(incoming: Path, final: Path, to_sync: dict[str, None]) -> None:
        """Move, and note what has to be synced: the file, its folder, and what holds a new folder."""
        folder = final.parent
        try:
            if incoming != final:
                incoming.replace(final)
        except FileNotFoundError:
            folder.mkdir(exist_ok=True)
            to_sync[str(folder.parent)] = None
            incoming.replace(final)
        to_sync[str(final)] = to_sync[str(folder)] = None

    @staticmethod
    def discard(paths: Iterable[Path]) -> None:
        """Remove files that have no row and will have none. What the disk refuses goes at the next start."""
        for path in paths:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def clear_incoming(self) -> int:
        """Remove what a crash left half received; returns how many."""
        folder = self.root / "incoming"
        try:
            left = list(folder.iterdir())
        except OSError as error:
            raise _refused("read", folder, error) from error
        self.remove(left)
        return len(left)

    def files(self, kind: str) -> Iterator[MediaFile]:
        """Every file of a kind that is there now; what goes meanwhile is left out."""
        for folder in self._folders(kind):
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        with suppress(FileNotFoundError):
                            stat = entry.stat()
                            yield MediaFile(Path(entry.path), stat.st_size, stat.st_mtime)
            except OSError as error:
                raise _refused("read", folder, error) from error

    def _folders(self, kind: str) -> list[Path]:
        try:
            return [folder for folder in (self.root / kind).iterdir() if folder.is_dir()]
        except OSError as error:
            raise _refused("read", self.root / kind, error) from error

    def remove(self, paths: Iterable[Path]) -> int:
        """Delete files that may be gone already; returns the bytes freed.

        When one cannot be removed the others still go; the first refusal is raised at the end.
        """
        freed = 0
        refused: StorageError | None = None
        for path in paths:
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                refused = refused or _refused("removed", path, error)
                continue
            freed += size
        if refused is not None:
            raise refused
        return freed

    def free_bytes(self) -> int:
        """What the disk of this folder has left for a plain user."""
        try:
            return shutil.disk_usage(self.root).free
        except OSError as error:
            raise _refused("read", self.root, error) from error


class _Lately:
    """What was written last, by its path; each is taken once. From any thread."""

    def __init__(self, room: int) -> None:
        """`room` in bytes."""
        self._room = room
        self._held: OrderedDict[Path, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, path: Path, payload: bytes) -> None:
        with self._lock:
            self._room += len(self._held.pop(path, b"")) - len(payload)
            self._held[path] = payload
            while self._room < 0:
                self._room += len(self._held.popitem(last=False)[1])

    def take(self, path: Path) -> bytes | None:
        with self._lock:
            payload = self._held.pop(path, None)
            self._room += len(payload or b"")
        return payload


def suffix_of(content_type: str) -> str:
    return SUFFIXES.get(content_type, ".bin")


def _refused(done: str, where: Path, error: OSError) -> StorageError:
    reason, remedy = _WORDS.get(
        error.errno or 0,
        (f"{error.strerror or error}", "Look at the disk and at the kernel's log (dmesg)"),
    )
    return StorageError(f"it cannot be {done}: {reason}", where=str(where), remedy=remedy)
