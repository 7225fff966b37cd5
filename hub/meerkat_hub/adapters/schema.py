"""The tables. SQL stays portable: no type or function that only SQLite has.

Times are RFC 3339 text in UTC with milliseconds, which sorts as it reads. JSON columns hold contract
messages. `totals` is changed in the same transaction as what it counts, so the counts always add up:
received = done + failed + expired + waiting.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    literal_column,
    text,
)

from meerkat_contract.ids import format_time

metadata = MetaData()


class UtcText(TypeDecorator[datetime]):
    """datetime with a zone ↔ `2026-11-20T08:15:00.250Z`"""

    impl = String(24)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> str | None:
        del dialect
        return None if value is None else format_time(value)

    def process_result_value(self, value: str | None, dialect: Any) -> datetime | None:
        del dialect
        return None if value is None else datetime.fromisoformat(value).astimezone(UTC)


def _id() -> Column[str]:
    return Column("id", String(36), primary_key=True)


facts = Table("facts", metadata, Column("name", String(64), primary_key=True), Column("value", Integer))
"""`epoch`: how often this database was opened by a hub; it makes fencing tokens unique."""

totals = Table("totals", metadata, Column("name", String(64), primary_key=True), Column("value", Integer))

devices = Table(
    "devices",
    metadata,
    Column("id", String(63), primary_key=True),
    Column("info", Text, nullable=False),
    Column("seen_at", UtcText, nullable=False),
)

recordings = Table(
    "recordings",
    metadata,
    _id(),
    Column("device", String(63), nullable=False),
    Column("camera", String(63), nullable=False),
    Column("started_at", UtcText, nullable=False),
    Column("closed", Boolean, nullable=False, default=False),
)
Index(
    "recordings_open", recordings.c.id, sqlite_where=text("closed = 0"), postgresql_where=text("not closed")
)

clips = Table(
    "clips",
    metadata,
    _id(),
    Column("device", String(63), nullable=False),
    Column("camera", String(63), nullable=False),
    Column("recording", ForeignKey("recordings.id"), nullable=False, index=True),
    Column("sequence", Integer, nullable=False),
    Column("last", Boolean, nullable=False),
    Column("captured_at", UtcText, nullable=False),
    Column("received_at", UtcText, nullable=False, index=True),
    Column("duration", Float, nullable=False),
    Column("content_type", String(100), nullable=False),
    Column("size", Integer, nullable=False),
    Column("trigger", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("cloud", String(8), nullable=False, default="", server_default=""),
    Column("state", String(8), nullable=False, default="waiting"),
    Column("reason", Text, nullable=False, default=""),
    Column("settled_at", UtcText),
    Column("joined", Boolean, nullable=False, default=False),
    Column("model", Text),
    Column("frames", Integer, nullable=False, default=0),
    Column("seconds", Float, nullable=False, default=0.0),
    Column("worker", String(63), nullable=False, default=""),
    Column("tracks", Text),
    Column("file", Boolean, nullable=False, default=True),
)
Index("clips_of_camera", clips.c.device, clips.c.camera, clips.c.captured_at)
Index(
    "clips_waiting",
    clips.c.received_at,
    sqlite_where=text("state = 'waiting'"),
    postgresql_where=text("state = 'waiting'"),
)
Index(
    "clips_with_file",
    clips.c.received_at,
    clips.c.size,
    sqlite_where=text("file = 1"),
    postgresql_where=text("file"),
)

WAITING = clips.c.state == literal_column("'waiting'")
OPEN = recordings.c.closed == false()
"""Conditions as the partial indexes have them: a bound parameter would pass the index by."""

events = Table(
    "events",
    metadata,
    _id(),
    Column("device", String(63), nullable=False),
    Column("camera", String(63), nullable=False),
    Column("recording", ForeignKey("recordings.id"), index=True),
    Column("workflow", String(63)),
    Column("label", String(64), nullable=False),
    Column("score", Float, nullable=False),
    Column("start_time", UtcText, nullable=False, index=True),
    Column("end_time", UtcText, nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("kept", Boolean, nullable=False, default=False),
    Column("picture", String(64)),
    Column("state", Text, nullable=False),
    Column("members", Text, nullable=False),
)
Index("events_of_camera", events.c.device, events.c.camera, events.c.start_time)
Index(
    "events_of_workflow",
    events.c.workflow,
    events.c.start_time,
    sqlite_where=text("workflow IS NOT NULL"),
    postgresql_where=text("workflow IS NOT NULL"),
)
"""An event has the recording in which it was seen, or the workflow that decided it upon single frames."""

workflows = Table(
    "workflows",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("spec", Text, nullable=False),
    Column("at", UtcText, nullable=False),
)

meter_pictures = Table(
    "meter_pictures",
    metadata,
    _id(),
    Column("device", String(63), nullable=False),
    Column("meter", String(63), nullable=False),
    Column("captured_at", UtcText, nullable=False),
    Column("received_at", UtcText, nullable=False, index=True),
    Column("size", Integer, nullable=False),
    Column("trigger", String(16), nullable=False),
    Column("file", Boolean, nullable=False, default=True),
    Column("condition", Text),
    Column("state", String(8), nullable=False, default="kept", server_default="kept"),
    Column("attempts", Integer, nullable=False, default=0, server_default="0"),
    Column("reason", Text, nullable=False, default="", server_default=""),
    Column("model", Text),
    Column("seconds", Float, nullable=False, default=0.0, server_default="0"),
    Column("worker", String(63), nullable=False, default="", server_default=""),
    Column("alignment", Text),
    Column("example", Text),
)
"""`state`: kept (nobody knows where to look) | waiting | done | failed | expired. `example`: somebody said
what it shows, so that it stays; the layout that it was read with."""

Index(
    "pictures_waiting",
    meter_pictures.c.received_at,
    sqlite_where=text("state = 'waiting'"),
    postgresql_where=text("state = 'waiting'"),
)
Index(
    "pictures_of_meter",
    meter_pictures.c.device,
    meter_pictures.c.meter,
    meter_pictures.c.captured_at,
    sqlite_where=text("file = 1"),
    postgresql_where=text("file"),
)
Index(
    "pictures_with_file",
    meter_pictures.c.received_at,
    meter_pictures.c.size,
    sqlite_where=text("file = 1"),
    postgresql_where=text("file"),
)

UNREAD = meter_pictures.c.state == literal_column("'waiting'")
"""As the partial index has it."""

readings = Table(
    "readings",
    metadata,
    _id(),
    Column("counter", String(63), primary_key=True, default=""),
    Column("device", String(63), nullable=False),
    Column("meter", String(63), nullable=False),
    Column("at", UtcText, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("source", String(8), nullable=False),
    Column("verdict", String(12), nullable=False),
    Column("value", Float),
    Column("total", Float),
    Column("flow", Float),
    Column("unit", String(16), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("record", Text, nullable=False),
)
Index(
    "readings_of_meter", readings.c.device, readings.c.meter, readings.c.counter, readings.c.at, readings.c.id
)
"""A meter's history, for ever. `id` is the picture's, or of what its owner said; `record` is the whole row
with what the reader saw. Values are in the meter's own unit."""

meter_facts = Table(
    "meter_facts",
    metadata,
    Column("device", String(63), primary_key=True),
    Column("meter", String(63), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("value", Text, nullable=False),
    Column("at", UtcText, nullable=False),
)
"""What was set at run time. kind: layout | settings."""

burst_flights = Table(
    "burst_flights",
    metadata,
    Column("id", ForeignKey("clips.id", ondelete="CASCADE"), primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("at", UtcText, nullable=False),
    Column("aloft", Boolean, nullable=False),
    Column("sent", Boolean, nullable=False),
    Column("returns", Integer, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Clips that are in the cloud, or came back from it without a result, until they end."""

burst_ledger = Table(
    "burst_ledger",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False),
    Column("at", Float, nullable=False, index=True),
    Column("kind", String(8), nullable=False),
    Column("dollars", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("instance", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("refers", String(64), nullable=False),
)
"""What was reserved for machines in the cloud, and what they cost. Lines are added and never changed."""

announcements = Table(
    "announcements",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("topic", String(255), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("retain", Boolean, nullable=False),
    Column("content_type", String(100), nullable=False),
    Column("event", String(36)),
    sqlite_autoincrement=True,
)

refusals = Table(
    "refusals",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcText, nullable=False, index=True),
    Column("device", String(63), nullable=False),
    Column("media", String(36), nullable=False),
    Column("topic", String(255), nullable=False),
    Column("reason", Text, nullable=False),
)

people = Table(
    "people",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("added_at", UtcText, nullable=False),
)

face_samples = Table(
    "face_samples",
    metadata,
    _id(),
    Column("person", ForeignKey("people.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("model_sha256", String(64), nullable=False),
    Column("model_name", String(100), nullable=False),
    Column("embedding", LargeBinary, nullable=False),
    Column("quality", Float, nullable=False),
    Column("added_at", UtcText, nullable=False),
    Column("picture", LargeBinary),
)
"""Little-endian float32, and a small JPEG for people to see. They leave the hub only when it is asked."""
