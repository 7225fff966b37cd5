"""Is this a whole video file? Read from its outermost structure alone, without decoding anything.

The hub must not let a damaged clip in, and must not run a video library on strangers' bytes: it
walks the top-level boxes of an MP4 (ISO/IEC 14496-12, 4.2) and compares their sizes with the
file's. Other containers are recognised by their first bytes (Matroska: RFC 8794 EBML; AVI: RIFF;
MPEG-TS: 0x47 every 188 bytes). What is inside is the worker's to judge.
"""

from __future__ import annotations

from meerkat_contract.errors import MediaError

REMEDY = "Send a complete MP4, Matroska, AVI or MPEG-TS file"
TS_PACKET = 188


def check_video(data: bytes | bytearray | memoryview, *, where: str) -> str:
    """The content type of a whole video; raises MediaError that says what is wrong with it."""
    view = memoryview(data)
    if len(view) == 0:
        raise MediaError("the clip is empty (0 bytes)", where=where, remedy=REMEDY)
    head = bytes(view[:12])
    if head[4:8] in (b"ftyp", b"moov", b"styp", b"wide", b"mdat", b"free", b"skip"):
        _check_mp4(view, where)
        return "video/mp4"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "video/x-matroska"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "video/x-msvideo"
    if len(view) > 2 * TS_PACKET and view[0] == view[TS_PACKET] == view[2 * TS_PACKET] == 0x47:
        return "video/mp2t"
    raise MediaError(f"the clip is not a video: it begins with {head[:8]!r}", where=where, remedy=REMEDY)


def _check_mp4(view: memoryview, where: str) -> None:
    offset, found = 0, set()
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
        found.add(kind)
        offset += size
    for kind, meaning in ((b"moov", "index"), (b"mdat", "pictures")):
        if kind not in found:
            raise MediaError(
                f"the MP4 has no {kind.decode()} box, its {meaning} are missing", where=where, remedy=REMEDY
            )


def _truncated(offset: int, want: int, have: int, where: str) -> MediaError:
    return MediaError(
        f"the clip is truncated: at byte {offset} it promises {want} bytes and has {have}",
        where=where,
        remedy=REMEDY,
    )
