"""Small videos made on the spot: a bright square that crosses a textured picture, or an empty one."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

TIME_BASE = Fraction(1, 90_000)


def background(size: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A soft checkerboard, BGR, so that a detector has texture to hold on to."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    tone = (90 + 40 * (((x // 16) + (y // 16)) % 2)).astype(np.uint8)
    return np.repeat(tone[:, :, None], 3, axis=2)


def square_at(
    picture: np.ndarray[Any, np.dtype[np.uint8]], progress: float
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """`picture` with the square drawn; progress 0 is the left edge, 1 the right one, then it turns back."""
    height, width = picture.shape[:2]
    side = height // 4
    swing = 1 - abs(progress % 2 - 1)
    left = round(swing * (width - side))
    top = height // 2 - side // 2
    picture = picture.copy()
    picture[top : top + side, left : left + side] = 230
    return picture


def make_clip(
    path: Path,
    *,
    seconds: float = 5,
    fps: float = 15,
    size: tuple[int, int] = (320, 180),
    moving: bool | Callable[[float], bool] = True,
    gop: float = 1,
    b_frames: int = 0,
    codec: str = "libx264",
    times: Callable[[int], float] | None = None,
    crossing: float = 4,
) -> Path:
    """Encode a video at `path` (the suffix chooses the container) and return the path.

    `moving` says whether the square is there, always or at a time in seconds; it crosses the
    picture in `crossing` seconds. `gop` is seconds between key frames. `times` gives the media time
    of the n-th frame where the rate is to vary; `fps` is then only the nominal rate.
    """
    empty = background(size)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = TIME_BASE
        stream.codec_context.time_base = TIME_BASE
        stream.codec_context.gop_size = max(1, round(gop * fps))
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.thread_count = 1
        if codec == "libx264":
            stream.codec_context.options = {
                "preset": "ultrafast" if not b_frames else "veryfast",
                "sc_threshold": "0",
                "bf": str(b_frames),
            }
        elif codec == "libx265":
            stream.codec_context.options = {"preset": "ultrafast", "x265-params": "log-level=none"}
        elif codec == "mpeg4":
            stream.codec_context.time_base = Fraction(1, round(fps))
        index = 0
        while (at := times(index) if times else index / fps) < seconds:
            there = moving(at) if callable(moving) else moving
            picture = square_at(empty, at / crossing) if there else empty
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            base = stream.codec_context.time_base or TIME_BASE
            frame.pts, frame.time_base = round(at / base), base
            container.mux(stream.encode(frame))
            index += 1
        container.mux(stream.encode(None))
    return path
