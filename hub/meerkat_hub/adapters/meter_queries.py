"""Reading meters' histories for the API: small questions, each on a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, select

from meerkat_contract.meter_layout import MeterLayout
from meerkat_hub.core.meters.rows import ReadingRow

from . import schema as db
from .database import connected
from .meter_store import read_rows
from .queries import Place

PIECE = 500
"""Rows read at a time for an export."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which readings: all that is given must match; `after` ≤ time < `before`."""

    device: str
    meter: str
    counter: str | None = ""
    """None: of every counter."""
    verdict: str | None = None
    before: datetime | None = None
    after: datetime | None = None
    behind: Place | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class StoredReading:
    counter: str
    unit: str
    row: ReadingRow
    has_picture: bool
    """Its picture's file is still there."""


@dataclass(frozen=True, slots=True)
class Example:
    """A picture of which its owner said what it shows."""

    id: str
    device: str
    meter: str
    at: datetime
    layout: MeterLayout
    values: dict[str, float]
    """By counter."""


class MeterQueries:
    """Read-only. Every method raises StorageError when the database refuses."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def readings(self, wanted: Wanted) -> list[StoredReading]:
        """Newest first."""
        table = db.readings
        query = _matching(wanted).order_by(table.c.at.desc(), table.c.id.desc()).limit(wanted.limit)
        if wanted.behind is not None:
            at, row = wanted.behind.at, wanted.behind.id
            query = query.where((table.c.at < at) | ((table.c.at == at) & (table.c.id < row)))
        return list(self._stored(query))

    def reading(self, device: str, meter: str, reading_id: str, counter: str) -> StoredReading | None:
        table = db.readings
        query = _matching(Wanted(device, meter, counter)).where(table.c.id == reading_id)
        return next(iter(self._stored(query)), None)

    def history(self, wanted: Wanted) -> Iterator[StoredReading]:
        """All that match, oldest first, read piece by piece."""
        table = db.readings
        query = _matching(wanted).order_by(table.c.at, table.c.id, table.c.counter).limit(PIECE)
        last: tuple[datetime, str, str] | None = None
        while True:
            piece = query
            if last is not None:
                at, row, counter = last
                later = (table.c.at > at) | ((table.c.at == at) & (table.c.id > row))
                piece = query.where(
                    later | ((table.c.at == at) & (table.c.id == row) & (table.c.counter > counter))
                )
            found = list(self._stored(piece))
            yield from found
            if len(found) < PIECE:
                return
            last = (found[-1].row.at, found[-1].row.id, found[-1].counter)

    def examples(self, device: str, meter: str, limit: int) -> list[Example]:
        """The newest pictures that the owner said something of, oldest first."""
        table = db.meter_pictures
        query = (
            select(table.c.id, table.c.captured_at, table.c.example)
            .where(
                table.c.device == device,
                table.c.meter == meter,
                table.c.file,
                table.c.example.is_not(None),
            )
            .order_by(table.c.captured_at.desc())
            .limit(limit)
        )
        with connected(self._engine) as connection:
            pictures = connection.execute(query).all()
            rows = db.readings
            said = connection.execute(
                select(rows.c.id, rows.c.counter, rows.c.record).where(
                    rows.c.id.in_([picture.id for picture in pictures])
                )
            ).all()
        told: dict[str, dict[str, float]] = {}
        for one in said:
            for row in read_rows([one.record]):
                if row.told is not None:
                    told.setdefault(one.id, {})[one.counter] = row.told
        return [
            Example(
                picture.id,
                device,
                meter,
                picture.captured_at,
                MeterLayout.model_validate_json(picture.example),
                told[picture.id],
            )
            for picture in reversed(pictures)
            if picture.id in told
        ]

    def _stored(self, query: Select[Any]) -> Iterator[StoredReading]:
        with connected(self._engine) as connection:
            found = connection.execute(query).all()
        for one in found:
            for row in read_rows([one.record]):
                yield StoredReading(one.counter, one.unit, row, bool(one.file))


def _matching(wanted: Wanted) -> Select[Any]:
    table, pictures = db.readings, db.meter_pictures
    query = (
        select(table.c.counter, table.c.unit, table.c.record, pictures.c.file)
        .select_from(table.outerjoin(pictures, pictures.c.id == table.c.id))
        .where(table.c.device == wanted.device, table.c.meter == wanted.meter)
    )
    if wanted.counter is not None:
        query = query.where(table.c.counter == wanted.counter)
    if wanted.verdict is not None:
        query = query.where(table.c.verdict == wanted.verdict)
    if wanted.before is not None:
        query = query.where(table.c.at < wanted.before)
    if wanted.after is not None:
        query = query.where(table.c.at >= wanted.after)
    return query
