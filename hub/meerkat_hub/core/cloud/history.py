"""How backlog, machines and money went in the last hours, for a picture: kept in memory, by its changes."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import timedelta

from meerkat_hub.core.cloud_records import Sample

REACH = timedelta(hours=6)
"""Of what is older only how it stood at the beginning is kept."""

MOST = 2000
"""Changes that are kept: a tick may be as short as a tenth of a second."""


class History:
    """Each sample holds until the next one; a look that finds everything as before leaves none."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=MOST)

    @property
    def all(self) -> tuple[Sample, ...]:
        """The earliest first."""
        return tuple(self._samples)

    def note(self, sample: Sample) -> None:
        if self._samples and sample.at < self._samples[-1].at:
            self._samples.clear()  # the clock was set back: a picture goes from left to right
        if self._samples and replace(self._samples[-1], at=sample.at) == sample:
            return
        self._samples.append(sample)
        while len(self._samples) > 1 and self._samples[1].at <= sample.at - REACH:
            self._samples.popleft()
