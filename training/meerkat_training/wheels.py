"""Roller digits: a style, a window painted at any size, and single crops as a camera would take them.

A position is continuous, 0 to 10: at 3.0 the digit 3 stands in the middle of the window; at 3.5 its
upper half has left at the top and the 4 is half in from below.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .arrays import Colour, Floats, Random, around, between, chance, colour
from .blend import blend, spread, two_tones
from .fields import axes, cloud
from .fonts import Font, random_font
from .palette import BLACK, GREY, RED, WHITE

CUT = 0.3
"""Share of counters with digits so tall and far apart that a window never shows two whole ones."""

# (weight, paper, ink, spread): what rollers are made of.
SCHEMES: tuple[tuple[float, Colour, Colour, float], ...] = (
    (0.20, WHITE, BLACK, 0.08),
    (0.20, BLACK, WHITE, 0.1),
    (0.12, WHITE, RED, 0.12),
    (0.08, RED, WHITE, 0.12),
    (0.12, (0.28, 0.3, 0.3), (0.72, 0.74, 0.73), 0.14),
    (0.05, (0.62, 0.62, 0.6), (0.2, 0.2, 0.22), 0.14),
    (0.06, (0.88, 0.82, 0.62), BLACK, 0.1),
    (0.04, (0.88, 0.8, 0.58), RED, 0.12),
    (0.02, (0.85, 0.75, 0.15), BLACK, 0.1),
    (0.02, (0.3, 0.62, 0.35), BLACK, 0.12),
    (0.03, BLACK, (0.85, 0.25, 0.2), 0.14),
    (0.02, (0.2, 0.3, 0.55), WHITE, 0.12),
    (0.04, (0.2, 0.2, 0.2), (0.45, 0.45, 0.45), 0.1),
)
TICKS = (1, 1, 2, 2, 3, 4, 5, 6, 8, 10)
_LADDER = np.cumsum([scheme[0] for scheme in SCHEMES])


@dataclass(frozen=True)
class WheelStyle:
    """How the rollers of one counter look. Lengths are shares of the window unless said otherwise."""

    font: Font
    paper: Colour
    ink: Colour
    digit_share: float = 0.62
    """Height of a digit by the window's height."""
    pitch: float = 1.4
    """Distance between neighbouring digits by the digit's height."""
    stretch: float = 1.0
    """Width of the digits by the font's own."""
    slant: float = 0.0
    """Tangent of the digits' lean to the right."""
    squeeze: float = 1.0
    """1 foreshortens top and bottom as a drum of ten digits does, 0 is a flat strip."""
    shade: float = 0.25
    """Darkening of the drum towards top and bottom."""
    gloss: float = 0.0
    """Strength of a bright line along the drum; negative is a dark one."""
    gloss_at: float = 0.0
    offset: float = 0.0
    """Digits off the middle, by the window's width."""
    ticks: int = 0
    """Teeth a digit at the sides: 0 none."""
    tick_sides: int = 2
    """1 left, 2 right, 3 both."""
    tick_width: float = 0.12
    tick_duty: float = 0.5
    tick_phase: float = 0.25
    tick_colour: Colour = BLACK
    bar: float = 0.0
    """Height of a bar between digits, by the pitch."""
    bar_width: float = 0.5
    bar_at: float = 0.5
    bar_side: float = 0.0
    bar_colour: Colour = WHITE
    pip: float = 0.0
    """Size of a dot that turns with the digits, by the window's width; 0 for none."""
    pip_at: float = -0.35
    pip_phase: float = 0.2
    pip_colour: Colour = WHITE
    drum_left: float = 0.0
    """Gap at the left where the window shows past the drum's edge."""
    drum_right: float = 0.0
    gap_colour: Colour = BLACK
    relief: float = 0.0
    """Light and dark edges of digits that are moulded, not printed."""
    lip: float = 0.25
    """Strength of the shadow that the window's edge throws on the drum."""
    lip_depth: float = 0.08
    wear: float = 0.0
    """How much of the ink is rubbed off in places."""
    texture: float = 0.0
    frame: Colour = GREY
    """Colour of the plate around the windows."""


def random_colours(rng: Random) -> tuple[Colour, Colour]:
    """Paper and ink of one counter."""
    _, paper, ink, spread = SCHEMES[int(np.searchsorted(_LADDER, rng.random() * _LADDER[-1]))]
    return colour(rng, paper, spread), colour(rng, ink, spread)


def random_style(rng: Random) -> WheelStyle:
    """A counter nobody has seen before."""
    paper, ink = random_colours(rng)
    font = random_font(rng)
    cut = chance(rng, CUT)
    share = between(rng, 0.58, 0.82) if cut else between(rng, 0.42, 0.82)
    # A window is about 1.6 times as high as wide; digits leave a margin in it.
    widest = min(0.9, 0.82 / (1.6 * share))
    style = WheelStyle(
        font=font,
        paper=paper,
        ink=ink,
        digit_share=share,
        pitch=between(rng, 1.4, 1.75) if cut else 1.1 + 0.65 * float(rng.random()) ** 1.3,
        stretch=min(max(between(rng, 0.78, 1.2), 0.36 / font.width), widest / font.width),
        slant=0.0 if chance(rng, 0.5) else around(rng, 0.1, 0.27),
        squeeze=between(rng, 0.0, 1.35),
        shade=between(rng, 0.0, 0.75) ** 1.3,
        gloss=around(rng, 0.3, 0.7) if chance(rng, 0.25) else 0.0,
        gloss_at=between(rng, -0.45, 0.45),
        offset=around(rng, 0.06, 0.16),
        lip=between(rng, 0.0, 0.7) if chance(rng, 0.7) else 0.0,
        lip_depth=between(rng, 0.03, 0.16),
        wear=between(rng, 0.1, 0.7) if chance(rng, 0.12) else 0.0,
        texture=between(rng, 0.02, 0.15) if chance(rng, 0.3) else 0.0,
        frame=random_frame(rng, paper),
    )
    if chance(rng, 0.12):
        style = replace(
            style,
            drum_left=between(rng, 0.02, 0.14) if chance(rng, 0.5) else 0.0,
            drum_right=between(rng, 0.02, 0.16),
            gap_colour=colour(rng, BLACK if chance(rng, 0.6) else style.frame, 0.12),
        )
    if chance(rng, 0.07):
        style = replace(style, relief=between(rng, 0.1, 0.5))
    if chance(rng, 0.42):
        margin = (1 - 1.6 * share * font.width * style.stretch) / 2
        style = replace(
            style,
            ticks=TICKS[int(rng.integers(len(TICKS)))],
            tick_sides=1 + int(rng.integers(0, 3)),
            tick_width=min(between(rng, 0.06, 0.22), max(0.05, margin + 0.04)),
            tick_duty=between(rng, 0.25, 0.75),
            tick_phase=float(rng.random()),
            tick_colour=colour(rng, ink if chance(rng, 0.5) else BLACK if chance(rng, 0.6) else GREY, 0.15),
        )
    if chance(rng, 0.12):
        style = replace(
            style,
            pip=between(rng, 0.06, 0.16),
            pip_at=between(rng, -0.48, -0.28) * (1 if chance(rng, 0.7) else -1),
            pip_phase=between(rng, -0.5, 0.5),
            pip_colour=colour(rng, ink if chance(rng, 0.7) else WHITE, 0.15),
        )
    if chance(rng, 0.18):
        style = replace(
            style,
            bar=between(rng, 0.03, 0.16),
            bar_width=between(rng, 0.25, 1.0),
            bar_at=0.5 + around(rng, 0.06, 0.12),
            bar_side=around(rng, 0.15, 0.3),
            bar_colour=colour(rng, ink if chance(rng, 0.6) else WHITE, 0.1),
        )
    return style


def random_frame(rng: Random, paper: Colour) -> Colour:
    """The plate's colour: white, black, red, metal, or that of the rollers."""
    kind = rng.random()
    base = paper
    for limit, plate in ((0.34, WHITE), (0.58, BLACK), (0.72, RED), (0.88, GREY)):
        if kind < limit:
            base = plate
            break
    return colour(rng, base, 0.14)


def fraction_style(style: WheelStyle, rng: Random) -> WheelStyle:
    """The same counter's rollers behind the decimal point: often red, alike in all else."""
    kind = rng.random()
    if kind < 0.45:
        return replace(style, paper=colour(rng, WHITE, 0.08), ink=colour(rng, RED, 0.1))
    if kind < 0.8:
        return replace(style, paper=colour(rng, RED, 0.1), ink=colour(rng, WHITE, 0.08))
    return replace(style, paper=style.ink, ink=style.paper)


def digit_mask(style: WheelStyle, position: float, width: int, height: int) -> tuple[Floats, Floats]:
    """Coverage (height, width) of ink, and the roller's value (height,) under each row's middle."""
    rows = axes(height, width)[0][:, 0]
    pitch = style.digit_share * style.pitch
    radius = pitch * 10 / (2 * math.pi)
    bent = radius * np.arcsin(np.clip(rows / radius, -0.97, 0.97))
    value = position + (rows + (bent - rows) * style.squeeze) / pitch
    nearest = np.round(value)
    first, last = int(nearest[0]), int(nearest[-1])
    tall = style.digit_share * height
    parts = [style.font.mask(digit % 10, tall) for digit in range(first, last + 1)]
    atlas = parts[0][0] if len(parts) == 1 else np.concatenate([part[0] for part in parts])
    size, cell = parts[0][1], parts[0][0].shape[0]
    # Distance from the digit's middle in digit heights; beyond 0.74 lies the next one's cell.
    local = np.clip((value - nearest) * style.pitch, -0.74, 0.74)
    down = ((nearest - first + 0.5) * cell - 0.5 + local * size).astype(np.float32)
    columns = (np.arange(width, dtype=np.float32) + 0.5) / width - 0.5 - style.offset
    across = columns * (width / tall * size / style.stretch) + (cell * 0.5 - 0.5)
    lean = (local * (style.slant * size)).astype(np.float32)
    map_x = across[None, :] + lean[:, None]
    map_y = np.broadcast_to(down[:, None], map_x.shape)
    mask = cv2.remap(atlas, map_x.astype(np.float32, copy=False), map_y.copy(), cv2.INTER_LINEAR)
    return mask.astype(np.float32) * np.float32(1 / 255), value.astype(np.float32)


def _band(coordinate: Floats, middle: float, half: float, soft: float) -> Floats:
    """1 within `half` of `middle`, falling to 0 over `soft`."""
    cover: Floats = np.clip((half - np.abs(coordinate - middle)) / soft + 0.5, 0, 1)
    return cover.astype(np.float32, copy=False)


def _marks(picture: Floats, style: WheelStyle, value: Floats) -> Floats:
    """The ladder's teeth at the sides, the pip and the bar between digits, over the drum."""
    height, width = picture.shape[:2]
    across = axes(height, width)[1][0]
    per_row = 1.0 / (style.digit_share * style.pitch * height)
    if style.ticks:
        turn = (value * style.ticks + style.tick_phase) % 1.0
        teeth = _band(turn, 0.5, style.tick_duty / 2, max(1e-3, style.ticks * per_row))
        for side, edge in ((1, -0.5), (2, 0.5)):
            if style.tick_sides & side:
                cover = teeth[:, None] * _band(across, edge, style.tick_width, 1 / width)[None, :]
                picture = blend(picture, style.tick_colour, cover)
    if style.pip:
        turn = (value - style.pip_phase + 0.5) % 1.0
        tall = style.pip * per_row * width / 2
        cover = (
            _band(turn, 0.5, tall, tall)[:, None]
            * _band(across, style.pip_at, style.pip / 2, style.pip / 2)[None, :]
        )
        picture = blend(picture, style.pip_colour, cover)
    if style.bar:
        turn = value % 1.0
        cover = (
            _band(turn, style.bar_at, style.bar / 2, per_row)[:, None]
            * _band(across, style.bar_side, style.bar_width / 2, 1 / width)[None, :]
        )
        picture = blend(picture, style.bar_colour, cover)
    return picture


def paint_window(style: WheelStyle, position: float, width: int, height: int, rng: Random) -> Floats:
    """One roller's window, (height, width, 3) float RGB 0..1, at any size.

    `rng` gives grain and wear alone: the geometry is the style's.
    """
    mask, value = digit_mask(style, position, width, height)
    if style.wear:
        mask = mask * (1 - style.wear * np.clip(cloud(rng, height, width, 3) * 2 - 0.8, 0, 1))
    picture = two_tones(style.paper, style.ink, mask)
    if style.ticks or style.bar or style.pip:
        picture = _marks(picture, style, value)
    if style.relief:
        step = max(1, round(0.03 * style.digit_share * height))
        edge = mask - np.roll(mask, (step, step), (0, 1))
        picture += spread(edge * np.float32(style.relief))
    for side, gap in ((-0.5, style.drum_left), (0.5, style.drum_right)):
        if gap:
            beside = _band(axes(height, width)[1][0], side, gap, 1 / width)
            picture = blend(picture, style.gap_colour, np.broadcast_to(beside, mask.shape))
    rows = axes(height, width)[0][:, 0]
    light = 1 - style.shade * 4 * rows * rows
    if style.gloss:
        light = light + style.gloss * np.exp(-((rows - style.gloss_at) ** 2) / 0.006)
    if style.lip:
        light = light * (1 - style.lip * np.exp(-(rows + 0.5) / style.lip_depth))
    picture *= light.astype(np.float32)[:, None, None]
    if style.texture:
        picture *= spread(1 + style.texture * (cloud(rng, height, width, 4) - 0.5))
    return np.clip(picture, 0, 1, out=picture)


def random_position(rng: Random) -> float:
    """Half of the rollers stand (within 0.15 of whole), half are anywhere."""
    if chance(rng, 0.5):
        return (float(rng.integers(10)) + between(rng, -0.15, 0.15)) % 10.0
    return 10.0 * float(rng.random()) % 10.0


def telling_position(style: WheelStyle, rng: Random) -> float:
    """As `random_position`, more often half-way where that is hard: only a foot and a head show then."""
    if style.pitch >= 1.4 and style.digit_share >= 0.58 and chance(rng, 0.4):
        return (float(rng.integers(10)) + between(rng, 0.3, 0.7)) % 10.0
    return random_position(rng)
