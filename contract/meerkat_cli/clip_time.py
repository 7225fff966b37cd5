"""When a clip began, from its file: a camera writes a file until the recording ends."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

LONGEST = timedelta(days=1)
"""What says to be longer is not believed."""


def began(content: bytes, modified: float, now: datetime) -> datetime:
    """The file's time less its length, and never in the future; `modified` is unix time.

    What is no MP4, or says no length, counts as having none.
    """
    seconds = mp4_seconds(content)
    length = timedelta(seconds=seconds) if seconds < LONGEST.total_seconds() else timedelta()
    return min(datetime.fromtimestamp(modified, UTC), now) - length


def mp4_seconds(content: bytes) -> float:
    """The length in the movie header (ISO 14496-12, 8.2.2), seconds; 0 where there is none."""
    view = memoryview(content)
    movie = _box(view, b"moov")
    header = None if movie is None else _box(movie, b"mvhd")
    if header is None:
        return 0.0
    try:
        if header[0] == 1:
            scale, duration = struct.unpack_from(">IQ", header, 20)
        else:
            scale, duration = struct.unpack_from(">II", header, 12)
    except (struct.error, IndexError):
        return 0.0
    return duration / scale if scale else 0.0


def _box(view: memoryview, kind: bytes) -> memoryview | None:
    """The content of the first box of this kind; None where the boxes end or make no sense."""
    at = 0
    while at + 8 <= len(view):
        size, found = struct.unpack_from(">I4s", view, at)
        head = 8
        if size == 1 and at + 16 <= len(view):
            (size,) = struct.unpack_from(">Q", view, at + 8)
            head = 16
        elif size == 0:
            size = len(view) - at
        if size < head:
            return None
        if found == kind:
            return view[at + head : at + size]
        at += size
    return None
