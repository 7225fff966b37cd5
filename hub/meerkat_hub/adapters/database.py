"""Opening the hub's database: SQLite in WAL mode, brought to the current schema by Alembic."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from meerkat_contract.errors import StorageError

HEAD = "0006"
"""The newest revision under migrations/versions."""


LOOK = "Look at the disk's space and health, and at the hub's log"


@contextmanager
def connected(
    engine: Engine, *, write: bool = False, what: str = "the database refused a", remedy: str = LOOK
) -> Iterator[Connection]:
    """A connection, or for `write` a transaction, whose errors are StorageError."""
    try:
        with engine.begin() if write else engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise StorageError(
            f"{what} {'write' if write else 'read'} ({cause})",
            where=str(engine.url.database),
            remedy=remedy,
        ) from error


def open_database(path: Path) -> Engine:
    """Create or upgrade the database and return its engine.

    Commits are durable when they return (synchronous=FULL): a device forgets a clip on our receipt.
    Raises StorageError when the file is damaged, newer than this program, or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
    event.listen(engine, "connect", _configure)
    try:
        _upgrade(engine, path)
    except (DBAPIError, sqlite3.Error) as error:
        engine.dispose()
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise StorageError(
            f"the database cannot be used ({cause})",
            where=str(path),
            remedy="Check that the disk has space and the folder is writable; "
            "a damaged file can be moved away, the hub then starts with an empty one",
        ) from error
    return engine


def _configure(connection: Any, record: object) -> None:
    del record
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.close()


def _upgrade(engine: Engine, path: Path) -> None:
    with engine.begin() as connection:
        have = ""
        if inspect(connection).has_table("alembic_version"):
            have = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""
        if have == HEAD:
            return
        if have > HEAD:
            raise StorageError(
                f"the database has schema {have}, this program knows {HEAD}",
                where=str(path),
                remedy="Install the newer version of Meerkat that wrote it",
            )
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
