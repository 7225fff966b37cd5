"""Digit masks of free system fonts and of drawn counter fonts, at any height.

The list below is the one place that names fonts. Nothing in it is required: whatever of it is installed
is used, and Pillow's built-in font is there always. To have them all on Debian:
`apt install fonts-dejavu fonts-liberation fonts-liberation-sans-narrow fonts-roboto fonts-ubuntu
fonts-lato fonts-open-sans fonts-noto-core fonts-freefont-otf fonts-inter fonts-bebas-neue fonts-cabin
fonts-b612 fonts-league-mono fonts-league-spartan fonts-inconsolata fonts-hack fonts-croscore`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .arrays import Bytes, Random, between, chance
from .strokes import StrokeDesign, draw_digit, random_design

FONT_DIRECTORIES = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts")
# Faces like those of printed dials and rollers: grotesques, DIN-like, condensed, a few plain serifs.
FONT_FILES = (
    "Arimo*", "B612-*", "BebasNeue*", "Cabin*", "D-DIN*", "DejaVuSans*", "DejaVuSerif*", "FiraCode*",
    "FiraSans*", "FreeSans*", "FreeMono*", "Hack*", "Inconsolata*", "Inter-*", "InterDisplay*", "Lato*",
    "LeagueMono*", "LeagueSpartan*", "LiberationMono*", "LiberationSans*", "LiberationSerif-Bold*",
    "NanumSquare*", "NanumGothic*", "NimbusSans*", "NimbusSansNarrow*", "NotoSans-*", "OpenSans*", "Oswald*",
    "Play-*", "RobotoCondensed*", "Roboto-*", "URWGothic*", "Ubuntu*", "YanoneKaffeesatz*",
)  # fmt: skip
TOO_THIN = ("Thin", "Hairline", "UltraLight", "ExtraLight")
RESOLUTION = 64
"""Height in pixels of a digit in the stored masks; the canvas is half as large again."""


@dataclass
class Font:
    """Ten digit masks, made when first asked for. `width` is the widest digit's share of the height."""

    name: str
    width: float
    _full: dict[int, Bytes] = field(default_factory=dict, repr=False)
    _small: dict[tuple[int, int], Bytes] = field(default_factory=dict, repr=False)
    _weights: dict[int, Font] = field(default_factory=dict, repr=False)
    _design: StrokeDesign | None = field(default=None, repr=False)
    resolution: int = RESOLUTION

    def full(self, digit: int) -> Bytes:
        """Mask (1.5 r, 1.5 r) uint8 with the digit `r = resolution` pixels high in its middle."""
        mask = self._full.get(digit)
        if mask is None:
            if self._design is None:
                raise KeyError(f"font {self.name} has no digit {digit}")
            mask = draw_digit(digit, self._design, self.resolution, self.resolution * 3 // 2)
            self._full[digit] = mask
        return mask

    def mask(self, digit: int, height: float) -> tuple[Bytes, float]:
        """A mask 0..255 fit for drawing the digit `height` pixels high, and the digit's height in it.

        The mask is at most about 1.5 times finer than asked, so that sampling it does not alias.
        """
        shrink = 1
        while self.resolution / shrink > 1.5 * height and shrink < 8:
            shrink *= 2
        if shrink == 1:
            return self.full(digit), float(self.resolution)
        key = (digit, shrink)
        small = self._small.get(key)
        if small is None:
            full = self.full(digit)
            size = full.shape[0] // shrink
            small = cv2.resize(full, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
            self._small[key] = small
        return small, self.resolution / shrink

    def with_weight(self, change: int) -> Font:
        """The same font with strokes thicker (positive) or thinner by `change` pixels of the mask."""
        if change == 0:
            return self
        if change in self._weights:
            return self._weights[change]
        kernel = np.ones((abs(change) + 1, abs(change) + 1), np.uint8)
        turn = cv2.dilate if change > 0 else cv2.erode
        masks: dict[int, Bytes] = {
            digit: turn(self.full(digit), kernel).astype(np.uint8, copy=False) for digit in range(10)
        }
        other = self._weights[change] = Font(self.name, self.width, masks, resolution=self.resolution)
        return other


def drawn_font(rng: Random, resolution: int = RESOLUTION) -> Font:
    """A new counter font of random strokes."""
    design = random_design(rng)
    return Font("drawn", design.width, _design=design, resolution=resolution)


def _rasterise(face: ImageFont.FreeTypeFont) -> dict[int, Bytes] | None:
    """Ten masks, or None for faces whose figures hang below the line or differ in height."""
    boxes = [face.getbbox(str(digit), anchor="ms") for digit in range(10)]
    top, bottom = boxes[8][1], boxes[8][3]
    tall = bottom - top
    if tall <= 0 or any(
        abs(box[1] - top) > 0.09 * tall or abs(box[3] - bottom) > 0.09 * tall for box in boxes
    ):
        return None
    size = RESOLUTION * 3 // 2
    masks: dict[int, Bytes] = {}
    for digit in range(10):
        picture = Image.new("L", (size, size))
        ImageDraw.Draw(picture).text(
            (size / 2, size / 2 - (top + bottom) / 2), str(digit), 255, face, anchor="ms"
        )
        masks[digit] = np.asarray(picture, np.uint8)
    return masks


@cache
def _load(path: Path) -> Font | None:
    try:
        probe = ImageFont.truetype(str(path), 100)
    except OSError:
        return None  # A bitmap or broken face: the others do.
    box = probe.getbbox("8", anchor="ms")
    if box[3] - box[1] < 20:
        return None
    masks = _rasterise(probe.font_variant(size=round(100 * RESOLUTION / (box[3] - box[1]))))
    if masks is None:
        return None
    widest = max(int(np.flatnonzero(mask.any(axis=0)).size) for mask in masks.values())
    return Font(path.stem, widest / RESOLUTION, masks)


@cache
def _families() -> tuple[tuple[Path, ...], ...]:
    """Installed files by family, so that a family of forty weights is no likelier than one of two."""
    installed = sorted(
        path
        for directory in FONT_DIRECTORIES
        if directory.is_dir()
        for path in directory.rglob("*.[to]tf")
        if not any(word in path.name for word in TOO_THIN)
    )
    families = (tuple(path for path in installed if path.match(pattern)) for pattern in FONT_FILES)
    return tuple(family for family in families if family)


@cache
def _builtin() -> Font:
    face = ImageFont.load_default(90)
    masks = _rasterise(face) if isinstance(face, ImageFont.FreeTypeFont) else None
    if masks is None:
        return drawn_font(np.random.default_rng(0))
    return Font("built-in", 0.6, masks)


def system_font(rng: Random) -> Font:
    """One of the installed free fonts; Pillow's own when none is."""
    families = _families()
    for _ in range(8):
        if not families:
            break
        family = families[int(rng.integers(len(families)))]
        font = _load(family[int(rng.integers(len(family)))])
        if font is not None:
            return font
    return _builtin()


def random_font(rng: Random, drawn: float = 0.6) -> Font:
    """A drawn font with probability `drawn`, else a system font, sometimes heavier or lighter."""
    if chance(rng, drawn):
        return drawn_font(rng)
    font = system_font(rng)
    if chance(rng, 0.4):
        font = font.with_weight(round(between(rng, -2.4, 4.4)))
    return font
