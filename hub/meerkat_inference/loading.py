"""Open a detector: the one that is named, or the best there is.

detector = load_detector()                # the best model that is there, or the built-in fallback
for found in detector.detect(picture):    # (H, W, 3) uint8, BGR
    print(found.label, found.score, found.box)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from meerkat_contract.errors import ModelError

from . import catalogue, families, store
from .detector import FALLBACK, Detector

_log = logging.getLogger(__name__)


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
