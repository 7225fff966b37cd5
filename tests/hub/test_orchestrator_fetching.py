"""A workflow that only lacks a model on some machine: the machine is told to fetch one."""

from __future__ import annotations

from hub_support.orchestra import CLIPS, FACES, WHO, Orchestra, a_spec, a_worker
from meerkat_contract.messages import WorkerState
from meerkat_hub.core.workflows.nodes import REST
from meerkat_hub.core.workflows.orchestrator import FETCH_AFTER


def lacking(name: str, *fetchable: str, start: int = 1, **tasks: float) -> WorkerState:
    return a_worker(name, start=start, **tasks).model_copy(update={"fetchable": fetchable})


def test_who_lacks_only_the_model_is_told_and_then_used() -> None:
    house = Orchestra()
    house.see(a_worker("jetson", recognise_faces=40), lacking("pc", FACES, detect_objects=20))
    assert house.fetches == [], "nobody wants it"
    house.ask("lobby", wait=True)
    assert house.fetches == [("pc", FACES)]
    assert "pc fetches a model for detect_faces" in house.state("lobby").reason
    assert "node pc is told to fetch a model for detect_faces, and to offer it" in house.notes
    house.see(a_worker("pc", start=2, detect_objects=20, detect_faces=40))
    assert house.state("lobby").state == "running"
    assert house.on("lobby") == {FACES: ["pc"], WHO: ["jetson"]}
    assert house.fetches == [("pc", FACES)]


def test_a_request_that_does_not_wait_has_it_fetched_too() -> None:
    house = Orchestra()
    house.see(a_worker("jetson", recognise_faces=40), lacking("pc", FACES, WHO, detect_objects=20))
    assert house.ask("lobby") == "refused"
    assert house.fetches == [("pc", FACES), ("pc", WHO)]
    house.turn(REST + 1)
    assert len(house.fetches) == 2, "it is forgotten, and nobody asks again"


def test_what_fails_is_said_and_tried_again_after_a_rest() -> None:
    house = Orchestra()
    pc = lacking("pc", FACES, detect_objects=20)
    house.see(a_worker("jetson", recognise_faces=40), pc)
    house.ask("lobby", wait=True)
    house.see(pc.model_copy(update={"failed": {FACES: "no network"}}))
    assert "node pc has no model for detect_faces: no network" in house.notes
    assert "pc could not fetch a model for detect_faces" in house.state("lobby").reason
    house.turn(REST - 1)
    assert len(house.fetches) == 1
    assert house.orchestrator.wake_at(house.mono) == house.mono + 1
    house.turn(1)
    assert house.fetches == [("pc", FACES)] * 2


def test_nothing_is_fetched_for_what_no_capacity_would_help() -> None:
    house = Orchestra()
    house.see(a_worker("coral", detect_faces=40), a_worker("jetson", recognise_faces=40))
    house.see(lacking("pc", FACES, WHO, detect_objects=20))
    house.ask("late", a_spec(10, max_delay=0.01), wait=True)
    assert house.state("late").cause == "delay"
    house.ask("seen", a_spec(10, measurement="device"), wait=True)
    assert house.state("seen").state == "running"
    assert house.fetches == []


def test_who_is_away_or_told_already_is_not_told() -> None:
    house = Orchestra()
    house.see(lacking("away", FACES, detect_objects=20), lacking("pc", FACES, detect_objects=20))
    house.leave("away")
    house.ask("lobby", wait=True)
    house.ask("hall", wait=True)
    house.turn(1)
    assert house.fetches == [("pc", FACES)]
    house.see(lacking("pc", FACES, start=2, **{CLIPS: 20}))
    house.turn(FETCH_AFTER)
    assert house.fetches == [("pc", FACES)] * 2, "it has started anew, without a model"


def test_a_node_that_is_away_for_a_moment_makes_nobody_fetch() -> None:
    house = Orchestra()
    house.see(a_worker("pc", detect_faces=40), a_worker("jetson", recognise_faces=40))
    house.see(lacking("pi", FACES, detect_objects=2))
    house.ask("lobby")
    house.turn(3600)
    for away in (5, FETCH_AFTER - 1):
        house.leave("pc")
        house.turn(away)
        assert house.state("lobby").state == "refused"
        house.see(a_worker("pc", detect_faces=40))
        assert house.state("lobby").state == "running"
    assert house.fetches == []
    house.leave("pc")
    assert house.orchestrator.wake_at(house.mono) == house.mono + FETCH_AFTER
    house.turn(FETCH_AFTER)
    assert house.fetches == [("pi", FACES)], "it does not come back"
