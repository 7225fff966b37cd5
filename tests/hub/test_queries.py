"""Reading the database for the API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as sql_event

from hub_support.core_driver import track
from hub_support.web_house import NOW, WebHouse
from meerkat_contract.errors import StorageError
from meerkat_hub.adapters import schema as db
from meerkat_hub.adapters.queries import Filter, Place, Queries


@pytest.fixture
def house(tmp_path: Path) -> Iterator[WebHouse]:
    made = WebHouse(tmp_path)
    yield made
    made.close()


@pytest.fixture
def queries(house: WebHouse) -> Queries:
    return Queries(house.hub.engine)


def test_events_are_listed_newest_first_within_their_times(house: WebHouse, queries: Queries) -> None:
    ids = [house.event(at=NOW + timedelta(minutes=n)) for n in range(4)]
    found = [stored.state.id for stored in queries.events(Filter())]
    assert found == ids[::-1]
    window = Filter(after=NOW + timedelta(minutes=1), before=NOW + timedelta(minutes=3))
    assert [stored.state.id for stored in queries.events(window)] == [ids[2], ids[1]], "after ≤ time < before"


def test_pages_cover_every_event_once_although_times_are_equal(house: WebHouse, queries: Queries) -> None:
    ids = {house.event() for _ in range(7)}
    seen: list[str] = []
    behind = None
    while page := queries.events(Filter(behind=behind, limit=3)):
        seen += [stored.state.id for stored in page]
        behind = Place(page[-1].state.start_time, page[-1].state.id)
    assert len(seen) == 7
    assert set(seen) == ids


def test_filters_match_together(house: WebHouse, queries: Queries) -> None:
    person = house.event()
    car = house.event(label="car", category="vehicle", camera="drive")
    cup = house.event(label="cup", category="object", device="hall")
    queries.keep_event(car, True)

    def found(**wanted: object) -> list[str]:
        return [stored.state.id for stored in queries.events(Filter(**wanted))]  # type: ignore[arg-type]

    assert found(label="person") == [person]
    assert found(category="vehicle") == [car]
    assert found(category="object") == [cup], "what no other category names"
    assert found(device="porch", camera="drive") == [car]
    assert found(device="hall", camera="drive") == []
    assert found(kept=True) == [car]
    assert set(found(kept=False)) == {person, cup}
    assert queries.labels() == ["car", "cup", "person"]


def test_keeping_says_whether_there_is_such_an_event(house: WebHouse, queries: Queries) -> None:
    event = house.event()
    assert queries.keep_event(event, True)
    stored = queries.event(event)
    assert stored is not None
    assert stored.kept
    house.event(event_id=event, revision=2)
    stored = queries.event(event)
    assert stored is not None
    assert stored.kept, "an update does not forget it"
    assert not queries.keep_event("0194a3c0-5b1e-7c3a-8f00-2b6c1f0d9e11", True)


def test_lists_of_clips_leave_their_tracks_in_the_database(house: WebHouse, queries: Queries) -> None:
    clip = house.clip(tracks=(track(),))
    late = house.clip(at=NOW + timedelta(seconds=5), state="failed", reason="it cannot be decoded")
    statements: list[str] = []
    sql_event.listen(house.hub.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    listed = queries.clips(Filter())
    assert [stored.id for stored in listed] == [late, clip]
    assert listed[0].reason == "it cannot be decoded"
    assert listed[1].tracks == ()
    assert [stored.id for stored in queries.clips_by_id([late, clip])] == [clip, late], "in order of time"
    assert len(statements) == 2
    assert not any("tracks" in statement for statement in statements)
    assert [stored.id for stored in queries.clips(Filter(state="failed"))] == [late]
    whole = queries.clip(clip)
    assert whole is not None
    assert whole.tracks[0].label == "person"
    assert whole.model is not None
    assert whole.model.name == "ssd"


def test_counts_add_up_and_come_in_one_statement(house: WebHouse, queries: Queries) -> None:
    for state in ("done", "done", "failed", "expired", "waiting", "waiting"):
        house.clip(state=state)
    house.meter_picture()
    house.refusal("too large")
    statements: list[str] = []
    sql_event.listen(house.hub.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    totals = queries.totals()
    assert len(statements) == 1
    assert (totals.done, totals.failed, totals.expired, totals.waiting) == (2, 1, 1, 2)
    assert totals.received == totals.done + totals.failed + totals.expired + totals.waiting
    assert (totals.pictures, totals.refused) == (1, 1)
    assert queries.oldest_waiting() == NOW


def test_an_empty_database_has_counts_of_nought(queries: Queries) -> None:
    totals = queries.totals()
    assert totals.received == totals.waiting == 0
    assert queries.oldest_waiting() is None
    assert queries.latest_meter_pictures() == {}


def test_each_meter_has_its_newest_picture(house: WebHouse, queries: Queries) -> None:
    house.meter_picture()
    water = house.meter_picture(at=NOW + timedelta(hours=1))
    gas = house.meter_picture(meter="gas")
    latest = queries.latest_meter_pictures()
    assert {key: stored.id for key, stored in latest.items()} == {
        ("basement", "water"): water,
        ("basement", "gas"): gas,
    }
    found = queries.meter_pictures(Filter(device="basement", camera="water"))
    assert found[0].id == water
    stored = queries.meter_picture(gas)
    assert stored is not None
    assert stored.meter == "gas"


def test_what_the_database_refuses_is_said_in_words(house: WebHouse, queries: Queries) -> None:
    with house.hub.engine.begin() as connection:
        db.events.drop(connection)
    with pytest.raises(StorageError) as refused:
        queries.events(Filter())
    assert "no such table" in refused.value.what
    assert refused.value.where.endswith("hub.db")
    assert refused.value.remedy
    with pytest.raises(StorageError, match="refused a write"):
        queries.keep_event("0194a3c0-5b1e-7c3a-8f00-2b6c1f0d9e11", True)


def test_what_the_page_asks_often_reads_an_index(house: WebHouse, queries: Queries) -> None:
    plans: list[str] = []

    def explain(_connection: object, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        rows = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
        plans.append("; ".join(row[3] for row in rows))

    sql_event.listen(house.hub.engine, "before_cursor_execute", explain)
    queries.totals()
    queries.oldest_waiting()
    queries.events(Filter())
    queries.events(Filter(device="porch", camera="front"))
    queries.clips(Filter(device="porch", camera="front"))
    queries.meter_pictures(Filter(device="basement", camera="water"))
    queries.latest_meter_pictures()
    for plan, index in zip(
        plans,
        ["clips_waiting", "clips_waiting", "events_start_time", "events_of_camera", "clips_of_camera",
         "pictures_of_meter", "pictures_of_meter"],
        strict=True,
    ):  # fmt: skip
        assert index in plan
        assert "SCAN clips" not in plan.replace("SCAN clips USING", "")
