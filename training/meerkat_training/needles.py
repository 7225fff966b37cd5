"""Dials with a needle: a style, a dial painted at any size, and single crops as a camera takes them.

A position is tenths of a turn clockwise from twelve o'clock, of the pointer's tip as seen from its hub.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from .arrays import Bytes, Colour, Floats, Random, between, chance, colour
from .fields import cloud
from .fonts import Font, random_font
from .needle_shapes import (
    Outline,
    jitter,
    placed,
    random_hub,
    random_magnet,
    random_pointer,
    random_weight,
)  # fmt: skip
from .wheels import BLACK, GREY, RED, WHITE


@dataclass(frozen=True)
class DialStyle:
    """How one dial looks. Lengths are shares of the dial's radius unless said otherwise."""

    font: Font
    pointer: Outline
    length: float = 0.8
    needle: Colour = RED
    ridge: float = 0.0
    """Darkening of one side of the pointer; negative brightens."""
    weight: Outline | None = None
    weight_colour: Colour = RED
    hub: float = 0.12
    hub_colour: Colour = RED
    pin: float = 0.0
    """Radius of a pin or screw in the hub."""
    pin_colour: Colour = GREY
    magnet: tuple[float, float, bool] | None = None
    magnet_colour: Colour = GREY
    face: Colour = WHITE
    disc: Colour | None = None
    """Colour of a field within the ring."""
    print_colour: Colour = BLACK
    ring: float = 0.0
    """Line width of the ring; 0 for none."""
    ring_at: float = 1.0
    ticks: int = 10
    """Marks around the dial: 0, 10, 20, 50 or 100."""
    tick_length: float = 0.12
    numerals: float = 0.78
    """Radius on which the numerals stand, above 1 outside; 0 for none."""
    numeral_height: float = 0.24
    upright: bool = True
    every: int = 1
    """Only each n-th numeral is printed."""
    mirrored: bool = False
    """Glyphs mirrored, as in a counter-clockwise dial that the reader has flipped."""
    radius: float = 0.9
    """The dial's radius by half of the picture's size; marks and numerals may lie beyond it."""
    centre: tuple[float, float] = (0.0, 0.0)
    """The dial's centre off the picture's, by its size."""
    parallax: tuple[float, float] = (0.0, 0.0)
    """The hub's place off the dial's centre, by the radius."""
    shadow: float = 0.0
    shadow_offset: tuple[float, float] = (0.1, 0.1)
    double_print: float = 0.0
    """Strength of the print's shadow under a clear plate."""
    plate: float = 0.0
    """Opacity of a milky disc that turns with the needle."""
    clutter: int = 0
    """Pieces of neighbouring print and dials."""


NEEDLES: tuple[Colour, ...] = (RED, BLACK, (0.1, 0.2, 0.6), WHITE, (0.85, 0.4, 0.1), GREY)
_NEEDLE_LADDER = np.cumsum([0.62, 0.24, 0.04, 0.04, 0.04])


def random_weight_colour(rng: Random, needle: Colour) -> Colour:
    """A counterweight is of the needle's plastic, of dark metal, or a mirror for a sensor."""
    kind = rng.random()
    return needle if kind < 0.55 else colour(rng, BLACK if kind < 0.75 else (0.72, 0.73, 0.75), 0.15)


def random_style(rng: Random) -> DialStyle:
    """A dial nobody has seen before."""
    pointer, length = random_pointer(rng)
    dark = chance(rng, 0.1)
    face = colour(rng, BLACK if dark else WHITE if chance(rng, 0.75) else (0.8, 0.78, 0.68), 0.1)
    printed = colour(rng, WHITE if dark else RED if chance(rng, 0.15) else BLACK, 0.14)
    needle = colour(rng, NEEDLES[int(np.searchsorted(_NEEDLE_LADDER, rng.random()))], 0.12)
    if max(abs(one - other) for one, other in zip(needle, face, strict=True)) < 0.35:
        needle = colour(rng, RED, 0.1)  # A pointer of the face's own colour would tell nothing.
    hub_kind = rng.random()
    hub_colour = (
        needle
        if hub_kind < 0.55
        else colour(rng, BLACK if hub_kind < 0.75 else RED if hub_kind < 0.85 else GREY, 0.12)
    )
    hub = min(random_hub(rng), 0.62 * length)
    place = rng.random()
    numerals = 0.0 if place < 0.25 else between(rng, 0.6, 0.86) if place < 0.6 else between(rng, 1.14, 1.35)
    return DialStyle(
        font=random_font(rng, drawn=0.15),
        pointer=pointer,
        length=length,
        needle=needle,
        ridge=between(rng, -0.3, 0.5) if chance(rng, 0.35) else 0.0,
        weight=random_weight(rng),
        weight_colour=random_weight_colour(rng, needle),
        hub=hub,
        hub_colour=hub_colour,
        pin=hub * between(rng, 0.2, 0.6) if chance(rng, 0.35) else 0.0,
        pin_colour=colour(rng, GREY if chance(rng, 0.5) else BLACK if chance(rng, 0.5) else WHITE, 0.2),
        magnet=random_magnet(rng, length),
        magnet_colour=colour(rng, (0.7, 0.7, 0.72) if chance(rng, 0.6) else BLACK, 0.15),
        face=face,
        disc=colour(rng, face, 0.25) if chance(rng, 0.25) else None,
        print_colour=printed,
        ring=between(rng, 0.015, 0.09) if chance(rng, 0.55) else 0.0,
        ring_at=between(rng, 0.85, 1.1),
        ticks=(0, 10, 10, 10, 20, 50, 100)[int(rng.integers(7))],
        tick_length=between(rng, 0.05, 0.22),
        numerals=numerals,
        numeral_height=between(rng, 0.16, 0.34),
        upright=chance(rng, 0.8),
        every=1 if chance(rng, 0.8) else 2 if chance(rng, 0.6) else 5,
        mirrored=chance(rng, 0.12),
        radius=between(rng, 0.68, 1.12) if numerals <= 1 else between(rng, 0.55, 0.88),
        centre=jitter(rng, 0.03),
        parallax=jitter(rng, 0.03) if chance(rng, 0.5) else (0.0, 0.0),
        shadow=between(rng, 0.15, 0.7) if chance(rng, 0.5) else 0.0,
        shadow_offset=jitter(rng, 0.1),
        double_print=between(rng, 0.15, 0.6) if chance(rng, 0.15) else 0.0,
        plate=between(rng, 0.1, 0.5) if chance(rng, 0.1) else 0.0,
        clutter=int(rng.integers(0, 5)) if chance(rng, 0.6) else 0,
    )


def _paint(tone: Colour) -> tuple[float, float, float]:
    return tone[0] * 255, tone[1] * 255, tone[2] * 255


def _fixed(points: Floats) -> list[cv2.typing.MatLike]:
    return [np.round((points - 0.5) * 16).astype(np.int32)]


def _disc(
    picture: Bytes, centre: tuple[float, float], radius: float, tone: Colour, thickness: int = -1
) -> None:
    place = (round((centre[0] - 0.5) * 16), round((centre[1] - 0.5) * 16))
    cv2.circle(picture, place, max(1, round(radius * 16)), _paint(tone), thickness, cv2.LINE_AA, 4)


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
        np.maximum(part, (glyph[y0 - top : y1 - top, x0 - left : x1 - left] * 255).astype(np.uint8), out=part)


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


def _printing(style: DialStyle, centre: tuple[float, float], radius: float, size: int, rng: Random) -> Bytes:
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


def _neighbour(
    picture: Bytes, style: DialStyle, centre: tuple[float, float], radius: float, rng: Random
) -> None:
    """A piece of the next dial with its needle, or of a window with rollers, at the edge, in place."""
    size = picture.shape[0]
    angle = between(rng, 0, 2 * math.pi)
    reach = radius * between(rng, 1.7, 2.3)
    other = centre[0] + reach * math.sin(angle), centre[1] - reach * math.cos(angle)
    if chance(rng, 0.7):
        if style.ring:
            _disc(
                picture, other, style.ring_at * radius, style.print_colour, max(1, round(style.ring * radius))
            )
        points = placed(style.pointer, between(rng, 0, 2 * math.pi), other, radius)
        cv2.fillPoly(picture, _fixed(points), _paint(style.needle), cv2.LINE_AA, 4)
        _disc(picture, other, style.hub * radius, style.hub_colour)
        return
    band = max(1, round(between(rng, 0.02, 0.1) * size))
    tone = _paint(colour(rng, BLACK if chance(rng, 0.6) else RED, 0.15))
    if chance(rng, 0.7):
        top = 0 if chance(rng, 0.7) else size - band
        cv2.rectangle(picture, (round(between(rng, 0, 0.5) * size), top), (size, top + band), tone, -1)
    else:
        left = 0 if chance(rng, 0.5) else size - band
        cv2.rectangle(picture, (left, 0), (left + band, round(between(rng, 0.4, 1) * size)), tone, -1)


def _lay(picture: Bytes, cover: Bytes, tone: Colour, strength: float = 1.0) -> Bytes:
    """Ink over a picture where `cover` is set."""
    share = cover.astype(np.float32)[..., None] * np.float32(strength / 255)
    out = picture + (np.asarray(_paint(tone), np.float32) - picture) * share
    return out.astype(np.uint8)


def _silhouette(style: DialStyle, angle: float, hub: tuple[float, float], radius: float, size: int) -> Bytes:
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, _fixed(placed(style.pointer, angle, hub, radius)), 255, cv2.LINE_AA, 4)
    if style.weight is not None:
        cv2.fillPoly(mask, _fixed(placed(style.weight, angle, hub, radius)), 255, cv2.LINE_AA, 4)
    cv2.circle(
        mask,
        (round(hub[0] * 16), round(hub[1] * 16)),
        round(style.hub * radius * 16),
        255,
        -1,
        cv2.LINE_AA,
        4,
    )
    return mask


def _needle(picture: Bytes, style: DialStyle, angle: float, hub: tuple[float, float], radius: float) -> None:
    """Paint pointer, counterweight, hub and magnet, in place."""
    if style.weight is not None:
        weight = _fixed(placed(style.weight, angle, hub, radius))
        cv2.fillPoly(picture, weight, _paint(style.weight_colour), cv2.LINE_AA, 4)
    cv2.fillPoly(
        picture, _fixed(placed(style.pointer, angle, hub, radius)), _paint(style.needle), cv2.LINE_AA, 4
    )
    if style.ridge:
        half = np.stack([style.pointer[:, 0], np.maximum(style.pointer[:, 1], 0)], axis=1)
        red, green, blue = (min(1.0, channel * (1 - style.ridge)) for channel in style.needle)
        cv2.fillPoly(
            picture, _fixed(placed(half, angle, hub, radius)), _paint((red, green, blue)), cv2.LINE_AA, 4
        )
    _disc(picture, hub, style.hub * radius, style.hub_colour)
    if style.pin:
        _disc(picture, hub, style.pin * radius, style.pin_colour)
    if style.magnet is not None:
        place, half_size, square = style.magnet
        middle = placed(np.array([[place, 0.0]], np.float32), angle, hub, radius)[0]
        if square:
            corners = [
                (place + a * half_size, b * half_size) for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1))
            ]
            box = placed(np.array(corners, np.float32), angle, hub, radius)
            cv2.fillPoly(picture, _fixed(box), _paint(style.magnet_colour), cv2.LINE_AA, 4)
        else:
            _disc(picture, (float(middle[0]), float(middle[1])), half_size * radius, style.magnet_colour)


def paint_dial(
    style: DialStyle, position: float | None, size: int, rng: Random, share: float = 1.0
) -> Floats:
    """A dial with its needle, (size, size, 3) float RGB 0..1; no needle for position None.

    The style's picture fills `share` of the size; the rest shows what lies around.

    `rng` places the clutter and grain alone.
    """
    radius = style.radius * size * share / 2
    centre = (size * (0.5 + style.centre[0]), size * (0.5 + style.centre[1]))
    picture = np.empty((size, size, 3), np.uint8)
    picture[:] = np.round(_paint(style.face))
    if style.disc is not None:
        _disc(picture, centre, style.ring_at * radius, style.disc)
    cover = _printing(style, centre, radius, size, rng)
    if style.double_print:
        step = round(0.06 * radius) or 1
        picture = _lay(picture, np.roll(cover, (step, step), (0, 1)), BLACK, style.double_print * 0.6)
    picture = _lay(picture, cover, style.print_colour)
    if style.clutter and chance(rng, 0.35):
        _neighbour(picture, style, centre, radius, rng)
    hub = (centre[0] + style.parallax[0] * radius, centre[1] + style.parallax[1] * radius)
    if position is not None:
        angle = position / 10 * 2 * math.pi
        if style.shadow:
            mask = _silhouette(style, angle, hub, radius, size)
            soft = cv2.GaussianBlur(mask, (0, 0), max(0.5, 0.035 * radius))
            shift = (round(style.shadow_offset[1] * radius), round(style.shadow_offset[0] * radius))
            picture = _lay(picture, np.roll(soft, shift, (0, 1)), BLACK, style.shadow * 0.7)
        if style.plate:
            plate = np.zeros((size, size), np.uint8)
            cv2.circle(plate, (round(hub[0]), round(hub[1])), round(0.85 * radius), 255, -1, cv2.LINE_AA)
            picture = _lay(picture, plate, GREY if sum(style.face) > 1 else WHITE, style.plate)
        _needle(picture, style, angle, hub, radius)
    out = picture.astype(np.float32) * np.float32(1 / 255)
    if chance(rng, 0.25):
        out *= (1 + 0.15 * (cloud(rng, size, size, 1) - 0.5))[..., None]
    return out


def needle_crop(rng: Random, position: float | None = None) -> Bytes:
    """A photographed dial, (48, 48, 3) uint8 RGB, of a new random design."""
    from .crops import photograph_dial

    chosen = 10.0 * float(rng.random()) if position is None else position
    return photograph_dial(random_style(rng), chosen, rng)
