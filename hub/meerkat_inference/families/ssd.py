"""SSD networks that end in TFLite_Detection_PostProcess: boxes come out decoded and suppressed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_inference.catalogue import Entry
from meerkat_inference.engine import Engine

from .network import Boxes, NetworkDetector


class Ssd(NetworkDetector):
    """Input (1, height, width, 3) uint8 RGB. Outputs: boxes (1, n, 4) as top, left, bottom, right in
    fractions; classes (1, n) without the background; scores (1, n); how many are valid (1,)."""

    def __init__(self, entry: Entry, engine: Engine, labels: tuple[str, ...]) -> None:
        super().__init__(entry, engine, labels)
        if engine.inputs[0].dtype != "uint8":
            raise ModelError(f"input is {engine.inputs[0].dtype}, this family takes uint8", where=entry.name)
        self._pixels_per_fraction = np.array([self._canvas.width, self._canvas.height] * 2, np.float32)

    def _blob(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)[np.newaxis]

    def _read(self, outputs: list[NDArray[Any]]) -> Boxes:
        boxes, classes, scores, count = outputs
        valid = int(count[0])
        good = scores[0, :valid] >= self._floor
        corners = boxes[0, :valid][good][:, [1, 0, 3, 2]] * self._pixels_per_fraction
        return Boxes(corners, scores[0, :valid][good], classes[0, :valid][good].astype(np.int32))
