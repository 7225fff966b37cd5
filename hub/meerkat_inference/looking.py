"""The tasks that look for something with a detector: detect_objects and detect_faces."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from meerkat_contract.messages import Job, ModelInfo, Result

from . import catalogue
from .detector import Detector
from .loading import load_detector
from .process import process

if TYPE_CHECKING:
    from .picture import Picture
    from .tasks import Circumstances, Opener

_logger = logging.getLogger(__name__)


class Looking:
    """A detector that does jobs: clips and pictures become tracks."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    @property
    def info(self) -> ModelInfo:
        return self._detector.info

    @property
    def device(self) -> str:
        return str(getattr(self._detector, "device", "cpu"))

    def do(self, job: Job, payload: bytes, circumstances: Circumstances) -> Result:
        return process(
            job,
            payload,
            self._detector,
            incarnation=circumstances.incarnation,
            cancelled=circumstances.cancelled,
            now=circumstances.now,
            threads=circumstances.threads,
        )

    def look(self, picture: Picture) -> object:
        return self._detector.detect(picture)

    def close(self) -> None:
        self._detector.close()


def opener(
    task: str,
    *,
    model: str | None = None,
    folders: Sequence[Path] = (),
    device: str = "cpu",
    library: str = "",
    engine: str | None = None,
) -> Opener:
    """How to load `task`: with the model that is named then, else `model`, else the best that is here.

    `engine` runs it, but for a model named later that it does not read. Each is tried before it is believed.
    What a choice falls back to is said as a warning.
    """

    def load(name: str) -> Looking:
        told: list[str] = []
        detector = load_detector(
            name or model,
            folders=folders,
            task=task,
            engine=None if name and not _reads(engine, name) else engine,
            device=device,
            library=library,
            tried=True,
            log=told.append,
        )
        for line in told:
            _logger.log(logging.WARNING if detector.info.fallback else logging.INFO, "%s", line)
        return Looking(detector)

    return load


def _reads(engine: str | None, model: str) -> bool:
    return any(entry.name == model and engine in entry.engines for entry in catalogue.entries())
