"""What flickers right up to the edge of a mask is no motion, at any sensitivity; what stands beside it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest

from meerkat_devices.motion.detector import MotionDetector
from meerkat_devices.regions import motion_mask
from meerkat_devices.settings.motion import MotionSettings

SIZE = (640, 360)
TELEVISION = ((0.2, 0.2), (0.7, 0.2), (0.7, 0.8), (0.2, 0.8))
LEFT, TOP, RIGHT, BOTTOM = 128, 72, 448, 288

Draw = Callable[[Any, float], None]


@cache
def room() -> Any:
    """Something like furniture, 60 to 180, and noise that differs from frame to frame."""
    rng = np.random.default_rng(0)
    soft = cv2.GaussianBlur(rng.integers(40, 200, SIZE[::-1]).astype(np.float32), (0, 0), 6)
    noise = [np.clip(rng.normal(0, 3, SIZE[::-1]), -12, 12) for _ in range(12)]
    low, high = float(soft.min()), float(soft.max())
    return 60 + 120 * (soft - low) / (high - low), noise


def moving(draw: Draw, sensitivity: float, *, masked: bool = True) -> int:
    """In how many of 90 pictures, ten a second, after five quiet seconds, there is motion."""
    mask = motion_mask([TELEVISION] if masked else [])
    detector = MotionDetector(MotionSettings(sensitivity=sensitivity), mask=mask)
    still, noise = room()
    count = 0
    for number in range(140):
        picture = still.copy()
        if number >= 50:
            draw(picture, number / 10)
        seen = np.clip(picture + noise[number % len(noise)], 0, 255).astype(np.uint8)
        count += detector.step(seen, number / 10).active
    return count


def flickering(picture: Any, at: float) -> None:
    picture[TOP:BOTTOM, LEFT:RIGHT] = 40 + 200 * abs(np.sin(at * 3.1))


def somebody_beside_it(picture: Any, at: float) -> None:
    left = int(LEFT - 70 + 30 * np.sin(at))
    picture[120:220, left : left + 50] = 235


@pytest.mark.parametrize("sensitivity", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_a_television_is_no_motion_and_somebody_beside_it_is(sensitivity: float) -> None:
    assert moving(flickering, sensitivity) == 0
    assert moving(flickering, sensitivity, masked=False) > 0
    assert moving(somebody_beside_it, sensitivity) > 60
