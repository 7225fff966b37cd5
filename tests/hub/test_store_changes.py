"""What a commit writes: many changes with few statements, and with the meaning they have one by one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, update

from hub_support.core_driver import START, a_clip, an_id, track
from meerkat_contract.messages import Box, EventState
from meerkat_hub.adapters import schema as db
from meerkat_hub.adapters.changes import TRACKS
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.statements import (
    ANNOUNCE,
    CLOSE_RECORDINGS,
    COUNT,
    FORGET,
    OPEN_RECORDINGS,
    ORDER,
    REPLACE_TRACKS,
    SETTLE_CLIPS,
    STORE_CLIPS,
    Row,
    Statement,
)
from meerkat_hub.adapters.store import Store, Waiting
from meerkat_hub.core.outputs import (
    Announce,
    Change,
    ClipJoined,
    ClipSettled,
    ClipStored,
    ClipTried,
    EventSaved,
    RecordingClosed,
    RefusalNoted,
)
from meerkat_hub.core.records import EventRecord, Refusal


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_database(tmp_path / "hub.db")
    yield made
    made.dispose()


def commit(
    store: Store, *changes: Change, announced: Sequence[int] = (), pictures: dict[str, str] | None = None
) -> list[Waiting]:
    return store.commit(changes, announced=announced, now=START, pictures=pictures or {})


def rows(engine: Engine, table: Any, *columns: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        query = select(*(table.c[name] for name in columns)).order_by(table.c.id)
        return [tuple(row) for row in connection.execute(query)]


def an_event(revision: int, *, score: float = 0.5, ended: bool = False) -> EventSaved:
    state = EventState(
        id=an_id(7),
        device="porch",
        camera="front",
        label="cat",
        category="animal",
        score=score,
        box=Box((0.1, 0.1, 0.2, 0.2)),
        start_time=START,
        end_time=START,
        picture_time=START,
        revision=revision,
        recording=an_id(0xA000),
    )
    return EventSaved(EventRecord(state, ((an_id(1), 0),), ended))


def test_changes_of_one_clip_in_one_commit_end_in_its_last_state(engine: Engine) -> None:
    one, two = a_clip(1), a_clip(2, sequence=1)
    commit(
        Store(engine),
        ClipStored(one),
        ClipStored(two),
        ClipTried(one.id, 1, "first"),
        ClipTried(one.id, 2, "second"),
        ClipTried(two.id, 1, "only"),
        ClipSettled(one.id, "failed", reason="given up"),
        ClipJoined(one.id),
    )
    assert rows(engine, db.clips, "state", "attempts", "reason", "joined") == [
        ("failed", 2, "given up", True),
        ("waiting", 1, "only", False),
    ]
    totals = Store(engine).totals()
    assert (totals["received"], totals["failed"], totals["waiting"]) == (2, 1, 1)


def test_a_clip_is_settled_once(engine: Engine) -> None:
    store, clip = Store(engine), a_clip(1)
    commit(store, ClipStored(clip))
    commit(store, ClipSettled(clip.id, "done", frames=25))
    commit(store, ClipSettled(clip.id, "failed", reason="too late"))
    assert rows(engine, db.clips, "state", "frames", "reason") == [("done", 25, "")]


def test_a_clip_reopens_its_recording_whichever_way_round_they_are_committed(engine: Engine) -> None:
    store = Store(engine)
    commit(store, ClipStored(a_clip(1)), RecordingClosed(an_id(0xA000)))
    assert rows(engine, db.recordings, "closed") == [(True,)]
    commit(store, ClipStored(a_clip(2, sequence=1)))
    assert rows(engine, db.recordings, "closed") == [(False,)]
    commit(store, RecordingClosed(an_id(0xA000)), ClipStored(a_clip(3, sequence=2)))
    assert rows(engine, db.recordings, "closed") == [(False,)]
    assert rows(engine, db.recordings, "started_at") == [(START,)], "it began with its first clip"


def test_an_event_keeps_its_picture_and_whether_people_keep_it(engine: Engine) -> None:
    store = Store(engine)
    commit(store, ClipStored(a_clip(1)), an_event(1), an_event(2, score=0.75), pictures={an_id(7): "best"})
    assert rows(engine, db.events, "score", "picture", "kept") == [(0.75, "best", False)]
    with engine.begin() as connection:
        connection.execute(update(db.events).values(kept=True))
    commit(store, an_event(3, score=0.5, ended=True))
    assert rows(engine, db.events, "score", "ended", "picture", "kept") == [(0.5, True, "best", True)]


def test_numbers_of_announcements_are_never_used_twice(engine: Engine) -> None:
    store = Store(engine)
    first = commit(store, Announce("a"), Announce("b", event_picture=an_id(7)))
    assert [w.announce.topic for w in first] == ["a", "b"]
    assert store.announcements() == first
    second = commit(store, Announce("c"), announced=[w.seq for w in first])
    assert store.announcements() == second
    assert commit(store, announced=[w.seq for w in second]) == []
    other = commit(Store(engine), Announce("d"))
    third = commit(store, Announce("e"))
    numbers = [w.seq for w in (*first, *second, *third)]
    assert numbers == sorted(set(numbers))
    assert third[0].seq not in {w.seq for w in other}


def test_a_commit_of_many_clips_takes_few_statements(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    run, statements = Statement.run, []

    def note(statement: Statement, cursor: sqlite3.Cursor, rows: Sequence[Row]) -> None:
        statements.append(statement)
        run(statement, cursor, rows)

    monkeypatch.setattr(Statement, "run", note)
    store = Store(engine)
    clips = [a_clip(n, recording=0xA000 + n // 4, sequence=n % 4) for n in range(1, 201)]
    commit(store, *(ClipStored(clip) for clip in clips))
    assert statements == [OPEN_RECORDINGS, STORE_CLIPS, COUNT]
    statements.clear()
    changes: list[Change] = []
    for clip in clips:
        changes += [ClipSettled(clip.id, "done"), ClipJoined(clip.id), Announce("outcome")]
    closed = [RecordingClosed(an_id(0xA000 + n), pictured=False) for n in range(50)]
    commit(store, *changes, *closed, announced=range(9))
    assert statements == [SETTLE_CLIPS, CLOSE_RECORDINGS, ANNOUNCE, FORGET, COUNT]
    assert store.totals()["done"] == 200


def test_pictures_of_a_closed_recording_are_dropped_from_its_tracks(engine: Engine) -> None:
    store, clip = Store(engine), a_clip(1, last=True)
    tracks = (track(x=(0.0, 0.3), picture=b"jpeg"), track(2))
    commit(store, ClipStored(clip), ClipSettled(clip.id, "done", tracks=tracks))
    assert '"picture"' in str(rows(engine, db.clips, "tracks"))
    commit(store, RecordingClosed(clip.recording, pictured=True))
    [(text,)] = rows(engine, db.clips, "tracks")
    assert TRACKS.validate_json(text) == tuple(t.model_copy(update={"picture": None}) for t in tracks)


def scans(engine: Engine, statements: Iterable[str]) -> list[tuple[str, str]]:
    """Those of the statements whose plan goes through a whole table or index."""
    found = []
    with sqlite3.connect(str(engine.url.database)) as connection:
        for text in statements:
            values = [None] * text.count("?")
            for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", values):
                found += [(text, row[3])] if row[3].startswith("SCAN") else []
    return found


def test_no_statement_of_a_commit_looks_through_a_table(engine: Engine) -> None:
    """It would cost more with every clip that waits. The driver itself tells what is executed."""
    executed: list[str] = []
    engine.dispose()
    event.listen(engine, "connect", lambda raw, _record: raw.set_trace_callback(executed.append))
    store, clip = Store(engine), a_clip(1, last=True)
    store.look_up([clip.id], [clip.recording])
    commit(store, ClipStored(clip), ClipTried(clip.id, 1, "late"))
    store.look_up([clip.id], [clip.recording])
    store.event_pictures([an_id(7)])
    commit(
        store,
        ClipSettled(clip.id, "done", tracks=(track(picture=b"jpeg"),)),
        an_event(1),
        Announce("outcome"),
        RecordingClosed(clip.recording),
        announced=[1],
    )
    commit(store, ClipJoined(clip.id), RefusalNoted(Refusal("topic", "bad", START)), announced=[2])
    queries = [
        text for text in executed if text.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
    ]
    assert len(queries) >= 18
    assert scans(engine, queries) == []
    assert scans(engine, [statement.text for statement in (*ORDER, REPLACE_TRACKS)]) == []
    assert scans(engine, ["SELECT id FROM clips WHERE worker = ?"]) != [], "a test that cannot fail"
