"""One portrait as a house's camera might have seen it: turned, darker, blurred, smaller.

Deterministic: the same picture gives the same variations, so that an evaluation can be repeated.
Blur, noise and size go by the width of the face, whatever the resolution of the portrait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_inference.picture import decode_jpeg

from .alignment import cut_out
from .embedder import Box

Picture = NDArray[np.uint8]
_RIM = 0.8
"""Box sizes kept around the face."""


def variations(picture: Picture, box: Box) -> Iterator[tuple[str, Picture]]:
    """(name, close-up) for each variation; the face is in the middle of each."""
    close = np.ascontiguousarray(cut_out(picture, box, rim=_RIM))
    face = close.shape[0] / (1 + 2 * _RIM)
    for name, change in _CHANGES.items():
        yield name, change(close, face)


def kind(name: str) -> str:
    """pose | light | blur | size, of a variation's name such as `pose: turned 15°`."""
    return name.partition(":")[0]


def _turned(degrees: float) -> Callable[[Picture, float], Picture]:
    def change(close: Picture, face: float) -> Picture:
        del face
        side = close.shape[0]
        matrix = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1)
        return _u8(cv2.warpAffine(close, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE))

    return change


def _tilted(across: float, along: float) -> Callable[[Picture, float], Picture]:
    """As if the picture were seen from the side (`across`) or from above (`along`)."""

    def change(close: Picture, face: float) -> Picture:
        del face
        side = float(close.shape[0])
        corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
        a, b = across * side, along * side
        far = np.array([[b, 0], [side - b, a], [side, side - a], [0, side]], np.float32)
        matrix = cv2.getPerspectiveTransform(corners, far)
        return _u8(
            cv2.warpPerspective(close, matrix, (int(side), int(side)), borderMode=cv2.BORDER_REPLICATE)
        )

    return change


def _lit(factor: float) -> Callable[[Picture, float], Picture]:
    def change(close: Picture, face: float) -> Picture:
        del face
        return _u8(close * np.float32(factor))

    return change


def _lit_from_the_side(dark: float) -> Callable[[Picture, float], Picture]:
    def change(close: Picture, face: float) -> Picture:
        del face
        slope = np.linspace(dark, 1.1, close.shape[1], dtype=np.float32)
        return _u8(close * slope[None, :, None])

    return change


def _blurred(widths: float) -> Callable[[Picture, float], Picture]:
    return lambda close, face: _u8(cv2.GaussianBlur(close, (0, 0), max(0.3, widths * face)))


def _moved(widths: float) -> Callable[[Picture, float], Picture]:
    """Blurred along the way of somebody who walks by."""

    def change(close: Picture, face: float) -> Picture:
        length = max(2, round(widths * face))
        return _u8(cv2.blur(close, (length, 1)))

    return change


def _small(pixels: int) -> Callable[[Picture, float], Picture]:
    def change(close: Picture, face: float) -> Picture:
        scale = min(1.0, pixels / face)
        return _u8(cv2.resize(close, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))

    return change


def _compressed(pixels: int, quality: int) -> Callable[[Picture, float], Picture]:
    """Small and a poor JPEG, as over a bad link."""

    def change(close: Picture, face: float) -> Picture:
        small = _small(pixels)(close, face)
        _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return decode_jpeg(data.tobytes())

    return change


def _noisy(deviation: float) -> Callable[[Picture, float], Picture]:
    """A sensor in the dark: half the light, and noise."""

    def change(close: Picture, face: float) -> Picture:
        del face
        noise = np.random.default_rng(7).normal(0, deviation, close.shape).astype(np.float32)
        return _u8(close * np.float32(0.5) + noise)

    return change


def _u8(picture: NDArray[np.floating] | NDArray[np.uint8] | cv2.typing.MatLike) -> Picture:
    return np.clip(picture, 0, 255).astype(np.uint8)


_CHANGES: dict[str, Callable[[Picture, float], Picture]] = {
    "pose: turned 10°": _turned(10),
    "pose: turned -20°": _turned(-20),
    "pose: from the left": _tilted(0.12, 0),
    "pose: from above": _tilted(0, 0.12),
    "light: half": _lit(0.5),
    "light: a fifth": _lit(0.2),
    "light: glaring": _lit(1.6),
    "light: from the side": _lit_from_the_side(0.25),
    "light: dark and noisy": _noisy(8),
    "blur: slight": _blurred(0.012),
    "blur: strong": _blurred(0.025),
    "blur: walking by": _moved(0.08),
    "size: 64 pixels": _small(64),
    "size: 40 pixels": _small(40),
    "size: 28 pixels": _small(28),
    "size: 48 pixels, poor JPEG": _compressed(48, 30),
}
