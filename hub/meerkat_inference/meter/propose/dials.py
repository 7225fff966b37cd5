"""The dials of a face: what the finder takes for one, seen from near, and whether there is a needle in it."""

from __future__ import annotations

from math import cos, degrees, hypot, sin
from typing import TYPE_CHECKING

import numpy as np

from meerkat_contract.meter_layout import MAX_NEEDLES
from meerkat_inference.meter.boxes import NEEDLE_SIZE, cut

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
_FAINT = 0.4
"""Score of what may be a dial, if a needle is seen in it."""
_SURE = 0.5
_POINTED = 0.1
"""Of a needle's distribution, its highest bin: on dials mostly above 0.15, on other things below 0.03."""


def find_dials(
    looker: Looker, row: Row | None, seen: Sequence[Spot], picture: NDArray[np.uint8], networks: Reads | None
) -> list[Spot]:
    """All dials of the face, in pixels of the picture. `seen`: those of earlier looks."""
    tilt = row.tilt if row is not None else 0.0
    known = list(seen)
    if row is not None:
        known += _about(looker, row)
    near = [dial for spot in _distinct(known) for dial in [_seen_again(looker, spot, -degrees(tilt))] if dial]
    dials = [dial for dial in _distinct(near) if not _within(dial, row)]
    if networks is not None and dials:
        dials = _pointed(picture, dials, tilt, networks)
    return _of_one_size([dial for dial in dials if dial.score > _SURE])[:MAX_NEEDLES]


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


def _pointed(picture: NDArray[np.uint8], dials: Sequence[Spot], tilt: float, networks: Reads) -> list[Spot]:
    """The dials with a score that also says how far a needle is seen in them."""
    seen = networks.needles(np.stack([_crop(picture, dial, tilt) for dial in dials]))
    rated = []
    for dial, needle in zip(dials, seen, strict=True):
        there = needle[-1] < 0.5 and needle[:-1].max() > _POINTED
        score = dial.score
        if there and score > _FAINT:
            score = 0.5 + 0.5 * score
        elif not there:
            score *= 0.7
        rated.append(dial._replace(score=float(score)))
    return rated


def _crop(picture: NDArray[np.uint8], dial: Spot, tilt: float) -> NDArray[np.uint8]:
    c, s = cos(tilt), sin(tilt)
    matrix = np.array([[c, -s, dial.x], [s, c, dial.y]])
    side = dial.width
    box = (-side / 2, -side / 2, side, side)
    return cut(picture, box, matrix, NEEDLE_SIZE, mirrored=dial.told > 0.5)


def _distinct(dials: Sequence[Spot]) -> list[Spot]:
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


def _of_one_size(dials: list[Spot]) -> list[Spot]:
    """A counter's dials are equal: less sure ones of another size are something else."""
    if len(dials) < 2:
        return dials
    usual = float(np.average([dial.width for dial in dials], weights=[dial.score for dial in dials]))
    return [dial for dial in dials if dial.score > 0.85 or 0.7 < dial.width / usual < 1.4]
