"""Four plain ways to find what moves, to compare with: each makes a mask of the shrunk picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from meerkat_devices.motion.scene import shrink

Masker = Callable[[NDArray[np.uint8]], MatLike]
"""Luma plane (H, W) → mask at working size, 255 where something is held to move."""


def spotted(mask: MatLike, least: float) -> bool:
    """Whether one connected spot of the mask has at least so many pixels."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    return count > 1 and bool((stats[1:, cv2.CC_STAT_AREA] >= least).any())


def mog2() -> Masker:
    subtractor = cv2.createBackgroundSubtractorMOG2(detectShadows=False)
    return lambda gray: subtractor.apply(shrink(gray))


def knn() -> Masker:
    subtractor = cv2.createBackgroundSubtractorKNN(detectShadows=False)
    return lambda gray: subtractor.apply(shrink(gray))


def running_average(*, weight: float = 0.01, threshold: float = 30) -> Masker:
    """The classic of camera systems: what differs from a slow average moves."""
    average: NDArray[np.float32] | None = None

    def mask_of(gray: NDArray[np.uint8]) -> MatLike:
        nonlocal average
        small = shrink(gray)
        if average is None:
            average = np.asarray(small, np.float32)
        difference = cv2.absdiff(small, cv2.convertScaleAbs(average))
        cv2.accumulateWeighted(small, average, weight)
        return cv2.threshold(difference, threshold, 255, cv2.THRESH_BINARY)[1]

    return mask_of


def frame_difference(*, threshold: float = 15) -> Masker:
    """What differs from the frame before moves. 15 is the threshold with the most hits on this footage."""
    before: MatLike | None = None

    def mask_of(gray: NDArray[np.uint8]) -> MatLike:
        nonlocal before
        small = shrink(gray)
        difference = cv2.absdiff(small, small if before is None else before)
        before = small
        return cv2.threshold(difference, threshold, 255, cv2.THRESH_BINARY)[1]

    return mask_of


PLAIN: dict[str, Callable[[], Masker]] = {
    "MOG2": mog2,
    "KNN": knn,
    "running average": running_average,
    "frame difference": frame_difference,
}
