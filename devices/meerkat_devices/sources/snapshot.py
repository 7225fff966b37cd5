"""Cameras that give one picture at a time over HTTP, as frames; `snapshot_stills` has those of a meter."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import av
from av.video.frame import VideoFrame

from meerkat_devices.clock import Clock
from meerkat_devices.recording.recorder import TICKS
from meerkat_devices.settings.address import Address
from meerkat_devices.settings.sources import DEFAULTS, SourceOptions

from .encoder import Encoder
from .snapshot_client import MAX_PIXELS, Fetched, SnapshotClient, damaged, of_single_pictures
from .source import LoginRefused, Sample, Shot, Source, SourceError, SourceInfo

_log = logging.getLogger("meerkat.device")

SMALLEST = 16
"""Pixels of either side. Smaller pictures stand for `nothing yet`, and cannot be encoded."""


def open_pictures(
    address: Address, *, clock: Clock, options: SourceOptions = DEFAULTS
) -> SnapshotSource | None:
    """The source, if this is an address of single pictures; asks the camera where `http` leaves it open.

    Raises SourceError.
    """
    if not of_single_pictures(address, clock=clock, options=options):
        return None
    return SnapshotSource(address, clock=clock, options=options)


class SnapshotSource(Source):
    """A picture every `snapshot_seconds`, encoded so that it can be recorded.

    One that fails is passed over; after `stall_seconds` without any the error is raised.
    """

    def __init__(self, address: Address, *, clock: Clock, options: SourceOptions = DEFAULTS) -> None:
        """Pulls the first picture. Raises SourceError."""
        self._address = address
        self._clock = clock
        self._options = options
        self._client = SnapshotClient(address, clock=clock, options=options)
        self._first: Fetched | None = self._client.fetch()
        frame = _decode(self._first, address)
        self._size = frame.width, frame.height
        fps = 1 / options.snapshot_seconds
        self._encoder = Encoder(*self._size, fps)
        self.template = self._encoder.template
        self.info = SourceInfo("snapshot", self._encoder.width, self._encoder.height, round(fps, 3))

    def samples(self, stop: threading.Event) -> Iterator[Sample]:
        clock, every = self._clock, self._options.snapshot_seconds
        began = seen = due = clock.monotonic()
        while not stop.is_set():
            if (ahead := due - clock.monotonic()) > 0 and clock.wait(stop, ahead):
                return
            due = max(due + every, clock.monotonic())  # a slow camera is not asked twice for what it missed
            try:
                fetched = self._first or self._client.fetch()
                frame = _decode(fetched, self._address)
            except LoginRefused:
                raise
            except SourceError as error:
                if clock.monotonic() - seen >= self._options.stall_seconds:
                    raise
                _log.debug("%s", error)
                continue
            finally:
                self._first = None
            self._check_size(frame)
            seen = clock.monotonic()
            at, captured = round((seen - began) * TICKS), fetched.captured.timestamp()
            frame = self._encoder.convert(frame)
            yield Sample(tuple(self._encoder.encode(frame, at, captured)), (Shot(at, captured, frame),))

    def close(self) -> None:
        self._encoder.close()

    def _check_size(self, frame: VideoFrame) -> None:
        if (size := (frame.width, frame.height)) != self._size:
            raise SourceError(
                f"the camera's picture is {size[0]}×{size[1]} now, it was {self._size[0]}×{self._size[1]}",
                where=str(self._address),
                remedy="It is opened anew; nothing needs to be done",
            )


def _decode(fetched: Fetched, address: Address) -> VideoFrame:
    """In the picture's own planes. libav reads the size first, so a small file cannot unpack to gigabytes."""
    decoder = av.CodecContext.create(fetched.codec, "r")
    decoder.thread_count = 1
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    try:
        frames = [*decoder.decode(av.Packet(fetched.data)), *decoder.decode(None)]
    except av.FFmpegError:
        frames = []
    if not frames:
        raise damaged(address)
    frame = frames[0]
    if min(frame.width, frame.height) < SMALLEST:
        raise SourceError(
            f"the picture has {frame.width}×{frame.height} pixels",
            where=str(address),
            remedy="It stands for one that the camera does not have: look at it in a browser",
        )
    return frame
