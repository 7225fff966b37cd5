"""An embedder that is a network file: LiteRT on a CPU or a Coral, ONNX Runtime on a Jetson or a CPU."""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_contract.messages import ModelInfo
from meerkat_inference.catalogue import Embedding, Entry
from meerkat_inference.engine import Engine

from .alignment import align, cut_out
from .embedder import Box, Description, pixels_of
from .landmarks import Landmarks
from .quality import SIDE, judge


class Finder(Protocol):
    """Finds the landmarks of a face: `landmarks.CloseLook`."""

    def find(self, picture: NDArray[np.uint8], box: Box) -> Landmarks: ...

    def close(self) -> None: ...


class EngineEmbedder:
    """A network over one aligned face; its embedding is brought to length 1 where the entry says so.

    The input is (1, height, width, 3) or (1, 3, height, width), float32, uint8 or int8. `finder` is
    needed by alignment arcface, and judges whether the box holds a face; with alignment box and no
    finder, size, sharpness and light alone make the quality.
    """

    def __init__(self, entry: Entry, engine: Engine, finder: Finder | None = None) -> None:
        if entry.embedding is None:
            raise ModelError("the entry has no section embedding", where=entry.name)
        if entry.embedding.alignment == "arcface" and finder is None:
            raise ModelError(
                "this embedder wants to know where the eyes are",
                where=entry.name,
                remedy="`meerkat models pull yunet` fetches the model that finds them",
            )
        self.embedding: Embedding = entry.embedding
        self.size = entry.input
        self.info = ModelInfo(name=entry.name, sha256=entry.model.sha256, engine=engine.name)
        self.device = engine.device
        self._engine = engine
        self._finder = finder

    def describe(
        self, picture: NDArray[np.uint8], box: Box, landmarks: NDArray[np.float32] | None = None
    ) -> Description:
        _, _, width, _ = pixels_of(picture, box)
        face = 1.0
        if landmarks is None and self._finder is not None:
            found = self._finder.find(picture, box)
            landmarks, face = found.points, _clearly(found.score)
        if landmarks is not None:
            face = min(face, frontal(landmarks))
        chip, judged = (self._chip(picture, box, landmarks, size) for size in (self.size, (SIDE, SIDE)))
        quality = judge(judged, width=width, face=face)
        return Description(self._embed(chip), quality.value, quality.reason)

    def close(self) -> None:
        self._engine.close()
        if self._finder is not None:
            self._finder.close()

    def _chip(
        self,
        picture: NDArray[np.uint8],
        box: Box,
        landmarks: NDArray[np.float32] | None,
        size: tuple[int, int],
    ) -> NDArray[np.uint8]:
        if self.embedding.alignment == "arcface" and landmarks is not None:
            return align(picture, landmarks, size)
        rimmed = cut_out(picture, box, rim=self.embedding.rim)
        return np.asarray(cv2.resize(rimmed, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _embed(self, chip: NDArray[np.uint8]) -> NDArray[np.float32]:
        (output, *_) = self._engine.run(self._input(chip))
        numbers = np.asarray(output, np.float32).ravel()
        if len(numbers) != self.embedding.dimensions or not np.isfinite(numbers).all():
            raise ModelError(
                f"the network answered with {len(numbers)} numbers or with none that count, "
                f"{self.embedding.dimensions} were expected",
                where=self.info.name,
                remedy="Correct `dimensions` in the catalogue, or fetch the model again",
            )
        if not self.embedding.normalise:
            return numbers
        length = float(np.linalg.norm(numbers))
        if length == 0:
            raise ModelError("the network answered with zeros", where=self.info.name)
        return numbers / np.float32(length)

    def _input(self, chip: NDArray[np.uint8]) -> NDArray[Any]:
        """The aligned face as the network's first input wants it."""
        if self.embedding.colour == "rgb":
            chip = np.asarray(cv2.cvtColor(chip, cv2.COLOR_BGR2RGB), np.uint8)
        info = self._engine.inputs[0]
        real = (chip.astype(np.float32) - self.embedding.mean) * self.embedding.scale
        planes_first = len(info.shape) == 4 and info.shape[1] == 3
        if planes_first or not info.shape:  # OpenCV's DNN tells no shape and takes planes
            real = real.transpose(2, 0, 1)
        batch = np.ascontiguousarray(real[np.newaxis])
        if info.dtype == "float32":
            return batch
        if info.scale:
            limits = np.iinfo(info.dtype)
            stored = np.rint(batch / info.scale) + info.zero_point
            batch = np.clip(stored, limits.min, limits.max)
        return np.asarray(batch, info.dtype)


def _clearly(score: float) -> float:
    """How clearly it is a face, from the calibrated score of the close look: its working point, 0.5,
    is 0.5, and below 0.3 it is none. One head of 271 seen from behind scored 0.35 and looked upright."""
    return float(np.clip(2.5 * (score - 0.3), 0.0, 1.0))


def frontal(points: NDArray[np.float32]) -> float:
    """1 for a face that looks this way, 0 for one in profile or none at all, from (5, 2) landmarks.

    Aside: how far the nose lies from the middle between the eyes, along the line through them, in
    distances of the eyes. 0.02 in a portrait; half a distance is a profile. Below: how far it lies under
    that line. 0.5 to 0.6 in a portrait turned and tilted; 0.7 to 1.4 in heads seen from behind.
    """
    eyes = points[1] - points[0]
    apart = float(np.hypot(*eyes))
    if apart < 1:
        return 0.0
    nose = points[2] - (points[0] + points[1]) / 2
    aside = abs(float(nose @ eyes)) / apart**2
    below = float(eyes[0] * nose[1] - eyes[1] * nose[0]) / apart**2
    return float(np.clip(min(1.2 - 2.4 * aside, 4 * (1.0 - below), 5 * below), 0.0, 1.0))
