"""Writing: a decision's changes in one transaction, and what the core needs at start.

One thread writes. Readers (the HTTP API) have connections of their own; see queries.py.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, func, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DBAPIError

from meerkat_contract.errors import StorageError
from meerkat_contract.messages import DeviceInfo, EventState, ModelInfo
from meerkat_contract.vocabulary import category
from meerkat_hub.core.cloud_records import StoredBurst
from meerkat_hub.core.meter_records import StoredMeters
from meerkat_hub.core.meters.history import KEEP
from meerkat_hub.core.outputs import Announce, Change
from meerkat_hub.core.records import Clip, EventRecord, RecordingSnapshot, Settled
from meerkat_hub.core.workflow_records import Stored

from . import burst_store, meter_store, workflow_store
from . import schema as db
from .changes import TRACKS, Batch, Waiting
from .statements import MEDIA, READING, RECORDING, driver, find

__all__ = ["Known", "Loaded", "Store", "Waiting"]


@dataclass(slots=True)
class Known:
    """What the database says of a batch of arrivals."""

    media: set[str] = field(default_factory=set)
    """Ids of clips and pictures that are stored already."""
    readings: set[str] = field(default_factory=set)
    """Ids of pictures that have been read."""
    recordings: dict[str, RecordingSnapshot | None] = field(default_factory=dict)
    """Of each that was asked for; None when it never was."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the core takes over at start."""

    recordings: list[RecordingSnapshot]
    waiting: list[Clip]


_RECORDINGS = select(db.recordings).where(db.recordings.c.id.in_(bindparam("wanted", expanding=True)))


class Store:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._last_seq = 0

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
        except (DBAPIError, sqlite3.Error) as error:  # the second: of what statements.py hands to the driver
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise StorageError(
                f"the database refused a {what} ({cause})",
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
        with self._writing() as connection:
            batch = Batch(connection, now=now, pictures=pictures, last_seq=self._last_seq)
            batch.write(changes, announced)
        self._last_seq = batch.last_seq
        return batch.fresh

    def save_device(self, info: DeviceInfo, now: datetime) -> None:
        values = {"info": info.to_json().decode(), "seen_at": now}
        statement = upsert(db.devices).values(id=info.device, **values)
        with self._writing() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))

    def forget_device(self, device: str) -> None:
        """It was removed for good; what it recorded stays."""
        with self._writing() as connection:
            connection.execute(delete(db.devices).where(db.devices.c.id == device))

    # --- reading for the core -------------------------------------------------------------------

    def look_up(self, ids: Iterable[str], recordings: Iterable[str] = ()) -> Known:
        """Which of these clips and pictures are stored already, and these recordings as they stand."""
        known = Known()
        wanted, asked = list(ids), list(recordings)
        if not wanted and not asked:
            return known
        known.recordings = dict.fromkeys(asked)
        with self._reading() as connection:
            found: dict[int, set[str]] = {MEDIA: known.media, READING: known.readings, RECORDING: set()}
            for kind, name in find(driver(connection), wanted, asked):
                found[kind].add(name)
            if found[RECORDING]:
                for row in connection.execute(_RECORDINGS, {"wanted": list(found[RECORDING])}):
                    known.recordings[row.id] = _snapshot(connection, row)
        return known

    def known(self, ids: Iterable[str]) -> set[str]:
        """Which of these clips and pictures are in the database already."""
        return self.look_up(ids).media

    def devices(self) -> list[DeviceInfo]:
        """Every device that ever introduced itself, as it last did."""
        with self._reading() as connection:
            rows = connection.execute(select(db.devices.c.info).order_by(db.devices.c.id)).scalars()
            return [DeviceInfo.model_validate_json(info) for info in rows]

    def recording(self, recording_id: str) -> RecordingSnapshot | None:
        """A recording with its settled clips and events, or None when it never was."""
        return self.look_up((), (recording_id,)).recordings[recording_id]

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

    def meters(self) -> StoredMeters:
        """Layouts, settings, the latest part of each history, and pictures that wait."""
        with self._reading() as connection:
            return meter_store.load(connection, KEEP)

    def burst(self) -> StoredBurst:
        """Clips in the cloud, the ledger, and what else is remembered of it."""
        with self._reading() as connection:
            return burst_store.read(connection)

    def workflows(self) -> list[Stored]:
        """Those that were asked for at run time, by age."""
        with self._reading() as connection:
            return workflow_store.read(connection)

    def begun_since(self, when: datetime) -> dict[tuple[str, str], dict[str, int]]:
        """How many events of recordings began since then, by (device, camera) and category."""
        table = db.events
        query = (
            select(table.c.device, table.c.camera, table.c.label, func.count().label("many"))
            .where(table.c.start_time >= when, table.c.recording.is_not(None))
            .group_by(table.c.device, table.c.camera, table.c.label)
        )
        counts: dict[tuple[str, str], dict[str, int]] = {}
        with self._reading() as connection:
            for row in connection.execute(query):
                of = counts.setdefault((row.device, row.camera), {})
                kind = category(row.label)
                of[kind] = of.get(kind, 0) + row.many
        return counts

    def event_picture(self, event_id: str) -> tuple[str | None, EventState | None]:
        """The file name of an event's picture, without suffix; and how it stands if a workflow decided it."""
        of = db.events.c
        with self._reading() as connection:
            query = select(of.picture, of.workflow, of.state).where(of.id == event_id)
            row = connection.execute(query).one_or_none()
        if row is None:
            return None, None
        return row.picture, EventState.model_validate_json(row.state) if row.workflow else None

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
        TRACKS.validate_json(row.tracks or "[]"),
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
        unreadable_by=row.worker if row.state == "waiting" else "",
        cloud=row.cloud,
    )
