"""Open an embedder: the one that is named, or the best there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from meerkat_contract.errors import ModelError, UsageError
from meerkat_inference import catalogue, store
from meerkat_inference.catalogue import Entry
from meerkat_inference.engine import EDGE_TPU_LIBRARY, is_edge_tpu
from meerkat_inference.loading import candidates

from .embedder import Embedder

TASK = "recognise_faces"


def load_embedder(
    model: str | None = None,
    *,
    folders: Sequence[Path] = (),
    engine: str | None = None,
    device: str = "cpu",
    library: str = EDGE_TPU_LIBRARY,
    tried: bool = False,
    log: Callable[[str], None] | None = None,
) -> Embedder:
    """An embedder by its name in the catalogue, or the best whose files are on this machine.

    `folders` are searched after $MEERKAT_MODELS and the user's cache. `engine`, `device` and `library`
    are those of `open_engine`; on an Edge TPU only what is compiled for it is opened (the eyes are found
    on the processor, if they have to be). Raises UsageError when dlib is wanted and not installed, or
    when there is no embedder at all, ModelError when a named model is absent, does not load or does not
    run on the device. One that is `tried` and describes all alike (`trial`) counts as one that does not
    load. `log` takes one line in words.
    """
    open_it = partial(
        _open_tried if tried else _open, folders=folders, engine=engine, device=device, library=library
    )
    if model is not None:
        entry = catalogue.get(model)
        if entry.embedding is None:
            raise ModelError(
                f"{model} does not recognise faces",
                where="model",
                remedy=f"Name one of {', '.join(e.name for e in catalogue.ranked(TASK))}",
            )
        if entry not in candidates(TASK, device):
            raise ModelError(
                f"{model} runs on {' or '.join(entry.devices)}, not on {device}",
                where="model",
                remedy=f"Name one of {', '.join(e.name for e in candidates(TASK, device)) or 'none'}",
            )
        return open_it(entry)
    for entry in candidates(TASK, device):
        if store.locate(entry, folders=folders) is None:
            continue
        try:
            return open_it(entry)
        except (ModelError, UsageError) as error:
            if log is not None:
                log(f"Model {entry.name} is there but cannot be used: {error}")
    if is_edge_tpu(device):
        raise ModelError(
            "no model that recognises faces on an Edge TPU is there",
            where=TASK,
            remedy="Compile one for it, and describe it in a catalogue of your own ($MEERKAT_CATALOGUE)",
        )
    raise UsageError(
        "no model that recognises faces is there",
        where=TASK,
        remedy="`pip install 'meerkat-home[faces]'` installs one, `meerkat models pull sface` gets another",
    )


def _open_tried(
    entry: Entry, *, folders: Sequence[Path], engine: str | None, device: str, library: str
) -> Embedder:
    from .trial import must_tell_apart

    embedder = _open(entry, folders=folders, engine=engine, device=device, library=library)
    try:
        must_tell_apart(embedder, entry)
    except BaseException:
        embedder.close()
        raise
    return embedder


def _open(
    entry: Entry, *, folders: Sequence[Path], engine: str | None, device: str, library: str
) -> Embedder:
    if entry.family == "dlib":
        from .dlib_embedder import DlibEmbedder, import_dlib

        import_dlib()  # its absence is told before that of its files
        return DlibEmbedder(entry, store.find(entry, folders=folders))
    from meerkat_inference.opening import open_engine

    from .engine_embedder import EngineEmbedder
    from .landmarks import open_close_look

    files = store.find(entry, folders=folders)
    assert entry.embedding is not None
    wants_eyes = entry.embedding.alignment == "arcface"
    has_eyes = store.locate(catalogue.get("yunet"), folders=folders) is not None
    finder = open_close_look(folders=folders) if wants_eyes or has_eyes else None
    try:
        network = open_engine(files.model, kind=engine, device=device, library=library)
    except BaseException:
        if finder is not None:
            finder.close()
        raise
    return EngineEmbedder(store.as_found(entry, files), network, finder)
