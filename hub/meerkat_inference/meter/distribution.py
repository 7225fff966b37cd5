"""What a network says of one wheel or needle: how likely each tenth of a turn is, and that it is none.

Bins 0 to 99 are the positions 0.0 to 9.9, a circle; bin 100 is "not a digit" or "not a needle".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.meter_messages import PositionSeen

BINS = 100
NOTHING = 100
"""The bin of what is no wheel or needle."""
_NEAR = 3
"""Bins to each side that belong to a peak: a label of a tenth and the play of a wheel."""

Distribution = NDArray[np.float32]
"""(101,), adds up to 1."""


@dataclass(frozen=True, slots=True)
class Peak:
    """Where most of a distribution lies, and how much of all of it, "nothing" included."""

    position: float
    mass: float
    nothing: float


def peak(distribution: Distribution) -> Peak:
    """The window of seven bins that holds most, and the mean position in it, 0 <= position < 10."""
    circle = distribution[:BINS]
    around = np.concatenate((circle[-_NEAR:], circle, circle[:_NEAR]))
    masses = np.convolve(around, np.ones(2 * _NEAR + 1, np.float32), "valid")
    # Several windows hold all of a narrow peak: the one whose middle is the likeliest bin.
    at = int(np.argmax(masses + 0.01 * circle))
    window = around[at : at + 2 * _NEAR + 1]
    mass = float(window.sum())
    offset = float(window @ np.arange(-_NEAR, _NEAR + 1)) / mass if mass > 0 else 0.0
    position = (at + offset) / 10 % 10.0
    return Peak(0.0 if position >= 10.0 else position, min(1.0, mass), float(distribution[NOTHING]))


def average(distributions: Sequence[Distribution], weights: Sequence[float]) -> Distribution:
    """Of several views of the same box. The mean, not the product: one view that a glare misled must not
    outvote the others."""
    stacked = np.average(np.stack(distributions), axis=0, weights=weights)
    return np.asarray(stacked / stacked.sum(), np.float32)


def seen(distribution: Distribution, digit: int | None, factor: float | None = None) -> PositionSeen:
    """As a message tells it; `digit` is what the whole reading makes of it, `factor` what a step counts."""
    found = peak(distribution)
    confidence = round(found.mass, 4)
    if found.nothing > 0.5:
        return PositionSeen(position=None, confidence=confidence, factor=factor)
    return PositionSeen(
        position=round(found.position, 2) % 10, confidence=confidence, digit=digit, factor=factor
    )
