"""YOLOX: anchor-free, strides 8, 16 and 32; NCHW input of BGR 0..255 (upstream's `ValTransform`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meerkat_inference.catalogue import Entry
from meerkat_inference.engine import Engine

from .network import Boxes, NetworkDetector, corners, planes

_STRIDES = (8, 16, 32)


class Yolox(NetworkDetector):
    """Output (1, cells, 5 + classes): centre offset, log size (in strides), objectness, class scores."""

    def __init__(self, entry: Entry, engine: Engine, labels: tuple[str, ...]) -> None:
        super().__init__(entry, engine, labels)
        self._cells, self._strides = grid(*entry.input, _STRIDES)

    def _blob(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return planes(pixels)

    def _read(self, outputs: list[NDArray[Any]]) -> Boxes:
        rows = outputs[0][0]
        # The product cannot pass where the objectness alone does not: that spares most of the classes.
        index = np.flatnonzero(rows[:, 4] >= self._floor)
        rows = rows[index]
        classes = rows[:, 5:].argmax(axis=1)
        scores = rows[:, 4] * rows[np.arange(len(rows)), 5 + classes]
        good = scores >= self._floor
        rows, index = rows[good], index[good]
        strides = self._strides[index]
        centres = (rows[:, :2] + self._cells[index]) * strides
        sizes = np.exp(rows[:, 2:4]) * strides
        return Boxes(corners(centres, sizes), scores[good], classes[good].astype(np.int32))


def grid(
    width: int, height: int, strides: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The cells of all strides, row by row: (n, 2) column and row, (n, 1) stride in pixels."""
    cells, sizes = [], []
    for stride in strides:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cell = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32)
        cells.append(cell)
        sizes.append(np.full((len(cell), 1), stride, np.float32))
    return np.concatenate(cells), np.concatenate(sizes)
