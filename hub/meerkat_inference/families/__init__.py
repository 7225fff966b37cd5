"""Families of networks: how a picture goes in and how boxes come out, one module per family."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from meerkat_contract.errors import ModelError

if TYPE_CHECKING:
    from meerkat_inference.catalogue import Entry
    from meerkat_inference.detector import Detector
    from meerkat_inference.engine import Engine
    from meerkat_inference.store import Files

Family = Callable[["Entry", "Engine", tuple[str, ...]], "Detector"]


def _load(name: str) -> Family:
    """Import the family's module only when one of its models is used."""
    if name == "yolox":
        from .yolox import Yolox

        return Yolox
    if name == "ssd":
        from .ssd import Ssd

        return Ssd
    if name == "fastestdet":
        from .fastestdet import FastestDet

        return FastestDet
    if name == "darknet":
        from .darknet import Darknet

        return Darknet
    if name == "yunet":
        from .yunet import YuNet

        return YuNet
    if name == "slim":
        from .slim import Slim

        return Slim
    raise ModelError(
        f"no family is named {name!r}", where="catalogue", remedy="Update Meerkat: its catalogue is newer"
    )


def build(
    entry: Entry, files: Files, *, kind: str | None = None, device: str = "cpu", library: str = ""
) -> Detector:
    """A detector for a catalogue entry whose files are on disk. Raises ModelError with the remedy."""
    from meerkat_inference import store
    from meerkat_inference.engine import EDGE_TPU_LIBRARY
    from meerkat_inference.opening import open_engine

    entry = store.as_found(entry, files)
    family = _load(entry.family)
    labels = entry.labels or files.labels()
    engine = open_engine(
        files.model,
        kind=kind,
        config=files.config,
        device=device,
        library=library or EDGE_TPU_LIBRARY,
    )
    try:
        return family(entry, engine, labels)
    except BaseException:
        engine.close()
        raise
