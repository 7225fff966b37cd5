"""What a source of pictures is: packets for the recorder and frames to look at, with their media time.

    with open_source(parse_source("porch.mp4")) as source:
        for sample in source.samples(stop):
            ...

`opening` opens one; `container` reads what libav reads, `rendered` draws the built-in scenes.

A source is used by one thread. The packets of its samples and its `template` are valid until it is
closed, so what was recorded is written before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Protocol

from meerkat_contract.errors import MediaError
from meerkat_devices.clock import Clock
from meerkat_devices.recording.recorder import TICKS, Chunk

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from meerkat_contract.messages import FrameFindings

Pace = Literal["own", "fast"]

BEHIND = 5.0
"""Seconds a replay may fall behind (the machine slept) before it forgives itself the debt."""


class SourceError(MediaError):
    """A source cannot be opened, broke off, or holds nothing that can be shown."""

    patience = 0.0
    """Seconds before which it is of no use to try again."""


class LoginRefused(SourceError):
    """Wrong user or password. Many cameras lock a user out after a few attempts, so there are few."""

    patience = 300.0


def of_thing(error: SourceError, thing: str) -> SourceError:
    """The same error that says whose source it is, such as `camera porch`."""
    where = f"{thing}, {error.where}" if error.where else thing
    return type(error)(error.what, where=where, remedy=error.remedy)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of the pictures: size in pixels, frames per second (0 when unknown)."""

    kind: str
    width: int
    height: int
    fps: float


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame to look at. `at` is ticks of media time, `captured` unix time."""

    at: int
    captured: float
    frame: VideoFrame
    found: FrameFindings | None = None
    """What the camera itself found in it; None when it did not look."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One step of a source: packets (mostly one), and the frames that became ready with them."""

    chunks: tuple[Chunk, ...]
    shots: tuple[Shot, ...]


class Source(AbstractContextManager["Source"], Protocol):
    info: SourceInfo
    template: VideoStream

    def samples(self, stop: threading.Event) -> Iterator[Sample]:
        """Until `stop` is set or the source ends. Raises SourceError when it breaks off."""

    def close(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self.close()


class Pacer:
    """Holds a replay to its own pace, and tells the time of day of its frames."""

    def __init__(self, clock: Clock, pace: Pace) -> None:
        self._clock = clock
        self._fast = pace == "fast"
        self._start = clock.monotonic()
        self._epoch = clock.now().timestamp()

    def wait(self, at: int, stop: threading.Event) -> bool:
        """Wait for media time `at` (ticks); False when `stop` was set."""
        if self._fast:
            return not stop.is_set()
        ahead = at / TICKS - (self._clock.monotonic() - self._start)
        if ahead < -BEHIND:
            self._start -= ahead
            self._epoch -= ahead
        go = not (self._clock.wait(stop, ahead) if ahead > 0 else stop.is_set())
        seen = self._clock.now().timestamp() - at / TICKS
        if abs(seen - self._epoch) > BEHIND:  # the clock was set: a Pi starts in the past
            self._epoch = seen
        return go

    def captured(self, at: int) -> float:
        return self._epoch + at / TICKS


def moment(captured: float) -> datetime:
    """A frame's unix time as UTC."""
    return datetime.fromtimestamp(captured, UTC)
