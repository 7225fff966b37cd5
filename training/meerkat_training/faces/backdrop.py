"""What is behind a meter, painted as the camera sees it: walls, boards, bricks, sheet metal, pipes."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, hypot, pi, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_training.arrays import Floats, Random, between, colour, fill

from .design import Ground


def paint_ground(
    ground: Ground, size: tuple[int, int], meter: tuple[float, float, float], turn: float, seed: int
) -> Floats:
    """RGB (h, w, 3) for a picture of ``size`` (w, h).

    ``meter`` is the column and row of its middle and how many pixels a unit of its face has; ``turn`` how
    far it is turned clockwise, in degrees: pipes follow it.
    """
    rng = np.random.default_rng(seed)
    # Soft anyway: nobody focuses on the wall.
    share = max(1, max(size) // 800)
    small = (max(2, size[0] // share), max(2, size[1] // share))
    unit = max(4.0, meter[2] / share)
    picture = fill(small[1], small[0], ground.colour)
    _GROUNDS[ground.kind](picture, unit, rng)
    _clouds(picture, unit * 1.5, 0.12, rng)
    if ground.pipe is not None:
        middle = (meter[0] / share, meter[1] / share)
        along = turn * pi / 180 + (pi / 2 if ground.pipe_turned else 0.0)
        _pipe(picture, ground, middle, unit, along)
    for _ in range(ground.things):
        _thing(picture, (meter[0] / share, meter[1] / share), unit, rng)
    np.clip(picture, 0, 1, out=picture)
    if share == 1:
        return picture
    large: Floats = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
    return large


def _clouds(picture: Floats, cell: float, amount: float, rng: Random) -> None:
    rows, columns = picture.shape[:2]
    grid = (max(2, int(columns / max(2.0, cell)) + 2), max(2, int(rows / max(2.0, cell)) + 2))
    noise = rng.standard_normal((grid[1], grid[0])).astype(np.float32) * np.float32(amount)
    picture *= (1 + cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_CUBIC))[..., None]


def _plaster(picture: Floats, unit: float, rng: Random) -> None:
    _clouds(picture, unit * 0.4, 0.06, rng)
    _clouds(picture, 3, 0.04, rng)


def _wood(picture: Floats, unit: float, rng: Random) -> None:
    """Boards with a grain along them."""
    rows, columns = picture.shape[:2]
    lines = rng.standard_normal((max(2, rows // 3), 3)).astype(np.float32)
    grain = cv2.resize(lines, (columns, rows), interpolation=cv2.INTER_CUBIC)
    picture *= (1 + 0.12 * grain)[..., None]
    gap = max(8, int(unit * between(rng, 0.5, 1.2)))
    for row in range(int(rng.integers(gap)), rows, gap):
        picture[row : row + max(1, gap // 40)] *= 0.45


def _chips(picture: Floats, unit: float, rng: Random) -> None:
    """Boards of pressed chips: overlapping splinters in all directions."""
    rows, columns = picture.shape[:2]
    base = picture[0, 0].copy()
    for _ in range(min(700, int(3.5 * rows * columns / (unit * unit) / 0.15) + 20)):
        light = float(rng.uniform(0.65, 1.35))
        tone = tuple(float(part) * light for part in base)
        x, y = float(rng.uniform(0, columns)), float(rng.uniform(0, rows))
        length, wide = unit * float(rng.uniform(0.1, 0.35)), unit * float(rng.uniform(0.03, 0.1))
        corners = cv2.boxPoints(((x, y), (length, wide), float(rng.uniform(0, 180)))).astype(np.int32)
        cv2.fillConvexPoly(picture, corners, tone)
    _clouds(picture, unit * 0.1, 0.06, rng)


def _bricks(picture: Floats, unit: float, rng: Random) -> None:
    rows, columns = picture.shape[:2]
    tall = max(6, int(unit * between(rng, 0.35, 0.7)))
    wide, joint = int(tall * 2.3), max(1, tall // 12)
    mortar = picture[0, 0].copy() * 1.15
    brick = colour(rng, (0.55, 0.3, 0.22) if rng.random() < 0.5 else (0.8, 0.8, 0.78), 0.08)
    picture[:] = mortar
    for number, top in enumerate(range(-tall // 2, rows, tall)):
        for left in range(-wide // 2 * (number % 2) - wide // 3, columns, wide):
            tone = np.asarray(colour(rng, brick, 0.05), np.float32)
            picture[max(0, top + joint) : max(0, top + tall), max(0, left + joint) : max(0, left + wide)] = (
                tone
            )
    _clouds(picture, 4, 0.04, rng)


def _metal(picture: Floats, unit: float, rng: Random) -> None:
    """Sheet metal: brushed, and brighter towards one side."""
    del unit
    rows, columns = picture.shape[:2]
    lines = rng.standard_normal((rows, 1)).astype(np.float32) * 0.03
    slope = np.linspace(between(rng, 0.7, 1.0), between(rng, 1.0, 1.3), columns, dtype=np.float32)
    picture *= ((1 + lines) * slope[None, :])[..., None]


def _dark(picture: Floats, unit: float, rng: Random) -> None:
    """A meter's pit or a cupboard: nothing to see."""
    picture *= np.float32(between(rng, 0.03, 0.2))
    _clouds(picture, unit, 0.2, rng)


def _pipe(picture: Floats, ground: Ground, middle: tuple[float, float], unit: float, turn: float) -> None:
    """A pipe behind the meter with a nut on either side, lit from above."""
    rows, columns = picture.shape[:2]
    reach = hypot(rows, columns)
    ahead, across = (cos(turn), sin(turn)), (-sin(turn), cos(turn))
    paint = ground.pipe or (0.5, 0.5, 0.5)
    parts = ((-reach, reach, ground.pipe_width), (-1.9, -1.2, ground.pipe_width * 1.35),
             (1.2, 1.9, ground.pipe_width * 1.35))  # fmt: skip
    for start, end, half in parts:
        begin, finish = (start, end) if end == reach else (start * unit, end * unit)
        for strip in range(40):
            low, high = -1 + 2 * strip / 40, -1 + 2 * (strip + 1) / 40
            light = 0.25 + 0.9 * max(0.0, 1 - ((low + high) / 2 + 0.25) ** 2) ** 1.3
            corners = [
                (
                    middle[0] + ahead[0] * a + across[0] * b * half * unit,
                    middle[1] + ahead[1] * a + across[1] * b * half * unit,
                )
                for a, b in ((begin, low), (finish, low), (finish, high + 0.02), (begin, high + 0.02))
            ]
            tone = tuple(part * light for part in paint)
            cv2.fillConvexPoly(picture, np.round(corners).astype(np.int32), tone)


def _smooth(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """A curve (41, 2) that goes from the first to the last place, drawn to those between (Bézier)."""
    share = np.linspace(0, 1, 41)[:, None, None]
    points = np.broadcast_to(places, (41, *places.shape))
    while points.shape[1] > 1:
        points = points[:, :-1] * (1 - share) + points[:, 1:] * share
    return np.asarray(points[:, 0])


def _thing(picture: Floats, middle: tuple[float, float], unit: float, rng: Random) -> None:
    """What else hangs about a meter: valves, caps, the case of a second meter, cables, a paper label."""
    turn, away = between(rng, 0, 2 * pi), between(rng, 1.7, 3.6) * unit
    at = (round(middle[0] + away * cos(turn)), round(middle[1] + away * sin(turn)))
    base = (0.5, 0.5, 0.5) if rng.random() < 0.3 else tuple(float(part) for part in rng.random(3))
    kind = rng.random()
    if kind < 0.5:
        radius = between(rng, 0.25, 1.1) * unit
        for ring in range(int(rng.integers(2, 7))):
            light = between(rng, 0.35, 1.2)
            tone = tuple(part * light for part in base)
            cv2.circle(picture, at, max(1, round(radius * 0.84**ring)), tone, -1, cv2.LINE_AA)
        for spoke in range(int(rng.integers(0, 7))):
            angle = spoke * 1.05 + turn
            end = (round(at[0] + radius * 0.8 * cos(angle)), round(at[1] + radius * 0.8 * sin(angle)))
            cv2.line(picture, at, end, (0.15, 0.15, 0.15), max(1, round(0.03 * unit)), cv2.LINE_AA)
    elif kind < 0.8:
        places = np.asarray(at) + rng.normal(0, 1.6 * unit, (5, 2))
        tone = tuple(0.4 * part for part in base)
        width = max(1, round(between(rng, 0.03, 0.1) * unit))
        cv2.polylines(picture, [np.round(_smooth(places)).astype(np.int32)], False, tone, width, cv2.LINE_AA)
    else:
        wide, high = between(rng, 0.5, 1.2) * unit, between(rng, 0.25, 0.7) * unit
        corner, end = (
            (round(at[0] - wide / 2), round(at[1] - high / 2)),
            (
                round(at[0] + wide / 2),
                round(at[1] + high / 2),
            ),
        )
        cv2.rectangle(picture, corner, end, (0.92, 0.92, 0.88), -1)
        for line in range(3):
            text = "".join(str(int(digit)) for digit in rng.integers(0, 10, int(rng.integers(3, 12))))
            row = round(corner[1] + high * (0.3 + 0.28 * line))
            size = high * 0.22 / 21
            cv2.putText(
                picture,
                text,
                (corner[0] + round(0.06 * wide), row),
                0,
                size,
                (0.15, 0.15, 0.2),
                1,
                cv2.LINE_AA,
            )


_GROUNDS: dict[str, Callable[[Floats, float, Random], None]] = {
    "plaster": _plaster,
    "wood": _wood,
    "chips": _chips,
    "bricks": _bricks,
    "metal": _metal,
    "dark": _dark,
}
