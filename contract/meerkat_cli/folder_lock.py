"""One `meerkat up` for a data folder, and nobody who changes the folder under its feet."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from meerkat_contract.errors import UsageError

LOCK_FILE = "up.lock"


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[bool]:
    """Hold the data folder for this run; yields whether the run before was killed.

    The kernel lets go of the lock however we end. The file keeps our process id only until an
    orderly end, which is how the next run knows.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / LOCK_FILE).open("a+")
    except OSError as error:
        raise UsageError(
            f"the data folder cannot be used ({error.strerror or error})",
            where=str(folder),
            remedy="Name another with --data",
        ) from None
    with file:
        file.seek(0)
        before = file.read().strip()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"another `meerkat up` uses this data folder (process {before or 'unknown'})",
                where=str(folder),
                remedy="End it first, or give this one its own folder with --data",
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield bool(before)
        file.truncate(0)
