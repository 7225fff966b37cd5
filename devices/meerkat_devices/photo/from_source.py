"""Single pictures of a source that was made for films: a USB or network camera, a file."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from meerkat_devices.recording.recorder import TICKS
from meerkat_devices.sources.source import Source, SourceError, moment
from meerkat_devices.stills import Still, StillCamera

MAX_WIDTH = 4096


class SourceStills(StillCamera):
    """Frames of a source, which it closes. Exposure is the camera's own affair, so nothing is locked."""

    def __init__(self, source: Source, *, live: bool, settle: float, name: str) -> None:
        """`settle`: seconds of a live source's pictures that are passed over, while it finds its exposure.

        A file shows what it shows: its first frame is the picture, however many are asked for.
        """
        self._source = source
        self._live = live
        self._settle = settle * TICKS
        self._name = name

    def stills(self, count: int, stop: threading.Event) -> Iterator[Still]:
        from meerkat_devices.picture import scaled

        left = count if self._live else 1
        for sample in self._source.samples(stop):
            for shot in sample.shots:
                if self._live and shot.at < self._settle:
                    continue
                yield Still(scaled(shot.frame, max_width=MAX_WIDTH), moment(shot.captured))
                left -= 1
                if left == 0 or stop.is_set():
                    return
        if left == count and not stop.is_set():
            raise SourceError("gave no picture", where=self._name, remedy="Is the camera on?")

    def __exit__(self, *_: object) -> None:
        self._source.close()
