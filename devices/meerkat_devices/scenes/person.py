"""A person who walks: a skeleton with a gait, dressed, in metres.

The gait follows the usual curves of hip, knee and ankle over one cycle (two steps); the body is lowered until
its lowest sole stands on the ground, which gives the bob of a walk by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, pi, sin

from .sculpt import Limb, Material, Point

STRIDE = 1.36
"""Metres walked in one cycle, so that feet do not slide."""

_THIGH, _SHIN, _UPPER_ARM, _FOREARM = 0.43, 0.42, 0.29, 0.25
_HIP_HALF, _SHOULDER_HALF = 0.085, 0.175


@dataclass(frozen=True, slots=True)
class Clothes:
    """What somebody wears, and their hair and skin."""

    jacket: Material
    trousers: Material
    shoes: Material
    skin: Material
    hair: Material
    shirt: Material


DAY_WALKER = Clothes(
    jacket=Material((0.50, 0.24, 0.14), 0.70, folds=0.07),
    trousers=Material((0.22, 0.20, 0.20), 0.55, folds=0.06),
    shoes=Material((0.10, 0.13, 0.22), 0.40, gloss=0.15),
    skin=Material((0.52, 0.64, 0.86), 0.88),
    hair=Material((0.07, 0.11, 0.18), 0.42, folds=0.25),
    shirt=Material((0.86, 0.86, 0.84), 0.85),
)
NIGHT_WALKER = Clothes(
    jacket=Material((0.30, 0.34, 0.62), 0.80, folds=0.10),
    trousers=Material((0.34, 0.27, 0.20), 0.58, folds=0.08),
    shoes=Material((0.80, 0.80, 0.80), 0.85),
    skin=Material((0.42, 0.54, 0.76), 0.88),
    hair=Material((0.05, 0.06, 0.08), 0.38, folds=0.2),
    shirt=Material((0.25, 0.25, 0.25), 0.60),
)


def _bump(phase: float, centre: float, width: float) -> float:
    """A smooth hill of height 1 on the cycle of length 1."""
    distance = (phase - centre + 0.5) % 1.0 - 0.5
    return exp(-((distance / width) ** 2))


def _down(origin: Point, length: float, angle: float, outward: float = 0.0) -> Point:
    """The end of a bone that hangs from ``origin``; ``angle`` swings it forward (z)."""
    return (
        origin[0] + length * sin(outward),
        origin[1] - length * cos(angle) * cos(outward),
        origin[2] + length * sin(angle),
    )


def _leg(side: float, phase: float, clothes: Clothes) -> list[Limb]:
    hip_angle = 0.10 + 0.40 * cos(2 * pi * phase)
    knee_angle = 0.10 + 0.22 * _bump(phase, 0.14, 0.10) + 1.02 * _bump(phase, 0.72, 0.145)
    pitch = 0.30 * _bump(phase, 0.0, 0.07) - 0.95 * _bump(phase, 0.63, 0.10) - 0.35 * _bump(phase, 0.75, 0.10)
    hip = (side * _HIP_HALF, 0.0, 0.0)
    knee = _down(hip, _THIGH, hip_angle)
    ankle = _down(knee, _SHIN, hip_angle - knee_angle)
    heel = (ankle[0], ankle[1] - 0.035 * cos(pitch), ankle[2] - 0.035 + 0.04 * sin(pitch))
    toe = (
        ankle[0] + side * 0.02,
        ankle[1] - 0.05 + 0.17 * sin(pitch),
        ankle[2] + 0.02 + 0.16 * cos(pitch),
    )
    return [
        Limb(hip, knee, 0.098, 0.066, clothes.trousers),
        Limb(knee, ankle, 0.066, 0.050, clothes.trousers),
        Limb(heel, toe, 0.048, 0.036, clothes.shoes),
        Limb(ankle, heel, 0.046, 0.048, clothes.shoes),
    ]


def _arm(side: float, phase: float, clothes: Clothes, chest: float) -> list[Limb]:
    swing = 0.05 - 0.42 * cos(2 * pi * phase)
    bend = 0.28 + 0.25 * max(0.0, -cos(2 * pi * phase))
    shoulder = (side * _SHOULDER_HALF, chest, 0.0)
    elbow = _down(shoulder, _UPPER_ARM, swing, side * 0.14)
    wrist = _down(elbow, _FOREARM, swing + bend, side * 0.02)
    fingers = _down(wrist, 0.10, swing + bend + 0.15, -side * 0.05)
    return [
        Limb(shoulder, elbow, 0.064, 0.050, clothes.jacket),
        Limb(elbow, wrist, 0.050, 0.040, clothes.jacket),
        Limb(wrist, fingers, 0.036, 0.026, clothes.skin),
    ]


def _head(neck: float, clothes: Clothes) -> list[Limb]:
    y = neck + 0.155
    eye = Material((0.08, 0.08, 0.08), 0.10)
    lips = Material((0.40, 0.42, 0.72), 0.70)
    limbs = [
        Limb((0, neck - 0.04, -0.01), (0, neck + 0.06, 0.01), 0.056, 0.052, clothes.skin),
        Limb((0, y + 0.01, 0.0), (0, y - 0.055, 0.035), 0.094, 0.060, clothes.skin),
        Limb((0, y + 0.030, -0.022), (0, y - 0.02, -0.050), 0.104, 0.078, clothes.hair),
        Limb((0, y + 0.060, 0.030), (0, y + 0.055, -0.02), 0.072, 0.085, clothes.hair),
        Limb((0, y + 0.00, 0.094), (0, y - 0.025, 0.104), 0.012, 0.016, clothes.skin),
        Limb((-0.02, y - 0.062, 0.086), (0.02, y - 0.062, 0.086), 0.008, 0.008, lips),
    ]
    for side in (-1, 1):
        limbs.append(
            Limb((side * 0.034, y + 0.008, 0.084), (side * 0.040, y + 0.008, 0.080), 0.011, 0.010, eye)
        )
        limbs.append(
            Limb(
                (side * 0.022, y + 0.030, 0.092), (side * 0.050, y + 0.030, 0.080), 0.007, 0.006, clothes.hair
            )
        )
        limbs.append(
            Limb((side * 0.092, y + 0.01, -0.005), (side * 0.090, y - 0.02, 0.0), 0.020, 0.015, clothes.skin)
        )
    return limbs


def walking_person(phase: float, clothes: Clothes) -> list[Limb]:
    """The person at ``phase`` (0 to 1) of the walking cycle, facing +z, on y = 0, about 1.76 m tall."""
    chest, neck = 0.50, 0.575
    sway = 0.012 * sin(2 * pi * phase)
    twist = 0.10 * cos(2 * pi * phase)
    legs = _leg(-1, phase, clothes) + _leg(1, phase + 0.5, clothes)
    body: list[Limb] = [
        Limb((-0.075, 0.02, 0.0), (0.075, 0.02, 0.0), 0.112, 0.112, clothes.jacket),
        Limb((-0.085, chest - 0.06, 0.0), (-0.070, 0.05, 0.0), 0.112, 0.108, clothes.jacket),
        Limb((0.085, chest - 0.06, 0.0), (0.070, 0.05, 0.0), 0.112, 0.108, clothes.jacket),
        Limb((0.0, chest - 0.03, 0.0), (0.0, 0.05, 0.0), 0.120, 0.112, clothes.jacket),
        Limb(
            (-_SHOULDER_HALF + 0.03, chest - 0.01, 0.0),
            (0.0, chest + 0.035, 0.0),
            0.070,
            0.075,
            clothes.jacket,
        ),
        Limb(
            (_SHOULDER_HALF - 0.03, chest - 0.01, 0.0),
            (0.0, chest + 0.035, 0.0),
            0.070,
            0.075,
            clothes.jacket,
        ),
        Limb((0.0, chest + 0.045, 0.03), (0.0, chest - 0.02, 0.088), 0.052, 0.030, clothes.shirt),
    ]
    arms = _arm(-1, phase, clothes, chest) + _arm(1, phase + 0.5, clothes, chest)
    upper = _twisted(body + arms, twist) + _head(neck, clothes)
    lowest = min(min(limb.a[1] - limb.ra, limb.b[1] - limb.rb) for limb in legs)
    return _moved(upper, sway, -lowest) + _moved(legs, 0.0, -lowest)


def _twisted(limbs: list[Limb], angle: float) -> list[Limb]:
    c, s = cos(angle), sin(angle)

    def turn(p: Point) -> Point:
        return (c * p[0] + s * p[2], p[1], -s * p[0] + c * p[2])

    return [Limb(turn(limb.a), turn(limb.b), limb.ra, limb.rb, limb.material) for limb in limbs]


def _moved(limbs: list[Limb], x: float, y: float) -> list[Limb]:
    def move(p: Point) -> Point:
        return (p[0] + x, p[1] + y, p[2])

    return [Limb(move(limb.a), move(limb.b), limb.ra, limb.rb, limb.material) for limb in limbs]
