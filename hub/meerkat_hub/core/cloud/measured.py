"""What the cloud takes, as measured: its boot, an instance's time for a clip, the way up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite

from meerkat_cloud_burst.settings import BurstSettings
from meerkat_hub.core.cloud_records import BurstFact

CLIP = 5.0
"""Seconds of media; times of clips are told for one of this length."""

SMOOTHING = 0.2
"""Weight of the newest observation."""

FIRST = 0.5
"""Weight of the first one: what the configuration says is a guess."""

FAR = 5.0
"""An observation counts at most so many times the estimate, or this part of it."""

UPLOAD_RATE = 1e6
"""Bytes a second, before any clip went up."""


class Measured:
    """Running means. They are kept as facts, so that a restart knows them."""

    def __init__(self, settings: BurstSettings) -> None:
        self.boot = settings.boot
        """Seconds from an instance's launch until it is ready."""
        self.clip_seconds = settings.clip_seconds
        """Seconds of an instance for a clip of CLIP seconds."""
        self.upload_rate = UPLOAD_RATE
        """Bytes a second."""
        self._seen: set[str] = set()

    def load(self, facts: Mapping[str, int]) -> None:
        for name, value in facts.items():
            if name in _SCALE and value > 0:
                setattr(self, name, value / _SCALE[name])
                self._seen.add(name)

    def booted(self, seconds: float) -> Iterator[BurstFact]:
        yield from self._observe("boot", seconds)

    def looked_at(self, seconds: float, media: float) -> Iterator[BurstFact]:
        """A clip of so much media took an instance so long."""
        if media > 0:
            yield from self._observe("clip_seconds", seconds * CLIP / media)

    def uploaded(self, size: int, seconds: float) -> Iterator[BurstFact]:
        if seconds > 0:
            yield from self._observe("upload_rate", size / seconds)

    def _observe(self, name: str, value: float) -> Iterator[BurstFact]:
        if not (value > 0 and isfinite(value)):
            return
        before = getattr(self, name)
        clipped = min(max(value, before / FAR), before * FAR) if before > 0 else value
        weight = SMOOTHING if name in self._seen else FIRST
        self._seen.add(name)
        after = before + weight * (clipped - before)
        setattr(self, name, after)
        yield BurstFact(name, max(round(after * _SCALE[name]), 1))


_SCALE = {"boot": 1000, "clip_seconds": 1000, "upload_rate": 1}
"""Facts are whole numbers: milliseconds, and bytes a second."""
