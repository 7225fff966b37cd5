"""How the wheels and needles of one meter hang together: where each is likely to stand.

A reading, in units, is one number. A needle turns evenly: with x the reading over what its step counts,
it stands at x. So does the wheel that the meter's gear drives. Every other wheel stands on its digit until
the one to its right goes from 9 to 0, and turns with it.

Nothing of that is exact. Wheels are printed and pinned a little off, a box is drawn a little high (all of a
row alike), a needle has play, and the wheel beside a dial is put on at whatever tooth comes first. So each
expected position is spread, and the spread is what is known of real counters, not of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

BINS = 100
FRACTIONS = 100
"""Steps of the way of a neighbour from 0 to 0."""
ROW_OFFSETS = (-0.2, -0.1, 0.0, 0.1, 0.2)
"""Of all wheels of a row alike, in digits: a box drawn high or low."""
_ROW_SIGMA = 0.12
DOUBT = 0.003
"""Of a distribution, the share that is taken to be wrong altogether."""


class Drive(Enum):
    """What moves a wheel or needle."""

    NEEDLE = "needle"
    """Turns evenly."""
    FIRST = "first"
    """The last wheel of a counter without dials: driven by the gear."""
    GEARED = "geared"
    """The last wheel, above a dial: driven by the gear too, at an offset nobody chose."""
    CARRIED = "carried"
    """Any other wheel: moved on by the one to its right."""


@dataclass(frozen=True, slots=True)
class _Play:
    """Shares of all such wheels, each with a measure.

    `carries`: over the last `width` of its neighbour's turn a wheel goes on to its next digit; 1 is even
    turning. `late`: by which part of its neighbour's turn it does so late. `offsets`: sigma of how far off
    it stands, in digits.
    """

    carries: tuple[tuple[float, float], ...]
    offsets: tuple[tuple[float, float], ...]
    late: tuple[tuple[float, float], ...] = ((1.0, 0.0),)


_PLAY = {
    Drive.NEEDLE: _Play(((1.0, 1.0),), ((0.85, 0.13), (0.15, 0.3))),
    Drive.FIRST: _Play(((1.0, 1.0),), ((0.9, 0.1), (0.1, 0.2))),
    Drive.GEARED: _Play(((0.5, 1.0), (0.35, 0.1), (0.15, 0.25)), ((0.7, 0.15), (0.3, 0.3))),
    Drive.CARRIED: _Play(
        carries=((0.02, 1.0), (0.13, 0.04), (0.65, 0.1), (0.15, 0.2), (0.05, 0.3)),
        late=((0.15, -0.03), (0.65, 0.0), (0.2, 0.03)),
        offsets=((0.9, 0.12), (0.1, 0.28)),
    ),
}


def row_prior() -> NDArray[np.float64]:
    """Log probability of each of ROW_OFFSETS."""
    offsets = np.array(ROW_OFFSETS)
    weights = np.exp(-0.5 * (offsets / _ROW_SIGMA) ** 2)
    return np.asarray(np.log(weights / weights.sum()), np.float64)


@cache
def spread(drive: Drive) -> NDArray[np.float32]:
    """(row offsets, fractions, bins): the density of positions of a wheel whose digit is 0.

    By how far its neighbour is on its way from 0 to 0 (a fraction of this one's step), as density over the
    bins' mean: 1 is as likely as chance.
    """
    play = _PLAY[drive]
    fractions = (np.arange(FRACTIONS) + 0.5) / FRACTIONS
    if drive is Drive.FIRST:  # it knows only tenths, and they are its own
        fractions = np.arange(FRACTIONS) // 10 / 10
    rows = np.zeros(len(ROW_OFFSETS)) if drive is Drive.NEEDLE else np.array(ROW_OFFSETS)
    places = np.arange(BINS) / 10
    density = np.zeros((len(ROW_OFFSETS), FRACTIONS, BINS))
    for (share, width), (part, late) in product(play.carries, play.late):
        turned = fractions - late
        expected = np.floor(turned) + np.clip((turned % 1 - (1 - width)) / width, 0, 1)
        gap = places[None, None] - expected[None, :, None] - rows[:, None, None]
        gap = (gap + 5) % 10 - 5
        for weight, sigma in play.offsets:
            bell = np.exp(-0.5 * (gap / sigma) ** 2)
            density += share * part * weight * bell / bell.sum(axis=2, keepdims=True)
    return np.asarray(density * BINS, np.float32)


def likelihoods(distribution: NDArray[np.float32], drive: Drive) -> NDArray[np.float64]:
    """(row offsets, 1000): log likelihood of digit d and fraction f at index 100 d + f.

    `distribution` (101,): what is no wheel counts for every position alike.
    """
    circle = distribution[:BINS]
    turned = np.stack([np.roll(circle, -10 * digit) for digit in range(10)], axis=1)
    density = np.einsum("rfb,bd->rdf", spread(drive), turned, optimize=True)
    known = density.reshape(len(ROW_OFFSETS), 10 * FRACTIONS).astype(np.float64)
    return np.asarray(np.log((1 - DOUBT) * (known + float(distribution[BINS])) + DOUBT), np.float64)


def drives(factors: Sequence[float], needles: Sequence[bool]) -> tuple[Drive, ...]:
    """What moves each, given what its step counts, least first, and whether it is a needle."""
    found: list[Drive] = []
    below: bool | None = None
    for index, (factor, needle) in enumerate(zip(factors, needles, strict=True)):
        lower = [needles[i] for i in range(index) if factors[i] < 0.99 * factor]
        below = lower[-1] if lower else None
        if needle:
            found.append(Drive.NEEDLE)
        elif below is None:
            found.append(Drive.FIRST)
        else:
            found.append(Drive.GEARED if below else Drive.CARRIED)
    return tuple(found)
