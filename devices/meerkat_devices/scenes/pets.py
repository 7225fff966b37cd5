"""A dog and a cat that trot, in metres, made of the same clay as the people.

The dog is black and white: small detectors take a brown one of clay for a person on hands and knees.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin

from .sculpt import Limb, Material, Point

_DARK = Material((0.05, 0.05, 0.06), 0.12, gloss=0.6)


@dataclass(frozen=True, slots=True)
class Pet:
    """A four-legged animal's measures (metres) and fur; ``stride`` is walked in one cycle of the gait."""

    height: float
    length: float
    girth: float
    head: float
    snout: float
    stride: float
    fur: Material
    saddle: Material  # The back, the head's sides and the ears.
    belly: Material  # Breast, muzzle, paws and the tail's tip.
    pointed: bool  # Upright ears (a cat's) instead of hanging ones.


DOG = Pet(
    height=0.36,
    length=0.54,
    girth=0.135,
    head=0.098,
    snout=0.085,
    stride=0.66,
    fur=Material((0.07, 0.07, 0.08), 0.50, fur=0.10),
    saddle=Material((0.05, 0.05, 0.05), 0.42, fur=0.10),
    belly=Material((0.85, 0.88, 0.90), 0.85, fur=0.05),
    pointed=False,
)
CAT = Pet(
    height=0.20,
    length=0.33,
    girth=0.082,
    head=0.068,
    snout=0.018,
    stride=0.42,
    fur=Material((0.40, 0.42, 0.44), 0.60, folds=0.16, fur=0.08),
    saddle=Material((0.30, 0.32, 0.34), 0.50, folds=0.2, fur=0.10),
    belly=Material((0.80, 0.82, 0.84), 0.90, fur=0.05),
    pointed=True,
)


def _leg(pet: Pet, root: Point, phase: float, *, hind: bool) -> list[Limb]:
    reach = pet.height
    swing = 0.42 * cos(2 * pi * phase)
    lift = max(0.0, sin(2 * pi * phase + pi)) * 0.9
    fold = -1 if hind else 1
    upper, lower = reach * 0.50, reach * 0.46
    first = swing + fold * -0.15 * (1 if hind else -0.6)
    knee = (root[0], root[1] - upper * cos(first), root[2] + upper * sin(first))
    second = swing * 0.8 - 0.10 - lift * 0.9
    paw = (knee[0], knee[1] - lower * cos(second), knee[2] + lower * sin(second))
    toe = (paw[0], paw[1] - 0.004, paw[2] + 0.055 * reach / 0.47)
    thick = pet.girth
    return [
        Limb(root, knee, thick * (0.74 if hind else 0.58), thick * 0.32, pet.fur),
        Limb(knee, paw, thick * 0.32, thick * 0.23, pet.belly),
        Limb(paw, toe, thick * 0.26, thick * 0.24, pet.belly),
    ]


def _head(pet: Pet, neck: Point) -> list[Limb]:
    x, y, z = neck
    h = pet.head
    nose = z + h * 0.75 + pet.snout
    limbs = [
        Limb((x, y, z), (x, y - h * 0.1, z + h * 0.3), h, h * 0.85, pet.fur),
        Limb((x, y - h * 0.3, z + h * 0.6), (x, y - h * 0.45, nose), h * 0.62, h * 0.42, pet.belly),
        Limb(
            (x, y - h * 0.28, nose + h * 0.3), (x, y - h * 0.30, nose + h * 0.38), h * 0.17, h * 0.14, _DARK
        ),
    ]
    for side in (-1, 1):
        eye = (x + side * h * 0.52, y + h * 0.18, z + h * 0.82)
        limbs.append(Limb(eye, (eye[0], eye[1], eye[2] + 0.002), h * 0.16, h * 0.16, _DARK))
        if pet.pointed:
            tip = (x + side * h * 0.75, y + h * 1.45, z - h * 0.05)
            limbs.append(Limb((x + side * h * 0.5, y + h * 0.6, z), tip, h * 0.36, h * 0.06, pet.saddle))
        else:
            ear = (x + side * h * 0.85, y + h * 0.55, z - h * 0.1)
            tip = (x + side * h * 1.08, y - h * 0.55, z - h * 0.05)
            limbs.append(Limb(ear, tip, h * 0.30, h * 0.38, pet.saddle))
    return limbs


def trotting_pet(pet: Pet, phase: float) -> list[Limb]:
    """The pet at ``phase`` (0 to 1) of its trot, facing +z, standing on y = 0."""
    half, wide = pet.length / 2, pet.girth * 0.62
    bob = 0.02 * pet.height * cos(4 * pi * phase)
    back = pet.height + pet.girth * 0.55 + bob
    legs: list[Limb] = []
    for side in (-1, 1):
        other = 0.0 if side > 0 else 0.5
        legs += _leg(pet, (side * wide, pet.height, half * 0.82), phase + other, hind=False)
        legs += _leg(pet, (side * wide, pet.height, -half * 0.86), phase + 0.5 + other, hind=True)
    chest: Point = (0.0, back - pet.girth * 0.25, half * 0.72)
    hips: Point = (0.0, back, -half * 0.80)
    rise = pet.height * (0.40 if not pet.pointed else 0.34)
    neck: Point = (0.0, back + rise, half * 1.32)
    girth = pet.girth
    body = [
        Limb(chest, hips, girth * 1.12, girth * 0.94, pet.fur),
        Limb(
            (0.0, chest[1] + girth * 0.30, chest[2] * 0.9),
            (0.0, hips[1] + girth * 0.22, hips[2]),
            girth * 0.95,
            girth * 0.82,
            pet.saddle,
        ),
        Limb(
            (0.0, chest[1] - girth * 0.35, chest[2]),
            (0.0, hips[1] - girth * 0.25, hips[2] * 0.3),
            girth * 0.92,
            girth * 0.72,
            pet.belly,
        ),
        Limb((0.0, back, half * 0.75), neck, girth * 0.86, pet.head * 0.80, pet.fur),
        Limb(
            (0.0, back - girth * 0.3, half * 1.02),
            (0.0, neck[1] - pet.head * 0.5, neck[2] + 0.02),
            girth * 0.72,
            pet.head * 0.62,
            pet.belly,
        ),
    ]
    wag = 0.05 * sin(2 * pi * phase)
    root: Point = (0.0, back + pet.girth * 0.3, -half * 1.15)
    if pet.pointed:
        bend: Point = (wag, root[1] + 0.02, root[2] - 0.13)
        tip: Point = (wag * 1.5, root[1] + 0.17, root[2] - 0.19)
        tail = [Limb(root, bend, 0.022, 0.020, pet.fur), Limb(bend, tip, 0.020, 0.014, pet.fur)]
    else:
        tip = (wag * 2, root[1] + 0.24, root[2] - 0.10)
        middle: Point = (wag, root[1] + 0.11, root[2] - 0.09)
        tail = [Limb(root, middle, 0.034, 0.026, pet.saddle), Limb(middle, tip, 0.026, 0.014, pet.belly)]
    lowest = min(min(limb.a[1] - limb.ra, limb.b[1] - limb.rb) for limb in legs)
    return [
        Limb((m.a[0], m.a[1] - lowest, m.a[2]), (m.b[0], m.b[1] - lowest, m.b[2]), m.ra, m.rb, m.material)
        for m in body + _head(pet, neck) + tail + legs
    ]
