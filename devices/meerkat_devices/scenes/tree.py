"""The tree in the garden: a trunk that stands, and clumps of leaves that the wind moves."""

from __future__ import annotations

import numpy as np

from .paint import Canvas, ellipse
from .sculpt import Sprite
from .view import lamp

TREE_AT = (3.3, 7.0)
"""Where the tree stands on the ground: metres to the right and away."""

REACH = (180.0, 400.0, 210.0)
"""Design pixels of the foot that leaves may cover: to the left, upwards, to the right."""

_CLUMPS = ((24, -205, 92), (-70, -190, 74), (92, -185, 70), (-24, -262, 86), (52, -290, 66), (0, -200, 60))


def paint_trunk(scale: float) -> Sprite:
    """The trunk and its boughs; the anchor is the foot."""
    canvas = Canvas(220, 330, scale=scale)
    for shift, tone, wide in ((0.0, 0.62, 1.0), (-2.5, 1.0, 0.62)):
        colour = (0.24 * tone, 0.32 * tone, 0.42 * tone)
        grey = lamp(TREE_AT[1], 0.75) * (0.6 + 0.4 * tone)
        foot, top, middle = 17 * wide, 10 * wide, 110 + shift
        trunk = [(middle - foot, 320), (middle - top, 180), (middle + top, 180), (middle + foot, 320)]
        canvas.poly(trunk, colour, grey)
        for x, y in ((40, 90), (110, 40), (178, 100), (80, 70)):
            canvas.poly([(middle - 7, 200), (x - 3, y), (x + 3, y), (middle + 7, 200)], colour, grey)
    colour_picture, grey_picture, alpha = canvas.finish()
    return Sprite(colour_picture, grey_picture, alpha, (110 * scale, 320 * scale), scale)


def paint_leaves(rng: np.random.Generator, scale: float) -> tuple[Sprite, ...]:
    """Clumps of leaves, the hindmost first; the anchor of each is the tree's foot."""
    return tuple(_clump(rng, scale, cx, cy, radius=radius) for cx, cy, radius in _CLUMPS)


def _clump(rng: np.random.Generator, scale: float, cx: float, cy: float, *, radius: float) -> Sprite:
    middle = radius + 20
    canvas = Canvas(2 * middle, 2 * middle, scale=scale)
    spots = []
    for _ in range(int(radius * 9)):
        angle, reach = float(rng.uniform(0, 2 * np.pi)), radius * float(rng.uniform(0, 1)) ** 0.55
        x, y = reach * float(np.cos(angle)), reach * float(np.sin(angle)) * 0.86
        # Leaves towards the sun (upper left) lie on top of the darker ones.
        spots.append((x * 0.4 + y + 18 * float(rng.standard_normal()), x, y))
    for _, x, y in sorted(spots, reverse=True):
        lit = 0.60 - 0.28 * (x * 0.55 + y) / radius + 0.10 * float(rng.standard_normal())
        lit = min(max(lit, 0.25), 1.1)
        leaf = ellipse(middle + x, middle + y, 6.2, 4.0, 9)
        canvas.poly(leaf, (0.20 * lit, 0.62 * lit, 0.46 * lit), lamp(TREE_AT[1], 0.22 + 0.36 * lit))
    colour, grey, alpha = canvas.finish()
    return Sprite(colour, grey, alpha, ((middle - cx) * scale, (middle - cy) * scale), scale)
