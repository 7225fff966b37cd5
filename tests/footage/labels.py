"""What is to be seen in the development footage, by eye, keyed by the video's SHA-256.

Frames were laid out at their full rate around each border, beside the same frames with their
difference from the empty scene enlarged six times. The rules:

-   `crossings`: one entry per person, from the first frame with a part of the body to the last.
-   `passages`: the same per car.
-   `moving`: something walks or drives. Steps count; fidgeting on the spot does not, and is in neither
    list, since whether it moves in one given frame cannot be said by eye.
-   `empty`: neither a body nor the shadow of one, the frame before and after included. People's
    shadows come up to 0.5 s before them and leave up to 0.8 s after them: such frames are *either*
    and belong to no list. So do frames in which only a few pixels of a body touch the border.

Times are the media time of the first and the last frame, both included, exact to one frame.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("labels.json")
_TOLERANCE = 0.001
"""Seconds; decoders round time stamps."""


class Interval(NamedTuple):
    """Seconds of media time, both ends included."""

    start: float
    end: float

    def __contains__(self, at: object) -> bool:
        return isinstance(at, float | int) and self.start - _TOLERANCE <= at <= self.end + _TOLERANCE

    def overlaps(self, start: float, end: float) -> bool:
        """Whether this interval and start..end share an instant."""
        return self.start <= end and start <= self.end


@dataclass(frozen=True, slots=True)
class FootageLabels:
    """The truth of one video. See the module for what each list means."""

    sha256: str
    name: str
    frames_per_second: float
    crossings: tuple[Interval, ...]
    passages: tuple[Interval, ...]
    moving: tuple[Interval, ...]
    empty: tuple[Interval, ...]

    def is_moving(self, at: float) -> bool:
        return any(at in interval for interval in self.moving)

    def is_empty(self, at: float) -> bool:
        return any(at in interval for interval in self.empty)


@cache
def _all() -> dict[str, FootageLabels]:
    return {
        sha256: FootageLabels(
            sha256=sha256,
            name=entry["name"],
            frames_per_second=entry["frames_per_second"],
            **{
                kind: tuple(Interval(*pair) for pair in entry[kind])
                for kind in ("crossings", "passages", "moving", "empty")
            },
        )
        for sha256, entry in json.loads(FILE.read_text()).items()
    }


def labels(video: Path | str) -> FootageLabels:
    """The truth of a video, named by its path or its SHA-256; KeyError if nobody has labelled it."""
    if isinstance(video, str) and len(video) == 64 and set(video) <= set("0123456789abcdef"):
        return _all()[video]
    with Path(video).open("rb") as file:
        return _all()[hashlib.file_digest(file, "sha256").hexdigest()]
