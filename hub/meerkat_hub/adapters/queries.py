"""Reading for the API: small questions to the database, each on a connection of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Engine, Select, func, select, update

from meerkat_contract.messages import EventState, ModelInfo, Track
from meerkat_contract.vocabulary import CATEGORIES

from . import schema as db

_TRACKS = TypeAdapter(tuple[Track, ...])


@dataclass(frozen=True, slots=True)
class StoredEvent:
    state: EventState
    ended: bool
    kept: bool
    picture: str | None
    """File name of its picture, without suffix."""


@dataclass(frozen=True, slots=True)
class StoredClip:
    id: str
    device: str
    camera: str
    recording: str
    sequence: int
    captured_at: datetime
    received_at: datetime
    settled_at: datetime | None
    duration: float
    content_type: str
    size: int
    trigger: str
    state: str
    reason: str
    attempts: int
    worker: str
    frames: int
    seconds: float
    model: ModelInfo | None
    tracks: tuple[Track, ...]
    has_file: bool


@dataclass(frozen=True, slots=True)
class StoredPicture:
    id: str
    device: str
    meter: str
    captured_at: datetime
    received_at: datetime
    size: int
    trigger: str


@dataclass(frozen=True, slots=True)
class StoredRefusal:
    at: datetime
    device: str
    media: str
    topic: str
    reason: str


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list: all of it that is given must match; `before` and `after` bound the time."""

    device: str | None = None
    camera: str | None = None
    label: str | None = None
    category: str | None = None
    state: str | None = None
    before: datetime | None = None
    after: datetime | None = None
    limit: int = 50


class Queries:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def events(self, wanted: Filter) -> list[StoredEvent]:
        """Newest first."""
        table = db.events
        query = _within(select(table), table.c.start_time, wanted)
        query = _of_camera(query, table, wanted)
        if wanted.label:
            query = query.where(table.c.label == wanted.label)
        if wanted.category:
            query = query.where(table.c.label.in_(sorted(CATEGORIES.get(wanted.category, ()))))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(table.c.start_time.desc(), table.c.id.desc()))
            return [_event(row) for row in rows]

    def event(self, event_id: str) -> StoredEvent | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(db.events).where(db.events.c.id == event_id)).one_or_none()
            return _event(row) if row else None

    def keep_event(self, event_id: str, kept: bool) -> bool:
        """Keep an event and its clips for good, or no longer; False when there is no such event."""
        with self._engine.begin() as connection:
            changed = connection.execute(
                update(db.events).where(db.events.c.id == event_id).values(kept=kept)
            )
            return changed.rowcount == 1

    def labels(self) -> list[str]:
        """Every label that an event has."""
        with self._engine.connect() as connection:
            return list(connection.execute(select(db.events.c.label).distinct().order_by("label")).scalars())

    def clips(self, wanted: Filter) -> list[StoredClip]:
        """Newest first, without their tracks."""
        table = db.clips
        query = _of_camera(_within(select(table), table.c.captured_at, wanted), table, wanted)
        if wanted.state:
            query = query.where(table.c.state == wanted.state)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(table.c.captured_at.desc(), table.c.id.desc()))
            return [_clip(row, tracks=False) for row in rows]

    def clips_by_id(self, ids: list[str]) -> list[StoredClip]:
        """These clips in the order of their time, without their tracks."""
        query = select(db.clips).where(db.clips.c.id.in_(ids)).order_by(db.clips.c.captured_at)
        with self._engine.connect() as connection:
            return [_clip(row, tracks=False) for row in connection.execute(query)]

    def clip(self, clip_id: str) -> StoredClip | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(db.clips).where(db.clips.c.id == clip_id)).one_or_none()
            return _clip(row, tracks=True) if row else None

    def meter_pictures(self, wanted: Filter) -> list[StoredPicture]:
        """Newest first; `camera` names the meter."""
        table = db.meter_pictures
        query = _within(select(table), table.c.captured_at, wanted)
        if wanted.device:
            query = query.where(table.c.device == wanted.device)
        if wanted.camera:
            query = query.where(table.c.meter == wanted.camera)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(table.c.captured_at.desc()))
            return [StoredPicture(**row._mapping) for row in rows]

    def refusals(self, limit: int) -> list[StoredRefusal]:
        table = db.refusals
        columns = (table.c.at, table.c.device, table.c.media, table.c.topic, table.c.reason)
        with self._engine.connect() as connection:
            rows = connection.execute(select(*columns).order_by(table.c.seq.desc()).limit(limit))
            return [StoredRefusal(**row._mapping) for row in rows]

    def announcements_waiting(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(db.announcements)).scalar_one())


def _within(query: Select[Any], column: Any, wanted: Filter) -> Select[Any]:
    if wanted.before is not None:
        query = query.where(column < wanted.before)
    if wanted.after is not None:
        query = query.where(column >= wanted.after)
    return query.limit(wanted.limit)


def _of_camera(query: Select[Any], table: Any, wanted: Filter) -> Select[Any]:
    if wanted.device:
        query = query.where(table.c.device == wanted.device)
    if wanted.camera:
        query = query.where(table.c.camera == wanted.camera)
    return query


def _event(row: Any) -> StoredEvent:
    return StoredEvent(EventState.model_validate_json(row.state), row.ended, row.kept, row.picture)


def _clip(row: Any, *, tracks: bool) -> StoredClip:
    return StoredClip(
        id=row.id,
        device=row.device,
        camera=row.camera,
        recording=row.recording,
        sequence=row.sequence,
        captured_at=row.captured_at,
        received_at=row.received_at,
        settled_at=row.settled_at,
        duration=row.duration,
        content_type=row.content_type,
        size=row.size,
        trigger=row.trigger,
        state=row.state,
        reason=row.reason,
        attempts=row.attempts,
        worker=row.worker,
        frames=row.frames,
        seconds=row.seconds,
        model=ModelInfo.model_validate_json(row.model) if row.model else None,
        tracks=_TRACKS.validate_json(row.tracks) if tracks and row.tracks else (),
        has_file=row.file,
    )
