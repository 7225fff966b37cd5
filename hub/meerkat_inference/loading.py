"""Open a detector: the one that is named, or the best there is.

detector = load_detector()                # the best model that is there, or the built-in fallback
for found in detector.detect(picture):    # (H, W, 3) uint8, BGR
    print(found.label, found.score, found.box)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from meerkat_contract.errors import ModelError

from . import catalogue, families, store
from .catalogue import Entry, Place
from .detector import FALLBACK, Detector
from .engine import is_edge_tpu
from .opening import check_installed

_log = logging.getLogger(__name__)


def load_detector(
    model: str | None = None,
    *,
    folders: Sequence[Path] = (),
    task: str | None = None,
    engine: str | None = None,
    device: str = "cpu",
    library: str = "",
    place: Place = "home",
    tried: bool = False,
    log: Callable[[str], None] | None = None,
) -> Detector:
    """A detector by its name in the catalogue, or the best whose files lie on the search path.

    `folders` are searched after $MEERKAT_MODELS and the user's cache. `device` and `library` are those
    of `open_engine`; a model that does not run there is passed over. A named model that is absent, does
    not load or is for another task than one that is given raises ModelError, and so does a named `engine`
    that is not installed. Without a name each model of the task (objects, if none is given) that is there
    is tried, the default first (in the cloud those that are meant for it), of those that `engine` runs if
    one is named; when none is left, `detect_objects` falls back to the built-in people detector
    (`info.fallback` is true and `log` says so), other tasks and an Edge TPU raise ModelError. One that is
    `tried` and does not see what it must (`trial`) counts as one that does not load. `log` takes one line
    in words; it goes to the log file when not given.
    """
    say = log or _log.info

    def build(entry: Entry, files: store.Files) -> Detector:
        detector = families.build(entry, files, kind=engine, device=device, library=library)
        if tried:
            from .trial import must_see

            try:
                must_see(detector, entry)
            except BaseException:
                detector.close()
                raise
        return detector

    if engine is not None:
        check_installed(engine)
    if model == FALLBACK:
        return _fallback()
    if model is not None:
        entry = catalogue.get(model)
        _check_task(entry, task)
        _check_device(entry, device)
        return build(entry, store.find(entry, folders=folders))
    task = task or "detect_objects"
    last: ModelError | None = None
    for entry in candidates(task, device, place):
        if engine is not None and engine not in entry.engines:
            continue
        found = store.locate(entry, folders=folders)
        if found is None:
            continue
        try:
            detector = build(entry, found)
        except ModelError as error:
            last = error
            say(f"Model {entry.name} is there but cannot be used: {error}")
            continue
        say(f"Looking with {entry.name} on {detector.info.engine}")
        return detector
    if is_edge_tpu(device) and last is not None:
        raise last
    by = f" that {engine} runs" if engine else " that runs on an Edge TPU" if is_edge_tpu(device) else ""
    if task != "detect_objects" or is_edge_tpu(device):
        names = " or ".join(entry.name for entry in candidates(task, device)) or "none"
        raise ModelError(
            f"no model for {task}{by} is there",
            remedy=f"`meerkat models pull` fetches one: {names}",
        )
    say(
        f"No model{by} is there: looking with the built-in people detector ({FALLBACK}), which sees only "
        "people who stand or walk. `meerkat models pull` fetches a better one"
    )
    return _fallback()


def candidates(task: str, device: str = "cpu", place: Place = "home") -> tuple[Entry, ...]:
    """The models of a task that can run on a device, the preferred first."""
    return tuple(entry for entry in catalogue.ranked(task, place) if _kind(device) in entry.devices)


def _kind(device: str) -> Literal["cpu", "edgetpu"]:
    return "edgetpu" if is_edge_tpu(device) else "cpu"


def _check_task(entry: Entry, task: str | None) -> None:
    if task is not None and entry.task != task:
        raise ModelError(
            f"{entry.name} is for {entry.task}, not for {task}",
            where="model",
            remedy=f"Name one of {', '.join(e.name for e in catalogue.ranked(task)) or 'none'}",
        )


def _check_device(entry: Entry, device: str) -> None:
    if _kind(device) not in entry.devices:
        raise ModelError(
            f"{entry.name} runs on {' or '.join(entry.devices)}, not on {device}",
            where="model",
            remedy=f"Name one of {', '.join(e.name for e in candidates(entry.task, device)) or 'none'}",
        )


def _fallback() -> Detector:
    from .hog import HogDetector

    return HogDetector()
