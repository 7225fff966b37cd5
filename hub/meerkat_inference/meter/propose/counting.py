"""What wheels and dials count: where the decimal point is, and in what order the dials follow each other.

A picture seldom says so in words that can be read. The colours after the point are told by the finder; the
order of the dials by the needles themselves, since each goes round ten times as fast as the one before: the
part of a needle between two figures is where the next one points.
"""

from __future__ import annotations

from itertools import pairwise
from math import atan2, log
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .finder import Spot

_PLAY = 0.11
"""Of a turn: how far a needle is off what the next one says, as a standard deviation."""
_CHANCE = 0.08
"""Share of needles that are read wrongly, or stand anywhere."""
_CLEAR = 2.0
"""Natural logarithm of how much likelier the best must be than the second best to go unmentioned."""


_SHADE = 0.075
"""How far two windows of one colour look apart, as a standard deviation of each part of their look."""
_PARTED = 2.5
"""What a change of colours costs that explains nothing."""
_TELLING = 8.0


class Point(NamedTuple):
    """How many wheels stand before the decimal point, and whether it was to be seen."""

    whole: int
    clear: bool


class Order(NamedTuple):
    """Numbers of the dials, most significant first, and whether their needles said so."""

    numbers: tuple[int, ...]
    clear: bool


def colour_change(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n + 1,) natural logarithms: how likely the wheels' colours change before wheel k; 0 for nowhere (n).

    `crops`: (n, height, width, 3) RGB of the windows with some of their frames. What counts are the colours
    of digits and ground and which of them is darker; not how much light falls on them.
    """
    count = len(crops)
    looks = np.array([_look(crop) for crop in crops])
    whole = _spread(looks)
    gains = np.zeros(count + 1)
    for number in range(1, count):
        parts = _spread(looks[:number]) + _spread(looks[number:])
        gains[number] = (whole - parts) / (2 * _SHADE**2) - _PARTED
    gains[0] = -_PARTED
    # The best says at most so much, the others by how much they are worse.
    return np.maximum(gains - max(0.0, float(gains.max()) - _TELLING), -_TELLING)


def _look(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Of one window: colour of the middle's darker and lighter parts, of its frame, and what is on what."""
    height, width = crop.shape[:2]
    pixels = crop.astype(np.float64) / 255
    light = pixels.sum(-1, keepdims=True) + 0.15
    tint = np.stack([pixels[..., 0] - pixels[..., 1], pixels[..., 2] - pixels[..., 1]], -1) / light
    inner = np.zeros((height, width), bool)
    inner[height // 5 : -(height // 5), width // 5 : -(width // 5)] = True
    shade = light[..., 0][inner]
    low, middle, high = np.percentile(shade, (15, 50, 85))
    dark = tint[inner][shade <= low].mean(0)
    bright = tint[inner][shade >= high].mean(0)
    polarity = (middle - (low + high) / 2) / max(high - low, 0.1)
    frame = light[..., 0][~inner].mean() / high
    shades = [0.3 * polarity, 0.6 * low / high, 0.3 * min(frame, 1.5)]
    return np.concatenate([2 * dark, 2 * bright, 1.5 * tint[~inner].mean(0), shades])


def _spread(looks: NDArray[np.float64]) -> float:
    return float(((looks - looks.mean(0)) ** 2).sum())


def decimal_point(after: Sequence[float], dials: int, colours: NDArray[np.float64] | None = None) -> Point:
    """From how likely each wheel stands after the point, and from `colour_change`.

    With nothing to be seen: by what is usual.

    Water meters with four dials or more have whole cubic metres on their wheels; without any dial, three
    wheels of eight or more count litres.
    """
    likely = np.clip(np.asarray(after, np.float64), 0.02, 0.98)
    before = np.concatenate([[0.0], np.cumsum(np.log(1 - likely))])
    later = np.concatenate([np.cumsum(np.log(likely)[::-1])[::-1], [0.0]])
    sums = before + later + np.array([_usual(whole, len(likely), dials) for whole in range(len(likely) + 1)])
    if colours is not None:
        sums += colours
    best = int(sums.argmax())
    second = float(np.delete(sums, best).max())
    # That nothing changes says little, except beside a full set of dials.
    shown = best < len(likely) or dials >= 3
    return Point(best, bool(shown and sums[best] - second > _CLEAR))


def _usual(whole: int, wheels: int, dials: int) -> float:
    """Natural logarithm of how usual it is, by a factor that is left open."""
    after = wheels - whole
    if whole < 3 or after > 4:
        return -4.0
    if after == 0:
        return 0.0 if dials or wheels < 7 else -2.5
    return -0.5 if dials < 3 else -1.5


def dial_order(
    dials: Sequence[Spot], tilt: float, needles: NDArray[np.float32] | None, last_wheel: float | None
) -> Order:
    """The most significant dial first.

    `needles`: (n, 101), each dial's distribution in the direction that it counts; None when nobody read
    them. `last_wheel`: where the last wheel stands, 0 to 10; None when unknown. `tilt`: of the row.
    """
    count = len(dials)
    if count < 2:
        return Order(tuple(range(count)), True)
    ways = _ways(dials, tilt)
    scores = []
    for numbers, prior in ways.items():
        score = log(prior)
        if needles is not None:
            score += _agreement([needles[number] for number in numbers], last_wheel)
        scores.append((score, numbers))
    scores.sort(reverse=True)
    return Order(scores[0][1], len(scores) == 1 or scores[0][0] - scores[1][0] > _CLEAR)


def _ways(dials: Sequence[Spot], tilt: float) -> dict[tuple[int, ...], float]:
    """Orders that designers choose, and how often they do: clockwise round the face most of all."""
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    places = np.array([[dial.x, dial.y] for dial in dials]) @ turn.T
    size = float(np.median([dial.width for dial in dials]))
    across, down = np.ptp(places[:, 0]), np.ptp(places[:, 1])
    ways: dict[tuple[int, ...], float] = {}

    def add(order: Sequence[int] | NDArray[np.intp], prior: float) -> None:
        numbers = tuple(int(number) for number in order)
        ways[numbers] = max(prior, ways.get(numbers, 0.0))

    by_x, by_y = np.argsort(places[:, 0]), np.argsort(places[:, 1])
    if down < 0.5 * size:  # side by side
        add(by_x, 0.6)
        add(by_x[::-1], 0.35)
    elif across < 0.5 * size:
        add(by_y, 0.8)
        add(by_y[::-1], 0.1)
    else:
        round_face = _clockwise(places)
        add(round_face, 0.7)
        add(round_face[::-1], 0.06)
        add(by_x, 0.1)
        add(by_x[::-1], 0.1)
        add(by_y, 0.04)
    return ways


def _clockwise(places: NDArray[np.float64]) -> list[int]:
    """Round the face from where the gap between dials is widest, as seen from a point above their middle."""
    centre = _centre(places)
    turns = [atan2(y - centre[1], x - centre[0]) for x, y in places]
    order = sorted(range(len(turns)), key=lambda number: turns[number])
    widest, start = -1.0, 0
    for number, (one, later) in enumerate(pairwise([*order, order[0]])):
        gap = (turns[later] - turns[one]) % (2 * np.pi)
        if gap > widest:
            widest, start = gap, (number + 1) % len(order)
    return order[start:] + order[:start]


def _centre(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the circle that the dials lie on; above them when there are two, or they lie in a line."""
    if len(places) > 2:
        matrix = np.column_stack([places, np.ones(len(places))])
        (a, b, c), *_ = np.linalg.lstsq(matrix, (places**2).sum(1), rcond=None)
        centre = np.array([a / 2, b / 2])
        reach = float(np.ptp(places, axis=0).max())
        if np.hypot(*(centre - places.mean(0))) < 1.5 * reach and c + (centre**2).sum() > 0:
            return centre
    reach = float(np.hypot(*np.ptp(places, axis=0)))
    return np.asarray(places.mean(0) - [0.0, 0.6 * reach])


def _agreement(needles: Sequence[NDArray[np.float32]], last_wheel: float | None) -> float:
    """Log-likelihood that they follow each other in this order, beside any other."""
    total = 0.0
    at = [_mean(needle) for needle in needles]
    if last_wheel is not None:
        total += 0.4 * _follows(last_wheel, at[0])
    for one, later in pairwise(at):
        total += _follows(one, later)
    return total


def _follows(one: float, later: float) -> float:
    off = (one % 1 - later / 10 + 0.5) % 1 - 0.5
    return log(_CHANCE + (1 - _CHANCE) * float(np.exp(-0.5 * (off / _PLAY) ** 2)) / (_PLAY * 2.507))


def _mean(needle: NDArray[np.float32]) -> float:
    """Circular mean about the likeliest tenth, 0 to 10."""
    best = int(needle[:100].argmax())
    near = (np.arange(-5, 6) + best) % 100
    weight = needle[near]
    return float((best + (weight * np.arange(-5, 6)).sum() / max(weight.sum(), 1e-9)) / 10 % 10)
