"""Drawing in a face's own units on an RGB canvas, with soft edges: shapes, lettering, bars.

The plate's centre is (0, 0), a round plate's radius is 1, x goes to the right and y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import cos, pi, sin
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Colour = tuple[float, float, float]
"""RGB, 0 to 1."""
Points = Sequence[tuple[float, float]]

_SHIFT = 4
_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
_FACES = (
    "LiberationSans-Regular",
    "LiberationSans-Bold",
    "LiberationSansNarrow-Regular",
    "LiberationSansNarrow-Bold",
    "DejaVuSans",
    "DejaVuSansCondensed",
    "DejaVuSansCondensed-Bold",
    "FreeSans",
    "FreeSansBold",
    "Lato-Medium",
    "Roboto-Regular",
    "OpenSans-CondLight",
    "NimbusSansNarrow-Bold",
)


class Ink:
    """A canvas of ``width`` by ``height`` units; ``pixels`` is (h, w, 3) uint8 RGB."""

    def __init__(self, width: float, height: float, scale: float, ground: Colour = (0, 0, 0)) -> None:
        self.scale = scale
        self.middle = (width / 2, height / 2)
        shape = (max(1, round(height * scale)), max(1, round(width * scale)), 3)
        self.pixels: Bytes = np.empty(shape, np.uint8)
        self.pixels[:] = _rgb(ground)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Pixels of a place: (column, row), the centre of the first pixel being (0.5, 0.5)."""
        return (x + self.middle[0]) * self.scale, (y + self.middle[1]) * self.scale

    def poly(self, points: Points, colour: Colour) -> None:
        cv2.fillPoly(self.pixels, [self._fixed(points)], _rgb(colour), cv2.LINE_AA, _SHIFT)

    def lines(self, points: Points, colour: Colour, thick: float, *, closed: bool = False) -> None:
        cv2.polylines(
            self.pixels,
            [self._fixed(points)],
            closed,
            _rgb(colour),
            max(1, round(thick * self.scale)),
            cv2.LINE_AA,
            _SHIFT,
        )

    def box(
        self, x: float, y: float, width: float, height: float, colour: Colour, *, corner: float = 0
    ) -> None:
        """A rectangle from its upper left corner, rounded by ``corner``."""
        self.poly(rounded(x, y, width, height, corner), colour)

    def frame(self, x: float, y: float, width: float, height: float, colour: Colour, *, thick: float) -> None:
        self.lines(rounded(x, y, width, height, 0), colour, thick, closed=True)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        self.poly(circle(x, y, radius), colour)

    def ring(self, x: float, y: float, radius: float, colour: Colour, thick: float) -> None:
        self.lines(circle(x, y, radius), colour, thick, closed=True)

    def write(
        self,
        text: str,
        x: float,
        y: float,
        height: float,
        colour: Colour,
        *,
        face: int = 0,
        width: float | None = None,
        strength: float = 1.0,
    ) -> None:
        """A line centred on a place, ``height`` units from the top of its capitals to their feet.

        With ``width`` it is squeezed to that. Nothing is drawn where it would be less than 3 pixels high.
        """
        tall = height * self.scale
        if tall < 3 or not text:
            return
        mask = lettering(text, max(4, round(tall)), face)
        rows = max(1, round(mask.shape[0] * tall / max(4, round(tall))))
        columns = mask.shape[1] * rows / mask.shape[0]
        if width is not None:
            columns = min(columns, width * self.scale)
        size = (max(1, round(columns)), rows)
        small: Bytes = cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        self.stamp(small, x, y, colour, strength)

    def stamp(self, mask: Bytes, x: float, y: float, colour: Colour, strength: float = 1.0) -> None:
        """Ink through a mask (h, w) uint8, centred on a place, cut at the canvas's edges."""
        column, row = self.at(x, y)
        left, top = round(column - mask.shape[1] / 2), round(row - mask.shape[0] / 2)
        x0, y0 = max(left, 0), max(top, 0)
        x1 = min(left + mask.shape[1], self.pixels.shape[1])
        y1 = min(top + mask.shape[0], self.pixels.shape[0])
        if x1 <= x0 or y1 <= y0:
            return
        cover = mask[y0 - top : y1 - top, x0 - left : x1 - left, None].astype(np.float32) * (strength / 255)
        below = self.pixels[y0:y1, x0:x1]
        below[:] = below * (1 - cover) + np.array(_rgb(colour), np.float32) * cover + 0.5

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        placed = np.asarray([self.at(x, y) for x, y in points]) - 0.5
        return np.round(placed * (1 << _SHIFT)).astype(np.int32)


def circle(x: float, y: float, radius: float, corners: int = 72) -> Points:
    return [
        (x + radius * cos(2 * pi * i / corners), y + radius * sin(2 * pi * i / corners))
        for i in range(corners)
    ]


def rounded(x: float, y: float, width: float, height: float, corner: float) -> Points:
    """A rectangle's outline, clockwise, its corners rounded."""
    if corner <= 0:
        return [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    corner = min(corner, width / 2, height / 2)
    outline = []
    centres = (
        (x + width - corner, y + corner, -90),
        (x + width - corner, y + height - corner, 0),
        (x + corner, y + height - corner, 90),
        (x + corner, y + corner, 180),
    )
    for cx, cy, start in centres:
        for step in range(7):
            turn = (start + 15 * step) * pi / 180
            outline.append((cx + corner * cos(turn), cy + corner * sin(turn)))
    return outline


@lru_cache(maxsize=2048)
def lettering(text: str, height: int, face: int) -> Bytes:
    """A mask (h, w) of one line in a sans serif, capitals ``height`` pixels high; read-only, cached."""
    files = text_fonts()
    if not files:
        return _stroked(text, height)
    font = ImageFont.truetype(str(files[face % len(files)]), round(height * 1.38))
    left, top, right, bottom = font.getbbox(text)
    page = Image.new("L", (max(1, round(right - left)) + 2, max(1, round(bottom - top)) + 2), 0)
    ImageDraw.Draw(page).text((1 - left, 1 - top), text, fill=255, font=font)
    mask = np.array(page)
    mask.setflags(write=False)
    return mask


@lru_cache(maxsize=1)
def text_fonts() -> tuple[Path, ...]:
    """The free sans serifs of this machine that plates are printed in; the same order everywhere."""
    found = {
        file.stem: file for folder in _FOLDERS for file in sorted(folder.rglob("*.[ot]tf")) if file.is_file()
    }
    return tuple(found[name] for name in _FACES if name in found)


def _stroked(text: str, height: int) -> Bytes:
    """The same without any font on the machine."""
    size, thick = height / 21, max(1, round(height / 9))
    (width, tall), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, thick)
    mask = np.zeros((tall + below + 2, width + 2), np.uint8)
    cv2.putText(mask, text, (1, tall + 1), cv2.FONT_HERSHEY_SIMPLEX, size, 255, thick, cv2.LINE_AA)
    mask.setflags(write=False)
    return mask


def _rgb(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (max(0, min(255, round(255 * part))) for part in colour)
    return red, green, blue
