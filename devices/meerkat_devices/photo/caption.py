"""The date under the picture, in a bar of its own: the meter's pixels stay as they are and where they are."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

PAPER, INK = 32, 235


def captioned(picture: Picture, text: str) -> Picture:
    """The BGR picture (H, W, 3) with a bar below it; a new array. Letters that are not ASCII become `?`."""
    height, width = picture.shape[:2]
    bar = max(14, round(width / 32))
    font, margin = cv2.FONT_HERSHEY_SIMPLEX, bar // 4
    size = cv2.getFontScaleFromHeight(font, bar // 2, max(1, bar // 20))
    thick = max(1, bar // 20)
    (wide, tall), _ = cv2.getTextSize(text, font, size, thick)
    if wide > width - 2 * margin:
        size *= (width - 2 * margin) / wide
    whole = np.empty((height + bar, width, 3), np.uint8)
    whole[:height] = picture
    whole[height:] = PAPER
    foot = (margin, height + (bar + tall) // 2)
    cv2.putText(whole, text, foot, font, size, (INK, INK, INK), thick, cv2.LINE_AA)
    return whole
