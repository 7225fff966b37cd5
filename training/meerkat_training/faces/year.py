"""The pictures of a meter's year: one design, one camera, and what happens to both.

Each of the thousands is painted when it is asked for, in any order, in some milliseconds: what stands still
is kept, and only the windows and dials are painted, seen and lit anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from meerkat_contract.meter_layout import MeterLayout
from meerkat_training.arrays import Bytes, Floats, Random, around, between

from .design import Design, dial_reach
from .designing import random_design
from .face import Face, FaceTruth, Matrix, layout_of, mapped, truth_of
from .lots import one_of
from .plan import Moment, Plan, plan
from .printing import serial_number
from .view import View, all_in_sight, compose, light_maps, random_view, shone

_NOISES = 5
_SMALLEST_WINDOW = 26.0
"""Height in pixels: the year is about history, not about eyesight."""


@dataclass(frozen=True)
class _Patch:
    """A part of the picture where something turns: in the picture, and where it is on the face."""

    place: tuple[slice, slice]
    source: tuple[slice, slice]
    matrix: Matrix


class _Scene:
    """One meter before the camera as it stands for a while."""

    def __init__(self, design: Design, view: View, blur: float) -> None:
        self.view, self._blur = view, blur
        self.face = Face(design, view.scale())
        self._painted = self.face.turned(0.0, np.random.default_rng(0))
        self._ground = compose(self.face, self._painted, view)
        self._gain, self._glare = light_maps(view)
        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        self._to_picture = np.linalg.inv(half) @ view.matrix @ np.linalg.inv(self.face.matrix) @ half
        ones = np.ones(self.face.still.shape[:2], np.float32)
        seen = cv2.warpPerspective(ones, self._to_picture, view.size)
        self._cover = np.asarray(seen, np.float32)
        self._patches = [self._patch(*rect) for rect in _moving(design)]
        everything = (slice(0, view.size[1]), slice(0, view.size[0]))
        self._still = self._developed(self._ground, everything)

    def picture(self, reading: float, rng: Random) -> Bytes:
        """At a reading, (h, w, 3) RGB, without noise."""
        self.face.turn(self._painted, reading, rng)
        picture = self._still.copy()
        for patch in self._patches:
            rows, columns = patch.place
            size = (columns.stop - columns.start, rows.stop - rows.start)
            seen = cv2.warpPerspective(self._painted[patch.source], patch.matrix, size)
            below = self._ground[patch.place]
            scene = below + (seen - below) * self._cover[patch.place][..., None]
            picture[patch.place] = self._developed(scene, patch.place)
        return picture

    def _developed(self, scene: Floats, place: tuple[slice, slice]) -> Bytes:
        """Lit, a little out of focus, and as bytes."""
        scene = shone(scene, self.view.light, self._gain[place], self._glare[place])
        scene = cv2.GaussianBlur(scene, (0, 0), self._blur).astype(np.float32, copy=False)
        shot: Bytes = (np.clip(scene, 0, 1) * 255 + 0.5).astype(np.uint8)
        return shot

    def _patch(self, x: float, y: float, width: float, height: float) -> _Patch:
        corners = [(x, y), (x + width, y), (x, y + height), (x + width, y + height)]
        seen = mapped(self.view.matrix, corners)
        low = np.maximum(np.floor(seen.min(axis=0)).astype(int) - 3, 0)
        high = np.minimum(np.ceil(seen.max(axis=0)).astype(int) + 3, self.view.size)
        ends = [(low[0], low[1]), (high[0], low[1]), (low[0], high[1]), (high[0], high[1])]
        behind = mapped(np.linalg.inv(self._to_picture), [(float(a), float(b)) for a, b in ends])
        tall, wide = self.face.still.shape[:2]
        first = np.clip(np.floor(behind.min(axis=0)).astype(int) - 2, 0, (wide - 1, tall - 1))
        last = np.clip(np.ceil(behind.max(axis=0)).astype(int) + 3, 1, (wide, tall))
        back = np.array([[1, 0, first[0]], [0, 1, first[1]], [0, 0, 1]], np.float64)
        ahead = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]], np.float64)
        return _Patch(
            place=(slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))),
            source=(slice(int(first[1]), int(last[1])), slice(int(first[0]), int(last[0]))),
            matrix=ahead @ self._to_picture @ back,
        )


class Year:
    """A meter's year. ``plan.moments[n]`` says what ``picture(n)`` shows and when it arrives."""

    def __init__(
        self,
        seed: int = 0,
        *,
        size: tuple[int, int] = (640, 480),
        hours: int = 8760,
        new_start: float = 0.0,
    ) -> None:
        rng = np.random.default_rng([seed, 9])
        self.seed = seed
        self.design, self._views = _readable(rng, size)
        self.plan: Plan = plan(seed, hours=hours, span=self.design.gears.span, new_start=new_start)
        self._successor = _same_type(self.design, rng)
        self._scenes: dict[tuple[int, int], _Scene] = {}
        self._noises: list[Bytes] = []
        self.size = size

    @property
    def layout(self) -> MeterLayout:
        """As the owner drew it at the beginning, before anybody knocked against the camera."""
        return layout_of(self.design, self._views[0].matrix, self.size)

    @property
    def step(self) -> float:
        """The readings' resolution in m³."""
        return self.design.gears.step

    def truth(self, number: int) -> FaceTruth:
        """Of picture ``number``, also if a fault hides it: its layout follows the knocks."""
        moment = self.plan.moments[number]
        design = self._successor if moment.meter else self.design
        return truth_of(design, moment.shown, self._views[moment.knocks].matrix, self.size)

    def picture(self, number: int) -> Bytes:
        """Picture ``number`` of the year, (h, w, 3) uint8 BGR; the same each time."""
        moment = self.plan.moments[number]
        rng = np.random.default_rng([self.seed, 11, number])
        picture = self._scene(moment).picture(moment.shown, rng)
        if moment.fault:
            picture = self._spoilt(picture, moment, rng)
        if moment.fault != "white":
            light = between(rng, 0.9, 1.06)
            picture = cv2.convertScaleAbs(picture, alpha=light).astype(np.uint8, copy=False)
        brighter, darker = self._noise(rng), self._noise(rng)
        picture = cv2.subtract(cv2.add(picture, brighter), darker).astype(np.uint8, copy=False)
        return cv2.cvtColor(picture, cv2.COLOR_RGB2BGR).astype(np.uint8, copy=False)

    def jpeg(self, number: int, quality: int = 85) -> bytes:
        """The same as a file."""
        _, data = cv2.imencode(".jpg", self.picture(number), [cv2.IMWRITE_JPEG_QUALITY, quality])
        return bytes(data)

    def _scene(self, moment: Moment) -> _Scene:
        key = (moment.meter, moment.knocks)
        if key not in self._scenes:
            design = self._successor if moment.meter else self.design
            blur = 0.02 * design.row.height * self._views[0].scale()
            self._scenes[key] = _Scene(design, self._views[moment.knocks], max(0.4, blur))
        return self._scenes[key]

    def _noise(self, rng: Random) -> Bytes:
        """Half of a sensor's noise: what it adds, or takes away."""
        if not self._noises:
            made = np.random.default_rng([self.seed, 13])
            shape = (self.size[1], self.size[0], 3)
            for _ in range(_NOISES):
                grain = np.clip(made.standard_normal(shape, np.float32) * 4, 0, 30)
                self._noises.append(grain.astype(np.uint8))
        return self._noises[int(rng.integers(_NOISES))]

    def _spoilt(self, picture: Bytes, moment: Moment, rng: Random) -> Bytes:
        if moment.fault == "black":
            return (picture * np.float32(between(rng, 0.0, 0.02))).astype(np.uint8)
        if moment.fault == "white":
            return np.full_like(picture, int(rng.integers(244, 256)))
        if moment.fault == "upside-down":
            return np.ascontiguousarray(picture[::-1, ::-1])
        if moment.fault == "glare":
            return self._glaring(picture, moment, rng)
        tall = float(np.mean([box[3] for box in self.layout.digits]))
        if moment.fault == "blurred":
            soft = cv2.GaussianBlur(picture, (0, 0), tall * between(rng, 0.28, 0.5))
            return soft.astype(np.uint8, copy=False)
        if moment.fault == "fogged":
            soft = cv2.GaussianBlur(picture, (0, 0), tall * between(rng, 0.2, 0.4)).astype(np.float32)
            share = between(rng, 0.75, 0.95)
            return (soft * (1 - share) + 215 * share).astype(np.uint8)
        return self._covered(picture, rng)

    def _covered(self, picture: Bytes, rng: Random) -> Bytes:
        """A cloth, a cardboard or a hand before the lens."""
        height, width = picture.shape[:2]
        grain = rng.standard_normal((height // 24 + 2, width // 24 + 2)).astype(np.float32)
        soft = cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
        tone = np.array([between(rng, 30, 150), between(rng, 30, 120), between(rng, 20, 100)], np.float32)
        covered: Bytes = np.clip(tone * (1 + 0.1 * soft), 0, 255).astype(np.uint8)
        return covered

    def _glaring(self, picture: Bytes, moment: Moment, rng: Random) -> Bytes:
        """A lamp's reflection over one or two wheels or a dial, which takes strokes away."""
        truth = truth_of(self.design, moment.shown, self._views[moment.knocks].matrix, self.size)
        places = [
            *(self.design.row.middle(n) for n in range(len(self.design.wheels))),
            *((dial.x, dial.y) for dial in self.design.dials),
        ]
        x, y = mapped(truth.matrix, [places[int(rng.integers(len(places)))]])[0]
        tall = truth.layout.digits[0][3]
        rows, columns = np.ogrid[: picture.shape[0], : picture.shape[1]]
        turn = between(rng, 0, np.pi)
        along = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
        across = (rows - y) * np.cos(turn) - (columns - x) * np.sin(turn)
        across = across - around(rng, 0.15, 0.3) * tall
        spot = np.exp(-((along / (1.2 * tall)) ** 2) - (across / (tall * between(rng, 0.12, 0.3))) ** 2)
        bright = picture + 255 * between(rng, 0.6, 1.3) * spot[..., None].astype(np.float32)
        glaring: Bytes = np.clip(bright, 0, 255).astype(np.uint8)
        return glaring


def _moving(design: Design) -> list[tuple[float, float, float, float]]:
    """Where something turns: the row of windows, and each dial."""
    rects = [design.row.outline(len(design.wheels))]
    for dial in design.dials:
        reach = dial_reach(dial.style) * dial.size / 2
        rects.append((dial.x - reach, dial.y - reach, 2 * reach, 2 * reach))
    return rects


def _readable(rng: Random, size: tuple[int, int]) -> tuple[Design, tuple[View, View, View]]:
    """A water meter of five wheels before the point that reads to a litre or finer, plainly seen."""
    while True:
        design = random_design(rng)
        if not _plain(design):
            continue
        view = random_view(design, rng, size)
        if view.light.tube or abs(view.turn) > 20 or design.row.height * view.scale() < _SMALLEST_WINDOW:
            continue
        view = replace(view, light=replace(view.light, glare=0.0))
        views = [view]
        for _ in range(2):
            views.append(replace(views[-1], matrix=_knock(rng, size) @ views[-1].matrix))
        if all(all_in_sight(layout_of(design, one.matrix, size), design, one.matrix, size) for one in views):
            return design, (views[0], views[1], views[2])


def _plain(design: Design) -> bool:
    """Whether nobody would have trouble with reading it."""
    styles = (design.wheels[0], design.wheels[-1])
    return (
        design.kind == "water"
        and design.integer_digits == 5
        and 0.9e-4 < design.gears.step < 1.1e-3
        and not any(design.mirrored)
        and not design.gears.all_creep
        and all(style.wear < 0.1 for style in styles)
        and all(sum(abs(a - b) for a, b in zip(s.paper, s.ink, strict=True)) > 1.0 for s in styles)
        and all(dial.style.plate < 0.2 and dial.size > 0.2 for dial in design.dials)
    )


def _knock(rng: Random, size: tuple[int, int]) -> Matrix:
    """By up to 4 % of the picture's width and 3 degrees."""
    turn = cv2.getRotationMatrix2D(
        (size[0] / 2, size[1] / 2), one_of(rng, (-1, 1)) * between(rng, 1.0, 3.0), 1.0
    )
    turn[0, 2] += one_of(rng, (-1, 1)) * between(rng, 0.01, 0.035) * size[0]
    turn[1, 2] += around(rng, 0.01, 0.02) * size[0]
    return np.vstack([turn, [0.0, 0.0, 1.0]])


def _same_type(design: Design, rng: Random) -> Design:
    """A meter of the same type with another number on its plate."""
    numbered = tuple(
        replace(what, text=serial_number(rng)) if what.kind == "text" and _numbered(what.text) else what
        for what in design.prints
    )
    return replace(design, prints=numbered)


def _numbered(text: str) -> bool:
    return sum(part.isdigit() for part in text) >= 5
