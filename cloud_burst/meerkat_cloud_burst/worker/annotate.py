"""The clip once more, with what was found drawn in: for people who want to see how it was looked at.

Boxes are those of the result. Only a few frames of each second were looked at; in between a box moves
in a straight line from one sighting to the next, for at most as long as the tracker follows an object
that it does not see. No sound; H.264 in MP4, whose index comes first so that a browser begins at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from meerkat_contract.errors import MediaError
from meerkat_contract.messages import Result, Track
from meerkat_inference.detector import Found
from meerkat_inference.tracker import GAP

if TYPE_CHECKING:
    from meerkat_inference.picture import Picture

WIDTH = 1280
"""Larger clips are scaled down to this many pixels."""
MOST_FPS = 60.0
TIME_BASE = Fraction(1, 90_000)
HOLD = 0.2
"""Seconds for which the box of an object that was seen once is shown."""


def annotate(payload: bytes, result: Result, path: Path, *, cancelled: Callable[[], bool]) -> bool:
    """Write the annotated MP4 to `path`; False when `cancelled` said so in between.

    `payload` is the clip that `result` is of. Raises MediaError.
    """
    import av
    from av.error import FFmpegError

    from meerkat_inference.picture import draw_boxes
    from meerkat_inference.sampling import Clip

    try:
        with Clip(payload, sample_fps=MOST_FPS) as clip, av.open(str(path), "w", "mp4", _FAST_START) as out:
            stream = out.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "26"})
            stream.pix_fmt = "yuv420p"
            stream.time_base = stream.codec_context.time_base = TIME_BASE
            size: tuple[int, int] | None = None
            for sample in clip:
                if cancelled():
                    return False
                if size is None:
                    size = stream.width, stream.height = _size(sample.picture)
                picture = draw_boxes(_fit(sample.picture, size), boxes_at(result.tracks, sample.at))
                frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
                frame.pts, frame.time_base = round(sample.at / TIME_BASE), TIME_BASE
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    except FFmpegError as error:
        raise MediaError(
            f"the annotated video cannot be written ({error.strerror or error})",
            where="annotated",
            remedy="The result is complete without it",
        ) from error
    return True


def boxes_at(tracks: Sequence[Track], at: float) -> list[Found]:
    """What is to be drawn at that time of the clip, in seconds."""
    found = (_box_at(track, at) for track in tracks)
    return [box for box in found if box is not None]


def _box_at(track: Track, at: float) -> Found | None:
    seen = track.sightings
    after = bisect_right(seen, at, key=lambda sighting: sighting.at)
    if after == 0:
        return None
    before = seen[after - 1]
    if after == len(seen):
        return Found(track.label, before.score, before.box) if at - before.at < HOLD else None
    follows = seen[after]
    span = follows.at - before.at
    if span > GAP:
        return None
    share = (at - before.at) / span
    x, y, w, h = (a + share * (b - a) for a, b in zip(before.box, follows.box, strict=True))
    return Found(track.label, before.score, (x, y, w, h))


_FAST_START = {"movflags": "+faststart"}


def _size(picture: Picture) -> tuple[int, int]:
    """Width and height of the video: even numbers, as H.264 with half the colours wants them."""
    height, width = picture.shape[:2]
    scale = min(1.0, WIDTH / width)
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _fit(picture: Picture, size: tuple[int, int]) -> Picture:
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    import cv2
    import numpy as np

    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
