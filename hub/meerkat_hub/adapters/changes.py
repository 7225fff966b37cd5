"""Writing a commit's changes, many rows with one statement.

What the hub decides comes in small pieces; what a database takes best is few statements with many
rows. So a commit gathers the rows of each statement. They run in the order of statements.py, which
keeps the meaning of the changes: a clip is stored before it is settled and settled before it is joined,
and of two states of one thing the later wins. The one exception, a clip for a recording that was closed
before it in the same commit, writes what is gathered first.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import Connection

from meerkat_contract.ids import format_time
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
from .statements import (
    ANNOUNCE,
    CLOSE_RECORDINGS,
    COUNT,
    FORGET,
    JOIN_CLIPS,
    LAST_SEQ,
    NOTE_REFUSALS,
    NOTE_TRIES,
    OPEN_RECORDINGS,
    ORDER,
    REPLACE_TRACKS,
    SAVE_EVENTS,
    SETTLE_CLIPS,
    STORE_CLIPS,
    STORE_PICTURES,
    WITH_PICTURES,
    Row,
    Statement,
    driver,
)

TRACKS = TypeAdapter(tuple[Track, ...])


@dataclass(frozen=True, slots=True)
class Waiting:
    """An announcement that the broker has not confirmed yet."""

    seq: int
    announce: Announce


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
        self._cursor = driver(connection)
        self._now = now
        self._pictures = pictures
        self._asked = False
        self._rows: dict[Statement, list[Row]] = {}
        self._recordings: dict[str, Row] = {}
        self._events: dict[str, Row] = {}
        self._settled: dict[str, Row] = {}
        self._closed: set[str] = set()
        self._pictured: set[str] = set()
        """Those of them whose tracks may carry pictures."""
        self._counts: Counter[str] = Counter()
        self._meters: list[MeterChange] = []
        self._burst: list[CloudChange] = []

    def write(self, changes: Sequence[Change], announced: Sequence[int]) -> None:
        """All of them, and forget the announcements that are confirmed."""
        for change in changes:
            self._gather(change)
        self._add(FORGET, *({"over": seq} for seq in announced))
        self._flush()

    def _add(self, statement: Statement, *rows: Row) -> None:
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
                statement.run(self._cursor, many)
        if self._pictured:
            self._drop_pictures()
        for change in self._meters:  # after the pictures that they speak of
            meter_store.write(self._connection, change, self._now)
        self._meters.clear()
        for flown in self._burst:  # after the clips that they speak of
            burst_store.write(self._connection, flown)
        self._burst.clear()
        rows.clear()
        for gathered in (self._recordings, self._settled, self._events, self._counts):
            gathered.clear()
        self._closed.clear()
        self._pictured.clear()

    def _gather(self, change: Change) -> None:
        match change:
            case ClipStored(clip=clip):
                if clip.recording in self._closed:
                    self._flush()
                self._recordings.setdefault(clip.recording, _recording_row(clip))
                self._add(STORE_CLIPS, _clip_row(clip))
                self._counts["received"] += 1
            case ClipTried(id=clip_id, attempts=attempts, reason=reason, unreadable_by=worker):
                row = {"clip": clip_id, "attempts": attempts, "reason": reason, "worker": worker}
                self._add(NOTE_TRIES, row)
            case ClipSettled():
                self._settled.setdefault(change.id, _settled_row(change, self._now))
                self._counts[change.state] += 1
            case ClipJoined(id=clip_id):
                self._join(clip_id)
            case EventSaved(record=record):
                event = record.state.id
                self._events[event] = _event_row(record, self._pictures.get(event))
            case RecordingClosed(id=recording_id, pictured=pictured):
                self._closed.add(recording_id)
                self._pictured.update([recording_id] if pictured else ())
            case PictureStored():
                self._store_picture(change)
            case RefusalNoted(refusal=r):
                row = {"at": format_time(r.at), "device": r.device, "media": r.id, "topic": r.topic[:255]}
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
                "captured_at": format_time(p.captured_at),
                "received_at": format_time(p.received_at),
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
            self.last_seq = max(self.last_seq, self._cursor.execute(LAST_SEQ).fetchone()[0] or 0)
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
        for clip, text in self._connection.execute(WITH_PICTURES, {"recordings": list(self._pictured)}):
            tracks = json.loads(text)
            for track in tracks:
                track.pop("picture", None)
            rows.append({"clip": clip, "tracks": json.dumps(tracks)})
        REPLACE_TRACKS.run(self._cursor, rows)


# --- rows -------------------------------------------------------------------------------------------


def _recording_row(clip: Clip) -> Row:
    return {
        "id": clip.recording,
        "device": clip.device,
        "camera": clip.camera,
        "started_at": format_time(clip.captured_at),
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
        "captured_at": format_time(clip.captured_at),
        "received_at": format_time(clip.received_at),
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
        "settled_at": format_time(now),
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
        "start_time": format_time(state.start_time),
        "end_time": format_time(state.end_time),
        "ended": record.ended,
        "state": state.to_json().decode(),
        "members": json.dumps(record.members),
        "picture": picture,
    }
