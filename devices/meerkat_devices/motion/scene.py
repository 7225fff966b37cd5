"""The learnt picture of one camera, and what moves before it. The parts of motion by vision."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

from meerkat_contract.messages import Box

WORKING_HEIGHT = 100
"""Pixels. A person who fills a twentieth of the picture's height still covers ten of them."""

CELL = 4
"""Side of the squares, in working pixels, in which motion is gathered into objects."""

_SKIP_ROWS_FROM = 8
"""Where a working pixel is the mean of so many rows, every second one says the same at half the cost."""

_FULL = 255.0
_SQUARE = np.ones((3, 3), np.uint8)
_RIM = np.ones((5, 5), np.uint8)
"""Two working pixels, a fiftieth of the picture's height: one is the shrinking's, one the blur's."""
_TOUCHED = 0.125 * _FULL
"""A cell moves if two of its sixteen pixels do."""
_SOLID = 0.25 * _FULL
"""A cell belongs to an object if a quarter of it is foreground."""
_STILL_THERE = 0.3
"""Share of its last size at which an object that stopped is still in the picture."""
_FOREIGN = 1.5
_BEFORE_SECONDS = 10.0
_FEWEST_PIXELS = 4.0
_FIRST_MEMORY = 0.5
"""Seconds; the background of the first moments is learnt as fast as its age allows."""
_SHOCK_SHARE = 0.5
"""No object comes to fill so much of the picture between two frames; a lamp does."""
_SHOCK_RATE = 0.3
"""How much of the background a shock becomes at once: enough to count as background from then on."""
_CLUTTER_SECONDS = 5.0
_CLUTTER_AT_FIRST = 5.0
_CLUTTER_FREE = 2.0
_CLUTTER_SIZE = 4.0
"""Up to two spots of up to four times the least size are normal: hands, feet, shadows."""
_LIGHT_CELL = 8
_LIGHT_SECONDS = 30.0
_FAR_GAIN = 2.5
"""Beyond this factor, either way, levelling would show more noise than picture: a new reference."""
_FAINTEST = 4.0
"""Grey levels as the camera gave them; fainter changes are noise at any light."""
_BLACK = 2.0
"""Added to cells before ratios are taken, so that black cells do not divide by zero."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one picture shows: boxes in fractions, the share of the picture, and what stands there."""

    boxes: tuple[Box, ...] = ()
    area: float = 0.0
    change: float = 0.0
    """The share of the picture that changed since a moment ago, within the boxes."""
    present: bool = False
    """What moved last is still in the picture, moving or not."""


def shrink(gray: NDArray[np.uint8]) -> MatLike:
    """The luma plane (H, W) at working height, proportions kept to a cell's width.

    Cells come out whole, which OpenCV averages three times faster than fractions. For the same
    reason the picture shrinks by a whole factor first, then by the rest.
    """
    height, width = gray.shape
    factor = max(1, height // WORKING_HEIGHT)
    small: MatLike = gray
    if factor > 1:
        skip = 2 if factor >= _SKIP_ROWS_FROM else 1
        factor -= factor % skip
        rows, columns = height // factor, width // factor
        whole = gray[: rows * factor : skip, : columns * factor]
        small = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    size = (CELL * max(1, round(width * WORKING_HEIGHT / (height * CELL))), WORKING_HEIGHT)
    if (small.shape[1], small.shape[0]) == size:
        return small
    return cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)


def learnt(elapsed: float, memory: float) -> float:
    """The weight of a new sample, `elapsed` seconds after the last, in an average over `memory` seconds."""
    return 1 - math.exp(-elapsed / memory)


class Light:
    """The gain of the light: the median ratio of the picture's cells to a slowly kept reference.

    The reference follows the picture *without* its gain, so that it stays level with the background
    model, which sees the same. Half of the cells may be covered by objects before the median errs.
    """

    def __init__(self, small: MatLike) -> None:
        self.gain = 1.0
        self._reference = self._cells(small)

    def _cells(self, small: MatLike) -> NDArray[np.float32]:
        rows, columns = small.shape[0] // _LIGHT_CELL, max(1, small.shape[1] // _LIGHT_CELL)
        whole = small[: rows * _LIGHT_CELL, : columns * _LIGHT_CELL]
        cells = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
        return np.asarray(cells, np.float32) + np.float32(_BLACK)

    def level(self, small: MatLike, elapsed: float) -> MatLike:
        """The picture as it would be in the reference's light."""
        cells = self._cells(small)
        ratios = (cells / self._reference).ravel()
        middle = ratios.size // 2
        gain = np.partition(ratios, middle)[middle]
        self._reference += np.float32(learnt(elapsed, _LIGHT_SECONDS)) * (cells / gain - self._reference)
        self.gain = float(gain)
        return cv2.convertScaleAbs(small, alpha=1 / self.gain)


def _counting(mask: MatLike, size: tuple[int, int]) -> MatLike:
    """Where motion counts at working size: `mask` without its rim, into which what is masked is blurred."""
    return cv2.erode(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), _RIM)


def _subtractor() -> cv2.BackgroundSubtractorMOG2:
    return cv2.createBackgroundSubtractorMOG2(varThreshold=16, detectShadows=False)


class Scene:
    """Background, fast average and habits of one camera at working size."""

    def __init__(
        self,
        small: MatLike,
        *,
        threshold: float,
        minimum_area: float,
        change_seconds: float,
        background_seconds: float,
        habit_seconds: float,
        hold_seconds: float,
        habit_share: float,
        mask: NDArray[np.uint8] | None,
    ) -> None:
        """Learn from a first shrunk picture. `threshold` is in grey levels, `minimum_area` in fractions
        of the picture; `hold_seconds` limits how long what stopped counts as still there.
        """
        height, width = small.shape
        self.shape = small.shape
        self.retune(threshold=threshold, minimum_area=minimum_area)
        self._change_seconds = change_seconds
        self._background_seconds = background_seconds
        self._habit_seconds = habit_seconds
        self._hold_seconds = hold_seconds
        self._habit_share = habit_share
        self._mask = None if mask is None else _counting(mask, (width, height))
        self._light = Light(small)
        self._subtractor = _subtractor()
        self._average = small.astype(np.float32)
        self._raw_average = small.astype(np.float32)
        self._before = small.astype(np.float32)
        self._age: float | None = None
        self._fresh = True
        self._grid = (width // CELL, height // CELL)
        self._habit = np.zeros(self._grid[::-1], np.float32)
        self._there: MatLike = np.zeros(small.shape, np.uint8)
        self._elsewhere: MatLike = np.ones(small.shape, np.uint8)
        self._still_for = 0.0
        self._place_solid = 0
        self._clutter = _CLUTTER_AT_FIRST

    def retune(self, *, threshold: float, minimum_area: float) -> None:
        """Judge by these from the next picture on; see `__init__`."""
        height, width = self.shape
        self._threshold = threshold
        self._least = max(_FEWEST_PIXELS, minimum_area * height * width)

    def resume(self) -> None:
        """After a gap: what changed meanwhile is no motion."""
        self._fresh = True

    def look(self, small: MatLike, elapsed: float) -> Look:
        """Judge the picture that comes `elapsed` seconds after the last one."""
        level = self._light.level(small, elapsed)
        if not 1 / _FAR_GAIN < self._light.gain < _FAR_GAIN:
            self._light = Light(small)
            self._subtractor = _subtractor()
            self._age = None
            level = small
        picture = cv2.blur(level, (3, 3))
        foreground = self._subtractor.apply(picture, learningRate=self._rate(elapsed))
        if level is small:
            return self._replace(picture, small)
        if self._fresh:
            self._fresh = False
            self._average[:] = picture
            self._raw_average[:] = small
            if self._place_solid == 0:  # else what was put there meanwhile would count as who stands there
                self._before[:] = picture
            return Look(present=self._still_there(picture, elapsed))
        change = cv2.absdiff(picture, cv2.convertScaleAbs(self._average))
        cv2.accumulateWeighted(picture, self._average, learnt(elapsed, self._change_seconds))
        _, changing = cv2.threshold(change, self._threshold, _FULL, cv2.THRESH_BINARY)
        moving = cv2.bitwise_and(changing, foreground)
        if self._mask is not None:
            moving = cv2.bitwise_and(moving, self._mask)
        if cv2.countNonZero(changing) > _SHOCK_SHARE * changing.size:
            self._subtractor.apply(picture, learningRate=_SHOCK_RATE)
            return self._replace(picture, small)
        if cv2.countNonZero(moving) >= self._least:
            moving = cv2.bitwise_and(moving, self._changing_as_seen(small))
        cv2.accumulateWeighted(small, self._raw_average, learnt(elapsed, self._change_seconds))
        if cv2.countNonZero(moving) < self._least:
            self._habit *= np.float32(1 - learnt(elapsed, self._habit_seconds))
            self._clutter *= 1 - learnt(elapsed, _CLUTTER_SECONDS)
            return Look(present=self._still_there(picture, elapsed))
        return self._objects(picture, moving, foreground, elapsed)

    def _replace(self, picture: MatLike, small: MatLike) -> Look:
        """The light has changed all at once: compare with this picture from now on."""
        self._average[:] = self._before[:] = picture
        self._raw_average[:] = small
        return Look(present=self._place_solid > 0)

    def _changing_as_seen(self, small: MatLike) -> MatLike:
        """What changes in the picture as the camera gave it, before its light was levelled.

        A lit window at dusk only seems to brighten, because all around it is levelled up.
        """
        change = cv2.absdiff(
            cv2.blur(small, (3, 3)), cv2.blur(cv2.convertScaleAbs(self._raw_average), (3, 3))
        )
        return cv2.threshold(change, self._threshold * min(1.0, self._light.gain), _FULL, cv2.THRESH_BINARY)[
            1
        ]

    def _rate(self, elapsed: float) -> float:
        """The background's learning rate: its memory grows with its age until it is full."""
        if self._age is None:
            self._age = 0.0
            return 1.0
        self._age += elapsed
        memory = min(self._background_seconds, max(self._age, _FIRST_MEMORY))
        return learnt(elapsed, memory)

    def _still_there(self, picture: MatLike, elapsed: float) -> bool:
        """Whether the place of the last motion still looks unlike it did before.

        The picture of before is kept up to date everywhere else, so that nobody who stands still fades
        into it. What looks unlike it for an instant only (a drop of rain) does not stand there.
        """
        rate = learnt(elapsed, _BEFORE_SECONDS)
        if self._place_solid == 0:
            cv2.accumulateWeighted(picture, self._before, rate)
            return False
        cv2.accumulateWeighted(picture, self._before, rate, mask=self._elsewhere)
        self._still_for += elapsed
        standing = cv2.bitwise_and(self._foreign(picture), self._foreign(cv2.convertScaleAbs(self._average)))
        gone = cv2.countNonZero(standing) < _STILL_THERE * self._place_solid
        if gone or self._still_for > self._hold_seconds:
            self._place_solid = 0
        return self._place_solid > 0

    def _foreign(self, picture: MatLike) -> MatLike:
        """Where the place of the last motion looks unlike before."""
        change = cv2.absdiff(picture, cv2.convertScaleAbs(self._before))
        _, foreign = cv2.threshold(change, _FOREIGN * self._threshold, 1, cv2.THRESH_BINARY)
        return cv2.bitwise_and(foreign, self._there)

    def _objects(self, picture: MatLike, moving: MatLike, foreground: MatLike, elapsed: float) -> Look:
        """Gather foreground cells into objects; those with enough pixels that move count."""
        weight = cv2.resize(moving, self._grid, interpolation=cv2.INTER_AREA)
        solid = cv2.resize(foreground, self._grid, interpolation=cv2.INTER_AREA)
        touched = weight > _TOUCHED
        self._habit += np.float32(learnt(elapsed, self._habit_seconds)) * (touched - self._habit)
        count, names, stats, _ = cv2.connectedComponentsWithStats(
            ((solid > _SOLID) | touched).astype(np.uint8), connectivity=8
        )
        weight[self._habit >= self._habit_share] = 0
        moved = np.bincount(names.ravel(), weight.ravel(), count) * (moving.size / (_FULL * weight.size))
        moved[0] = 0
        spots = float(np.count_nonzero((moved > 0) & (moved < self._least * _CLUTTER_SIZE)))
        self._clutter += learnt(elapsed, _CLUTTER_SECONDS) * (spots - self._clutter)
        chosen = np.flatnonzero(moved >= self._least * max(1.0, self._clutter - _CLUTTER_FREE))
        if chosen.size == 0:
            return Look(present=self._still_there(picture, elapsed))
        is_chosen = np.zeros(count, np.uint8)
        is_chosen[chosen] = 1
        place = cv2.dilate(is_chosen[names], _SQUARE)
        self._there = cv2.resize(place, moving.shape[::-1], interpolation=cv2.INTER_NEAREST)
        self._elsewhere = 1 - self._there
        self._place_solid = cv2.countNonZero(self._foreign(picture))
        self._still_for = 0.0
        cv2.accumulateWeighted(picture, self._before, learnt(elapsed, _BEFORE_SECONDS), mask=self._elsewhere)
        columns, rows = self._grid
        boxes = tuple(
            (x / columns, y / rows, w / columns, h / rows) for x, y, w, h, _ in stats[chosen].tolist()
        )
        area = float(stats[chosen, cv2.CC_STAT_AREA].sum()) / names.size
        return Look(boxes, area, float(moved[chosen].sum()) / moving.size, present=True)
