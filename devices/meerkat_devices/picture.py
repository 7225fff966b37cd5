"""Frames as the motion detector and people want them: a view of the luma plane, a JPEG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import MediaError

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

MAX_BYTES = 200_000
"""Home Assistant keeps pictures in memory, ten and more; a retained message cannot come in parts."""

QUALITIES = (80, 65, 50, 35)
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


def brightness(frame: VideoFrame) -> float:
    """Mean of the picture's luma, from 0 (black) to 1 (white), looked at one pixel in 64."""
    return float(np.clip((luma(frame)[::8, ::8].mean() - 16) / 219, 0, 1))


def jpeg(
    frame: VideoFrame,
    *,
    qualities: Sequence[int] = QUALITIES,
    max_bytes: int = MAX_BYTES,
    max_width: int = MAX_WIDTH,
) -> bytes:
    """The frame as JPEG of at most `max_bytes`: `max_width` first, then of less quality, then smaller."""
    return encode(scaled(frame, max_width=max_width), qualities=qualities, max_bytes=max_bytes)


def scaled(frame: VideoFrame, *, max_width: int = MAX_WIDTH) -> Any:
    """The frame as a BGR picture (uint8, height × width × 3), scaled down to `max_width` if it is wider."""
    width, height = frame.width, frame.height
    if width > max_width:
        width, height = max_width, max(2, round(height * max_width / width) // 2 * 2)
    return frame.reformat(width=width, height=height, format="bgr24").to_ndarray()


def encode(picture: Any, *, qualities: Sequence[int] = QUALITIES, max_bytes: int = MAX_BYTES) -> bytes:
    """A BGR picture (uint8, height × width × 3) as JPEG of at most `max_bytes`.

    The first of `qualities` (best first) with which it fits; if none does, smaller with the last one.
    """
    best, *worse = qualities
    data = _encode(picture, best)
    for quality in worse:
        if len(data) <= max_bytes:
            break
        data = _encode(picture, quality)
    while len(data) > max_bytes:
        picture = cv2.resize(picture, None, fx=0.85, fy=0.85, interpolation=cv2.INTER_AREA)
        data = _encode(picture, qualities[-1])
    return data


def _encode(picture: Any, quality: int) -> bytes:
    ok, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise MediaError("a frame cannot be encoded as JPEG")
    return data.tobytes()
