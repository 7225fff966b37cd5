"""What goes wrong with pictures, applied to good ones. All BGR, uint8."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def exposed(picture: Picture, times: float, *, seed: int = 0) -> Picture:
    """With so many times the light, and a sensor's noise of two levels."""
    levels = (np.clip((np.arange(256) / 255) ** 2.2 * times, 0, 1) ** (1 / 2.2) * 255).astype(np.float32)
    return noisy(levels[picture], 2, seed=seed)


def noisy(picture: Any, levels: float, *, seed: int = 0) -> Picture:
    noise = np.random.default_rng(seed).standard_normal(picture.shape, np.float32)
    whole: Picture = np.clip(picture + levels * noise, 0, 255).astype(np.uint8)
    return whole


def unfocused(picture: Picture, pixels: float) -> Picture:
    """Blurred by a standard deviation of so many pixels of 640."""
    return cv2.GaussianBlur(picture, (0, 0), pixels * picture.shape[1] / 640).astype(np.uint8)


def shaken(picture: Picture, pixels: float) -> Picture:
    """Smeared across by so many pixels of 640."""
    length = round(pixels * picture.shape[1] / 640)
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1 / length
    return cv2.filter2D(picture, -1, kernel).astype(np.uint8)


def compressed(picture: Picture, quality: int) -> Picture:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    whole: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return whole  # type: ignore[no-any-return]


def fogged(picture: Picture, share: float) -> Picture:
    return noisy(picture * (1 - share) + 200 * share, 2)
