"""Media files beside the database, named by id, spread over 256 folders.

    clips/3f/<id>.mp4      pictures/3f/<id>.jpg      events/3f/<id>-<revision>.jpg      incoming/

A file is written to `incoming/`, synced, and moved to its place before the row that names it is
committed. So a row always has its file; a file without a row is left over from a crash and goes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from meerkat_contract.errors import StorageError
from meerkat_contract.ids import is_id, new_id

SUFFIXES = {"video/mp4": ".mp4", "image/jpeg": ".jpg"}
KINDS = ("clips", "pictures", "events")


class MediaFolder:
    def __init__(self, root: Path) -> None:
        self.root = root
        for name in (*KINDS, "incoming"):
            (root / name).mkdir(parents=True, exist_ok=True)

    def path(self, kind: str, name: str, suffix: str = ".mp4") -> Path:
        """Where a file belongs. `name` starts with a UUID made by the program, never by a person."""
        if kind not in KINDS or not is_id(name[:36]):
            raise StorageError(f"{name!r} is not a media id", where=kind)
        return self.root / kind / name[34:36] / (name + suffix)

    def receive(self, payload: bytes | bytearray | memoryview) -> Path:
        """Write and sync bytes to a new file in incoming/. Raises StorageError."""
        path = self.root / "incoming" / new_id()
        try:
            with path.open("wb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            path.unlink(missing_ok=True)
            raise StorageError(
                f"cannot write ({error.strerror})", where=str(path), remedy="Free some space on the disk"
            ) from error
        return path

    def place(self, incoming: Path, final: Path) -> None:
        """Move a received file to its place, durably."""
        try:
            final.parent.mkdir(exist_ok=True)
            incoming.replace(final)
            folder = os.open(final.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StorageError(
                f"cannot write ({error.strerror})", where=str(final), remedy="Check the disk"
            ) from error

    def clear_incoming(self) -> int:
        """Remove what a crash left half received; returns how many."""
        left = list((self.root / "incoming").iterdir())
        for path in left:
            path.unlink()
        return len(left)

    def files(self, kind: str) -> Iterator[Path]:
        for folder in (self.root / kind).iterdir():
            if folder.is_dir():
                yield from folder.iterdir()

    def remove(self, paths: Iterable[Path]) -> int:
        """Delete files that may be gone already; returns the bytes freed."""
        freed = 0
        for path in paths:
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                continue
            freed += size
        return freed

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.root).free


def suffix_of(content_type: str) -> str:
    return SUFFIXES.get(content_type, ".bin")
