"""Identifiers and times that travel."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

import uuid_utils
from pydantic import AfterValidator, AwareDatetime, StringConstraints

NAME_PATTERN = r"[a-z0-9][a-z0-9_-]{0,62}"
"""Names of devices, cameras, meters and workers: a safe MQTT level and Home Assistant id."""

_NAME = re.compile(NAME_PATTERN)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id() -> str:
    """A UUIDv7 (RFC 9562), lower case: unique, and sorted by the time it was made."""
    return str(uuid_utils.uuid7())


def is_id(text: str) -> bool:
    """Whether `text` is a lower-case UUID, which makes it safe as a file name."""
    return _ID.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether `text` can name a device, camera, meter or worker."""
    return _NAME.fullmatch(text) is not None


def slug(text: str) -> str:
    """The nearest valid name: `Front Door` → `front-door`. Raises ValueError when nothing is left."""
    name = re.sub(r"[^a-z0-9_-]+", "-", text.strip().lower()).strip("-_")[:63].rstrip("-_")
    if not is_name(name):
        raise ValueError(f"{text!r} has no letter a-z or digit to make a name of")
    return name


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds: `2026-11-20T08:15:00.250Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat("T", "milliseconds")[: -len("+00:00")] + "Z"  # keywords take a third longer


def _utc(moment: datetime) -> datetime:
    """Far years are refused, so that seconds can be added to every time without leaving the calendar."""
    if not 1900 < moment.year < 2200:
        raise ValueError(f"the year {moment.year} is not near enough")
    return moment.astimezone(UTC)


Name = Annotated[str, StringConstraints(pattern=rf"^{NAME_PATTERN}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
UtcTime = Annotated[AwareDatetime, AfterValidator(_utc)]
