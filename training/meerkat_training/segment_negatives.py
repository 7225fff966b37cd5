"""Crops that are no digit of a display: letters, two digits at once, half a picture, other things.

A display's empty place is none of them: it is BLANK, a leading zero that is not shown.
"""

from __future__ import annotations

from itertools import combinations

import cv2
import numpy as np

from .arrays import Bytes, Random, around, between, chance
from .camera import degrade
from .crops import HEIGHT, WIDTH, photograph_wheel
from .negatives import fogged, knob, noise, texture, writing
from .segment_faces import ALL, DIGITS, TAILS, draw_cell
from .segments import (
    DisplayStyle,
    cell,
    levels,
    photograph_cell,
    photograph_segment,
    random_box,
    random_display,
)
from .wheels import random_style as random_wheel

_MEANT = {frozenset(pattern) for pattern in (*DIGITS, *TAILS.values(), "ef")}
"""Patterns that are digits somewhere; a 1 may stand on the left."""
LETTERS = tuple(
    "".join(chosen)
    for count in range(1, len(ALL))
    for chosen in combinations(ALL, count)
    if frozenset(chosen) not in _MEANT
)
"""Everything else that seven segments can show."""
_WRITTEN = ("abcefg", "cdefg", "adef", "bcdeg", "adefg", "aefg", "bcefg", "def", "ceg", "abefg", "g", "eg")
"""A b C d E F H L n P - r: these are shown, when anything is that is no number."""


def letter(rng: Random) -> Bytes:
    """Err, OFF, a minus; a digit with a segment that has died."""
    style, box, tall = _drawn(rng)
    written = [one for one in _WRITTEN if frozenset(one) not in _MEANT]
    some = written if chance(rng, 0.5) else LETTERS
    lit = some[int(rng.integers(len(some)))]
    return photograph_cell(
        style, draw_cell(style.face, levels(style, lit, rng.random(7)), tall), box, tall, rng
    )


def refreshing(rng: Random) -> Bytes:
    """Two digits at once, as an exposure over a change shows them."""
    style, box, tall = _drawn(rng)
    while True:
        one, other = (int(rng.integers(10)) for _ in range(2))
        if len(set(style.face.pattern(one)) ^ set(style.face.pattern(other))) >= 2:
            break
    share = between(rng, 0.38, 0.62)
    first, second = (cell(style, digit, tall, rng).astype(np.float32) for digit in (one, other))
    both = (share * first + (1 - share) * second).astype(np.uint8)
    return photograph_cell(style, both, box, tall, rng)


def torn(rng: Random) -> Bytes:
    """A multiplexed display under a short exposure: some rows are dark, or show another digit."""
    style, box, tall = _drawn(rng)
    mixed = cell(style, 8 if chance(rng, 0.4) else int(rng.integers(10)), tall, rng).copy()
    edge = round(tall * between(rng, 0.85, 1.15))
    rest = np.zeros_like(mixed)
    if chance(rng, 0.5):
        mixed[:edge] = rest[:edge]
    else:
        mixed[edge:] = rest[edge:]
    return photograph_cell(style, mixed, box, tall, rng)


def between_places(rng: Random) -> Bytes:
    """A box that lies between two digits: each shows about half of itself."""
    style, box, tall = _drawn(rng)
    step = style.pitch * tall
    middle = np.zeros((4 * tall, 4 * tall), np.uint8)
    for side in (-0.5, 0.5):
        one = cell(style, (0, 2, 3, 5, 6, 8, 9)[int(rng.integers(7))], tall, rng)
        left = tall + round((side + around(rng, 0.04, 0.08)) * step)
        np.maximum(
            middle[tall : 3 * tall, left : left + 2 * tall],
            one,
            out=middle[tall : 3 * tall, left : left + 2 * tall],
        )
    return photograph_cell(style, middle, box, tall, rng, alone=True)


def covered(rng: Random) -> Bytes:
    """A lid, a finger or a drop over half of the digit."""
    style, box, tall = _drawn(rng)
    crop = photograph_cell(style, cell(style, int(rng.integers(10)), tall, rng), box, tall, rng)
    cover = elsewhere(rng)
    edge = round(HEIGHT * between(rng, 0.4, 0.6))
    rows = slice(0, edge) if chance(rng, 0.5) else slice(HEIGHT - edge, HEIGHT)
    crop[rows] = cover[rows]
    return crop


def elsewhere(rng: Random) -> Bytes:
    """No display at all: walls, writing, screws, noise. Plain tones are left out: an empty place is one."""
    scale = between(rng, 1.0, 3.0)
    maker = (noise, texture, writing, knob)[int(rng.integers(4))]
    scene = np.ascontiguousarray(maker(rng, round(HEIGHT * scale), round(WIDTH * scale)))
    shot = degrade(scene, rng, 0.8, readable=False)
    return cv2.resize(shot, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _drawn(rng: Random) -> tuple[DisplayStyle, tuple[int, int], int]:
    """A display with drawn segments, a box on it and the digit's height."""
    style = random_display(rng)
    while style.face.font is not None:
        style = random_display(rng)
    return (style, *random_box(rng, style))


def _roller(rng: Random) -> Bytes:
    """A wheel on its way: this display is none."""
    position = float(rng.integers(10)) + between(rng, 0.3, 0.7)
    return photograph_wheel(random_wheel(rng), position, rng)


def _misty(rng: Random) -> Bytes:
    return fogged(photograph_segment(random_display(rng), int(rng.integers(10)), rng), rng)


_KINDS = (
    (0.28, letter),
    (0.14, refreshing),
    (0.10, torn),
    (0.12, between_places),
    (0.08, covered),
    (0.16, elsewhere),
    (0.06, _roller),
    (0.06, _misty),
)


def negative_segment(rng: Random) -> Bytes:
    """A crop (32, 20, 3) that must not be read as a digit."""
    kind = rng.random()
    for share, maker in _KINDS:
        if kind < share:
            return maker(rng)
        kind -= share
    return letter(rng)
