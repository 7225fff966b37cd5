"""A meter whose wheels and dials are plain colours, and networks that read colours: no model, exact truth.

A box of position p is painted (red 20 p, green 255, blue how sure); anything that is not green is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from meerkat_contract.meter_layout import MeterLayout

SURE = 250


def distribution(position: float, sigma: float = 0.08, nothing: float = 0.0) -> np.ndarray:
    """(101,): a bell on the circle around the position."""
    gap = (np.arange(100) / 10 - position + 5) % 10 - 5
    bell = np.exp(-0.5 * (gap / sigma) ** 2)
    return np.append(bell / bell.sum() * (1 - nothing), nothing).astype(np.float32)


class ColourNetworks:
    """Reads what `paint` painted, and counts what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def wheels(self, crops: np.ndarray) -> np.ndarray:
        assert crops.dtype == np.uint8
        assert crops.shape[1:] == (32, 20, 3)
        return self._read("wheels", crops)

    def needles(self, crops: np.ndarray) -> np.ndarray:
        assert crops.shape[1:] == (48, 48, 3)
        return self._read("needles", crops)

    def _read(self, kind: str, crops: np.ndarray) -> np.ndarray:
        self.calls.append((kind, len(crops)))
        return np.stack([self._one(crop) for crop in crops])

    def _one(self, crop: np.ndarray) -> np.ndarray:
        height, width = crop.shape[:2]
        middle = crop[height // 4 : -height // 4, width // 4 : -width // 4]
        red, green, blue = np.median(middle.reshape(-1, 3), axis=0)
        if green < 250 or blue < 20:
            return np.append(np.full(100, 0.0005), 0.95).astype(np.float32)
        return distribution(float(red) / 20 % 10, sigma=0.08 + (SURE - blue) / 250)


def paint(
    layout: MeterLayout,
    wheels: Sequence[float],
    needles: Sequence[float] = (),
    *,
    size: tuple[int, int] = (640, 480),
    blues: Sequence[int] = (),
) -> np.ndarray:
    """(height, width, 3) BGR: the main counter's boxes in their colours on grey, turned as the layout says.

    A stripe of pure black and white at their rim gives each the contrast that a digit would.
    """
    canvas = np.full((size[1], size[0], 3), 128, np.uint8)
    sures = [*blues, *[SURE] * (len(wheels) + len(needles))]
    boxes = [*layout.digits, *layout.pointers]
    for (x, y, w, h), place, sure in zip(boxes, [*wheels, *needles], sures, strict=False):
        left, top, right, bottom = round(x), round(y), round(x + w) - 1, round(y + h) - 1
        colour = (sure, 255, round(place * 20))
        cv2.rectangle(canvas, (left, top), (right, bottom), colour, cv2.FILLED)
        cv2.rectangle(canvas, (left, top), (left + 2, bottom), (0, 0, 0), cv2.FILLED)
    if layout.rotation_deg:
        # The reader turns it by rotation_deg: so the camera saw it turned the other way.
        turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), layout.rotation_deg, 1.0)
        canvas = cv2.warpAffine(canvas, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return canvas


def row(count: int, needles: int = 0, **more: object) -> MeterLayout:
    """A layout of a row of wheels and a row of dials below it."""
    return MeterLayout.model_validate(
        {
            "digits": [[60 + 50 * i, 100, 40, 64] for i in range(count)],
            "pointers": [[60 + 100 * i, 240, 80, 80] for i in range(needles)],
            **more,
        }
    )
