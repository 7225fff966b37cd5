"""A dial's plate: rings, marks, numerals and what lies around, drawn with sub-pixel places."""

from __future__ import annotations

import math

import cv2
import numpy as np

from .arrays import Bytes, Colour, Floats, Random, between, chance, colour
from .blend import blend
from .dials import DialStyle
from .needle_shapes import placed
from .palette import BLACK, RED


def tone_of(tone: Colour) -> tuple[float, float, float]:
    return tone[0] * 255, tone[1] * 255, tone[2] * 255


def fixed(points: Floats) -> list[cv2.typing.MatLike]:
    return [np.round((points - 0.5) * 16).astype(np.int32)]


def disc(
    picture: Bytes, centre: tuple[float, float], radius: float, tone: Colour, thickness: int = -1
) -> None:
    place = (round((centre[0] - 0.5) * 16), round((centre[1] - 0.5) * 16))
    cv2.circle(picture, place, max(1, round(radius * 16)), tone_of(tone), thickness, cv2.LINE_AA, 4)


def _numerals(cover: Bytes, style: DialStyle, centre: tuple[float, float], radius: float) -> None:
    """Add the numerals' coverage to a mask, in place."""
    tall = style.numeral_height * radius
    if tall < 3:
        return
    high, wide = cover.shape[:2]
    for digit in range(0, 10, style.every):
        mask, size = style.font.mask(digit, tall)
        angle = digit / 10 * 2 * math.pi
        x = centre[0] + style.numerals * radius * math.sin(angle)
        y = centre[1] - style.numerals * radius * math.cos(angle)
        scale, cell = tall / size, mask.shape[0]
        patch = int(tall * 1.5) + 2
        left, top = int(x - patch / 2), int(y - patch / 2)
        turn = 0.0 if style.upright else angle
        cosine, sine = scale * math.cos(turn), scale * math.sin(turn)
        flip = -1.0 if style.mirrored else 1.0
        half = cell / 2 - 0.5
        matrix = np.array(
            [
                [cosine * flip, -sine, x - left - 0.5 - cosine * flip * half + sine * half],
                [sine * flip, cosine, y - top - 0.5 - sine * flip * half - cosine * half],
            ]
        )
        glyph = cv2.warpAffine(mask, matrix, (patch, patch), flags=cv2.INTER_LINEAR)
        x0, y0, x1, y1 = max(0, left), max(0, top), min(wide, left + patch), min(high, top + patch)
        if x1 <= x0 or y1 <= y0:
            continue
        part = cover[y0:y1, x0:x1]
        np.maximum(part, glyph[y0 - top : y1 - top, x0 - left : x1 - left], out=part)


def _ticks(cover: Bytes, style: DialStyle, centre: tuple[float, float], radius: float) -> None:
    """Long marks at the tenths, short ones between, in place."""
    order = np.arange(style.ticks)
    major = order % max(1, style.ticks // 10) == 0
    angles = order * (2 * math.pi / style.ticks)
    inner = 1.0 - style.tick_length * np.where(major, 1.0, 0.55)
    reach = np.stack([inner, np.ones_like(inner)], axis=1) * radius
    x = centre[0] - 0.5 + reach * np.sin(angles)[:, None]
    y = centre[1] - 0.5 - reach * np.cos(angles)[:, None]
    lines = np.round(np.stack([x, y], axis=2) * 16).astype(np.int32)
    for chosen, share in ((major, 0.035), (~major, 0.018)):
        width = max(1, round(share * radius))
        cv2.polylines(cover, list(lines[chosen]), False, 255, width, cv2.LINE_AA, 4)


def printing(style: DialStyle, centre: tuple[float, float], radius: float, size: int, rng: Random) -> Bytes:
    """Coverage (size, size) uint8 of everything printed on the plate."""
    cover = np.zeros((size, size), np.uint8)
    if style.ring:
        line = max(1, round(style.ring * radius))
        place = (round((centre[0] - 0.5) * 16), round((centre[1] - 0.5) * 16))
        cv2.circle(cover, place, round(style.ring_at * radius * 16), 255, line, cv2.LINE_AA, 4)
    if style.ticks:
        _ticks(cover, style, centre, radius)
    if style.numerals:
        _numerals(cover, style, centre, radius)
    for _ in range(style.clutter):
        _litter(cover, style, centre, radius, rng)
    return cover


def _litter(cover: Bytes, style: DialStyle, centre: tuple[float, float], radius: float, rng: Random) -> None:
    """Neighbouring print: a factor, a word, a piece of another dial's ring, a rule."""
    size = cover.shape[0]
    kind = rng.random()
    angle = between(rng, 0, 2 * math.pi)
    reach = radius * between(rng, 1.25, 1.9) if style.numerals <= 1 else radius * between(rng, 1.6, 2.1)
    x, y = centre[0] + reach * math.sin(angle), centre[1] - reach * math.cos(angle)
    if kind < 0.3:
        line = max(1, round(between(rng, 0.01, 0.06) * radius))
        cv2.circle(cover, (round(x), round(y)), round(reach * 0.5), 255, line, cv2.LINE_AA)
    elif kind < 0.75:
        words = ("x0.1", "x0,01", "x0.001", "x0,0001", "m3", "Q3", "2.5", "10", "0 1", "MI001", "CE M20")
        scale = between(rng, 0.005, 0.014) * radius
        text = words[int(rng.integers(len(words)))]
        cv2.putText(
            cover,
            text,
            (int(x - 9 * scale * len(text)), int(y)),
            cv2.FONT_HERSHEY_DUPLEX,
            scale,
            255,
            1,
            cv2.LINE_AA,
        )
    else:
        line = max(1, round(between(rng, 0.01, 0.05) * radius))
        offset = int(between(rng, 0.0, 0.12) * size)
        edge = offset if chance(rng, 0.5) else size - 1 - offset
        if chance(rng, 0.5):
            cv2.line(cover, (edge, 0), (edge, size), 255, line, cv2.LINE_AA)
        else:
            cv2.line(cover, (0, edge), (size, edge), 255, line, cv2.LINE_AA)


def neighbour(
    picture: Bytes, style: DialStyle, centre: tuple[float, float], radius: float, rng: Random
) -> None:
    """A piece of the next dial with its needle, or of a window with rollers, at the edge, in place."""
    size = picture.shape[0]
    angle = between(rng, 0, 2 * math.pi)
    reach = radius * between(rng, 1.7, 2.3)
    other = centre[0] + reach * math.sin(angle), centre[1] - reach * math.cos(angle)
    if chance(rng, 0.7):
        if style.ring:
            disc(
                picture, other, style.ring_at * radius, style.print_colour, max(1, round(style.ring * radius))
            )
        points = placed(style.pointer, between(rng, 0, 2 * math.pi), other, radius)
        cv2.fillPoly(picture, fixed(points), tone_of(style.needle), cv2.LINE_AA, 4)
        disc(picture, other, style.hub * radius, style.hub_colour)
        return
    band = max(1, round(between(rng, 0.02, 0.1) * size))
    tone = tone_of(colour(rng, BLACK if chance(rng, 0.6) else RED, 0.15))
    if chance(rng, 0.7):
        top = 0 if chance(rng, 0.7) else size - band
        cv2.rectangle(picture, (round(between(rng, 0, 0.5) * size), top), (size, top + band), tone, -1)
    else:
        left = 0 if chance(rng, 0.5) else size - band
        cv2.rectangle(picture, (left, 0), (left + band, round(between(rng, 0.4, 1) * size)), tone, -1)


def lay(picture: Bytes, cover: Bytes, tone: Colour, strength: float = 1.0) -> Bytes:
    """Ink over a picture where `cover` is set."""
    share = cover.astype(np.float32) * np.float32(strength / 255)
    return blend(picture.astype(np.float32), tone_of(tone), share).astype(np.uint8)
