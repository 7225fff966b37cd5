"""A picture file of whatever kind becomes pixels, or an error in words.

Its header is looked at first: a small file may say that it unpacks to gigabytes, and is refused for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from meerkat_contract.errors import MediaError, StorageError
from meerkat_inference.picture import decode_jpeg, jpeg_size

from .unwritable import unwritable

if TYPE_CHECKING:
    from meerkat_inference.picture import Picture

LARGEST = 50_000_000
"""Pixels. The largest camera modules of a Pi give 16 million, a phone 50."""
LARGEST_FILE = 100_000_000
"""Bytes."""
_PNG, _GIF, _RIFF, _BMP, _JPEG = b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"BM", b"\xff\xd8"
_KNOWN = "a JPEG, PNG, WebP, GIF or BMP"


def read_picture(path: Path) -> Picture:
    """(height, width, 3) BGR of a file, see `decode`. Raises MediaError that names the file."""
    try:
        if path.is_file() and path.stat().st_size > LARGEST_FILE:
            raise MediaError(
                f"a file of {path.stat().st_size / 1e6:.0f} MB", where=str(path), remedy=f"Give {_KNOWN}"
            )
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"cannot be read: {why}", where=str(path), remedy="Name a picture") from error
    try:
        return decode(data)
    except MediaError as error:
        raise MediaError(error.what, where=str(path), remedy=error.remedy) from error


def write_picture(path: Path, picture: Picture) -> None:
    """Write (height, width, 3) BGR, of the type that the name ends in. Raises StorageError."""
    import cv2

    try:
        done, data = cv2.imencode(path.suffix.lower() or ".png", picture)
    except cv2.error as error:
        raise StorageError(
            f"OpenCV writes no pictures of type {path.suffix}", where=str(path), remedy="Name a .png or .jpg"
        ) from error
    if not done:
        raise StorageError("the picture cannot be encoded", where=str(path), remedy="Name a .png or .jpg")
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise unwritable(path, error) from error


def decode(data: bytes, *, max_pixels: int = LARGEST) -> Picture:
    """(height, width, 3) BGR uint8, turned as the camera was held (Exif).

    16 bits become 8, an alpha channel is left out, CMYK and grey become colours, of an animation the
    first picture counts. Raises MediaError: no picture, cut off, damaged, or too large to unpack.
    """
    if data.startswith(_JPEG):
        return decode_jpeg(data, max_pixels=max_pixels)
    width, height = picture_size(data)
    if not 0 < width * height <= max_pixels:
        raise MediaError(
            f"a picture of {width}x{height} pixels: up to {max_pixels:,} are read",
            where="picture",
            remedy="Set a smaller picture size on the camera",
        )
    return _unpack(data)


def _unpack(data: bytes) -> Picture:
    import cv2
    import numpy as np

    damaged = MediaError(
        "a picture that is damaged or cut off", where="picture", remedy="Send it again, and whole"
    )
    log = cv2.utils.logging
    level = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)  # it would print what the error says
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise damaged from error
    finally:
        log.setLogLevel(level)
    if picture is None:
        raise damaged
    return np.asarray(picture, np.uint8)


def picture_size(data: bytes) -> tuple[int, int]:
    """(width, height) as the header states it, before any rotation by Exif. Raises MediaError."""
    if data.startswith(_JPEG):
        return jpeg_size(data)
    for mark, size in _SIZES.items():
        if data.startswith(mark) and (found := size(data)) is not None:
            return found
    raise MediaError(
        f"{len(data)} bytes that do not begin like a picture" if data else "an empty file",
        where="picture",
        remedy=f"Give {_KNOWN}",
    )


def _png(data: bytes) -> tuple[int, int] | None:
    if data[12:16] != b"IHDR" or len(data) < 24:
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _gif(data: bytes) -> tuple[int, int] | None:
    if len(data) < 10:
        return None
    return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")


def _bmp(data: bytes) -> tuple[int, int] | None:
    if len(data) < 26:
        return None
    # A negative height says that the rows come from above.
    return int.from_bytes(data[18:22], "little"), abs(int.from_bytes(data[22:26], "little", signed=True))


def _webp(data: bytes) -> tuple[int, int] | None:
    """RFC 9649: the first chunk is VP8X (a canvas), VP8L (lossless) or VP8 (lossy)."""
    if data[8:12] != b"WEBP" or len(data) < 30:
        return None
    kind, body = data[12:16], data[20:30]
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF


_SIZES: dict[bytes, Callable[[bytes], tuple[int, int] | None]] = {
    _PNG: _png,
    _GIF: _gif,
    _RIFF: _webp,
    _BMP: _bmp,
}
