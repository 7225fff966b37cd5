"""The smallest media that the hub's own checks take for whole ones."""

from __future__ import annotations

import struct


def a_clip(media_id: str, seconds: float) -> bytes:
    """An MP4 whose boxes are right (ISO/IEC 14496-12), with the id where its pictures would be."""
    header = struct.pack(">IIIII", 0, 0, 0, 1000, round(seconds * 1000)) + bytes(80)
    return b"".join(
        (
            _box(b"ftyp", b"isom\0\0\0\0isom"),
            _box(b"moov", _box(b"mvhd", header)),
            _box(b"mdat", media_id.encode()),
        )
    )


def a_picture(media_id: str) -> bytes:
    """A JPEG with a frame header (ITU-T T.81, B.2.2) of 64 × 48 pixels and nothing to see."""
    comment = struct.pack(">BBH", 0xFF, 0xFE, 2 + len(media_id)) + media_id.encode()
    frame = struct.pack(">BBHBHHB", 0xFF, 0xC0, 11, 8, 48, 64, 1) + bytes((1, 0x11, 0))
    return b"\xff\xd8" + comment + frame + b"\xff\xd9"


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body
