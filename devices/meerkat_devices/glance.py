"""A first picture of a camera, before it is written down: `meerkat device try`."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from .clock import Clock, SystemClock
from .picture import jpeg
from .settings.address import Address
from .settings.sources import SourceOptions
from .sources.opening import open_source
from .sources.source import SourceError

SETTLE_FRAMES, SETTLE_SECONDS = 15, 1.5
"""To pass over, until the first of both: a camera that was just opened finds its exposure."""

MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Glance:
    """picture: a JPEG, scaled down to 1280 pixels. width, height: of the camera's own. fps: 0 if unknown."""

    picture: bytes
    width: int
    height: int
    fps: float


def glance(address: Address, *, seconds: float, clock: Clock | None = None) -> Glance:
    """Open it, look, and close it again. Raises SourceError."""
    clock = clock or SystemClock()
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set)
    timer.daemon = True
    timer.start()
    last, seen, since = None, 0, 0.0
    try:
        with open_source(address, options=SourceOptions(stall_seconds=seconds)) as source:
            for sample in source.samples(stop):
                for shot in sample.shots:
                    last, seen = shot, seen + 1
                if last is None:
                    continue
                since = since or clock.monotonic()
                if seen >= SETTLE_FRAMES or clock.monotonic() - since >= SETTLE_SECONDS:
                    break
            if last is not None:  # its memory is the source's
                frame, fps = last.frame, source.info.fps
                if address.kind == "http" and seen > 2:  # a stream of JPEGs says a rate that nobody keeps
                    fps = (seen - 1) / max(0.1, clock.monotonic() - since)
                return Glance(jpeg(frame, max_bytes=MAX_BYTES), frame.width, frame.height, round(fps, 1))
    finally:
        timer.cancel()
    raise SourceError(
        f"no picture within {seconds:g} s", where=str(address), remedy="Is the camera on, and its path right?"
    )
