"""The outbox's files: each tells by itself what it is, so that the database can be made anew from them.

    payload │ note: JSON of topic, order, metadata │ length and CRC-32 of it all │ mark

The tail is written before the file is synced, and the file synced before it is renamed. A file whose sum
is right is whole, whatever happened to the power; one whose sum is wrong is never handed over.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from meerkat_contract.errors import StorageError
from meerkat_contract.metadata import Metadata

_TAIL = struct.Struct(">II4s")
"""Bytes of the note; CRC-32 of payload and note; the mark."""
_MARK = b"MkO1"
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to hand over. `seq` grows in the order in which they were made; `size` is its payload's."""

    seq: int
    id: str
    topic: str
    metadata: Metadata
    retain: bool
    size: int

    @property
    def kind(self) -> str:
        """clip | picture | seen"""
        content = self.metadata.content_type
        return (
            "clip" if content.startswith("video/") else "picture" if content.startswith("image/") else "seen"
        )


def seal(path: Path, seq: int, topic: str, metadata: Metadata, *, retain: bool) -> Entry:
    """Append the tail to the payload in `path`. Raises StorageError."""
    about = {"seq": seq, "topic": topic, "retain": retain}
    note = json.dumps(about | {"metadata": metadata.model_dump(mode="json", by_alias=True)}).encode()
    with disk(path), path.open("rb+") as file:
        crc = size = 0
        while chunk := file.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
            size += len(chunk)
        file.write(note + _TAIL.pack(len(note), zlib.crc32(note, crc), _MARK))
    return Entry(seq, metadata.id, topic, metadata, retain, size)


def payload_of(path: Path, size: int) -> bytes | None:
    """The payload of `size` bytes; None when it is not what was sealed. Raises OSError."""
    with path.open("rb") as file:
        payload, rest = file.read(size), file.read()
    return payload if _intact(zlib.crc32(payload), rest) else None


def entry_of(path: Path) -> Entry | None:
    """What a file says of itself; None when it is not whole, or of another version. Raises OSError."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        if end < _TAIL.size:
            return None
        file.seek(end - _TAIL.size)
        length, _, mark = _TAIL.unpack(file.read())
        size = end - _TAIL.size - length
        if mark != _MARK or size < 0:
            return None
        file.seek(0)
        crc, left = 0, size
        while left and (chunk := file.read(min(_CHUNK, left))):
            crc = zlib.crc32(chunk, crc)
            left -= len(chunk)
        rest = file.read()
    if not _intact(crc, rest):
        return None
    try:
        note = json.loads(rest[: -_TAIL.size])
        metadata = Metadata.model_validate(note["metadata"])
        return Entry(int(note["seq"]), metadata.id, str(note["topic"]), metadata, bool(note["retain"]), size)
    except (ValueError, KeyError, TypeError, ValidationError):
        return None


def _intact(crc: int, rest: bytes) -> bool:
    """Whether note and tail are there and the sum is right; `crc` is the payload's."""
    if len(rest) < _TAIL.size:
        return False
    note = rest[: -_TAIL.size]
    return _TAIL.unpack(rest[-_TAIL.size :]) == (len(note), zlib.crc32(note, crc), _MARK)


def set_aside(
    path: Path,
    folder: Path,
    reason: str,
    *,
    size: int | None = None,
    about: Mapping[str, object] | None = None,
) -> None:
    """Move an entry's file to `folder`, cut to `size`, and what is known of it beside it: <id>.json.

    Raises StorageError.
    """
    with disk(folder):
        (folder / f"{path.stem}.json").write_text(json.dumps({"reason": reason, **(about or {})}, indent=1))
        if path.exists():
            aside = folder / path.stem
            path.replace(aside)
            if (
                size is not None and size < aside.stat().st_size
            ):  # last: cut, it would look damaged where it was
                os.truncate(aside, size)


def trim(folder: Path, max_bytes: int) -> None:
    """Delete the oldest of what was set aside. Raises StorageError."""
    with disk(folder):
        kept = sorted(
            (path for path in folder.iterdir() if not path.suffix), key=lambda path: path.stat().st_mtime
        )
        total = sum(path.stat().st_size for path in kept)
        for path in kept:
            if total <= max_bytes:
                break
            total -= path.stat().st_size
            path.unlink()
            path.with_suffix(".json").unlink(missing_ok=True)


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Say as a StorageError what the disk refuses."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error


def storage_error(error: OSError, path: Path) -> StorageError:
    return StorageError(
        f"the disk refuses: {error.strerror}",
        where=str(error.filename or path),
        remedy="Free some space, or check the folder's permissions; a worn SD card turns read-only",
    )


def sync(path: Path) -> None:
    """Make a file's content durable, or the names in a folder. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
