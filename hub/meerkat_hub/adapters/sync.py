"""Making many files durable with few syncs.

To sync files one by one costs the disk a flush for each file and each folder, 5 ms and more on an SD
card. Linux can also sync a whole file system at once (syncfs): one flush for any number of files, but it
waits for what other programs have written, too. So both ways are timed, and the quicker is taken.
"""

from __future__ import annotations

import ctypes
import os
import re
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

THREADS = 8
"""Files synced at a time: the kernel makes few flushes of many that are asked for together."""

FEW = 5
"""Fewer are not worth a thread."""

SMOOTHING = 0.3
"""Of a new measurement in what is expected of either way."""

LOOK_AGAIN = 64
"""Groups after which the way that was slower is tried again."""

TRUSTED = (5, 8)
"""The first Linux whose syncfs tells of what could not be written."""


class Syncer:
    """Of the file system that `root` is on. Used by one thread at a time."""

    def __init__(self, root: Path, whole: Callable[[int], None] | None = None) -> None:
        """`whole` syncs the file system of a descriptor, or raises OSError; the kernel's unless told.

        The descriptor stays open, since the kernel tells of errors since it was opened.
        """
        self._whole = whole or _kernels_syncfs()
        self._threads: ThreadPoolExecutor | None = None
        self._per_file: float | None = None
        """Seconds for each of a group, when they are synced one by one."""
        self._per_group: float | None = None
        """Seconds for the whole file system."""
        self._groups = 0
        self._root = os.open(root, os.O_RDONLY)
        weakref.finalize(self, os.close, self._root)

    def sync(self, paths: Sequence[str]) -> None:
        """Return once these files and folders are on the disk. Raises OSError that may name one of them."""
        if not paths:
            return
        self._groups += 1
        began = perf_counter()
        if self._takes_whole(len(paths)) and self._sync_whole():
            self._per_group = _smooth(self._per_group, perf_counter() - began)
            return
        began = perf_counter()
        if len(paths) < FEW:
            for path in paths:
                _sync_one(path)
        else:
            self._threads = self._threads or ThreadPoolExecutor(THREADS, "sync")
            for _ in self._threads.map(_sync_one, paths):
                pass
        self._per_file = _smooth(self._per_file, (perf_counter() - began) / len(paths))

    def _takes_whole(self, count: int) -> bool:
        if self._whole is None or count == 1:
            return False
        if self._per_group is None or self._per_file is None:
            return self._per_group is None
        quicker = self._per_group <= self._per_file * count
        return quicker != (self._groups % LOOK_AGAIN == 0)

    def _sync_whole(self) -> bool:
        """False when something could not be written. It may be another program's, so ask of each file."""
        assert self._whole is not None
        try:
            self._whole(self._root)
        except OSError:
            return False
        return True


def _sync_one(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(descriptor)


def _smooth(before: float | None, seconds: float) -> float:
    return seconds if before is None else before + SMOOTHING * (seconds - before)


def _kernels_syncfs() -> Callable[[int], None] | None:
    """None on a system without it, or whose kernel keeps silent about errors."""
    system = os.uname()
    version = re.match(r"(\d+)\.(\d+)", system.release)
    if system.sysname != "Linux" or not version or (int(version[1]), int(version[2])) < TRUSTED:
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if function is None:
        return None

    def syncfs(descriptor: int) -> None:
        if function(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return syncfs
