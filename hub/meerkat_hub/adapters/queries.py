"""Reading for the API: small questions to the database, each on a connection of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, Select, func, literal, select, union_all, update

from meerkat_cloud_burst.policy.view import LedgerEntry
from meerkat_contract.device_messages import PictureCondition
from meerkat_contract.messages import EventState, ModelInfo, Track
from meerkat_contract.vocabulary import CATEGORIES, WATCHED

from . import burst_store
from . import schema as db
from .database import connected

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
    condition: PictureCondition | None
    state: str = "kept"
    """kept | waiting | done | failed | expired"""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StoredRefusal:
    at: datetime
    device: str
    media: str
    topic: str
    reason: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Clips since the database was made: received = done + failed + expired + waiting, always."""

    received: int = 0
    done: int = 0
    failed: int = 0
    expired: int = 0
    waiting: int = 0
    pictures: int = 0
    """Of meters: kept without being read, or pictures_done, …_failed, …_expired and …_waiting."""
    pictures_done: int = 0
    pictures_failed: int = 0
    pictures_expired: int = 0
    pictures_waiting: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a list ended: the next one begins behind this row."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list: all of it that is given must match; `after` ≤ time < `before`."""

    device: str | None = None
    camera: str | None = None
    label: str | None = None
    category: str | None = None
    state: str | None = None
    kept: bool | None = None
    workflow: str | None = None
    before: datetime | None = None
    after: datetime | None = None
    behind: Place | None = None
    limit: int = 50


class Queries:
    """Read-only but for `keep_event`. Every method raises StorageError when the database refuses."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _connection(self, *, write: bool = False) -> AbstractContextManager[Connection]:
        return connected(self._engine, write=write)

    def events(self, wanted: Filter) -> list[StoredEvent]:
        """Newest first."""
        table = db.events
        query = _listed(select(table), table, table.c.start_time, wanted)
        if wanted.label:
            query = query.where(table.c.label == wanted.label)
        if wanted.category in CATEGORIES:
            query = query.where(table.c.label.in_(sorted(CATEGORIES[wanted.category])))
        elif wanted.category:
            query = query.where(table.c.label.not_in(sorted(WATCHED)))
        if wanted.workflow:
            query = query.where(table.c.workflow == wanted.workflow)
        if wanted.kept is not None:
            query = query.where(table.c.kept.is_(wanted.kept))
        with self._connection() as connection:
            return [_event(row) for row in connection.execute(query)]

    def event(self, event_id: str) -> StoredEvent | None:
        with self._connection() as connection:
            row = connection.execute(select(db.events).where(db.events.c.id == event_id)).one_or_none()
            return _event(row) if row else None

    def keep_event(self, event_id: str, kept: bool) -> bool:
        """Keep an event and its clips for good, or no longer; False when there is no such event."""
        statement = update(db.events).where(db.events.c.id == event_id).values(kept=kept)
        with self._connection(write=True) as connection:
            return connection.execute(statement).rowcount == 1

    def labels(self) -> list[str]:
        """Every label that an event has."""
        with self._connection() as connection:
            return list(connection.execute(select(db.events.c.label).distinct().order_by("label")).scalars())

    def clips(self, wanted: Filter) -> list[StoredClip]:
        """Newest first, without their tracks."""
        table = db.clips
        query = _listed(select(*_CLIP), table, table.c.captured_at, wanted)
        if wanted.state:
            query = query.where(table.c.state == wanted.state)
        with self._connection() as connection:
            return [_clip(row) for row in connection.execute(query)]

    def clips_by_id(self, ids: Sequence[str]) -> list[StoredClip]:
        """These clips in the order of their time, without their tracks."""
        query = select(*_CLIP).where(db.clips.c.id.in_(ids)).order_by(db.clips.c.captured_at, db.clips.c.id)
        with self._connection() as connection:
            return [_clip(row) for row in connection.execute(query)]

    def clip(self, clip_id: str) -> StoredClip | None:
        with self._connection() as connection:
            row = connection.execute(select(db.clips).where(db.clips.c.id == clip_id)).one_or_none()
            return _clip(row, tracks=row.tracks) if row else None

    def meter_pictures(self, wanted: Filter) -> list[StoredPicture]:
        """Newest first, those whose file is still there; `camera` names the meter."""
        table = db.meter_pictures
        stored = select(*_PICTURE).where(table.c.file)
        query = _listed(stored, table, table.c.captured_at, wanted, thing=table.c.meter)
        with self._connection() as connection:
            return [_picture(row) for row in connection.execute(query)]

    def meter_picture(self, picture_id: str) -> StoredPicture | None:
        """A picture whose file is still there."""
        table = db.meter_pictures
        query = select(*_PICTURE).where(table.c.id == picture_id, table.c.file)
        with self._connection() as connection:
            row = connection.execute(query).one_or_none()
            return _picture(row) if row else None

    def latest_meter_pictures(self) -> dict[tuple[str, str], StoredPicture]:
        """(device, meter) → its newest picture."""
        table = db.meter_pictures
        newest = (
            select(table.c.device, table.c.meter, func.max(table.c.captured_at).label("at"))
            .where(table.c.file)
            .group_by(table.c.device, table.c.meter)
            .subquery()
        )
        same = (
            (table.c.device == newest.c.device)
            & (table.c.meter == newest.c.meter)
            & (table.c.captured_at == newest.c.at)
            & table.c.file
        )
        with self._connection() as connection:
            rows = connection.execute(select(*_PICTURE).join(newest, same).order_by(table.c.id))
            return {(row.device, row.meter): _picture(row) for row in rows}

    def refusals(self, limit: int) -> list[StoredRefusal]:
        """Newest first."""
        table = db.refusals
        columns = (table.c.at, table.c.device, table.c.media, table.c.topic, table.c.reason)
        with self._connection() as connection:
            rows = connection.execute(select(*columns).order_by(table.c.seq.desc()).limit(limit))
            return [StoredRefusal(**row._mapping) for row in rows]

    def burst_ledger(self, limit: int) -> list[LedgerEntry]:
        """The cloud burst's, the latest line first."""
        with self._connection() as connection:
            return burst_store.ledger(connection, limit)[::-1]

    def burst_days(self, limit: int) -> list[burst_store.Day]:
        """What the cloud burst has cost, the latest day first."""
        with self._connection() as connection:
            return burst_store.days(connection, limit)

    def totals(self) -> Totals:
        """In one statement, which sees one state of the database, so that the counts add up."""
        waiting = select(literal("waiting"), func.count()).where(db.WAITING)
        unread = select(literal("pictures_waiting"), func.count()).where(db.UNREAD)
        with self._connection() as connection:
            rows = connection.execute(union_all(select(db.totals.c.name, db.totals.c.value), waiting, unread))
            counts = {name: int(value or 0) for name, value in rows}
        return Totals(**{name: counts.get(name, 0) for name in Totals.__dataclass_fields__})

    def oldest_waiting(self) -> datetime | None:
        """When the clip that waits longest came."""
        query = select(func.min(db.clips.c.received_at, type_=db.UtcText)).where(db.WAITING)
        with self._connection() as connection:
            oldest: datetime | None = connection.execute(query).scalar()
            return oldest

    def announcements_waiting(self) -> int:
        """Messages that the broker has not confirmed."""
        with self._connection() as connection:
            return int(connection.execute(select(func.count()).select_from(db.announcements)).scalar_one())


_CLIP = [column for column in db.clips.c if column.name != "tracks"]
"""Tracks are left out of lists: they can weigh hundreds of kilobytes."""

_PICTURE = [db.meter_pictures.c[name] for name in StoredPicture.__dataclass_fields__]


def _listed(query: Select[Any], table: Any, time: Any, wanted: Filter, *, thing: Any = None) -> Select[Any]:
    """Newest first within the filter's device, camera, time and page."""
    if wanted.device:
        query = query.where(table.c.device == wanted.device)
    if wanted.camera:
        query = query.where((table.c.camera if thing is None else thing) == wanted.camera)
    if wanted.before is not None:
        query = query.where(time < wanted.before)
    if wanted.after is not None:
        query = query.where(time >= wanted.after)
    if wanted.behind is not None:
        at, row = wanted.behind.at, wanted.behind.id
        query = query.where((time < at) | ((time == at) & (table.c.id < row)))
    return query.order_by(time.desc(), table.c.id.desc()).limit(wanted.limit)


def _event(row: Any) -> StoredEvent:
    return StoredEvent(EventState.model_validate_json(row.state), row.ended, row.kept, row.picture)


def _picture(row: Any) -> StoredPicture:
    text = row.condition
    condition = None if text is None else PictureCondition.model_validate_json(text)
    return StoredPicture(**{**row._mapping, "condition": condition})


def _clip(row: Any, *, tracks: str | None = None) -> StoredClip:
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
        tracks=_TRACKS.validate_json(tracks) if tracks else (),
        has_file=row.file,
    )
