"""The house across the street, painted flat: walls, roof, windows, and an entrance with steps and a lamp."""

from __future__ import annotations

import numpy as np

from .paint import Canvas, Colour, Points, ellipse, rectangle
from .view import lamp, project

AWAY = 15.0
LEFT, RIGHT = -6.9, 0.9
MIDDLE = (LEFT + RIGHT) / 2
WINDOWS = (LEFT + 0.75, LEFT + 5.55)
"""Left edges of the two windows, 1.3 m wide, from 1.0 to 2.3 m above the ground."""

LAMP_AT = (MIDDLE + 0.86, 2.05)

_WHITE: Colour = (0.88, 0.91, 0.92)
_BLUE: Colour = (0.46, 0.36, 0.20)
_SLATE: Colour = (0.34, 0.31, 0.34)


def at(x: float, y: float) -> tuple[float, float]:
    """Design pixel of a point of the front."""
    return project(x, y, AWAY)


def front(x0: float, y0: float, x1: float, y1: float) -> Points:
    """A rectangle of the front, from the lower left to the upper right corner, in metres."""
    return rectangle(*at(x0, y1), *at(x1, y0))


def paint_house(canvas: Canvas) -> None:
    """Paint it all."""
    canvas.poly(
        front(LEFT + 5.6, 3.9, LEFT + 6.3, 5.6), (0.32, 0.38, 0.58), lamp(AWAY, 0.4), (0.26, 0.30, 0.48)
    )
    canvas.poly(front(LEFT, 0, RIGHT, 3.05), (0.74, 0.85, 0.90), lamp(AWAY, 0.7), (0.66, 0.77, 0.83))
    for row in np.arange(0.35, 3.0, 0.2):
        canvas.poly(front(LEFT, row, RIGHT, row + 0.025), (0.62, 0.72, 0.78), lamp(AWAY, 0.6))
    canvas.poly(front(LEFT, 0, RIGHT, 0.32), (0.52, 0.54, 0.57), lamp(AWAY, 0.5), (0.42, 0.44, 0.47))
    canvas.shade(front(LEFT + 0.3, 2.55, RIGHT - 0.3, 2.9), 0.30, 2.5)
    _roof(canvas)
    for x in WINDOWS:
        _window(canvas, x)
    _entrance(canvas)


def _roof(canvas: Canvas) -> None:
    roof = [at(LEFT - 0.4, 2.95), at(LEFT + 1.1, 4.75), at(RIGHT - 1.1, 4.75), at(RIGHT + 0.4, 2.95)]
    canvas.poly(roof, (0.40, 0.36, 0.40), lamp(AWAY, 0.3), (0.30, 0.27, 0.30))
    for row in np.arange(3.1, 4.7, 0.2):
        inset = (row - 2.95) / 1.8 * 1.5 - 0.38
        course = front(LEFT + inset, row, RIGHT - inset, row + 0.03)
        canvas.poly(course, (0.27, 0.24, 0.27), lamp(AWAY, 0.24))
    canvas.poly(front(LEFT - 0.42, 2.87, RIGHT + 0.42, 3.0), _WHITE, lamp(AWAY, 0.8))


def _window(canvas: Canvas, x: float) -> None:
    for dx in (-0.38, 1.4):
        canvas.poly(front(x + dx, 0.98, x + dx + 0.28, 2.33), _BLUE, lamp(AWAY, 0.4))
    canvas.poly(front(x - 0.08, 0.9, x + 1.38, 2.4), _WHITE, lamp(AWAY, 0.85))
    canvas.poly(front(x, 1.0, x + 1.3, 2.3), (0.62, 0.50, 0.36), lamp(AWAY, 0.08), (0.44, 0.36, 0.26))
    curtain = [at(x, 2.3), at(x + 0.28, 2.3), at(x + 0.1, 1.0), at(x, 1.0)]
    canvas.poly(curtain, (0.78, 0.82, 0.84), lamp(AWAY, 0.3))
    canvas.poly(front(x + 0.62, 1.0, x + 0.68, 2.3), _WHITE, lamp(AWAY, 0.8))
    canvas.poly(front(x, 1.62, x + 1.3, 1.68), _WHITE, lamp(AWAY, 0.8))
    canvas.poly(front(x - 0.1, 0.72, x + 1.4, 0.9), (0.20, 0.30, 0.48), lamp(AWAY, 0.4))
    for flower in np.arange(x, x + 1.35, 0.16):
        px, py = at(flower, 0.98)
        canvas.poly(ellipse(px, py + 1, 4.2, 3.2), (0.22, 0.52, 0.30), lamp(AWAY, 0.5))
        canvas.poly(ellipse(px + 1, py - 1, 2.4, 2.2), (0.40, 0.34, 0.86), lamp(AWAY, 0.7))


def _entrance(canvas: Canvas) -> None:
    canvas.poly(front(MIDDLE - 0.62, 0.40, MIDDLE + 0.62, 2.62), _WHITE, lamp(AWAY, 0.85))
    door = front(MIDDLE - 0.48, 0.42, MIDDLE + 0.48, 2.46)
    canvas.poly(door, (0.20, 0.22, 0.62), lamp(AWAY, 0.35), (0.14, 0.15, 0.46))
    for y0, y1 in ((0.6, 1.25), (1.4, 2.3)):
        for dx in (-0.36, 0.08):
            panel = front(MIDDLE + dx, y0, MIDDLE + dx + 0.28, y1)
            canvas.poly(panel, (0.15, 0.17, 0.50), lamp(AWAY, 0.28))
    canvas.poly(ellipse(*at(MIDDLE + 0.38, 1.42), 2.2, 2.2), (0.45, 0.78, 0.90), lamp(AWAY, 0.9))
    for step in range(3):
        wide, top = 1.15 + 0.22 * step, 0.40 - 0.14 * step
        riser = front(MIDDLE - wide, top - 0.14, MIDDLE + wide, top)
        canvas.poly(riser, (0.70, 0.72, 0.73), lamp(AWAY, 0.6), (0.52, 0.54, 0.55))
        tread = front(MIDDLE - wide, top - 0.03, MIDDLE + wide, top)
        canvas.poly(tread, (0.84, 0.86, 0.86), lamp(AWAY, 0.7))
    canvas.shade(
        [at(MIDDLE - 1.5, 2.6), at(MIDDLE + 1.5, 2.6), at(MIDDLE + 1.4, 2), at(MIDDLE - 1.3, 2.1)], 0.25, 4
    )
    for dx in (-1.35, 1.25):
        post = front(MIDDLE + dx, 0.1, MIDDLE + dx + 0.11, 2.7)
        canvas.poly(post, _WHITE, lamp(AWAY, 0.85), (0.78, 0.80, 0.82))
    canvas.poly([at(MIDDLE - 1.7, 2.68), at(MIDDLE, 3.5), at(MIDDLE + 1.7, 2.68)], _SLATE, lamp(AWAY, 0.3))
    canvas.poly([at(MIDDLE - 1.35, 2.72), at(MIDDLE, 3.34), at(MIDDLE + 1.35, 2.72)], _WHITE, lamp(AWAY, 0.8))
    canvas.poly(front(MIDDLE - 1.7, 2.6, MIDDLE + 1.7, 2.72), _WHITE, lamp(AWAY, 0.85))
    x, y = at(*LAMP_AT)
    canvas.poly(rectangle(x - 3, y - 6, x + 3, y + 6), (0.16, 0.16, 0.17), lamp(AWAY, 0.2))
    canvas.poly(rectangle(x - 2, y - 3, x + 2, y + 4), (0.62, 0.88, 0.96), lamp(AWAY, 0.9))
    path = [project(MIDDLE + dx, 0, z) for dx, z in ((-0.7, 14.9), (0.7, 14.9), (1.0, 11.9), (-1.0, 11.9))]
    canvas.poly(path, (0.66, 0.69, 0.71), lamp(13, 0.5), (0.60, 0.63, 0.65))
