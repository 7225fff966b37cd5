"""Dials of one counter are alike: of one size and one look. What differs from them is something else."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from meerkat_inference.meter.boxes import NEEDLE_SIZE, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .finder import Spot

_RINGS = (0.1, 0.3, 0.5, 0.7, 0.9, 1.1)
"""Of a dial's radius: where each ring of its look begins, and the last one ends."""
_LIKE = 0.115
"""Mean difference of two dials' looks: within a counter mostly below 0.06, to other things above."""
_CLEAR, _NOT_LIKE = 0.93, 0.17
"""Dials as likely as this may look as different as that."""
_SIZES = 0.74
"""Smallest share of one dial's size in another's."""
_SURE = 0.5
_FAINT = 0.25
"""Likelihood of a dial that is believed because a sure one is like it."""
_ALONE = 0.75
"""Likelihood of a dial that is believed when no other is like it: most emblems stand alone."""
_ANYHOW = 0.95
"""Likelihood of a dial that is believed whatever it looks like, if it is of the same size,"""
_ROW = 2
"""and no more than so many are alike without it."""


def looks(picture: NDArray[np.uint8], dials: Sequence[Spot]) -> NDArray[np.float64]:
    """(n, 15): the usual colour in each ring about a dial's middle, by how light it is there.

    `picture`: (height, width, 3) BGR. A needle covers little of each ring, so where it points counts little.
    """
    side = NEEDLE_SIZE[0]
    line = (np.arange(side) - (side - 1) / 2) / (side / 2)
    away = np.hypot(*np.meshgrid(line, line))
    rings = [(away >= low) & (away < high) for low, high in itertools.pairwise(_RINGS)]
    told = np.zeros((len(dials), 3 * len(rings)))
    for number, dial in enumerate(dials):
        place = np.array([[1.0, 0.0, dial.x], [0.0, 1.0, dial.y]])
        box = (-dial.width / 2, -dial.width / 2, dial.width, dial.width)
        crop = cut(picture, box, place, NEEDLE_SIZE).astype(np.float64) / 255
        told[number] = np.concatenate([np.median(crop[ring], axis=0) for ring in rings])
        told[number] /= np.percentile(crop, 80) + 0.1
    return told


def of_one_counter(dials: Sequence[Spot], seen: NDArray[np.float64]) -> list[Spot]:
    """The dials that are like each other; `score` is how likely each is one, `seen` their `looks`."""
    best: list[int] = []
    for number, one in enumerate(dials):
        if one.score <= _SURE:
            continue
        group = [
            other
            for other, dial in enumerate(dials)
            if _one_size(one, dial) and _alike(dial, float(np.abs(seen[number] - seen[other]).mean()))
        ]
        if sum(dials[other].score for other in group) > sum(dials[other].score for other in best):
            best = group
    if 0 < len(best) <= _ROW:
        best += [
            other
            for other, dial in enumerate(dials)
            if dial.score > _ANYHOW and other not in best and _one_size(dials[best[0]], dial)
        ]
    if len(best) == 1 and dials[best[0]].score < _ALONE:
        return []
    return [dials[number] for number in best]


def _one_size(one: Spot, other: Spot) -> bool:
    return min(one.width, other.width) > _SIZES * max(one.width, other.width)


def _alike(dial: Spot, apart: float) -> bool:
    """A bold ring that is seen a little off its place makes much of a difference: sure dials may have it."""
    return dial.score > _FAINT and (apart < _LIKE or (dial.score > _CLEAR and apart < _NOT_LIKE))
