"""Frames of interest: a hub asks a camera for so many a second, and they go to it as JPEG.

    meerkat/device/<d>/<camera>/frames/set     a decimal number, retained: frames per second, 0 for none
    meerkat/device/<d>/<camera>/frames/state   the rate in force, retained
    meerkat/device/<d>/<camera>/frame          a JPEG, QoS 0

They are perishable: one that cannot go at once is passed over and counted, never kept for later. While
nobody asks, or the hub says that it is away, a frame costs one comparison.
"""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Callable, Sequence

from meerkat_contract.errors import BadMessage, MeerkatError, MessageTooLarge
from meerkat_contract.frame_region import in_part, to_property
from meerkat_contract.ids import new_id
from meerkat_contract.messages import FrameFindings
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Delivery, Incoming
from meerkat_contract.topics import SettingTopic, ThingTopic
from meerkat_devices.clock import Clock, clock_state
from meerkat_devices.picture import QUALITIES, encode
from meerkat_devices.recording.recorder import TICKS
from meerkat_devices.regions import Corners
from meerkat_devices.settings.frames import FrameSettings
from meerkat_devices.sources.source import Pace, Shot, moment
from meerkat_devices.station import Station
from meerkat_devices.words import counted

from .detector import FrameDetector, of_interest
from .followed import Followed
from .view import View, view

_log = logging.getLogger("meerkat.device")

MOST = 240.0
"""Frames per second that can be asked for."""

MAX_BYTES = 1_000_000
"""Of one frame, which goes in one packet: half of what Mosquitto takes unless it is told otherwise."""

LONG_STEP = 5.0
"""Seconds between two frames; a longer step is a gap, and says nothing of the camera's rate."""

TELL_SECONDS = 3600.0
"""Between lines of the log that say what became of the frames."""

_NUMBER = re.compile(rb"[0-9]{1,9}(\.[0-9]{0,9})?(e-?[0-9]{1,2})?")


def parse_rate(payload: bytes, *, topic: str = "") -> float:
    """Frames per second of a frames/set message; nothing at all is 0. Raises BadMessage."""
    if not payload:
        return 0.0
    rate = float(payload) if _NUMBER.fullmatch(payload) else math.nan
    if not 0 <= rate <= MOST:
        shown = payload[:40].decode(errors="replace")
        raise BadMessage(
            f"{shown!r} is no number of frames per second; the rate stays as it was",
            where=topic,
            remedy=f"Send a decimal number from 0 to {MOST:g}, such as 2 or 0.5",
        )
    return rate


class Spacing:
    """Which frames to take of a camera's, so that they are evenly spaced. Pure; times in seconds.

    Frames come when the camera has them, so each is the one nearest to its moment. On average they
    are never more than was asked for.
    """

    def __init__(self) -> None:
        self._rate = 0.0
        self._last = self._due = -math.inf
        self._apart = 0.0
        """Between the camera's frames, on average: some come early or late."""
        self._paused = False

    def take(self, at: float, rate: float, *, wanted: bool = True) -> bool:
        """Whether to take the frame of time `at`; call it for every frame. `rate` is above 0."""
        interval = 1 / rate
        step = at - self._last
        self._last = at
        if rate != self._rate or step < 0:  # asked anew, or the stream's clock began again
            self._rate, self._due = rate, at
        elif step < LONG_STEP:
            self._apart += (step - self._apart) * (0.1 if self._apart else 1.0)
        if not wanted:
            self._paused = True
            return False
        if at > self._due + (0.0 if self._paused else interval):  # nothing is made up for
            self._due = at
        self._paused = False
        if at + min(self._apart, interval) / 2 < self._due:
            return False
        self._due += interval
        return True


class Frames:
    """One camera's. `offer` is the camera thread's, `told` and `hub_is` the network thread's."""

    def __init__(
        self,
        camera: str,
        settings: FrameSettings,
        *,
        station: Station,
        clock: Clock,
        pace: Pace = "own",
        private: Sequence[Corners] = (),
    ) -> None:
        """`private` polygons are painted black in what is sent, and in what the device looks at."""
        self.camera = camera
        self.settings = settings
        self._private = tuple(private)
        self.asked = 0.0
        """Frames per second."""
        self.rate = 0.0
        """In force: what was asked for, no more than the camera has, 0 while the hub is away."""
        self.counts = dict.fromkeys(("sent", "nothing", "passed over", "failed"), 0)
        """Frames by fate; `nothing`: the device looked, and nothing was in it."""
        self._station = station
        self._clock = clock
        self._by_media_time = pace == "own"
        self._own = math.inf
        self._hub_away = False
        self._ended = False
        self._settling = threading.Lock()
        self._counting = threading.Lock()
        self._spacing = Spacing()
        self._delivery: Delivery | None = None
        self._summed = dict(self.counts)
        self._tell_at = math.inf
        self._troubled = False
        self._followed = Followed()
        self._detector: FrameDetector | None = None
        if settings.detect is not None:
            self._detector = FrameDetector(
                camera,
                settings,
                see=lambda shot: view(shot.frame, self.settings, self._private),
                report=lambda error: station.report(error, about=f"camera {camera}, detector"),
                well=lambda: station.well(f"camera {camera}, detector"),
                send=self._found,
                count=self._count,
                clock=clock,
            )

    @property
    def detector(self) -> FrameDetector | None:
        """What looks at the frames before they go; to be run on a thread of its own."""
        return self._detector

    @property
    def topic(self) -> SettingTopic:
        return SettingTopic(self._station.name, self.camera, "frames", "set")

    @property
    def _about(self) -> str:
        return f"camera {self.camera}, frames"

    # --- what is asked --------------------------------------------------------------------------

    def start(self) -> None:
        """Say that nothing is in force yet: an earlier run may have left another word."""
        self._say()

    def retune(self, settings: FrameSettings) -> None:
        """Another shape of frames from now on. What the device itself looks for stays as it was."""
        self.settings = settings

    def told(self, message: Incoming) -> None:
        """A message on `topic`; what is no rate is reported, and changes nothing."""
        try:
            asked = parse_rate(message.payload, topic=message.topic)
        except BadMessage as error:
            self._station.report(error)
            return
        self.asked = asked
        self._settle()

    def hub_is(self, *, here: bool) -> None:
        """A hub that has said goodbye, or died, leaves its wish behind, and nobody to take frames."""
        self._hub_away = not here
        self._settle()

    def opened(self, own: float) -> None:
        """The camera's own frames per second are known; 0 when they are not."""
        self._own = own or math.inf
        self._settle()

    def end(self) -> None:
        """No more frames, whatever is asked from now on; ends the detector's thread."""
        self._ended = True
        self._settle()
        if self._detector is not None:
            self._detector.end()

    def _settle(self) -> None:
        with self._settling:  # three threads come here
            nobody = self._hub_away or self._ended
            before, self.rate = self.rate, 0.0 if nobody else min(self.asked, self._own)
            if self.rate == before:
                return
            if not before:
                self._summed = dict(self.counts)
                self._tell_at = self._clock.monotonic() + TELL_SECONDS
                _log.info("camera %s: %g frames a second are asked for", self.camera, self.rate)
            if not self.rate:
                _log.info("camera %s: no more frames are asked for; %s", self.camera, self._summary())
                if self._detector is not None:
                    self._detector.rest()
            self._say()

    def _say(self) -> None:
        topic = self.topic._replace(kind="state")
        self._station.keep(topic, f"{self.rate:g}")

    def _summary(self) -> str:
        """What became of the frames since the last summary, in words."""
        before, self._summed = self._summed, dict(self.counts)
        since = {fate: count - before[fate] for fate, count in self._summed.items()}
        more = [f"{count} {fate}" for fate, count in since.items() if count and fate != "sent"]
        return ", ".join([f"{counted(since['sent'], 'frame', 'frames')} sent", *more])

    # --- what is sent ---------------------------------------------------------------------------

    def offer(self, shot: Shot, *, moving: bool) -> None:
        """A frame of the camera. With a detector it is the detector's from here on: leave it alone."""
        rate = self.rate
        if not rate:
            return
        now = self._clock.monotonic()
        if now >= self._tell_at:
            self._tell_at = now + TELL_SECONDS
            _log.info("camera %s: %s in the last hour", self.camera, self._summary())
        at = shot.at / TICKS if self._by_media_time else now
        wanted = moving or self.settings.when == "always"
        if not self._spacing.take(at, rate, wanted=wanted):
            return
        if not self._station.connected or not self._line_is_free:
            self._count("passed over")
        elif shot.found is not None and self.settings.detect in (None, shot.found.task):
            self._seen_by_camera(shot, shot.found)
        elif self._detector is not None:
            self._detector.offer(shot)
        else:
            self._try(lambda: self._send(shot, view(shot.frame, self.settings, self._private)))

    def _seen_by_camera(self, shot: Shot, findings: FrameFindings) -> None:
        """A camera that looks by itself spares the device the work: with `detect`, and without it."""
        seen = view(shot.frame, self.settings, self._private)
        inside = [(one, in_part(one.box, seen.region)) for one in findings.found]
        cut_off = [one.model_copy(update={"box": box}) for one, box in inside if box is not None]
        found = self._followed.step(of_interest(cut_off, self.settings.labels), shot.at / TICKS)
        if not found and self.settings.detect is not None:
            self._count("nothing")
        else:
            told = findings.model_copy(update={"found": found})
            self._try(lambda: self._found(shot, seen, told))

    def _try(self, send: Callable[[], None]) -> None:
        try:
            send()
        except MeerkatError as error:
            self._count("failed")
            self._trouble(error)

    @property
    def _line_is_free(self) -> bool:
        """Whether the frame before has left: otherwise the line is slower than the frames."""
        return self._delivery is None or self._delivery.done

    def _found(self, shot: Shot, seen: View, findings: FrameFindings) -> None:
        self._send(shot, seen, properties=[("found", findings.to_json().decode())])

    def _send(self, shot: Shot, seen: View, *, properties: Sequence[tuple[str, str]] = ()) -> None:
        """Raises MediaError when it cannot be encoded."""
        quality = self.settings.quality
        qualities = (quality, *(lower for lower in QUALITIES if lower < quality))
        payload = encode(seen.picture, qualities=qualities, max_bytes=MAX_BYTES)
        if seen.region is not None:
            properties = [*properties, to_property(seen.region)]
        metadata = Metadata(
            id=new_id(),
            captured_at=moment(shot.captured),
            clock=clock_state(self._clock.now()),
            trigger="frame",
        )
        with self._settling:
            if not self.rate:  # withdrawn meanwhile: no frame comes after the word that none will
                self._count("passed over")
                return
            # As plain properties, so that one too large for the broker fails and goes in no parts.
            delivery = self._delivery = self._station.send(
                ThingTopic(self._station.name, self.camera, "frame"),
                payload,
                properties=[*metadata.to_properties(), *properties],
                content_type="image/jpeg",
            )
        delivery.add_done_callback(self._sent)

    def _sent(self, delivery: Delivery) -> None:
        error = delivery.error
        self._count("failed" if error else "sent")
        if isinstance(error, MessageTooLarge):
            remedy = "Raise the broker's packet limit, or lower frames.width or frames.quality"
            self._trouble(MessageTooLarge(error.what, where=self._about, remedy=remedy))
        elif error is None and self._troubled:
            self._troubled = False
            self._station.well(self._about)

    def _trouble(self, error: MeerkatError) -> None:
        self._troubled = True
        self._station.report(error, about=self._about)

    def _count(self, fate: str) -> None:
        with self._counting:
            self.counts[fate] += 1
