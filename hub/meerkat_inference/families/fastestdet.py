"""FastestDet: one grid of stride 16; NCHW input of BGR 0..1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meerkat_inference.catalogue import Entry
from meerkat_inference.engine import Engine

from .network import Boxes, NetworkDetector, corners, planes
from .yolox import grid

_STRIDE = 16


class FastestDet(NetworkDetector):
    """Output (1, 5 + classes, rows, columns): objectness, centre offset (before tanh), size as a
    fraction of the input (before the sigmoid), class scores. Score = objectness^0.6 * class^0.4, as
    upstream's own example has it."""

    def __init__(self, entry: Entry, engine: Engine, labels: tuple[str, ...]) -> None:
        super().__init__(entry, engine, labels)
        self._cells, _ = grid(*entry.input, (_STRIDE,))
        self._size = np.array(entry.input, np.float32)

    def _blob(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return planes(pixels, scale=1 / 255)

    def _read(self, outputs: list[NDArray[Any]]) -> Boxes:
        planes_of = outputs[0][0].reshape(outputs[0].shape[1], -1)
        # A class score is at most 1, so the objectness alone decides for most cells.
        index = np.flatnonzero(planes_of[0] ** 0.6 >= self._floor)
        columns = planes_of[:, index]
        classes = columns[5:].argmax(axis=0)
        scores = columns[0] ** 0.6 * columns[5 + classes, np.arange(len(index))] ** 0.4
        good = scores >= self._floor
        columns, index = columns[:, good], index[good]
        centres = (np.tanh(columns[1:3].T) + self._cells[index]) * _STRIDE
        sizes = self._size / (1 + np.exp(-columns[3:5].T))
        return Boxes(corners(centres, sizes), scores[good], classes[good].astype(np.int32))
