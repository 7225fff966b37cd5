"""The place: an own porch, a garden with a tree, a street and the house across it, painted once.

Depth follows a pinhole camera 1.5 m above the ground: ``project`` turns metres (x right, y up, z away) into
design pixels of a picture of 960 by 540.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .paint import Bytes, Canvas, Colour, Floats, clouds_of_noise, ellipse
from .sculpt import Sprite

WIDTH, HEIGHT = 960, 540
FOCAL, HORIZON, EYE = 700.0, 230.0, 1.5
TREE_AT = (3.3, 7.0)
_WHITE: Colour = (0.88, 0.91, 0.92)
_HOUSE_Z, _HOUSE_X0, _HOUSE_X1 = 15.0, -6.9, 0.9


def project(x: float, y: float, z: float) -> tuple[float, float]:
    """Design pixel of a point in metres."""
    return WIDTH / 2 + FOCAL * x / z, HORIZON + FOCAL * (EYE - y) / z


@dataclass(frozen=True, slots=True)
class Scenery:
    """What never moves. ``day`` is (h, w, 3), as are ``evening`` (the sky at dusk) and ``glow`` (lamps and windows),
    which are added to it; ``infrared`` is (h, w). ``front`` hides what passes behind it. ``leaves`` sway about the trunk."""

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
    _hedges(canvas, rng)
    _house(canvas)
    _garden(canvas, rng)
    open_sky = (np.abs(canvas.colour - sky).max(axis=2) < 1e-4).astype(np.float32)
    front = _front(rng, scale)
    day, infrared, _ = canvas.finish()
    day, infrared = _over(day, front.colour, front.alpha), _over(infrared, front.grey, front.alpha)
    return Scenery(
        day=_lens(day, 0.22),
        evening=_evening(open_sky, front.alpha),
        glow=_glow(scale),
        infrared=_lens(infrared, 0.55),
        front=front,
        trunk=_trunk(scale),
        leaves=_leaves(rng, scale),
    )


def _over(below: Bytes, above: Bytes, alpha: Bytes) -> Bytes:
    keep = 1 - (alpha if below.ndim == 2 else alpha[..., None]).astype(np.float32) / 255
    return np.clip(below * keep + above, 0, 255).astype(np.uint8)


def _lens(picture: Bytes, strength: float) -> Bytes:
    """A lens darkens its corners."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    fall = 1 - strength * np.clip((x * x + y * y) / 2, 0, 1) ** 1.3
    return np.clip(picture * (fall[..., None] if picture.ndim == 3 else fall), 0, 255).astype(np.uint8)


def _lamp(z: float, reflectance: float) -> float:
    """What comes back of an infrared lamp beside the camera from ``z`` metres."""
    return reflectance * min(1.0, (3.6 / z) ** 1.5)


def _strip(z0: float, z1: float) -> list[tuple[float, float]]:
    """The whole width of the ground between two distances."""
    near, far = project(0, 0, z0)[1], project(0, 0, z1)[1]
    return [(-2, far), (WIDTH + 2, far), (WIDTH + 2, near), (-2, near)]


def _sky(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.box(-2, -2, WIDTH + 2, HORIZON + 20, (0.90, 0.68, 0.42), 0.015, (0.97, 0.92, 0.84))
    shape = canvas.cover.shape
    noise = clouds_of_noise(rng, shape, shape[0] // 3, octaves=5)
    rise = np.linspace(1.0, 0.25, shape[0], dtype=np.float32)[:, None]
    veil = np.clip((noise - 0.35) * 0.55, 0, 0.85) * rise
    rows = slice(0, round((HORIZON + 10) * canvas.scale))
    canvas.colour[rows] += veil[rows, :, None] * (0.99 - canvas.colour[rows])
    x = np.linspace(-40, WIDTH + 40, 60)
    for lift, colour in ((34, (0.74, 0.70, 0.58)), (18, (0.52, 0.60, 0.46))):
        ridge = HORIZON - lift + 9 * np.sin(x / 97 + lift) + 6 * np.sin(x / 41 + 2 * lift)
        hills = [
            *zip(x.tolist(), ridge.tolist(), strict=True),
            (WIDTH + 40, HORIZON + 30),
            (-40, HORIZON + 30),
        ]
        canvas.poly(hills, colour, 0.02, (0.55, 0.66, 0.52))


def _ground(canvas: Canvas, rng: np.random.Generator) -> None:
    shape = canvas.cover.shape
    fine, broad = clouds_of_noise(rng, shape, 10, octaves=2), clouds_of_noise(rng, shape, shape[0] // 3)
    fine = cv2.resize(fine[:, : shape[1] // 4], shape[::-1], interpolation=cv2.INTER_CUBIC)
    grass: Colour = (0.24, 0.56, 0.42)
    far = canvas.mask(_strip(11.9, 200))
    canvas.fill(far, (0.42, 0.66, 0.52), _lamp(16, 0.5), grass)
    canvas.fill(canvas.mask(_strip(11.1, 11.9)), (0.68, 0.71, 0.73), _lamp(11.5, 0.5))
    road = canvas.mask(_strip(8.2, 11.1))
    canvas.fill(road, (0.44, 0.43, 0.42), _lamp(9.6, 0.28), (0.37, 0.36, 0.35))
    canvas.speckle(road, fine, 0.02)
    for z in (11.02, 8.2):
        canvas.fill(canvas.mask(_strip(z, z + 0.14)), (0.76, 0.78, 0.79), _lamp(z, 0.6), (0.60, 0.62, 0.63))
    for x in np.arange(-9, 9, 2.4):
        dash = [project(x + dx, 0, z) for dx, z in ((0, 9.72), (1.2, 9.72), (1.2, 9.56), (0, 9.56))]
        canvas.poly(dash, (0.80, 0.84, 0.85), _lamp(9.6, 0.8))
    lawn = canvas.mask(_strip(5.25, 8.2))
    canvas.fill(lawn, grass, _lamp(6.6, 0.55), (0.17, 0.47, 0.34))
    canvas.speckle(lawn, broad, 0.05)
    canvas.speckle(lawn, fine, 0.05)
    walk = canvas.mask(_strip(3.2, 5.25))
    canvas.fill(walk, (0.62, 0.66, 0.69), _lamp(4.4, 0.52), (0.53, 0.57, 0.60))
    edges = [5.25, 4.78, 4.36, 3.99, 3.66, 3.37]
    for number, z in enumerate(edges):
        canvas.fill(canvas.mask(_strip(z - 0.025, z)), (0.40, 0.44, 0.46), _lamp(z, 0.30))
        step = 0.72
        ahead = edges[number + 1] if number + 1 < len(edges) else 3.2
        for x in np.arange(-4 + (number % 2) * step / 2, 4, step):
            tone = 0.05 * float(rng.standard_normal())
            slab = [
                project(x + dx, 0, d)
                for dx, d in ((0.02, z - 0.03), (step, z - 0.03), (step, ahead), (0.02, ahead))
            ]
            canvas.poly(slab, (0.60 + tone, 0.645 + tone, 0.68 + tone), _lamp(z, 0.52 + tone))
            joint = [project(x + dx, 0, d) for dx, d in ((0, z), (0.02, z), (0.02, ahead), (0, ahead))]
            canvas.poly(joint, (0.44, 0.48, 0.50), _lamp(z, 0.34))
    canvas.speckle(walk, broad, 0.03)


def _bushes(
    canvas: Canvas, rng: np.random.Generator, x0: float, x1: float, z: float, tall: float, tone: Colour
) -> None:
    """A clipped hedge with a leafy top."""
    size = FOCAL / z
    base = project(0, 0, z)[1]
    left, right = project(x0, 0, z)[0], project(x1, 0, z)[0]
    crown = base - tall * size
    canvas.box(
        left, crown + 2, right, base, tone, _lamp(z, 0.5), (tone[0] * 0.5, tone[1] * 0.5, tone[2] * 0.5)
    )
    for _ in range(int((right - left) * tall * 3.2)):
        x, up = float(rng.uniform(left, right)), float(rng.uniform(0, 1)) ** 0.8
        y = base - up * tall * size * float(rng.uniform(0.9, 1.06))
        light = 0.50 + 0.62 * up + 0.12 * float(rng.standard_normal())
        canvas.disc(
            x, y, 3.4, 2.4, (tone[0] * light, tone[1] * light, tone[2] * light), _lamp(z, 0.28 + 0.3 * up)
        )


def _hedges(canvas: Canvas, rng: np.random.Generator) -> None:
    _bushes(canvas, rng, -12, _HOUSE_X0 - 0.4, 13.0, 1.0, (0.20, 0.44, 0.28))
    _bushes(canvas, rng, _HOUSE_X1 + 0.5, 10.5, 13.0, 1.15, (0.20, 0.46, 0.30))


def _house(canvas: Canvas) -> None:
    z = _HOUSE_Z
    size = FOCAL / z

    def at(x: float, y: float) -> tuple[float, float]:
        return project(x, y, z)

    def rect(
        x0: float, y0: float, x1: float, y1: float, colour: Colour, ir: float, low: Colour | None = None
    ) -> None:
        canvas.poly([at(x0, y1), at(x1, y1), at(x1, y0), at(x0, y0)], colour, _lamp(z, ir), low)

    x0, x1 = _HOUSE_X0, _HOUSE_X1
    middle = (x0 + x1) / 2
    rect(x0 + 5.6, 3.9, x0 + 6.3, 5.9, (0.32, 0.38, 0.58), 0.4, (0.26, 0.30, 0.48))
    rect(x0, 0, x1, 3.05, (0.74, 0.85, 0.90), 0.7, (0.66, 0.77, 0.83))
    for row in np.arange(0.35, 3.05, 0.2):
        rect(x0, row, x1, row + 0.025, (0.62, 0.72, 0.78), 0.6)
    rect(x0, 0, x1, 0.32, (0.52, 0.54, 0.57), 0.5, (0.42, 0.44, 0.47))
    roof = [at(x0 - 0.4, 2.95), at(x0 + 1.1, 4.75), at(x1 - 1.1, 4.75), at(x1 + 0.4, 2.95)]
    canvas.poly(roof, (0.40, 0.36, 0.40), _lamp(z, 0.3), (0.30, 0.27, 0.30))
    for row in np.arange(3.1, 4.7, 0.2):
        inset = (row - 2.95) / 1.8 * 1.5
        rect(x0 - 0.4 + inset, row, x1 + 0.4 - inset, row + 0.03, (0.27, 0.24, 0.27), 0.24)
    rect(x0 - 0.42, 2.87, x1 + 0.42, 3.0, _WHITE, 0.8)
    canvas.shade([at(x0, 2.87), at(x1, 2.87), at(x1, 2.5), at(x0, 2.55)], 0.30, 3)
    for x in (x0 + 0.75, x0 + 5.55):
        rect(x - 0.38, 0.98, x - 0.1, 2.33, (0.46, 0.36, 0.20), 0.4)
        rect(x + 1.4, 0.98, x + 1.68, 2.33, (0.46, 0.36, 0.20), 0.4)
        rect(x - 0.08, 0.9, x + 1.38, 2.4, _WHITE, 0.85)
        rect(x, 1.0, x + 1.3, 2.3, (0.62, 0.50, 0.36), 0.08, (0.44, 0.36, 0.26))
        rect(x + 0.62, 1.0, x + 0.68, 2.3, _WHITE, 0.8)
        rect(x, 1.62, x + 1.3, 1.68, _WHITE, 0.8)
        canvas.poly(
            [at(x, 2.3), at(x + 0.28, 2.3), at(x + 0.1, 1.0), at(x, 1.0)], (0.78, 0.82, 0.84), _lamp(z, 0.3)
        )
        rect(x - 0.1, 0.72, x + 1.4, 0.9, (0.20, 0.30, 0.48), 0.4)
        for flower in np.arange(x, x + 1.35, 0.16):
            px, py = at(flower, 0.98)
            canvas.disc(px, py + 1, 4.2, 3.2, (0.22, 0.52, 0.30), _lamp(z, 0.5))
            canvas.disc(px + 1, py - 1, 2.4, 2.2, (0.40, 0.34, 0.86), _lamp(z, 0.7))
    _entrance(canvas, at, rect, middle, size)


def _entrance(canvas: Canvas, at, rect, middle: float, size: float) -> None:  # type: ignore[no-untyped-def]
    z = _HOUSE_Z
    rect(middle - 0.62, 0.40, middle + 0.62, 2.62, _WHITE, 0.85)
    rect(middle - 0.48, 0.42, middle + 0.48, 2.46, (0.20, 0.22, 0.62), 0.35, (0.14, 0.15, 0.46))
    for y0, y1 in ((0.6, 1.25), (1.4, 2.3)):
        for dx in (-0.36, 0.08):
            rect(middle + dx, y0, middle + dx + 0.28, y1, (0.15, 0.17, 0.50), 0.28)
    px, py = at(middle + 0.38, 1.42)
    canvas.disc(px, py, 2.2, 2.2, (0.45, 0.78, 0.90), _lamp(z, 0.9))
    for step in range(3):
        wide, top = 1.15 + 0.22 * step, 0.40 - 0.14 * step
        rect(middle - wide, top - 0.14, middle + wide, top, (0.70, 0.72, 0.73), 0.6, (0.52, 0.54, 0.55))
        rect(middle - wide, top - 0.03, middle + wide, top, (0.84, 0.86, 0.86), 0.7)
    canvas.shade(
        [at(middle - 1.5, 2.6), at(middle + 1.5, 2.6), at(middle + 1.4, 2.0), at(middle - 1.3, 2.1)], 0.25, 4
    )
    for dx in (-1.35, 1.25):
        rect(middle + dx, 0.1, middle + dx + 0.11, 2.7, _WHITE, 0.85, (0.78, 0.80, 0.82))
    gable = [at(middle - 1.7, 2.68), at(middle, 3.5), at(middle + 1.7, 2.68)]
    canvas.poly(gable, (0.34, 0.31, 0.34), _lamp(z, 0.3))
    canvas.poly([at(middle - 1.35, 2.72), at(middle, 3.34), at(middle + 1.35, 2.72)], _WHITE, _lamp(z, 0.8))
    rect(middle - 1.7, 2.6, middle + 1.7, 2.72, _WHITE, 0.85)
    lx, ly = at(middle + 0.86, 2.05)
    canvas.box(lx - 3, ly - 6, lx + 3, ly + 6, (0.16, 0.16, 0.17), _lamp(z, 0.2))
    canvas.box(lx - 2, ly - 3, lx + 2, ly + 4, (0.62, 0.88, 0.96), _lamp(z, 0.9))
    path = [
        project(middle - 0.7, 0, 14.9),
        project(middle + 0.7, 0, 14.9),
        project(middle + 1.0, 0, 11.9),
        project(middle - 1.0, 0, 11.9),
    ]
    canvas.poly(path, (0.66, 0.69, 0.71), _lamp(13, 0.5), (0.60, 0.63, 0.65))
    del size


def _garden(canvas: Canvas, rng: np.random.Generator) -> None:
    x, z = TREE_AT
    shadow = [
        project(x + 0.9 + 1.9 * np.cos(a), 0, z + 0.6 + 0.75 * np.sin(a)) for a in np.linspace(0, 6.2, 30)
    ]
    canvas.shade(shadow, 0.42, 7)
    foot = project(x, 0, z)
    canvas.disc(foot[0], foot[1] + 1, 46, 9, (0.22, 0.30, 0.38), _lamp(z, 0.3))
    for _ in range(170):
        bloom_x, bloom_z = float(rng.uniform(-4.6, 4.6)), float(rng.uniform(5.35, 5.6))
        px, py = project(bloom_x, 0, bloom_z)
        tall = float(rng.uniform(5, 15))
        light = float(rng.uniform(0.7, 1.25))
        canvas.disc(
            px,
            py - tall / 2,
            5,
            tall / 2 + 2,
            (0.15 * light, 0.44 * light, 0.28 * light),
            _lamp(z, 0.7 * light),
        )
        if rng.random() < 0.55:
            hue = [(0.35, 0.35, 0.92), (0.92, 0.93, 0.95), (0.30, 0.75, 0.95), (0.80, 0.45, 0.72)][
                int(rng.integers(4))
            ]
            canvas.disc(px, py - tall, 3.0, 2.7, hue, _lamp(5.4, 0.85))


def _front(rng: np.random.Generator, scale: float) -> Sprite:
    """The own porch: a post, the beam with its lantern, a pot of flowers in the corner."""
    canvas = Canvas(WIDTH, HEIGHT, scale=scale)
    canvas.box(-2, -2, WIDTH + 2, 20, (0.60, 0.65, 0.68), 0.80, (0.80, 0.84, 0.86))
    canvas.box(-2, 20, WIDTH + 2, 25, (0.44, 0.47, 0.50), 0.60)
    for number in range(12):
        canvas.box(
            8 + number * 3,
            25,
            8 + number * 3 + 3.2,
            HEIGHT + 2,
            tuple(c * (0.97 - 0.033 * number) for c in _WHITE),
            0.95 - 0.035 * number,
        )  # type: ignore[arg-type]
    canvas.box(3, 498, 50, HEIGHT + 2, (0.82, 0.85, 0.86), 0.9, (0.66, 0.69, 0.70))
    canvas.box(3, 25, 50, 44, (0.86, 0.89, 0.90), 0.9, (0.72, 0.75, 0.76))
    canvas.box(128, 25, 130, 46, (0.14, 0.14, 0.15), 0.3)
    canvas.poly([(115, 58), (129, 44), (143, 58)], (0.16, 0.16, 0.17), 0.3)
    canvas.box(118, 58, 140, 88, (0.74, 0.90, 0.95), 0.9, (0.58, 0.80, 0.90))
    for x in (117, 128, 139):
        canvas.box(x, 58, x + 2, 88, (0.14, 0.14, 0.15), 0.3)
    canvas.box(115, 87, 143, 91, (0.16, 0.16, 0.17), 0.3)
    canvas.poly(
        [(868, 498), (946, 498), (936, 542), (878, 542)], (0.28, 0.42, 0.72), 0.75, (0.18, 0.28, 0.50)
    )
    canvas.box(864, 492, 950, 503, (0.34, 0.50, 0.80), 0.8, (0.26, 0.38, 0.64))
    for _ in range(150):
        x, y = 907 + 33 * float(rng.standard_normal()), 478 - 15 * abs(float(rng.standard_normal()))
        if not 852 < x < 956:
            continue
        light = 0.75 + 0.016 * (490 - y) + 0.1 * float(rng.standard_normal())
        canvas.disc(x, y + 8, 8, 4.5, (0.18 * light, 0.46 * light, 0.30 * light), 0.55 * light)
        if rng.random() < 0.4:
            canvas.disc(x, y + 2, 5, 4.4, (0.42 * light, 0.30 * light, 0.90), 0.85)
            canvas.disc(x, y + 2, 1.8, 1.6, (0.35, 0.80, 0.95), 0.95)
    colour, grey, alpha = canvas.finish()
    return Sprite(colour, grey, alpha, (0.0, 0.0), scale)


def _trunk(scale: float) -> Sprite:
    """The tree's trunk and boughs; the anchor is the foot."""
    canvas = Canvas(220, 330, scale=scale)
    foot = (110.0, 320.0)
    for shift, tone in ((0.0, 0.62), (-2.5, 1.0)):
        colour = (0.24 * tone, 0.32 * tone, 0.42 * tone)
        grey = _lamp(TREE_AT[1], 0.75) * (0.6 + 0.4 * tone)
        wide = 1.0 if tone < 1 else 0.62
        canvas.poly(
            [
                (110 + shift - 17 * wide, 320),
                (110 + shift - 10 * wide, 180),
                (110 + shift + 10 * wide, 180),
                (110 + shift + 17 * wide, 320),
            ],
            colour,
            grey,
        )
        for x, y in ((40, 90), (110, 40), (178, 100), (80, 70)):
            canvas.poly([(103 + shift, 200), (x - 3, y), (x + 3, y), (117 + shift, 200)], colour, grey)
    colour, grey_picture, alpha = canvas.finish()
    return Sprite(colour, grey_picture, alpha, (foot[0] * scale, foot[1] * scale), scale)


def _leaves(rng: np.random.Generator, scale: float) -> tuple[Sprite, ...]:
    """Clumps of leaves, the darker ones first; the anchor of each is the tree's foot."""
    clumps = []
    for cx, cy, radius in (
        (24, -205, 92),
        (-70, -190, 74),
        (92, -185, 70),
        (-24, -262, 86),
        (52, -290, 66),
        (0, -200, 60),
    ):
        side = 2 * radius + 40
        canvas = Canvas(side, side, scale=scale)
        middle = side / 2
        spots = []
        for _ in range(radius * 9):
            angle, r = float(rng.uniform(0, 2 * np.pi)), radius * float(rng.uniform(0, 1)) ** 0.55
            spots.append((r * float(np.cos(angle)), r * float(np.sin(angle)) * 0.86))
        for dx, dy in sorted(
            spots, key=lambda p: p[0] * 0.4 + p[1] + 18 * float(rng.standard_normal()), reverse=True
        ):
            lit = 0.60 - 0.28 * (dx * 0.55 + dy) / radius + 0.10 * float(rng.standard_normal())
            lit = min(max(lit, 0.25), 1.1)
            leaf = ellipse(middle + dx, middle + dy, 6.2, 4.0, count=9)
            canvas.poly(leaf, (0.20 * lit, 0.62 * lit, 0.46 * lit), _lamp(TREE_AT[1], 0.35 + 0.55 * lit))
        colour, grey, alpha = canvas.finish()
        clumps.append(Sprite(colour, grey, alpha, ((middle - cx) * scale, (middle - cy) * scale), scale))
    return tuple(clumps)


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

    def add(mask: Bytes, strength: float, blur: float) -> None:
        nonlocal light
        soft = cv2.GaussianBlur(mask, (0, 0), blur * scale).astype(np.float32) / 255
        light += strength * soft[..., None] * warm

    def patch(x0: float, y0: float, x1: float, y1: float) -> Bytes:
        mask = np.zeros((height, width), np.uint8)
        corners = [round(v * scale) for v in (x0, y0, x1, y1)]
        mask[corners[1] : corners[3], corners[0] : corners[2]] = 255
        return mask

    for x in (_HOUSE_X0 + 0.75, _HOUSE_X0 + 5.55):
        for dx in (0.0, 0.68):
            for y0, y1 in ((1.68, 2.3), (1.0, 1.62)):
                pane = patch(*project(x + dx, y1, _HOUSE_Z), *project(x + dx + 0.62, y0, _HOUSE_Z))
                add(pane, 0.75, 0.7)
                add(pane, 0.20, 9)
    lamp = project((_HOUSE_X0 + _HOUSE_X1) / 2 + 0.86, 2.05, _HOUSE_Z)
    add(patch(lamp[0] - 3, lamp[1] - 4, lamp[0] + 3, lamp[1] + 5), 1.0, 1.0)
    add(patch(lamp[0] - 8, lamp[1] - 8, lamp[0] + 8, lamp[1] + 8), 0.9, 12)
    add(patch(120, 59, 138, 86), 0.9, 1.5)
    add(patch(116, 56, 142, 90), 0.9, 22)
    add(patch(60, 470, 330, 540), 0.10, 40)
    return np.clip(light * 255, 0, 255).astype(np.uint8)
