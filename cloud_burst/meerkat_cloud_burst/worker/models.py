"""Which model looks, and where its files come from: this machine's search path, else the bucket.

A file from the bucket is believed only when size and SHA-256 are those of the catalogue, or, where the
catalogue does not know them, of the note that lies beside it (what `meerkat burst deploy` fetched). It is
kept in the user's cache, where every model of this machine lies.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from meerkat_cloud_burst.errors import Gone
from meerkat_cloud_burst.messages import model_key
from meerkat_cloud_burst.worker.own_catalogue import find_entry
from meerkat_contract.errors import ModelError, StorageError
from meerkat_inference import catalogue, store
from meerkat_inference.catalogue import Entry, ModelFile
from meerkat_inference.detector import FALLBACK, Detector

TASK = "detect_objects"
OPENCV = "opencv"

Fetch = Callable[[str, Path], None]
"""Downloads the object of that key to a path; raises CloudError, Gone where there is none."""

_logger = logging.getLogger(__name__)


class Models:
    """Opens the model that an order names. Holds one open, that of the last order."""

    def __init__(
        self, fetch: Fetch, *, model: str = "", engine: str = OPENCV, folders: Sequence[Path] = ()
    ) -> None:
        """`model`: for orders that name none; empty: the best Darknet model that is here or in the bucket."""
        self._fetch = fetch
        self._model = model
        self._engine = engine
        self._folders = tuple(folders)
        self._name = ""
        self._open: Detector | None = None

    def open(self, name: str = "") -> Detector:
        """The detector of that name, or of this worker's own choice. Raises ModelError or CloudError."""
        wanted = name or self._model
        if self._open is not None and wanted in ("", self._name):
            return self._open
        if wanted == "":
            return self._keep(self._best())
        return self._keep(wanted)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _keep(self, name: str) -> Detector:
        """Open it in place of what is open: two large networks may need more memory than there is."""
        from meerkat_inference.loading import load_detector

        if name == FALLBACK:
            self.close()
            self._open, self._name, self._model = load_detector(FALLBACK), name, self._model or name
            return self._open
        entry = find_entry(name, self._fetch)
        if entry.task != TASK:
            raise ModelError(
                f"model {name} does not look for objects ({entry.task})",
                where="model",
                remedy="Name a model of the task detect_objects: `meerkat models list`",
            )
        try:
            self._bring(entry)
        except Gone as error:
            raise ModelError(
                f"model {name} is neither on this machine nor in the bucket",
                where=error.where,
                remedy=f"`meerkat burst deploy` uploads it, `meerkat models pull {name}` fetches it",
            ) from error
        self.close()
        kind = self._engine if entry.family == "darknet" else None
        self._open = load_detector(name, folders=self._folders, task=TASK, engine=kind, tried=True)
        self._name, self._model = name, self._model or name
        return self._open

    def _best(self) -> str:
        """The first Darknet model of the catalogue that is here, else that is in the bucket."""
        entries = [entry for entry in catalogue.ranked(TASK, "cloud") if entry.family == "darknet"]
        for entry in entries:
            if store.locate(entry, folders=self._folders) is not None:
                return entry.name
        for entry in entries:
            try:
                self._bring(entry)
            except Gone:
                continue
            return entry.name
        raise ModelError(
            "no Darknet model is on this machine, and none in the bucket",
            where=os.pathsep.join(str(folder) for folder in store.search_path(self._folders)),
            remedy="`meerkat models pull yolo-fastest` fetches one; `meerkat burst deploy` fills the bucket",
        )

    def _bring(self, entry: Entry) -> None:
        """See to it that all its files are here. Raises Gone for one that the bucket does not have."""
        for file in entry.files:
            if store.locate_file(file, folders=self._folders) is None and not entry.package:
                self._download(file)

    def _download(self, file: ModelFile) -> None:
        folder = store.cache_folder()
        part = folder / f"{file.name}.{secrets.token_hex(4)}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            wanted = file.sha256 or self._noted(file, part)
            self._fetch(model_key(file.name), part)
            _check(part, file, wanted)
            part.replace(folder / file.name)
            if not file.pinned:
                store.note(folder / file.name)
        except OSError as error:
            raise StorageError(
                f"a model cannot be kept ({error.strerror})",
                where=str(folder),
                remedy="Free space there, or set XDG_CACHE_HOME to a folder that can be written",
            ) from error
        finally:
            part.unlink(missing_ok=True)
        size = (folder / file.name).stat().st_size
        _logger.info("Fetched %s, %.1f MB, from the bucket", file.name, size / 1e6)

    def _noted(self, file: ModelFile, part: Path) -> str:
        """The SHA-256 that whoever filled the bucket wrote down."""
        self._fetch(model_key(file.name + store.NOTE), part)
        return part.read_text(encoding="ascii", errors="replace").strip()


def _check(path: Path, file: ModelFile, wanted: str) -> None:
    """Raises ModelError when the file is not what is wanted."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != wanted:
        raise ModelError(
            f"the bucket's file is another one: {size:,} bytes with SHA-256 {found[:12]}…, "
            f"wanted is {wanted[:12]}…",
            where=model_key(file.name),
            remedy="`meerkat burst deploy` uploads it again",
        )
