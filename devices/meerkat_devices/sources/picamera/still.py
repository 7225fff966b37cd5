"""Single pictures for a meter, with the exposure held fast and checked in their metadata.

The automatic exposure runs while the lamp is on until it is steady; then time, gain and colours are
held. Controls take some frames to act, and a frame may carry the exposure before (picamera2's issue
1278): a picture counts when its own metadata say so. Where the camera's ring runs, the picture is the
next frame of its main stream, and afterwards the exposure is given back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, NamedTuple

from av.video.frame import VideoFrame

from meerkat_devices.clock import Clock
from meerkat_devices.settings.picamera import PicameraSettings
from meerkat_devices.sources.source import SourceError, moment
from meerkat_devices.stills import Still, StillCamera

from .board import BOARDS, Boards
from .library import in_words
from .source import mark_colours, taken_at

_log = logging.getLogger("meerkat.device")

FRAME_TIMEOUT = 10.0
"""Seconds to wait for one frame, beyond its exposure."""
STEADY_FRAMES = 4
"""So many frames in a row with the same exposure, and the automatic has found it."""
LEAST_FRAMES = 8
"""Of them in all: the automatic answers to a lamp some frames late, and looks steady until then."""
STEADY = 0.03
"""What counts as the same exposure, as a part of it."""
HELD = 0.02
"""How far time and gain may be off: a sensor counts in rows, and its gain has steps."""
ROW = 40
"""Microseconds, the same for a short exposure."""
TRIES = 30
"""Frames to wait for the exposure that was asked for."""
LOOK_UP = 0.2
"""Seconds between looks at `stop`, and at the clock, while a frame is waited for."""


class Exposure(NamedTuple):
    """`time` is microseconds; `colours` the gains of red and blue, None for a sensor without colours."""

    time: int
    gain: float
    colours: tuple[float, float] | None


class PicameraStill(StillCamera):
    """Raises SourceError when the camera cannot be had."""

    def __init__(
        self, number: int, settings: PicameraSettings, *, clock: Clock, boards: Boards = BOARDS
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._boards = boards
        self._board = boards.open(number, "still", settings)
        self._open = True
        try:
            with self._board.said("be started"):
                self._board.picam2.start()  # does nothing where the ring runs
        except BaseException:
            self.close()
            raise

    def stills(self, count: int, stop: threading.Event) -> Iterator[Still]:
        exposure = self._settle(stop)
        if exposure is None:
            return
        self._hold(exposure)
        for _ in range(count):
            still = self._take(exposure, stop)
            if still is None:
                return
            yield still

    def close(self) -> None:
        """Give the exposure back to the ring, or close the camera."""
        if not self._open:
            return
        self._open = False
        self._boards.release(self._board, "still", after=self._give_back)

    def _give_back(self) -> None:
        if self._board.users > 1:
            with self._board.said("take its exposure back"):
                self._board.picam2.set_controls(self._board.resting)

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the exposure ---------------------------------------------------------------------------

    def _settle(self, stop: threading.Event) -> Exposure | None:
        """Let the automatic find what the settings leave open. None when `stop` was set."""
        wanted = self._settings.exposure
        self._check_limits("ExposureTime", wanted.time_us, "time_us")
        self._check_limits("AnalogueGain", wanted.gain, "gain")
        if self._board.settings.exposure != wanted:
            # The ring's camera has an exposure of its own.
            with self._board.said("set its exposure"):
                self._board.picam2.set_controls(self._board.adjusting(wanted))
        end = self._clock.monotonic() + wanted.settle_seconds
        seen, steady, before = 0, 0, 0.0
        while not stop.is_set():
            request = self._request(stop, flush=not seen)
            if request is None:
                return None
            try:
                with self._board.said("tell its exposure"):
                    metadata = request.get_metadata()
                    time, gain = metadata["ExposureTime"], metadata["AnalogueGain"]
            finally:
                request.release()
            seen += 1
            amount = time * gain * metadata.get("DigitalGain", 1.0)
            steady = steady + 1 if abs(amount - before) <= STEADY * amount else 0
            before = amount
            late = self._clock.monotonic() >= end
            if late and steady < STEADY_FRAMES:
                _log.info("%s: no steady exposure in %g s", self._board.where, wanted.settle_seconds)
            if late or (steady >= STEADY_FRAMES and seen >= LEAST_FRAMES):
                return Exposure(wanted.time_us or time, wanted.gain or gain, metadata.get("ColourGains"))
        return None

    def _check_limits(self, control: str, wanted: float | None, name: str) -> None:
        limits = self._board.picam2.camera_controls.get(control)
        if wanted is None or limits is None:
            return
        least, most = limits[0], limits[1]
        if not least <= wanted <= most:
            raise SourceError(
                f"its exposure cannot be {wanted:g}",
                where=f"{self._board.where}, exposure.{name}",
                remedy=f"This sensor takes {least:g} to {most:g}",
            )

    def _hold(self, exposure: Exposure) -> None:
        duration = max(self._board.frame_duration, exposure.time)
        wanted: dict[str, Any] = {
            "AeEnable": False,
            "AwbEnable": False,
            "ExposureTime": exposure.time,
            "AnalogueGain": exposure.gain,
            "FrameDurationLimits": (duration, duration),
        }
        if exposure.colours is not None:
            wanted["ColourGains"] = tuple(exposure.colours)
        _log.info("%s: exposure held at %d µs, gain %.2f", self._board.where, exposure.time, exposure.gain)
        with self._board.said("hold its exposure"):
            self._board.picam2.set_controls(self._board.controls(wanted))

    # --- pictures -------------------------------------------------------------------------------

    def _take(self, exposure: Exposure, stop: threading.Event) -> Still | None:
        """The next frame that was begun from now on and is exposed as asked; after TRIES any other."""
        for left in range(TRIES - 1, -1, -1):
            if stop.is_set():
                return None
            request = self._request(stop, flush=True)
            if request is None:
                return None
            try:
                with self._board.said("give its picture"):
                    metadata = request.get_metadata()
                    time, gain = metadata["ExposureTime"], metadata["AnalogueGain"]
                    locked = _held(metadata, exposure)
                    if left and not locked:
                        continue
                    picture = self._picture(request)
            finally:
                request.release()
            if not locked:
                _log.warning(
                    "%s: the exposure does not hold: %d µs at gain %.2f were asked for, and the picture "
                    "has %d µs at %.2f. Does `exposure` suit the sensor?",
                    self._board.where,
                    exposure.time,
                    exposure.gain,
                    time,
                    gain,
                )
            taken = taken_at(self._clock, metadata["SensorTimestamp"] // 1000)
            return Still(picture, moment(taken), exposure=time / 1e6, gain=gain, locked=locked)
        return None

    def _picture(self, request: Any) -> Any:
        """BGR. A copy: the camera's buffer is given back at once."""
        pixels = request.make_array("main")
        if pixels.ndim == 3:
            return pixels  # RGB888, which is libcamera's name for bytes in the order of BGR
        width = self._board.picam2.camera_configuration()["main"]["size"][0]
        frame = VideoFrame.from_numpy_buffer(pixels, format="yuv420p", width=width)
        mark_colours(frame, self._board.settings)
        return frame.to_ndarray(format="bgr24")

    def _request(self, stop: threading.Event, *, flush: bool) -> Any:
        """The next frame; with `flush` one whose exposure begins from now on. To be released.

        None when `stop` was set first.
        """
        picam2, clock = self._board.picam2, self._clock
        patience = FRAME_TIMEOUT + 2e-6 * (self._settings.exposure.time_us or 0)
        until = clock.monotonic() + patience
        with self._board.said("give its picture"):
            job = picam2.capture_request(wait=False, flush=flush or None)
            while not stop.is_set() and (left := until - clock.monotonic()) > 0:
                with suppress(TimeoutError):
                    return job.get_result(timeout=min(left, LOOK_UP))
            # The order would stay first in the queue, and every later one behind it: also to stop.
            picam2.cancel_all_and_flush()
        try:
            job.get_result(timeout=1.0).release()  # it came after all, or is being handed over
        except (CancelledError, TimeoutError):
            pass
        except RuntimeError as error:
            raise in_words(error, self._board.where, "give its picture") from error
        if stop.is_set():
            return None
        raise SourceError(
            f"no picture for {patience:.0f} s",
            where=self._board.where,
            remedy="Check the ribbon cable and the power supply (`vcgencmd get_throttled`)",
        )


def _held(metadata: dict[str, Any], exposure: Exposure) -> bool:
    # A row of the sensor is some 10 to 40 µs: of a short exposure that is more than HELD.
    time_off = abs(metadata["ExposureTime"] - exposure.time)
    gain_off = abs(metadata["AnalogueGain"] - exposure.gain)
    return bool(time_off <= max(HELD * exposure.time, ROW) and gain_off <= HELD * exposure.gain)
