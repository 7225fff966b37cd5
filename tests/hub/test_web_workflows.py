"""Workflows and nodes over HTTP and on the page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub_support.browser import Browser
from hub_support.orchestra import a_worker
from hub_support.web_house import NOW, Served, WebHouse
from meerkat_contract.errors import MeerkatError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import CameraInfo, DeviceInfo, EventState, Face, Found, ModelInfo, Result
from meerkat_hub.adapters.desk import Desk
from meerkat_hub.adapters.people_store import NewSample, meanings
from meerkat_hub.core.outputs import EventSaved
from meerkat_hub.core.records import EventRecord, Now
from meerkat_hub.core.workflow_records import FrameArrived, Stored, WorkflowSpec

JSON = {"Content-Type": "application/json"}


def lobby(fps: float = 10, **more: Any) -> dict[str, Any]:
    decision = {"rule": "who_may_be_here", "allowed": ["Ada"]}
    return {"id": "lobby", "cameras": {"porch/front": fps}, "decision": decision, "max_delay": 1, **more}


def furnish(house: WebHouse) -> None:
    house.node(a_worker("coral", detect_faces=40, energy=4.5))
    jetson = a_worker("jetson", recognise_faces=20)
    telemetry = {"load": 1.25, "temperature": 61.0, "memory_free": 2_100_000_000, "hardware": "Jetson Nano"}
    house.node(jetson.model_copy(update=telemetry))
    house.workflows.measured("jetson", {"recognise_faces": 20}, 0.012, Now(NOW, 0.0))


def decided(house: WebHouse, event_id: str, minutes: int, workflow: str = "lobby") -> str:
    at = NOW - timedelta(minutes=minutes)
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
        identity="Bob",
        workflow=workflow,
        alert=True,
        reason="Bob is not among those who may be here",
    )
    house.commit(EventSaved(EventRecord(state, (), ended=True)))
    return event_id


def test_a_workflow_is_asked_for_looked_at_and_ended(house: WebHouse, web: Served) -> None:
    furnish(house)
    made = web.http.post("/api/workflows", json=lobby())
    assert made.status_code == 201, made.text
    assert made.headers["location"] == "/api/workflows/lobby"
    assert made.json()["state"]["state"] == "running"
    assert web.json("/api/workflows/lobby") == made.json() == web.json("/api/workflows")[0]
    operators = {(o["task"], o["node"], o["share"]) for o in made.json()["state"]["nodes"]}
    assert operators == {("detect_faces", "coral", 10), ("recognise_faces", "jetson", 10)}
    assert [one.name for one in house.hub.store.workflows()] == ["lobby"], "it is kept over a restart"
    again = web.http.post("/api/workflows", json=lobby())
    assert again.status_code == 409
    assert "already" in again.json()["what"]
    ended = web.http.request("DELETE", "/api/workflows/lobby", headers=JSON)
    assert ended.status_code == 204
    assert web.json("/api/workflows") == []
    assert house.hub.store.workflows() == []
    assert web.json("/api/workflows/lobby", status=404)["what"] == "there is no workflow lobby"
    assert web.http.request("DELETE", "/api/workflows/lobby", headers=JSON).status_code == 404


def test_a_refusal_is_a_problem_with_the_numbers(house: WebHouse, web: Served) -> None:
    furnish(house)
    refused = web.http.post("/api/workflows", json=lobby(21))
    assert refused.status_code == 409
    problem = refused.json()
    assert problem["what"].startswith("workflow lobby is refused: its cameras give 21 frames/s")
    assert "wait" in problem["remedy"]
    state = problem["workflow"]
    assert (state["cause"], state["flow"]) == ("capacity", 21)
    assert state["capacity"] == {"detect_faces": 40, "recognise_faces": 20}
    slow = web.http.post("/api/workflows", json=lobby(max_delay=0.05)).json()["workflow"]
    assert (slow["cause"], slow["max_delay"]) == ("delay", 0.05)
    assert slow["delay"] == pytest.approx(1 / 40 + 1 / 20 + 1 / 2000 + 2 * 0.006)
    assert web.http.post("/api/workflows", json=lobby()).status_code == 201
    cameras = {f"hall/camera{number}": 200 for number in range(10)}
    many = {"id": "many", "cameras": cameras, "measurement": "device", "feature": None}
    full = web.http.post("/api/workflows", json={**many, "decision": {"rule": "seen"}}).json()
    assert (full["workflow"]["cause"], full["workflow"]["flow"]) == ("decision", 2000)
    assert full["workflow"]["capacity"] == {"decide": 1990}
    assert "1990 of decide" in full["what"]
    assert "decisions_per_second" in full["remedy"]
    assert web.http.request("DELETE", "/api/workflows/lobby", headers=JSON).status_code == 204
    assert web.json("/api/workflows") == []
    assert house.hub.store.workflows() == []


def test_one_that_may_wait_is_accepted_and_runs_later(house: WebHouse, web: Served) -> None:
    waits = web.http.post("/api/workflows", json=lobby(wait=True))
    assert waits.status_code == 202
    assert waits.json()["state"]["state"] == "refused"
    furnish(house)
    assert web.json("/api/workflows/lobby")["state"]["state"] == "running"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"cameras": {}}, "cameras"),
        ({"cameras": {"porch": 1}}, "cameras"),
        ({"cameras": {"porch/front": 0}}, "fps"),
        ({"max_delay": 0}, "max_delay"),
        ({"id": "No Name"}, "id"),
        ({"decision": {"rule": "guess"}}, "decision"),
        ({"decision": {"rule": "seen", "min_score": 0.49}}, "min_score"),
        ({"whatever": 1}, "whatever"),
        ({"feature": None}, "body"),
        ({"measurement": "pool"}, "body"),
    ],
)
def test_what_cannot_be_is_said_with_its_place(web: Served, change: dict[str, Any], where: str) -> None:
    answer = web.http.post("/api/workflows", json=lobby(**change))
    assert answer.status_code == 422
    assert where in answer.json()["where"]


def test_what_the_configuration_has_only_it_can_end(house: WebHouse, web: Served) -> None:
    spec = WorkflowSpec.model_validate({k: v for k, v in lobby().items() if k != "id"})
    older = Stored("lobby", WorkflowSpec.model_validate({**spec.model_dump(), "max_delay": 9}), NOW)
    house.workflows.load({"lobby": spec}, [older], Now(NOW, 0.0))
    view = web.json("/api/workflows/lobby")
    assert view["configured"]
    assert view["wanted"]["max_delay"] == 1, "the file counts, not what was stored under its name"
    answer = web.http.request("DELETE", "/api/workflows/lobby", headers=JSON)
    assert answer.status_code == 409
    assert "meerkat.yaml" in answer.json()["remedy"]


def test_the_events_of_a_workflow_come_in_pages(house: WebHouse, web: Served) -> None:
    ids = [decided(house, f"00000000-0000-7000-8000-{n:012x}", n) for n in range(3)]
    decided(house, f"00000000-0000-7000-8000-{9:012x}", 0, workflow="hall")
    first = web.json("/api/workflows/lobby/events?limit=2")
    assert [event["id"] for event in first["events"]] == ids[:2]
    assert first["events"][0]["reason"] == "Bob is not among those who may be here"
    rest = web.json(f"/api/workflows/lobby/events?limit=2&cursor={first['next']}")
    assert [event["id"] for event in rest["events"]] == ids[2:]
    assert rest["next"] is None
    assert web.json(f"/api/events/{ids[0]}")["outcomes"] == []


def test_of_a_name_that_nobody_knows_there_are_no_events_to_list(house: WebHouse, web: Served) -> None:
    furnish(house)
    missing = web.json("/api/workflows/loby/events", status=404)
    assert missing["what"] == "there is no workflow loby"
    assert missing["where"] == "/api/workflows/loby/events"
    assert "GET /api/workflows" in missing["remedy"]
    web.http.post("/api/workflows", json=lobby())
    assert web.json("/api/workflows/lobby/events")["events"] == [], "it has decided nothing yet"
    event = decided(house, f"00000000-0000-7000-8000-{1:012x}", 1)
    web.http.request("DELETE", "/api/workflows/lobby", headers=JSON)
    assert [one["id"] for one in web.json("/api/workflows/lobby/events")["events"]] == [event]
    assert web.json("/api/workflows/lobby/events?before=2020-01-01T00:00:00Z")["events"] == []


def test_nodes_show_what_they_say_and_what_was_measured(house: WebHouse, web: Served) -> None:
    furnish(house)
    web.http.post("/api/workflows", json=lobby())
    nodes = {node["worker"]: node for node in web.json("/api/nodes")}
    assert nodes["jetson"]["temperature"] == 61
    assert nodes["jetson"]["memory_free"] == 2_100_000_000
    assert nodes["jetson"]["load"] == 1.25
    assert nodes["jetson"]["round_trip"] == 0.012
    assert nodes["jetson"]["workflows"] == ["lobby"]
    assert nodes["coral"]["capacity"] == {"detect_faces": 40}
    assert nodes["coral"]["task"] == "detect_faces"
    assert nodes["coral"]["energy"] == 4.5


def test_a_hub_that_does_not_answer_is_an_error_and_no_empty_list(house: WebHouse, web: Served) -> None:
    asked: list[object] = []
    desk = Desk(asked.append, patience=0.01)
    with pytest.raises(MeerkatError, match="did not answer"):
        desk.view()
    assert len(asked) == 1
    assert not desk._open


# --- in a browser -----------------------------------------------------------------------------------


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    made = Browser(tmp_path)
    yield made
    made.close()


def test_the_page_shows_what_runs_and_what_is_refused(house: WebHouse, web: Served, browser: Browser) -> None:
    furnish(house)
    web.http.post("/api/workflows", json=lobby())
    web.http.post("/api/workflows", json=lobby(30, id="garage", wait=True))
    frame = FrameArrived(
        "00000000-0000-7000-8000-000000000001", "porch", "front", NOW, 10, found=(), found_by="detect_faces"
    )
    house.workflows.happened(frame, Now(NOW, 0.0))
    event = decided(house, "00000000-0000-7000-8000-0000000000ff", 0)
    browser.open(web.base)
    browser.wait("document.querySelectorAll('#workflows li').length === 2")
    browser.wait("document.querySelectorAll('#nodes li').length === 2")
    browser.wait("document.getElementById('status').textContent.includes('to look at')")
    runs = browser.text("[data-workflow=lobby]")
    for words in ("Runs", "coral: 10 of 40 frames/s", "jetson: 10 of 20 frames/s", "porch/front 10/s"):
        assert words in runs
    assert "1 received, 1 without anything of interest" in runs
    refused = browser.text("[data-workflow=garage]")
    assert "Refused" in refused
    assert "\n0\n" not in refused
    assert "its cameras give 30 frames/s, and what is free can do" in refused
    assert "Workflow Garage does not run" in browser.text("#notices")
    browser.wait(
        "document.getElementById('notices').innerText.includes('cannot recognise Ada: not enrolled')"
    )
    node = browser.text("[data-node=jetson]")
    for words in ("Jetson Nano", "61 °C", "2,100 MB", "12\u00a0ms", "Lobby"):
        assert words in node
    assert "1 of 2 workflows run · 2 nodes online" in browser.text("#work-title")
    browser.wait("document.querySelectorAll('#events a').length === 1")
    card = browser.text("#events a")
    assert "Bob" in card
    assert "Alert" in card
    browser.js(f"location.hash = '#event={event}'")
    browser.wait("document.getElementById('detail').open")
    browser.wait("document.getElementById('about').innerText.includes('Alert: Bob is not among')")
    assert browser.js("document.getElementById('download').hidden")
    assert browser.complaints == []


def test_a_workflow_that_waits_for_an_unknown_camera_is_told_of(
    house: WebHouse, web: Served, browser: Browser
) -> None:
    furnish(house)
    cameras = (CameraInfo(name="front"),)
    house.hub.live.devices["porch"] = DeviceInfo(device="porch", cameras=cameras)
    wrong = lobby(cameras={"porch/front": 1, "porch/bakc": 1})
    made = web.http.post("/api/workflows", json=wrong)
    assert made.status_code == 201
    assert made.json()["unknown_cameras"] == ["porch/bakc"]
    assert web.json("/api/workflows/lobby")["unknown_cameras"] == ["porch/bakc"]
    browser.open(web.base)
    browser.wait(
        "document.getElementById('notices').innerText.includes("
        "'Workflow Lobby waits for porch/bakc: no such camera has introduced itself')"
    )


def test_a_workflow_that_can_recognise_nobody_is_told_of_on_top_and_on_its_card(
    house: WebHouse, web: Served, browser: Browser
) -> None:
    """Its node's model is none with which anybody was enrolled."""
    meant = sorted(meanings())
    house.hub.people.add("Ada", meant[0], "dlib-resnet", [NewSample(bytes(8), 0.9)])
    furnish(house)
    jetson = a_worker("jetson", recognise_faces=20)
    model = ModelInfo(name="sface", sha256=meant[1])
    tasks = tuple(task.model_copy(update={"model": model}) for task in jetson.tasks)
    house.node(jetson.model_copy(update={"tasks": tasks}))
    warning = (
        "nobody can be recognised by sface: they were enrolled with another model. "
        "Enrol them again: `meerkat faces enrol NAME PICTURES --model sface`"
    )
    made = web.http.post("/api/workflows", json=lobby())
    assert made.status_code == 201, "it runs, and may be mended while it does"
    assert made.json()["state"]["warning"] == warning
    found = (Found(label="face", score=0.9, box=(0.1, 0.1, 0.2, 0.2)),)
    frame = FrameArrived(new_id(), "porch", "front", NOW, 10, found=found, found_by="detect_faces")
    (item,) = house.workflows.happened(frame, Now(NOW, 0.0)).items
    face = Face(box=found[0].box, score=0.9, quality=0.9, embedding=b64encode(bytes(8)))
    result = Result(job=item.id, token=1, incarnation=new_id(), state="done", model=model, faces=(face,))
    house.workflows.result(item.id, result, Now(NOW, 0.0))
    (listed,) = web.json("/api/workflows")
    assert listed["state"]["warning"] == warning
    assert listed["state"]["frames"] == {"received": 1, "decided": 1, "incomparable": 1}
    browser.open(web.base)
    shown = warning.replace("`", "")
    browser.wait(f"document.getElementById('notices').innerText.includes('Workflow Lobby: {shown}.')")
    card = browser.text("[data-workflow=lobby]")
    assert shown in card
    assert "Not comparable" in card
    assert "1 face" in card
    house.hub.people.add("Ada", meant[1], "sface", [NewSample(bytes(8), 0.9)])
    (mended,) = web.json("/api/workflows")
    assert mended["state"]["warning"] == ""
    assert browser.complaints == []
