"""A meter's pictures on the device's own disk, named by local time: `2026-11-20_0815.jpg`.

Bounded by count, bytes and days, the oldest going first. Only files with such a name are counted and
removed, so the folder may be shared with other things.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

from meerkat_contract.errors import StorageError
from meerkat_devices.settings.photo import ArchiveSettings

_NAME = re.compile(r"(\d{4}-\d\d-\d\d_\d{4})(?:_(\d{1,4}))?\.jpg")
_HALF = ".meerkat-half-written"


@dataclass(frozen=True, slots=True, order=True)
class _Kept:
    minute: str
    number: int
    size: int
    path: Path


class Archive:
    """Used by one thread; nobody else writes pictures with such names into its folder."""

    def __init__(self, folder: Path, settings: ArchiveSettings, *, zone: tzinfo) -> None:
        """Touches nothing yet: a disk that is not mounted now may be when it is used."""
        self.folder = folder
        self._settings = settings
        self._zone = zone

    def add(self, picture: bytes, taken: datetime, *, dated: bool = True) -> Path:
        """Keep a JPEG, whole or not at all, then remove what is too much. Returns its path.

        A second picture of one minute (and of the hour that comes twice in autumn) gets `_2`. `dated`:
        the clock is set, so that ages can be told. Raises StorageError.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = sorted(self._kept())
            minute = f"{taken.astimezone(self._zone):%Y-%m-%d_%H%M}"
            number = 1 + max((one.number for one in kept if one.minute == minute), default=0)
            self._make_room(kept, len(picture), taken if dated else None)
            name = f"{minute}.jpg" if number == 1 else f"{minute}_{number}.jpg"
            return self._write(picture, self.folder / name)
        except OSError as error:
            raise StorageError(
                f"the picture is not in the archive ({error.strerror})",
                where=str(self.folder),
                remedy="Is the disk full, or not mounted? It went to the hub all the same",
            ) from None

    def _write(self, picture: bytes, path: Path) -> Path:
        half = self.folder / _HALF
        try:
            with half.open("wb") as file:
                file.write(picture)
                file.flush()
                os.fsync(file.fileno())
            half.replace(path)
        except OSError:
            half.unlink(missing_ok=True)  # a full disk gets its space back
            raise
        self._sync_folder()
        return path

    def _sync_folder(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _make_room(self, kept: Sequence[_Kept], size: int, now: datetime | None) -> None:
        """Remove the oldest, which come first in `kept`, until one more of `size` fits."""
        files, room = len(kept) + 1, sum(one.size for one in kept) + size
        since = ""
        if now is not None:
            days = timedelta(days=self._settings.keep_days)
            since = f"{now.astimezone(self._zone) - days:%Y-%m-%d_%H%M}"
        for one in kept:
            enough = files <= self._settings.max_files and room <= self._settings.max_bytes
            if enough and one.minute >= since:
                return
            one.path.unlink(missing_ok=True)
            files, room = files - 1, room - one.size

    def _kept(self) -> list[_Kept]:
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if match := _NAME.fullmatch(entry.name):
                    size = entry.stat(follow_symlinks=False).st_size
                    found.append(_Kept(match[1], int(match[2] or 1), size, Path(entry.path)))
        return found
