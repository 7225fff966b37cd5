"""One job from its bytes to its answer. The worker at home and the one on a rented machine run this.

    result = process(job, payload, detector, incarnation=…, cancelled=lambda: False, now=time.monotonic)

The answer always comes. Media that cannot be read is `failed` for good, with what and the remedy. A
detector that breaks, or a job that is called off, is `failed` with `retry`: somebody else may do it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from meerkat_contract.errors import MediaError, MeerkatError
from meerkat_contract.messages import Job, Result, Track
from meerkat_contract.vocabulary import WATCHED

from .detector import BatchDetector, Detector, Found
from .picture import decode_jpeg, draw_boxes, encode_jpeg
from .sampling import LIMITS, Clip, Limits, Picture, Sample
from .tracker import START, Followed, Tracker, distinct, settle

PICTURE_WIDTH = 1280
"""Pictures of tracks are scaled down to this many pixels at most."""
PICTURE_BYTES = 200_000
"""…and compressed to this size at most."""
ALL_PICTURES_BYTES = 1_200_000
"""All pictures of one answer together, so that it fits a broker's usual packet limit of 2 MB in base64.

Beyond it the tracks with the lowest score go without.
"""

GROUP_BYTES = 96_000_000
"""Pictures that are held at once at most, for a detector that sees several: 25 of 720p are 69 MB."""

_logger = logging.getLogger(__name__)


class CalledOff(MeerkatError):
    """The job was cancelled while it ran."""


def process(
    job: Job,
    payload: bytes,
    detector: Detector,
    *,
    incarnation: str,
    cancelled: Callable[[], bool],
    now: Callable[[], float],
    threads: int = 1,
    limits: Limits = LIMITS,
) -> Result:
    """Look at a clip (or one JPEG) and follow what is in it; never raises for what it was given.

    `cancelled` is asked before each look. `now` is a monotonic clock, for `Result.seconds`.
    `threads` decode. A damaged clip is `done` with what could be had, and `reason` tells the damage.
    """
    begin = now()
    look = _Look(detector, frozenset(job.labels) or WATCHED, cancelled)
    state: Literal["done", "failed"] = "done"
    reason, retry = "", False
    tracks: tuple[Track, ...] = ()
    try:
        reason = look.through(payload, job, threads, limits)
        tracks = look.tracks()
    except Exception as error:  # noqa: BLE001 - whatever it is, `failure` tells it and logs it
        state, (reason, retry) = "failed", failure(error, job, f"the detector {detector.info.name}")
    return Result(
        job=job.job,
        token=job.token,
        incarnation=incarnation,
        state=state,
        reason=reason[:500],
        retry=retry,
        model=detector.info,
        duration=round(look.duration, 3),
        frames=look.frames,
        seconds=round(max(0.0, now() - begin), 4),
        width=look.width,
        height=look.height,
        tracks=tracks,
    )


def failure(error: Exception, job: Job, who: str) -> tuple[str, bool]:
    """What to answer when a job failed: the reason, and whether another worker or try may succeed.

    What cannot be read, nobody can read. `who` is what looked, for a fault that nobody foresaw.
    """
    if isinstance(error, MediaError):
        return str(error), False
    if isinstance(error, MeerkatError):
        return str(error), True
    _logger.error("Job %s: %s broke", job.job, who, exc_info=error)
    said = f"{who} broke ({type(error).__name__}: {error})"
    return f"{said}. Another worker may do better; this one's log has the details", True


@dataclass(slots=True, eq=False)
class _Shot:
    """The frame that shows a track best, until it is wanted as a JPEG."""

    picture: Picture | None
    founds: list[Found]
    jpeg: bytes = b""

    def encode(self) -> bytes:
        """The JPEG with the boxes drawn; the raw picture is then let go."""
        if self.picture is not None:
            drawn = draw_boxes(self.picture, self.founds)
            self.jpeg = encode_jpeg(drawn, max_bytes=PICTURE_BYTES)
            self.picture = None
        return self.jpeg


@dataclass(slots=True)
class _Look:
    """What has been found so far in one clip."""

    detector: Detector
    labels: frozenset[str]
    cancelled: Callable[[], bool]
    duration: float = 0.0
    frames: int = 0
    width: int = 0
    height: int = 0
    drawn: bool = True
    """Whether pictures are drawn. A frame of a workflow comes by the dozen each second, and the hub has it
    still: drawing and compressing it again would take as long as looking does."""
    _tracker: Tracker = field(default_factory=Tracker)
    _shots: dict[int, _Shot] = field(default_factory=dict)
    _over: list[Followed] = field(default_factory=list)

    def through(self, payload: bytes, job: Job, threads: int, limits: Limits) -> str:
        """Look at every sampled frame; returns what is damaged, in words."""
        kind = job.content_type.partition(";")[0].strip().lower()
        if kind == "image/jpeg":
            self.drawn = job.workflow is None
            self._take(Sample(0.0, decode_jpeg(payload)))
            self._close(self._tracker.finish())
            return ""
        if not kind.startswith("video/") and kind != "application/octet-stream":
            raise MediaError(
                f"a worker cannot read {job.content_type!r}", remedy="Send video/mp4 or image/jpeg"
            )
        with Clip(payload, sample_fps=job.sample_fps, threads=threads, limits=limits) as clip:
            self.duration = clip.duration
            self.width, self.height = clip.width, clip.height
            for samples in _together(clip, self.detector):
                self._take(*samples)
            self._close(self._tracker.finish())
            return (
                f"the clip is damaged: {clip.damage}; {clip.decoded} frames were read" if clip.damage else ""
            )

    def tracks(self) -> tuple[Track, ...]:
        """What was followed, in order of appearance, with pictures as far as the budget goes."""
        tracks = settle(self._over)
        if not self.drawn:
            return tuple(track.message(None) for track in tracks)
        left = ALL_PICTURES_BYTES
        pictures: dict[int, bytes] = {}
        for track in sorted(tracks, key=lambda each: each.founds[each.best].score, reverse=True):
            jpeg = self._shots[track.number].encode()
            if len(jpeg) <= left:
                left -= len(jpeg)
                pictures[track.number] = jpeg
        return tuple(track.message(pictures.get(track.number)) for track in tracks)

    def _take(self, *samples: Sample) -> None:
        if self.cancelled():
            raise CalledOff("called off by the hub", remedy="Nothing is to be done: the hub has its reasons")
        if len(samples) > 1 and isinstance(self.detector, BatchDetector):
            seen = self.detector.detect_many([sample.picture for sample in samples])
        else:
            seen = [self.detector.detect(sample.picture) for sample in samples]
        for sample, founds in zip(samples, seen, strict=True):
            self._follow(sample, [found for found in founds if found.label in self.labels])

    def _follow(self, sample: Sample, founds: list[Found]) -> None:
        self.frames += 1
        self.height, self.width = sample.picture.shape[:2]
        best, over = self._tracker.update(sample.at, founds)
        if best and self.drawn:
            shown = [found for found in distinct(founds) if found.score >= START]
            shot = _Shot(_scaled(sample.picture), shown)
            self._shots.update((track.number, shot) for track in best)
        self._close(over)

    def _close(self, over: list[Followed]) -> None:
        for track in over if self.drawn else ():
            self._shots[track.number].encode()
        self._over += over


def _together(samples: Iterable[Sample], detector: Detector) -> Iterator[list[Sample]]:
    """Samples one at a time, or as many as the detector had better see at once and memory allows."""
    most = detector.at_once if isinstance(detector, BatchDetector) else 1
    group: list[Sample] = []
    for sample in samples:
        group.append(sample)
        if len(group) >= most or len(group) * sample.picture.nbytes >= GROUP_BYTES:
            yield group
            group = []
    if group:
        yield group


def _scaled(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    if width <= PICTURE_WIDTH:
        return picture
    import cv2
    import numpy as np

    size = (PICTURE_WIDTH, max(1, round(height * PICTURE_WIDTH / width)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
