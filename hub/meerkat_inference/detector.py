"""From a picture to what is in it: a detector is a network with its pre- and post-processing.

detector = load_detector()                # the best model that is there, or the built-in fallback
for found in detector.detect(picture):    # (H, W, 3) uint8, BGR
    print(found.label, found.score, found.box)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from meerkat_contract.errors import ModelError
from meerkat_contract.messages import ModelInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FALLBACK = "hog-people"
"""Name of the built-in detector of last resort: people only, no file needed."""

FLOOR = 0.1
"""Calibrated score below which a detector does not report a box."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """One object in one picture.

    `label` is a word of `meerkat_contract.vocabulary`; `score` is calibrated to 0..1 with 0.5 as the
    model's working point (the threshold at which it errs least); `box` is x, y, width, height in
    fractions of the picture from its top left, clipped to it.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]


class Detector(Protocol):
    """Finds objects in pictures, one at a time, on the thread that uses it."""

    @property
    def info(self) -> ModelInfo: ...

    def detect(self, picture: NDArray[np.uint8]) -> list[Found]:
        """Objects in a BGR picture of shape (H, W, 3), best first, with scores of FLOOR and more.

        The picture is not changed. Raises MediaError for an array of another shape or type and
        ModelError when the network fails: no failure reads as an empty picture.
        """
        ...

    def close(self) -> None: ...


def load_detector(
    model: str | None = None,
    *,
    folders: Sequence[Path] = (),
    task: str = "detect_objects",
    engine: str | None = None,
    device: str = "cpu",
    log: Callable[[str], None] | None = None,
) -> Detector:
    """A detector by its name in the catalogue, or the best whose files lie on the search path.

    `folders` are searched after $MEERKAT_MODELS and the user's cache. A named model that is absent or
    does not load raises ModelError. Without a name each model that is there is tried, the default
    first; when none is left, `detect_objects` falls back to the built-in people detector
    (`info.fallback` is true and `log` says so) and other tasks raise ModelError. `log` takes one line
    in words; it goes to the log file when not given.
    """
    from . import catalogue, families, store

    say = log or _log.info
    if model == FALLBACK:
        return _fallback()
    if model is not None:
        entry = catalogue.get(model)
        return families.build(entry, store.find(entry, folders=folders), kind=engine, device=device)
    for entry in catalogue.ranked(task):
        files = store.locate(entry, folders=folders)
        if files is None:
            continue
        try:
            detector = families.build(entry, files, kind=engine, device=device)
        except ModelError as error:
            say(f"Model {entry.name} is there but cannot be used: {error}")
            continue
        say(f"Looking with {entry.name} on {detector.info.engine}")
        return detector
    if task != "detect_objects":
        raise ModelError(
            f"no model for {task} is there", remedy="`meerkat models list` shows which can be pulled"
        )
    say(
        f"No model is there: looking with the built-in people detector ({FALLBACK}), which sees only "
        "people who stand or walk. `meerkat models pull` fetches a better one"
    )
    return _fallback()


def _fallback() -> Detector:
    from .hog import HogDetector

    return HogDetector()
