"""The dials of a face: what the finder takes for one, seen from near, and whether there is a needle in it."""

from __future__ import annotations

from math import cos, degrees, exp, hypot, log, pi, sin
from typing import TYPE_CHECKING

import numpy as np

from meerkat_contract.meter_layout import MAX_NEEDLES
from meerkat_inference.meter.boxes import NEEDLE_SIZE, cut

from .alike import looks, of_one_counter
from .certain import certainty
from .finder import SIDE, Spot
from .looking import Looker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from meerkat_inference.meter.networks import Reads

    from .rows import Row

_AROUND = 17.0
"""Pixels of a window's height in the look that sees the face about it."""
_CLOSE = 72.0
"""Pixels of a dial in the closest look."""
_TURNS = 10
"""By which a candidate is turned to see whether its needle turns along."""
_LOGIT = -3.0, 1.65, 1.25
"""How much speaks for a dial beforehand, and how the finder's and the needle's log-odds count."""


def find_dials(
    looker: Looker, row: Row | None, seen: Sequence[Spot], picture: NDArray[np.uint8], networks: Reads | None
) -> list[Spot]:
    """All dials of the face, in pixels of the picture. `seen`: those of earlier looks."""
    tilt = row.tilt if row is not None else 0.0
    known = list(seen)
    if row is not None:
        known += _about(looker, row)
    near = [dial for spot in _distinct(known) for dial in [_seen_again(looker, spot, -degrees(tilt))] if dial]
    dials = [dial for dial in near if not _within(dial, row)]
    if networks is not None and dials:
        turning = agreement(picture, dials, tilt, networks)
        dials = [
            dial._replace(score=believed(dial.score, float(agrees)))
            for dial, agrees in zip(dials, turning, strict=True)
        ]
    dials = _apart(dials)
    return _evened(of_one_counter(dials, looks(picture, dials)))[:MAX_NEEDLES]


def _about(looker: Looker, row: Row) -> list[Spot]:
    """What may be dials about, above and below the row."""
    scale = min(_AROUND / row.height, 0.8 * SIDE / row.length)
    down = np.array([-sin(row.tilt), cos(row.tilt)])
    found = []
    for step in (0.0, 1.0, -1.0):
        x, y = np.asarray(row.middle) + step * 0.3 * SIDE / scale * down
        found += looker.at((float(x), float(y)), scale, -degrees(row.tilt)).dials
    return found


def _seen_again(looker: Looker, dial: Spot, turn: float) -> Spot | None:
    """The dial as three nearer looks have it; None when it is gone from near."""
    looks: list[Spot] = []
    at = dial
    for size in (_CLOSE, 0.75 * _CLOSE, 1.2 * _CLOSE):
        again = looker.at((at.x, at.y), size / at.width, turn).dials
        here = [spot for spot in again if hypot(spot.x - at.x, spot.y - at.y) < 0.4 * at.width]
        if here:
            at = max(here, key=lambda spot: spot.score)
            looks.append(at)
    if len(looks) < 2:
        return None
    spot = Spot(*map(float, np.median(np.array(looks), axis=0)))
    return spot._replace(score=spot.score * len(looks) / 3)


def agreement(
    picture: NDArray[np.uint8], dials: Sequence[Spot], tilt: float, networks: Reads
) -> NDArray[np.float64]:
    """(n,) 0 to 1: how far what is read in each dial turns with the picture.

    Turned by a tenth of a turn, a needle points one tenth further. Stars, emblems and letters do not,
    whatever they are taken for.
    """
    crops = [
        _crop(picture, dial, tilt + 2 * pi * number / _TURNS, (0.92, 1.08)[number % 2])
        for dial in dials
        for number in range(_TURNS)
    ]
    read = networks.needles(np.stack(crops))[:, :100].reshape(len(dials), _TURNS, 100).astype(np.float64)
    for number in range(_TURNS):
        read[:, number] = np.roll(read[:, number], 100 * number // _TURNS, axis=-1)
    return certainty(read.mean(1))


def believed(score: float, agrees: float) -> float:
    """Likelihood of a dial by the finder's score and by `agreement`."""
    seen = log((score + 1e-3) / (1 - score + 1e-3))
    turns = log((agrees + 0.02) / (1 - agrees + 0.02))
    return 1 / (1 + exp(-(_LOGIT[0] + _LOGIT[1] * seen + _LOGIT[2] * turns)))


def _crop(picture: NDArray[np.uint8], dial: Spot, tilt: float, scale: float) -> NDArray[np.uint8]:
    c, s = cos(tilt), sin(tilt)
    matrix = np.array([[c, -s, dial.x], [s, c, dial.y]])
    side = dial.width * scale
    return cut(picture, (-side / 2, -side / 2, side, side), matrix, NEEDLE_SIZE)


def _distinct(dials: Sequence[Spot]) -> list[Spot]:
    """One of each place and size: a hub within its dial is another one."""
    kept: list[Spot] = []
    for dial in sorted(dials, key=lambda one: -one.score):
        if not any(_same(dial, one) for one in kept):
            kept.append(dial)
    return kept


def _same(one: Spot, other: Spot) -> bool:
    large, small = max(one.width, other.width), min(one.width, other.width)
    return hypot(one.x - other.x, one.y - other.y) < 0.4 * small and small > 0.75 * large


def _apart(dials: Sequence[Spot]) -> list[Spot]:
    """The likeliest of those that lie on each other."""
    kept: list[Spot] = []
    for dial in sorted(dials, key=lambda one: -one.score):
        if all(hypot(dial.x - one.x, dial.y - one.y) > 0.5 * max(dial.width, one.width) for one in kept):
            kept.append(dial)
    return kept


def _within(dial: Spot, row: Row | None) -> bool:
    """Whether it is one of the wheels."""
    if row is None:
        return False
    return any(hypot(dial.x - spot.x, dial.y - spot.y) < 0.5 * spot.height for spot in row.spots)


def _evened(dials: list[Spot]) -> list[Spot]:
    """Several dials, each half as large as it was seen and half as large as they all are."""
    if len(dials) < 3:
        return dials
    usual = float(np.median([dial.width for dial in dials]))
    sizes = [0.5 * (dial.width + usual) for dial in dials]
    return [dial._replace(width=size, height=size) for dial, size in zip(dials, sizes, strict=True)]
