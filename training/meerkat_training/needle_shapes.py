"""Outlines of pointers, in units of the dial's radius: u towards the tip, v to the pointer's right."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .arrays import Floats, Random, around, between, chance

Outline = Floats
"""Corners (n, 2) of (u, v)."""


def _arc(
    radius: float, start: float, end: float, centre: float = 0.0, steps: int = 14
) -> list[tuple[float, float]]:
    """Points of a circle around (centre, 0); angle 0 looks to the tip."""
    return [
        (centre + radius * math.cos(angle), radius * math.sin(angle))
        for angle in np.linspace(start, end, steps).tolist()
    ]


def _wedge(length: float, width: float, tail: float, rng: Random) -> list[tuple[float, float]]:
    blunt = width * between(rng, 0.0, 0.3)
    back = width * between(rng, 0.3, 1.0)
    return [(length, -blunt), (length, blunt), (0, width), (-tail, back), (-tail, -back), (0, -width)]


def _drop(length: float, width: float, _tail: float, rng: Random) -> list[tuple[float, float]]:
    body = min(width * between(rng, 1.4, 2.4), length - 0.15)
    return [(length, 0.0), *_arc(body, 0.9, 2 * math.pi - 0.9)]


def _bar(length: float, width: float, tail: float, rng: Random) -> list[tuple[float, float]]:
    half = width * 0.6
    point = length - half * between(rng, 0.0, 2.5)
    return [(length, 0), (point, half), (-tail, half), (-tail, -half), (point, -half)]


def _arrow(length: float, width: float, tail: float, rng: Random) -> list[tuple[float, float]]:
    shaft, head = width * 0.4, width * between(rng, 1.0, 1.7)
    neck = length * between(rng, 0.5, 0.75)
    barb = neck - (length - neck) * between(rng, 0.0, 0.4)
    side = [(barb, head), (neck, shaft), (-tail, shaft)]
    return [(length, 0.0), *side, *((u, -v) for u, v in reversed(side))]


def _leaf(length: float, width: float, tail: float, rng: Random) -> list[tuple[float, float]]:
    belly, side = length * between(rng, 0.25, 0.55), width * 1.2
    waist = width * 0.5
    edge = [(belly, side), (0.0, waist), (-tail, waist)]
    return [(length, 0.0), *edge, *((u, -v) for u, v in reversed(edge))]


def _beak(length: float, _width: float, _tail: float, rng: Random) -> list[tuple[float, float]]:
    """A disc that runs out into a short tip."""
    body = min(length - 0.13, between(rng, 0.3, 0.7))
    open_at = math.acos(min(0.97, body / length)) * between(rng, 0.6, 1.0)
    return [(length, 0.0), *_arc(body, open_at, 2 * math.pi - open_at, steps=20)]


SHAPES: tuple[Callable[[float, float, float, Random], list[tuple[float, float]]], ...] = (
    _wedge, _drop, _bar, _arrow, _leaf, _beak, _drop, _wedge,
)  # fmt: skip


def random_pointer(rng: Random) -> tuple[Outline, float]:
    """A pointer's outline and its length; the tip lies on the axis, ahead of the hub."""
    length = between(rng, 0.42, 1.05)
    width = between(rng, 0.04, 0.2)
    tail = between(rng, 0.05, 0.42) if chance(rng, 0.55) else 0.0
    maker = SHAPES[int(rng.integers(len(SHAPES)))]
    return np.array(maker(length, width, min(tail, 0.55 * length), rng), np.float32), length


def random_weight(rng: Random, length: float) -> Outline | None:
    """A half disc on either side of the hub, a disc or block behind it; None in most dials."""
    kind = rng.random()
    if kind < 0.7:
        return None
    size = between(rng, 0.15, 0.5)
    if kind < 0.74:
        return np.array(_arc(min(size, 0.65 * length), -math.pi / 2, math.pi / 2), np.float32)
    if kind < 0.86:
        return np.array(_arc(size, math.pi / 2, 3 * math.pi / 2), np.float32)
    if kind < 0.93:
        return np.array(_arc(size * 0.6, 0, 2 * math.pi, -size * 0.7), np.float32)
    half = size * between(rng, 0.3, 0.7)
    return np.array([(0, half), (-size, half), (-size, -half), (0, -half)], np.float32)


def random_hub(rng: Random) -> float:
    """The hub's radius: a pin, a cap, or the large disc of a water meter."""
    kind = rng.random()
    small = between(rng, 0.03, 0.1)
    return small if kind < 0.4 else between(rng, 0.1, 0.24) if kind < 0.75 else between(rng, 0.24, 0.46)


def random_magnet(rng: Random, length: float) -> tuple[float, float, bool] | None:
    """(place along the pointer, half size, is square) of a magnet or mirror on it, None in most."""
    if not chance(rng, 0.12):
        return None
    half = between(rng, 0.05, 0.16)
    return between(rng, -0.35, 0.75 * length - half), half, chance(rng, 0.5)


def placed(outline: Outline, angle: float, centre: tuple[float, float], radius: float) -> Floats:
    """Corners in pixels (x, y) of an outline turned `angle` radians clockwise from twelve o'clock."""
    sine, cosine = math.sin(angle), math.cos(angle)
    along, aside = outline[:, 0], outline[:, 1]
    x = centre[0] + radius * (along * sine + aside * cosine)
    y = centre[1] - radius * (along * cosine - aside * sine)
    return np.stack([x, y], axis=1).astype(np.float32)


def jitter(rng: Random, spread: float) -> tuple[float, float]:
    return around(rng, spread, 3 * spread), around(rng, spread, 3 * spread)
