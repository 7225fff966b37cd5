"""The digits of seven-segment displays: drawn segments of any shape, and free fonts of such digits.

Segments are named a to g: a on top, then clockwise b, c, d (the foot), e, f, and g in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .arrays import Bytes, Random, around, between, chance
from .fonts import FONT_DIRECTORIES

DIGITS = ("abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg")
TAILS = {6: "cdefg", 7: "abcf", 9: "abcfg"}
"""How some displays write them: a 6 without its roof, a 9 without its foot, a 7 with a post."""
ALL = "abcdefg"
FONT_FILES = ("DSEG7*", "DSEG14*")
"""On Debian: fonts-dseg."""
_TALL = 96
"""Height in pixels of a font's stored digits."""

End = Literal["mitred", "pointed", "square", "round"]


@dataclass(frozen=True)
class SegmentFace:
    """How the digits of one display look. Lengths are shares of a digit's height."""

    width: float = 0.55
    across: float = 0.12
    """Thickness of lying segments."""
    upright: float = 0.12
    """Thickness of standing ones."""
    gap: float = 0.015
    end: End = "mitred"
    cut: float = 0.0
    """Of mitred ends, how much of the outer corner is cut off; 1 is pointed."""
    slant: float = 0.0
    """Tangent of the lean to the right."""
    tails: frozenset[int] = frozenset()
    """Digits written as TAILS has them."""
    font: Path | None = None
    """A font's digits instead of drawn ones."""

    @property
    def room(self) -> float:
        """Width of a digit with its lean."""
        return self.width + abs(self.slant)

    def pattern(self, digit: int) -> str:
        """The segments that are lit."""
        return TAILS[digit] if digit in self.tails else DIGITS[digit]


def random_face(rng: Random) -> SegmentFace:
    fonts = _fonts()
    slant = 0.0 if chance(rng, 0.35) else min(0.3, max(0.0, 0.1 + around(rng, 0.06, 0.2)))
    if fonts and chance(rng, 0.2):
        path = fonts[int(rng.integers(len(fonts)))]
        return SegmentFace(width=between(rng, 0.45, 0.75), slant=slant * 0.4, font=path)
    across = 0.07 + 0.13 * float(rng.random()) ** 1.3
    ends: tuple[End, ...] = ("mitred", "mitred", "pointed", "square", "round")
    return SegmentFace(
        width=between(rng, 0.42, 0.72),
        across=across,
        upright=across * between(rng, 0.75, 1.3),
        gap=0.0 if chance(rng, 0.15) else between(rng, 0.004, 0.04),
        end=ends[int(rng.integers(len(ends)))],
        cut=0.0 if chance(rng, 0.4) else between(rng, 0.1, 0.8),
        slant=slant,
        tails=frozenset(digit for digit, share in ((6, 0.12), (7, 0.25), (9, 0.12)) if chance(rng, share)),
    )


def draw_cell(face: SegmentFace, levels: dict[str, float], tall: int) -> Bytes:
    """One digit `tall` pixels high on a canvas (2 tall, 2 tall) about its middle, 0 to 255.

    `levels` says how far each segment is lit, 0 to 1; those it leaves out are not drawn.
    """
    canvas = np.zeros((2 * tall, 2 * tall), np.uint8)
    # The faint ones first: where two touch, the lit one is seen.
    for name, level in sorted(levels.items(), key=lambda item: item[1]):
        for points in _shapes(face, name):
            x, y = points[:, 0], points[:, 1]
            lean = face.slant * (0.5 - y)
            placed = np.stack([(x - face.width / 2 + lean) * tall + tall, (y - 0.5) * tall + tall], 1)
            fixed = np.round((placed - 0.5) * 16).astype(np.int32)
            cv2.fillPoly(canvas, [fixed], (round(255 * level),), cv2.LINE_AA, 4)
    return canvas


def glyph_cell(face: SegmentFace, digit: int | None, ghost: float, tall: int) -> Bytes:
    """The same of a face with a font: `digit` fully lit, None for none, the other segments by `ghost`."""
    assert face.font is not None, "a drawn face has no glyphs"
    masks = _glyphs(face.font)
    lit = masks[digit].astype(np.float32) if digit is not None else np.zeros_like(masks[8], np.float32)
    mask = np.maximum(lit, ghost * masks[8])
    size = (max(2, round(face.width * tall)), tall)
    small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    move = np.array(
        [[1, -face.slant, tall - size[0] / 2 + face.slant * tall / 2], [0, 1, tall / 2]], np.float32
    )
    canvas = cv2.warpAffine(small, move, (2 * tall, 2 * tall), flags=cv2.INTER_LINEAR)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _shapes(face: SegmentFace, name: str) -> list[np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    """Polygons (n, 2) of one segment, in digit heights from the upper left corner, not slanted."""
    lying = name in "adg"
    half, other = (face.across / 2, face.upright / 2) if lying else (face.upright / 2, face.across / 2)
    if lying:
        start, end = other, face.width - other
        middle = {"a": half, "d": 1 - half, "g": 0.5}[name]
        inward = {"a": 1.0, "d": -1.0, "g": 0.0}[name]
    else:
        start, end = (face.across / 2, 0.5) if name in "bf" else (0.5, 1 - face.across / 2)
        middle = half if name in "ef" else face.width - half
        inward = 1.0 if name in "ef" else -1.0
    outer, point, inner = _insets(face, half, other, name)
    near, far = (outer, inner) if inward >= 0 else (inner, outer)
    if name == "g":
        near = far = inner
    # At the waist both sides of an upright give way to the middle segment.
    at_waist = (inner, inner) if face.end == "mitred" else (near, far)
    first = at_waist if name in "ce" else (near, far)
    last = at_waist if name in "bf" else (near, far)
    along = [start + first[0], end - last[0], end - point, end - last[1], start + first[1], start + point]
    aside = [middle - half, middle - half, middle, middle + half, middle + half, middle]
    points = np.array(list(zip(along, aside, strict=True)))
    shapes = [points if lying else points[:, ::-1]]
    if face.end == "round":
        turn = np.linspace(0, 2 * np.pi, 17)[:-1]
        for place in (start + outer, end - outer):
            centre = (place, middle) if lying else (middle, place)
            shapes.append(np.stack([centre[0] + half * np.cos(turn), centre[1] + half * np.sin(turn)], 1))
    return shapes


def _insets(face: SegmentFace, half: float, other: float, name: str) -> tuple[float, float, float]:
    """How far a segment ends before the crossing of the middle lines: outer edge, middle, inner edge."""
    gap = face.gap
    if face.end == "square":
        # The lying ones run through to the corners of some displays, never to the waist's.
        full = -other + gap if name in "ad" and face.cut > 0.4 else other + gap
        return full, full, full
    if face.end == "round":
        inset = max(half, other) + gap
        return inset, inset - half, inset
    slope = half  # 45 degrees
    if face.end == "pointed":
        return slope + gap, gap, slope + gap
    return -slope + 2 * slope * face.cut + gap, gap, slope + gap


@cache
def _fonts() -> tuple[Path, ...]:
    return tuple(
        path
        for directory in FONT_DIRECTORIES
        if directory.is_dir()
        for pattern in FONT_FILES
        for path in sorted(directory.rglob(f"{pattern}.ttf"))
        if "SEGGCHAN" not in path.name
    )


@cache
def _glyphs(path: Path) -> tuple[Bytes, ...]:
    """Masks of the ten digits, all (height, width) of the 8, each where it stands in the 8's box."""
    probe = ImageFont.truetype(str(path), 100)
    box = probe.getbbox("8")
    face = probe.font_variant(size=round(100 * _TALL / (box[3] - box[1])))
    left, top, right, bottom = (round(side) for side in face.getbbox("8"))
    masks = []
    for digit in range(10):
        picture = Image.new("L", (right - left, bottom - top))
        ImageDraw.Draw(picture).text((-left, -top), str(digit), 255, face)
        masks.append(np.asarray(picture, np.uint8))
    return tuple(masks)
