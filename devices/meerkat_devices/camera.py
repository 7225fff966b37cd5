"""One camera: look at every frame, say whether something moves, record it, show the latest picture.

One thread does it all, from the source to the outbox. Writing a clip takes a few milliseconds; the
outbox syncs it to the disk on a thread of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial

from meerkat_contract.errors import BadMessage, MeerkatError
from meerkat_contract.messages import CameraInfo
from meerkat_contract.metadata import Metadata
from meerkat_contract.topics import ThingTopic

from .backoff import Backoff
from .by_hand import ByHand
from .clock import Clock, clock_state
from .frames.frames import Frames
from .motion.detector import MotionDetector
from .motion.senses import Senses
from .outbox.outbox import Outbox
from .picture import brightness, encode, luma, scaled
from .recording.mp4 import write_clip
from .recording.recorder import TICKS, Clip, Recorder
from .regions import motion_mask, paint
from .settings.address import parse_source
from .settings.device import CameraSettings
from .sources.opening import open_source
from .sources.source import Pace, Sample, Shot, Source, SourceError, moment, of_thing
from .sources.watchdog import Watchdog
from .station import Station

_log = logging.getLogger("meerkat.device")

_WHY = {"doorbell": "somebody rings", "command": "somebody asks"}

MOTION_INTERVAL = round(0.055 * TICKS)
"""Ticks between frames that are looked at for motion: every one up to 18 a second, every second
one of 25 or 30. The detector's constants are in seconds, so this changes cost and nothing else."""

SWITCHED_OFF = 0.5
"""Seconds between looks at whether a camera is to be on again."""


class Camera:
    def __init__(
        self,
        name: str,
        settings: CameraSettings,
        *,
        station: Station,
        outbox: Outbox,
        clock: Clock,
        pace: Pace = "own",
        loop: bool = False,
    ) -> None:
        self.name = name
        self.settings = settings
        self.failed: MeerkatError | None = None
        """Why it ended, when it did not end well."""
        self.frames = Frames(
            name, settings.frames, station=station, clock=clock, pace=pace, private=settings.privacy
        )
        self.by_hand = ByHand(clock)
        self.senses = Senses(name, settings.motion, settings.light, station=station, clock=clock)
        self._station = station
        self._outbox = outbox
        self._clock = clock
        self._pace = pace
        self._loop = loop
        self._address = parse_source(settings.source, where=f"camera {name}")
        if self._address.kind in ("http", "snapshot"):  # its next picture may be long in coming
            self.senses.ring_seconds += settings.snapshot_seconds
        self._info = CameraInfo(
            name=name, label=settings.label, source=self._address.kind, zones=settings.zones
        )
        self._source: Source | None = None
        self._watchdog = Watchdog(clock)
        self._recorder = Recorder(settings.limits)
        self._mask = motion_mask((*settings.masks, *settings.privacy))
        self._detector = MotionDetector(settings.motion, mask=self._mask)
        self._tuned = settings
        """What the camera's thread works by: `settings` as of the last sample."""
        self._lock = threading.Lock()  # held while a sample is worked on, and by whoever closes the recording
        self._closed = False
        self._moving: bool | None = None
        self._next_look = 0
        self._next_picture = 0.0
        self._told_broken = 0
        self._told_recording = False
        self._recorded = 0.0
        self._synced_from: int | None = None

    @property
    def info(self) -> CameraInfo:
        return self._info

    def retune(self, settings: CameraSettings) -> None:
        """Go by these from the next frame on; on any thread. Source, masks and zones stay as they were."""
        self.settings = settings
        self.frames.retune(settings.frames)
        if self.by_hand.on and not (settings.enabled and settings.clips):
            self.by_hand.ask(False, 0.0)
            self.by_hand.ended()

    def record(self, on: bool) -> None:
        """Record now, for `record_seconds`, whether anything moves or not; on any thread."""
        if on and not (self.settings.enabled and self.settings.clips):
            raise BadMessage("the camera or its clips are switched off", remedy="Switch them on first")
        self.by_hand.ask(on, self.settings.record_seconds)

    @property
    def running(self) -> bool:
        """Whether its source is open."""
        return self._source is not None

    @property
    def hangs(self) -> bool:
        """Whether a library still holds a thread that was left behind."""
        return self._watchdog.hangs

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set or a replay has ended. A source that breaks off is opened again."""
        me = f"camera {self.name}"
        backoff = Backoff(first=1.0, longest=60.0)

        def works() -> None:
            backoff.reset()
            self._station.well(me)

        while not stop.is_set() and not self._closed:
            self.by_hand.active()  # its time passes, too, while there is no picture
            if self._is_off():
                self._say_motion(False)
                if self._pace == "fast":
                    return
                self._clock.wait(stop, SWITCHED_OFF)
                continue
            try:
                self._follow(stop, works)
                if self._is_off():
                    _log.info("camera %s: switched off", self.name)
                    continue
                if not stop.is_set():
                    self._ended()
                return
            except SourceError as problem:
                error = of_thing(problem, me)
                if not self._address.live and self._pace == "fast":
                    self.failed = error
                    self._station.report(error, about=me)
                    return
                if backoff.worth_telling:
                    self._station.report(error, about=me)
            if self._clock.wait(stop, max(backoff.next(), error.patience)):
                return

    def _ended(self) -> None:
        """Nothing more comes, and nothing is wrong: without a word it would look like a broken camera."""
        again = "" if self._pace == "fast" else "; it is replayed again when the device is started again"
        _log.info("camera %s: %s has ended%s", self.name, self._address, again)
        if self._pace == "own":  # else the whole device ends
            self._info = self._info.model_copy(update={"ended": True})
            self._station.changed()

    def _is_off(self) -> bool:
        return not self.settings.enabled

    def close(self) -> None:
        """Save the open recording, also while the camera's own thread hangs in a dead connection."""
        with self._lock:
            self._finish()
            self._closed = True

    def _follow(self, stop: threading.Event, works: Callable[[], None]) -> None:
        """Open the source and work on it until it ends or the camera is switched off. Raises SourceError."""
        proven = False
        opened = self._watchdog.open(self._address, self._open, stop, self.settings)
        if opened is None:
            return
        with opened as source:
            self._opened(source)
            try:
                for sample in source.samples(stop):
                    with self._lock:
                        if self._closed or self._is_off():
                            return
                        self._take(sample)
                    if sample.shots and not proven:
                        proven = True
                        works()
            finally:
                with self._lock:
                    self._finish()

    def _open(self) -> Source:
        return open_source(
            self._address, pace=self._pace, loop=self._loop, clock=self._clock, options=self.settings
        )

    def _opened(self, source: Source) -> None:
        self._source = source
        found = source.info
        info = self._info.model_copy(update={"width": found.width, "height": found.height, "fps": found.fps})
        _log.info(
            "camera %s: %s, %d×%d at %g frames a second",
            self.name,
            self._address,
            found.width,
            found.height,
            found.fps,
        )
        self.frames.opened(found.fps)
        if info != self._info:
            self._info = info
            self._station.changed()
        self._detector = MotionDetector(self.settings.motion, mask=self._mask)
        self._next_look = 0
        self._synced_from = None
        self._say_motion(False)

    def _finish(self) -> None:
        """The source ends: what was recorded is written while its packets are valid."""
        if self._closed or self._source is None:
            return
        self._save(self._recorder.finish())
        self.senses.rest()
        self._source = None
        self._say_motion(False)

    def _take(self, sample: Sample) -> None:
        if self._synced_from is None and sample.chunks and clock_state(self._clock.now()) == "synced":
            self._synced_from = sample.chunks[0].pts
        if self.settings is not self._tuned:
            self._retuned()
        for chunk in sample.chunks if self._tuned.clips else ():
            self._save(self._recorder.add(chunk))
        for shot in sample.shots:
            self._look(shot)
        if self._recorder.recording and not self._told_recording:
            self._told_recording = True
            why = _WHY.get(self._recorder.why or "motion", "something moves")
            _log.info("camera %s: %s, recording", self.name, why)

    def _retuned(self) -> None:
        """Take over what was set while the camera ran."""
        if not self.settings.clips:
            self._save(self._recorder.finish())
        if self.settings.motion.enabled and not self._tuned.motion.enabled:
            self._detector = MotionDetector(self.settings.motion, mask=self._mask)
        self._tuned = settings = self.settings
        self._recorder.retune(settings.limits)
        self._detector.retune(settings.motion)
        self._next_picture = min(self._next_picture, self._clock.monotonic() + settings.picture_seconds)

    def _look(self, shot: Shot) -> None:
        if shot.at >= self._next_look:
            self._next_look = shot.at + MOTION_INTERVAL
            verdict = self.senses.look(
                shot.at / TICKS, partial(self._see, shot), enabled=self._tuned.motion.enabled
            )
            if self._tuned.clips:
                self._save(self._recorder.motion(verdict.record, shot.at, trigger=verdict.trigger))
                self._save(self._recorder.motion(self.by_hand.active(), shot.at, trigger="command"))
            self._say_motion(verdict.moving)
            self.senses.shine(verdict.moving or self._recorder.recording, partial(brightness, shot.frame))
        now = self._clock.monotonic()
        if now >= self._next_picture:
            wait = self._tuned.picture_seconds_motion if self._moving else self._tuned.picture_seconds
            self._next_picture = now + wait
            topic = ThingTopic(self._station.name, self.name, "picture")
            picture = scaled(shot.frame)
            paint(picture, self._tuned.privacy)
            self._station.keep(topic, encode(picture), content_type="image/jpeg")
        self.frames.offer(shot, moving=bool(self._moving))  # last: a detector may have the frame from now on

    def _see(self, shot: Shot, forget: bool) -> bool:
        """What vision says of a picture; `forget` what it knows of the scene first."""
        if forget:
            self._detector = MotionDetector(self._tuned.motion, mask=self._mask)
        return self._detector.step(luma(shot.frame), shot.at / TICKS).active

    def _say_motion(self, active: bool) -> None:
        if active == self._moving:
            return
        self._moving = active
        if active:
            soon = self._clock.monotonic() + self._tuned.picture_seconds_motion
            self._next_picture = min(self._next_picture, soon)
        self._station.keep(ThingTopic(self._station.name, self.name, "motion"), "ON" if active else "OFF")

    def _save(self, clips: list[Clip]) -> None:
        about = f"camera {self.name}, recordings"
        for clip in clips:
            try:
                self._save_one(clip)
            except MeerkatError as error:
                self._station.report(error, about=about)
            else:
                self._station.well(about)
            self._recorded += clip.seconds
            if clip.last:
                _log.info("camera %s: recording ended after %.0f s", self.name, self._recorded)
                self._told_recording, self._recorded = False, 0.0
        if self._recorder.broken_groups > self._told_broken:
            self._told_broken = self._recorder.broken_groups
            self._station.report(
                SourceError(
                    "no key frame for a minute: without them nothing can be recorded",
                    where=f"camera {self.name}",
                    remedy="Set the key frame interval (GOP) in the camera's settings to 1 or 2 seconds",
                ),
                about=about,
            )

    def _save_one(self, clip: Clip) -> None:
        assert self._source is not None
        # What was taken before the clock was set keeps the time that it was taken at, and says so.
        synced = self._synced_from is not None and clip.start >= self._synced_from
        metadata = Metadata(
            id=clip.id,
            captured_at=moment(clip.captured),
            clock="synced" if synced else "unsynced",
            trigger=clip.trigger,
            content_type="video/mp4",
            sequence=clip.sequence,
            recording=clip.recording,
            last=clip.last,
            duration=round(clip.seconds, 3),
            cloud=None if self.settings.cloud == "auto" else self.settings.cloud,
        )
        part = self._outbox.temporary(clip.id)
        try:
            self._outbox.make_room(sum(chunk.size for chunk in clip.chunks))
            size = write_clip(part, clip, self._source.template)
            self._outbox.add(ThingTopic(self._station.name, self.name, "clip"), metadata, wait=False)
        except MeerkatError:
            self._outbox.discard(clip.id)
            raise
        _log.info(
            "camera %s: clip %d of a recording, %.1f s, %d kB",
            self.name,
            clip.sequence + 1,
            clip.seconds,
            size // 1000,
        )
