"""dlib's embedder: five landmarks, an aligned face of 150 pixels, a ResNet with 128 numbers.

Called directly, without the package face_recognition (which does not import with a current
setuptools). The files come with face_recognition_models and are found without importing it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError, UsageError
from meerkat_contract.messages import ModelInfo
from meerkat_inference.catalogue import Embedding, Entry
from meerkat_inference.store import Files

from .embedder import Box, Description, pixels_of
from .quality import judge

REMEDY = "`pip install 'meerkat-home[faces]'` installs dlib and its models"

_SIDE = 150
_PADDING = 0.25
_RIM = 20
"""Pixels repeated around the aligned face before the second look: HOG wants some background."""
_LEAST = -0.4
"""HOG's score below which the second look sees no face. Upright faces score about 1; none of 20 heads
seen from behind or from the side reached -0.6."""


def import_dlib() -> Any:
    """The library, loaded when it is wanted. Raises UsageError with the remedy."""
    try:
        return import_module("dlib")
    except ImportError as error:
        raise UsageError(
            f"dlib cannot be loaded ({error})", where="recognise_faces", remedy=REMEDY
        ) from error


class DlibEmbedder:
    """dlib finds the landmarks itself: those that are given to `describe` are not used."""

    size = (_SIDE, _SIDE)
    device = "cpu"

    def __init__(self, entry: Entry, files: Files) -> None:
        if entry.embedding is None or files.landmarks is None:
            raise ModelError("the entry lacks an embedding or landmarks", where=entry.name)
        self._dlib = import_dlib()
        self.embedding: Embedding = entry.embedding
        self.info = ModelInfo(name=entry.name, sha256=entry.model.sha256, engine="dlib")
        try:
            self._landmarks: Any = self._dlib.shape_predictor(str(files.landmarks))
            self._network: Any = self._dlib.face_recognition_model_v1(str(files.model))
        except RuntimeError as error:
            raise ModelError(
                f"dlib cannot read its model ({error})", where=str(files.model), remedy=REMEDY
            ) from error
        self._frontal: Any = self._dlib.get_frontal_face_detector()

    def describe(
        self, picture: NDArray[np.uint8], box: Box, landmarks: NDArray[np.float32] | None = None
    ) -> Description:
        del landmarks
        if self._network is None:
            raise ModelError("the embedder is closed", where=self.info.name)
        left, top, width, height = pixels_of(picture, box)
        crop, shift_x, shift_y = self._crop(picture, left, top, width, height)
        # Its landmarks were trained on squares that reach from the brows to the chin.
        side, middle_x, middle_y = (width + height) / 2, left + width / 2, top + height * 0.55
        square = self._dlib.rectangle(
            round(middle_x - side / 2 - shift_x),
            round(middle_y - side / 2 - shift_y),
            round(middle_x + side / 2 - shift_x),
            round(middle_y + side / 2 - shift_y),
        )
        try:
            chip = self._dlib.get_face_chip(crop, self._landmarks(crop, square), _SIDE, _PADDING)
            numbers = np.array(self._network.compute_face_descriptor(chip), np.float32)
        except RuntimeError as error:
            raise ModelError(f"dlib failed ({error})", where=self.info.name) from error
        quality = judge(chip, width=width, face=self._how_frontal(chip))
        return Description(numbers, quality.value, quality.reason)

    def close(self) -> None:
        self._network = self._landmarks = None

    def _crop(
        self, picture: NDArray[np.uint8], left: float, top: float, width: float, height: float
    ) -> tuple[NDArray[np.uint8], int, int]:
        """The face with as much around it as the alignment may reach for, RGB: turning all of a large
        picture to RGB costs more than the landmarks."""
        reach = 1.5 * max(width, height)
        x, y = max(0, int(left - reach)), max(0, int(top - reach))
        part = picture[y : int(top + height + reach), x : int(left + width + reach)]
        return np.asarray(cv2.cvtColor(part, cv2.COLOR_BGR2RGB), np.uint8), x, y

    def _how_frontal(self, chip: NDArray[np.uint8]) -> float:
        """A second look, at the aligned face (2 ms): 0 for what is no face or looks elsewhere."""
        framed = cv2.copyMakeBorder(chip, _RIM, _RIM, _RIM, _RIM, cv2.BORDER_REPLICATE)
        _, scores, _ = self._frontal.run(framed, 0, _LEAST)
        return float(np.clip(max(scores, default=_LEAST) - _LEAST, 0.0, 1.0))
