"""Eyes, nose and mouth of a face that was found: a second, close look with YuNet (3 ms)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_inference import catalogue, store
from meerkat_inference.catalogue import Entry
from meerkat_inference.engine import Engine
from meerkat_inference.families.canvas import Canvas
from meerkat_inference.families.network import Calibration, planes
from meerkat_inference.families.yolox import grid
from meerkat_inference.opening import open_engine

from .alignment import cut_out
from .embedder import Box, pixels_of

_STRIDES = (8, 16, 32)
_RIM = 0.6
"""Box sizes around the face in the close-up: YuNet wants to see where a head ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Landmarks:
    points: NDArray[np.float32]
    """(5, 2) pixels of the picture: eyes, nose, corners of the mouth, the left in the picture first"""
    score: float
    """0..1, that this is a face"""


class CloseLook:
    """YuNet on the surroundings of one box."""

    def __init__(self, entry: Entry, engine: Engine) -> None:
        self._engine = engine
        self._canvas = Canvas(*entry.input, letterbox=True)
        self._cells, self._strides = grid(*entry.input, _STRIDES)
        self._calibration = Calibration(entry.calibration)
        try:
            self._order = {
                part: [engine.outputs.index(f"{part}_{stride}") for stride in _STRIDES]
                for part in ("cls", "obj", "kps")
            }
        except ValueError as error:
            raise ModelError(f"an output is missing: {error}", where=entry.name) from error

    def find(self, picture: NDArray[np.uint8], box: Box) -> Landmarks:
        """The landmarks of the face in the box, whatever its score. Raises MediaError, ModelError."""
        left, top, width, height = pixels_of(picture, box)
        close = np.ascontiguousarray(cut_out(picture, box, rim=_RIM))
        outputs = self._engine.run(planes(self._canvas.lay(close)))
        classes, objectness, points = (
            np.concatenate([outputs[i].reshape(-1, wide) for i in self._order[part]])
            for part, wide in (("cls", 1), ("obj", 1), ("kps", 10))
        )
        scores = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objectness[:, 0], 0, 1))
        best = int(scores.argmax())
        on_canvas = (points[best].reshape(5, 2) + self._cells[best]) * self._strides[best]
        side = close.shape[0]
        scale = side / self._canvas.width  # both are square
        origin = np.array([round(left + width / 2 - side / 2), round(top + height / 2 - side / 2)])
        found = (on_canvas * scale + origin).astype(np.float32)
        return Landmarks(found, float(self._calibration.house(scores[best : best + 1])[0]))

    def close(self) -> None:
        self._engine.close()


def open_close_look(*, folders: Sequence[Path] = ()) -> CloseLook:
    """Raises ModelError with the command that fetches YuNet when it is not there."""
    entry = catalogue.get("yunet")
    engine = open_engine(store.find(entry, folders=folders).model)
    return CloseLook(entry, engine)
