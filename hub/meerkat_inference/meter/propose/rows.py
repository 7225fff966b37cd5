"""The row of windows among all that looks like a wheel.

The windows of a counter are of one size, stand in one line, and follow each other at one distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, hypot, pi, sin
from typing import TYPE_CHECKING

import numpy as np

from meerkat_contract.meter_layout import MAX_WHEELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .finder import Spot

ASPECT = 20 / 32
"""Width by height of a wheel's box, as the wheel network takes it."""
_FEWEST = 2
_PITCH = 0.42, 2.6
"""Distance of neighbours by a window's height, at least and at most."""


@dataclass(frozen=True)
class Row:
    """Windows from left to right as the meter is read, in pixels of the picture."""

    spots: tuple[Spot, ...]
    tilt: float
    """Radians by which the row is turned clockwise."""
    gaps: tuple[int, ...] = ()
    """Numbers of windows that were not seen themselves, only room for them."""
    counted: bool = False
    """There is no room for more windows between these."""

    @property
    def score(self) -> float:
        """How many windows there are, each by how sure it is."""
        return sum(spot.score for spot in self.spots)

    @property
    def height(self) -> float:
        return float(np.median([spot.height for spot in self.spots]))

    @property
    def middle(self) -> tuple[float, float]:
        first, last = self.spots[0], self.spots[-1]
        return (first.x + last.x) / 2, (first.y + last.y) / 2

    @property
    def length(self) -> float:
        """From the first window's left edge to the last one's right."""
        first, last = self.spots[0], self.spots[-1]
        return hypot(last.x - first.x, last.y - first.y) + ASPECT * (first.height + last.height) / 2


def best_row(spots: Sequence[Spot]) -> Row | None:
    """The row with the highest score; None without one."""
    rows = [row for first in spots for row in [_grown(first, spots)] if row is not None]
    return max(rows, key=lambda row: row.score, default=None)


def best_rows(spots: Sequence[Spot], most: int) -> list[Row]:
    """The best row, then the best of what it leaves, and so on: a line of print may look like a row, too."""
    left = list(spots)
    rows: list[Row] = []
    while len(rows) < most:
        row = best_row(left)
        if row is None:
            break
        rows.append(row)
        left = [spot for spot in left if not any(spot is one for one in row.spots)]
    return rows


def _grown(first: Spot, spots: Sequence[Spot]) -> Row | None:
    """All that stands in a line with `first`, as far as no gap is too wide."""
    along = np.array([cos(first.tilt), sin(first.tilt)])
    down = np.array([-along[1], along[0]])
    mates = []
    for spot in spots:
        away = np.array([spot.x - first.x, spot.y - first.y])
        reach = abs(away @ along)
        alike = 0.6 < spot.height / first.height < 1.65
        # What the tilt is unsure of grows with the distance.
        if alike and abs(away @ down) < 0.3 * first.height + 0.12 * reach:
            mates.append(spot)
    if len(mates) < _FEWEST:
        return None
    direction = _direction(mates, along)
    down = np.array([-direction[1], direction[0]])
    places = np.array([[spot.x, spot.y] for spot in mates])
    heights = np.array([spot.height for spot in mates])
    off = (places - np.median(places, 0)) @ down
    straight = np.abs(off - np.median(off)) < 0.25 * np.median(heights)
    mates = [spot for spot, good in zip(mates, straight, strict=True) if good]
    if len(mates) < _FEWEST or not any(spot is first for spot in mates):
        return None
    mates.sort(key=lambda spot: float(np.dot((spot.x, spot.y), direction)))
    mates = _together(mates, first, direction)
    while len(mates) > MAX_WHEELS:
        mates.pop(0 if mates[0].score < mates[-1].score else -1)
    if len(mates) < _FEWEST:
        return None
    direction = _direction(mates, along)
    return Row(tuple(mates), atan2(direction[1], direction[0]))


def _direction(spots: Sequence[Spot], along: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vector of the line through the middles, to the side that `along` points."""
    places = np.array([[spot.x, spot.y] for spot in spots])
    _, _, axes = np.linalg.svd(places - places.mean(0), full_matrices=False)
    axis = axes[0]
    if abs(axis @ along) < 0.7:  # nearly on one place: the line says nothing
        return along
    return np.asarray(axis if axis @ along > 0 else -axis)


def _together(mates: list[Spot], first: Spot, direction: NDArray[np.float64]) -> list[Spot]:
    """The run of neighbours that `first` belongs to: no gap wider than two windows."""
    at = [float(np.dot((spot.x, spot.y), direction)) for spot in mates]
    height = float(np.median([spot.height for spot in mates]))
    steps = np.diff(at)
    close = steps[(steps > _PITCH[0] * height) & (steps < _PITCH[1] * height)]
    if not len(close):
        return [first]
    pitch = float(np.percentile(close, 30))
    here = next(number for number, spot in enumerate(mates) if spot is first)
    start = end = here
    while start > 0 and at[start] - at[start - 1] < 2.4 * pitch:
        start -= 1
    while end + 1 < len(mates) and at[end + 1] - at[end] < 2.4 * pitch:
        end += 1
    kept: list[Spot] = []
    for spot in mates[start : end + 1]:
        nearest = max(0.5 * pitch, _PITCH[0] * height)
        if kept and np.dot((spot.x - kept[-1].x, spot.y - kept[-1].y), direction) < nearest:
            kept[-1] = max(kept[-1], spot, key=lambda one: one.score)
        else:
            kept.append(spot)
    return kept


def regular(row: Row) -> Row:
    """The row with windows of one size at even distances, as far as they are; gaps filled.

    Each place is half what was seen and half what the others make of it; in perspective sizes and distances
    change evenly along the row.
    """
    spots = list(row.spots)
    direction = np.array([cos(row.tilt), sin(row.tilt)])
    down = np.array([-direction[1], direction[0]])
    places = np.array([[spot.x, spot.y] for spot in spots])
    along, across = places @ direction, places @ down
    pitch = float(np.median(np.diff(along))) if len(spots) > 1 else 1.0
    numbers = np.concatenate([[0], np.cumsum(np.maximum(1, np.rint(np.diff(along) / pitch)))]).astype(int)
    sure = np.array([spot.score for spot in spots])
    if row.counted or numbers[-1] >= MAX_WHEELS:  # more gaps than wheels can be
        numbers = np.arange(len(spots))
    every = np.arange(numbers[-1] + 1)
    even = _smooth(numbers, along, sure, every, 2 if len(spots) > 4 else 1)
    level = _smooth(numbers, across, sure, every, 1)
    tall = np.exp(_smooth(numbers, np.log([spot.height for spot in spots]), sure, every, 1))
    seen = {int(number): spot for number, spot in zip(numbers, spots, strict=True)}
    filled = []
    for number in every:
        spot = seen.get(int(number))
        at, off = float(even[number]), float(level[number])
        if spot is not None:
            x, y = spot.x, spot.y
            at, off = (at + x * direction[0] + y * direction[1]) / 2, (off + x * down[0] + y * down[1]) / 2
        height = float(tall[number])
        middle = at * direction + off * down
        model = spot or min(spots, key=lambda one: hypot(one.x - middle[0], one.y - middle[1]))
        filled.append(
            model._replace(
                x=float(middle[0]),
                y=float(middle[1]),
                width=ASPECT * height,
                height=height,
                score=spot.score if spot is not None else 0.0,
            )
        )
    gaps = row.gaps or tuple(int(number) for number in every if int(number) not in seen)
    slope = float(np.polyfit(along, across, 1, w=sure)[0]) if len(spots) > 2 else 0.0
    return Row(tuple(filled), (row.tilt + slope + pi) % (2 * pi) - pi, gaps, row.counted)


def _smooth(
    numbers: NDArray[np.int_],
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    wanted: NDArray[np.int_],
    degree: int,
) -> NDArray[np.float64]:
    """A polynomial through the values, the worst of them left out if it is far off."""
    degree = min(degree, len(numbers) - 1)
    fit = np.polyfit(numbers, values, degree, w=weights)
    off = np.abs(np.polyval(fit, numbers) - values)
    worst = int(off.argmax())
    if len(numbers) > degree + 2 and off[worst] > 3 * np.median(off) + 1e-9:
        keep = np.arange(len(numbers)) != worst
        fit = np.polyfit(numbers[keep], values[keep], degree, w=weights[keep])
    return np.asarray(np.polyval(fit, wanted), np.float64)
