"""A stock of rendered meters for the finder, and the views of them that it is trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, degrees, log, pi, radians, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.meter_layout import MeterLayout, PixelBox
from meerkat_inference.meter.propose.finder import SIDE

from .arrays import Bytes, Floats, Random, between, chance
from .faces.meters import meters
from .finder import Boxes, targets

HIGH = 9.0, 62.0
"""Pixels of the wheels in a view, lowest and highest."""
CLOSE = {"wheel": (20.0, 42.0), "dial": (45.0, 98.0)}
"""Pixels of what is looked at from near."""
STEEPEST = 28.0
"""Degrees that an upright view may be turned."""
VIEWS = 4
"""Of one meter in a batch."""
STORED = 800
"""Pixels of a stored picture's longer side at most."""


@dataclass(frozen=True, slots=True)
class Meter:
    """A rendered picture as a JPEG, and what is in it, in its pixels."""

    jpeg: bytes
    wheels: Floats
    """(n, 6) of `Boxes`"""
    dials: Floats
    """(n, 4)"""


def stored(picture: Bytes, boxes: Boxes) -> Meter:
    """`picture`: (height, width, 3) BGR. Large ones are made smaller."""
    scale = min(1.0, STORED / max(picture.shape[:2]))
    if scale < 1:
        size = round(picture.shape[1] * scale), round(picture.shape[0] * scale)
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    wheels, dials = boxes.wheels.copy(), boxes.dials.copy()
    wheels[:, :4] *= scale
    dials[:, :3] *= scale
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 93])
    return Meter(jpeg.tobytes(), wheels, dials)


def batches(
    stock: Sequence[Meter], *, size: int, side: int, seed: int
) -> Iterator[tuple[NDArray[np.uint8], Floats, Floats]]:
    """Without end: pictures (size, side, side, 3) RGB, and their `targets`."""
    rng = np.random.default_rng(seed)
    while True:
        pictures, wanted, weights = [], [], []
        for number in range(size):
            if number % VIEWS == 0:  # unpacking it costs more than another view of it
                meter = stock[int(rng.integers(len(stock)))]
                whole = unpacked(meter)
            picture, boxes = view(meter, side, rng, whole)
            want, weight = targets(boxes, side)
            pictures.append(picture)
            wanted.append(want)
            weights.append(weight)
        yield np.stack(pictures), np.stack(wanted), np.stack(weights)


def unpacked(meter: Meter) -> Bytes:
    """(height, width, 3) BGR"""
    return np.asarray(cv2.imdecode(np.frombuffer(meter.jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8)


def view(meter: Meter, side: int, rng: Random, picture: Bytes | None = None) -> tuple[Bytes, Boxes]:
    """One meter moved, turned, scaled and lit at random, (side, side, 3) RGB, and what is in it.

    `picture` is the meter unpacked, when it is at hand.
    """
    picture = unpacked(meter) if picture is None else picture
    height, width = picture.shape[:2]
    focus, about = _focus(meter, (width, height), rng)
    scale = _scale(meter, about, SIDE / max(width, height), rng)
    upright = not chance(rng, 0.12)
    turn = rng.normal(0, 9) if chance(rng, 0.7) else between(rng, -STEEPEST, STEEPEST)
    turn = float(np.clip(turn, -STEEPEST, STEEPEST)) + (0 if upright else float(rng.choice((90, 180, 270))))
    upside = float(np.median(meter.wheels[:, 5])) if len(meter.wheels) else 0.0
    turn -= degrees(upside)  # as if it had been photographed upright
    stretch = between(rng, 0.93, 1.07)
    matrix = np.array([[cos(radians(turn)), -sin(radians(turn))], [sin(radians(turn)), cos(radians(turn))]])
    matrix = matrix @ np.diag([scale * stretch, scale / stretch])
    to = side * np.array([between(rng, 0.25, 0.75), between(rng, 0.25, 0.75)])
    matrix = np.hstack([matrix, (to - matrix @ focus)[:, None]])
    # Made smaller beforehand, or the warp would skip pixels.
    coarse = min(1.0, 1.6 * scale)
    if coarse < 0.9:
        size = (max(1, round(width * coarse)), max(1, round(height * coarse)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        small = np.asarray(matrix @ np.diag([width / size[0], height / size[1], 1.0]))
    else:
        small = matrix
    border = cv2.BORDER_CONSTANT if chance(rng, 0.5) else cv2.BORDER_REPLICATE
    seen = cv2.warpAffine(
        picture,
        small,
        (side, side),
        flags=cv2.INTER_LINEAR,
        borderMode=border,
        borderValue=(114, 114, 114),
    )
    lit = relit(np.asarray(seen[..., ::-1], np.uint8), rng)
    tilt = radians(turn)
    wheels, dials = meter.wheels.copy(), meter.dials.copy()
    if len(wheels):
        wheels[:, :2] = wheels[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        wheels[:, 2:4] *= (scale * stretch, scale / stretch)
        wheels[:, 5] = (wheels[:, 5] + tilt + pi) % (2 * pi) - pi
    if len(dials):
        dials[:, :2] = dials[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        dials[:, 2] *= scale
    return lit, Boxes(wheels, dials, upright)


def _focus(meter: Meter, size: tuple[int, int], rng: Random) -> tuple[Floats, str]:
    """What comes near the view's middle: a wheel, a dial, or anything."""
    which = rng.random()
    if which < 0.45 and len(meter.wheels):
        return meter.wheels[rng.integers(len(meter.wheels)), :2], "wheel"
    if which < 0.8 and len(meter.dials):
        return meter.dials[rng.integers(len(meter.dials)), :2], "dial"
    if which < 0.88:
        return np.array([size[0] / 2, size[1] / 2], np.float32), ""
    return np.array([rng.random() * size[0], rng.random() * size[1]], np.float32), ""


def _scale(meter: Meter, about: str, whole: float, rng: Random) -> float:
    """Half of the views as one of the looks sees a meter (`whole`: the first), the others of any size."""
    sizes = {"wheel": meter.wheels[:, 3], "dial": meter.dials[:, 2], "": meter.wheels[:, 3]}
    tall = (
        float(np.median(meter.wheels[:, 3])) if len(meter.wheels) else 0.3 * float(meter.dials[:, 2].mean())
    )
    kind = rng.random()
    if kind < 0.3:
        scale = whole * between(rng, 0.8, 1.15)
    elif kind < 0.7 and about:
        low, high = CLOSE[about]
        return min(3.0, _any_of(rng, low, high) / float(np.median(sizes[about])))
    else:
        scale = _any_of(rng, *HIGH) / tall
    return min(max(scale, HIGH[0] / tall * 0.8), HIGH[1] / tall, 2.5)


def _any_of(rng: Random, low: float, high: float) -> float:
    return float(np.exp(between(rng, log(low), log(high))))


def relit(picture: Bytes, rng: Random) -> Bytes:
    """Beyond what the renderer does: no colours, a cast, other contrast, noise, blur."""
    work: Floats = picture.astype(np.float32)
    if chance(rng, 0.25):
        mix = np.array([between(rng, 0.1, 1), between(rng, 0.1, 1), between(rng, 0.1, 1)], np.float32)
        work = np.repeat((work @ (mix / mix.sum()))[..., None], 3, 2)
    if chance(rng, 0.3):
        work *= np.array(
            [between(rng, 0.75, 1.2), between(rng, 0.8, 1.1), between(rng, 0.75, 1.2)], np.float32
        )
    if chance(rng, 0.5):
        work = (work - 128) * between(rng, 0.5, 1.4) + 128 + between(rng, -40, 40)
    if chance(rng, 0.3):
        work = 255 * (np.clip(work, 0, 255) / 255) ** np.float32(between(rng, 0.5, 2.2))
    if chance(rng, 0.05):
        work = 255 - work
    if chance(rng, 0.25):
        work = np.asarray(cv2.GaussianBlur(work, (0, 0), between(rng, 0.3, 1.3)), np.float32)
    if chance(rng, 0.4):
        work += rng.standard_normal(work.shape, np.float32) * np.float32(between(rng, 1, 12))
    return np.clip(work, 0, 255).astype(np.uint8)


def boxes_of(layout: MeterLayout) -> Boxes:
    """What a layout says of the picture as the camera gave it."""
    size = (layout.width / 2, layout.height / 2)
    turn = cv2.getRotationMatrix2D(size, -layout.rotation_deg, 1)
    back = np.asarray(cv2.invertAffineTransform(turn), np.float64)
    tilt = -radians(layout.rotation_deg)
    wheels = [
        (*_turned(back, box), box[2], box[3], float(number >= layout.integer_digits), tilt)
        for number, box in enumerate(layout.digits)
    ]
    dials = [
        (*_turned(back, box), box[2], float(mirrored))
        for box, mirrored in zip(layout.pointers, layout.directions, strict=True)
    ]
    return Boxes(np.array(wheels, np.float32).reshape(-1, 6), np.array(dials, np.float32).reshape(-1, 4))


def _turned(back: NDArray[np.float64], box: PixelBox) -> tuple[float, float]:
    x, y = back @ np.array([box[0] + box[2] / 2, box[1] + box[3] / 2, 1.0])
    return float(x), float(y)


def render(count: int, seed: int, workers: int) -> Iterator[Meter]:
    """`count` meters of random design; equal for a seed."""
    for picture, truth in meters(count, seed, workers):
        yield stored(picture, boxes_of(truth.layout))
