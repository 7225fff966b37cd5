"""Frames as the motion detector and people want them: a view of the luma plane, a JPEG."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from meerkat_contract.errors import MediaError

MAX_BYTES = 200_000
MAX_WIDTH = 1280

_LUMA_FIRST = frozenset(
    "yuv420p yuvj420p yuv422p yuvj422p yuv444p yuvj444p yuv440p yuv411p nv12 nv21 nv16 gray".split()
)


def luma(frame: VideoFrame) -> NDArray[np.uint8]:
    """The brightness plane, height × width, as a view of the decoder's own memory: no copy.

    Valid as long as the frame. Other pixel formats (10 bit, packed) are converted first.
    """
    if frame.format.name not in _LUMA_FIRST:
        frame = frame.reformat(format="gray")
    plane: Any = frame.planes[0]
    rows: NDArray[np.uint8] = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width]


def jpeg(
    frame: VideoFrame, *, quality: int = 80, max_bytes: int = MAX_BYTES, max_width: int = MAX_WIDTH
) -> bytes:
    """The frame as JPEG of at most `max_bytes`: less wide first, then of less quality, then smaller."""
    width, height = frame.width, frame.height
    if width > max_width:
        width, height = max_width, round(height * max_width / width) // 2 * 2
    picture = frame.reformat(width=width, height=height, format="bgr24").to_ndarray()
    return encode(picture, quality=quality, max_bytes=max_bytes)


def encode(picture: Any, *, quality: int, max_bytes: int) -> bytes:
    """A BGR picture (uint8, height × width × 3) as JPEG of at most `max_bytes`."""
    while True:
        ok, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not ok:
            raise MediaError("a frame cannot be encoded as JPEG")
        if len(data) <= max_bytes:
            return data.tobytes()
        if quality > 40:
            quality -= 15
        else:
            picture = cv2.resize(picture, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
