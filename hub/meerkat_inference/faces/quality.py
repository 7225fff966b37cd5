"""Whether a face is fit to be recognised, and if not, what is wrong with it.

Each measure goes from 0 to 1, and the weakest counts. The points were chosen on one portrait made
small, blurred, dark, bright and turned, so that what strays by more than about 0.4 from the sharp one
(dlib's distance) falls below USABLE, and on 20 heads of the development footage seen from behind and
from the side, all of which do. docs/how-to/faces.md has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .embedder import GOOD, USABLE

SIDE = 150
"""Pixels of the aligned face that is judged: how much detail there is depends on it."""

_WIDTHS = (12.0, 60.0)
"""Pixels across the face in the picture, for 0 and 1."""
_DETAIL = (0.01, 0.1)
"""Variance of the Laplacian over the variance of grey, on 150 pixels, for 0 and 1 (on a log scale)."""
_ROUNDING = 20 / 12
"""Variance that the Laplacian (its weights squared are 20) gets from rounding to whole greys (1/12): in a
face that is dark it is as much as detail would be, and no detail."""
_CONTRAST = 14.0
"""Standard deviation of grey that is enough."""
_GLARE = 250
"""Grey from which a pixel shows nothing."""


@dataclass(frozen=True, slots=True)
class Quality:
    value: float
    """0..1"""
    reason: str
    """What is weakest, in words; empty from GOOD on."""


def judge(chip: NDArray[np.uint8], *, width: float, face: float) -> Quality:
    """The quality of an aligned face, (height, width, 3) BGR or RGB.

    `width` is how many pixels the face is wide in the picture it came from; `face` 0..1 how clearly
    it is a face that looks this way.
    """
    if chip.shape[:2] != (SIDE, SIDE):
        chip = np.asarray(cv2.resize(chip, (SIDE, SIDE)), np.uint8)
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
    middle = grey[SIDE // 5 : SIDE - 20, SIDE // 6 : SIDE - SIDE // 6].astype(np.float32)
    spread = float(middle.std())
    detail = (float(cv2.Laplacian(middle, cv2.CV_32F).var()) - _ROUNDING) / max(spread**2, 1.0)
    glare = float((middle >= _GLARE).mean())
    low, high = _WIDTHS
    dim, clear = _DETAIL
    small = f"{width:.0f} pixels wide"
    measures = {
        "no face that looks this way": face,
        small: (width - low) / (high - low),
        "blurred": float(np.log(max(detail, 1e-9) / dim) / np.log(clear / dim)),
        "too dark or flat": spread / _CONTRAST,
        "too bright": 1.0 - 1.2 * glare,
    }
    reason = min(measures, key=lambda name: measures[name])
    value = round(float(np.clip(measures[reason], 0.0, 1.0)), 4)
    if reason == "blurred" and measures[small] < USABLE:
        reason = small  # which is why
    return Quality(value, reason if value < GOOD else "")
