"""The first fetch of a file whose hash the catalogue does not know: believed once, and held to it.

It comes over TLS from a fixed commit. Its SHA-256 is noted beside it and printed; a file that does not
agree with the note later is not used. Whoever knows the hash can compare it, or write the note before
the fetch: then nothing else is accepted.
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

_TFLITE = b"TFL3"
"""At offset 4 of every TensorFlow Lite file (FlatBuffers file identifier)."""


def fetch(file: ModelFile, target: Path, addresses: tuple[str, ...], client: httpx.Client) -> None:
    """Fetch `file` to `target` unless it lies there as noted. Raises ModelError, OSError.

    A server's error page is told from a model by the mark that TensorFlow Lite files carry.
    """
    note = target.with_name(target.name + store.NOTE)
    noted = store.noted_hash(target)
    if noted and target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == noted:
        return
    data = _receive(file, addresses, client)
    found = hashlib.sha256(data).hexdigest()
    if noted and found != noted:
        raise ModelError(
            f"{file.name} is not what its first fetch brought: SHA-256 is {found}, {noted} was noted",
            where=str(note),
            remedy="Upstream never changes a commit: do not use it. If the note is wrong, remove it",
        )
    part = target.with_name(target.name + ".part")
    part.write_bytes(data)
    part.replace(target)
    note.write_text(found + "\n")
    _log.warning("%s: fetched for the first time and believed; its SHA-256 is %s", file.name, found)


def _receive(file: ModelFile, addresses: tuple[str, ...], client: httpx.Client) -> bytes:
    failures: list[str] = []
    for url in addresses:
        try:
            with client.stream("GET", url) as response:
                response.raise_for_status()
                data = bytearray()
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > LARGEST:
                        raise ModelError(f"more than {LARGEST:,} bytes arrive", where=url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            failures.append(f"{url}: {error}")
            continue
        if file.name.endswith(".tflite") and data[4:8] != _TFLITE:
            failures.append(f"{url}: {len(data):,} bytes that are no TensorFlow Lite file")
            continue
        return bytes(data)
    raise ModelError(
        f"{file.name} could not be fetched ({'; '.join(failures)})",
        where="meerkat models pull",
        remedy="Check the network, or put the file and a note <file>.sha256 with its hash there yourself",
    )
