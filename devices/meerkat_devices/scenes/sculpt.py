"""Round shapes turned into small shaded pictures: the clay from which people and pets are made.

A figure is a list of *limbs* (round cones: two balls and the skin stretched between them) in metres, with x
to the right, y up and z towards the viewer. It is looked at along the z axis without perspective, shaded
once by daylight and once by a lamp at the camera, and kept as a sprite that costs little to place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Point = tuple[float, float, float]

_SUPERSAMPLING = 2
_SUN = np.array([-0.50, 0.62, 0.60], np.float32) / np.float32(1.0)
_MARGIN = 3  # Clear pixels around a sprite, so that moving it by a fraction of a pixel never cuts an edge.


@dataclass(frozen=True, slots=True)
class Material:
    """A surface: its colour in daylight (blue, green, red; 0 to 1) and what it returns of infrared light."""

    colour: Point
    infrared: float
    folds: float = 0.0  # How strongly cloth wrinkles along the limb.
    fur: float = 0.0  # How much single hairs differ.
    gloss: float = 0.0


@dataclass(frozen=True, slots=True)
class Limb:
    """A round cone from ball ``a`` (radius ``ra``) to ball ``b`` (radius ``rb``), in metres."""

    a: Point
    b: Point
    ra: float
    rb: float
    material: Material


@dataclass(frozen=True, slots=True)
class Sprite:
    """A picture with soft edges. Colours are premultiplied by ``alpha``, so that a sum composes them.

    ``colour`` is (h, w, 3) BGR, ``grey`` and ``alpha`` are (h, w). ``anchor`` is the pixel (x, y) of the
    origin (the ground below the figure) and ``scale`` the pixels of a metre.
    """

    colour: Bytes
    grey: Bytes
    alpha: Bytes
    anchor: tuple[float, float]
    scale: float


def turned(limbs: Sequence[Limb], *, yaw: float, pitch: float) -> list[Limb]:
    """The figure turned by ``yaw`` about the vertical, then seen from ``pitch`` above (both in radians)."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    matrix = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]]) @ np.array(
        [[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]
    )

    def turn(point: Point) -> Point:
        x, y, z = matrix @ np.asarray(point)
        return float(x), float(y), float(z)

    return [Limb(turn(limb.a), turn(limb.b), limb.ra, limb.rb, limb.material) for limb in limbs]


def sculpt(limbs: Sequence[Limb], *, scale: float) -> Sprite:
    """Shade the figure at ``scale`` pixels to the metre and cut it out of its background."""
    fine = scale * _SUPERSAMPLING
    ends = [(limb.a, limb.ra) for limb in limbs] + [(limb.b, limb.rb) for limb in limbs]
    pad = _MARGIN / scale
    left = min(p[0] - r for p, r in ends) - pad
    right = max(p[0] + r for p, r in ends) + pad
    low = min(p[1] - r for p, r in ends) - pad
    high = max(p[1] + r for p, r in ends) + pad
    width, height = int(np.ceil((right - left) * scale)), int(np.ceil((high - low) * scale))
    canvas = _Canvas(width * _SUPERSAMPLING, height * _SUPERSAMPLING, left, high, fine)
    for limb in limbs:
        canvas.add(limb)
    colour, grey, alpha = canvas.shade(fine)
    size = (width, height)

    def shrink(picture: Floats) -> Bytes:
        smaller = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        levels: Bytes = np.clip(smaller * 255 + 0.5, 0, 255).astype(np.uint8)
        return levels

    return Sprite(shrink(colour), shrink(grey), shrink(alpha), (-left * scale, high * scale), scale)


class _Canvas:
    """Depth, surface direction and material of the nearest surface at each (supersampled) pixel."""

    def __init__(self, width: int, height: int, left: float, high: float, scale: float) -> None:
        self.xs = (left + (np.arange(width, dtype=np.float32) + 0.5) / scale).astype(np.float32)
        self.ys = (high - (np.arange(height, dtype=np.float32) + 0.5) / scale).astype(np.float32)
        self.depth = np.full((height, width), -np.inf, np.float32)
        self.normal = np.zeros((height, width, 3), np.float32)
        self.colour = np.zeros((height, width, 3), np.float32)
        self.infrared = np.zeros((height, width), np.float32)
        self.gloss = np.zeros((height, width), np.float32)

    def add(self, limb: Limb) -> None:
        """Keep what of the limb lies nearer than all before it."""
        a, b = np.asarray(limb.a, np.float32), np.asarray(limb.b, np.float32)
        if float(np.abs(b - a).max()) < 1e-4:
            b = a + np.float32(1e-3)
        ra, rb = limb.ra, limb.rb
        cols = np.flatnonzero((self.xs > min(a[0] - ra, b[0] - rb)) & (self.xs < max(a[0] + ra, b[0] + rb)))
        rows = np.flatnonzero((self.ys > min(a[1] - ra, b[1] - rb)) & (self.ys < max(a[1] + ra, b[1] + rb)))
        if not cols.size or not rows.size:
            return
        window = (slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1))
        x, y = np.meshgrid(self.xs[window[1]], self.ys[window[0]])
        z, normal, along = _cone(x, y, a, b, (ra, rb))
        nearer = z > self.depth[window]
        tint = np.ones_like(along)
        if limb.material.folds:
            wave = np.sin(along * 19 + 3.1 * normal[..., 0]) * np.sin(along * 8 + 2 * normal[..., 1] + 1)
            tint += limb.material.folds * wave
        if limb.material.fur:
            strand = (normal[..., 0] + normal[..., 1]) * 90
            tint += (
                limb.material.fur
                * np.sin(strand + 9 * np.sin(along * 47))
                * np.sin(along * 83 + strand * 0.3)
            )
        self.depth[window][nearer] = z[nearer]
        self.normal[window][nearer] = normal[nearer]
        self.colour[window][nearer] = (np.asarray(limb.material.colour, np.float32) * tint[..., None])[nearer]
        self.infrared[window][nearer] = (limb.material.infrared * (0.75 + 0.25 * tint))[nearer]
        self.gloss[window][nearer] = limb.material.gloss

    def shade(self, scale: float) -> tuple[Floats, Floats, Floats]:
        """Daylight colour, infrared grey and coverage, premultiplied, in 0 to 1."""
        solid = np.isfinite(self.depth)
        cover = solid.astype(np.float32)
        # Seams between limbs are softened as cloth would, but the depth's steps stay and cast a soft shade.
        blur = max(0.6, 0.012 * scale)
        normal = cv2.GaussianBlur(self.normal, (0, 0), blur)
        normal = 0.4 * self.normal + 0.6 * normal
        normal = normal / np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-6)
        depth = np.where(solid, self.depth, 0).astype(np.float32)
        weight = np.maximum(cv2.GaussianBlur(cover, (0, 0), 0.035 * scale), 1e-4)
        around = cv2.GaussianBlur(depth * cover, (0, 0), 0.035 * scale) / weight
        shade = np.exp(-np.clip(around - depth, 0, None) * 9).astype(np.float32)
        sun_direction = _SUN / np.linalg.norm(_SUN)
        sun = np.clip(normal @ sun_direction, 0, 1)
        sky = 0.5 + 0.5 * normal[..., 1]
        halfway = sun_direction + np.array([0, 0, 1], np.float32)
        shine = np.clip(normal @ (halfway / np.linalg.norm(halfway)), 0, 1) ** 24 * self.gloss
        light = sun[..., None] * np.array([0.72, 0.82, 0.92], np.float32)
        light = light + sky[..., None] * np.array([0.50, 0.46, 0.43], np.float32) + 0.22
        colour = (self.colour * light * shade[..., None] + shine[..., None]) * cover[..., None]
        lamp = np.clip(normal[..., 2], 0, 1) ** 0.7
        grey = (self.infrared * (0.18 + 0.82 * lamp) * (0.35 + 0.65 * shade) + 0.4 * shine) * cover
        return colour.astype(np.float32), grey.astype(np.float32), cover


def _cone(
    x: Floats, y: Floats, a: Floats, b: Floats, radii: tuple[float, float]
) -> tuple[Floats, Floats, Floats]:
    """Nearest surface of a round cone along z: depth (-inf beside it), direction and place along the axis.

    The quadratic of a ray against the cone that touches both balls; beyond its tangents the balls count.
    """
    ra, rb = radii
    axis, fall = b - a, ra - rb
    m0 = float(axis @ axis)
    ox, oy = x - a[0], y - a[1]  # The ray starts in the plane z = 0 and runs towards -z.
    oz = np.full_like(ox, -a[2])
    m1 = axis[0] * ox + axis[1] * oy + axis[2] * oz
    m2, m3 = -float(axis[2]), -oz
    d2 = m0 - fall * fall
    k2 = max(d2 - m2 * m2, 1e-9)
    k1 = d2 * m3 - m1 * m2 + m2 * fall * ra
    k0 = d2 * (ox * ox + oy * oy + oz * oz) - m1 * m1 + m1 * fall * ra * 2 - m0 * ra * ra
    h = k1 * k1 - k0 * k2
    t = (-np.sqrt(np.maximum(h, 0)) - k1) / k2
    place = m1 - ra * fall + t * m2
    body = (h > 0) & (place > 0) & (place < d2) & (d2 > 0)
    z = np.where(body, -t, -np.inf).astype(np.float32)
    normal = np.stack(
        [d2 * ox - axis[0] * place, d2 * oy - axis[1] * place, d2 * (oz - t) - axis[2] * place], -1
    )
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    for centre, radius in ((a, ra), (b, rb)):
        px, py = x - centre[0], y - centre[1]
        rest = radius * radius - px * px - py * py
        up = np.sqrt(np.maximum(rest, 0))
        ball = np.where(rest > 0, centre[2] + up, -np.inf)
        nearer = (ball > z) & ~body
        z = np.where(nearer, ball, z).astype(np.float32)
        normal = np.where(nearer[..., None], np.stack([px, py, up], -1) / radius, normal)
    along = (np.clip(place / max(d2, 1e-9), 0, 1) * np.sqrt(m0) * 3).astype(np.float32)
    return z, normal.astype(np.float32), along
