"""How the wheels and needles of one meter hang together: where each is likely to stand.

A reading, in units, is one number. A needle turns evenly with it. So does the wheel that the meter's gear
drives. Every other wheel stands on its digit until the one to its right goes from 9 to 0, and turns with it.

Nothing of that is exact. Wheels are printed and pinned a little off, a box is drawn a little high (all of a
row alike), a needle has play, some wheels set off early and some jump late, and the wheel beside a dial is
put on at whatever tooth comes first. The shares and widths here are what is known of counters in general.

A wheel or needle with digit d (the reading's) stands at d + w. Its way w is 0 at rest and grows to 1 while
it goes on; it is negative when the reading has passed what the wheel has not reached yet.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.meter_messages import EVENLY

if TYPE_CHECKING:
    from collections.abc import Sequence

Mixture = tuple[tuple[float, float], ...]
"""Shares of all such wheels, each with a measure."""

BINS = 100
"""Places of a wheel: tenths."""
WAYS = np.arange(-10, 14)
"""Ways that are told apart, in tenths."""
ROWS = np.arange(-2, 3)
"""Offsets of all wheels of a row alike, in tenths: boxes that are drawn high or low."""
_ROW_SIGMA = 1.2
SLACK: Mixture = ((0.6, 0.5), (0.3, 1.0), (0.1, 2.0))
"""Shares of counters, each with how loose all its wheels are beside the usual `_OFFSETS`: one wheel that
stands a little off says much on a counter whose others stand exactly, and little on a loose one."""
DOUBT = 0.001
"""Of a distribution, the share that is taken to be wrong altogether."""
SHARPER = {True: 1.35, False: 1.2}
"""Powers that a needle's (True) and a wheel's distributions are raised to. The networks, and still more the
mean of several looks, are right more often than they say: training/meerkat_training/calibrate.py."""


class Drive(Enum):
    """What moves a wheel or needle."""

    NEEDLE = "needle"
    """Turns evenly."""
    FIRST = "first"
    """The last wheel of a counter without dials: driven by the gear."""
    GEARED = "geared"
    """The last wheel, above a dial: driven by the gear too at an offset nobody chose (EVENLY), or CARRIED by
    the dial. Which of both a meter's does, one picture often leaves open; all of them together do not."""
    EVENLY = "evenly"
    """Such a wheel, when it is known to be driven by the gear."""
    CARRIED = "carried"
    """Any other wheel: moved on by the one to its right."""
    CREEPING = "creeping"
    """The same, on one of the few counters whose wheels all turn evenly."""


_OFFSETS: dict[Drive, Mixture] = {
    Drive.NEEDLE: ((0.85, 1.3), (0.15, 3.0)),
    Drive.FIRST: ((0.9, 0.8), (0.1, 2.0)),
    Drive.GEARED: ((0.93, 0.7), (0.07, 2.5)),
    Drive.EVENLY: ((0.93, 0.7), (0.07, 2.5)),
    Drive.CARRIED: ((0.9, 1.2), (0.1, 2.8)),
    Drive.CREEPING: ((0.95, 1.2), (0.05, 2.8)),
}
"""Sigma of how far off each stands, in tenths."""
_CARRIES: Mixture = ((0.15, 4.0), (0.65, 10.0), (0.15, 18.0), (0.05, 28.0))
"""Over how many tenths of its neighbour, up to its zero, a wheel goes on to the next digit."""
_LATE: Mixture = ((0.08, -2.0), (0.8, 0.0), (0.12, 3.0))
"""By how many tenths of its neighbour it does so late."""
_TOOTH: Mixture = ((0.7, 1.4), (0.3, 3.0))
"""Sigma in tenths of how a geared wheel was put on, when it turns evenly."""
_EVEN = {
    Drive.NEEDLE: 1.0,
    Drive.FIRST: 1.0,
    Drive.GEARED: EVENLY,
    Drive.EVENLY: 1.0,
    Drive.CARRIED: 0.0,
    Drive.CREEPING: 1.0,
}
"""The share that turns evenly with its neighbour, a tenth as fast. OIML R 49 wants the wheels of water meters
to go on only while the place below goes from 9 to 0, save the last; many last wheels above a dial creep."""
CREEP = 0.03
"""The share of counters whose wheels all do."""


def _bell(mixture: Mixture, offsets: NDArray[np.floating]) -> NDArray[np.float64]:
    """How likely each of these offsets is, in tenths; adds up to 1."""
    bell = np.zeros(offsets.shape)
    for share, sigma in mixture:
        one = np.exp(-0.5 * (offsets / sigma) ** 2)
        bell += share * one / one.sum()
    return bell


_TEETH = tuple(zip(_bell(_TOOTH, np.arange(-6.0, 6.5)).tolist(), np.arange(-6.0, 6.5).tolist(), strict=True))


def row_prior() -> NDArray[np.float64]:
    """(states,): how likely each slack is, and with it each offset of the row."""
    weights = np.exp(-0.5 * (ROWS / _ROW_SIGMA) ** 2)
    shares = np.array([share for share, _ in SLACK])
    return np.asarray(np.outer(shares / shares.sum(), weights / weights.sum()).ravel(), np.float64)


@cache
def moves(drive: Drive, *, beside: bool = False) -> NDArray[np.float64]:
    """(10, ways, ways): from the digit and the way of the one below to the way of this one.

    `beside`: the one below counts the same (a dial repeats a wheel), and is as far on its own way.
    """
    found = np.zeros((10, len(WAYS), len(WAYS)))
    for digit, (index, way) in product(range(10), enumerate(WAYS)):
        below = 10 * way if beside else 10 * digit + way
        even = float(way if beside else below / 10)
        for part, off in _TEETH if drive in (Drive.GEARED, Drive.EVENLY) else ((1.0, 0.0),):
            _share(found[digit, index], even + off, _EVEN[drive] * part)
        for (share, width), (part, late) in product(_CARRIES, _LATE):
            turned = below - late
            gone = 10 * np.floor(turned / 100) + np.clip((turned % 100 - (100 - width)) / width, 0, 1) * 10
            _share(found[digit, index], gone, (1 - _EVEN[drive]) * share * part)
    return found


def _share(row: NDArray[np.float64], way: float, weight: float) -> None:
    """Give a weight to the two ways that a value lies between."""
    place = float(np.clip(way - WAYS[0], 0, len(WAYS) - 1))
    low = min(int(place), len(WAYS) - 2)
    row[low] += weight * (low + 1 - place)
    row[low + 1] += weight * (place - low)


@cache
def _spread(drive: Drive, slack: float) -> NDArray[np.float64]:
    """(bins, bins): circulant, spreads a distribution by how far off such a part stands."""
    gap = (np.arange(BINS) + BINS / 2) % BINS - BINS / 2
    (most, sigma), *rest = _OFFSETS[drive]
    bell = _bell(((most, sigma * slack), *rest), gap)
    return np.stack([np.roll(bell, shift) for shift in range(BINS)])


def places(distribution: NDArray[np.float32], drive: Drive) -> NDArray[np.float64]:
    """(10, states, ways): how well a distribution (101,) goes with each digit, state of the row, and way.

    1 is as well as chance. What is no wheel at all goes with every place alike.
    """
    rows = np.zeros_like(ROWS) if drive is Drive.NEEDLE else ROWS
    index = (10 * np.arange(10)[:, None, None] + rows[None, :, None] + WAYS[None, None]) % BINS
    sharper = distribution.astype(np.float64) ** SHARPER[drive is Drive.NEEDLE]
    sharper /= sharper.sum()
    seen = sharper[:BINS] * BINS
    slacks = [1.0] * len(SLACK) if drive is Drive.NEEDLE else [slack for _, slack in SLACK]
    known = np.concatenate([(_spread(drive, slack) @ seen)[index] for slack in slacks], axis=1)
    known += float(sharper[BINS])
    return np.asarray((1 - DOUBT) * known + DOUBT, np.float64)


def drives(factors: Sequence[float], needles: Sequence[bool]) -> tuple[Drive, ...]:
    """What moves each, given what its step counts, least first, and whether it is a needle."""
    found: list[Drive] = []
    for index, (factor, needle) in enumerate(zip(factors, needles, strict=True)):
        lower = [needles[i] for i in range(index) if factors[i] < 0.99 * factor]
        if needle:
            found.append(Drive.NEEDLE)
        elif index == 0:
            found.append(Drive.FIRST)
        elif not lower or lower[-1]:
            found.append(Drive.GEARED)
        else:
            found.append(Drive.CARRIED)
    return tuple(found)
