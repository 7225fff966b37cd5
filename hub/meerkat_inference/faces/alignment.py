"""Eyes, nose and mouth laid on a template, so that every face reaches the network in one position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .embedder import Box

TEMPLATE = np.array(
    [[0.3419, 0.4616], [0.6565, 0.4598], [0.5002, 0.6405], [0.3710, 0.8247], [0.6315, 0.8232]], np.float32
)
"""Where ArcFace-trained networks expect the eyes, the nose and the corners of the mouth, in fractions."""


def similarity(points: NDArray[np.float32], targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """The (2, 3) shift, turn and scale that brings `points` (n, 2) nearest to `targets` (n, 2).

    Least squares in closed form (Umeyama 1991): the same points give the same matrix, always.
    """
    centre, goal = points.mean(axis=0), targets.mean(axis=0)
    near, far = points - centre, targets - goal
    spread = float((near**2).sum())
    along = float((near * far).sum()) / max(spread, 1e-9)
    across = float((near[:, 0] * far[:, 1] - near[:, 1] * far[:, 0]).sum()) / max(spread, 1e-9)
    turn = np.array([[along, -across], [across, along]], np.float32)
    shift = goal - turn @ centre
    return np.hstack([turn, shift[:, None]]).astype(np.float32)


def align(
    picture: NDArray[np.uint8], points: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """The face as the template wants it, (height, width, 3) of `size` (width, height).

    `points` (5, 2) in pixels of the picture. What lies beyond its edge repeats the edge.
    """
    matrix = similarity(points, TEMPLATE * np.array(size, np.float32))
    turned = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8)


def cut_out(picture: NDArray[np.uint8], box: Box, *, rim: float) -> NDArray[np.uint8]:
    """A square around the box with `rim` box sizes on each side; beyond the edge the edge repeats."""
    height, width = picture.shape[:2]
    wide, high = box[2] * width, box[3] * height
    side = max(2, round(max(wide, high) * (1 + 2 * rim)))
    left = round(box[0] * width + wide / 2 - side / 2)
    top = round(box[1] * height + high / 2 - side / 2)
    inner = picture[max(0, top) : top + side, max(0, left) : left + side]
    before = (max(0, -top), max(0, -left))
    after = (max(0, top + side - height), max(0, left + side - width))
    if not any((*before, *after)):
        return inner
    whole = cv2.copyMakeBorder(inner, before[0], after[0], before[1], after[1], cv2.BORDER_REPLICATE)
    return np.asarray(whole, np.uint8)
