"""The database: its schema, one transaction per decision, and what it says when it cannot."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import meerkat_hub.adapters
from hub_support.core_driver import CoreDriver, track
from meerkat_contract.errors import StorageError
from meerkat_hub.adapters import schema as db
from meerkat_hub.adapters.database import HEAD, open_database
from meerkat_hub.adapters.store import Store
from meerkat_hub.core.machine import HubCore


def test_the_migrations_make_the_schema_that_the_code_uses(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "hub.db")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), db.metadata) == []
    engine.dispose()
    folder = Path(meerkat_hub.adapters.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


def test_every_opening_is_a_new_epoch(tmp_path: Path) -> None:
    epochs = []
    for _ in range(3):
        engine = open_database(tmp_path / "hub.db")
        epochs.append(Store(engine).new_epoch())
        engine.dispose()
    assert epochs == [1, 2, 3]


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "hub.db").write_bytes(b"this is no database, it only looks like a file" * 50)
    with pytest.raises(StorageError, match=r"hub\.db.*moved away"):
        open_database(tmp_path / "hub.db")


def test_a_database_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    open_database(tmp_path / "hub.db").dispose()
    with sqlite3.connect(tmp_path / "hub.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StorageError, match="newer version"):
        open_database(tmp_path / "hub.db")


def test_a_core_loaded_from_the_database_goes_on_where_it_was(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "hub.db")
    store, before = Store(engine), CoreDriver()
    before.worker("one")
    before.worker("two")
    before.answer(before.clip(1, sequence=0), track(x=(0.0, 0.3)))
    held = before.clip(2, sequence=1)
    third = before.clip(3, sequence=2, last=True)
    before.answer(third, track(x=(0.62, 0.9), score=0.9))
    [first_event] = before.events()
    store.commit(before.changes, announced=[], now=before.now.wall, pictures={first_event.after.id: "x"})

    after = CoreDriver()
    loaded = store.load()
    assert [clip.id for clip in loaded.waiting] == [held.id]
    after.core = HubCore(epoch=2, new_id=after._new_id)
    after.core.load(loaded.recordings, loaded.waiting, after.now)
    after.core.bus_up = True
    decision_clips = [clip.id for clip in after.core.waiting.values()]
    assert decision_clips == [held.id]
    after.check = lambda: None  # type: ignore[method-assign]  # its changes begin in the middle
    after.worker(window=3)
    after.answer(held, track(x=(0.31, 0.6)))
    ids = {event.after.id for event in after.events()}
    assert ids == {first_event.after.id}, "one person, one event, over the restart"
    assert after.events()[-1].type == "end"
    assert after.events()[-1].after.score == pytest.approx(0.9)
    engine.dispose()


def test_a_refused_write_changes_nothing_and_says_so(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "hub.db")
    store, core = Store(engine), CoreDriver()
    core.clip(1)
    store.commit(core.changes, announced=[], now=core.now.wall, pictures={})
    done = len(core.changes)
    core.clip(2, sequence=1)
    again = CoreDriver()
    again.clip(1)  # the same id: the second insert of the batch breaks its key
    with pytest.raises(StorageError, match="refused a write"):
        store.commit([*core.changes[done:], *again.changes], announced=[], now=core.now.wall, pictures={})
    assert store.totals()["received"] == 1
    engine.dispose()
