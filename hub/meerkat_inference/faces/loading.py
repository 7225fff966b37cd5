"""Open an embedder: the one that is named, or the best there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from meerkat_contract.errors import ModelError, UsageError
from meerkat_inference import catalogue, store
from meerkat_inference.catalogue import Entry

from .embedder import Embedder

TASK = "recognise_faces"


def load_embedder(
    model: str | None = None,
    *,
    folders: Sequence[Path] = (),
    engine: str | None = None,
    device: str = "cpu",
    log: Callable[[str], None] | None = None,
) -> Embedder:
    """An embedder by its name in the catalogue, or the best whose files are on this machine.

    `folders` are searched after $MEERKAT_MODELS and the user's cache. `engine` and `device` are those
    of `open_engine`. Raises UsageError when dlib is wanted and not installed, ModelError when a named
    model is absent or does not load, or when there is none at all. `log` takes one line in words.
    """
    if model is not None:
        entry = catalogue.get(model)
        if entry.embedding is None:
            raise ModelError(
                f"{model} does not recognise faces",
                where="model",
                remedy=f"Name one of {', '.join(e.name for e in catalogue.ranked(TASK))}",
            )
        return _open(entry, folders=folders, engine=engine, device=device)
    for entry in catalogue.ranked(TASK):
        if store.locate(entry, folders=folders) is None:
            continue
        try:
            return _open(entry, folders=folders, engine=engine, device=device)
        except (ModelError, UsageError) as error:
            if log is not None:
                log(f"Model {entry.name} is there but cannot be used: {error}")
    raise UsageError(
        "no model that recognises faces is there",
        where=TASK,
        remedy="`pip install 'meerkat-home[faces]'` installs one, `meerkat models pull sface` gets another",
    )


def _open(entry: Entry, *, folders: Sequence[Path], engine: str | None, device: str) -> Embedder:
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
        network = open_engine(files.model, kind=engine, device=device)
    except BaseException:
        if finder is not None:
            finder.close()
        raise
    return EngineEmbedder(store.as_found(entry, files), network, finder)
