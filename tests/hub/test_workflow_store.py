"""Workflows and their events in the database: kept, found again, and gone in their time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, insert, select, text, update

import meerkat_hub.adapters
from hub_support.orchestra import a_spec
from meerkat_contract.ids import format_time, new_id
from meerkat_contract.messages import EventState
from meerkat_hub.adapters import schema as db
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.queries import Filter, Queries
from meerkat_hub.adapters.retention import Retention
from meerkat_hub.adapters.store import Store
from meerkat_hub.core.outputs import Announce, EventSaved
from meerkat_hub.core.records import EventRecord
from meerkat_hub.core.workflow_records import Stored, WorkflowRemoved, WorkflowStored
from meerkat_hub.settings import RetentionSettings

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class House:
    def __init__(self, folder: Path) -> None:
        self.engine = open_database(folder / "hub.db")
        self.media = MediaFolder(folder / "media")
        self.store, self.queries = Store(self.engine), Queries(self.engine)

    def event(self, age: timedelta, *, workflow: str = "lobby", kept: bool = False, size: int = 1000) -> str:
        event_id, at = new_id(), NOW - age
        state = EventState(
            id=event_id,
            device="porch",
            camera="front",
            label="face",
            category="person",
            score=0.9,
            box=(0.1, 0.1, 0.2, 0.4),
            start_time=at,
            end_time=at,
            picture_time=at,
            revision=2,
            has_picture=True,
            identity="ada",
            workflow=workflow,
            alert=True,
            reason="ada is forbidden here",
        )
        name = f"{event_id}-2"
        self.media.place(self.media.receive(b"x" * size), self.media.path("events", name, ".jpg"))
        change = EventSaved(EventRecord(state, (), ended=True))
        self.store.commit([change], announced=[], now=NOW, pictures={event_id: name})
        if kept:
            self.queries.keep_event(event_id, True)
        return event_id

    def sweep(self, **limits: float) -> None:
        settings = RetentionSettings(**{"days": 14, "reserve_megabytes": 0, **limits})
        Retention(self.engine, self.media, settings).sweep(NOW)

    def left(self) -> set[str]:
        events = {event.state.id for event in self.queries.events(Filter())}
        assert {file.path.stem[:36] for file in self.media.files("events")} == events
        return events


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.engine.dispose()


def test_workflows_are_kept_by_age_and_forgotten(house: House) -> None:
    specs = [a_spec(n + 1, shared=False, weight=2.5) for n in range(3)]
    stored = [
        Stored(name, spec, NOW - timedelta(days=n))
        for n, (name, spec) in enumerate(zip("abc", specs, strict=False))
    ]
    for one in stored:
        house.store.commit([WorkflowStored(one)], announced=[], now=NOW, pictures={})
    assert house.store.workflows() == stored[::-1]
    again = Stored("a", a_spec(7), NOW)
    changes = [WorkflowRemoved("b"), WorkflowStored(again)]
    house.store.commit(changes, announced=[], now=NOW, pictures={})
    assert house.store.workflows() == [stored[2], again]


def test_a_workflow_of_another_version_is_said_and_left(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with house.engine.begin() as connection:
        connection.execute(insert(db.workflows).values(name="odd", spec='{"cameras": 3}', at=NOW))
    assert house.store.workflows() == []
    assert "workflow odd" in caplog.text
    with house.engine.connect() as connection:
        assert connection.execute(select(db.workflows.c.name)).scalars().all() == ["odd"]


def test_events_of_a_workflow_are_found_by_it(house: House) -> None:
    mine, other = house.event(timedelta(0)), house.event(timedelta(0), workflow="hall")
    assert [event.state.id for event in house.queries.events(Filter(workflow="lobby"))] == [mine]
    assert {event.state.id for event in house.queries.events(Filter())} == {mine, other}
    found = house.queries.event(mine)
    assert found is not None
    assert found.state.recording is None
    assert found.state.alert


def test_an_event_goes_at_its_age_and_not_a_millisecond_before(house: House) -> None:
    house.event(timedelta(days=14, milliseconds=1))
    young = house.event(timedelta(days=14))
    kept = house.event(timedelta(days=30), kept=True)
    house.sweep()
    assert house.left() == {young, kept}


def test_the_oldest_events_go_when_they_are_too_many_bytes(house: House) -> None:
    events = [house.event(timedelta(hours=100 - n), size=1000) for n in range(45)]
    house.sweep(gigabytes=25_000 / 1e9)
    assert house.left() == set(events[20:]), "in the steps in which the sweeper writes"


def test_an_event_stays_until_its_picture_is_published(house: House) -> None:
    event = house.event(timedelta(days=15))
    waiting = Announce("meerkat/camera/porch/front/event/picture", event_picture=event)
    (fresh,) = house.store.commit([waiting], announced=[], now=NOW, pictures={})
    house.sweep()
    assert house.left() == {event}
    house.store.commit([], announced=[fresh.seq], now=NOW, pictures={})
    house.sweep()
    assert house.left() == set()


def test_events_of_recordings_survive_the_migration(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    folder = Path(meerkat_hub.adapters.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    recording, event = new_id(), new_id()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        at = format_time(NOW)
        values = {"id": event, "recording": recording, "at": at}
        connection.execute(
            text("INSERT INTO recordings VALUES (:recording, 'porch', 'front', :at, 0)"), values
        )
        columns = "id, device, camera, recording, label, score, state, start_time, end_time, ended, kept"
        row = ":id, 'porch', 'front', :recording, 'person', 0.9, '{}', :at, :at, 1, 1"
        connection.execute(text(f"INSERT INTO events ({columns}, members) VALUES ({row}, '[]')"), values)
    engine.dispose()
    new = open_database(path)
    with new.begin() as connection:
        row = connection.execute(select(db.events)).one()
        assert (row.id, row.recording, row.workflow, row.kept) == (event, recording, None, True)
        connection.execute(update(db.events).values(recording=None))
        query = text("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'events'")
        indexes = set(connection.execute(query).scalars())
        expected = {"events_of_camera", "events_of_workflow", "ix_events_recording", "ix_events_start_time"}
        assert expected <= indexes
    new.dispose()
