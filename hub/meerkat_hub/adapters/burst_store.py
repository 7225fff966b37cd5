"""What the hub keeps of its cloud burst: clips that are out, the ledger, and a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, cast, delete, func, insert, select
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

DAY = 86_400

COUNTS = 70.0 * DAY
"""Seconds for which lines of the ledger count: this month and the one before, whatever the clock did."""

KEPT = 400.0 * DAY
"""Seconds for which they are kept for people: this month and the same one of last year."""

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
    number = cast(table.c.at, BigInteger) // DAY
    rows = connection.execute(
        select(
            number,
            func.sum(table.c.dollars),
            func.count(func.distinct(table.c.instance)),
            func.sum(table.c.seconds),
        )
        .where(table.c.kind == "spent", table.c.instance != CLOCK)
        .group_by(number)
        .order_by(number.desc())
        .limit(last)
    )
    return [Day(datetime.fromtimestamp(day * DAY, UTC).date(), *sums) for day, *sums in rows]


def younger_than(seconds: float) -> Any:
    """The time from which lines of the ledger are no older, for a query; null where there is none.

    It is reckoned from the line that was written last, not from the one that says the latest time: the clock
    may have been wrong in between. What it is known to have leapt is added.
    """
    table = db.burst_ledger
    latest = select(table.c.at).order_by(table.c.seq.desc()).limit(1).scalar_subquery()
    leaps = select(func.coalesce(func.sum(func.abs(table.c.seconds)), 0.0)).where(table.c.instance == CLOCK)
    return latest - leaps.scalar_subquery() - seconds


def _recent(connection: Connection) -> list[LedgerEntry]:
    """All that count, in the order in which they were written."""
    table = db.burst_ledger
    rows = connection.execute(select(table).where(table.c.at >= younger_than(COUNTS)).order_by(table.c.seq))
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
