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


def shaken(picture: Picture, pixels: float, *, aslant: bool = False) -> Picture:
    """Smeared across, or from corner to corner, by so many pixels of 640."""
    length = round(pixels * picture.shape[1] / 640)
    kernel = np.zeros((length, length), np.float32)
    if aslant:
        side = round(length / np.sqrt(2))
        kernel = np.eye(side, dtype=np.float32) / side
    else:
        kernel[length // 2] = 1 / length
    return cv2.filter2D(picture, -1, kernel).astype(np.uint8)


def lamp_in_the_glass(picture: Picture, size: float, *, at: tuple[float, float] = (0.5, 0.4)) -> Picture:
    """With the lamp's mirror image: a soft spot, its standard deviation and place in fractions."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    spot = np.exp(-((x - width * at[0]) ** 2 + (y - height * at[1]) ** 2) / 2 / (size * width) ** 2)
    light = (picture / 255) ** 2.2 + 1.5 * spot[..., None]
    return noisy(np.clip(light, 0, 1) ** (1 / 2.2) * 255, 2)


def compressed(picture: Picture, quality: int) -> Picture:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    whole: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return whole  # type: ignore[no-any-return]


def fogged(picture: Picture, share: float) -> Picture:
    return noisy(picture * (1 - share) + 200 * share, 2)
