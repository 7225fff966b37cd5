"""Writing a commit's changes, many rows with one statement.

What the hub decides comes in small pieces; what a database takes best is few statements with many
rows, and SQLAlchemy takes a statement best that it has seen before. So the statements are made once,
here, and a commit gathers the rows of each. They run in the order below, which keeps the meaning of
the changes: a clip is stored before it is settled and settled before it is joined, and of two states
of one thing the later wins. The one exception, a clip for a recording that was closed before it in
the same commit, writes what is gathered first.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert as upsert

from meerkat_contract.messages import Track
from meerkat_hub.core.cloud_records import BurstFact, CloudChange, FlightSaved, FlightsEnded, LedgerWritten
from meerkat_hub.core.meter_records import MeterChange
from meerkat_hub.core.outputs import (
    Announce,
    Change,
    ClipJoined,
    ClipSettled,
    ClipStored,
    ClipTried,
    EventSaved,
    PictureStored,
    RecordingClosed,
    RefusalNoted,
)
from meerkat_hub.core.records import Clip, EventRecord
from meerkat_hub.core.workflow_records import WorkflowRemoved, WorkflowStored

from . import burst_store, meter_store, workflow_store
from . import schema as db

TRACKS = TypeAdapter(tuple[Track, ...])

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """An announcement that the broker has not confirmed yet."""

    seq: int
    announce: Announce


# --- statements, in the order in which they run ----------------------------------------------------


def _open_recordings() -> Any:
    statement = upsert(db.recordings)
    return statement.on_conflict_do_update(index_elements=["id"], set_={"closed": False})


def _save_events() -> Any:
    """An event keeps what people said of it (`kept`), and its picture until there is a better one."""
    statement = upsert(db.events)
    new = statement.excluded
    names = ("label", "score", "start_time", "end_time", "ended", "state", "members")
    values: Row = {name: new[name] for name in names}
    values["picture"] = func.coalesce(new.picture, db.events.c.picture)
    return statement.on_conflict_do_update(index_elements=["id"], set_=values)


def _count() -> Any:
    statement = upsert(db.totals)
    value = db.totals.c.value + statement.excluded.value
    return statement.on_conflict_do_update(index_elements=["name"], set_={"value": value})


OPEN_RECORDINGS = _open_recordings()
STORE_CLIPS = insert(db.clips)
NOTE_TRIES = (
    update(db.clips)
    .where(db.clips.c.id == bindparam("clip"))
    .values(attempts=bindparam("attempts"), reason=bindparam("reason"))
)
SETTLE_CLIPS = (
    update(db.clips)
    .where(db.clips.c.id == bindparam("clip"), db.WAITING)
    .values(
        {
            name: bindparam(name)
            for name in (
                "state",
                "reason",
                "settled_at",
                "model",
                "frames",
                "seconds",
                "worker",
                "tracks",
                "joined",
            )
        }
    )
)
JOIN_CLIPS = update(db.clips).where(db.clips.c.id == bindparam("clip")).values(joined=True)
SAVE_EVENTS = _save_events()
CLOSE_RECORDINGS = (
    update(db.recordings).where(db.recordings.c.id == bindparam("recording")).values(closed=True)
)
STORE_PICTURES = insert(db.meter_pictures)
NOTE_REFUSALS = insert(db.refusals)
ANNOUNCE = insert(db.announcements)
FORGET = delete(db.announcements).where(db.announcements.c.seq == bindparam("over"))
COUNT = _count()

ORDER = (
    OPEN_RECORDINGS,
    STORE_CLIPS,
    NOTE_TRIES,
    SETTLE_CLIPS,
    JOIN_CLIPS,
    SAVE_EVENTS,
    CLOSE_RECORDINGS,
    STORE_PICTURES,
    NOTE_REFUSALS,
    ANNOUNCE,
    FORGET,
    COUNT,
)


class _Plain:
    """A statement whose values the driver takes as they are: SQLAlchemy need not look at each of many."""

    def __init__(self, statement: Any) -> None:
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="qmark"))
        self.text = str(compiled)
        self.names: tuple[str, ...] = tuple(compiled.positiontup)
        self._same: Row = {name: value for name, value in compiled.params.items() if value is not None}
        """Of every row, as the statement says."""

    def execute(self, connection: Connection, rows: Sequence[Row]) -> None:
        names, same = self.names, self._same
        rows = [{**same, **row} for row in rows] if same else rows
        connection.exec_driver_sql(self.text, [tuple([row[name] for name in names]) for row in rows])


PLAIN = {
    statement: _Plain(statement)
    for statement in (NOTE_TRIES, JOIN_CLIPS, CLOSE_RECORDINGS, ANNOUNCE, FORGET, COUNT)
}

LAST_SEQ = select(func.max(db.announcements.c.seq))

# The pictures that tracks of a closed recording still carry: the events have theirs on disk.
WITH_PICTURES = select(db.clips.c.id, db.clips.c.tracks).where(
    db.clips.c.recording.in_(bindparam("recordings", expanding=True)),
    db.clips.c.tracks.like('%"picture"%'),
)
REPLACE_TRACKS = update(db.clips).where(db.clips.c.id == bindparam("clip")).values(tracks=bindparam("tracks"))


# --- gathering --------------------------------------------------------------------------------------


class Batch:
    """The rows of one commit. `last_seq`: of announcements, the highest number ever used so far."""

    def __init__(
        self, connection: Connection, *, now: datetime, pictures: dict[str, str], last_seq: int
    ) -> None:
        self.fresh: list[Waiting] = []
        """Announcements, with the numbers they got."""
        self.last_seq = last_seq
        self._connection = connection
        self._now = now
        self._pictures = pictures
        self._asked = False
        self._rows: dict[Any, list[Row]] = {}
        self._recordings: dict[str, Row] = {}
        self._events: dict[str, Row] = {}
        self._settled: dict[str, Row] = {}
        self._closed: set[str] = set()
        self._counts: Counter[str] = Counter()
        self._meters: list[MeterChange] = []
        self._burst: list[CloudChange] = []

    def write(self, changes: Sequence[Change], announced: Sequence[int]) -> None:
        """All of them, and forget the announcements that are confirmed."""
        for change in changes:
            self._gather(change)
        self._add(FORGET, *({"over": seq} for seq in announced))
        self._flush()

    def _add(self, statement: Any, *rows: Row) -> None:
        self._rows.setdefault(statement, []).extend(rows)

    def _flush(self) -> None:
        rows = self._rows
        rows[OPEN_RECORDINGS] = list(self._recordings.values())
        rows[SETTLE_CLIPS] = list(self._settled.values())
        rows[SAVE_EVENTS] = list(self._events.values())
        rows[CLOSE_RECORDINGS] = [{"recording": name} for name in self._closed]
        rows[COUNT] = [{"name": name, "value": count} for name, count in self._counts.items()]
        for statement in ORDER:
            if many := rows.get(statement):
                if (plain := PLAIN.get(statement)) is not None:
                    plain.execute(self._connection, many)
                else:
                    self._connection.execute(statement, many)
        if self._closed:
            self._drop_pictures()
        for change in self._meters:  # after the pictures that they speak of
            meter_store.write(self._connection, change, self._now)
        self._meters.clear()
        for flown in self._burst:  # after the clips that they speak of
            burst_store.write(self._connection, flown)
        self._burst.clear()
        rows.clear()
        for gathered in (self._recordings, self._settled, self._events, self._closed, self._counts):
            gathered.clear()

    def _gather(self, change: Change) -> None:
        match change:
            case ClipStored(clip=clip):
                if clip.recording in self._closed:
                    self._flush()
                self._recordings.setdefault(clip.recording, _recording_row(clip))
                self._add(STORE_CLIPS, _clip_row(clip))
                self._counts["received"] += 1
            case ClipTried(id=clip_id, attempts=attempts, reason=reason):
                self._add(NOTE_TRIES, {"clip": clip_id, "attempts": attempts, "reason": reason})
            case ClipSettled():
                self._settled.setdefault(change.id, _settled_row(change, self._now))
                self._counts[change.state] += 1
            case ClipJoined(id=clip_id):
                self._join(clip_id)
            case EventSaved(record=record):
                event = record.state.id
                self._events[event] = _event_row(record, self._pictures.get(event))
            case RecordingClosed(id=recording_id):
                self._closed.add(recording_id)
            case PictureStored():
                self._store_picture(change)
            case RefusalNoted(refusal=r):
                row = {"at": r.at, "device": r.device, "media": r.id, "topic": r.topic[:255]}
                self._add(NOTE_REFUSALS, {**row, "reason": r.reason})
                self._counts["refused"] += 1
            case WorkflowStored() | WorkflowRemoved():
                workflow_store.write(self._connection, change)
            case Announce():
                self._announce(change)
            case _:
                self._gather_rare(change)

    def _store_picture(self, stored: PictureStored) -> None:
        p = stored.picture
        self._add(
            STORE_PICTURES,
            {
                "id": p.id,
                "device": p.device,
                "meter": p.meter,
                "captured_at": p.captured_at,
                "received_at": p.received_at,
                "size": p.size,
                "trigger": p.trigger,
                "state": stored.state,
                "condition": p.condition.to_json().decode() if p.condition else None,
            },
        )
        self._counts["pictures"] += 1
        if stored.state == "done":
            self._counts["pictures_done"] += 1

    def _gather_rare(self, change: MeterChange | CloudChange) -> None:
        """Of meters and of the cloud burst."""
        if isinstance(change, FlightSaved | FlightsEnded | LedgerWritten | BurstFact):
            self._burst.append(change)
            return
        self._meters.append(change)
        if name := meter_store.counted(change):
            self._counts[name] += 1

    def _join(self, clip_id: str) -> None:
        settled = self._settled.get(clip_id)
        if settled is not None:  # mostly it is its turn at once
            settled["joined"] = True
        else:
            self._add(JOIN_CLIPS, {"clip": clip_id})

    def _announce(self, announce: Announce) -> None:
        if not self._asked:  # another program may have written since
            self.last_seq = max(self.last_seq, self._connection.execute(LAST_SEQ).scalar() or 0)
            self._asked = True
        self.last_seq += 1
        self._add(
            ANNOUNCE,
            {
                "seq": self.last_seq,
                "topic": announce.topic,
                "payload": announce.payload,
                "retain": announce.retain,
                "content_type": announce.content_type,
                "event": announce.event_picture,
            },
        )
        self.fresh.append(Waiting(self.last_seq, announce))

    def _drop_pictures(self) -> None:
        rows = []
        for clip, text in self._connection.execute(WITH_PICTURES, {"recordings": list(self._closed)}):
            tracks = json.loads(text)
            for track in tracks:
                track.pop("picture", None)
            rows.append({"clip": clip, "tracks": json.dumps(tracks)})
        if rows:
            self._connection.execute(REPLACE_TRACKS, rows)


# --- rows -------------------------------------------------------------------------------------------


def _recording_row(clip: Clip) -> Row:
    return {
        "id": clip.recording,
        "device": clip.device,
        "camera": clip.camera,
        "started_at": clip.captured_at,
        "closed": False,
    }


def _clip_row(clip: Clip) -> Row:
    return {
        "id": clip.id,
        "device": clip.device,
        "camera": clip.camera,
        "recording": clip.recording,
        "sequence": clip.sequence,
        "last": clip.last,
        "captured_at": clip.captured_at,
        "received_at": clip.received_at,
        "duration": clip.duration,
        "content_type": clip.content_type,
        "size": clip.size,
        "trigger": clip.trigger,
        "attempts": clip.attempts,
        "cloud": clip.cloud,
    }


def _settled_row(change: ClipSettled, now: datetime) -> Row:
    return {
        "clip": change.id,
        "state": change.state,
        "reason": change.reason,
        "settled_at": now,
        "model": change.model.to_json().decode() if change.model else None,
        "frames": change.frames,
        "seconds": change.seconds,
        "worker": change.worker,
        "joined": False,
        "tracks": TRACKS.dump_json(change.tracks, by_alias=True, exclude_none=True).decode(),
    }


def _event_row(record: EventRecord, picture: str | None) -> Row:
    state = record.state
    return {
        "id": state.id,
        "device": state.device,
        "camera": state.camera,
        "recording": state.recording,
        "workflow": state.workflow,
        "kept": False,
        "label": state.label,
        "score": state.score,
        "start_time": state.start_time,
        "end_time": state.end_time,
        "ended": record.ended,
        "state": state.to_json().decode(),
        "members": json.dumps(record.members),
        "picture": picture,
    }
