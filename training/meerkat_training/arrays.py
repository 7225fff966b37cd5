"""Array types and the cheap random draws that every renderer uses."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
"""Float pictures and masks; all are float32 at work, so that nothing is computed twice as wide."""
Random = np.random.Generator
Colour = tuple[float, float, float]


def between(rng: Random, low: float, high: float) -> float:
    """A uniform draw; a third of the cost of `rng.uniform`, which matters a hundred times a crop."""
    return low + (high - low) * float(rng.random())


def around(rng: Random, sigma: float, limit: float) -> float:
    """A normal draw about zero, clipped at ±limit."""
    return min(limit, max(-limit, float(rng.standard_normal()) * sigma))


def chance(rng: Random, probability: float) -> bool:
    return bool(rng.random() < probability)


def log_between(rng: Random, low: float, high: float) -> float:
    """Uniform in the logarithm, for sizes."""
    return float(low * (high / low) ** rng.random())


def colour(rng: Random, base: Colour, spread: float) -> Colour:
    """`base` lighter or darker by up to ±spread and its hue moved by a third of that, within 0..1.

    Plastics and inks differ in lightness far more than in hue.
    """
    lift = spread * (2 * float(rng.random()) - 1)
    hue = 0.35 * spread
    red, green, blue = (min(1.0, max(0.0, channel + lift + hue * (2 * rng.random() - 1))) for channel in base)
    return red, green, blue


def fill(height: int, width: int, tone: Colour) -> Floats:
    """A plain picture (height, width, 3) of one colour."""
    picture = np.empty((height, width * 3), np.float32)
    picture[:] = np.tile(np.asarray(tone, np.float32), width)  # Whole rows: see blend.py.
    return picture.reshape(height, width, 3)
