"""Darknet's YOLO networks on any engine that reads a .cfg: NCHW input of RGB 0..1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_inference.catalogue import Entry
from meerkat_inference.engine import Engine

from .network import Boxes, NetworkDetector, corners, planes


class Darknet(NetworkDetector):
    """Outputs, one per [yolo] layer: rows of centre and size in fractions of the input, objectness, and
    class scores that are already multiplied by it."""

    def __init__(self, entry: Entry, engine: Engine, labels: tuple[str, ...]) -> None:
        _, _, height, width = engine.inputs[0].shape
        # The .cfg knows; an owner who changed its width needs no other entry.
        super().__init__(entry.model_copy(update={"input": (width, height)}), engine, labels)
        # Cut boxes overlap otherwise than whole ones: what the engine has done is not done again.
        if entry.nms >= getattr(engine, "suppresses", 2.0):
            self._overlap = 1.0
        self._size = np.array([width, height], np.float32)

    def _blob(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return planes(pixels, scale=1 / 255, rgb=True)

    def _read(self, outputs: list[NDArray[Any]]) -> Boxes:
        if any(np.isnan(layer[:, 4]).any() for layer in outputs):
            raise ModelError(
                "the network answered with numbers that are none",
                where=self.info.name,
                remedy="Its weights may be damaged: `meerkat models pull` fetches them again",
            )
        rows = np.concatenate([layer[layer[:, 4] >= self._floor] for layer in outputs])
        classes = rows[:, 5:].argmax(axis=1)
        scores = rows[np.arange(len(rows)), 5 + classes]
        good = scores >= self._floor
        rows = rows[good]
        boxes = corners(rows[:, :2] * self._size, rows[:, 2:4] * self._size)
        return Boxes(boxes, scores[good], classes[good].astype(np.int32))
