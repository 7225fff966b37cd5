"""Dials with a needle: painted at any size, and single crops as a camera takes them.

A position is tenths of a turn clockwise from twelve o'clock, of the pointer's tip as seen from its hub.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from .arrays import Bytes, Floats, Random, chance, fill
from .blend import spread
from .dial_print import disc, fixed, lay, neighbour, printing, tone_of
from .dials import DialStyle
from .fields import axes, cloud
from .needle_shapes import placed
from .palette import BLACK, GREY, WHITE


def _silhouette(style: DialStyle, angle: float, hub: tuple[float, float], radius: float, size: int) -> Bytes:
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, fixed(placed(style.pointer, angle, hub, radius)), 255, cv2.LINE_AA, 4)
    if style.weight is not None:
        cv2.fillPoly(mask, fixed(placed(style.weight, angle, hub, radius)), 255, cv2.LINE_AA, 4)
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
        weight = fixed(placed(style.weight, angle, hub, radius))
        cv2.fillPoly(picture, weight, tone_of(style.weight_colour), cv2.LINE_AA, 4)
    cv2.fillPoly(
        picture, fixed(placed(style.pointer, angle, hub, radius)), tone_of(style.needle), cv2.LINE_AA, 4
    )
    if style.outline:
        line = max(1, round(style.outline * radius))
        points = fixed(placed(style.pointer, angle, hub, radius))
        cv2.polylines(picture, points, True, tone_of(style.outline_colour), line, cv2.LINE_AA, 4)
    if style.ridge:
        half = np.stack([style.pointer[:, 0], np.maximum(style.pointer[:, 1], 0)], axis=1)
        red, green, blue = (min(1.0, channel * (1 - style.ridge)) for channel in style.needle)
        cv2.fillPoly(
            picture, fixed(placed(half, angle, hub, radius)), tone_of((red, green, blue)), cv2.LINE_AA, 4
        )
    disc(picture, hub, style.hub * radius, style.hub_colour)
    if style.hub_rim:
        disc(picture, hub, style.hub * radius, style.pin_colour, max(1, round(style.hub_rim * radius)))
    if style.shine:
        spot = hub[0] - 0.3 * style.hub * radius, hub[1] - 0.35 * style.hub * radius
        red, green, blue = (channel + (1 - channel) * style.shine for channel in style.hub_colour)
        disc(picture, spot, 0.25 * style.hub * radius, (red, green, blue))
    if style.pin:
        disc(picture, hub, style.pin * radius, style.pin_colour)
    if style.magnet is not None:
        place, half_size, square = style.magnet
        middle = placed(np.array([[place, 0.0]], np.float32), angle, hub, radius)[0]
        if square:
            corners = [
                (place + a * half_size, b * half_size) for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1))
            ]
            box = placed(np.array(corners, np.float32), angle, hub, radius)
            cv2.fillPoly(picture, fixed(box), tone_of(style.magnet_colour), cv2.LINE_AA, 4)
        else:
            disc(picture, (float(middle[0]), float(middle[1])), half_size * radius, style.magnet_colour)


def paint_dial(
    style: DialStyle, position: float | None, size: int, rng: Random, share: float = 1.0
) -> Floats:
    """A dial with its needle, (size, size, 3) float RGB 0..1; no needle for position None.

    The style's picture fills `share` of the size; the rest shows what lies around.

    `rng` places the clutter and grain alone.
    """
    radius = style.radius * size * share / 2
    centre = (size * (0.5 + style.centre[0]), size * (0.5 + style.centre[1]))
    picture = (fill(size, size, style.face) * 255 + 0.5).astype(np.uint8)
    if style.disc is not None:
        disc(picture, centre, style.ring_at * radius, style.disc)
    if style.sector is not None:
        start, turn = style.sector[0] * 36 - 90, style.sector[1] * 36
        reach = (round(0.8 * style.ring_at * radius), round(0.8 * style.ring_at * radius))
        middle = (round(centre[0]), round(centre[1]))
        width = max(1, round(0.2 * radius))
        cv2.ellipse(picture, middle, reach, 0, start, start + turn, tone_of(style.sector_colour), width)
    cover = printing(style, centre, radius, size, rng)
    if style.double_print:
        step = round(0.06 * radius) or 1
        picture = lay(picture, np.roll(cover, (step, step), (0, 1)), BLACK, style.double_print * 0.6)
    picture = lay(picture, cover, style.print_colour)
    if style.clutter and chance(rng, 0.35):
        neighbour(picture, style, centre, radius, rng)
    hub = (centre[0] + style.parallax[0] * radius, centre[1] + style.parallax[1] * radius)
    if position is not None:
        angle = position / 10 * 2 * math.pi
        if style.shadow:
            mask = _silhouette(style, angle, hub, radius, size)
            soft = cv2.GaussianBlur(mask, (0, 0), max(0.5, 0.035 * radius))
            shift = (round(style.shadow_offset[1] * radius), round(style.shadow_offset[0] * radius))
            picture = lay(picture, np.roll(soft, shift, (0, 1)), BLACK, style.shadow * 0.7)
        if style.plate:
            plate = np.zeros((size, size), np.uint8)
            cv2.circle(plate, (round(hub[0]), round(hub[1])), round(0.85 * radius), 255, -1, cv2.LINE_AA)
            picture = lay(picture, plate, GREY if sum(style.face) > 1 else WHITE, style.plate)
        _needle(picture, style, angle, hub, radius)
    out = picture.astype(np.float32) * np.float32(1 / 255)
    if style.bowl:
        down, across = axes(size, size)
        away = (down * down + across * across) * np.float32(4 / max(0.1, (style.radius * share) ** 2))
        out *= spread(1 - style.bowl * np.minimum(away, 1) ** 2)
        np.minimum(out, 1, out=out)
    if chance(rng, 0.25):
        out *= spread(1 + 0.15 * (cloud(rng, size, size, 1) - 0.5))
    return out
