"""The built-in camera: what passes before a porch, by day and in the dark.

Everything costly is painted once and kept; a frame is the still background, the swaying tree, whoever passes
(drawn only where they are), the light of the hour and the sensor's noise. The picture is a pure function of
the seed and the time, so a scene can be joined anywhere and repeats itself exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import pi, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from .car import paint_car
from .person import DAY_WALKER, NIGHT_WALKER, STRIDE, Clothes, walking_person
from .pets import CAT, DOG, Pet, trotting_pet
from .scenery import build_scenery
from .sculpt import Limb, Sprite, sculpt, turned
from .story import PASSAGES, PERIOD, Passage, cloud, dusk, is_night
from .tree import REACH, TREE_AT
from .view import EYE, FOCAL, project
from .view import WIDTH as DESIGN_WIDTH

Bytes = NDArray[np.uint8]

_POSES = 24  # Pictures of one cycle of a gait.
_TURN = 0.82  # Walkers look a little more towards the camera than their way goes.
_NOISE_SPAN = 64  # The sensor's noise is a larger picture, shifted by up to so many pixels.


@dataclass(frozen=True, slots=True)
class Actor:
    """Truth about somebody in the picture.

    ``box`` is (left, top, right, bottom) in fractions of the picture, cut at its edges; ``visible`` is the
    share of the whole figure's box that lies within the picture.
    """

    label: str
    box: tuple[float, float, float, float]
    visible: float


@dataclass(frozen=True, slots=True)
class _Cut:
    """A sprite ready for one kind of light: what it adds, and what it leaves of what is behind (0 to 255)."""

    adds: Bytes
    keeps: Bytes
    anchor: tuple[float, float]
    scale: float


@dataclass(frozen=True, slots=True)
class _Placed:
    """Somebody at a moment: the sprite, its enlargement and where its anchor stands, in pixels."""

    passage: Passage
    sprite: Sprite
    size: float
    x: float
    y: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """What the figure covers, in pixels, without the sprite's clear margin."""
        left, top, width, height = cv2.boundingRect(
            cv2.threshold(self.sprite.alpha, 127, 255, cv2.THRESH_BINARY)[1]
        )
        x, y = self.x - self.sprite.anchor[0] * self.size, self.y - self.sprite.anchor[1] * self.size
        return (
            x + left * self.size,
            y + top * self.size,
            x + (left + width) * self.size,
            y + (top + height) * self.size,
        )


class Porch:
    """Render the porch, ``width`` by ``height`` pixels.

    A picture of another shape than 16:9 is cropped or continued at its lower edge. Not thread-safe: the
    pictures of poses are kept when they are first drawn.
    """

    fps: float = 10.0
    period: float = PERIOD

    def __init__(self, *, seed: int = 0, width: int = 960, height: int = 540) -> None:
        self.width, self.height = width, height
        self._scale = width / DESIGN_WIDTH
        rng = np.random.default_rng(seed)
        scenery = build_scenery(rng, scale=self._scale)
        self._day = _fitted(scenery.day, height)
        self._glow = _fitted(scenery.glow, height)
        self._evening = _fitted(scenery.evening, height)
        self._infrared = _fitted(scenery.infrared, height)
        self._front = scenery.front
        self._trunk, self._leaves = scenery.trunk, scenery.leaves
        self._sprites: dict[tuple[str, int], Sprite] = {}
        self._cuts: dict[tuple[int, bool], _Cut] = {}
        self._shadows: dict[int, _Cut] = {}
        self._noise = {
            night: self._make_noise(rng, 3.2 if night else 1.6, night=night) for night in (False, True)
        }
        self._sway = rng.uniform(0, 2 * pi, (len(self._leaves), 2))

    def render(self, at: float) -> Bytes:
        """The picture at ``at`` seconds: (height, width, 3) BGR."""
        second = at % self.period
        night = is_night(second)
        frame: Bytes = (self._infrared if night else self._day).copy()
        dark = 0.0 if night else dusk(second)
        if dark > 0:
            cv2.scaleAdd(self._evening, dark, frame, frame)
        placed = sorted(self._placed(second), key=lambda actor: actor.y)
        tree_x, tree_y = (value * self._scale for value in project(TREE_AT[0], 0, TREE_AT[1]))
        tree_drawn = False
        for actor in placed:
            if actor.y > tree_y and not tree_drawn:
                self._draw_tree(frame, second, tree_x, tree_y, night=night)
                tree_drawn = True
            if not night:
                self._draw_shadow(frame, actor)
            _blend(frame, self._cut(actor.sprite, night=night), actor.x, actor.y, actor.size)
        if not tree_drawn:
            self._draw_tree(frame, second, tree_x, tree_y, night=night)
        for actor in placed:
            self._draw_front(frame, actor.box, night=night)
        self._draw_front(frame, self._tree_box(tree_x, tree_y), night=night)
        return self._developed(frame, second, dark, night=night)

    def truth(self, at: float) -> tuple[Actor, ...]:
        """Who is in the picture at ``at`` seconds, and where."""
        actors = []
        for placed in self._placed(at % self.period):
            left, top, right, bottom = placed.box
            cut = (max(0.0, left), max(0.0, top), min(self.width, right), min(self.height, bottom))
            if cut[2] <= cut[0] or cut[3] <= cut[1]:
                continue
            visible = (cut[2] - cut[0]) * (cut[3] - cut[1]) / ((right - left) * (bottom - top))
            box = (cut[0] / self.width, cut[1] / self.height, cut[2] / self.width, cut[3] / self.height)
            actors.append(Actor(placed.passage.label, box, visible))
        return tuple(actors)

    def _placed(self, second: float) -> list[_Placed]:
        found = []
        for passage in PASSAGES:
            walked = passage.walked(second)
            if walked is None:
                continue
            x, z = passage.place(walked)
            sprite = self._sprite(passage, walked)
            px, py = project(x, 0, z)
            size = FOCAL / z * self._scale / sprite.scale
            found.append(_Placed(passage, sprite, size, px * self._scale, py * self._scale))
        return found

    def _sprite(self, passage: Passage, walked: float) -> Sprite:
        nearest = FOCAL / min(passage.start[1], passage.end[1]) * self._scale
        if passage.look == "car":
            key = (passage.look, 0)
            if key not in self._sprites:
                self._sprites[key] = paint_car(scale=nearest)
            return self._sprites[key]
        figure, stride = _FIGURES[passage.look]
        pose = round(walked / stride * _POSES) % _POSES
        key = (passage.look, pose)
        if key not in self._sprites:
            middle = (passage.start[1] + passage.end[1]) / 2
            pitch = EYE * 0.6 / middle
            limbs = turned(figure(pose / _POSES), yaw=passage.yaw * _TURN, pitch=pitch)
            self._sprites[key] = sculpt(limbs, scale=nearest)
        return self._sprites[key]

    def _cut(self, sprite: Sprite, *, night: bool) -> _Cut:
        key = (id(sprite), night)
        if key not in self._cuts:
            keeps = np.bitwise_not(sprite.alpha)
            if night:
                self._cuts[key] = _Cut(sprite.grey, keeps, sprite.anchor, sprite.scale)
            else:
                self._cuts[key] = _Cut(sprite.colour, np.dstack([keeps] * 3), sprite.anchor, sprite.scale)
        return self._cuts[key]

    def _draw_shadow(self, frame: Bytes, actor: _Placed) -> None:
        key = id(actor.sprite)
        if key not in self._shadows:
            self._shadows[key] = _shadow(actor.sprite)
        _blend(frame, self._shadows[key], actor.x, actor.y, actor.size)

    def _draw_tree(self, frame: Bytes, second: float, x: float, y: float, *, night: bool) -> None:
        _blend(frame, self._cut(self._trunk, night=night), x, y, 1.0)
        gust = 0.55 + 0.45 * sin(2 * pi * second * 5 / self.period)
        for leaves, (first, other) in zip(self._leaves, self._sway, strict=True):
            turn = 2 * pi * second / self.period
            dx = gust * (1.5 * sin(turn * 52 + first) + 0.7 * sin(turn * 131 + other)) * self._scale
            dy = gust * 0.5 * sin(turn * 83 + other) * self._scale
            _blend(frame, self._cut(leaves, night=night), x + dx, y + dy, 1.0)

    def _tree_box(self, x: float, y: float) -> tuple[float, float, float, float]:
        left, up, right = (reach * self._scale for reach in REACH)
        return x - left, y - up, x + right, y

    def _draw_front(self, frame: Bytes, box: tuple[float, float, float, float], *, night: bool) -> None:
        x0, y0 = max(0, int(box[0]) - 2), max(0, int(box[1]) - 2)
        x1, y1 = min(self.width, int(box[2]) + 3), min(self.height, int(box[3]) + 3)
        alpha = self._front.alpha[y0:y1, x0:x1]
        if not alpha.size:
            return
        left, top, width, height = cv2.boundingRect(alpha)
        if not width:
            return
        window = (slice(y0 + top, y0 + top + height), slice(x0 + left, x0 + left + width))
        still = (self._infrared if night else self._day)[window]
        cv2.copyTo(still, (self._front.alpha[window] > 127).view(np.uint8), frame[window])

    def _make_noise(self, rng: np.random.Generator, sigma: float, *, night: bool) -> tuple[Bytes, Bytes]:
        """What noise adds and what it takes."""
        shape = (self.height + _NOISE_SPAN, self.width + _NOISE_SPAN)
        values = rng.standard_normal(shape, np.float32) * sigma
        if not night:
            tint = rng.standard_normal((*shape, 3), np.float32) * (0.5 * sigma)
            values = tint + values[..., None]
        grain = np.round(values)
        return np.clip(grain, 0, 255).astype(np.uint8), np.clip(-grain, 0, 255).astype(np.uint8)

    def _developed(self, frame: Bytes, second: float, dark: float, *, night: bool) -> Bytes:
        """Light of the hour, sensor noise, and the monochrome picture's three channels."""
        if not night:
            light = cloud(second)
            gains = np.array([1 - 0.60 * dark, 1 - 0.68 * dark, 1 - 0.72 * dark]) * light
            levels = np.arange(256, dtype=np.float32)[:, None] * gains[None, :]
            table = np.clip(levels + 0.5, 0, 255).astype(np.uint8)[None]
            cv2.LUT(frame, table, frame)
            if dark > 0:
                cv2.scaleAdd(self._glow, dark * 0.85, frame, frame)
        tick = round(second * 1000) * 2654435761 >> 4  # Knuth's multiplicative hash scatters the shifts.
        x, y = tick % _NOISE_SPAN, (tick >> 8) % _NOISE_SPAN
        more, less = (part[y : y + self.height, x : x + self.width] for part in self._noise[night])
        cv2.add(frame, more, frame)
        cv2.subtract(frame, less, frame)
        if not night:
            return frame
        return cv2.merge([frame] * 3).astype(np.uint8, copy=False)


def _person(clothes: Clothes, phase: float) -> Sequence[Limb]:
    return walking_person(phase, clothes)


def _pet(pet: Pet, phase: float) -> Sequence[Limb]:
    return trotting_pet(pet, phase)


_FIGURES = {
    "day walker": (partial(_person, DAY_WALKER), STRIDE),
    "night walker": (partial(_person, NIGHT_WALKER), STRIDE),
    "dog": (partial(_pet, DOG), DOG.stride),
    "cat": (partial(_pet, CAT), CAT.stride),
}


def _fitted(picture: Bytes, height: int) -> Bytes:
    missing = height - picture.shape[0]
    if missing > 0:
        return np.concatenate([picture, np.repeat(picture[-1:], missing, axis=0)])
    return np.ascontiguousarray(picture[:height])


def _shadow(sprite: Sprite) -> _Cut:
    """What the figure takes of the light on the ground: its outline, laid down away from the sun."""
    x, y = sprite.anchor
    height, width = sprite.alpha.shape
    lean, flat = 0.75, 0.30
    pad = int(0.08 * sprite.scale) + 2
    across, along = int(width + lean * y) + 2 * pad, int(flat * y) + int(height - y) + 2 * pad
    base = (x + pad, flat * y + pad)
    matrix = np.array([[1, -lean, base[0] - x + lean * y], [0, flat, base[1] - flat * y]], np.float32)
    laid = cv2.warpAffine(sprite.alpha, matrix, (across, along), flags=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(laid, (0, 0), 0.022 * sprite.scale).astype(np.float32) / 255
    keeps = np.stack([1 - 0.40 * soft, 1 - 0.47 * soft, 1 - 0.50 * soft], -1)
    kept = np.round(keeps * 255).astype(np.uint8)
    return _Cut(np.zeros_like(kept), kept, base, sprite.scale)


def _blend(frame: Bytes, cut: _Cut, x: float, y: float, size: float) -> None:
    """Put a cut-out into the frame, its anchor at (x, y) pixels, ``size`` times enlarged."""
    left, top = x - cut.anchor[0] * size, y - cut.anchor[1] * size
    height, width = cut.keeps.shape[:2]
    x0, y0 = max(0, int(np.floor(left))), max(0, int(np.floor(top)))
    x1 = min(frame.shape[1], int(np.ceil(left + width * size)) + 1)
    y1 = min(frame.shape[0], int(np.ceil(top + height * size)) + 1)
    if x1 <= x0 or y1 <= y0:
        return
    half = (size - 1) / 2  # Pixels are squares: their middles move with the enlargement.
    matrix = np.array([[size, 0, left - x0 + half], [0, size, top - y0 + half]], np.float32)
    box = (x1 - x0, y1 - y0)
    clear = (255, 255, 255) if cut.keeps.ndim == 3 else 255
    keeps = cv2.warpAffine(cut.keeps, matrix, box, borderMode=cv2.BORDER_CONSTANT, borderValue=clear)
    adds = cv2.warpAffine(cut.adds, matrix, box)
    window = frame[y0:y1, x0:x1]
    cv2.multiply(window, keeps, window, 1 / 255)
    cv2.add(window, adds, window)
