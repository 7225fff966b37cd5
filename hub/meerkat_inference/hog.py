"""The detector of last resort: OpenCV's own people detector, which needs no model file.

Histograms of oriented gradients with a linear classifier (Dalal and Triggs, 2005), trained on people
who stand or walk upright. It knows nothing else, and its results are always marked as a fallback.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import MediaError, ModelError
from meerkat_contract.messages import ModelInfo

from .detector import FALLBACK, FLOOR, Found
from .families.canvas import check_picture
from .families.network import Calibration

WORKING_WIDTH, WORKING_HEIGHT = 640, 384
"""Pixels the picture is fitted into. The classifier's window is 128 high and its person 96 of them: in a
16:9 picture people from a quarter of its height are found."""

# Measured on the footage and the rendered porch (docs/reference/models.md). Finer scales find a few
# more and cost twice as much; the padding lets people who touch the picture's edge be found.
_STRIDE = (8, 8)
_PADDING = (24, 24)
_SCALE = 1.1
_OVERLAP = 0.2
_INSIDE = 0.4

_CALIBRATION = Calibration(((0.0, 0.0), (0.3, 0.5), (1.2, 0.85), (3.0, 0.95)))
"""The classifier's margin to the house's score: at 0.3 no empty frame of the footage is marked. It ends
at 0.95: a detector of last resort is never certain."""


class HogDetector:
    """People, by OpenCV's HOGDescriptor."""

    def __init__(self) -> None:
        if not hasattr(cv2, "HOGDescriptor"):
            raise ModelError(
                f"OpenCV {cv2.__version__} has no people detector",
                where="hog-people",
                remedy="Install opencv-python-headless below 5",
            )
        cv2.setNumThreads(1)
        self.info = ModelInfo(name=FALLBACK, engine="hog", fallback=True)
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))
        self._floor = _CALIBRATION.raw(FLOOR)

    def detect(self, picture: NDArray[np.uint8]) -> list[Found]:
        check_picture(picture)
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        height, width = grey.shape
        scale = min(WORKING_HEIGHT / height, WORKING_WIDTH / width)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=method)
        height, width = grey.shape
        if width < 64 or height < 128:
            raise MediaError(
                f"a picture of {picture.shape[1]}x{picture.shape[0]} is too long for the people detector",
                where=FALLBACK,
                remedy="Set a usual picture format on the camera, or install a model: `meerkat models pull`",
            )
        windows, weights = self._hog.detectMultiScale(
            grey,
            hitThreshold=self._floor,
            winStride=_STRIDE,
            padding=_PADDING,
            scale=_SCALE,
            groupThreshold=0,
        )
        if not len(windows):
            return []
        boxes = np.asarray(windows, np.float32).reshape(-1, 4)
        margins = np.asarray(weights, np.float32).ravel()
        doubles = cv2.dnn.NMSBoxes(boxes.tolist(), margins.tolist(), self._floor, _OVERLAP)
        kept = np.asarray(doubles, np.intp).ravel()
        kept = kept[np.argsort(-margins[kept], kind="stable")]
        kept = kept[_outermost(boxes[kept])]
        return _report(boxes[kept], margins[kept], width, height)

    def close(self) -> None:
        """Nothing is held."""


def _outermost(boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which windows (n, 4), best first, do not lie mostly inside a better one: legs are no second person."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    shared = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    inside = np.clip(shared, 0, None).prod(axis=2) / boxes[:, 2:].prod(axis=1)
    better: NDArray[np.bool_] = np.tril(inside > _INSIDE, -1).any(axis=1)
    return ~better


def _report(boxes: NDArray[np.float32], margins: NDArray[np.float32], width: int, height: int) -> list[Found]:
    """Windows (n, 4) in pixels as x, y, width, height → people, best first."""
    # The window was trained with a margin of an eighth above and below the person, a quarter beside.
    corners = np.column_stack(
        [
            boxes[:, 0] + boxes[:, 2] / 8,
            boxes[:, 1] + boxes[:, 3] / 16,
            boxes[:, 0] + boxes[:, 2] * 7 / 8,
            boxes[:, 1] + boxes[:, 3] * 15 / 16,
        ]
    )
    corners = np.clip(corners / np.array([width, height] * 2, np.float32), 0, 1)
    corners[:, 2:] -= corners[:, :2]
    scores = _CALIBRATION.house(margins)
    return [
        Found("person", score, (x, y, w, h))
        for score, (x, y, w, h) in zip(scores.tolist(), corners.tolist(), strict=True)
        if w > 0 and h > 0
    ]
