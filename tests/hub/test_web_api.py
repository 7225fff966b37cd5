"""The HTTP API over a real server, on rows written by the hub's own store."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub_support.core_driver import track
from hub_support.web_house import JPEG, NOW, Served, WebHouse
from meerkat_contract.errors import BrokerError, StorageError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import (
    BurstState,
    CameraInfo,
    DeviceInfo,
    ErrorReport,
    HubState,
    MeterInfo,
    ModelInfo,
    TaskInfo,
    WorkerState,
)
from meerkat_hub.adapters import schema as db
from meerkat_hub.adapters.live import LivePicture
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.web import burst_models, meter_models, models
from meerkat_hub.web.metrics import Metric, exposition


def test_health_names_what_is_wrong(house: WebHouse, web: Served) -> None:
    assert web.json("/healthz", status=503) == {"ok": False, "reason": "not connected to the broker"}
    house.hub.live.connected = True
    assert web.json("/healthz") == {"ok": True, "reason": ""}
    house.hub.service.failure = StorageError("the disk is full", where="hub.db", remedy="Free some space")
    assert web.json("/healthz", status=503)["reason"] == "hub.db: the disk is full. Free some space"


# --- events -----------------------------------------------------------------------------------------


def test_pages_of_events_follow_their_cursor(house: WebHouse, web: Served) -> None:
    ids = [house.event(at=NOW + timedelta(seconds=n)) for n in range(5)]
    seen: list[str] = []
    path: str | None = "/api/events?limit=2"
    while path:
        page = web.json(path)
        seen += [event["id"] for event in page["events"]]
        path = page["next"] and f"/api/events?limit=2&cursor={page['next']}"
    assert seen == ids[::-1]


def test_events_are_filtered(house: WebHouse, web: Served) -> None:
    person = house.event()
    car = house.event(label="car", category="vehicle", at=NOW + timedelta(minutes=1))

    def found(query: str) -> list[str]:
        return [event["id"] for event in web.json(f"/api/events?{query}")["events"]]

    assert found("label=car") == [car]
    assert found("category=person") == [person]
    assert found("device=porch&camera=front") == [car, person]
    assert found("camera=back") == []
    assert found("before=2026-11-20T08:00:30Z") == [person]
    assert found("after=2026-11-20T09:00:30%2B01:00") == [car], "any offset will do"


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("limit=0", "query limit"),
        ("limit=501", "query limit"),
        ("cursor=yesterday", "query cursor"),
        ("before=2026-11-20", "query before"),
        ("category=fish", "query category"),
        ("label=a'b", "query label"),
    ],
)
def test_a_wrong_parameter_is_named(web: Served, query: str, where: str) -> None:
    problem = web.json(f"/api/events?{query}", status=422)
    assert problem["where"] == where
    assert problem["what"]
    assert problem["remedy"]


def test_an_event_has_its_clips_and_how_they_ended(house: WebHouse, web: Served) -> None:
    first = house.clip()
    second = house.clip(at=NOW + timedelta(seconds=5), state="failed", reason="it cannot be decoded")
    event = web.json(f"/api/events/{house.event(first, second)}")
    assert (event["label"], event["ended"], event["kept"]) == ("person", True, False)
    assert [clip["id"] for clip in event["outcomes"]] == [first, second]
    assert [clip["state"] for clip in event["outcomes"]] == ["done", "failed"]
    assert event["outcomes"][1]["reason"] == "it cannot be decoded"
    missing = web.json(f"/api/events/{new_id()}", status=404)
    assert missing["what"] == "there is no such event"
    assert web.json("/api/events/nonsense", status=422)["where"] == "path event_id"


def test_an_event_s_picture_may_be_kept_by_its_revision(house: WebHouse, web: Served) -> None:
    event = house.event()
    plain = web.get(f"/api/events/{event}/picture")
    assert plain.content == JPEG
    assert plain.headers["content-type"] == "image/jpeg"
    assert plain.headers["cache-control"] == "private, no-cache"
    assert "immutable" in web.get(f"/api/events/{event}/picture?v=1").headers["cache-control"]
    assert web.get(f"/api/events/{event}/picture", status=304, If_None_Match=plain.headers["etag"])
    house.event(event_id=event, revision=2, picture=JPEG + b"better")
    better = web.get(f"/api/events/{event}/picture", If_None_Match=plain.headers["etag"])
    assert better.content == JPEG + b"better"
    stale = web.get(f"/api/events/{event}/picture?v=1")
    assert "immutable" not in stale.headers["cache-control"], "it is not the picture of that revision"
    bare = house.event(picture=None)
    assert web.json(f"/api/events/{bare}/picture", status=404)["what"] == "this event has no picture"


def test_keeping_an_event(house: WebHouse, web: Served) -> None:
    event = house.event()
    kept = web.http.post(f"/api/events/{event}/keep", json={"kept": True})
    assert kept.json()["kept"] is True
    assert web.json("/api/events?kept=true")["events"][0]["id"] == event
    assert web.http.post(f"/api/events/{event}/keep", json={"kept": False}).json()["kept"] is False
    assert web.http.post(f"/api/events/{new_id()}/keep", json={"kept": True}).status_code == 404
    wrong = web.http.post(f"/api/events/{event}/keep", json={"keep": True})
    assert (wrong.status_code, wrong.json()["where"]) == (422, "body kept")


# --- clips, devices, workers ------------------------------------------------------------------------


def test_a_clip_tells_what_was_seen_in_it_without_pictures(house: WebHouse, web: Served) -> None:
    clip = house.clip(tracks=(track(),))
    shown = web.json(f"/api/clips/{clip}")
    assert (shown["state"], shown["worker"], shown["model"]["name"]) == ("done", "cpu", "ssd")
    assert shown["tracks"][0]["label"] == "person"
    assert shown["tracks"][0]["picture"] is None
    assert "tracks" not in web.json("/api/clips")["clips"][0]
    assert web.json("/api/clips?state=waiting")["clips"] == []
    assert web.json(f"/api/clips/{new_id()}", status=404)["what"] == "there is no such clip"


def test_devices_with_their_cameras_and_meters_as_they_are_now(house: WebHouse, web: Served) -> None:
    live = house.hub.live
    live.devices["porch"] = DeviceInfo(device="porch", cameras=(CameraInfo(name="front", fps=15),))
    live.devices["basement"] = DeviceInfo(device="basement", meters=(MeterInfo(name="water"),))
    live.availability["porch"] = "online"
    live.motion["porch", "front"] = True
    live.pictures["porch", "front"] = LivePicture(JPEG, NOW)
    live.errors.add("porch", ErrorReport(what="the lens is dirty", remedy="Wipe it", at=NOW))
    picture = house.meter_picture()
    basement, porch = web.json("/api/devices")
    assert (porch["device"], porch["availability"]) == ("porch", "online")
    assert porch["error"]["what"] == "the lens is dirty"
    assert porch["errors"] == [porch["error"]]
    camera = porch["cameras"][0]
    assert (camera["name"], camera["fps"], camera["motion"]) == ("front", 15, True)
    assert camera["picture_at"] == "2026-11-20T08:00:00Z"
    assert basement["availability"] == "unknown"
    assert basement["meters"][0]["latest"]["id"] == picture


def test_when_the_next_picture_of_a_camera_is_late(house: WebHouse, web: Served) -> None:
    def late_after() -> float | None:
        found: float | None = web.json("/api/devices")[0]["cameras"][0]["late_after"]
        return found

    live = house.hub.live
    live.devices["porch"] = DeviceInfo(device="porch", cameras=(CameraInfo(name="front"),))
    live.availability["porch"] = "online"
    assert late_after() is None, "nobody knows how often it sends one"
    live.settings["porch", "front", "picture_seconds"] = "30"
    assert late_after() == 180
    live.settings["porch", "front", "enabled"] = "OFF"
    assert late_after() is None
    live.settings["porch", "front", "enabled"] = "ON"
    live.availability["porch"] = "asleep"
    assert late_after() is None
    live.availability["porch"] = "online"
    live.devices["porch"] = live.devices["porch"].model_copy(update={"clock": "unsynced"})
    assert late_after() is None, "the time of its pictures means nothing"
    live.devices["porch"] = live.devices["porch"].model_copy(update={"clock": "synced"})
    live.settings["porch", "front", "picture_seconds"] = "often"
    assert late_after() is None


def test_live_pictures_are_never_cached_and_their_absence_is_explained(house: WebHouse, web: Served) -> None:
    path = "/api/cameras/porch/front/picture"
    assert "no device porch" in web.json(path, status=404)["what"]
    live = house.hub.live
    live.devices["porch"] = DeviceInfo(device="porch", cameras=(CameraInfo(name="front"),))
    assert "no picture yet" in web.json(path, status=404)["what"]
    live.availability["porch"] = "offline"
    assert "is offline" in web.json(path, status=404)["what"]
    assert "has no back" in web.json("/api/cameras/porch/back/picture", status=404)["what"]
    live.pictures["porch", "front"] = LivePicture(JPEG, NOW)
    picture = web.get(path)
    assert picture.content == JPEG
    assert picture.headers["cache-control"] == "no-store"
    assert picture.headers["x-captured-at"] == "2026-11-20T08:00:00.000Z"


def test_a_meter_s_pictures(house: WebHouse, web: Served) -> None:
    path = "/api/meters/basement/water"
    house.hub.live.pictures["basement", "water"] = LivePicture(b"live", NOW)
    assert web.get(f"{path}/picture").content == b"live", "until one is stored"
    old = house.meter_picture(payload=JPEG + b"old")
    new = house.meter_picture(at=NOW + timedelta(hours=1), payload=JPEG + b"new")
    assert web.get(f"{path}/picture").content == JPEG + b"new"
    assert [picture["id"] for picture in web.json(f"{path}/pictures")["pictures"]] == [new, old]
    assert web.json(f"{path}/pictures?limit=1")["next"]
    one = web.get(f"/api/meter-pictures/{old}")
    assert one.content == JPEG + b"old"
    assert "immutable" in one.headers["cache-control"]
    assert "basement" not in one.headers["content-disposition"]
    assert 'water-2026-11-20T08-00-00Z.jpg"' in one.headers["content-disposition"]
    assert web.json(f"/api/meter-pictures/{new_id()}", status=404)["remedy"]


def worker(name: str, *, fallback: bool = False, online: bool = True) -> WorkerState:
    model = ModelInfo(name="hog-people" if fallback else "ssd", engine="hog" if fallback else "litert")
    model = model.model_copy(update={"fallback": fallback})
    task = TaskInfo(task="detect_objects", model=model, frames_per_second=12.5)
    return WorkerState(worker=name, incarnation=new_id(), online=online, tasks=(task,))


def test_the_state_adds_up_and_names_what_works(house: WebHouse, web: Served) -> None:
    for state in ("done", "failed", "expired", "waiting", "waiting"):
        house.clip(state=state)
    house.event()
    house.refusal("it is no video")
    workers = house.hub.live.workers
    workers["old"] = worker("old", online=False)
    faces = worker("hog").tasks[0].model_copy(update={"task": "recognise_faces"})
    hog = worker("hog", fallback=True)
    workers["hog"] = hog.model_copy(update={"tasks": (*hog.tasks, faces)})
    state = web.json("/api/state")
    totals = state["totals"]
    assert totals["received"] == sum(totals[name] for name in ("done", "failed", "expired", "waiting")) == 6
    assert totals["refused"] == 1
    assert state["oldest_wait"] > 0
    assert state["fallback"] is True, "the only one that looks is the fallback"
    assert [one["worker"] for one in state["workers"]] == ["hog"]
    assert [one["worker"] for one in web.json("/api/workers")] == ["hog", "old"]
    assert web.json("/api/labels") == ["person"]
    assert (state["ok"], state["reason"]) == (False, "not connected to the broker")
    workers["tpu"] = worker("tpu")
    assert web.json("/api/state")["fallback"] is False
    assert web.json("/api/refusals")[0]["reason"] == "it is no video"


def test_the_state_says_why_there_is_no_broker(
    house: WebHouse, web: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert web.json("/api/state")["broker"] == "", "it has not been tried"
    refused = BrokerError("not authorised: wrong user or password", where="mqtt://hub@house:1883")
    monkeypatch.setattr(house.hub.bus.session, "_error", refused)
    assert web.json("/api/state")["broker"] == "mqtt://hub@house:1883: not authorised: wrong user or password"
    house.hub.live.connected = True
    assert web.json("/api/state")["broker"] == ""


def test_the_state_says_when_the_disk_is_nearly_full(
    house: WebHouse, web: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MediaFolder, "free_bytes", lambda media: 600_000_000)
    house.hub.retention.sweep(NOW)
    assert web.json("/api/state")["room"] == []
    monkeypatch.setattr(MediaFolder, "free_bytes", lambda media: 5_000_000)
    house.hub.retention.sweep(NOW)
    (said,) = web.json("/api/state")["room"]
    assert "only 5 MB are free, less than the reserve of 500 MB" in said


def test_metrics_are_in_the_exposition_format_and_add_up(house: WebHouse, web: Served) -> None:
    for state in ("done", "done", "failed", "waiting"):
        house.clip(state=state)
    house.hub.live.workers["a"] = worker("a")
    response = web.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    values: dict[str, float] = {}
    for line in response.text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP|TYPE) meerkat_[a-z_]+ \S.*", line)
        else:
            sample = re.fullmatch(r'(meerkat_[a-z_]+(?:\{(?:[a-z_]+="[^"\n]*",?)+\})?) (-?[0-9.e+-]+)', line)
            assert sample, line
            values[sample[1]] = float(sample[2])
    ended = sum(value for name, value in values.items() if name.startswith("meerkat_clips_ended_total"))
    assert values["meerkat_clips_received_total"] == ended + values["meerkat_clips_waiting"] == 4
    assert any(name.startswith("meerkat_worker_frames_per_second{") for name in values)
    assert values['meerkat_stream_dropped_total{reason="slow"}'] == 0


# --- errors and documentation -----------------------------------------------------------------------


def test_a_database_that_refuses_is_a_503_in_words(house: WebHouse, web: Served) -> None:
    with house.hub.engine.begin() as connection:
        db.events.drop(connection)
    problem = web.json("/api/events", status=503)
    assert "no such table" in problem["what"]
    assert problem["remedy"]


def test_what_is_not_there_or_not_allowed_is_a_problem_too(web: Served) -> None:
    assert web.json("/api/nothing", status=404)["where"] == "/api/nothing"
    response = web.http.request("DELETE", "/api/events", headers={"Content-Type": "application/json"})
    assert response.status_code == 405
    assert response.json()["what"] == "Method Not Allowed"


def test_every_route_is_documented(web: Served) -> None:
    document: dict[str, Any] = web.json("/openapi.json")
    assert len(document["paths"]) >= 18
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), f"{method} {path}"
            assert len(operation.get("description", "")) > 20, f"{method} {path}"
            assert operation.get("tags"), f"{method} {path}"
    text = web.get("/openapi.json").text
    assert "HTTPValidationError" not in text, "errors are Problems"


def test_label_values_are_escaped() -> None:
    metric = Metric("x", "gauge", "Help\nof \\ two.", [({"reason": 'a "b"\\\n'}, 0.5)])
    assert exposition([metric]).splitlines() == [
        "# HELP meerkat_x Help\\nof \\\\ two.",
        "# TYPE meerkat_x gauge",
        'meerkat_x{reason="a \\"b\\"\\\\\\n"} 0.5',
    ]


def test_the_documents_examples_are_true_to_their_models(web: Served) -> None:
    shown = 0
    for name, schema in web.json("/openapi.json")["components"]["schemas"].items():
        places = (models, meter_models, burst_models)
        model = next((getattr(place, name) for place in places if hasattr(place, name)), None)
        for example in schema.get("examples", []):
            assert model is not None, name
            whole = model.model_validate(example).model_dump(mode="json", by_alias=True, exclude_none=True)
            assert whole.keys() == example.keys(), "every field is shown, and no other"
            shown += 1
    assert shown >= 5


def test_the_reference_lists_every_route_and_no_other(house: WebHouse, web: Served) -> None:
    house.hub.live.hub = HubState(burst=BurstState())
    text = (Path(__file__).parents[2] / "docs" / "reference" / "http-api.md").read_text()
    listed = set(re.findall(r"^\| `(GET|POST|PUT|DELETE) (/[^`?]*)", text, re.MULTILINE))
    paths = web.json("/openapi.json")["paths"]
    served = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    assert {(method, re.sub(r"\{[a-z_]+\}", "{}", path)) for method, path in listed} == {
        (method, re.sub(r"\{[a-z_]+\}", "{}", path)) for method, path in served
    }
    metrics = set(re.findall(r"^# TYPE (meerkat_[a-z_]+)", web.get("/metrics").text, re.MULTILINE))
    assert metrics == set(re.findall(r"^\| `(meerkat_[a-z_]+)", text, re.MULTILINE))
