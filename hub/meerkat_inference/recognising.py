"""The task recognise_faces: an embedder, and a detector for pictures that come without boxes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from meerkat_contract.errors import ModelError
from meerkat_contract.messages import Job, ModelInfo, Result

from .detector import Detector
from .engine import EDGE_TPU_LIBRARY
from .faces.embedder import Embedder
from .faces.loading import load_embedder
from .faces.process import process_faces
from .loading import load_detector

if TYPE_CHECKING:
    from .picture import Picture
    from .tasks import Circumstances, Opener

TASK = "recognise_faces"

_MIDDLE = (0.4, 0.3, 0.2, 0.4)
"""Where a face is said to be while measuring."""

_logger = logging.getLogger(__name__)


class Recognising:
    """An embedder that does jobs: the faces of a picture become embeddings."""

    def __init__(self, embedder: Embedder, detector: Detector | None) -> None:
        self._embedder = embedder
        self._detector = detector

    @property
    def info(self) -> ModelInfo:
        return self._embedder.info

    @property
    def device(self) -> str:
        return str(getattr(self._embedder, "device", "cpu"))

    def do(self, job: Job, payload: bytes, circumstances: Circumstances) -> Result:
        return process_faces(
            job,
            payload,
            self._embedder,
            self._detector,
            incarnation=circumstances.incarnation,
            now=circumstances.now,
            cancelled=circumstances.cancelled,
        )

    def look(self, picture: Picture) -> object:
        """One face described; finding it is left out, since jobs mostly come with boxes."""
        return self._embedder.describe(picture, _MIDDLE)

    def close(self) -> None:
        self._embedder.close()
        if self._detector is not None:
            self._detector.close()


def recogniser(
    *,
    model: str | None = None,
    folders: Sequence[Path] = (),
    device: str = "cpu",
    library: str = EDGE_TPU_LIBRARY,
) -> Opener:
    """How to load the task: with the embedder that is named then, else `model`, else the best here."""

    def load(name: str) -> Recognising:
        embedder = load_embedder(
            name or model, folders=folders, device=device, library=library, tried=True, log=_logger.info
        )
        try:
            detector = load_detector(
                task="detect_faces",
                folders=folders,
                device=device,
                library=library,
                tried=True,
                log=_logger.debug,
            )
        except ModelError:
            _logger.info("No model finds faces here: only pictures that come with boxes are recognised")
            detector = None
        except BaseException:
            embedder.close()
            raise
        return Recognising(embedder, detector)

    return load
