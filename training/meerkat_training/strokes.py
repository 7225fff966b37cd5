"""Counter digits drawn from strokes: every figure is an angular polyline whose corners are then rounded.

Counters are engraved or stamped with faces that no desktop font has: squared zeros, open fours, ones
without a flag, sevens with a serif. All points live in a unit box (x to the right, y down) around the
centre lines of the strokes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .arrays import Bytes, between, chance

Point = tuple[float, float]
SQUARED = 0.35
"""Share of drawn fonts whose figures are put together from upright and level strokes."""


@dataclass(frozen=True)
class Path:
    """One stroke; `round_off` scales the font's corner radius (0 keeps this stroke angular)."""

    points: tuple[Point, ...]
    closed: bool = False
    round_off: float = 1.0


@dataclass(frozen=True)
class StrokeDesign:
    """Random choices that make one drawn font. Lengths are shares of the digit's height."""

    width: float
    weight: float
    contrast: float
    radius: float
    square_ends: bool
    middle: float
    one: int
    two: int
    three: int
    four: int
    five: int
    six: int
    seven: int
    eight_waist: float
    hook: float
    stem: float = 0.42
    """Where a bent seven's upright leg stands, of the width."""
    knee: float = 0.56
    """Where that leg starts, of the height."""
    chamfered: bool = False
    """Corners are cut straight, not rounded."""


def random_design(rng: np.random.Generator) -> StrokeDesign:
    """A counter font: width 0.4 to 0.8 of its height, stroke weight over a factor of three."""
    width = between(rng, 0.4, 0.8)
    weight = between(rng, 0.07, 0.21)
    kind = rng.random()
    radius = 0.0 if kind < 0.2 else between(rng, 0.05, 0.22) if kind < 0.6 else between(rng, 0.22, 0.5)
    pick = rng.integers(0, 60, 6)
    design = StrokeDesign(
        width=width,
        weight=min(weight, width * 0.36),
        contrast=between(rng, 0.75, 1.15),
        radius=radius,
        square_ends=bool(rng.random() < 0.55),
        middle=between(rng, 0.42, 0.54),
        one=int(pick[0] % 6),
        two=int(pick[1] % 3),
        three=int(pick[2] % 3),
        four=int(pick[3] % 4),
        five=int(pick[4] % 3),
        six=int(pick[5] % 4),
        seven=int((pick[0] // 6) % 5),
        eight_waist=between(rng, 0.0, 0.12),
        hook=between(rng, 0.1, 0.27),
    )
    return _squared(design, rng) if chance(rng, SQUARED) else design


def _squared(design: StrokeDesign, rng: np.random.Generator) -> StrokeDesign:
    """Figures of straight strokes: the seven stands on an upright leg, the eight is narrower above.

    Half of a seven is then half of a one, and the top of an eight that of a zero or nine: what tells them
    apart is the flag and the width.
    """
    pick = rng.random(7)
    radius = 0.0 if pick[0] < 0.4 else between(rng, 0.04, 0.14)
    width = between(rng, 0.4, 0.68)
    weight = min(design.weight, 0.16, 0.27 * width)
    return replace(
        design,
        width=width,
        weight=weight,
        # Short enough that a six stays open.
        hook=max(0.02, min(design.hook, design.middle - 0.04 - 1.9 * weight)),
        radius=radius,
        chamfered=bool(pick[0] < 0.8),
        square_ends=bool(pick[1] < 0.75),
        one=0 if pick[2] < 0.6 else int(rng.integers(6)),
        two=2 if pick[3] < 0.7 else 1,
        three=(3, 3, 2, 2, 0)[int(pick[4] * 5)],
        six=2 if pick[5] < 0.5 else 0,
        seven=(5, 5, 6, 6, 7, 3)[int(pick[6] * 6)],
        eight_waist=between(rng, 0.0, 0.2),
        stem=between(rng, 0.3, 0.68),
        knee=between(rng, 0.3, 0.52),
    )


def _one(design: StrokeDesign) -> list[Path]:
    stem = 0.5 if design.one in {0, 1, 4} else 0.62
    paths = [Path(((stem, 0.0), (stem, 1.0)), round_off=0)]
    if design.one in {1, 2, 4}:
        paths = [Path(((stem - 0.42, design.hook), (stem, 0.0), (stem, 1.0)), round_off=0)]
    elif design.one == 3:
        paths = [Path(((stem - 0.38, 0.0), (stem, 0.0), (stem, 1.0)), round_off=0)]
    if design.one in {4, 5}:
        paths.append(Path(((stem - 0.36, 1.0), (stem + 0.36, 1.0)), round_off=0))
    return paths


def _two(design: StrokeDesign) -> list[Path]:
    knee = design.middle - 0.08
    top: tuple[Point, ...] = ((0.0, design.hook), (0.0, 0.0), (1.0, 0.0), (1.0, knee))
    if design.two == 0:
        return [Path((*top, (0.0, 1.0))), Path(((0.0, 1.0), (1.0, 1.0)), round_off=0)]
    if design.two == 1:
        low = 1.0 - design.hook * 0.6
        return [Path((*top, (0.0, low), (0.0, 1.0))), Path(((0.0, 1.0), (1.0, 1.0)), round_off=0)]
    return [Path((*top[:3], (1.0, design.middle), (0.0, design.middle), (0.0, 1.0), (1.0, 1.0)))]


def _three(design: StrokeDesign) -> list[Path]:
    middle, low = design.middle, 1.0 - design.hook
    bowl: tuple[Point, ...] = ((1.0, middle), (1.0, 1.0), (0.0, 1.0), (0.0, low))
    if design.three == 0:
        return [
            Path(((0.0, 0.0), (1.0, 0.0), (0.42, middle - 0.06)), round_off=0),
            Path(((0.42, middle - 0.06), *bowl)),
        ]
    start: tuple[Point, ...] = ((0.0, design.hook), (0.0, 0.0)) if design.three == 1 else ((0.0, 0.0),)
    right = 1.0 - design.eight_waist if design.three == 3 else 1.0
    return [Path((*start, (right, 0.0), (right, middle), (0.35, middle))), Path(((0.35, middle), *bowl))]


def _four(design: StrokeDesign) -> list[Path]:
    bar = 0.66 + (design.middle - 0.48)
    stem = 0.74
    if design.four == 0:
        return [Path(((stem, 1.0), (stem, 0.0), (0.0, bar), (1.0, bar)), round_off=0)]
    if design.four == 1:
        return [
            Path(((0.0, 0.0), (0.0, bar), (1.0, bar)), round_off=0.3),
            Path(((stem, 0.3), (stem, 1.0)), round_off=0),
        ]
    if design.four == 2:
        return [
            Path(((0.42, 0.0), (0.0, bar), (1.0, bar)), round_off=0),
            Path(((stem, 0.36), (stem, 1.0)), round_off=0),
        ]
    return [
        Path(((0.0, 0.0), (0.0, design.middle), (1.0, design.middle)), round_off=0.3),
        Path(((1.0, 0.0), (1.0, 1.0)), round_off=0),
    ]


def _five(design: StrokeDesign) -> list[Path]:
    neck = design.middle - 0.05
    low = 1.0 - design.hook
    left = 0.0 if design.five != 1 else 0.08
    rise = neck + (0.08 if design.five == 2 else 0.0)
    head: tuple[Point, ...] = ((0.95, 0.0), (left, 0.0), (left * 0.4, rise))
    return [
        Path(head, round_off=0),
        Path((head[2], (left * 0.4, neck), (1.0, neck), (1.0, 1.0), (0.0, 1.0), (0.0, low))),
    ]


def _six(design: StrokeDesign) -> list[Path]:
    waist = design.middle - 0.04
    bowl: tuple[Point, ...] = ((0.0, waist), (1.0, waist), (1.0, 1.0), (0.0, 1.0))
    if design.six == 0:
        return [Path(((1.0, design.hook), (1.0, 0.0), (0.0, 0.0), (0.0, 0.6))), Path(bowl, closed=True)]
    if design.six == 1:
        return [
            Path(((0.68, 0.0), (0.12, waist + 0.02), (0.0, waist + 0.22)), round_off=0.5),
            Path(bowl, closed=True),
        ]
    if design.six == 2:
        return [Path(((0.95, 0.0), (0.0, 0.0), (0.0, 0.6))), Path(bowl, closed=True)]
    return [Path(((0.9, 0.0), (0.3, 0.05), (0.0, 0.4), (0.0, 0.7)), round_off=2.0), Path(bowl, closed=True)]


def _seven(design: StrokeDesign) -> list[Path]:
    foot = 0.28
    top: tuple[Point, ...] = ((0.0, 0.0), (1.0, 0.0))
    if design.seven == 0:
        return [Path((*top, (foot, 1.0)), round_off=0)]
    if design.seven == 1:
        return [Path(((0.0, design.hook * 0.8), *top, (foot, 1.0)), round_off=0)]
    leg: tuple[Point, ...] = ((design.stem, design.knee), (design.stem, 1.0))
    if design.seven in {2, 5}:
        return [Path((*top, (1.0, 0.18), *leg), round_off=0.5)]
    if design.seven == 3:
        return [Path((*top, (1.0, 1.0)), round_off=0)]
    if design.seven == 6:
        return [Path((*top, *leg), round_off=0)]
    if design.seven == 7:
        return [Path(((0.0, design.hook), *top, (1.0, 0.16), *leg), round_off=0)]
    return [Path((*top, (foot, 1.0)), round_off=0), Path(((0.2, 0.52), (0.86, 0.52)), round_off=0)]


def _eight(design: StrokeDesign) -> list[Path]:
    waist, slim = design.middle, design.eight_waist
    top: tuple[Point, ...] = ((slim, 0.0), (1.0 - slim, 0.0), (1.0 - slim, waist), (slim, waist))
    return [Path(top, closed=True), Path(((0.0, waist), (1.0, waist), (1.0, 1.0), (0.0, 1.0)), closed=True)]


def paths_of(digit: int, design: StrokeDesign) -> list[Path]:
    """The strokes of one digit 0..9 in the unit box."""
    if digit == 0:
        return [Path(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)), closed=True)]
    if digit == 9:
        return [
            Path(tuple((1.0 - x, 1.0 - y) for x, y in path.points), path.closed, path.round_off)
            for path in _six(design)
        ]
    makers = {1: _one, 2: _two, 3: _three, 4: _four, 5: _five, 6: _six, 7: _seven, 8: _eight}
    return makers[digit](design)


_CHAMFER = [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0)]
_SHARES = [((1 - t) ** 2, 2 * t * (1 - t), t * t) for t in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]


def rounded(points: list[Point], closed: bool, radius: float, chamfered: bool = False) -> list[Point]:
    """Replace each corner of a polyline by a curve, or a straight cut, that starts `radius` before it."""
    if radius <= 0 or len(points) < 3:
        return points
    line: list[Point] = []
    shares = _CHAMFER if chamfered else _SHARES
    last = len(points) - 1
    for index, (x, y) in enumerate(points):
        if not closed and index in {0, last}:
            line.append((x, y))
            continue
        before_x, before_y = points[index - 1][0] - x, points[index - 1][1] - y
        after_x, after_y = points[(index + 1) % (last + 1)][0] - x, points[(index + 1) % (last + 1)][1] - y
        reach = min(0.5, radius / max(math.hypot(before_x, before_y), 1e-6))
        reach_on = min(0.5, radius / max(math.hypot(after_x, after_y), 1e-6))
        start_x, start_y = x + before_x * reach, y + before_y * reach
        end_x, end_y = x + after_x * reach_on, y + after_y * reach_on
        line += [(a * start_x + b * x + c * end_x, a * start_y + b * y + c * end_y) for a, b, c in shares]
    return line


def draw_digit(digit: int, design: StrokeDesign, height: int, canvas: int) -> Bytes:
    """Mask (canvas, canvas) uint8 of one digit, `height` pixels high, centred."""
    thick = max(1, round(design.weight * height))
    thin = max(1, round(thick * design.contrast))
    wide, tall = design.width * height - thick, height - thin
    left, top = (canvas - wide) / 2 - 0.5, (canvas - tall) / 2 - 0.5
    mask = np.zeros((canvas, canvas), np.uint8)
    for path in paths_of(digit, design):
        points = [(left + x * wide, top + y * tall) for x, y in path.points]
        line = rounded(points, path.closed, design.radius * path.round_off * height, design.chamfered)
        fixed = np.array([(round(x * 16), round(y * 16)) for x, y in line], np.int32)
        width = 1 if design.square_ends else thick
        # A soft line of one pixel is half as bright where it falls between two; widened, it would stay so.
        edge = cv2.LINE_8 if design.square_ends else cv2.LINE_AA
        cv2.polylines(mask, [fixed], path.closed, 255, width, edge, 4)
    if design.square_ends:
        return cv2.dilate(mask, np.ones((thin, thick), np.uint8)).astype(np.uint8, copy=False)
    return mask
