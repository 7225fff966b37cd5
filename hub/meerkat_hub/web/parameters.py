"""What requests may say, and the pages of long lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, TypedDict, TypeVar

from fastapi import Depends, Path, Query
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


@dataclass(frozen=True, slots=True)
class Slice:
    """Which part of a long list somebody wants; the newest come first."""

    before: datetime | None
    after: datetime | None
    limit: int
    cursor: str | None

    @property
    def of_query(self) -> _OfQuery:
        """What a query is to be told: `limit` is one row more, which tells whether there is a next page.

        Raises ApiError 422 for a cursor that no page gave.
        """
        behind = from_cursor(self.cursor)
        return {"before": self.before, "after": self.after, "behind": behind, "limit": self.limit + 1}

    def page(
        self, found: Sequence[Row], place: Callable[[Row], tuple[datetime, str]]
    ) -> tuple[Sequence[Row], str | None]:
        """Of what was found so: a page, and the cursor of the next one, or None on the last.

        `place` is a row's in the list.
        """
        page = found[: self.limit]
        return page, to_cursor(*place(page[-1])) if len(found) > self.limit else None


class _OfQuery(TypedDict):
    before: datetime | None
    after: datetime | None
    behind: Place | None
    limit: int


async def _slice(
    *,
    before: BeforeQuery = None,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> Slice:
    return Slice(before, after, limit, cursor)


SliceQuery = Annotated[Slice, Depends(_slice)]
"""The parameters `before`, `after`, `limit` and `cursor`, after those of the endpoint itself."""


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
