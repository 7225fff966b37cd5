"""Videos with the boxes drawn in: they lie in the cloud's bucket, and come home when one is asked for."""

from __future__ import annotations

import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from meerkat_contract.errors import StorageError

KEPT = 16
"""Videos that are kept at home: a player asks for one many times, in ranges."""


class AnnotatedVideos:
    """May be used by several threads; one video is fetched at a time."""

    def __init__(self, folder: Path, fetch: Callable[[str, Path], None], *, kept: int = KEPT) -> None:
        """`fetch` brings the video of a clip to a path, whole or not at all; it raises CloudError, and Gone
        where there is none."""
        self._folder = folder
        self._fetch = fetch
        self._most = kept
        self._here: OrderedDict[str, Path] = OrderedDict()
        """By clip; the one that was asked for last at the end."""
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Remove what an earlier run left."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def path(self, clip: str) -> Path:
        """Where the video of a clip lies now. Raises Gone, CloudError, StorageError."""
        with self._lock:
            if clip not in self._here:
                self._here[clip] = self._bring(clip)
            self._here.move_to_end(clip)
            while len(self._here) > self._most:
                _, oldest = self._here.popitem(last=False)
                oldest.unlink(missing_ok=True)
            return self._here[clip]

    def _bring(self, clip: str) -> Path:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"the folder cannot be made ({error.strerror})",
                where=str(self._folder),
                remedy="Check the disk's space and the folder's permissions",
            ) from error
        path = self._folder / f"{clip}.mp4"
        self._fetch(clip, path)
        return path
