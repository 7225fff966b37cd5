"""The first fetch of a file whose hash the catalogue does not know: believed once, and held to it.

It comes over TLS, from a fixed commit where one is known. Its SHA-256 is noted beside it and printed; a
file that does not agree with the note later is not used. Whoever knows the hash can compare it, or write
the note before the fetch: then nothing else is accepted.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import httpx

from meerkat_contract.errors import ModelError

from . import store
from .catalogue import ModelFile

_log = logging.getLogger(__name__)

LARGEST = 64_000_000
"""Bytes; a network for an Edge TPU has 8 MB of memory to live in."""
LARGEST_WEIGHTS = 600_000_000
"""Bytes of Darknet's weights; YOLOv4 has 258 MB."""

_TFLITE = b"TFL3"
"""At offset 4 of every TensorFlow Lite file (FlatBuffers file identifier)."""


def fetch(file: ModelFile, target: Path, addresses: tuple[str, ...], client: httpx.Client) -> None:
    """Fetch `file` to `target` unless it lies there as noted. Raises ModelError, OSError.

    A server's error page is told from a model by the mark that TensorFlow Lite files carry.
    """
    note = target.with_name(target.name + store.NOTE)
    noted = store.noted_hash(target)
    if noted and target.is_file() and _hash(target) == noted:
        return
    part = target.with_name(target.name + ".part")
    found = _receive(file, part, addresses, client)
    if noted and found != noted:
        part.unlink()
        raise ModelError(
            f"{file.name} is not what its first fetch brought: SHA-256 is {found}, {noted} was noted",
            where=str(note),
            remedy="A commit never changes, a release should not: do not use it. If the note is wrong, "
            "remove it",
        )
    part.replace(target)
    store.note(target)
    _log.warning("%s: fetched for the first time and believed; its SHA-256 is %s", file.name, found)


def forget(target: Path) -> None:
    """Take back what was believed: the file and its note."""
    target.unlink(missing_ok=True)
    target.with_name(target.name + store.NOTE).unlink(missing_ok=True)


def _receive(file: ModelFile, part: Path, addresses: tuple[str, ...], client: httpx.Client) -> str:
    """Write what an address serves to `part`; returns its SHA-256."""
    largest = LARGEST_WEIGHTS if file.name.endswith(".weights") else LARGEST
    failures: list[str] = []
    for url in addresses:
        try:
            with client.stream("GET", url) as response, part.open("wb") as stream:
                response.raise_for_status()
                for chunk in response.iter_bytes():
                    stream.write(chunk)
                    if stream.tell() > largest:
                        raise ModelError(f"more than {largest:,} bytes arrive", where=url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failures.append(f"{url}: {error}")
            continue
        if file.name.endswith(".tflite") and _begin(part)[4:8] != _TFLITE:
            failures.append(f"{url}: {part.stat().st_size:,} bytes that are no TensorFlow Lite file")
            continue
        return _hash(part)
    part.unlink(missing_ok=True)
    raise ModelError(
        f"{file.name} could not be fetched ({'; '.join(failures)})",
        where="meerkat models pull",
        remedy="Check the network, or put the file and a note <file>.sha256 with its hash there yourself",
    )


def _begin(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(8)


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
