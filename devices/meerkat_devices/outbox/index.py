"""The rows of an outbox: its folder's database, open while all is well.

What fails is let go of at once and opened again when it is wanted next, with rows and files made to agree:
so a disk that failed can be taken away, repaired and mounted again. The files are the truth, and a change of
the rows that fails is only told.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from meerkat_contract.errors import MeerkatError, StorageError

from .database import Lasting, refusal
from .files import disk, trim
from .repair import Opened, open_folder


class Index:
    """Every method is called by one thread at a time, and raises StorageError when the disk refuses."""

    def __init__(
        self,
        folder: Path,
        refused_folder: Path,
        *,
        refused_bytes: int,
        opened: Callable[[Opened], None],
        tell: Callable[[MeerkatError], None],
    ) -> None:
        """`opened` hears what was found, also when it is opened again; `tell` what hindered nobody."""
        self._folder = folder
        self._refused_folder = refused_folder
        self._refused_bytes = refused_bytes
        self._opened = opened
        self._tell = tell
        self._lock_file: TextIOWrapper | None = None
        self._used = self.closed = False
        self.database: sqlite3.Connection | None = None
        """None while it is not open."""

    def open(self) -> None:
        """At the start, and again after an error of the database."""
        if self.database:
            return
        if self.closed:
            raise StorageError("the outbox is closed", where=str(self._folder))
        with disk(self._folder):
            self._refused_folder.mkdir(parents=True, exist_ok=True)
        self._claim()
        try:
            trim(self._refused_folder, self._refused_bytes)
            found = open_folder(self._folder, self._refused_folder, running=self._used)
        except sqlite3.Error as error:
            self._let_go()
            raise refusal(self._folder, error) from error
        except BaseException:
            self._let_go()
            raise
        self.database, self._used = found.database, True
        self._opened(found)

    def close(self) -> None:
        """For good."""
        self.closed = True
        self._let_go()

    def write(self, change: Callable[[sqlite3.Connection], object]) -> None:
        """Change the rows. A change that fails is only told: the files are the truth."""
        try:
            with self.queried() as database:
                change(database)
        except StorageError as error:
            self._let_go()  # opened again, and made to agree with the files, at the next call
            self._tell(error)

    @contextmanager
    def queried(self) -> Iterator[sqlite3.Connection]:
        """The open database, opened again if need be. What it refuses is a StorageError."""
        self.open()
        assert self.database is not None
        try:
            yield self.database
        except sqlite3.Error as error:
            self._let_go()
            raise refusal(self._folder, error) from error

    def _claim(self) -> None:
        """The system gives the lock back when the process ends, however it ends."""
        if self._lock_file:
            return
        with disk(self._folder):
            file = (self._folder / "lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise Lasting(
                "another process uses this outbox",
                where=str(self._folder),
                remedy="Is the same device running already? Give this one another --name",
            ) from None
        self._lock_file = file

    def _let_go(self) -> None:
        """Nothing is held open."""
        if self.database:
            with suppress(sqlite3.Error):  # it is in trouble; the next one says what
                self.database.close()
            self.database = None
        if self._lock_file:
            self._lock_file.close()
            self._lock_file = None
