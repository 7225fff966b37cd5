"""What requests may say, and the pages of long lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime

from meerkat_contract.ids import NAME_PATTERN, format_time, is_id
from meerkat_hub.adapters.queries import Place

from .problems import ApiError

ID_PATTERN = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_ID_EXAMPLE = "0194a3c0-5b1e-7c3a-8f00-2b6c1f0d9e11"

IdPath = Annotated[str, Path(pattern=ID_PATTERN, description="a UUID", examples=[_ID_EXAMPLE])]
NamePath = Annotated[str, Path(pattern=rf"^{NAME_PATTERN}$", description="a name", examples=["porch"])]
NameQuery = Annotated[str | None, Query(pattern=rf"^{NAME_PATTERN}$", examples=["porch"])]
LabelQuery = Annotated[
    str | None, Query(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$", description="what was seen", examples=["person"])
]


def _in_utc(at: datetime | None) -> datetime | None:
    """As it is stored. Raises ValueError for a time whose zone leads out of all years."""
    try:
        return None if at is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{at} is no time that can be told in UTC") from None


BeforeQuery = Annotated[
    AwareDatetime | None,
    AfterValidator(_in_utc),
    Query(description="only what began before, RFC 3339", examples=["2026-11-20T08:15:00Z"]),
]
AfterQuery = Annotated[
    AwareDatetime | None,
    AfterValidator(_in_utc),
    Query(description="only what began then or later, RFC 3339", examples=["2026-11-20T00:00:00Z"]),
]
LimitQuery = Annotated[int, Query(ge=1, le=500, description="how many at most")]
CursorQuery = Annotated[
    str | None, Query(max_length=80, description="`next` of the page before; the filters stay the same")
]


Row = TypeVar("Row")


def cut(
    found: Sequence[Row], limit: int, place: Callable[[Row], tuple[datetime, str]]
) -> tuple[Sequence[Row], str | None]:
    """A page of at most `limit` rows, and the cursor of the next one, or None on the last.

    `found` holds one row more than the page where there is a next one; `place` is a row's in the list.
    """
    page = found[:limit]
    return page, to_cursor(*place(page[-1])) if len(found) > limit else None


def to_cursor(at: datetime, row_id: str) -> str:
    return f"{format_time(at)}_{row_id}"


def from_cursor(cursor: str | None) -> Place | None:
    """Raises ApiError 422 for one that no page gave."""
    if cursor is None:
        return None
    time, _, row_id = cursor.partition("_")
    try:
        at = _in_utc(datetime.fromisoformat(time))
    except ValueError:
        at = None
    if at is None or datetime.fromisoformat(time).tzinfo is None or not is_id(row_id):
        remedy = "Give the `next` of the page before, unchanged, or none"
        raise ApiError(422, f"{cursor!r} is no cursor", where="query cursor", remedy=remedy)
    return Place(at, row_id)
