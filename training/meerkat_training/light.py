"""What light does on the way: gradients, lamps, glare, fog, drops, dirt. Pictures are float RGB 0..1."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .arrays import Floats, Random, around, between, chance
from .blend import blend, spread
from .fields import axes, cloud


def gradient(picture: Floats, rng: Random, amount: float) -> Floats:
    """One side brighter than the other, in any direction."""
    down, across = axes(*picture.shape[:2])
    turn = between(rng, 0, 2 * math.pi)
    slope = 1 + amount * (math.cos(turn) * down + math.sin(turn) * across)
    return picture * spread(slope)


def vignette(picture: Floats, amount: float) -> Floats:
    down, across = axes(*picture.shape[:2])
    return picture * spread(1 - amount * 2 * (down * down + across * across))


def hot_spot(picture: Floats, rng: Random, strength: float) -> Floats:
    """The lamp's own image on the glass: a round patch that goes to white."""
    down, across = axes(*picture.shape[:2])
    y, x = between(rng, -0.6, 0.6), between(rng, -0.6, 0.6)
    size = between(rng, 0.08, 0.4)
    blob = np.exp(-((down - y) ** 2 + (across - x) ** 2) / (2 * size * size)) * strength
    return picture + spread(blob)


def streak(picture: Floats, rng: Random, strength: float) -> Floats:
    """A thin line of light across a digit, straight or slightly bent, at any angle."""
    down, across = axes(*picture.shape[:2])
    turn = between(rng, 0, math.pi)
    offset, width = between(rng, -0.3, 0.3), between(rng, 0.012, 0.06)
    away = math.cos(turn) * down + math.sin(turn) * across - offset
    along = math.cos(turn) * across - math.sin(turn) * down
    away = away + between(rng, -0.5, 0.5) * along * along
    line = np.exp(-(away * away) / (2 * width * width)) * strength
    if chance(rng, 0.5):
        middle, reach = between(rng, -0.3, 0.3), between(rng, 0.15, 0.5)
        line = line * np.exp(-((along - middle) ** 2) / (2 * reach * reach))
    return picture + spread(line)


def glint(picture: Floats, rng: Random, place: tuple[float, float], radius: float) -> None:
    """A bright dot, as of a lamp in a drop or an edge: `place` (x, y) and `radius` in pixels, in place."""
    centre = round((place[0] - 0.5) * 16), round((place[1] - 0.5) * 16)
    tone = between(rng, 0.9, 1.5)
    warm = tone * between(rng, 0.85, 1.0)
    cv2.circle(picture, centre, max(8, round(radius * 16)), (tone, tone, warm), -1, cv2.LINE_AA, 4)


def veil(picture: Floats, rng: Random, strength: float) -> Floats:
    """Cloudy glare: parts of the picture lose their strokes to scattered light."""
    height, width = picture.shape[:2]
    haze: Floats = cloud(rng, height, width, int(rng.integers(0, 3)))
    haze = np.clip((haze - between(rng, 0.2, 0.6)) * 2.5, 0, 1) * strength
    return blend(picture, between(rng, 0.75, 1.0), haze)


def fog(picture: Floats, rng: Random, strength: float) -> Floats:
    """Breath or moisture behind the glass: contrast falls everywhere."""
    return picture + (between(rng, 0.4, 0.9) - picture) * np.float32(strength)


def reflection(picture: Floats, rng: Random, strength: float) -> Floats:
    """A lit edge or window mirrored in the glass: a bright slanted band with soft borders."""
    down, across = axes(*picture.shape[:2])
    turn = between(rng, 0, math.pi)
    away = math.cos(turn) * down + math.sin(turn) * across - between(rng, -0.4, 0.4)
    half, soft = between(rng, 0.04, 0.25), between(rng, 0.01, 0.08)
    band = np.clip((half - np.abs(away)) / soft, 0, 1) * strength
    return blend(picture, 1.0, band)


def drops(picture: Floats, rng: Random, count: int) -> Floats:
    """Condensation: round lenses that show a lighter, shifted picture with a bright rim."""
    height, width = picture.shape[:2]
    mask = np.zeros((height, width), np.float32)
    rim = np.zeros((height, width), np.float32)
    for _ in range(count):
        centre = (int(rng.integers(0, width * 16)), int(rng.integers(0, height * 16)))
        radius = int(between(rng, 0.02, 0.09) * height * 16) + 8
        cv2.circle(mask, centre, radius, 1.0, -1, cv2.LINE_AA, 4)
        cv2.circle(rim, centre, radius, 1.0, 1, cv2.LINE_AA, 4)
    shift = max(1, round(0.05 * height))
    moved = np.roll(picture, (shift, -shift), (0, 1))
    mask *= between(rng, 0.3, 0.9)
    wet = picture + (moved * 0.9 + 0.08 - picture) * spread(mask)
    return wet + spread(rim * np.float32(between(rng, -0.12, 0.2)))


def dirt(picture: Floats, rng: Random, strength: float) -> Floats:
    """Specks, scratches and stains on the glass, darker or lighter than what is below."""
    height, width = picture.shape[:2]
    field = cloud(rng, height, width, int(rng.integers(1, 5)))
    stain: Floats = np.clip((field - between(rng, 0.55, 0.8)) * 6, 0, 1)
    out = blend(picture, between(rng, 0.05, 0.75), stain * np.float32(strength))
    for _ in range(int(rng.integers(0, 3))):
        ends = rng.random(4)
        start = (int(ends[0] * width * 16), int(ends[1] * height * 16))
        end = (start[0] + int((ends[2] - 0.5) * width * 12), start[1] + int((ends[3] - 0.5) * height * 12))
        shade = between(rng, 0.1, 0.95)
        cv2.line(out, start, end, (shade, shade, shade), 1, cv2.LINE_AA, 4)
    return out


def bar(picture: Floats, rng: Random) -> Floats:
    """Something thin before the meter: a wire, a wiper, the edge of a lid. It covers little."""
    height, width = picture.shape[:2]
    out = np.ascontiguousarray(picture)
    tone = between(rng, 0.0, 0.8)
    thick = max(1, round(between(rng, 0.02, 0.07) * height))
    if chance(rng, 0.5):
        y = int(between(rng, 0.05, 0.95) * height)
        cv2.line(out, (0, y), (width, y + round(around(rng, 0.1, 0.3) * height)), (tone, tone, tone), thick)
    else:
        x = int(between(rng, 0.0, 1.0) * width)
        cv2.line(out, (x, 0), (x + round(around(rng, 0.1, 0.3) * width), height), (tone, tone, tone), thick)
    return out


def ghost(picture: Floats, rng: Random) -> Floats:
    """A second, weaker picture a little aside: double glass, or the print's shadow on the plate below."""
    height, width = picture.shape[:2]
    shift = round(around(rng, 0.05, 0.1) * height), round(around(rng, 0.08, 0.14) * width)
    share = np.float32(between(rng, 0.12, 0.35))
    return picture + (np.roll(picture, shift, (0, 1)) - picture) * share


def lamps(picture: Floats, rng: Random, strength: float) -> Floats:
    """The images of several small lamps, as of a ring light, each a bright dot with a halo."""
    height, width = picture.shape[:2]
    spots = np.zeros((height, width), np.float32)
    count = int(rng.integers(2, 9))
    middle_x, middle_y = between(rng, -0.2, 1.2) * width, between(rng, -0.2, 1.2) * height
    ring, start = between(rng, 0.15, 0.8) * height, between(rng, 0, 2 * math.pi)
    radius = max(8, int(between(rng, 0.012, 0.05) * height * 16))
    for index in range(count):
        angle = start + index * 2 * math.pi / count
        place = (int((middle_x + ring * math.cos(angle)) * 16), int((middle_y + ring * math.sin(angle)) * 16))
        cv2.circle(spots, place, radius, 1.0, -1, cv2.LINE_AA, 4)
    halo = cv2.GaussianBlur(spots, (0, 0), max(0.6, 0.02 * height))
    return picture + spread((spots + halo) * np.float32(strength))


def light_scene(picture: Floats, rng: Random, strength: float) -> Floats:
    """A random mixture of the above; `strength` 0 leaves the picture, 1 is the range of real meters."""
    if chance(rng, 0.65 * strength):
        picture = gradient(picture, rng, between(rng, 0.1, 1.1))
    if chance(rng, 0.1 * strength):
        picture = vignette(picture, between(rng, 0.1, 0.9))
    if chance(rng, 0.08 * strength):
        picture = dirt(picture, rng, between(rng, 0.2, 0.9))
    if chance(rng, 0.04 * strength):
        picture = ghost(picture, rng)
    if chance(rng, 0.04 * strength):
        picture = lamps(picture, rng, between(rng, 0.2, 0.9))
    if chance(rng, 0.03 * strength):
        picture = bar(picture, rng)
    if chance(rng, 0.05 * strength):
        picture = drops(picture, rng, int(rng.integers(2, 14)))
    if chance(rng, 0.1 * strength):
        picture = veil(picture, rng, between(rng, 0.2, 0.75))
    if chance(rng, 0.08 * strength):
        picture = fog(picture, rng, between(rng, 0.1, 0.6))
    if chance(rng, 0.12 * strength):
        picture = hot_spot(picture, rng, between(rng, 0.2, 1.2))
    if chance(rng, 0.12 * strength):
        picture = streak(picture, rng, between(rng, 0.25, 1.1))
    if chance(rng, 0.08 * strength):
        picture = reflection(picture, rng, between(rng, 0.1, 0.7))
    return picture
