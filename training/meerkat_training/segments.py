"""Digits of LCD and LED counters as a camera sees them: styles, a display about one digit, single crops.

What is shown is a digit 0 to 9, or BLANK: a leading zero that the display leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from .arrays import Bytes, Colour, Floats, Random, around, between, chance, colour, log_between
from .blend import blend, spread, two_tones
from .camera import degrade
from .crops import BY_HAND, HEIGHT, WIDTH, cut, look, random_view
from .fields import axes, cloud
from .segment_faces import ALL, SegmentFace, draw_cell, glyph_cell, random_face

BLANK = 10
"""The truth of a place that shows nothing."""
DARK: Colour = (0.05, 0.05, 0.06)
INK: Colour = (0.1, 0.12, 0.12)

# (weight, background, lit): LCD, LCD lit from behind, inverted LCD, LED behind dark glass.
SCHEMES: tuple[tuple[float, Colour, Colour], ...] = (
    (0.22, (0.56, 0.62, 0.48), INK),
    (0.18, (0.70, 0.72, 0.68), INK),
    (0.06, (0.82, 0.84, 0.80), (0.16, 0.17, 0.2)),
    (0.05, (0.66, 0.76, 0.24), INK),
    (0.05, (0.30, 0.55, 0.85), (0.05, 0.08, 0.2)),
    (0.03, (0.90, 0.60, 0.20), (0.2, 0.1, 0.05)),
    (0.07, (0.08, 0.16, 0.5), (0.88, 0.93, 1.0)),
    (0.05, DARK, (0.92, 0.94, 0.95)),
    (0.14, (0.12, 0.02, 0.02), (1.0, 0.16, 0.1)),
    (0.06, (0.03, 0.07, 0.04), (0.3, 1.0, 0.35)),
    (0.05, (0.1, 0.06, 0.02), (1.0, 0.66, 0.12)),
    (0.02, (0.03, 0.04, 0.1), (0.3, 0.55, 1.0)),
    (0.02, (0.04, 0.05, 0.05), (0.4, 1.0, 0.85)),
)
_FIRST_LED = 7
_LADDER = np.cumsum([scheme[0] for scheme in SCHEMES])
_WORDS = ("kWh", "m3", "L1", "T1", "1.8.0", "MWh", "kW", "->", "GJ", "OK")


@dataclass(frozen=True)
class DisplayStyle:
    """How one display looks. Lengths are shares of a digit's height."""

    face: SegmentFace
    background: Colour
    lit: Colour
    contrast: float = 1.0
    """Of the lit segments against the background; a tired LCD has little."""
    ghost: float = 0.0
    """How much of that the segments show that are off."""
    fade: float = 0.0
    """How much single lit segments may lack."""
    slope: float = 0.0
    """Loss of contrast from one side to the other, as an LCD seen from above or below has it."""
    shadow: float = 0.0
    """Strength of the shadow that an LCD's segments throw on the mirror behind them."""
    shadow_at: tuple[float, float] = (0.0, 0.0)
    glow: float = 0.0
    """Light about lit segments: dust, the diffuser, an exposure that is too long."""
    burn: float = 0.0
    """How far lit segments go to white in their middle, as LEDs do."""
    pitch: float = 0.8
    """From digit to digit."""
    point: float = 0.0
    """Radius of the decimal point; 0 when the display has none near."""
    comma: bool = False
    frame: Colour = DARK
    """Of what lies about the display."""
    texture: float = 0.0


def random_display(rng: Random) -> DisplayStyle:
    """A display nobody has seen before."""
    which = int(np.searchsorted(_LADDER, rng.random() * _LADDER[-1]))
    _, background, lit = SCHEMES[which]
    led = which >= _FIRST_LED
    face = random_face(rng)
    style = DisplayStyle(
        face=face,
        background=colour(rng, background, 0.05 if led else 0.12),
        lit=colour(rng, lit, 0.1),
        contrast=1.0 if led else between(rng, 0.4, 1.0),
        ghost=0.0 if chance(rng, 0.4) else between(rng, 0.02, 0.3) ** 1.2,
        fade=between(rng, 0.1, 0.35) if chance(rng, 0.2) else 0.0,
        pitch=face.width + max(0.12, between(rng, 0.14, 0.4)),
        point=between(rng, 0.035, 0.085) if chance(rng, 0.4) else 0.0,
        comma=chance(rng, 0.3),
        frame=colour(rng, (DARK, (0.5, 0.5, 0.5), (0.85, 0.85, 0.83))[int(rng.integers(3))], 0.1),
        texture=between(rng, 0.02, 0.12) if chance(rng, 0.25) else 0.0,
    )
    if led:
        glow = between(rng, 0.05, 0.6) if chance(rng, 0.6) else 0.0
        return replace(style, glow=glow, burn=between(rng, 0.2, 0.9) if chance(rng, 0.5) else 0.0)
    if chance(rng, 0.55):
        aside = (around(rng, 0.03, 0.08), 0.01 + abs(around(rng, 0.035, 0.09)))
        style = replace(style, shadow=between(rng, 0.08, 0.45), shadow_at=aside)
    if chance(rng, 0.3):
        style = replace(style, slope=between(rng, 0.1, 0.6))
    return style


def cell(style: DisplayStyle, shown: int, tall: int, rng: Random) -> Bytes:
    """One place of the display, (2 tall, 2 tall), 0 to 255 as far as it is lit; `shown` may be BLANK."""
    # Always as many draws, whatever is shown: `dataset` compares pictures that differ in that alone.
    wear = rng.random(len(ALL))
    if style.face.font is not None:
        return glyph_cell(style.face, None if shown == BLANK else shown, style.ghost, tall)
    lit = "" if shown == BLANK else style.face.pattern(shown)
    return draw_cell(style.face, levels(style, lit, wear), tall)


def levels(style: DisplayStyle, lit: str, wear: Floats) -> dict[str, float]:
    """How far each segment is lit; `wear` (7,) of 0 to 1 says how each differs from what it should be."""
    return {
        name: 1 - style.fade * float(worn) if name in lit else style.ghost * (0.7 + 0.3 * float(worn))
        for name, worn in zip(ALL, wear, strict=True)
        if name in lit or style.ghost
    }


def random_box(rng: Random, style: DisplayStyle) -> tuple[tuple[int, int], int]:
    """A layout's box (width, height) about a digit in the source, and the digit's height, in pixels."""
    high = round(log_between(rng, 24, 90))
    tall = round(high * between(rng, 0.64, 0.96))
    snug = 1.02 + 0.4 * float(rng.random()) ** 1.5
    wide = round(tall * min(style.face.room * snug, style.pitch * 1.15))
    return (max(10, wide), high), tall


def paint_display(
    style: DisplayStyle, middle: Bytes, box: tuple[int, int], tall: int, rng: Random, *, alone: bool = False
) -> Floats:
    """A scene 1.5 times the box, float RGB 0..1: the cell `middle` there, its neighbours unless `alone`,
    decimal points, a frame."""
    width, height = box[0] * 3 // 2, box[1] * 3 // 2
    lit = np.zeros((height, width), np.uint8)
    step = style.pitch * tall
    reach = int(width / 2 / step + style.face.room / 2 / style.pitch) + 1
    for place in (0,) if alone else range(-reach, reach + 1):
        shown = int(rng.integers(10)) if chance(rng, 0.85) else BLANK
        put(lit, middle if place == 0 else cell(style, shown, tall, rng), round(place * step))
    if style.point:
        for side in (-0.5, 0.5):
            point(lit, style, (width / 2 + side * step, height / 2), tall, rng, on=chance(rng, 0.5))
    return shine_through(style, lit, tall, rng)


def shine_through(style: DisplayStyle, lit: Bytes, tall: int, rng: Random) -> Floats:
    """The display's picture, float RGB 0..1, of what is lit on it (height, width), 0 to 255.

    Digits are `tall` pixels high and stand in the middle of the height.
    """
    height, width = lit.shape
    light = lit.astype(np.float32) * np.float32(style.contrast / 255)
    if style.slope:
        light *= (1 - style.slope * (axes(height, width)[0] + 0.5)).astype(np.float32)
    picture = two_tones(style.background, style.lit, light)
    if style.shadow:
        picture *= spread(1 - style.shadow * _shadow(light, style, tall))
    if style.glow or style.burn:
        picture = _shine(picture, style, light, tall)
    if style.texture:
        picture *= spread(1 + style.texture * (cloud(rng, height, width, 3) - 0.5))
    return _surroundings(picture, style, tall, rng)


def put(lit: Bytes, one: Bytes, aside: int) -> None:
    """Lay a cell over the display, its middle `aside` pixels to the right of the display's."""
    side = one.shape[0]
    top, left = lit.shape[0] // 2 - side // 2, lit.shape[1] // 2 - side // 2 + aside
    y0, y1 = max(0, top), min(lit.shape[0], top + side)
    x0, x1 = max(0, left), min(lit.shape[1], left + side)
    if x0 < x1:
        part = one[y0 - top : y1 - top, x0 - left : x1 - left]
        np.maximum(lit[y0:y1, x0:x1], part, out=lit[y0:y1, x0:x1])


def point(
    lit: Bytes, style: DisplayStyle, middle: tuple[float, float], tall: int, rng: Random, *, on: bool
) -> None:
    """A decimal point, or the trace of one that is not `on`, between two digits; (x, y) is half-way."""
    radius = style.point * tall
    x = middle[0] - style.face.slant * 0.5 * tall
    y = middle[1] + 0.5 * tall - radius + around(rng, 0.01, 0.03) * tall
    level = 255 if on else round(255 * style.ghost)
    centre = (round(x * 16), round(y * 16))
    cv2.circle(lit, centre, max(8, round(radius * 16)), (level,), -1, cv2.LINE_AA, 4)
    if style.comma:
        tip = (round((x - 0.8 * radius) * 16), round((y + 2.4 * radius) * 16))
        cv2.line(lit, centre, tip, (level,), max(1, round(radius)), cv2.LINE_AA, 4)


def _shadow(light: Floats, style: DisplayStyle, tall: int) -> Floats:
    """The segments again, aside and blurred, where they do not lie themselves."""
    x, y = (part * tall for part in style.shadow_at)
    move = np.array([[1, 0, x], [0, 1, y]], np.float32)
    away = cv2.warpAffine(light, move, (light.shape[1], light.shape[0]))
    soft = cv2.GaussianBlur(away, (0, 0), max(0.4, 0.025 * tall))
    return (soft * (1 - light)).astype(np.float32, copy=False)


def _shine(picture: Floats, style: DisplayStyle, light: Floats, tall: int) -> Floats:
    """LEDs: a halo of their colour, and white where the sensor is full."""
    if style.glow:
        halo = cv2.GaussianBlur(light, (0, 0), 0.09 * tall).astype(np.float32)
        picture = picture + np.asarray(style.lit, np.float32) * spread(halo * np.float32(style.glow))
    if style.burn:
        core = cv2.erode(light, np.ones((2, 2), np.uint8)) if tall > 24 else light
        picture = blend(picture, 1.0, (core * np.float32(style.burn)).astype(np.float32))
    return picture


def _surroundings(picture: Floats, style: DisplayStyle, tall: int, rng: Random) -> Floats:
    """What a display has beside its digits: its frame above and below, and small writing."""
    height, width = picture.shape[:2]
    top, bottom = round(height / 2 - 0.5 * tall), round(height / 2 + 0.5 * tall)
    for above in (True, False):
        if not chance(rng, 0.3):
            continue
        away = round(tall * between(rng, 0.06, 0.4))
        if chance(rng, 0.6):
            rows = slice(0, max(0, top - away)) if above else slice(bottom + away, height)
            picture[rows] = np.asarray(style.frame, np.float32)
        else:
            size = 0.008 * tall * between(rng, 0.6, 1.2)
            place = (
                round(width * between(rng, 0.05, 0.7)),
                top - away if above else bottom + away + round(18 * size),
            )
            word = _WORDS[int(rng.integers(len(_WORDS)))]
            cv2.putText(picture, word, place, cv2.FONT_HERSHEY_DUPLEX, size, style.lit, 1)
    return picture


def photograph_cell(
    style: DisplayStyle,
    middle: Bytes,
    box: tuple[int, int],
    tall: int,
    rng: Random,
    *,
    readable: bool = True,
    alone: bool = False,
) -> Bytes:
    """A painted cell of `tall` pixels as a layout's box shows it, (32, 20, 3) uint8 RGB."""
    scene = paint_display(style, middle, box, tall, rng, alone=alone)
    view = random_view(rng, box, (scene.shape[1], scene.shape[0]), BY_HAND, 0.04 * box[1])
    shot = degrade(look(scene, view), rng, 1.0, tall, readable=readable)
    return cut(shot, box, (WIDTH, HEIGHT))


def photograph_segment(style: DisplayStyle, shown: int, rng: Random) -> Bytes:
    """A digit, or BLANK, of a style as a layout's box shows it, (32, 20, 3) uint8 RGB."""
    box, tall = random_box(rng, style)
    return photograph_cell(style, cell(style, shown, tall, rng), box, tall, rng, readable=shown != BLANK)


def random_shown(rng: Random) -> int:
    """A digit; one in twelve is BLANK."""
    return BLANK if chance(rng, 1 / 12) else int(rng.integers(10))
