"""What the hub keeps of its cloud burst: clips that are out, the ledger, and a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from meerkat_cloud_burst.policy.books import CLOCK
from meerkat_cloud_burst.policy.view import LedgerEntry
from meerkat_hub.core.cloud_records import (
    BurstFact,
    CloudChange,
    Flight,
    FlightSaved,
    FlightsEnded,
    LedgerWritten,
    StoredBurst,
)

from . import schema as db

FACT = "burst_"
"""What the names of the burst's numbers begin with, among the hub's facts."""

COUNTS = 70 * 86_400.0
"""Seconds for which lines of the ledger count: this month and the one before, whatever the clock did."""

_UNFINISHED = select(db.clips.c.id).where(db.WAITING)


def write(connection: Connection, change: CloudChange) -> None:
    """In the caller's transaction."""
    match change:
        case FlightSaved(flight=flight):
            values = _flight_row(flight)
            statement = upsert(db.burst_flights).values(values)
            rest = {name: value for name, value in values.items() if name != "id"}
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=rest))
        case FlightsEnded():
            table = db.burst_flights
            connection.execute(delete(table).where(table.c.id.not_in(_UNFINISHED)))
        case LedgerWritten(entry=entry):
            connection.execute(insert(db.burst_ledger).values(_entry_row(entry)))
        case BurstFact(name=name, value=value):
            fact = upsert(db.facts).values(name=FACT + name, value=value)
            connection.execute(fact.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def read(connection: Connection) -> StoredBurst:
    """All that has to be known at a start."""
    flights = connection.execute(
        select(db.burst_flights)
        .where(db.burst_flights.c.id.in_(_UNFINISHED))
        .order_by(db.burst_flights.c.at, db.burst_flights.c.id)
    )
    facts = connection.execute(select(db.facts).where(db.facts.c.name.startswith(FACT, autoescape=True)))
    return StoredBurst(
        tuple(
            Flight(row.id, row.token, row.at, row.aloft, row.sent, row.returns, row.reason) for row in flights
        ),
        tuple(_recent(connection)),
        {row.name.removeprefix(FACT): int(row.value or 0) for row in facts},
    )


def ledger(connection: Connection, last: int) -> list[LedgerEntry]:
    """The last so many lines, in the order in which they were written."""
    table = db.burst_ledger
    rows = connection.execute(select(table).order_by(table.c.seq.desc()).limit(last)).all()
    return [_entry(row) for row in reversed(rows)]


@dataclass(frozen=True, slots=True)
class Day:
    """What a day (UTC) has cost, in US dollars."""

    day: date
    dollars: float
    machines: int
    seconds: float
    """Of machines."""


def days(connection: Connection, last: int) -> list[Day]:
    """The last so many days on which something was spent, the latest first."""
    table = db.burst_ledger
    day = func.date(table.c.at, "unixepoch")
    rows = connection.execute(
        select(
            day,
            func.sum(table.c.dollars),
            func.count(func.distinct(table.c.instance)),
            func.sum(table.c.seconds),
        )
        .where(table.c.kind == "spent", table.c.instance != CLOCK)
        .group_by(day)
        .order_by(day.desc())
        .limit(last)
    )
    return [Day(date.fromisoformat(when), *sums) for when, *sums in rows]


def _recent(connection: Connection) -> list[LedgerEntry]:
    """All that count, in the order in which they were written."""
    table = db.burst_ledger
    latest = select(func.max(table.c.at)).scalar_subquery()
    rows = connection.execute(select(table).where(table.c.at >= latest - COUNTS).order_by(table.c.seq))
    return [_entry(row) for row in rows]


def _entry(row: Any) -> LedgerEntry:
    return LedgerEntry(
        row.id, row.at, row.kind, row.dollars, row.seconds, row.instance, row.reason, refers=row.refers
    )


def _flight_row(flight: Flight) -> dict[str, Any]:
    return {
        "id": flight.id,
        "token": flight.token,
        "at": flight.at,
        "aloft": flight.aloft,
        "sent": flight.sent,
        "returns": flight.returns,
        "reason": flight.reason,
    }


def _entry_row(entry: LedgerEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at,
        "kind": entry.kind,
        "dollars": entry.dollars,
        "seconds": entry.seconds,
        "instance": entry.instance,
        "reason": entry.reason,
        "refers": entry.refers,
    }
