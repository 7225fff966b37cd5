"""YuNet: faces, strides 8, 16 and 32; NCHW input of BGR 0..255."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_inference.catalogue import Entry
from meerkat_inference.engine import Engine

from .network import Boxes, NetworkDetector, corners, planes
from .yolox import grid

_STRIDES = (8, 16, 32)


class YuNet(NetworkDetector):
    """Outputs named cls_8 … bbox_32, (1, cells, k): class score, objectness, centre offset and log size
    in strides. The score is the root of class times objectness. Landmarks (kps) are not read."""

    def __init__(self, entry: Entry, engine: Engine, labels: tuple[str, ...]) -> None:
        super().__init__(entry, engine, labels)
        self._cells, self._strides = grid(*entry.input, _STRIDES)
        try:
            self._order = {
                part: [engine.outputs.index(f"{part}_{stride}") for stride in _STRIDES]
                for part in ("cls", "obj", "bbox")
            }
        except ValueError as error:
            raise ModelError(f"an output is missing: {error}", where=entry.name) from error

    def _blob(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return planes(pixels)

    def _read(self, outputs: list[NDArray[Any]]) -> Boxes:
        classes, objectness, boxes = (
            np.concatenate([outputs[i].reshape(-1, width) for i in self._order[part]])
            for part, width in (("cls", 1), ("obj", 1), ("bbox", 4))
        )
        scores = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objectness[:, 0], 0, 1))
        index = np.flatnonzero(scores >= self._floor)
        strides = self._strides[index]
        centres = (boxes[index, :2] + self._cells[index]) * strides
        sizes = np.exp(boxes[index, 2:]) * strides
        return Boxes(corners(centres, sizes), scores[index], np.zeros(len(index), np.int32))
