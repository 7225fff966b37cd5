"""Is this a whole video file, and how long? Read from its structure alone, without decoding anything.

The hub must not let a damaged clip in, and must not run a video library on strangers' bytes: it
walks the boxes of an MP4 (ISO/IEC 14496-12, 4.2), compares their sizes with the file's, and reads
the duration from the movie header (8.2.2). Other containers are recognised by their first bytes
(Matroska: RFC 8794 EBML; AVI: RIFF; MPEG-TS: 0x47 every 188 bytes). What is inside is the worker's
to judge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from meerkat_contract.errors import MediaError

REMEDY = "Send a complete MP4, Matroska, AVI or MPEG-TS file"
TS_PACKET = 188

SLOWEST = 125_000
"""Bytes a second assumed where a container does not tell its duration: 1 Mbit/s, so that it errs long."""


@dataclass(frozen=True, slots=True)
class Video:
    content_type: str
    duration: float
    """Seconds: as the container says, else guessed from its size."""


def check_video(data: bytes | bytearray | memoryview, *, where: str) -> Video:
    """What a whole video is; raises MediaError that says what is wrong with it."""
    view = memoryview(data)
    if len(view) == 0:
        raise MediaError("the clip is empty (0 bytes)", where=where, remedy=REMEDY)
    guess = len(view) / SLOWEST
    head = bytes(view[:12])
    if head[4:8] in (b"ftyp", b"moov", b"styp", b"wide", b"mdat", b"free", b"skip"):
        return Video("video/mp4", _check_mp4(view, where) or guess)
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return Video("video/x-matroska", guess)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return Video("video/x-msvideo", guess)
    if len(view) > 2 * TS_PACKET and view[0] == view[TS_PACKET] == view[2 * TS_PACKET] == 0x47:
        return Video("video/mp2t", guess)
    raise MediaError(f"the clip is not a video: it begins with {head[:8]!r}", where=where, remedy=REMEDY)


def _check_mp4(view: memoryview, where: str) -> float:
    """Seconds by the movie header; 0 where it does not say."""
    found: dict[bytes, memoryview] = {}
    for kind, body in _boxes(view, where):
        found.setdefault(kind, body)
    for kind, meaning in ((b"moov", "index"), (b"mdat", "pictures")):
        if kind not in found:
            raise MediaError(
                f"the MP4 has no {kind.decode()} box, its {meaning} are missing", where=where, remedy=REMEDY
            )
    for kind, body in _boxes(found[b"moov"], where):
        if kind == b"mvhd":
            return _movie_seconds(body)
    return 0.0


def _movie_seconds(header: memoryview) -> float:
    wide = len(header) >= 32 and header[0] == 1
    if not wide and len(header) < 20:
        return 0.0
    scale = int.from_bytes(header[20:24] if wide else header[12:16])
    length = int.from_bytes(header[24:32] if wide else header[16:20])
    unknown = (1 << (64 if wide else 32)) - 1
    return length / scale if scale and length != unknown else 0.0


def _boxes(view: memoryview, where: str) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and content of each box; raises MediaError where one does not fit."""
    offset = 0
    while offset < len(view):
        left = len(view) - offset
        if left < 8:
            raise _truncated(offset, 8, left, where)
        size = int.from_bytes(view[offset : offset + 4])
        kind = bytes(view[offset + 4 : offset + 8])
        header = 8
        if size == 1 and left >= 16:
            size, header = int.from_bytes(view[offset + 8 : offset + 16]), 16
        elif size == 0:  # to the end of the file
            size = left
        if size < header:
            raise MediaError(f"the MP4 is damaged at byte {offset}", where=where, remedy=REMEDY)
        if size > left:
            raise _truncated(offset, size, left, where)
        yield kind, view[offset + header : offset + size]
        offset += size


def _truncated(offset: int, want: int, have: int, where: str) -> MediaError:
    return MediaError(
        f"the clip is truncated: at byte {offset} it promises {want} bytes and has {have}",
        where=where,
        remedy=REMEDY,
    )
