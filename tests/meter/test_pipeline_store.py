"""Meters in the database: what an older one becomes, what is loaded again, what is kept and what goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text

import meerkat_hub.adapters
from hub_support.web_house import NOW, WebHouse
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.meter_queries import PIECE, MeterQueries, Wanted
from meerkat_hub.adapters.store import Store
from meerkat_hub.core.meter_records import (
    LayoutSaved,
    PictureIsExample,
    PictureSettled,
    PictureTried,
    PictureWaits,
    RowSaved,
    SettingsSaved,
)
from meerkat_hub.core.meters.history import KEEP
from meerkat_hub.core.meters.rows import Learnt, ReadingRow
from meerkat_hub.core.meters.settings import MeterSettings
from meter_support.pipeline import LAYOUT, WATER, an_id, counter

MIGRATIONS = Path(meerkat_hub.adapters.__file__).parent / "migrations"


def migrate(database: Path, revision: str, *, down: bool = False) -> None:
    engine = create_engine(f"sqlite:///{database}")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, revision)
    engine.dispose()


def test_pictures_of_an_older_database_are_kept_and_not_read(tmp_path: Path) -> None:
    file = tmp_path / "hub.db"
    migrate(file, "0004")
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO meter_pictures (id, device, meter, captured_at, received_at, size, trigger, "
                "file) VALUES ('p', 'basement', 'water', '2026-11-20T08:00:00.000Z', "
                "'2026-11-20T08:00:00.000Z', 9, 'schedule', 1)"
            )
        )
    engine.dispose()
    engine = open_database(file)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT state, attempts FROM meter_pictures")).one() == ("kept", 0)
    assert Store(engine).meters().waiting == ()
    engine.dispose()
    migrate(file, "0004", down=True)
    engine = create_engine(f"sqlite:///{file}")
    assert not inspect(engine).has_table("readings")
    engine.dispose()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[WebHouse]:
    made = WebHouse(tmp_path)
    yield made
    made.close()


def row(number: int, *, value: float = 1.0, hours: float = 0.0, told: float | None = None) -> ReadingRow:
    return ReadingRow(
        an_id(number), NOW + timedelta(hours=hours), seen=counter(value), told=told, verdict="accepted",
        value=value, confidence=0.9, expected=(0.0, 2.0), total=value, flow=0.1, learnt=Learnt(count=3),
        last_reset=NOW - timedelta(days=300), revision=1,
    )  # fmt: skip


def saved(one: ReadingRow, name: str = "") -> RowSaved:
    return RowSaved(*WATER, name, "m³", one)


def test_a_row_comes_back_as_it_was_and_a_revision_takes_its_place(house: WebHouse) -> None:
    first, second = row(1), row(2, value=2.0, hours=1)
    house.commit(saved(first), saved(second), saved(second, "night"))
    corrected = row(1, value=1.5, told=1.5)
    house.commit(saved(corrected))
    main, night = house.hub.store.meters().counters
    assert (main.counter, main.rows) == ("", (corrected, second))
    assert (night.counter, night.rows) == ("night", (second,))


def test_what_is_settled_and_what_is_anothers_stays_as_it_is(house: WebHouse) -> None:
    first = row(1, value=1.5, told=1.5)
    house.commit(saved(first))
    house.commit(replace(saved(row(1, value=9.0)), only_new=True))
    house.commit(replace(saved(row(1, value=9.0)), device="attic"))
    (stored,) = house.hub.store.meters().counters
    assert (stored.device, stored.rows) == (WATER[0], (first,))


def test_only_the_newest_rows_are_loaded(house: WebHouse) -> None:
    house.commit(*(saved(row(number, hours=number)) for number in range(KEEP + 5)))
    (stored,) = house.hub.store.meters().counters
    assert [one.id for one in stored.rows] == [an_id(number) for number in range(5, KEEP + 5)]


def test_all_rows_are_told_piece_by_piece(house: WebHouse) -> None:
    count = PIECE + 7
    house.commit(*(saved(row(number, hours=number // 2)) for number in range(count)))
    queries = MeterQueries(house.hub.engine)
    told = [one.row.id for one in queries.history(Wanted(*WATER, None))]
    assert told == [an_id(number) for number in range(count)]


def test_what_was_set_is_loaded_until_it_is_taken_back(house: WebHouse) -> None:
    made = LAYOUT.model_copy(update={"landmarks": b"landmarks", "reference": an_id(1)})
    house.commit(LayoutSaved(*WATER, made), SettingsSaved(*WATER, MeterSettings(max_flow=2.0)))
    stored = house.hub.store.meters()
    assert stored.layouts == {WATER: made}
    assert stored.settings == {WATER: MeterSettings(max_flow=2.0)}
    house.commit(LayoutSaved(*WATER, None), SettingsSaved(*WATER, None))
    stored = house.hub.store.meters()
    assert (stored.layouts, stored.settings) == ({}, {})


def test_a_pictures_fate_is_noted_and_counted(house: WebHouse) -> None:
    ids = [house.meter_picture(at=NOW + timedelta(hours=hour)) for hour in range(4)]
    house.commit(*(PictureWaits(picture) for picture in ids))
    house.commit(PictureTried(ids[0], 2, "a stick was pulled"))
    house.commit(PictureSettled(ids[1], "done"), PictureSettled(ids[2], "failed", "dark"))
    house.commit(PictureSettled(ids[3], "expired", "nobody"))
    ((waiting, attempts),) = house.hub.store.meters().waiting
    assert (waiting.id, attempts) == (ids[0], 2)
    totals = house.hub.store.totals()
    assert [totals[f"pictures_{state}"] for state in ("done", "failed", "expired")] == [1, 1, 1]


def test_what_waits_and_what_was_labelled_outlives_the_rest(house: WebHouse) -> None:
    old = NOW - timedelta(days=100)
    plain, waits, labelled = (house.meter_picture(at=old) for _ in range(3))
    house.commit(PictureWaits(waits), PictureIsExample(labelled, LAYOUT))
    house.commit(saved(ReadingRow(plain, old, seen=counter(1.0), verdict="accepted", value=1.0)))
    swept = house.hub.retention.sweep(datetime.now(UTC))
    assert swept.pictures == 1
    assert [picture.id for picture, _ in house.hub.store.meters().waiting] == [waits]
    assert house.hub.media.path("pictures", labelled, ".jpg").exists()
    (reading,) = MeterQueries(house.hub.engine).readings(Wanted(*WATER))
    assert (reading.row.id, reading.has_picture) == (plain, False), "what it showed stays for ever"


def test_examples_hold_what_was_said_and_the_layout(house: WebHouse) -> None:
    picture = house.meter_picture()
    house.commit(PictureIsExample(picture, LAYOUT))
    house.commit(saved(ReadingRow(picture, NOW, seen=counter(206.4), verdict="accepted")))
    queries = MeterQueries(house.hub.engine)
    assert queries.examples(*WATER, 10) == [], "nothing was said of it"
    house.commit(saved(ReadingRow(picture, NOW, told=206.5, seen=counter(206.4), verdict="accepted")))
    (example,) = queries.examples(*WATER, 10)
    assert (example.id, example.values, example.layout) == (picture, {"": 206.5}, LAYOUT)
