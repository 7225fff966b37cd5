"""Motion by vision: does something move in front of this camera now, and where?

The luma plane is shrunk to 100 pixels of height and each picture goes through five steps:

1.  **Light.** The picture's brightness against a slowly kept reference, cell by cell; the median
    ratio is the gain of the light (clouds, lamps, the camera's own exposure) and is divided out, so a
    bright car that makes the camera close its iris changes nothing but the car.
2.  **Background.** OpenCV's MOG2 keeps several values per pixel, which covers leaves that swing, noise
    and rain, and remembers the floor behind a person who stands on it.
3.  **Change.** The picture against a fast average of the last tenths of a second. A background
    model alone reports what is *different*, also when it has stopped or was left behind (a ghost);
    only what is different *and changes* moves.
4.  **Habit.** Places that have moved for most of the last minute (a branch, a flag) stop counting
    unless the motion leaves them.
5.  **State.** Motion starts when it is large or lasts a moment; it ends at once-ish when the scene is
    clear again, later when something foreign still stands there.

There is no recalibration: no change of light suspends the report. All times are seconds of media
time; neither the frame rate nor gaps enter the behaviour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from meerkat_contract.messages import Box

WORKING_HEIGHT = 100
"""Pixels; more costs time and finds nothing more, as Frigate and others found before us."""

CELL = 4
"""Side of the squares, in working pixels, in which motion is gathered into objects."""

Gray = NDArray[np.uint8]
Plane = NDArray[np.float32]


class MotionSettings(BaseModel):
    """How motion is judged. All times are seconds of media time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sensitivity: float = Field(0.5, ge=0, le=1, description="0 sees large contrasts only, 1 the faintest")
    minimum_area: float = Field(0.001, gt=0, le=0.5, description="smallest moving part, fraction of picture")
    certain_area: float = Field(0.002, gt=0, le=1, description="motion this large needs no confirmation")
    confirm_seconds: float = Field(0.15, ge=0, le=10, description="how long smaller motion must last")
    clear_seconds: float = Field(0.2, ge=0, le=60, description="end this long after the scene is clear")
    quiet_seconds: float = Field(5.0, ge=0, le=600, description="end after this long without movement")
    change_seconds: float = Field(0.4, gt=0, le=5, description="memory of what changes")
    background_seconds: float = Field(60.0, gt=1, le=3600, description="memory of the background")
    habit_seconds: float = Field(60.0, gt=1, le=3600, description="memory of places that always move")
    habit_share: float = Field(0.5, gt=0, le=1, description="share of that memory that makes it a habit")
    gap_seconds: float = Field(2.0, gt=0, le=600, description="a longer pause between pictures is a gap")
    settle_seconds: float = Field(3.0, ge=0, le=60, description="how long the start is called calibrating")

    @property
    def threshold(self) -> float:
        """Grey levels by which a pixel must change, 30 at sensitivity 0 and 6 at 1."""
        return 30.0 - 24.0 * self.sensitivity


@dataclass(frozen=True, slots=True)
class MotionReading:
    """What one picture says. Boxes are (x, y, width, height) in fractions of the picture."""

    active: bool
    """The state to publish: confirmed, and held through short pauses."""
    area: float
    """Fraction of the picture covered by what moves in this very picture, 0 to 1."""
    boxes: tuple[Box, ...]
    calibrating: bool
    """The background is younger than `settle_seconds`. Motion is reported all the same."""


QUIET_START = MotionReading(active=False, area=0.0, boxes=(), calibrating=True)


def shrink(gray: Gray) -> Gray:
    """The luma plane (H, W) at working height, proportions kept.

    First by a whole factor, which OpenCV averages three times faster than a fraction, then the rest.
    """
    height, width = gray.shape
    factor = max(1, height // WORKING_HEIGHT)
    if factor > 1:
        rows, columns = height // factor, width // factor
        whole = gray[: rows * factor, : columns * factor]
        gray = np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    size = (max(CELL, round(width * WORKING_HEIGHT / height)), WORKING_HEIGHT)
    if (gray.shape[1], gray.shape[0]) == size:
        return gray
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_LINEAR), np.uint8)


class MotionDetector:
    """One camera's motion. Feed it each picture with its media time; it never blocks and holds no file."""

    def __init__(
        self, settings: MotionSettings | None = None, *, mask: NDArray[np.uint8] | None = None
    ) -> None:
        """`mask`, of any size: where it is zero, motion does not count (a road, a television)."""
        self.settings = settings = settings or MotionSettings()
        self._mask_given = mask
        self._scene: _Scene | None = None
        self._state = _State(settings)
        self._last_at: float | None = None

    def step(self, gray: Gray, at: float) -> MotionReading:
        """Judge one picture: its luma plane (H, W) and its media time in seconds.

        A new picture size starts a new background. Time that stands still or jumps back is a gap.
        """
        small = shrink(gray)
        scene = self._scene
        if scene is None or scene.shape != small.shape:
            scene = self._scene = _Scene(small, at, self.settings, self._mask_given)
        elapsed = 0.0 if self._last_at is None else at - self._last_at
        gap = not 0 < elapsed <= self.settings.gap_seconds
        self._last_at = at
        if gap:
            scene.resume()
            elapsed = 0.0
        boxes, area, present = scene.look(small, elapsed)
        active = self._state.step(at, area, present)
        return MotionReading(active, area, boxes, at - scene.since < self.settings.settle_seconds)


class _State:
    """The debounced state: started by large or lasting motion, held through short pauses."""

    def __init__(self, settings: MotionSettings) -> None:
        self._settings = settings
        self.active = False
        self._first = self._last = -math.inf
        self._present_at = -math.inf

    def step(self, at: float, area: float, present: bool) -> bool:
        settings = self._settings
        if at < self._last:  # the stream's clock started again
            self._first = self._last = self._present_at = -math.inf
        if area > 0:
            if at - self._last > settings.change_seconds:
                self._first = at
            self._last = self._present_at = at
            certain = area >= settings.certain_area
            self.active = self.active or certain or at - self._first >= settings.confirm_seconds
        elif self.active:
            if present:
                self._present_at = at
            quiet = at - self._last >= settings.quiet_seconds
            clear = at - self._present_at >= settings.clear_seconds
            self.active = not (quiet or clear)
        return self.active


class _Scene:
    """The learnt picture of one camera at working size, and what moves before it."""

    def __init__(self, small: Gray, at: float, settings: MotionSettings, mask: Gray | None) -> None:
        self.shape = small.shape
        self.since = at
        self._settings = settings
        height, width = small.shape
        self._grid = (max(1, width // CELL), height // CELL)
        self._scale = (1 / self._grid[0], 1 / self._grid[1])
        self._subtractor = cv2.createBackgroundSubtractorMOG2(varThreshold=16, detectShadows=False)
        self._fast = small.astype(np.float32)
        self._light = _Light(small)
        self._habit = np.zeros((self._grid[1], self._grid[0]), np.float32)
        self._object = np.zeros((self._grid[1], self._grid[0]), np.bool_)
        self._learnt = 0.0
        self._fresh = True
        self._mask = (
            None if mask is None else cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
        )

    def resume(self) -> None:
        """After a gap: what changed meanwhile is no motion."""
        self._fresh = True

    def look(self, small: Gray, elapsed: float) -> tuple[tuple[Box, ...], float, bool]:
        """Boxes and area of what moves, and whether what moved last is still there."""
        settings = self._settings
        picture = cv2.blur(self._light.level(small, elapsed), (3, 3))
        self._learnt += elapsed
        memory = min(settings.background_seconds, max(self._learnt, 0.5))
        rate = 1 - math.exp(-max(elapsed, 0.01) / memory)
        foreground = self._subtractor.apply(picture, learningRate=1.0 if self._learnt == 0 else rate)
        if self._fresh:
            self._fresh = False
            self._fast[:] = picture
            return (), 0.0, bool(self._object.any())
        change = cv2.absdiff(picture, cv2.convertScaleAbs(self._fast))
        cv2.accumulateWeighted(picture, self._fast, 1 - math.exp(-elapsed / settings.change_seconds))
        _, changing = cv2.threshold(change, settings.threshold, 255, cv2.THRESH_BINARY)
        moving = cv2.bitwise_and(changing, foreground)
        if self._mask is not None:
            moving = cv2.bitwise_and(moving, self._mask)
        pixels = cv2.countNonZero(moving)
        least = max(4.0, settings.minimum_area * moving.size)
        habit_rate = 1 - math.exp(-elapsed / settings.habit_seconds)
        if pixels < least:
            self._habit *= 1 - habit_rate
            return (), 0.0, self._present(foreground)
        return self._objects(moving, foreground, least, habit_rate)

    def _present(self, foreground: MatLike) -> bool:
        if not self._object.any():
            return False
        cells = cv2.resize(foreground, self._grid, interpolation=cv2.INTER_AREA)
        return bool((cells[self._object] > 96).sum() * 16 >= self._settings.minimum_area * foreground.size)

    def _objects(
        self, moving: MatLike, foreground: MatLike, least: float, habit_rate: float
    ) -> tuple[tuple[Box, ...], float, bool]:
        weight = cv2.resize(moving, self._grid, interpolation=cv2.INTER_AREA)
        solid = cv2.resize(foreground, self._grid, interpolation=cv2.INTER_AREA)
        hit = weight > 32
        self._habit += habit_rate * (hit - self._habit)
        union = ((solid > 64) | hit).astype(np.uint8)
        count, names, stats, _ = cv2.connectedComponentsWithStats(union, connectivity=8)
        strange = np.where(self._habit < self._settings.habit_share, weight, 0)
        moved = np.bincount(names.ravel(), weights=strange.ravel(), minlength=count) * (CELL * CELL / 255)
        total = np.bincount(names.ravel(), weights=solid.ravel(), minlength=count)
        chosen = [i for i in range(1, count) if moved[i] >= least]
        if not chosen:
            return (), 0.0, self._present(foreground)
        self._object = cv2.dilate(np.isin(names, chosen).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        sx, sy = self._scale
        boxes = tuple(
            (int(x) * sx, int(y) * sy, min(1.0, int(w) * sx), min(1.0, int(h) * sy))
            for x, y, w, h, _ in stats[chosen]
        )
        area = float(total[chosen].sum()) / (255 * names.size)
        return boxes, max(area, float(moved[chosen].sum()) / moving.size), True


class _Light:
    """The gain of the light: the median ratio of the picture's cells to a reference."""

    GRID = (16, 9)

    def __init__(self, small: Gray) -> None:
        self._reference = self._cells(small)

    def _cells(self, small: Gray) -> Plane:
        return cv2.resize(small, self.GRID, interpolation=cv2.INTER_AREA).astype(np.float32) + 2

    def level(self, small: Gray, elapsed: float) -> MatLike:
        cells = self._cells(small)
        gain = float(np.median(cells / self._reference))
        self.gain = gain
        self._reference += (1 - math.exp(-elapsed / 30.0)) * (cells / gain - self._reference)
        return cv2.convertScaleAbs(small, alpha=1 / gain)
