"""Writing: a decision's changes in one transaction, and what the core needs at start.

One thread writes. Readers (the HTTP API) have connections of their own; see queries.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DBAPIError

from meerkat_contract.errors import StorageError
from meerkat_contract.messages import DeviceInfo, EventState, ModelInfo, Track
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
from meerkat_hub.core.records import Clip, EventRecord, RecordingSnapshot, Settled
from meerkat_hub.core.workflow_records import Stored, WorkflowRemoved, WorkflowStored

from . import schema as db
from . import workflow_store

_TRACKS = TypeAdapter(tuple[Track, ...])


@dataclass(frozen=True, slots=True)
class Waiting:
    """An announcement that the broker has not confirmed yet."""

    seq: int
    announce: Announce


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the core takes over at start."""

    recordings: list[RecordingSnapshot]
    waiting: list[Clip]


class Store:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        """A connection whose errors are StorageError."""
        with self._mapped("read"), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction whose errors are StorageError."""
        with self._mapped("write"), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _mapped(self, what: str) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StorageError(
                f"the database refused a {what} ({error.orig})",
                where=str(self._engine.url.database),
                remedy="Free some space on the disk, or check the folder's permissions",
            ) from error

    def new_epoch(self) -> int:
        """A number larger than at any earlier start with this database."""
        with self._writing() as connection:
            return _add(connection, db.facts, "epoch", 1)

    # --- writing --------------------------------------------------------------------------------

    def commit(
        self, changes: Sequence[Change], *, announced: Sequence[int], now: datetime, pictures: dict[str, str]
    ) -> list[Waiting]:
        """Write all changes at once, forget confirmed announcements, and return the new ones.

        `pictures` maps an event's id to the file name of its newly written picture.
        Raises StorageError; nothing of the batch is written then.
        """
        fresh: list[Waiting] = []
        with self._writing() as connection:
            for change in changes:
                self._write(connection, change, now, pictures, fresh)
            if announced:
                connection.execute(delete(db.announcements).where(db.announcements.c.seq.in_(announced)))
        return fresh

    def _write(
        self,
        connection: Connection,
        change: Change,
        now: datetime,
        pictures: dict[str, str],
        fresh: list[Waiting],
    ) -> None:
        match change:
            case ClipStored(clip=clip):
                _insert_clip(connection, clip)
                _add(connection, db.totals, "received", 1)
            case ClipTried(id=clip_id, attempts=attempts, reason=reason):
                values = {"attempts": attempts, "reason": reason}
                connection.execute(update(db.clips).where(db.clips.c.id == clip_id).values(values))
            case ClipSettled():
                _settle_clip(connection, change, now)
                _add(connection, db.totals, change.state, 1)
            case ClipJoined(id=clip_id):
                connection.execute(update(db.clips).where(db.clips.c.id == clip_id).values(joined=True))
            case EventSaved(record=record):
                _save_event(connection, record, pictures.get(record.state.id))
            case RecordingClosed(id=recording_id):
                _close_recording(connection, recording_id)
            case PictureStored(picture=picture):
                connection.execute(
                    insert(db.meter_pictures).values(
                        id=picture.id,
                        device=picture.device,
                        meter=picture.meter,
                        captured_at=picture.captured_at,
                        received_at=picture.received_at,
                        size=picture.size,
                        trigger=picture.trigger,
                    )
                )
                _add(connection, db.totals, "pictures", 1)
            case RefusalNoted(refusal=r):
                connection.execute(
                    insert(db.refusals).values(
                        at=r.at, device=r.device, media=r.id, topic=r.topic[:255], reason=r.reason
                    )
                )
                _add(connection, db.totals, "refused", 1)
            case WorkflowStored() | WorkflowRemoved():
                workflow_store.write(connection, change)
            case Announce():
                seq = connection.execute(
                    insert(db.announcements).values(
                        topic=change.topic,
                        payload=change.payload,
                        retain=change.retain,
                        content_type=change.content_type,
                        event=change.event_picture,
                    )
                ).inserted_primary_key
                assert seq is not None
                fresh.append(Waiting(seq[0], change))

    def save_device(self, info: DeviceInfo, now: datetime) -> None:
        values = {"info": info.to_json().decode(), "seen_at": now}
        statement = upsert(db.devices).values(id=info.device, **values)
        with self._writing() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))

    # --- reading for the core -------------------------------------------------------------------

    def known(self, ids: Iterable[str]) -> set[str]:
        """Which of these clips and pictures are in the database already."""
        wanted = list(ids)
        if not wanted:
            return set()
        with self._reading() as connection:
            found: set[str] = set()
            for table in (db.clips, db.meter_pictures):
                found.update(connection.execute(select(table.c.id).where(table.c.id.in_(wanted))).scalars())
            return found

    def devices(self) -> list[DeviceInfo]:
        """Every device that ever introduced itself, as it last did."""
        with self._reading() as connection:
            rows = connection.execute(select(db.devices.c.info).order_by(db.devices.c.id)).scalars()
            return [DeviceInfo.model_validate_json(info) for info in rows]

    def recording(self, recording_id: str) -> RecordingSnapshot | None:
        """A recording with its settled clips and events, or None when it never was."""
        with self._reading() as connection:
            row = connection.execute(
                select(db.recordings).where(db.recordings.c.id == recording_id)
            ).one_or_none()
            return _snapshot(connection, row) if row else None

    def load(self) -> Loaded:
        """Open recordings and waiting clips."""
        with self._reading() as connection:
            open_rows = connection.execute(
                select(db.recordings).where(db.OPEN).order_by(db.recordings.c.id)
            ).all()
            waiting = connection.execute(
                select(db.clips).where(db.WAITING).order_by(db.clips.c.received_at)
            ).all()
            return Loaded([_snapshot(connection, row) for row in open_rows], [_clip(row) for row in waiting])

    def announcements(self) -> list[Waiting]:
        """What the broker has not confirmed, in order."""
        table = db.announcements
        with self._reading() as connection:
            return [
                Waiting(row.seq, Announce(row.topic, row.payload, row.retain, row.content_type, row.event))
                for row in connection.execute(select(table).order_by(table.c.seq))
            ]

    def workflows(self) -> list[Stored]:
        """Those that were asked for at run time, by age."""
        with self._reading() as connection:
            return workflow_store.read(connection)

    def event_picture(self, event_id: str) -> str | None:
        """The file name of an event's picture, without suffix."""
        with self._reading() as connection:
            query = select(db.events.c.picture).where(db.events.c.id == event_id)
            name: str | None = connection.execute(query).scalar_one_or_none()
            return name

    def event_pictures(self, events: Iterable[str]) -> list[str]:
        """The file names of these events' pictures, without suffix."""
        ids = list(events)
        if not ids:
            return []
        with self._reading() as connection:
            query = select(db.events.c.picture).where(
                db.events.c.id.in_(ids), db.events.c.picture.is_not(None)
            )
            return list(connection.execute(query).scalars())

    def totals(self) -> dict[str, int]:
        """received, done, failed, expired, pictures, refused since the database was made; and waiting."""
        with self._reading() as connection:
            counts = {row.name: int(row.value or 0) for row in connection.execute(select(db.totals))}
            counts["waiting"] = connection.execute(
                select(func.count()).select_from(db.clips).where(db.WAITING)
            ).scalar_one()
            return counts


def _add(connection: Connection, table: Any, name: str, amount: int) -> int:
    statement = (
        upsert(table)
        .values(name=name, value=amount)
        .on_conflict_do_update(index_elements=["name"], set_={"value": table.c.value + amount})
        .returning(table.c.value)
    )
    return int(connection.execute(statement).scalar_one())


def _insert_clip(connection: Connection, clip: Clip) -> None:
    connection.execute(
        upsert(db.recordings)
        .values(
            id=clip.recording,
            device=clip.device,
            camera=clip.camera,
            started_at=clip.captured_at,
            closed=False,
        )
        .on_conflict_do_update(index_elements=["id"], set_={"closed": False})
    )
    connection.execute(
        insert(db.clips).values(
            id=clip.id,
            device=clip.device,
            camera=clip.camera,
            recording=clip.recording,
            sequence=clip.sequence,
            last=clip.last,
            captured_at=clip.captured_at,
            received_at=clip.received_at,
            duration=clip.duration,
            content_type=clip.content_type,
            size=clip.size,
            trigger=clip.trigger,
            attempts=clip.attempts,
        )
    )


def _settle_clip(connection: Connection, change: ClipSettled, now: datetime) -> None:
    connection.execute(
        update(db.clips)
        .where(db.clips.c.id == change.id, db.WAITING)
        .values(
            state=change.state,
            reason=change.reason,
            settled_at=now,
            model=change.model.to_json().decode() if change.model else None,
            frames=change.frames,
            seconds=change.seconds,
            worker=change.worker,
            tracks=_TRACKS.dump_json(change.tracks, by_alias=True, exclude_none=True).decode(),
        )
    )


def _save_event(connection: Connection, record: EventRecord, picture: str | None) -> None:
    state = record.state
    values: dict[str, Any] = {
        "label": state.label,
        "score": state.score,
        "start_time": state.start_time,
        "end_time": state.end_time,
        "ended": record.ended,
        "state": state.to_json().decode(),
        "members": json.dumps(record.members),
    }
    if picture:
        values["picture"] = picture
    statement = upsert(db.events).values(
        id=state.id,
        device=state.device,
        camera=state.camera,
        recording=state.recording,
        workflow=state.workflow,
        kept=False,
        **values,
    )
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))


def _close_recording(connection: Connection, recording_id: str) -> None:
    """Close it, and drop the pictures that its clips' tracks still carry: the events have theirs on disk."""
    where = db.recordings.c.id == recording_id
    connection.execute(update(db.recordings).where(where).values(closed=True))
    rows = connection.execute(
        select(db.clips.c.id, db.clips.c.tracks).where(
            db.clips.c.recording == recording_id, db.clips.c.tracks.like('%"picture"%')
        )
    ).all()
    for row in rows:
        tracks = json.loads(row.tracks)
        for track in tracks:
            track.pop("picture", None)
        connection.execute(update(db.clips).where(db.clips.c.id == row.id).values(tracks=json.dumps(tracks)))


def _snapshot(connection: Connection, row: Any) -> RecordingSnapshot:
    clips = connection.execute(
        select(db.clips).where(db.clips.c.recording == row.id, db.clips.c.state != "waiting")
    ).all()
    events = connection.execute(select(db.events).where(db.events.c.recording == row.id)).all()
    return RecordingSnapshot(
        row.id,
        row.device,
        row.camera,
        joined=tuple(_settled(clip) for clip in clips if clip.joined),
        unjoined=tuple(_settled(clip) for clip in clips if not clip.joined),
        events=tuple(
            EventRecord(
                EventState.model_validate_json(event.state),
                tuple((clip, number) for clip, number in json.loads(event.members)),
                event.ended,
            )
            for event in events
        ),
    )


def _settled(row: Any) -> Settled:
    return Settled(
        _clip(row),
        row.state,
        _TRACKS.validate_json(row.tracks or "[]"),
        ModelInfo.model_validate_json(row.model) if row.model else None,
        row.reason,
        row.frames,
    )


def _clip(row: Any) -> Clip:
    return Clip(
        id=row.id,
        device=row.device,
        camera=row.camera,
        captured_at=row.captured_at,
        received_at=row.received_at,
        recording=row.recording,
        sequence=row.sequence,
        last=row.last,
        duration=row.duration,
        content_type=row.content_type,
        size=row.size,
        trigger=row.trigger,
        attempts=row.attempts,
    )
