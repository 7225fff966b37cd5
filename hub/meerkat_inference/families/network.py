"""What all detectors that run a network have in common: calibrate, suppress doubles, name, clip."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_contract.messages import ModelInfo
from meerkat_inference.catalogue import Entry
from meerkat_inference.detector import FLOOR, Found
from meerkat_inference.engine import BatchEngine, Engine

from .canvas import Canvas

_CANDIDATES = 400
"""Boxes that go into the suppression of doubles at most, the best of them: its cost is their square."""

_MOST = 100
"""Boxes reported for one picture at most."""


class Boxes(NamedTuple):
    """What a network saw, before doubles are suppressed."""

    corners: NDArray[np.float32]
    """(n, 4): left, top, right, bottom in pixels of the canvas"""
    scores: NDArray[np.float32]
    """(n,): raw"""
    classes: NDArray[np.int32]
    """(n,)"""

    def best(self, count: int) -> Boxes:
        """The `count` of the highest scores, in no order."""
        if len(self.scores) <= count:
            return self
        index = np.argpartition(-self.scores, count)[:count]
        return Boxes(self.corners[index], self.scores[index], self.classes[index])


class Calibration:
    """Raw scores of one model to scores of the house: rising, straight between its points."""

    def __init__(self, points: tuple[tuple[float, float], ...]) -> None:
        self._raw, self._house = (np.array(column, np.float32) for column in zip(*points, strict=True))

    def house(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.interp(raw, self._raw, self._house).astype(np.float32)

    def raw(self, house: float) -> float:
        """The raw score that becomes `house`: where a detector may stop looking."""
        return float(np.interp(house, self._house, self._raw))


class NetworkDetector(ABC):
    """A network on an engine. Subclasses fill the input and read the outputs of one family."""

    def __init__(self, entry: Entry, engine: Engine, labels: tuple[str, ...]) -> None:
        cv2.setNumThreads(1)
        self.info = ModelInfo(name=entry.name, sha256=entry.model.sha256, engine=engine.name)
        self._engine = engine
        self._labels = labels
        self._calibration = Calibration(entry.calibration)
        self._floor = self._calibration.raw(FLOOR)
        self._overlap = entry.nms
        self._factors = np.array([entry.factors.get(label, 1.0) for label in labels], np.float32)
        self._canvas = Canvas(*entry.input, letterbox=entry.fit == "letterbox")

    def detect(self, picture: NDArray[np.uint8]) -> list[Found]:
        outputs = self._engine.run(self._blob(self._canvas.lay(picture)))
        return self._report(self._read(outputs))

    @property
    def at_once(self) -> int:
        return self._engine.at_once if isinstance(self._engine, BatchEngine) else 1

    def detect_many(self, pictures: Sequence[NDArray[np.uint8]]) -> list[list[Found]]:
        """What `detect` gives, for each of some pictures, with one call of an engine that likes that."""
        if not isinstance(self._engine, BatchEngine):
            return [self.detect(picture) for picture in pictures]
        answers = self._engine.run_many([self._blob(self._canvas.lay(picture)) for picture in pictures])
        founds = []
        for picture, outputs in zip(pictures, answers, strict=True):
            self._canvas.fit(picture)
            founds.append(self._report(self._read(outputs)))
        return founds

    @property
    def device(self) -> str:
        """What the network truly runs on."""
        return self._engine.device

    def close(self) -> None:
        self._engine.close()

    @abstractmethod
    def _blob(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """The network's input from the canvas, (height, width, 3) BGR."""

    @abstractmethod
    def _read(self, outputs: list[NDArray[Any]]) -> Boxes:
        """The boxes whose raw score is at least `_floor`."""

    def _report(self, boxes: Boxes) -> list[Found]:
        if not len(boxes.scores):
            return []
        if not np.isfinite(boxes.corners).all():
            raise ModelError(
                "the network answered with numbers that are none",
                where=self.info.name,
                remedy="Its file may be damaged: `meerkat models pull` fetches it again",
            )
        if boxes.classes.max() >= len(self._labels):
            raise ModelError(
                f"class {boxes.classes.max()} has no label, there are {len(self._labels)}",
                where=self.info.name,
                remedy="The file of labels is not this model's",
            )
        boxes = boxes._replace(scores=boxes.scores * self._factors[boxes.classes]).best(_CANDIDATES)
        sizes = boxes.corners[:, 2:] - boxes.corners[:, :2]
        doubles = cv2.dnn.NMSBoxesBatched(
            np.hstack([boxes.corners[:, :2], sizes]).tolist(),
            boxes.scores.tolist(),
            boxes.classes.tolist(),
            self._floor,
            self._overlap,
        )
        kept = np.asarray(doubles, np.intp).ravel()
        kept = kept[np.argsort(-boxes.scores[kept], kind="stable")][:_MOST]
        corners = self._canvas.fractions(boxes.corners[kept])
        corners[:, 2:] -= corners[:, :2]
        scores = np.clip(self._calibration.house(boxes.scores[kept]), 0.0, 1.0)
        return [
            Found(self._labels[number], score, (x, y, width, height))
            for number, score, (x, y, width, height) in zip(
                boxes.classes[kept].tolist(), scores.tolist(), corners.tolist(), strict=True
            )
            if width > 0 and height > 0 and self._labels[number]
        ]


def corners(centres: NDArray[np.float32], sizes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 2) centres and (n, 2) sizes → (n, 4) left, top, right, bottom."""
    half = sizes / 2
    return np.concatenate([centres - half, centres + half], axis=1)


def planes(pixels: NDArray[np.uint8], *, scale: float = 1.0, rgb: bool = False) -> NDArray[np.float32]:
    """(height, width, 3) BGR → (1, 3, height, width) float32 times `scale`, BGR or RGB."""
    return np.asarray(cv2.dnn.blobFromImage(pixels, scale, swapRB=rgb), np.float32)
