"""What meters read and what was set for them, in the database: the writing side, and what the core needs.

Values stay in each counter's own unit. A row of a history is kept whole as JSON (`record`); the columns
beside it are there to ask by, and for whoever looks into the database with other programs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from meerkat_contract.meter_layout import MeterLayout
from meerkat_hub.core.meter_records import (
    LayoutSaved,
    MeterChange,
    MeterKey,
    PictureIsExample,
    PictureSettled,
    PictureTried,
    PictureWaits,
    RowRemoved,
    RowSaved,
    SettingsSaved,
    StoredCounter,
    StoredMeters,
)
from meerkat_hub.core.meters.rows import ReadingRow
from meerkat_hub.core.meters.settings import MeterSettings
from meerkat_hub.core.records import MeterPicture

from . import schema as db

log = logging.getLogger("meerkat.hub")

LAYOUT, SETTINGS = "layout", "settings"
ROWS: TypeAdapter[ReadingRow] = TypeAdapter(ReadingRow)

T = TypeVar("T")


def _save_rows() -> Any:
    statement = upsert(db.readings)
    values = {c.name: statement.excluded[c.name] for c in db.readings.c if c.name not in ("id", "counter")}
    own = (db.readings.c.device == statement.excluded.device) & (
        db.readings.c.meter == statement.excluded.meter
    )  # a device that names another's picture does not get at its history
    return statement.on_conflict_do_update(index_elements=["id", "counter"], set_=values, where=own)


def _save_facts() -> Any:
    statement = upsert(db.meter_facts)
    values = {name: statement.excluded[name] for name in ("value", "at")}
    return statement.on_conflict_do_update(index_elements=["device", "meter", "kind"], set_=values)


_PICTURE = db.meter_pictures.c.id == bindparam("picture")
_SETTLED = ("state", "reason", "model", "seconds", "worker", "alignment")

NOTE_TRIES = (
    update(db.meter_pictures).where(_PICTURE).values(attempts=bindparam("tries"), reason=bindparam("why"))
)
LET_WAIT = update(db.meter_pictures).where(_PICTURE).values(state="waiting", attempts=0, reason="")
SETTLE = (
    update(db.meter_pictures).where(_PICTURE).values({name: bindparam(f"new_{name}") for name in _SETTLED})
)
KEEP_EXAMPLES = update(db.meter_pictures).where(_PICTURE).values(example=bindparam("layout"))
SAVE_ROWS = _save_rows()
ADD_ROWS = upsert(db.readings).on_conflict_do_nothing(index_elements=["id", "counter"])
DROP_ROWS = delete(db.readings).where(
    db.readings.c.id == bindparam("row"), db.readings.c.counter == bindparam("of_counter")
)
SAVE_FACTS = _save_facts()
DROP_FACTS = delete(db.meter_facts).where(
    db.meter_facts.c.device == bindparam("of_device"),
    db.meter_facts.c.meter == bindparam("of_meter"),
    db.meter_facts.c.kind == bindparam("of_kind"),
)


def counted(change: MeterChange) -> str:
    """The name of the total that a change counts in; empty for most."""
    if isinstance(change, PictureSettled) and change.state != "kept":
        return f"pictures_{change.state}"
    return ""


def write(connection: Connection, change: MeterChange, now: datetime) -> None:
    """Write one change in the caller's transaction."""
    match change:
        case PictureTried(id=picture, attempts=attempts, reason=reason):
            connection.execute(NOTE_TRIES, {"picture": picture, "tries": attempts, "why": reason})
        case PictureWaits(id=picture):
            connection.execute(LET_WAIT, {"picture": picture})
        case PictureSettled():
            connection.execute(SETTLE, _settled(change))
        case PictureIsExample(id=picture, layout=layout):
            connection.execute(KEEP_EXAMPLES, {"picture": picture, "layout": _json(layout)})
        case RowSaved():
            connection.execute(ADD_ROWS if change.only_new else SAVE_ROWS, _row(change))
        case RowRemoved(counter=counter, id=row):
            connection.execute(DROP_ROWS, {"row": row, "of_counter": counter})
        case LayoutSaved(device=device, meter=meter, layout=layout):
            text = _json(layout) if layout else None
            _fact(connection, {"device": device, "meter": meter, "kind": LAYOUT}, text, now)
        case SettingsSaved(device=device, meter=meter, settings=settings):
            text = settings.model_dump_json(exclude_defaults=True) if settings else None
            _fact(connection, {"device": device, "meter": meter, "kind": SETTINGS}, text, now)


def _fact(connection: Connection, key: dict[str, str], value: str | None, now: datetime) -> None:
    if value is None:
        connection.execute(DROP_FACTS, {f"of_{name}": part for name, part in key.items()})
    else:
        connection.execute(SAVE_FACTS, {**key, "value": value, "at": now})


def _settled(change: PictureSettled) -> dict[str, Any]:
    return {
        "picture": change.id,
        "new_state": change.state,
        "new_reason": change.reason,
        "new_model": change.model.to_json().decode() if change.model else None,
        "new_seconds": change.seconds,
        "new_worker": change.worker,
        "new_alignment": change.alignment.to_json().decode() if change.alignment else None,
    }


def _row(change: RowSaved) -> dict[str, Any]:
    row = change.row
    return {
        "id": row.id,
        "counter": change.counter,
        "device": change.device,
        "meter": change.meter,
        "at": row.at,
        "kind": row.kind,
        "source": row.source,
        "verdict": row.verdict,
        "value": row.value,
        "total": row.total,
        "flow": row.flow,
        "unit": change.unit,
        "confidence": row.confidence,
        "reason": row.reason,
        "revision": row.revision,
        "record": ROWS.dump_json(row, by_alias=True, exclude_none=True).decode(),
    }


def _json(layout: MeterLayout) -> str:
    return layout.model_dump_json(exclude_none=True)


# --- reading for the core -----------------------------------------------------------------------


def load(connection: Connection, rows_of_each: int) -> StoredMeters:
    """Layouts, settings, the latest `rows_of_each` rows of each counter, and the pictures that wait."""
    layouts: dict[MeterKey, MeterLayout] = {}
    settings: dict[MeterKey, MeterSettings] = {}
    for fact in connection.execute(select(db.meter_facts)):
        where = f"{fact.kind} of {fact.device}/{fact.meter}"
        if fact.kind == LAYOUT:
            layout = _read(MeterLayout.model_validate_json, fact.value, where)
            layouts |= {(fact.device, fact.meter): layout} if layout else {}
        elif fact.kind == SETTINGS:
            known = _read(MeterSettings.model_validate_json, fact.value, where)
            settings |= {(fact.device, fact.meter): known} if known else {}
    table = db.readings
    names = (table.c.device, table.c.meter, table.c.counter)
    counters = connection.execute(select(*names).distinct().order_by(*names)).all()
    return StoredMeters(
        layouts,
        settings,
        tuple(StoredCounter(*name, latest_rows(connection, *name, rows_of_each)) for name in counters),
        tuple((meter_picture(row), row.attempts) for row in connection.execute(_WAITING)),
    )


_WAITING = select(db.meter_pictures).where(db.UNREAD).order_by(db.meter_pictures.c.received_at)


def latest_rows(
    connection: Connection, device: str, meter: str, counter: str, most: int
) -> tuple[ReadingRow, ...]:
    """Of one counter, in order of time."""
    table = db.readings
    query = (
        select(table.c.record)
        .where(table.c.device == device, table.c.meter == meter, table.c.counter == counter)
        .order_by(table.c.at.desc(), table.c.id.desc())
        .limit(most)
    )
    return tuple(read_rows(reversed(connection.execute(query).scalars().all())))


def read_rows(records: Iterable[str]) -> Iterable[ReadingRow]:
    """Each record that this version can read; one that it cannot is said in the log."""
    for record in records:
        row = _read(ROWS.validate_json, record, "a reading")
        if row is not None:
            yield row


def meter_picture(row: Any) -> MeterPicture:
    return MeterPicture(
        row.id, row.device, row.meter, row.captured_at, row.received_at, row.size, row.trigger
    )


def _read(parse: Callable[[str], T], text: str, where: str) -> T | None:
    try:
        return parse(text)
    except ValidationError as error:
        log.error(
            "%s, stored by another version, cannot be read and is left out: %s",
            where,
            error.errors()[0]["msg"],
        )
        return None
