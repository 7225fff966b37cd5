"""Slim-320: faces from an SSD without post-processing; NHWC input of RGB -1..1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meerkat_inference.catalogue import Entry
from meerkat_inference.engine import Engine

from .network import Boxes, NetworkDetector, corners

_STRIDES = (8, 16, 32, 64)
_SIZES = ((10, 16, 24), (32, 48), (64, 96), (128, 192, 256))
_CENTRE, _SIZE = 0.1, 0.2
"""How the offsets were scaled in training."""


class Slim(NetworkDetector):
    """Outputs: offsets (1, n, 4) from n reference boxes, and scores (1, n, 2) of background and face."""

    def __init__(self, entry: Entry, engine: Engine, labels: tuple[str, ...]) -> None:
        super().__init__(entry, engine, labels)
        self._centres, self._sizes = references(*entry.input)

    def _blob(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        rgb = pixels[np.newaxis, :, :, ::-1].astype(np.float32)
        rgb -= 127.5
        rgb /= 127.5
        return np.ascontiguousarray(rgb)

    def _read(self, outputs: list[NDArray[Any]]) -> Boxes:
        offsets, scores = outputs[0][0], outputs[1][0, :, 1]
        index = np.flatnonzero(scores >= self._floor)
        sizes = self._sizes[index]
        centres = self._centres[index] + offsets[index, :2] * _CENTRE * sizes
        sizes = sizes * np.exp(offsets[index, 2:] * _SIZE)
        return Boxes(corners(centres, sizes), scores[index], np.zeros(len(index), np.int32))


def references(width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centres and sizes (n, 2) of the reference boxes in pixels: squares, cell by cell."""
    centres, sizes = [], []
    for stride, squares in zip(_STRIDES, _SIZES, strict=True):
        across, down = -(-width // stride), -(-height // stride)
        rows, columns = np.mgrid[:down, :across]
        centre = np.stack([(columns.ravel() + 0.5) * width / across, (rows.ravel() + 0.5) * height / down], 1)
        centres.append(np.repeat(centre, len(squares), axis=0))
        sizes.append(np.tile(np.array(squares, np.float32)[:, None].repeat(2, 1), (across * down, 1)))
    return np.concatenate(centres).astype(np.float32), np.concatenate(sizes).astype(np.float32)
