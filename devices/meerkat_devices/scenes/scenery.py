"""The place before the camera: the own porch, a garden, a street and what lies behind it, painted once."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from . import house
from .paint import Bytes, Canvas, Colour, Floats, clouds_of_noise, ellipse, rectangle
from .sculpt import Sprite
from .tree import TREE_AT, paint_leaves, paint_trunk
from .view import FOCAL, HEIGHT, HORIZON, WIDTH, lamp, project, slab, strip

_WHITE: Colour = (0.88, 0.91, 0.92)
_GRASS: Colour = (0.24, 0.56, 0.42)
_BLOOMS: tuple[Colour, ...] = ((0.35, 0.35, 0.92), (0.92, 0.93, 0.95), (0.30, 0.75, 0.95), (0.80, 0.45, 0.72))
_STREET = (8.2, 11.1)
_WALK = (3.2, 5.25)
_LANTERN = (129.0, 62.0)


@dataclass(frozen=True, slots=True)
class Scenery:
    """What never moves, at the picture's size.

    ``day`` is (h, w, 3), as are ``evening`` (the sky at dusk) and ``glow`` (lamps and windows), which are
    added to it; ``infrared`` is (h, w). ``front`` hides what passes behind it, ``leaves`` sway about the
    trunk.
    """

    day: Bytes
    evening: Bytes
    glow: Bytes
    infrared: Bytes
    front: Sprite
    trunk: Sprite
    leaves: tuple[Sprite, ...]


def build_scenery(rng: np.random.Generator, *, scale: float) -> Scenery:
    """Paint the place at ``scale`` times the design's size."""
    canvas = Canvas(WIDTH, HEIGHT, scale=scale)
    _sky(canvas, rng)
    sky = canvas.colour.copy()
    _ground(canvas, rng)
    _hedge(canvas, rng, -12, house.LEFT - 0.4)
    _hedge(canvas, rng, house.RIGHT + 0.5, 10.5)
    house.paint_house(canvas)
    _garden(canvas, rng)
    open_sky = (np.abs(canvas.colour - sky).max(axis=2) < 0.01).astype(np.float32)
    front = _front(rng, scale)
    day, infrared, _ = canvas.finish()
    return Scenery(
        day=_lens(_over(day, front.colour, front.alpha), 0.22),
        evening=_evening(open_sky, front.alpha),
        glow=_glow(scale),
        infrared=_lens(_over(infrared, front.grey, front.alpha), 0.55),
        front=front,
        trunk=paint_trunk(scale),
        leaves=paint_leaves(rng, scale),
    )


def _over(below: Bytes, above: Bytes, alpha: Bytes) -> Bytes:
    keep = 1 - (alpha if below.ndim == 2 else alpha[..., None]).astype(np.float32) / 255
    covered: Bytes = np.clip(below * keep + above, 0, 255).astype(np.uint8)
    return covered


def _lens(picture: Bytes, strength: float) -> Bytes:
    """A lens darkens its corners."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    fall = 1 - strength * np.clip((x * x + y * y) / 2, 0, 1) ** 1.3
    seen: Bytes = (picture * (fall[..., None] if picture.ndim == 3 else fall)).astype(np.uint8)
    return seen


def _sky(canvas: Canvas, rng: np.random.Generator) -> None:
    top = rectangle(-2, -2, WIDTH + 2, HORIZON + 20)
    canvas.poly(top, (0.90, 0.68, 0.42), 0.015, (0.97, 0.92, 0.84))
    shape = (canvas.cover.shape[0], canvas.cover.shape[1])
    noise = clouds_of_noise(rng, shape, shape[0] // 3, octaves=5)
    rise = np.linspace(1.0, 0.25, shape[0], dtype=np.float32)[:, None]
    veil = np.clip((noise - 0.35) * 0.55, 0, 0.85) * rise
    rows = slice(0, round((HORIZON + 10) * canvas.scale))
    canvas.colour[rows] += veil[rows, :, None] * (0.99 - canvas.colour[rows])
    x = np.linspace(-40, WIDTH + 40, 60)
    for lift, colour in ((34, (0.74, 0.70, 0.58)), (18, (0.52, 0.60, 0.46))):
        ridge = HORIZON - lift + 9 * np.sin(x / 97 + lift) + 6 * np.sin(x / 41 + 2 * lift)
        line = list(zip(x.tolist(), ridge.tolist(), strict=True))
        canvas.poly(
            [*line, (WIDTH + 40, HORIZON + 30), (-40, HORIZON + 30)], colour, 0.02, (0.55, 0.66, 0.52)
        )


def _ground(canvas: Canvas, rng: np.random.Generator) -> None:
    shape = (canvas.cover.shape[0], canvas.cover.shape[1])
    fine, broad = clouds_of_noise(rng, shape, 10, octaves=2), clouds_of_noise(rng, shape, shape[0] // 3)
    # Grass and asphalt seen at a low angle: drawn out to the sides.
    streaks = cv2.resize(fine[:, : shape[1] // 4], shape[::-1], interpolation=cv2.INTER_CUBIC).astype(
        np.float32
    )
    canvas.poly(strip(11.9, 200), (0.42, 0.66, 0.52), lamp(16, 0.5), _GRASS)
    canvas.poly(strip(_STREET[1], 11.9), (0.68, 0.71, 0.73), lamp(11.5, 0.5))
    road = canvas.mask(strip(*_STREET))
    canvas.fill(road, (0.44, 0.43, 0.42), lamp(9.6, 0.28), (0.37, 0.36, 0.35))
    canvas.speckle(road, streaks, 0.02)
    for z in (_STREET[1] - 0.08, _STREET[0]):
        canvas.poly(strip(z, z + 0.14), (0.76, 0.78, 0.79), lamp(z, 0.6), (0.60, 0.62, 0.63))
    for x in np.arange(-9, 9, 2.4):
        canvas.poly(slab(x, x + 1.2, 9.56, 9.72), (0.80, 0.84, 0.85), lamp(9.6, 0.8))
    lawn = canvas.mask(strip(_WALK[1], _STREET[0]))
    canvas.fill(lawn, _GRASS, lamp(6.6, 0.55), (0.17, 0.47, 0.34))
    canvas.speckle(lawn, broad, 0.05)
    canvas.speckle(lawn, streaks, 0.05)
    walk = canvas.mask(strip(*_WALK))
    canvas.fill(walk, (0.64, 0.69, 0.72), lamp(4.4, 0.52), (0.53, 0.58, 0.61))
    canvas.poly(strip(_WALK[1] - 0.10, _WALK[1]), (0.58, 0.62, 0.64), lamp(5.2, 0.42))
    for x in np.arange(-3.6, 4, 1.8):
        canvas.poly(slab(x, x + 0.03, *_WALK), (0.50, 0.54, 0.57), lamp(4.4, 0.40))
    canvas.poly(strip(3.98, 4.01), (0.50, 0.54, 0.57), lamp(4.0, 0.42))
    canvas.speckle(walk, broad, 0.035)
    canvas.speckle(walk, fine, 0.018)


def _hedge(canvas: Canvas, rng: np.random.Generator, x0: float, x1: float) -> None:
    """A clipped hedge with a leafy top, beyond the street."""
    z, tall = 13.0, 1.1
    tone = np.array([0.20, 0.45, 0.29])
    base, rise = project(0, 0, z)[1], tall * FOCAL / z
    left, right = project(x0, 0, z)[0], project(x1, 0, z)[0]
    body = rectangle(left, base - rise + 2, right, base)
    canvas.poly(body, (0.20, 0.45, 0.29), lamp(z, 0.5), (0.10, 0.22, 0.14))
    for _ in range(int((right - left) * tall * 3.2)):
        x, up = float(rng.uniform(left, right)), float(rng.uniform(0, 1)) ** 0.8
        y = base - up * rise * float(rng.uniform(0.9, 1.06))
        b, g, r = tone * (0.50 + 0.62 * up + 0.12 * float(rng.standard_normal()))
        canvas.poly(ellipse(x, y, 3.4, 2.4, 12), (b, g, r), lamp(z, 0.28 + 0.3 * up))


def _garden(canvas: Canvas, rng: np.random.Generator) -> None:
    x, z = TREE_AT
    turns = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    canvas.shade(
        [project(x + 0.9 + 1.9 * float(np.cos(a)), 0, z + 0.6 + 0.75 * float(np.sin(a))) for a in turns],
        0.42,
        7,
    )
    foot = project(x, 0, z)
    canvas.poly(ellipse(foot[0], foot[1] + 1, 46, 9), (0.22, 0.30, 0.38), lamp(z, 0.3))
    for _ in range(170):
        px, py = project(float(rng.uniform(-4.6, 4.6)), 0, float(rng.uniform(5.35, 5.6)))
        tall, light = float(rng.uniform(5, 15)), float(rng.uniform(0.7, 1.25))
        green = (0.15 * light, 0.44 * light, 0.28 * light)
        canvas.poly(ellipse(px, py - tall / 2, 5, tall / 2 + 2, 16), green, lamp(z, 0.7 * light))
        if rng.random() < 0.55:
            bloom = _BLOOMS[int(rng.integers(len(_BLOOMS)))]
            canvas.poly(ellipse(px, py - tall, 3.0, 2.7, 16), bloom, lamp(5.4, 0.85))


def _front(rng: np.random.Generator, scale: float) -> Sprite:
    """The own porch: a post, the beam with its lamp, a pot of flowers in the corner."""
    canvas = Canvas(WIDTH, HEIGHT, scale=scale)
    canvas.poly(rectangle(-2, -2, WIDTH + 2, 20), (0.60, 0.65, 0.68), 0.80, (0.80, 0.84, 0.86))
    canvas.poly(rectangle(-2, 20, WIDTH + 2, 25), (0.44, 0.47, 0.50), 0.60)
    for number in range(12):
        b, g, r = (c * (0.97 - 0.033 * number) for c in _WHITE)
        flute = rectangle(8 + number * 3, 25, 8 + number * 3 + 3.2, HEIGHT + 2)
        canvas.poly(flute, (b, g, r), 0.95 - 0.035 * number)
    canvas.poly(rectangle(3, 498, 50, HEIGHT + 2), (0.82, 0.85, 0.86), 0.9, (0.66, 0.69, 0.70))
    canvas.poly(rectangle(3, 25, 50, 44), (0.86, 0.89, 0.90), 0.9, (0.72, 0.75, 0.76))
    x, y = _LANTERN
    canvas.poly(rectangle(x - 1, 25, x + 1, y - 16), (0.14, 0.14, 0.15), 0.3)
    canvas.poly(rectangle(x - 9, y - 4, x + 9, y + 5), (0.80, 0.92, 0.96), 0.8)
    canvas.poly([(x - 26, y), (x - 7, y - 16), (x + 7, y - 16), (x + 26, y)], (0.20, 0.22, 0.23), 0.35)
    canvas.poly(
        [(868, 498), (946, 498), (936, 542), (878, 542)], (0.28, 0.42, 0.72), 0.75, (0.18, 0.28, 0.50)
    )
    canvas.poly(rectangle(864, 492, 950, 503), (0.34, 0.50, 0.80), 0.8, (0.26, 0.38, 0.64))
    for _ in range(150):
        px, py = 907 + 33 * float(rng.standard_normal()), 478 - 15 * abs(float(rng.standard_normal()))
        if not 852 < px < 956:
            continue
        light = 0.75 + 0.016 * (490 - py) + 0.1 * float(rng.standard_normal())
        canvas.poly(ellipse(px, py + 8, 8, 4.5, 20), (0.18 * light, 0.46 * light, 0.30 * light), 0.55 * light)
        if rng.random() < 0.4:
            canvas.poly(ellipse(px, py + 2, 5, 4.4, 20), (0.42 * light, 0.30 * light, 0.90), 0.85)
            canvas.poly(ellipse(px, py + 2, 1.8, 1.6, 12), (0.35, 0.80, 0.95), 0.95)
    colour, grey, alpha = canvas.finish()
    return Sprite(colour, grey, alpha, (0.0, 0.0), scale)


def _evening(open_sky: Floats, front: Bytes) -> Bytes:
    """The glow above the horizon at dusk, where the sky is seen."""
    height, width = front.shape
    seen = cv2.resize(open_sky, (width, height), interpolation=cv2.INTER_AREA) * (1 - front / np.float32(255))
    rows = np.linspace(0, HEIGHT / HORIZON, height, dtype=np.float32)[:, None]
    strength = np.clip(rows, 0, 1) ** 2 * (rows < 1) * seen
    return np.round(strength[..., None] * np.array([0, 20, 120], np.float32)).astype(np.uint8)


def _glow(scale: float) -> Bytes:
    """The light of windows and lamps, to be added while it is dusk."""
    width, height = round(WIDTH * scale), round(HEIGHT * scale)
    light = np.zeros((height, width, 3), np.float32)
    warm = np.array([0.30, 0.66, 0.98], np.float32)
    panes = [
        rectangle(*house.at(x + dx, y1), *house.at(x + dx + 0.62, y0))
        for x in house.WINDOWS
        for dx in (0.0, 0.68)
        for y0, y1 in ((1.68, 2.3), (1.0, 1.62))
    ]
    door = house.at(*house.LAMP_AT)
    beams = [
        *((pane, 0.75, 0.7) for pane in panes),
        *((pane, 0.20, 9.0) for pane in panes),
        (rectangle(door[0] - 3, door[1] - 4, door[0] + 3, door[1] + 5), 1.0, 1.0),
        (ellipse(*door, 9, 9), 0.9, 12.0),
        (rectangle(_LANTERN[0] - 9, _LANTERN[1], _LANTERN[0] + 9, _LANTERN[1] + 5), 0.9, 1.5),
        (ellipse(*_LANTERN, 17, 17), 0.9, 22.0),
        (rectangle(60, 470, 330, 540), 0.10, 40.0),
    ]
    canvas = Canvas(WIDTH, HEIGHT, scale=scale, supersampling=1)
    for shape, strength, blur in beams:
        soft = cv2.GaussianBlur(canvas.mask(shape), (0, 0), blur * scale).astype(np.float32) / 255
        light += strength * soft[..., None] * warm
    return np.clip(light * 255, 0, 255).astype(np.uint8)
