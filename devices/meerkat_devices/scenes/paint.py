"""Flat painting on a fine canvas: polygons, gradients and soft shadows, by day and under the infrared lamp at once.

Everything is given in design pixels (a picture of 960 by 540) and drawn at a multiple of them, so that edges are
soft after shrinking. Each canvas holds the daylight colour and what the infrared lamp shows of the same thing.
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
    """A picture being painted: ``colour`` (h, w, 3) BGR, ``grey`` and ``cover`` (h, w), all 0 to 1."""

    def __init__(self, width: float, height: float, *, scale: float, supersampling: int = 2) -> None:
        self.scale = scale * supersampling
        self.size = (max(1, round(width * scale)), max(1, round(height * scale)))
        shape = (self.size[1] * supersampling, self.size[0] * supersampling)
        self.colour = np.zeros((*shape, 3), np.float32)
        self.grey = np.zeros(shape, np.float32)
        self.cover = np.zeros(shape, np.float32)

    def mask(self, *polygons: Points) -> Bytes:
        """Where the polygons are, 0 to 255, with soft edges."""
        mask = np.zeros(self.cover.shape, np.uint8)
        for points in polygons:
            fixed = np.round(np.asarray(points, np.float64) * self.scale * (1 << _SHIFT)).astype(np.int32)
            cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, _SHIFT)
        return mask

    def fill(self, mask: Bytes, colour: Colour, grey: float, bottom: Colour | None = None) -> None:
        """Paint through a mask, with a vertical gradient from ``colour`` to ``bottom`` if that is given."""
        x, y, width, height = cv2.boundingRect(mask)
        if not width or not height:
            return
        window = (slice(y, y + height), slice(x, x + width))
        weight = mask[window].astype(np.float32)[..., None] / 255
        ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
        top = np.asarray(colour, np.float32)
        paint = top + ramp * (np.asarray(bottom or colour, np.float32) - top)
        self.colour[window] += weight * (paint - self.colour[window])
        flat = weight[..., 0]
        self.grey[window] += flat * (np.float32(grey) - self.grey[window])
        self.cover[window] = np.maximum(self.cover[window], flat)

    def poly(self, points: Points, colour: Colour, grey: float, bottom: Colour | None = None) -> None:
        """Paint one polygon."""
        self.fill(self.mask(points), colour, grey, bottom)

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        colour: Colour,
        grey: float,
        bottom: Colour | None = None,
    ) -> None:
        """Paint an upright rectangle."""
        self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, grey, bottom)

    def disc(self, x: float, y: float, rx: float, ry: float, colour: Colour, grey: float) -> None:
        """Paint an ellipse."""
        self.poly(ellipse(x, y, rx, ry), colour, grey)

    def shade(self, points: Points, strength: float, blur: float) -> None:
        """Darken softly what lies under a polygon, as a shadow by day."""
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
            return np.clip(smaller * 255 + 0.5, 0, 255).astype(np.uint8)

        return (
            shrink(self.colour * self.cover[..., None]),
            shrink(self.grey * self.cover),
            shrink(self.cover),
        )


def ellipse(x: float, y: float, rx: float, ry: float, count: int = 40) -> list[tuple[float, float]]:
    """An ellipse as a polygon."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return [(x + rx * float(np.cos(a)), y + ry * float(np.sin(a))) for a in angles]


def smooth(points: Points, count: int = 10) -> list[tuple[float, float]]:
    """A closed curve through the points (Catmull-Rom)."""
    p = np.asarray(points, np.float64)
    before, after, beyond = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    curve = []
    for t in np.linspace(0, 1, count, endpoint=False):
        curve.append(
            0.5
            * (
                2 * p
                + (after - before) * t
                + (2 * before - 5 * p + 4 * after - beyond) * t**2
                + (3 * p - before - 3 * after + beyond) * t**3
            )
        )
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
    return ((total - total.mean()) / total.std()).astype(np.float32)
