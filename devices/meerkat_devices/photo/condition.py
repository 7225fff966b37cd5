"""What a meter's picture is worth: too dark, burnt out, blurred, or good.

    from meerkat_devices.photo.condition import judge, measure
    verdict = judge(measure(picture))

Everything but the noise is measured on a grey picture of 640 pixels' width, so that the limits hold for
every camera. The limits are measured: docs/how-to/meter-camera.md has the table, and
tests/photo/test_condition.py repeats it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.device_messages import PictureVerdict

Grey = NDArray[np.uint8]
Floats = NDArray[np.float32]

WIDTH = 640

DARK_LEVEL, BRIGHT_LEVEL, BURNT_LEVEL = 26, 192, 250
"""Of 255: what is darker is nearly black; from there on it is bright; from there on burnt out."""

DARK_BELOW = 0.14
"""How bright the brightest fiftieth must be: a face as small as 135 × 135 of 1280 × 720 is enough."""

BURNT_OUT_ABOVE = 0.45
"""Share of the picture. Much of a white face may touch the top before its digits go."""

SMALL_FACE, FACE_BURNT_ABOVE = 0.12, 0.73
"""A face that fills less of the picture: when so much of it, and of all that is bright, is burnt out."""

HOLE_ABOVE = 0.125
"""Of the width: the radius of a disc that is burnt out all over. It hides digits wherever it lies on a face;
a white face at four times the light still has print in every such disc."""

BLURRED_BELOW = 0.20
"""See `_sharpness`: edges smeared by a standard deviation of two to three pixels of 640."""

_FINE, _COARSE = 1.0, 3.0
"""Standard deviations in pixels of the two pictures that sharpness compares."""

_FLOOR = 0.3
"""Levels per pixel; slopes of the coarse picture that are weaker are no edges."""

_NOISE_SLOPE = 0.45
"""The slope that white noise of one level has in the fine picture (0.37), and some more."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Fractions of 1, but for `noise`: standard deviation in levels of 255."""

    brightness: float
    brightest: float
    """How bright the brightest fiftieth is at least."""
    dark: float
    burnt_out: float
    of_bright: float
    """How much of what is bright is burnt out."""
    glare: float
    hole: float
    """Radius of the largest disc that is burnt out all over, of the picture's width."""
    sharpness: float
    noise: float


def measure(picture: NDArray[np.uint8]) -> Measured:
    """Measure a BGR (H, W, 3) or grey (H, W) picture."""
    grey: Grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.uint8)
    noise = _noise(grey)
    height, width = grey.shape
    if width != WIDTH:
        how = cv2.INTER_AREA if width > WIDTH else cv2.INTER_LINEAR
        grey = cv2.resize(grey, looked_at(width, height), interpolation=how).astype(np.uint8)
    burnt = (grey >= BURNT_LEVEL).astype(np.uint8)
    burnt_pixels = int(np.count_nonzero(burnt))
    return Measured(
        brightness=float(grey.mean()) / 255,
        brightest=_quantile(grey, 0.98) / 255,
        dark=float(np.mean(grey < DARK_LEVEL)),
        burnt_out=burnt_pixels / grey.size,
        of_bright=burnt_pixels / max(1, int(np.count_nonzero(grey >= BRIGHT_LEVEL))),
        glare=_largest(burnt) / grey.size,
        hole=_hole(burnt) / WIDTH,
        sharpness=_sharpness(grey),
        noise=noise,
    )


def looked_at(width: int, height: int) -> tuple[int, int]:
    """The size at which a picture is judged: all that is no strip keeps its proportions."""
    return WIDTH, min(4 * WIDTH, max(8, round(height * WIDTH / width)))


def judge(measured: Measured) -> PictureVerdict:
    """What is wrong with it, the worst first: the edges of a dark picture say nothing."""
    if measured.brightest < DARK_BELOW:
        return "dark"
    small = measured.burnt_out > SMALL_FACE and measured.of_bright > FACE_BURNT_ABOVE
    if small or measured.burnt_out > BURNT_OUT_ABOVE or measured.hole > HOLE_ABOVE:
        return "burnt_out"
    if measured.sharpness < BLURRED_BELOW:
        return "blurred"
    return "good"


def _largest(mask: Grey) -> int:
    """Pixels of the largest area that hangs together."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return int(stats[1:, cv2.CC_STAT_AREA].max()) if count > 1 else 0


def _hole(mask: Grey) -> float:
    """Radius in pixels of the largest disc within the mask, and within the picture."""
    within = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return float(cv2.distanceTransform(within, cv2.DIST_L2, cv2.DIST_MASK_3).max())


def _sharpness(grey: Grey) -> float:
    """How much steeper the steepest edges are than after a blur of 3 pixels: 0.76 for a step, 0 for a haze.

    A ratio of two slopes does not change with light and contrast; the first blur, of 1 pixel, keeps most of
    noise and JPEG out of it, and what noise is left is taken off. An edge with a standard deviation of b
    gives sqrt((9.5 + b²) / (1.5 + b²)), the half being the slope's own width; 3 to 1 is made 1 to 0. Four
    directions are measured apart and the least counts: a shake blurs one of them.
    """
    levels = grey.astype(np.float32)
    fine, coarse = (
        cv2.GaussianBlur(levels, (0, 0), sigma).astype(np.float32, copy=False) for sigma in (_FINE, _COARSE)
    )
    of_noise = _NOISE_SLOPE * _noise(grey)
    across, down = (
        [cv2.Sobel(blurred, cv2.CV_32F, x, y, scale=1 / 8) for blurred in (fine, coarse)]
        for x, y in ((1, 0), (0, 1))
    )
    ratios = []
    for angle in (0, pi / 4, pi / 2, 3 * pi / 4):
        steep, smooth = (
            _steepest(cv2.addWeighted(x, cos(angle), y, sin(angle), 0))
            for x, y in zip(across, down, strict=True)
        )
        ratios.append(sqrt(max(0.0, steep**2 - of_noise**2)) / (smooth + _FLOOR))
    return float(np.clip((min(ratios) - 1) / 2, 0, 1))


def _steepest(slopes: NDArray[np.generic]) -> float:
    """The slope, levels per pixel, that a hundredth of the pixels exceed."""
    return _quantile(np.abs(slopes), 0.99)


def _quantile(values: NDArray[np.generic], share: float) -> float:
    """What so many of the values are no larger than. np.percentile would take 10 MB to begin with."""
    flat = values.ravel()
    at = round(share * (flat.size - 1))
    return float(np.partition(flat, at)[at])


def _noise(grey: Grey) -> float:
    """Standard deviation from the second difference of both axes (Immerkær 1996), in levels.

    The median leaves edges out. Every fourth row is enough, and a picture of floats would be large.
    """
    rows = [grey[first : grey.shape[0] - 2 + first : 4].astype(np.int16) for first in (0, 1, 2)]
    down = rows[0] - 2 * rows[1] + rows[2]
    both = np.abs(down[:, :-2] - 2 * down[:, 1:-1] + down[:, 2:])
    return _quantile(both, 0.5) / (6 * 0.6745) if both.size else 0.0
