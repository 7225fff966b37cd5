"""A camera before a meter: where it stands, what light there is, and the picture it takes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, pi, sin
from typing import Literal

import cv2
import numpy as np

from meerkat_contract.meter_layout import MeterLayout
from meerkat_training.arrays import Bytes, Floats, Random, around, between, chance, log_between
from meerkat_training.camera import degrade

from .backdrop import paint_ground
from .design import Design
from .face import Face, FaceTruth, Matrix, layout_of, mapped, truth_of
from .lots import one_of

SIZES = (
    *((640, 480),) * 8,
    *((800, 600),) * 3,
    *((1280, 720),) * 2,
    *((1280, 960),) * 2,
    *((1600, 1200),) * 2,
    (1920, 1080),
    (2592, 1944),
)
_FINEST = 620.0
"""Pixels a unit of a face: nearer cameras see it no sharper."""
_LOWEST_WINDOW = 26.0
"""Height in pixels of the wheels' windows, below which nobody could read them."""
_INFRARED = np.array([0.72, 0.2, 0.08], np.float32)
"""What an infrared lamp shows of colours: red turns bright."""


@dataclass(frozen=True)
class View:
    """A fixed camera. ``matrix`` takes places of the face to pixels of the picture (w, h)."""

    size: tuple[int, int]
    matrix: Matrix
    turn: float
    """Degrees by which the meter is seen turned clockwise."""
    light: Light
    strength: float
    """How bad the camera is, as in `degrade`."""
    seed: int

    def scale(self) -> float:
        """Pixels a unit, about the middle of the face."""
        left, right = mapped(self.matrix, [(-0.5, 0.0), (0.5, 0.0)])
        return float(np.hypot(*(right - left)))


@dataclass(frozen=True)
class Light:
    kind: Literal["day", "lamp", "infrared"]
    level: float
    x: float
    """Where a lamp's light is brightest, as a share of the picture."""
    y: float
    reach: float
    """Of a lamp, by the picture's width."""
    ambient: float
    glare: float
    """Strength of the lamp's image in the glass."""
    glare_at: tuple[float, float]
    tube: float
    """Radius of the tube that the camera looks through, by half the picture's diagonal; 0 without one."""
    edge: tuple[float, float, float] | None = None
    """What stands in the light, a lid or the camera's own holder: dark where a·column + b·row > c."""


def random_view(design: Design, rng: Random, size: tuple[int, int] | None = None) -> View:
    """A camera that sees all wheels and dials, upright or not, near or far, from one side or straight."""
    size = size or one_of(rng, SIZES)
    turn = _random_turn(rng)
    lean = 1.0 if chance(rng, 0.6) else 0.2
    tilts = around(rng, 5.0, 12.0) * lean, around(rng, 5.0, 12.0) * lean
    seen = _projection(turn, tilts, between(rng, 3.5, 9.0))
    fit = _largest(design, seen, size)
    nearness = log_between(rng, 0.42, 1.0)
    for attempt in range(200):
        lowest = _LOWEST_WINDOW / design.row.height
        scale = min(max(fit * nearness * (1 - attempt / 500), lowest), fit)
        matrix = _placed(design, seen, size, scale, rng)
        if all_in_sight(layout_of(design, matrix, size), design, matrix, size):
            break
    else:
        return random_view(design, rng, size)
    light = _random_light(rng)
    if chance(rng, 0.1):
        light = replace(light, edge=_random_edge(design, matrix, rng))
    return View(
        size=size,
        matrix=matrix,
        turn=turn,
        light=replace(
            _random_light(rng), edge=_random_edge(design, matrix, rng) if chance(rng, 0.1) else None
        ),
        strength=0.0 if chance(rng, 0.05) else between(rng, 0.1, 0.6),
        seed=int(rng.integers(1 << 31)),
    )


def photograph(
    design: Design, reading: float, rng: Random, view: View | None = None, *, strength: float | None = None
) -> tuple[Bytes, FaceTruth]:
    """A picture of a meter at ``reading``, (h, w, 3) uint8 BGR, and what it shows.

    Without ``view`` the camera stands anywhere. ``strength`` 0 takes a perfect picture, 1 a wretched one.
    """
    view = view or random_view(design, rng)
    face = Face(design, min(_FINEST, view.scale()))
    scene = lit(compose(face, face.turned(reading, rng), view), view)
    strength = view.strength if strength is None else strength
    detail = design.row.height * view.scale() * design.wheels[0].digit_share
    shot = degrade(scene, rng, strength, detail)
    picture: Bytes = np.ascontiguousarray(shot[..., ::-1])
    return picture, truth_of(design, reading, view.matrix, view.size)


def compose(face: Face, painted: Floats, view: View) -> Floats:
    """The face before its wall, as the camera stands: RGB (h, w, 3) 0 to 1, evenly lit."""
    design = face.design
    middle = mapped(view.matrix, [(0.0, 0.0)])[0]
    where = (float(middle[0]), float(middle[1]), view.scale())
    scene = paint_ground(design.ground, view.size, where, view.turn, design.seed)
    cover = warped(face.cover, face, view)
    _shadow(scene, cover, view)
    scene += (warped(painted, face, view) - scene) * cover[..., None]
    return scene


def warped(picture: Floats, face: Face, view: View) -> Floats:
    """Something in a face's pixels as the camera sees it."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    matrix = np.linalg.inv(half) @ view.matrix @ np.linalg.inv(face.matrix) @ half
    seen: Floats = cv2.warpPerspective(picture, matrix, view.size, flags=cv2.INTER_LINEAR).astype(
        np.float32, copy=False
    )
    return seen


def lit(scene: Floats, view: View) -> Floats:
    """The scene in the view's light."""
    return shone(scene, view.light, *light_maps(view))


def shone(scene: Floats, light: Light, gain: Floats, glare: Floats) -> Floats:
    """A part of a scene under that part of the `light_maps`."""
    if light.kind == "infrared":
        scene = np.repeat((scene @ _INFRARED)[..., None], 3, axis=2)
    scene = scene * gain[..., None]
    return scene + (1 - scene) * glare[..., None]


def light_maps(view: View) -> tuple[Floats, Floats]:
    """How much light falls on each place of the picture, and how much is mirrored there, both (h, w)."""
    light, (width, height) = view.light, view.size
    coarse = (max(2, width // 4), max(2, height // 4))
    y, x = np.mgrid[0 : 1 : coarse[1] * 1j, 0 : 1 : coarse[0] * 1j].astype(np.float32)
    slim = height / width
    gain = np.full((coarse[1], coarse[0]), light.level, np.float32)
    if light.kind != "day":
        away = ((x - light.x) ** 2 + ((y - light.y) * slim) ** 2) / light.reach**2
        gain = light.level * (light.ambient + (1 - light.ambient) * np.exp(-away))
    spot = ((x - light.glare_at[0]) ** 2 + ((y - light.glare_at[1]) * slim) ** 2) / 0.0025
    glare = light.glare * np.exp(-spot).astype(np.float32)
    if light.tube:
        far = np.sqrt((x - 0.5) ** 2 + ((y - 0.5) * slim) ** 2) / np.hypot(0.5, 0.5 * slim)
        gain = gain * np.clip((light.tube - far) / 0.03, 0.02, 1)
    if light.edge:
        beyond = (light.edge[0] * x * width + light.edge[1] * y * height - light.edge[2]) / width
        gain = gain * np.clip(1 - beyond / 0.015, 0.03, 1)
    large_gain: Floats = cv2.resize(gain.astype(np.float32), view.size).astype(np.float32, copy=False)
    large_glare: Floats = cv2.resize(glare, view.size).astype(np.float32, copy=False)
    return large_gain, large_glare


def _shadow(scene: Floats, cover: Floats, view: View) -> None:
    """The meter's shadow on the wall, towards the lower right."""
    small = cv2.resize(cover, (max(2, view.size[0] // 8), max(2, view.size[1] // 8)))
    unit = view.scale() / 8
    shift = np.array([[1, 0, 0.12 * unit], [0, 1, 0.16 * unit]])
    moved = cv2.warpAffine(small, shift, (small.shape[1], small.shape[0]))
    soft = cv2.GaussianBlur(moved, (0, 0), max(0.6, 0.1 * unit))
    scene *= (1 - 0.5 * cv2.resize(soft, view.size))[..., None]


def _random_turn(rng: Random) -> float:
    kind = rng.random()
    if kind < 0.55:
        return around(rng, 3.0, 10.0)
    if kind < 0.75:
        return 0.0
    if kind < 0.85:
        return between(rng, -35.0, 35.0)
    return one_of(rng, (90.0, 180.0, 270.0, -25.0)) + around(rng, 1.5, 4.0)


def _random_light(rng: Random) -> Light:
    kinds: tuple[Literal["day", "lamp", "infrared"], ...] = ("day", "day", "lamp", "lamp", "infrared")
    kind = one_of(rng, kinds)
    return Light(
        kind=kind,
        level=between(rng, 0.7, 1.1) if kind == "day" else between(rng, 0.85, 1.4),
        x=between(rng, 0.15, 0.85),
        y=between(rng, 0.1, 0.9),
        reach=between(rng, 0.45, 1.0),
        ambient=between(rng, 0.12, 0.4),
        glare=between(rng, 0.2, 1.0) if chance(rng, 0.3) else 0.0,
        glare_at=(between(rng, 0, 1), one_of(rng, (between(rng, 0, 0.3), between(rng, 0.7, 1)))),
        tube=between(rng, 0.85, 1.0) if chance(rng, 0.08) else 0.0,
    )


def _random_edge(design: Design, matrix: Matrix, rng: Random) -> tuple[float, float, float]:
    """A straight edge in the picture that leaves all wheels and dials in sight, and little more."""
    turn = between(rng, 0, 2 * pi)
    across = np.array([cos(turn), sin(turn)])
    places = mapped(matrix, corners_of_interest(design)) @ across
    room = between(rng, 0.03, 0.2) * float(places.max() - places.min())
    return float(across[0]), float(across[1]), float(places.max()) + room


def _projection(turn: float, tilts: tuple[float, float], distance: float) -> Matrix:
    """A camera ``distance`` units away that sees the face turned clockwise and tilted, in degrees."""
    angle, up, aside = (value * pi / 180 for value in (turn, *tilts))
    roll = np.array([[cos(angle), -sin(angle), 0], [sin(angle), cos(angle), 0], [0, 0, 1]])
    nod = np.array([[1, 0, 0], [0, cos(up), -sin(up)], [0, sin(up), cos(up)]])
    shake = np.array([[cos(aside), 0, sin(aside)], [0, 1, 0], [-sin(aside), 0, cos(aside)]])
    pose = shake @ nod @ roll
    return np.array(
        [
            [pose[0, 0], pose[0, 1], 0],
            [pose[1, 0], pose[1, 1], 0],
            [pose[2, 0] / distance, pose[2, 1] / distance, 1],
        ]
    )


def corners_of_interest(design: Design) -> list[tuple[float, float]]:
    """Corners of the row of windows and of the dials' squares, with a little room."""
    x, y, width, height = design.row.outline(len(design.wheels))
    room = 0.08 * height
    found = [(a, b) for a in (x - room, x + width + room) for b in (y - room, y + height + room)]
    for dial in design.dials:
        reach = dial.size * 0.54
        found += [(dial.x + a * reach, dial.y + b * reach) for a in (-1, 1) for b in (-1, 1)]
    return found


def _largest(design: Design, seen: Matrix, size: tuple[int, int]) -> float:
    """Pixels a unit at which all that matters just fits the picture."""
    places = mapped(seen, corners_of_interest(design))
    wide, high = places.max(axis=0) - places.min(axis=0)
    return float(min(size[0] * 0.97 / wide, size[1] * 0.97 / high))


def _placed(design: Design, seen: Matrix, size: tuple[int, int], scale: float, rng: Random) -> Matrix:
    """The face at ``scale`` pixels a unit, anywhere in the picture where all that matters is in sight."""
    places = mapped(seen, corners_of_interest(design)) * scale
    low, high = places.min(axis=0), places.max(axis=0)
    shift = []
    for axis in range(2):
        spare = size[axis] - (high[axis] - low[axis])
        share = min(1.0, max(0.0, 0.5 + around(rng, 0.2, 0.5)))
        shift.append(spare * share - low[axis])
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]]) @ seen


def all_in_sight(layout: MeterLayout, design: Design, matrix: Matrix, size: tuple[int, int]) -> bool:
    """Whether all boxes lie in the picture, as it is and turned upright."""
    boxes = (*layout.digits, *layout.pointers)
    turned = all(
        x >= 1 and y >= 1 and x + width <= size[0] - 1 and y + height <= size[1] - 1
        for x, y, width, height in boxes
    )
    places = mapped(matrix, corners_of_interest(design))
    return turned and bool((places >= 0).all() and (places <= np.asarray(size)).all())
