"""The API about meters, over a real hub, broker and database, with a worker that reads what it is told."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from meerkat_contract.messages import MeterSeen
from meerkat_hub.core.meter_records import ConfiguredMeter
from meerkat_hub.core.meters.settings import MeterSettings
from meter_support.house import AT, START, House, a_jpeg
from meter_support.pipeline import BOTH, LAYOUT, an_id, counter, seen
from support.broker import Mosquitto
from support.wait import wait_for


@pytest.fixture
def house(broker: Mosquitto, tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, broker)
    yield made
    made.close()


def test_a_meter_is_set_up_and_read(house: House) -> None:
    first = house.picture()
    assert house.status()["layout"] is False
    assert house.get(f"{AT}/layout")["layout"] is None
    proposal = house.post(f"{AT}/propose")
    assert (proposal["picture"], proposal["doubts"]) == (first, ["look at the dial"])
    tried = house.post(f"{AT}/try", {"layout": proposal["layout"]})
    assert tried["seen"]["counters"][0]["value"] == 206.4
    assert house.readings() == [], "nothing is kept of a question"
    put = house.put(f"{AT}/layout", {"layout": proposal["layout"], "picture": first})
    assert put["layout"]["reference"] == first
    wait_for(house.readings, what="the latest picture's reading")
    wait_for(lambda: house.get(f"{AT}/layout")["aligned"], what="its landmarks")
    (reading,) = house.readings()
    assert (reading["id"], reading["value"], reading["verdict"], reading["picture"]) == (
        first, 206.4, "accepted", True,
    )  # fmt: skip
    wait_for(lambda: "meerkat/meter/porch/water/verdict" in house.heard, what="the bus")
    assert (house.reading().value, house.heard["meerkat/meter/porch/water/reading"].qos) == (206.4, 1)
    status = house.status()
    assert status["counters"][0]["reading"]["value"] == 206.4
    assert status["counters"][0]["verdict"]["verdict"] == "accepted"
    assert status["layout"] is True
    (listed,) = house.get(f"{AT}/pictures")["pictures"]
    assert listed["state"] == "done"


def test_a_history_is_kept_over_a_restart_and_told_page_by_page(house: House) -> None:
    house.lay_out()
    ids = [house.reads(206.4 + 0.1 * hour, hours=hour) for hour in range(5)]
    house.restart()
    assert [one["id"] for one in house.readings()] == ids[::-1]
    page = house.get(f"{AT}/readings?limit=2")
    rest = house.get(f"{AT}/readings?limit=10&cursor={page['next']}")
    assert [one["id"] for one in page["readings"] + rest["readings"]] == ids[::-1]
    after = (START + timedelta(hours=3)).isoformat().replace("+00:00", "Z")
    assert len(house.get(f"{AT}/readings?after={after}")["readings"]) == 2
    assert house.status()["counters"][0]["value"] == pytest.approx(206.8)
    house.reads(206.9, hours=5)
    assert house.readings()[0]["verdict"] == "accepted", "the history goes on"


def test_the_history_is_a_table_too(house: House) -> None:
    house.lay_out()
    house.reads(206.4, hours=0)
    house.reads(99_000.0, hours=1)
    house.reads(206.5, hours=2)
    rows = list(csv.DictReader(io.StringIO(house.http.get(f"{AT}/readings.csv").text)))
    assert [(row["value"], row["unit"], row["verdict"]) for row in rows] == [
        ("206.4", "m³", "accepted"),
        ("206.5", "m³", "accepted"),
    ]
    wrong = house.http.get(f"{AT}/readings.csv?verdict=implausible").text
    assert "99000" in wrong


@pytest.mark.parametrize(
    "path",
    [
        "readings?before=9999-12-31T23:59:59-12:00",
        "readings.csv?after=0001-01-01T00:00:00%2B12:00",
        f"readings?cursor=9999-12-31T23:59:59-12:00_{an_id(1)}",
        f"readings?cursor=2026-11-20T08:00:00_{an_id(1)}",
        "readings?limit=100000",
    ],
)
def test_a_question_that_cannot_be_is_refused(house: House, path: str) -> None:
    problem = house.http.get(f"{AT}/{path}")
    assert problem.status_code == 422
    assert problem.json()["remedy"]


def test_no_spreadsheet_takes_a_unit_for_a_formula(house: House) -> None:
    house.layout = LAYOUT.model_copy(update={"unit": "=1+1"})
    house.lay_out()
    house.reader.reads = lambda job, payload: MeterSeen(
        counters=(counter(206.4).model_copy(update={"unit": "=1+1"}),)
    )
    house.picture()
    wait_for(lambda: "meerkat/meter/porch/water/reading" in house.heard, what="the reading")
    (line,) = csv.DictReader(io.StringIO(house.http.get(f"{AT}/readings.csv").text))
    assert line["unit"] == "'=1+1"


def test_a_correction_counts_at_once_and_is_an_example(house: House) -> None:
    house.lay_out()
    wrong = house.reads(208.4, hours=0)
    house.post(f"{AT}/readings/{wrong}/correct", {"value": 206.4})
    wait_for(lambda: house.reading().value == 206.4, what="the bus to say so")
    (reading,) = house.readings()
    assert (reading["value"], reading["told"], reading["read"], reading["source"]) == (
        206.4,
        206.4,
        208.4,
        "owner",
    )
    archive = zipfile.ZipFile(io.BytesIO(house.http.get(f"{AT}/examples.zip").content))
    (example,) = json.loads(archive.read("examples.json"))["examples"]
    assert (example["id"], example["values"]) == (wrong, {"": 206.4})
    assert archive.read(f"pictures/{wrong}.jpg") == a_jpeg()
    house.post(f"{AT}/readings/{wrong}/undo")
    assert house.readings()[0]["value"] == 208.4


def test_what_the_meter_shows_and_an_exchange_are_said(house: House) -> None:
    house.lay_out()
    house.reads(206.4, hours=0)
    at = (START + timedelta(hours=1)).isoformat()
    house.post(f"{AT}/set", {"value": 206.5, "at": at})
    house.post(f"{AT}/exchange", {"at": (START + timedelta(hours=2)).isoformat(), "final": 206.6, "start": 0})
    house.reads(0.2, hours=3)
    kinds = [(one["kind"], one["value"]) for one in house.readings()]
    assert kinds[0] == ("picture", 0.2)
    assert {kind for kind, _ in kinds} == {"picture", "owner", "exchange"}
    assert house.readings()[0]["total"] == pytest.approx(206.8)
    (exchange,) = [one["id"] for one in house.readings() if one["kind"] == "exchange"]
    house.post(f"{AT}/readings/{exchange}/undo")
    assert exchange not in [one["id"] for one in house.readings()]


def test_settings_are_kept(house: House) -> None:
    assert house.get(f"{AT}/settings")["configured"] is False
    house.put(f"{AT}/settings", {"max_flow": 2.5, "unit": "L"})
    house.restart()
    found = house.get(f"{AT}/settings")["settings"]
    assert (found["max_flow"], found["unit"]) == (2.5, "L")


def test_what_cannot_be_is_refused_in_words(house: House) -> None:
    house.lay_out()
    for path, body, status, words in (
        (f"{AT}/propose", {}, 404, "no picture yet"),
        (f"{AT}/propose", {"picture": an_id(5)}, 404, "no such picture"),
        (f"{AT}/readings/{an_id(5)}/correct", {"value": 1}, 404, "no reading"),
        (f"{AT}/readings/{an_id(5)}/correct", {"value": -1}, 422, "greater"),
        (f"{AT}/set", {"value": 100_000}, 422, "begins again"),
        (f"{AT}/set", {"value": 1, "at": "2199-01-01T00:00:00Z"}, 422, "not come yet"),
        (f"{AT}/set", {"value": 1, "counter": "night"}, 404, "no counter night"),
        (f"{AT}/exchange", {"colour": "red"}, 422, "Extra inputs"),
        (f"{AT}/set", {"value": 1e300}, 422, "less than"),
        (f"{AT}/set", {"value": 1, "at": "9999-12-31T23:59:59-12:00"}, 422, "no time"),
        ("/api/meters/porch/nothing/set", {"value": 1}, 404, "no such meter"),
        ("/api/meters/porch/nothing/exchange", {}, 404, "no such meter"),
    ):
        problem = house.post(path, body, status)
        assert words in problem["what"], problem
        assert problem["where"]
        assert problem["remedy"]
    assert (
        "lie on each other"
        in house.put(f"{AT}/layout", {"layout": {"digits": [[0, 0, 10, 10], [1, 0, 10, 10]]}}, 422)["what"]
    )
    assert "calorific_value" in house.put(f"{AT}/settings", {"unit": "kWh"}, 422)["what"]


def test_a_worker_that_cannot_read_says_why_and_one_that_is_away_is_missed(house: House) -> None:
    house.picture()
    house.reader.reads = lambda job, payload: "digits[0] lies outside the picture"
    problem = house.post(f"{AT}/try", {"layout": LAYOUT.model_dump(mode="json")}, 422)
    assert "outside the picture" in problem["what"]
    house.reader.leave()
    wait_for(lambda: house.status()["readers"] == 0, what="the worker to be gone")
    assert "meerkat worker" in house.post(f"{AT}/propose", status=409)["remedy"]


def test_without_a_layout_nothing_is_read_any_more(house: House) -> None:
    house.lay_out()
    house.reads(206.4, hours=0)
    response = house.http.request("DELETE", f"{AT}/layout", headers={"Content-Type": "application/json"})
    assert response.status_code == 204
    house.picture(hours=1)
    assert [one["state"] for one in house.get(f"{AT}/pictures")["pictures"]] == ["kept", "done"]
    assert len(house.readings()) == 1, "its history stays"


def test_a_device_may_read_by_itself(house: House) -> None:
    sent = house.device.send(
        seen(206.4).to_json(), thing="water", kind="seen", content_type="application/json", captured_at=START
    )
    assert house.device.receipt(sent).outcome == "stored"
    (reading,) = house.readings()
    assert (reading["id"], reading["source"], reading["picture"]) == (sent, "device", False)
    again = {"thing": "water", "kind": "seen", "content_type": "application/json", "captured_at": START}
    house.device.receipts.clear()
    house.device.send(seen(207.4).to_json(), id=sent, **again)
    assert house.device.receipt(sent).outcome == "duplicate"
    house.device.receipts.clear()
    bad = house.device.send(b'{"counters": "none"}', **again)
    refusal = house.device.receipt(bad)
    assert (refusal.outcome, "counters" in refusal.reason) == ("refused", True)


def test_its_picture_may_come_beside_it(house: House) -> None:
    house.lay_out()
    picture = an_id(0x77)
    sent = house.device.send(
        seen(206.4).to_json(),
        thing="water", kind="seen", content_type="application/json", captured_at=START, of=picture,
    )  # fmt: skip
    assert house.device.receipt(sent).outcome == "stored"
    house.device.send(
        a_jpeg(), thing="water", kind="picture", trigger="schedule", captured_at=START, id=picture
    )
    assert house.device.receipt(picture).outcome == "stored"
    (listed,) = house.get(f"{AT}/pictures")["pictures"]
    assert listed["state"] == "done"
    (reading,) = house.readings()
    assert (reading["id"], reading["picture"]) == (picture, True)
    assert house.reader.jobs == []


def test_the_configuration_is_fixed_and_says_so(broker: Mosquitto, tmp_path: Path) -> None:
    fixed = {("porch", "water"): ConfiguredMeter(LAYOUT, MeterSettings(max_flow=1.0))}
    house = House(tmp_path, broker, meters=fixed)
    try:
        house.reads(206.4, hours=0)
        assert house.get(f"{AT}/layout")["configured"] is True
        problem = house.put(f"{AT}/layout", {"layout": LAYOUT.model_dump(mode="json")}, 409)
        assert "meerkat.yaml" in problem["remedy"]
        assert house.get(f"{AT}/settings")["settings"]["max_flow"] == 1.0
        house.put(f"{AT}/settings", {}, 409)
    finally:
        house.close()


def test_the_page_hears_of_readings(house: House) -> None:
    house.lay_out()
    heard: list[tuple[str, str]] = []
    house.hub.live.listen(lambda change: heard.append((change.kind, change.thing)))
    house.reads(206.4, hours=0)
    wait_for(lambda: {("reading", "water"), ("verdict", "water")} <= set(heard), what="the changes")


def test_two_counters_have_a_history_each(house: House) -> None:
    house.layout = BOTH
    house.lay_out()
    house.reader.reads = lambda job, payload: MeterSeen(
        counters=(counter(206.4), counter(17.5, name="night"))
    )
    house.picture()
    wait_for(lambda: "meerkat/meter/porch/water-night/reading" in house.heard, what="the second counter")
    (night,) = house.get(f"{AT}/readings?counter=night")["readings"]
    assert night["value"] == 17.5
    assert [one["name"] for one in house.status()["counters"]] == ["water", "water-night"]
