"""A detector that needs no file, and the place of `Models` around it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from meerkat_cloud_burst.errors import CloudError
from meerkat_contract.errors import ModelError
from meerkat_contract.messages import ModelInfo
from meerkat_inference.detector import Detector, Found


class Squares:
    """Finds the bright square of support.media. `broken` and `during` change what a look does."""

    info = ModelInfo(name="squares", engine="test")
    device = "cpu"

    def __init__(self) -> None:
        self.broken = ""
        self.during = lambda: None
        self.closed = False

    def detect(self, picture: NDArray[np.uint8]) -> list[Found]:
        self.during()
        if self.broken:
            raise ModelError(self.broken)
        ys, xs = np.nonzero(picture[:, :, 0] > 200)
        if not len(xs):
            return []
        height, width = picture.shape[:2]
        x, y = xs.min() / width, ys.min() / height
        box = (float(x), float(y), float(xs.max() / width - x), float(ys.max() / height - y))
        return [Found("person", 0.9, box)]

    def close(self) -> None:
        self.closed = True


class OneModel:
    """In the place of `Models`."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.asked: list[str] = []
        self.missing: set[str] = set()
        self.faults: list[CloudError] = []
        self.on_open: Callable[[], None] = lambda: None

    def open(self, name: str = "") -> Detector:
        self.asked.append(name)
        self.on_open()
        if self.faults:
            raise self.faults.pop(0)
        if name in self.missing:
            raise ModelError(f"model {name} is neither on this machine nor in the bucket")
        return self.detector

    def close(self) -> None:
        self.detector.close()
