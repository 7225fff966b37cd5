"""How many windows a row has, and where: a comb laid along it.

The wheel network says of any box whether a digit stands in it. Along a row of windows it says yes in each
window and no between two of them: the comb whose teeth meet the most of the one and whose gaps the most of
the other is the row. It counts windows where the finder missed one, or saw two in one place.
"""

from __future__ import annotations

from math import cos, hypot, sin
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from meerkat_contract.meter_layout import MAX_WHEELS
from meerkat_inference.meter.boxes import WHEEL_SIZE, cut

from .rows import ASPECT, Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from meerkat_inference.meter.networks import Reads

    from .finder import Spot

    Evidence = Callable[[NDArray[np.float64]], NDArray[np.float64]]
    """Places along the row to log-odds of a window there"""

_STEP = 0.09
"""Of a window's height, between the boxes that are asked for."""
_BEYOND = 3.0
"""Heights before the first and after the last window that are asked for, too."""
_MOST = 3.0
"""Log-odds that one box can say."""
_PITCHES = np.geomspace(0.52, 1.5, 64)
"""By a window's height."""
_BENDS = (-0.025, -0.012, 0.0, 0.012, 0.025)
"""By how much the next distance is wider: perspective."""
_CALM = 1.0
"""Log-odds that a gap between teeth can add to them."""
_BLANK = 0.35
"""What a tooth costs that nothing speaks for."""
_NEAR = 0.3
"""Of the distance between teeth: so near to one a window stands that the finder saw."""


class _Fit(NamedTuple):
    score: float
    places: NDArray[np.float64]


def recount(picture: NDArray[np.uint8], row: Row, networks: Reads) -> Row:
    """The row with as many windows as the wheel network sees digits, between 2 and what fits."""
    along, level = _line(row)
    height = row.height
    at = np.array([_along(spot, row.tilt) for spot in row.spots])
    asked = np.arange(at.min() - _BEYOND * height, at.max() + _BEYOND * height, _STEP * height)
    boxes = np.stack([crop(picture, along(place), level(place), row.tilt) for place in asked])
    nothing = np.clip(networks.wheels(boxes)[:, -1].astype(np.float64), 1e-4, 1 - 1e-4)
    odds = np.clip(np.log(1 - nothing) - np.log(nothing), -_MOST, _MOST)
    odds = np.convolve(np.pad(odds, 1, mode="edge"), (0.25, 0.5, 0.25), "valid")
    seen = np.zeros_like(asked)
    for place, spot in zip(at, row.spots, strict=True):
        seen = np.maximum(seen, spot.score * np.exp(-0.5 * ((asked - place) / (0.13 * height)) ** 2))
    evidence = odds + 2 * _MOST * (seen - 0.25)
    best = _best(asked, evidence, height)
    if best is None or len(best.places) < 2:
        return row
    return _rebuilt(row, best.places, at, along, level)


def _best(asked: NDArray[np.float64], evidence: NDArray[np.float64], height: float) -> _Fit | None:
    best: _Fit | None = None
    for pitch in _PITCHES * height:
        for bend in _BENDS:
            count = int((asked[-1] - asked[0]) / pitch) + 1
            middle = (count - 1) / 2
            numbers = np.arange(count)
            teeth = pitch * (numbers + bend * (numbers - middle) ** 2 / 2)
            for phase in np.arange(0, pitch, _STEP * height):
                places = asked[0] + phase + teeth
                fit = _run(places, pitch, asked, evidence)
                if best is None or fit.score > best.score:
                    best = fit
    return best


def _run(
    places: NDArray[np.float64], pitch: float, asked: NDArray[np.float64], evidence: NDArray[np.float64]
) -> _Fit:
    """The run of teeth that has most for it: gaps between and beside them speak against."""
    tooth = np.interp(places, asked, evidence, left=-_MOST, right=-_MOST) - _BLANK
    gaps = np.append(places - pitch / 2, places[-1] + pitch / 2)
    against = np.interp(gaps, asked, evidence, left=-_MOST, right=-_MOST)
    against = np.maximum(against, -_CALM)  # two blank places beside each other are no tooth
    gain = tooth - 0.5 * (against[:-1] + against[1:])
    sums = np.concatenate([[0.0], np.cumsum(gain)])
    best = _Fit(-np.inf, places[:0])
    for end in range(1, len(sums)):
        first = max(0, end - MAX_WHEELS)
        start = first + int(sums[first:end].argmin())
        if sums[end] - sums[start] > best.score:
            best = _Fit(float(sums[end] - sums[start]), places[start:end])
    return best


def _along(spot: Spot, tilt: float) -> float:
    return spot.x * cos(tilt) + spot.y * sin(tilt)


def _line(row: Row) -> tuple[Callable[[float], tuple[float, float]], Callable[[float], float]]:
    """From a place along the row to the middle of a window there, and to how its height goes."""
    direction = np.array([cos(row.tilt), sin(row.tilt)])
    down = np.array([-direction[1], direction[0]])
    places = np.array([[spot.x, spot.y] for spot in row.spots])
    across = float(np.median(places @ down))
    at = places @ direction
    heights = np.array([spot.height for spot in row.spots])
    fit = np.polyfit(at, np.log(heights), 1) if len(at) > 3 else np.array([0.0, np.log(np.median(heights))])
    off = np.log(heights) - np.polyval(fit, at)
    usual = float(np.median(off))

    def middle(place: float) -> tuple[float, float]:
        x, y = place * direction + across * down
        return float(x), float(y)

    def tall(place: float) -> float:
        return float(np.exp(np.polyval(fit, np.clip(place, at.min(), at.max())) + usual))

    return middle, tall


def crop(
    picture: NDArray[np.uint8], middle: tuple[float, float], tall: float, tilt: float
) -> NDArray[np.uint8]:
    """A wheel's box about a place of the picture, upright as the row is."""
    wide = ASPECT * tall
    c, s = cos(tilt), sin(tilt)
    matrix = np.array([[c, -s, middle[0]], [s, c, middle[1]]])
    return cut(picture, (-wide / 2, -tall / 2, wide, tall), matrix, WHEEL_SIZE)


def _rebuilt(
    row: Row,
    places: NDArray[np.float64],
    at: NDArray[np.float64],
    along: Callable[[float], tuple[float, float]],
    level: Callable[[float], float],
) -> Row:
    """A window at each tooth: the finder's when it is near, else one like its nearest."""
    pitch = float(np.median(np.diff(places)))
    near = [float(np.abs(at - place).min()) < _NEAR * pitch for place in places]
    if sum(near) < 2:
        return row
    first, last = near.index(True), len(near) - near[::-1].index(True)
    spots, gaps = [], []
    for number, place in enumerate(places[first:last]):  # beyond the ends a unit reads like a digit
        off = np.abs(at - place)
        nearest = int(off.argmin())
        spot = row.spots[nearest]
        if off[nearest] < _NEAR * pitch:
            spots.append(spot)
            continue
        gaps.append(number)
        x, y = along(float(place))
        height = level(float(place))
        told = _told(row, x, y)
        spots.append(spot._replace(x=x, y=y, height=height, width=ASPECT * height, score=0.3, told=told))
    return Row(tuple(spots), row.tilt, tuple(gaps), counted=True)


def _told(row: Row, x: float, y: float) -> float:
    """What the nearest window says of the decimal point."""
    return min(row.spots, key=lambda spot: hypot(spot.x - x, spot.y - y)).told
