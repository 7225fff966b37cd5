"""Darknet's YOLO networks through OpenCV: NCHW input of RGB 0..1."""

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
        super().__init__(entry, engine, labels)
        shape = engine.inputs[0].shape
        if shape[2:] != (entry.input[1], entry.input[0]):
            raise ModelError(
                f"the .cfg says {shape[3]}x{shape[2]}, the catalogue {entry.input[0]}x{entry.input[1]}",
                where=entry.name,
            )
        self._size = np.array(entry.input, np.float32)

    def _blob(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return planes(pixels, scale=1 / 255, rgb=True)

    def _read(self, outputs: list[NDArray[Any]]) -> Boxes:
        rows = np.concatenate([layer[layer[:, 4] >= self._floor] for layer in outputs])
        classes = rows[:, 5:].argmax(axis=1)
        scores = rows[np.arange(len(rows)), 5 + classes]
        good = scores >= self._floor
        rows = rows[good]
        boxes = corners(rows[:, :2] * self._size, rows[:, 2:4] * self._size)
        return Boxes(boxes, scores[good], classes[good].astype(np.int32))
