"""A meter's face with its wheels and needles turned to a reading."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import atan2, degrees, hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.meter_layout import MeterLayout, PixelBox
from meerkat_training import needles, wheels
from meerkat_training.arrays import Floats, Random

from .design import Design, Dial, dial_reach
from .plate import case_size, still_face

Matrix = NDArray[np.float64]
"""(3, 3), from a face's units to pixels of a picture; the first pixel reaches from 0 to 1."""
ASPECT = 20 / 32
"""Width of a wheel's box by its height."""


@dataclass(frozen=True)
class Truth:
    """What a picture shows."""

    layout: MeterLayout
    """Its `rotation_deg` turns the picture upright; boxes are in the picture turned so."""
    reading: float
    """The number that turns everything: exact, not cut to the last wheel's or needle's step."""
    wheels: tuple[float, ...]
    """Where each wheel stands, play included, 0 up to 10."""
    needles: tuple[float, ...]
    """Where each needle points, in the direction that its dial counts."""


@dataclass(frozen=True)
class FaceTruth(Truth):
    """The same for a meter of a known design."""

    design: Design
    matrix: Matrix
    """From the face to the picture as it is, before it is turned."""


class Face:
    """A meter painted once at ``scale`` pixels a unit; ``turned`` shows it at any reading."""

    def __init__(self, design: Design, scale: float) -> None:
        self.design, self.scale = design, scale
        self.still, self.cover = still_face(design, scale)
        half = case_size(design.case)
        self.matrix: Matrix = np.array([[scale, 0, half[0] * scale], [0, scale, half[1] * scale], [0, 0, 1]])

    def turned(self, reading: float, rng: Random) -> Floats:
        """The face at a reading, (h, w, 3) RGB 0 to 1; ``rng`` is for the wheels' grain alone."""
        picture = self.still.copy()
        self.turn(picture, reading, rng)
        return picture

    def turn(self, picture: Floats, reading: float, rng: Random) -> None:
        """Paint wheels and dials onto a copy of ``still``, over those that are there already."""
        design, row = self.design, self.design.row
        for number, position in enumerate(design.gears.wheel_positions(reading)):
            x, y = row.middle(number)
            left, top, right, bottom = self._pixels(x, y, row.width, row.height)
            picture[top:bottom, left:right] = wheels.paint_window(
                design.wheels[number], position, right - left, bottom - top, rng
            )
        for dial, position in zip(design.dials, design.gears.needle_positions(reading), strict=True):
            self._dial(picture, dial, position, rng)

    def _dial(self, picture: Floats, dial: Dial, position: float, rng: Random) -> None:
        """The dial's disc with its numerals; what is around them stays as it is."""
        reach = dial_reach(dial.style) * dial.size / 2
        left, top, right, bottom = self._pixels(dial.x, dial.y, 2 * reach, 2 * reach)
        side = right - left
        style = replace(dial.style, radius=dial.radius / reach)
        patch = needles.paint_dial(style, position, side, rng)
        if style.mirrored:
            # The style's glyphs are mirrored: flipped, they are right again and run the other way.
            patch = patch[:, ::-1]
        mask = np.zeros((side, side), np.uint8)
        cv2.circle(mask, (side * 8 - 8, side * 8 - 8), side * 8 - 8, 255, -1, cv2.LINE_AA, 4)
        below = self.still[top:bottom, left:right]
        picture[top:bottom, left:right] = below + (patch - below) * (mask.astype(np.float32) / 255)[..., None]

    def _pixels(self, x: float, y: float, width: float, height: float) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of what lies about a place, in whole pixels."""
        column, row = self.matrix[0, 2] + x * self.scale, self.matrix[1, 2] + y * self.scale
        wide, high = max(2, round(width * self.scale)), max(2, round(height * self.scale))
        left, top = round(column - wide / 2), round(row - high / 2)
        return left, top, left + wide, top + high


def paint(design: Design, reading: float, rng: Random, *, scale: float = 320.0) -> tuple[Floats, FaceTruth]:
    """The face alone, undistorted, and its truth: boxes are in this picture."""
    face = Face(design, scale)
    picture = face.turned(reading, rng)
    size = (picture.shape[1], picture.shape[0])
    return picture, truth_of(design, reading, face.matrix, size)


def truth_of(design: Design, reading: float, matrix: Matrix, size: tuple[int, int]) -> FaceTruth:
    """What a picture of ``size`` (w, h) shows that sees the face through ``matrix``."""
    return FaceTruth(
        layout=layout_of(design, matrix, size),
        reading=reading,
        wheels=design.gears.wheel_positions(reading),
        needles=design.gears.needle_positions(reading),
        design=design,
        matrix=matrix,
    )


def layout_of(design: Design, matrix: Matrix, size: tuple[int, int]) -> MeterLayout:
    """Boxes as an owner draws them: as high as a window and centred on it, and square round a dial's ring."""
    row, count = design.row, len(design.wheels)
    first, last = mapped(matrix, [row.middle(0), row.middle(count - 1)])
    rotation = -degrees(atan2(last[1] - first[1], last[0] - first[0]))
    upright = turned_matrix(rotation, size) @ matrix
    half_height = row.height / 2
    digits: list[PixelBox] = []
    for number in range(count):
        x, y = row.middle(number)
        middle, top, bottom = mapped(upright, [(x, y), (x, y - half_height), (x, y + half_height)])
        high = hypot(bottom[0] - top[0], bottom[1] - top[1])
        digits.append(_box(middle, high * ASPECT, high))

    pointers: list[PixelBox] = []
    for dial in design.dials:
        reach = dial.size / 2
        cross = [
            (dial.x - reach, dial.y),
            (dial.x + reach, dial.y),
            (dial.x, dial.y - reach),
            (dial.x, dial.y + reach),
        ]
        middle, left, right, top, bottom = mapped(upright, [(dial.x, dial.y), *cross])
        side = (hypot(*(right - left)) + hypot(*(bottom - top))) / 2
        pointers.append(_box(middle, side, side))
    return MeterLayout(
        rotation_deg=round(rotation, 2),
        digits=tuple(digits),
        integer_digits=design.integer_digits,
        pointers=tuple(pointers),
        pointer_factors=design.gears.dials,
        mirrored=design.mirrored,
        unit=design.unit,
        width=size[0],
        height=size[1],
    )


def turned_matrix(rotation: float, size: tuple[int, int]) -> Matrix:
    """(3, 3) that turns a picture about its centre; negative degrees go counter-clockwise as seen."""
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), -rotation, 1.0)
    return np.vstack([turn, [0.0, 0.0, 1.0]])


def mapped(matrix: Matrix, points: list[tuple[float, float]]) -> NDArray[np.float64]:
    """Points (n, 2) seen through a matrix (3, 3)."""
    seen = np.column_stack([np.asarray(points, np.float64), np.ones(len(points))]) @ matrix.T
    return np.asarray(seen[:, :2] / seen[:, 2:])


def _box(middle: NDArray[np.float64], width: float, height: float) -> PixelBox:
    return (
        round(float(middle[0]) - width / 2, 1),
        round(float(middle[1]) - height / 2, 1),
        round(width, 1),
        round(height, 1),
    )
