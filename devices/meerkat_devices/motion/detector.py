"""Motion by vision: does something move in front of this camera now, and where?

The luma plane is shrunk to 100 pixels of height, and each picture is asked five things:

1.  **Light.** How much brighter or darker is all of it? The gain is divided out, so clouds, lamps and
    the camera's own exposure change nothing; a bright car is no reason to look away.
2.  **Background.** What differs from what was seen here? OpenCV's MOG2 keeps several values per pixel,
    which covers leaves that swing and noise, and remembers the floor behind a person who stands on it.
3.  **Change.** What of that has changed within the last tenths of a second? A background model alone
    reports what is *different*, also when it stands or was left behind (a ghost).
4.  **Habit and clutter.** Places that move most of the time, and many small spots all over the picture
    (rain, snow, insects), count for less.
5.  **State.** Motion starts when it is large or lasts a moment. It ends at once when the place is as it
    was before, and later while what moved still stands there.

There is no calibration during which motion is not reported. All times are seconds of media time;
neither the frame rate nor gaps enter the behaviour. Measurements: docs/explanation/motion.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from meerkat_contract.messages import Box
from meerkat_devices.settings.motion import MotionSettings

from .scene import Look, Scene, shrink

_ROUNDING = 1e-6
"""Seconds; media times are floats."""


@dataclass(frozen=True, slots=True)
class MotionReading:
    """What one picture says. Boxes are (x, y, width, height) in fractions of the picture."""

    active: bool
    """The state to publish: confirmed, and held while what moved is still there."""
    area: float
    """Fraction of the picture covered by what moves in this very picture, 0 to 1."""
    boxes: tuple[Box, ...]
    calibrating: bool
    """The background is younger than `settle_seconds`. Motion is reported all the same."""


class MotionDetector:
    """One camera's motion. Feed it each picture with its media time; it never blocks and holds no file."""

    def __init__(
        self, settings: MotionSettings | None = None, *, mask: NDArray[np.uint8] | None = None
    ) -> None:
        """`mask` (H, W) of any size: where it is zero, motion does not count (a road, a television)."""
        self.settings = settings = settings or MotionSettings()
        self._mask = mask
        self._scene: Scene | None = None
        self._state = MotionState(settings)
        self._last_at: float | None = None
        self._since = 0.0

    def retune(self, settings: MotionSettings) -> None:
        """Judge by another sensitivity or smallest area from the next picture on; nothing is learnt anew.

        Any other difference counts from the next scene on, after a new source or size of picture.
        """
        self.settings = settings
        if self._scene is not None:
            self._scene.retune(threshold=settings.threshold, minimum_area=settings.minimum_area)

    def step(self, gray: NDArray[np.uint8], at: float) -> MotionReading:
        """Judge one picture: its luma plane (H, W) and its media time in seconds.

        A new picture size starts a new background. Time that stands still or jumps back is a gap.
        """
        small = shrink(gray)
        scene = self._scene
        if scene is None or scene.shape != small.shape:
            scene = self._scene = self._learn(small)
            self._since = at
        elapsed = 0.0 if self._last_at is None else at - self._last_at
        gap = not 0 < elapsed <= self.settings.gap_seconds
        self._last_at = at
        if gap:
            scene.resume()
            elapsed = 0.0
        seen = scene.look(small, elapsed)
        active = self._state.step(at, seen)
        calibrating = at - self._since < self.settings.settle_seconds
        return MotionReading(active, seen.area, seen.boxes, calibrating)

    def _learn(self, small: MatLike) -> Scene:
        settings = self.settings
        return Scene(
            small,
            threshold=settings.threshold,
            minimum_area=settings.minimum_area,
            change_seconds=settings.change_seconds,
            background_seconds=settings.background_seconds,
            habit_seconds=settings.habit_seconds,
            hold_seconds=settings.quiet_seconds,
            habit_share=settings.habit_share,
            mask=self._mask,
        )


class MotionState:
    """The debounced state: started by large or lasting motion, held while what moved is still there."""

    def __init__(self, settings: MotionSettings) -> None:
        self._settings = settings
        self.active = False
        self._first = self._last = -math.inf
        self._present_at = -math.inf
        self._lasting = False

    def step(self, at: float, seen: Look) -> bool:
        """The state after a look at media time `at`, in seconds. Time that jumps back ends the motion."""
        settings = self._settings
        if at < self._last:  # the stream's clock started again
            self._first = self._last = self._present_at = -math.inf
        if seen.area > 0:
            if at - self._last > settings.confirm_seconds + _ROUNDING:
                self._first = at
            self._last = self._present_at = at
            self._lasting = self._lasting or at - self._first >= settings.confirm_seconds - _ROUNDING
            self.active = self.active or self._lasting or seen.change >= settings.certain_area
        elif self.active:
            if seen.present and self._lasting:
                self._present_at = at
            quiet = at - self._last >= settings.quiet_seconds - _ROUNDING
            clear = at - self._present_at >= settings.clear_seconds - _ROUNDING
            self.active = not (quiet or clear)
            self._lasting = self._lasting and self.active
        return self.active
