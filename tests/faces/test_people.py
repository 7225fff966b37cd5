"""People in the database and over HTTP: enrol, recognise, forget."""

from __future__ import annotations

import sqlite3
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect

from hub_support.web_house import JPEG, Served, WebHouse
from meerkat_contract.errors import StorageError
from meerkat_hub.adapters import database, people_store
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.people_store import NewSample, PeopleStore
from meerkat_hub.core.workflows.decisions import Seen, WhoMayBeHere, decide
from meerkat_inference import catalogue

MODEL = catalogue.default("recognise_faces").model.sha256
JSON = {"Content-Type": "application/json"}


def embedding(seed: int) -> bytes:
    """128 numbers as dlib's are: people about 0.8 apart."""
    return (np.random.default_rng(seed).normal(0, 0.05, 128)).astype("<f4").tobytes()


def near(seed: int) -> bytes:
    """Another picture of the same person."""
    numbers = np.frombuffer(embedding(seed), "<f4") + np.float32(0.01)
    return numbers.astype("<f4").tobytes()


def body(*seeds: int, model: str = MODEL, **sample: Any) -> dict[str, Any]:
    fields = {"quality": 0.8, "picture": b64encode(JPEG).decode(), **sample}
    return {
        "model": {"name": "dlib-resnet", "sha256": model, "engine": "dlib"},
        "samples": [{"embedding": b64encode(embedding(seed)).decode(), **fields} for seed in seeds],
    }


def enrol(web: Served, name: str, sent: dict[str, Any], *, status: int = 200) -> Any:
    response = web.http.post(f"/api/people/{name}/samples", json=sent)
    assert response.status_code == status, response.text
    return response.json()


# --- the store ------------------------------------------------------------------------------------


def test_who_was_enrolled_is_known_after_a_restart(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "hub.db")
    PeopleStore(engine).add("Ada", MODEL, "dlib-resnet", [NewSample(embedding(1), 0.8)])
    engine.dispose()
    engine = open_database(tmp_path / "hub.db")
    gallery = PeopleStore(engine).gallery
    engine.dispose()
    assert gallery.who(near(1), MODEL).person == "Ada"
    assert gallery.who(embedding(2), MODEL).stranger


def test_a_forgotten_face_leaves_no_trace_in_the_files(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "hub.db")
    people = PeopleStore(engine)
    people.add("Ada", MODEL, "dlib-resnet", [NewSample(embedding(n), 0.8, JPEG * 50) for n in range(20)])
    people.add("Bob", MODEL, "dlib-resnet", [NewSample(embedding(99), 0.8)])
    marks = [embedding(n) for n in range(20)] + [JPEG * 50]

    def traces() -> int:
        return sum(mark in path.read_bytes() for path in tmp_path.iterdir() for mark in marks)

    assert traces() > 0
    assert people.forget("Ada")
    assert traces() == 0
    assert people.gallery.people == {"Bob"}
    assert not people.forget("Ada")
    engine.dispose()


def test_a_gallery_that_was_handed_out_does_not_change(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "hub.db")
    people = PeopleStore(engine)
    before = people.gallery
    people.add("Ada", MODEL, "dlib-resnet", [NewSample(embedding(1), 0.8)])
    assert before.people == frozenset()
    assert people.gallery.people == {"Ada"}
    engine.dispose()


def test_a_trace_that_another_program_keeps_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_store, "CHECKPOINT_MS", 1)
    engine = open_database(tmp_path / "hub.db")
    people = PeopleStore(engine)
    people.add("Ada", MODEL, "dlib-resnet", [NewSample(embedding(1), 0.8)])
    other = sqlite3.connect(tmp_path / "hub.db")
    other.execute("BEGIN")
    assert other.execute("SELECT count(*) FROM people").fetchone() == (1,)
    assert people.forget("Ada")
    assert "is still in the log" in caplog.text
    other.close()
    people.add("Bob", MODEL, "dlib-resnet", [NewSample(embedding(2), 0.8)])
    assert people.forget("Bob")
    assert caplog.text.count("is still in the log") == 1
    assert not any(embedding(1) in path.read_bytes() for path in tmp_path.iterdir())
    engine.dispose()


def test_a_database_that_refuses_is_told(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "hub.db")
    people = PeopleStore(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON face_samples BEGIN SELECT RAISE(ABORT, 'no room'); END"
        )
    with pytest.raises(StorageError, match="the database refused a write"):
        people.add("Ada", MODEL, "dlib-resnet", [NewSample(embedding(1), 0.8)])
    assert people.gallery.people == frozenset()
    engine.dispose()


def test_a_database_of_the_first_version_is_brought_up(tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    old = create_engine(f"sqlite:///{tmp_path / 'hub.db'}")
    with old.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        assert not inspect(connection).has_table("people")
    old.dispose()
    engine = open_database(tmp_path / "hub.db")
    PeopleStore(engine).add("Ada", MODEL, "dlib-resnet", [NewSample(embedding(1), 0.8)])
    engine.dispose()


# --- the API --------------------------------------------------------------------------------------


def test_enrolled_people_are_listed_and_recognised(house: WebHouse, web: Served) -> None:
    assert web.json("/api/people") == []
    answer = enrol(web, "Ada Lovelace", body(1, 2))
    assert answer["person"]["name"] == "Ada Lovelace"
    assert [sample["id"] for sample in answer["person"]["samples"]] == answer["added"]
    assert answer["warnings"] == []
    enrol(web, "Zoë", body(3))
    listed = web.json("/api/people")
    assert [person["name"] for person in listed] == ["Ada Lovelace", "Zoë"]
    assert "embedding" not in listed[0]["samples"][0]
    assert house.hub.people.gallery.who(near(2), MODEL).person == "Ada Lovelace"
    assert house.hub.people.gallery.who(near(3), MODEL).person == "Zoë"


def test_somebody_asks_who_it_is(house: WebHouse, web: Served) -> None:
    enrol(web, "Ada", body(1))
    before = house.hub.people.gallery

    def ask(numbers: bytes, **fields: Any) -> Any:
        sent = {"model": body()["model"], "embedding": b64encode(numbers).decode(), **fields}
        return web.http.post("/api/recognise", json=sent).raise_for_status().json()

    known = ask(near(1))
    assert (known["verdict"], known["person"]) == ("known", "Ada")
    assert known["distance"] == pytest.approx(0.113, abs=0.002)
    stranger = ask(embedding(2))
    assert (stranger["verdict"], stranger["person"]) == ("unknown", None)
    assert ask(near(1), quality=0.1) == {
        "verdict": "unfit",
        "person": None,
        "distance": None,
        "reason": "the face is hardly to be made out (quality 10%)",
    }
    assert ask(b"abc")["verdict"] == "incomparable"
    assert house.hub.people.gallery is before, "nothing of it is kept"


def test_a_sample_shows_its_face(web: Served) -> None:
    (sample,) = enrol(web, "Ada", body(1))["added"]
    answer = web.get(f"/api/people/Ada/samples/{sample}/picture")
    assert answer.content == JPEG
    assert answer.headers["cache-control"] == "private, no-store"
    web.get(f"/api/people/Bob/samples/{sample}/picture", status=404)


def test_a_person_and_a_sample_are_forgotten(house: WebHouse, web: Served) -> None:
    first, _ = enrol(web, "Ada", body(1, 2))["added"]
    assert web.http.delete(f"/api/people/Ada/samples/{first}", headers=JSON).status_code == 204
    assert house.hub.people.gallery.who(near(1), MODEL).stranger
    assert house.hub.people.gallery.who(near(2), MODEL).person == "Ada"
    assert web.http.delete(f"/api/people/Ada/samples/{first}", headers=JSON).status_code == 404
    assert web.http.delete("/api/people/Ada", headers=JSON).status_code == 204
    assert web.json("/api/people") == []
    gone = web.http.delete("/api/people/Ada", headers=JSON)
    assert gone.status_code == 404
    assert gone.json()["what"] == "nobody is enrolled as Ada"


def test_a_foreign_page_can_forget_nobody(web: Served) -> None:
    enrol(web, "Ada", body(1))
    assert web.http.delete("/api/people/Ada").status_code == 415
    assert len(web.json("/api/people")) == 1


def test_a_sample_like_somebody_else_is_warned_about(web: Served) -> None:
    enrol(web, "Ada", body(1))
    warnings = enrol(web, "Bob", body(2, 1))["warnings"]
    assert warnings == ["samples.1 resembles Ada (distance 0.00): the right person?"]
    assert enrol(web, "Ada", body(1, 3))["warnings"] == [], "she may resemble herself"


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (body(1, model="0" * 64), "the hub's catalogue does not know the embedder 'dlib-resnet'"),
        (body(1, embedding=b64encode(b"\0" * 508).decode()), "127 numbers"),
        (body(1, embedding=b64encode(b"\0\0\xc0\x7f" * 128).decode()), "infinite, or none"),
        (body(1, quality=0.29), "can hardly be made out"),
        (body(1, picture=b64encode(b"GIF89a").decode()), "no JPEG"),
        (body(), "at least 1 item"),
    ],
)
def test_what_could_never_match_is_refused(web: Served, sent: dict[str, Any], says: str) -> None:
    problem = enrol(web, "Ada", sent, status=422)
    assert says in problem["what"]
    assert web.json("/api/people") == []


def test_a_person_has_a_bounded_number_of_samples(web: Served) -> None:
    for n in range(2):
        enrol(web, "Ada", body(*range(50 * n, 50 * n + 50)))
    problem = enrol(web, "Ada", body(200), status=422)
    assert "more than 100 samples" in problem["what"]


@pytest.mark.parametrize("name", ["%20Ada", ".", "a" * 81, "<b>", "Ada%0aBob"])
def test_a_name_is_a_name(web: Served, name: str) -> None:
    response = web.http.post(f"/api/people/{name}/samples", json=body(1))
    assert response.status_code in (404, 405, 422)
    assert web.json("/api/people") == []


# --- one person, however the name is written ------------------------------------------------------


@pytest.mark.parametrize("other", ["ju\u0308rgen", "Ju\u0308rgen", "JÜRGEN", "Jürgen ", "Jürgen"])
def test_a_name_means_one_person_however_it_is_written(web: Served, other: str) -> None:
    enrol(web, "Jürgen", body(1))
    answer = enrol(web, quote(other), body(2))
    assert answer["person"]["name"] == "Jürgen"
    assert len(answer["person"]["samples"]) == 2
    assert [person["name"] for person in web.json("/api/people")] == ["Jürgen"]
    sample = answer["added"][0]
    assert web.get(f"/api/people/{quote(other)}/samples/{sample}/picture").content == JPEG
    assert web.http.delete(f"/api/people/{quote(other)}", headers=JSON).status_code == 204
    assert web.json("/api/people") == []


def test_a_rule_finds_its_people_however_their_names_are_written() -> None:
    rule = WhoMayBeHere(allowed=("JU\u0308RGEN",))
    seen = [Seen(label="face", score=0.9, box=(0.1, 0.1, 0.1, 0.1), identity="Jürgen")]
    (decision,), _ = decide(rule, seen, camera="porch/front", local=datetime(2026, 11, 20, 12, tzinfo=UTC))
    assert not decision.alert, decision.reason


def test_blanks_in_a_name_are_single(web: Served) -> None:
    assert enrol(web, "Uncle%20%20Bob", body(1))["person"]["name"] == "Uncle Bob"


def test_the_same_picture_is_enrolled_once(web: Served) -> None:
    assert enrol(web, "Ada", body(1, 2))["already"] == []
    answer = enrol(web, "Ada", body(3, 2, 3))
    assert (len(answer["added"]), answer["already"]) == (1, [1, 2])
    assert len(answer["person"]["samples"]) == 3
    full = enrol(web, "Bob", body(*range(50)))
    assert len(full["added"]) == 50
    enrol(web, "Bob", body(*range(50, 100)))
    assert enrol(web, "Bob", body(*range(50)))["added"] == [], "what is there takes no room"
    enrol(web, "Bob", body(100), status=422)


def test_numbers_that_are_none_are_told_apart_from_too_few(web: Served) -> None:
    sent = body(1)
    numbers = np.full(128, np.nan, "<f4").tobytes()
    sent["samples"][0]["embedding"] = b64encode(numbers).decode()
    assert "infinite, or none" in enrol(web, "Ada", sent, status=422)["what"]
    sent["samples"][0]["embedding"] = b64encode(numbers[:16]).decode()
    assert enrol(web, "Ada", sent, status=422)["what"] == "4 numbers, and dlib-resnet gives 128"
