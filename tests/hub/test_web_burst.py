"""The cloud burst on the API."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hub_support.cloud_driver import CloudDriver
from hub_support.web_house import Served, WebHouse
from meerkat_cloud_burst.news import BurstAsked
from meerkat_cloud_burst.policy.books import CLOCK
from meerkat_cloud_burst.policy.view import LedgerEntry
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_hub.core.cloud_records import LedgerWritten
from meerkat_hub.core.inputs import Input
from meerkat_hub.web import burst_models


def test_a_house_without_a_cloud_says_so(web: Served) -> None:
    for answer in (web.json("/api/burst", status=404), web.http.post("/api/burst/on", json={}).json()):
        assert answer["what"] == "no cloud burst is set up: nothing leaves this house"
        assert "burst.enabled" in answer["remedy"]
    assert web.json("/api/burst/ledger") == {"entries": []}


def test_how_it_stands_with_what_is_out_and_why(house: WebHouse, web: Served) -> None:
    hub = CloudDriver()
    clip = hub.clip(1)
    hub.send([clip.id])
    house.burst = hub.cloud.view(hub.now)
    told = web.json("/api/burst")
    assert told["state"]["in_cloud"] == 1
    assert told["state"]["state"] == "burst"
    assert told["policy"] == "drain"
    assert [(one["clip"], one["device"], one["camera"]) for one in told["aloft"]] == [
        (clip.id, "porch", "front")
    ]
    assert told["decisions"][0]["reason"] == "1 clips"
    assert (told["decisions"][0]["sent"], told["decisions"][0]["desired"]) == (1, 1)


def test_what_would_be_sent_now(house: WebHouse, web: Served) -> None:
    hub = CloudDriver(BurstSettings(enabled=True, default="always"))
    clip = hub.clip(1)
    hub.tick()
    for on in (True, False):
        hub.cloud.on = on
        before = hub.cloud.state(hub.now)
        house.burst = hub.cloud.view(hub.now)
        plan = web.json("/api/burst")["plan"]
        assert [(one["clip"], one["device"], one["camera"]) for one in plan["send"]] == [
            (clip.id, "porch", "front")
        ]
        assert plan["send"][0]["done_in"] is None, "no worker is there"
        assert plan["machines"] == 1
        assert plan["dollars"] > 0
        assert hub.cloud.state(hub.now) == before, "asking changes nothing"


def test_the_ledger_is_listed_latest_first(house: WebHouse, web: Served) -> None:
    house.commit(
        LedgerWritten(LedgerEntry("a", 1_795_000_000.0, "reserved", 0.02, 1200, reason="a storm")),
        LedgerWritten(LedgerEntry("b", 1_795_000_060.0, "spent", 0.01, 600, "i-0", refers="a")),
    )
    lines = web.json("/api/burst/ledger")["entries"]
    assert [line["id"] for line in lines] == ["b", "a"]
    assert lines[0]["at"] == "2026-11-18T11:07:40Z"
    assert (lines[0]["kind"], lines[0]["dollars"], lines[0]["refers"]) == ("spent", 0.01, "a")
    assert [line["id"] for line in web.json("/api/burst/ledger?limit=1")["entries"]] == ["b"]
    assert web.json("/api/burst/ledger?limit=0", status=422)["where"] == "query limit"


def test_what_was_spent_is_summed_by_day(house: WebHouse, web: Served) -> None:
    """Days of UTC; what was only set apart is no cost, nor is a leap of the clock an hour of a machine."""
    assert web.json("/api/burst/days") == {"days": []}
    midnight = datetime(2026, 11, 19, tzinfo=UTC).timestamp()
    spent = [
        (midnight - 60, 0.01, 600, "i-0"),
        (midnight, 0.02, 1200, "i-0"),
        (midnight + 60, 0.005, 300, "i-1"),
        (midnight + 70, 0, 86_400, CLOCK),
    ]
    house.commit(LedgerWritten(LedgerEntry("r", midnight, "reserved", 9, 9)))
    house.commit(
        *(
            LedgerWritten(LedgerEntry(f"s{i}", at, "spent", dollars, seconds, instance))
            for i, (at, dollars, seconds, instance) in enumerate(spent)
        )
    )
    today, before = web.json("/api/burst/days")["days"]
    assert (today["day"], today["machines"], today["seconds"]) == ("2026-11-19", 2, 1500)
    assert today["dollars"] == pytest.approx(0.025)
    assert before == {"day": "2026-11-18", "dollars": 0.01, "machines": 1, "seconds": 600}
    assert web.json("/api/burst/days?limit=1")["days"] == [today]


def test_how_it_went_is_told_by_its_changes(house: WebHouse, web: Served) -> None:
    assert web.json("/api/burst/history", status=404)["where"] == "/api/burst"
    hub = CloudDriver()
    clips = [hub.clip(number).id for number in (1, 2, 3)]
    hub.tick()
    hub.mono += 20
    hub.tick()
    hub.mono += 20
    hub.send(clips[:2])
    house.burst = hub.cloud.view(hub.now)
    told = web.json("/api/burst/history")["samples"]
    assert [(one["at_home"], one["in_cloud"], one["machines"]) for one in told] == [(3, 0, 0), (1, 2, 0)]
    assert told[1]["at"] == "2026-11-20T08:00:40Z"
    assert "history" not in web.json("/api/burst")


@pytest.mark.parametrize("what", ["on", "off", "stop"])
def test_it_is_switched(house: WebHouse, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    told: list[Input] = []
    monkeypatch.setattr(house.hub.service, "happened", told.append)
    hub = CloudDriver()
    house.burst = hub.cloud.view(hub.now)
    with house.served() as web:
        assert web.http.post(f"/api/burst/{what}", json={}).json()["state"]["on"]
        assert web.http.post("/api/burst/maybe", json={}).status_code == 422
        assert web.http.post(f"/api/burst/{what}").status_code == 415  # a foreign page could send that
    assert told == [BurstAsked(what, by="the page")]  # type: ignore[arg-type]


def test_metrics_tell_what_it_costs(house: WebHouse, web: Served) -> None:
    assert "burst" not in web.get("/metrics").text
    hub = CloudDriver()
    hub.send([hub.clip(1).id])
    house.hub.live.hub = house.hub.live.hub.model_copy(update={"burst": hub.cloud.state(hub.now)})
    text = web.get("/metrics").text
    assert "meerkat_burst_clips 1" in text
    assert 'meerkat_burst_spent_dollars{period="day"} 0' in text
    assert "meerkat_burst_usable 1" in text


def test_the_example_is_one() -> None:
    burst_models.BurstDetails.model_validate(burst_models.BURST)
