"""The row of windows in a picture: roughly from all sides, then from near."""

from __future__ import annotations

from math import degrees, hypot
from typing import TYPE_CHECKING

import numpy as np

from .finder import SIDE, Spot
from .looking import Looker, Seen
from .rows import Row, best_row, best_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

_QUARTERS = (0.0, 90.0, 180.0, 270.0)
_BETWEEN = (45.0, 135.0, 225.0, 315.0)
_CLOSE = 30.0
"""Pixels of a window's height in the finder's closest look."""
_SURE = 0.35
_ENOUGH = 1.2
"""Score of a row that is taken: two windows, or three that are half sure."""
_PLAIN = 2.5
"""Score of a row at which nothing better is looked for."""
_ROWS = 3
"""That are looked at from near,"""
_SECOND = 0.4
"""if their score is at least so much of the first one's."""


def roughly(looker: Looker) -> tuple[list[Row], Seen]:
    """What may be the row, the likeliest first, as seen from whatever side shows it best; the dials seen
    from the first one's side. No two of them are one upside down."""
    found: list[tuple[Row, Seen]] = []

    def look(seen: Seen) -> None:
        found.extend((row, seen) for row in best_rows(seen.wheels, 2))
        found.sort(key=lambda one: -one[0].score)

    def plain() -> bool:
        return bool(found) and found[0][0].score >= _PLAIN

    for turn in _QUARTERS:
        look(looker.whole(turn))
    if not plain():  # a face between two quarters, or a small one
        for turn in _BETWEEN:
            look(looker.whole(turn))
    if not plain():
        for turn in _QUARTERS:
            for middle in _tiles(looker):
                look(looker.at(middle, 2 * SIDE / max(looker.width, looker.height), turn))
    if not found or found[0][0].score < _ENOUGH:
        return [], looker.whole(0.0)
    rows: list[Row] = []
    for row, _ in found:
        likely = row.score > max(_ENOUGH, _SECOND * found[0][0].score)
        if likely and len(rows) < _ROWS and not any(_one_line(row, other) for other in rows):
            rows.append(row)
    return rows, found[0][1]


def _one_line(row: Row, other: Row) -> bool:
    """Whether they have windows in common, read from any side."""
    reach = 0.5 * max(row.height, other.height)
    return any(hypot(one.x - two.x, one.y - two.y) < reach for one in row.spots for two in other.spots)


def _tiles(looker: Looker) -> list[tuple[float, float]]:
    """Middles of nine views of a half each."""
    half = max(looker.width, looker.height) / 2
    across = np.linspace(min(half, looker.width) / 2, looker.width - min(half, looker.width) / 2, 3)
    down = np.linspace(min(half, looker.height) / 2, looker.height - min(half, looker.height) / 2, 3)
    return [(float(x), float(y)) for y in np.unique(down) for x in np.unique(across)]


def closely(looker: Looker, row: Row) -> Row:
    """The row seen from near, three times."""
    for _ in range(2):
        row = _seen_again(looker, row, _CLOSE) or row
    views = [row]
    for height in (0.8 * _CLOSE, 1.25 * _CLOSE):
        again = _seen_again(looker, row, height)
        if again is not None:
            views.append(again)
    return _averaged(views)


def _seen_again(looker: Looker, row: Row, height: float) -> Row | None:
    scale = min(height / row.height, 0.86 * SIDE / row.length)
    seen = looker.at(row.middle, scale, -degrees(row.tilt))
    again = best_row([spot for spot in seen.wheels if spot.score >= _SURE] or seen.wheels)
    if again is None or len(again.spots) < len(row.spots) - 2:
        return None
    return again


def _averaged(views: Sequence[Row]) -> Row:
    """The windows that most of the views have, each at its mean place."""
    first = max(views, key=lambda row: row.score)
    kept: list[Spot] = []
    for spot in sorted((spot for view in views for spot in view.spots), key=lambda one: -one.score):
        if any(_near(spot, other) for other in kept):
            continue
        kept.append(spot)
    merged = []
    for spot in kept:
        same = [other for view in views for other in view.spots if _near(spot, other)]
        if 2 * len(same) < len(views):
            continue
        values = np.array(same).mean(0)
        merged.append(Spot(*map(float, values)))
    axis = np.array([np.cos(first.tilt), np.sin(first.tilt)])
    merged.sort(key=lambda one: float(np.dot((one.x, one.y), axis)))
    if len(merged) < 2:
        return first
    ends = np.array([[merged[0].x, merged[0].y], [merged[-1].x, merged[-1].y]])
    across = ends[1] - ends[0]
    return Row(tuple(merged), float(np.arctan2(across[1], across[0])))


def _near(one: Spot, other: Spot) -> bool:
    reach = 0.4 * min(one.width, other.width)
    return hypot(one.x - other.x, one.y - other.y) < max(reach, 0.3 * min(one.height, other.height))
