"""Crops that show no digit or no needle: what a box sees when the picture is bad or the layout is off."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np

from .arrays import Bytes, Floats, Random, around, between, chance, colour, fill
from .camera import degrade
from .crops import DIAL, HEIGHT, WIDTH, paint_plate, photograph_dial, photograph_wheel
from .dials import random_style as random_dial
from .fields import cloud, grain
from .light import bar, gradient
from .needles import paint_dial
from .palette import BLACK, GREY, WHITE
from .wheels import paint_window, random_position
from .wheels import random_style as random_wheel

WORDS = ("m3", "kWh", "Qn 2.5", "CE", "MID", "IP68", "DN20", "PN16", "T50", "Made in", "WATER", "GAS", "No.")


def flat(rng: Random, high: int, wide: int) -> Floats:
    """Black, white or any even tone, with a little grain."""
    kind = rng.random()
    level = (
        between(rng, 0, 0.08)
        if kind < 0.35
        else between(rng, 0.92, 1.0)
        if kind < 0.65
        else float(rng.random())
    )
    picture = fill(high, wide, colour(rng, (level, level, level), 0.04))
    if chance(rng, 0.6):
        picture = gradient(picture, rng, between(rng, 0, 0.8))
    return picture + grain(rng, high, wide, 3) * np.float32(between(rng, 0, 0.05))


def noise(rng: Random, high: int, wide: int) -> Floats:
    """Sensor noise alone, fine or coarse, coloured or grey."""
    channels = 3 if chance(rng, 0.5) else 1
    picture: Floats = grain(rng, high, wide, channels) * np.float32(between(rng, 0.03, 0.4))
    if chance(rng, 0.6):
        soft = cv2.GaussianBlur(picture, (0, 0), between(rng, 0.4, 3.0)).astype(np.float32)
        picture = soft.reshape(high, wide, -1) * np.float32(between(rng, 1.0, 4.0))
    return np.broadcast_to(picture, (high, wide, 3)) + np.float32(between(rng, 0.05, 0.9))


def texture(rng: Random, high: int, wide: int) -> Floats:
    """Wall, wood, brass, insulation: clouds, stretched or not, between two tones."""
    stretch = int(rng.integers(1, 6))
    if chance(rng, 0.5):
        field = cv2.resize(cloud(rng, high, max(2, wide // stretch), int(rng.integers(0, 5))), (wide, high))
    else:
        field = cv2.resize(cloud(rng, max(2, high // stretch), wide, int(rng.integers(0, 5))), (wide, high))
    one, other = colour(rng, (0.5, 0.45, 0.4), 0.4), colour(rng, (0.5, 0.45, 0.4), 0.4)
    a, b = np.asarray(one, np.float32), np.asarray(other, np.float32)
    picture = a + (b - a) * field.reshape(high, wide, 1)
    if chance(rng, 0.4):  # A pipe's round side.
        across = np.linspace(-1, 1, wide, dtype=np.float32)
        picture = picture * np.sqrt(np.clip(1.1 - across * across, 0.05, 1))[None, :, None]
    return picture.astype(np.float32)


def writing(rng: Random, high: int, wide: int) -> Floats:
    """Words and rules on the plate, cut by the box."""
    paper, ink = (WHITE, BLACK) if chance(rng, 0.8) else (BLACK, WHITE)
    picture = fill(high, wide, colour(rng, paper, 0.1))
    tone = colour(rng, ink, 0.15)
    for _ in range(int(rng.integers(1, 4))):
        word = WORDS[int(rng.integers(len(WORDS)))]
        scale = between(rng, 0.004, 0.011) * high
        place = (int(between(rng, -0.6, 0.4) * wide), int(between(rng, 0.1, 1.1) * high))
        thick = 1 if chance(rng, 0.6) else 2
        cv2.putText(picture, word, place, cv2.FONT_HERSHEY_DUPLEX, scale, tone, thick, cv2.LINE_AA)
    if chance(rng, 0.4):
        picture = bar(picture, rng)
    return picture


def knob(rng: Random, high: int, wide: int) -> Floats:
    """A screw, seal or part of a rim: discs and rings cut by the box."""
    picture = texture(rng, high, wide) if chance(rng, 0.5) else fill(high, wide, colour(rng, GREY, 0.4))
    picture = np.ascontiguousarray(picture)
    for _ in range(int(rng.integers(1, 4))):
        centre = (int(between(rng, -0.3, 1.3) * wide), int(between(rng, -0.3, 1.3) * high))
        radius = int(between(rng, 0.15, 0.9) * wide)
        thick = -1 if chance(rng, 0.6) else max(1, round(between(rng, 0.02, 0.2) * wide))
        cv2.circle(picture, centre, radius, colour(rng, GREY, 0.45), thick, cv2.LINE_AA)
    return picture


def _aside(rng: Random) -> Bytes:
    """A box that lies between two wheels: each shows less than half of itself."""
    style = replace(random_wheel(rng), offset=0.0, slant=0.0)
    high = int(between(rng, 32, 72))
    wide = round(high * between(rng, 0.55, 0.7))
    gap = max(2, round(wide * between(rng, 0.15, 0.5)))
    left = paint_window(style, random_position(rng), wide, high, rng)
    right = paint_window(style, random_position(rng), wide, high, rng)
    row = np.concatenate([left, np.broadcast_to(fill(high, gap, style.frame), (high, gap, 3)), right], axis=1)
    start = round(wide * 0.5 + gap * 0.5 + around(rng, 0.04, 0.1) * wide)
    shot = degrade(np.ascontiguousarray(row[:, start : start + wide]), rng)
    return cv2.resize(shot, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _covered(rng: Random) -> Bytes:
    """The wheel's plate with a lid, a finger or a drop over the digit."""
    style = random_wheel(rng)
    box = (40, 64)
    scene, _ = paint_plate(style, random_position(rng), box, rng)
    high, wide = scene.shape[:2]
    cover = texture(rng, high, wide) if chance(rng, 0.5) else fill(high, wide, colour(rng, GREY, 0.45))
    edge = round(high * between(rng, 0.72, 0.85))
    scene[:edge] = cover[:edge]
    if chance(rng, 0.5):
        scene = scene[::-1]
    shot = degrade(np.ascontiguousarray(scene), rng)
    part = shot[high // 6 : high - high // 6, wide // 6 : wide - wide // 6]
    return cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def fogged(crop: Bytes, rng: Random) -> Bytes:
    """So much mist that no stroke is left."""
    sigma = crop.shape[1] * between(rng, 0.28, 0.5)
    soft = cv2.GaussianBlur(crop, (0, 0), sigma).astype(np.float32)
    mist = between(rng, 90, 235)
    out = soft + (mist - soft) * np.float32(between(rng, 0.35, 0.85))
    out += grain(rng, *crop.shape) * np.float32(between(rng, 0.0, 6.0))
    return np.clip(out, 0, 255).astype(np.uint8)


def _upside_down(rng: Random) -> Bytes:
    """Digits on their head; 0, 6, 8, 9 and 1 would still read as digits, so they are left out."""
    digit = (2, 3, 4, 5, 7)[int(rng.integers(5))]
    crop = photograph_wheel(random_wheel(rng), digit + around(rng, 0.06, 0.12), rng, 0.6)
    return np.ascontiguousarray(crop[::-1, ::-1])


def _scene(rng: Random, high: int, wide: int) -> Bytes:
    """One of the pictures without any wheel or dial, photographed."""
    scale = between(rng, 1.0, 3.0)
    size = (round(high * scale), round(wide * scale))
    maker = (flat, flat, noise, texture, texture, writing, knob)[int(rng.integers(7))]
    shot = degrade(np.ascontiguousarray(maker(rng, *size)), rng, 0.8, readable=False)
    return cv2.resize(shot, (wide, high), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def negative_wheel(rng: Random) -> Bytes:
    """A crop (32, 20, 3) that must not be read as a digit."""
    kind = rng.random()
    if kind < 0.55:
        return _scene(rng, HEIGHT, WIDTH)
    if kind < 0.68:
        return _aside(rng)
    if kind < 0.78:
        return _covered(rng)
    if kind < 0.86:
        return fogged(photograph_wheel(random_wheel(rng), random_position(rng), rng), rng)
    if kind < 0.93:
        return _upside_down(rng)
    dial = photograph_dial(random_dial(rng), 10 * float(rng.random()), rng)
    top, left = int(rng.integers(DIAL - HEIGHT + 1)), int(rng.integers(DIAL - WIDTH + 1))
    return dial[top : top + HEIGHT, left : left + WIDTH].copy()


def _star(rng: Random) -> Bytes:
    """A flow indicator: a toothed wheel without a direction."""
    style = replace(random_dial(rng), plate=0.0)
    size = int(between(rng, 48, 96))
    scene = paint_dial(style, None, size, rng)
    teeth = int(rng.integers(3, 13))
    outer, inner = size * between(rng, 0.2, 0.46), between(rng, 0.35, 0.8)
    turn = between(rng, 0, 2 * math.pi)
    angles = turn + np.arange(4 * teeth) * (2 * math.pi / (4 * teeth))
    reach = np.where(np.arange(4 * teeth) % 4 < 2, outer, outer * inner)
    points = np.stack([size / 2 + reach * np.sin(angles), size / 2 - reach * np.cos(angles)], axis=1)
    tone = style.needle
    cv2.fillPoly(scene, [np.round(points * 16).astype(np.int32)], tone, cv2.LINE_AA, 4)
    if chance(rng, 0.7):
        middle = (size // 2, size // 2)
        cv2.circle(
            scene,
            middle,
            max(1, round(outer * between(rng, 0.1, 0.4))),
            colour(rng, BLACK, 0.3),
            -1,
            cv2.LINE_AA,
        )
    shot = degrade(scene, rng, 0.8, 0.3 * size)
    return cv2.resize(shot, (DIAL, DIAL), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def negative_needle(rng: Random) -> Bytes:
    """A crop (48, 48, 3) that must not be read as a needle."""
    kind = rng.random()
    if kind < 0.4:
        return _scene(rng, DIAL, DIAL)
    if kind < 0.6:
        return photograph_dial(random_dial(rng), None, rng)
    if kind < 0.78:
        return _star(rng)
    if kind < 0.88:
        return fogged(photograph_dial(random_dial(rng), 10 * float(rng.random()), rng), rng)
    shot = photograph_wheel(random_wheel(rng), random_position(rng), rng)
    side = WIDTH if chance(rng, 0.5) else HEIGHT
    part = shot[:side]
    return cv2.resize(part, (DIAL, DIAL), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
