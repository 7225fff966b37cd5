"""An outbox of before files told by themselves what they are (schema 1): each is sealed by what its row says.

May be broken off at any instant and done again: the old database goes last, and a file is cut to its
payload before it is sealed.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from meerkat_contract.metadata import Metadata

from .database import FILE_NAME
from .files import seal, sync

_log = logging.getLogger("meerkat.device")


def seal_all(folder: Path) -> None:
    """Seal every file that has a row, and take the old database away. Raises sqlite3.Error, OSError,
    StorageError. What has no row, or not its size, is left as it is: it was never whole."""
    database = folder / FILE_NAME
    with closing(sqlite3.connect(database, isolation_level=None, timeout=10)) as old:
        rows = old.execute("SELECT seq, id, topic, metadata, retain, size FROM entry ORDER BY seq").fetchall()
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sealed = 0
    for seq, entry_id, topic, text, retain, size in rows:
        path = folder / f"{entry_id}.bin"
        if not path.exists():
            path = folder / f"{entry_id}.part"  # it had its row before its name
        try:
            metadata = Metadata.model_validate_json(text)
        except ValueError:
            continue
        if not path.exists() or path.stat().st_size < size:
            continue
        os.truncate(path, size)
        seal(path, seq, topic, metadata, retain=bool(retain))
        sync(path)
        sealed += 1
    database.unlink()
    sync(folder)
    _log.info("outbox: %d files of an earlier version taken over", sealed)
