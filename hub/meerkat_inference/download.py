"""Fetch model files: resumed where they stopped, checked, and moved into place whole.

A file grows as `<name>.part` beside its target; `<name>.part.json` remembers where it comes from and
the server's mark of its version (ETag), so that a later start goes on only if upstream's file is still
the same. What arrives is believed only when size and SHA-256 are those of the catalogue.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from meerkat_contract.errors import ModelError, StorageError

from . import catalogue, first_fetch, store
from .catalogue import Entry, ModelFile

_log = logging.getLogger(__name__)

_LASTING = frozenset({400, 401, 403, 404, 405, 410, 451})
"""HTTP statuses that another try does not change."""

Progress = Callable[[int], None]
"""Is told how many bytes of the file are there."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often to try."""

    attempts: int = 4
    connect: float = 10.0
    stall: float = 20.0
    """Seconds without a byte after which the connection is given up."""
    total: float = float("inf")
    """Seconds after which no further attempt begins and a running one ends."""
    pause: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


class _Try(Exception):
    """This attempt failed and another may succeed."""


class _Leave(Exception):
    """This address will not do; the next one may."""


@dataclass(slots=True)
class _Download:
    """One file on its way from one address."""

    url: str
    file: ModelFile
    target: Path
    client: httpx.Client
    progress: Progress
    deadline: float
    clock: Callable[[], float]
    part: Path = field(init=False)
    note: Path = field(init=False)

    def __post_init__(self) -> None:
        self.part = self.target.with_name(self.target.name + ".part")
        self.note = self.target.with_name(self.target.name + ".part.json")

    def attempt(self) -> None:
        """Fetch what is missing, check the whole, move it into place. Raises _Try or _Leave."""
        have = self._usable()
        if have < self.file.bytes:
            self._fetch(have)
        self._check(resumed=have > 0)
        self.part.replace(self.target)
        self.note.unlink(missing_ok=True)

    def discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def _usable(self) -> int:
        """Bytes of an earlier attempt that can be built on."""
        if not self.part.exists():
            return 0
        if self._remembered().get("sha256") != self.file.sha256 or self.part.stat().st_size > self.file.bytes:
            self.discard()
            return 0
        return self.part.stat().st_size

    def _remembered(self) -> dict[str, str]:
        try:
            data = json.loads(self.note.read_text())
        except (OSError, ValueError):
            return {}
        return data if isinstance(data, dict) else {}

    def _fetch(self, have: int) -> None:
        headers = {"Accept-Encoding": "identity"}
        remembered = self._remembered()
        if have:
            headers["Range"] = f"bytes={have}-"
            # A weak mark may not be used here (RFC 9110, 13.1.5); the hash guards that case.
            if remembered.get("url") == self.url and remembered.get("etag", "W/").startswith('"'):
                headers["If-Range"] = remembered["etag"]
        try:
            with self.client.stream("GET", self.url, headers=headers) as response:
                self._receive(response, have)
        except httpx.TimeoutException as error:
            raise _Try(f"the server did not answer in time ({type(error).__name__})") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise _Leave(f"not a usable address: {error}") from error
        except httpx.HTTPError as error:
            raise _Try(str(error) or type(error).__name__) from error

    def _receive(self, response: httpx.Response, have: int) -> None:
        status = response.status_code
        if status == 416:
            self.discard()
            raise _Try("the server has less than what is here; starting over")
        if status in _LASTING:
            raise _Leave(f"the server answers {status} {response.reason_phrase}")
        if status not in (200, 206):
            raise _Try(f"the server answers {status} {response.reason_phrase}")
        if status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            self.discard()
            raise _Try("the server sent another part than was asked for; starting over")
        if status == 200:
            have = 0  # it does not resume, or its file is another now
        etag = response.headers.get("ETag", "")
        self.note.write_text(json.dumps({"url": self.url, "etag": etag, "sha256": self.file.sha256}))
        with self.part.open("ab" if have else "wb") as stream:
            self.progress(have)
            for chunk in response.iter_bytes():
                have += len(chunk)
                if have > self.file.bytes:
                    raise _Wrong(f"more than the {self.file.bytes} bytes of the catalogue arrive")
                stream.write(chunk)
                self.progress(have)
                if self.clock() > self.deadline:
                    raise _Try("the time for it is over")
        if have < self.file.bytes:
            raise _Try(f"the connection ended at {have} of {self.file.bytes} bytes")

    def _check(self, *, resumed: bool) -> None:
        with self.part.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found == self.file.sha256:
            return
        self.discard()
        if resumed:
            raise _Try("the parts do not fit together; starting over")
        raise _Wrong(f"SHA-256 is {found[:12]}…, the catalogue says {self.file.sha256[:12]}…")


class _Wrong(_Leave):
    """The server's file is not the catalogue's."""


def pull(
    entry: Entry,
    folder: Path | None = None,
    *,
    patience: Patience | None = None,
    progress: Callable[[ModelFile, int], None] | None = None,
    hub: str = "",
) -> Path:
    """Put all files of a model into `folder` (the user's cache when None); returns the model's file.

    Files that are there already and sound are left. $MEERKAT_MODELS_MIRROR, a base address that serves
    the files by their names, replaces upstream; `hub`, the address of a hub, is asked before either.
    `progress` is told of each file how many bytes are there. Raises ModelError with the addresses and
    the folder to put the file by hand, StorageError when the folder cannot be written.
    """
    if not hub:
        _check_source(entry)
    folder = folder or store.cache_folder()
    patience = patience or Patience()
    deadline = patience.clock() + patience.total
    tell = progress or _tell_nobody
    try:
        folder.mkdir(parents=True, exist_ok=True)
        timeout = httpx.Timeout(patience.stall, connect=patience.connect)
        with _alone(folder), httpx.Client(timeout=timeout, follow_redirects=True) as client:
            for file in entry.files:
                target = folder / file.name
                if not file.pinned:
                    first_fetch.fetch(file, target, addresses(entry, file), client)
                elif not _sound(target, file):
                    _fetch(
                        entry,
                        file,
                        target,
                        urls=(*_at_hub(hub, file), *addresses(entry, file)),
                        client=client,
                        patience=patience,
                        deadline=deadline,
                        tell=tell,
                    )
                tell(file, target.stat().st_size)
            _check_pair(entry, folder)
    except OSError as error:
        raise StorageError(
            f"the model cannot be written: {error.strerror or error}",
            where=str(folder),
            remedy="Free some space, or name another folder with --folder",
        ) from error
    return folder / entry.model.name


def _check_pair(entry: Entry, folder: Path) -> None:
    """Raise ModelError, and keep nothing, when Darknet's files of unknown hash do not belong together.

    A page that says sorry, or half a file, is told from weights by their size.
    """
    new = [folder / file.name for file in entry.files if not file.pinned]
    config = next((folder / file.name for file in entry.files if file.role == "config"), None)
    if entry.family != "darknet" or config is None or not new:
        return
    from .engines.darknet_files import check_darknet

    try:
        check_darknet(folder / entry.model.name, config)
    except ModelError:
        for path in new:
            first_fetch.forget(path)
        raise


def _check_source(entry: Entry) -> None:
    """Raise ModelError for a model that no server has."""
    if entry.package:
        raise ModelError(
            f"{entry.name} comes with the Python package {entry.package} and is not fetched",
            where="meerkat models pull",
            remedy="`pip install 'meerkat-home[faces]'` installs it",
        )
    if not addresses(entry, entry.model):
        raise ModelError(
            f"nobody said where {entry.name} is fetched",
            where="meerkat models pull",
            remedy=f"Put {entry.model.name} into {store.cache_folder()}, or name repository and commit",
        )


def _at_hub(hub: str, file: ModelFile) -> tuple[str, ...]:
    """Where a hub serves the file."""
    return (f"{hub.rstrip('/')}/api/models/{file.sha256}",) if hub else ()


def addresses(entry: Entry, file: ModelFile) -> tuple[str, ...]:
    """Where the file is fetched: the mirror alone when one is set, else upstream."""
    mirror = os.environ.get("MEERKAT_MODELS_MIRROR", "").rstrip("/")
    return (f"{mirror}/{file.name}",) if mirror else entry.urls(file)


def fetch_default(
    *,
    folders: Sequence[Path] = (),
    task: catalogue.Task = "detect_objects",
    log: Callable[[str], None] | None = None,
    progress: Callable[[ModelFile, int], None] | None = None,
    seconds: float = 20.0,
) -> Path | None:
    """A model for the task: one that is on the search path, else the default one, fetched. For a first start.

    One attempt of at most about `seconds`, into the user's cache; when it fails `log` gets one line in
    words and None is returned, so that the worker goes on with what there is.
    """
    for present in catalogue.ranked(task):
        files = store.locate(present, folders=folders)
        if files is not None:
            return files.model
    entry = catalogue.default(task)
    say = log or _log.warning
    patience = Patience(attempts=1, connect=min(5.0, seconds), stall=min(8.0, seconds), total=seconds)
    try:
        return pull(entry, patience=patience, progress=progress)
    except (ModelError, StorageError) as error:
        say(f"The model {entry.name} could not be fetched, going on without it: {error}")
        return None


def _tell_nobody(file: ModelFile, have: int) -> None:
    del file, have


def _fetch(
    entry: Entry,
    file: ModelFile,
    target: Path,
    *,
    urls: Sequence[str],
    client: httpx.Client,
    patience: Patience,
    deadline: float,
    tell: Callable[[ModelFile, int], None],
) -> None:
    """Try each address in turn, each up to `patience.attempts` times."""
    failures: list[str] = []
    for url in urls:
        download = _Download(
            url, file, target, client, lambda have: tell(file, have), deadline, patience.clock
        )
        try:
            _persist(download, patience, deadline)
        except _Leave as failure:
            failures.append(f"{_host(url)}: {failure}")
        else:
            return
    source = (entry.urls(file) or urls)[0]
    raise ModelError(
        f"{file.name} could not be fetched ({'; '.join(failures)})",
        where=f"model {entry.name}",
        remedy=f"Check the network, or fetch {source} elsewhere and put it into {target.parent}",
    )


def _host(url: str) -> str:
    """Whom to name when it fails: the host, or the whole of an address that is none."""
    try:
        return httpx.URL(url).host or url
    except httpx.InvalidURL:
        return url


def _persist(download: _Download, patience: Patience, deadline: float) -> None:
    """Attempt, pause, attempt again; raises _Leave with the last reason when the patience is over."""
    wait = 0.5
    for number in range(1, patience.attempts + 1):
        try:
            download.attempt()
            return
        except _Wrong:
            download.discard()
            raise
        except _Try as failure:
            if number == patience.attempts or patience.clock() + wait > deadline:
                raise _Leave(str(failure)) from failure
            _log.debug("%s: %s; trying again", download.url, failure)
            patience.pause(wait * random.uniform(0.75, 1.25))
            wait *= 2


def _sound(path: Path, file: ModelFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second process from writing the same files at the same time; it waits."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
