"""Flat painting on a fine canvas: polygons, gradients and soft shadows.

Everything is given in design units and drawn at a multiple of them, so that edges are soft after shrinking.
Each canvas holds the daylight colour and what an infrared lamp shows of the same thing.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Colour = tuple[float, float, float]
Points = Sequence[tuple[float, float]]

_SHIFT = 4


class Canvas:
    """A picture being painted: ``colour`` (h, w, 3) BGR, ``grey`` and ``cover`` (h, w), all 0 to 1.

    Without ``coloured`` there is no colour, which takes three times as much memory as the rest.
    """

    def __init__(
        self, width: float, height: float, *, scale: float, supersampling: int = 2, coloured: bool = True
    ) -> None:
        self.scale = scale * supersampling
        self.size = (max(1, round(width * scale)), max(1, round(height * scale)))
        shape = (self.size[1] * supersampling, self.size[0] * supersampling)
        self.colour = np.zeros((*shape, 3) if coloured else (0, 0, 3), np.float32)
        self.grey = np.zeros(shape, np.float32)
        self.cover = np.zeros(shape, np.float32)

    def mask(self, points: Points) -> Bytes:
        """Where a polygon is, 0 to 255, with soft edges, over the whole canvas."""
        mask = np.zeros(self.cover.shape, np.uint8)
        cv2.fillPoly(mask, [self._fixed(points)], 255, cv2.LINE_AA, _SHIFT)
        return mask

    def fill(self, mask: Bytes, colour: Colour, grey: float, bottom: Colour | None = None) -> None:
        """Paint through a mask, with a vertical gradient from ``colour`` to ``bottom`` if that is given."""
        x, y, width, height = cv2.boundingRect(mask)
        window = (slice(y, y + height), slice(x, x + width))
        self._paint(window, mask[window], (colour, bottom), grey)

    def poly(self, points: Points, colour: Colour, grey: float, bottom: Colour | None = None) -> None:
        """Paint one polygon, as ``fill`` does; only its own surroundings are touched."""
        fixed = self._fixed(points)
        rows, columns = self.cover.shape
        x0, y0 = np.maximum((fixed.min(axis=0) >> _SHIFT) - 1, 0)
        x1, y1 = np.minimum((fixed.max(axis=0) >> _SHIFT) + 3, (columns, rows))
        if x1 <= x0 or y1 <= y0:
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        corner = np.array([x0, y0], np.int32) << _SHIFT
        cv2.fillPoly(mask, [(fixed - corner).astype(np.int32)], 255, cv2.LINE_AA, _SHIFT)
        self._paint((slice(y0, y1), slice(x0, x1)), mask, (colour, bottom), grey)

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        """Design units as the fixed-point pixels that OpenCV draws with."""
        return np.round(np.asarray(points, np.float64) * self.scale * (1 << _SHIFT)).astype(np.int32)

    def _paint(
        self,
        window: tuple[slice, slice],
        mask: Bytes,
        colours: tuple[Colour, Colour | None],
        grey: float,
    ) -> None:
        weight = mask.astype(np.float32) * np.float32(1 / 255)
        if self.colour.size:
            top, bottom = np.asarray(colours[0], np.float32), colours[1]
            if bottom is not None:
                ramp = np.linspace(0, 1, mask.shape[0], dtype=np.float32)[:, None, None]
                top = top + ramp * (np.asarray(bottom, np.float32) - top)
            self.colour[window] += weight[..., None] * (top - self.colour[window])
        self.grey[window] += weight * (np.float32(grey) - self.grey[window])
        self.cover[window] = np.maximum(self.cover[window], weight)

    def shade(self, points: Points, strength: float, blur: float) -> None:
        """Darken softly what lies under a polygon, as a shadow by day; ``blur`` in design units."""
        soft = cv2.GaussianBlur(self.mask(points), (0, 0), blur * self.scale).astype(np.float32) / 255
        self.colour *= 1 - strength * soft[..., None]

    def speckle(self, mask: Bytes, noise: Floats, strength: float) -> None:
        """Roughen a surface by a noise picture (zero mean) of the canvas's size."""
        weight = 1 + strength * noise * (mask.astype(np.float32) / 255)
        self.colour *= weight[..., None]
        self.grey *= weight

    def finish(self) -> tuple[Bytes, Bytes, Bytes]:
        """Colour, infrared grey and cover at the final size; the first two premultiplied by the cover."""

        def shrink(picture: Floats) -> Bytes:
            smaller = cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA)
            levels: Bytes = np.clip(smaller * 255 + 0.5, 0, 255).astype(np.uint8)
            return levels

        return (
            shrink(self.colour * self.cover[..., None]),
            shrink(self.grey * self.cover),
            shrink(self.cover),
        )


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Points:
    """An upright rectangle as a polygon."""
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def ellipse(x: float, y: float, rx: float, ry: float, count: int = 40) -> Points:
    """An ellipse as a polygon."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return [(x + rx * float(np.cos(a)), y + ry * float(np.sin(a))) for a in angles]


def smooth(points: Points, count: int = 10) -> Points:
    """A closed curve through the points (Catmull-Rom)."""
    p = np.asarray(points, np.float64)
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    curve = [
        0.5
        * (
            2 * p
            + (after - before) * t
            + (2 * before - 5 * p + 4 * after - beyond) * t**2
            + (3 * p - before - 3 * after + beyond) * t**3
        )
        for t in np.linspace(0, 1, count, endpoint=False)
    ]
    ordered = np.stack(curve, 1).reshape(-1, 2)
    return [(float(x), float(y)) for x, y in ordered]


def clouds_of_noise(
    rng: np.random.Generator, shape: tuple[int, int], coarse: int, octaves: int = 4
) -> Floats:
    """Soft noise of zero mean and unit spread: ever finer random pictures, enlarged and summed."""
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        rows, cols = max(2, (shape[0] << octave) // coarse), max(2, (shape[1] << octave) // coarse)
        small = rng.standard_normal((min(rows, shape[0]), min(cols, shape[1]))).astype(np.float32)
        total += cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC) / (1 << octave)
    even: Floats = ((total - total.mean()) / total.std()).astype(np.float32)
    return even
