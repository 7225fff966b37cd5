"""What the networks shall say for a position, and how what they say is read back. NumPy only.

A position is 0..10 (tenths of the wheel's or the needle's turn), NaN for "nothing to read". Logits and
probabilities have 101 bins, see meerkat_training.networks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .arrays import Floats
from .networks import SHOWN

SIGMA = {"wheel": 0.7, "needle": 1.0}
"""Width in bins of the target about the true position."""
SMOOTHED = 0.01
"""Of a display's truth, the share that is spread over all it might show: no network is to be surer."""
NEAR = 3
"""Bins to each side of the peak that count to it: 0.3 of a digit."""


def soft_targets(positions: Floats, sigma: float) -> Floats:
    """(n,) positions → (n, 101) probabilities: a circular Gaussian; NaN puts all into bin 100."""
    bins = np.arange(100, dtype=np.float32)
    away = np.abs(bins[None] - np.nan_to_num(positions)[:, None] * 10)
    away = np.minimum(away, 100 - away)
    weights = np.exp(-0.5 * (away / sigma) ** 2)
    weights /= weights.sum(1, keepdims=True)
    nothing = np.isnan(positions)
    weights[nothing] = 0
    return np.concatenate([weights, nothing[:, None]], 1).astype(np.float32)


def shown_targets(shown: Floats) -> Floats:
    """(n,) of 0..9, 10 for an empty place, NaN for no digit → (n, 12) probabilities."""
    place = np.where(np.isnan(shown), SHOWN - 1, np.nan_to_num(shown)).astype(np.intp)
    return (np.eye(SHOWN, dtype=np.float32)[place] * (1 - SMOOTHED) + SMOOTHED / SHOWN).astype(np.float32)


def targets(kind: str, positions: Floats) -> Floats:
    """What the network `kind` shall say: (n, 101), or (n, 12) of a display."""
    return shown_targets(positions) if kind == "segment" else soft_targets(positions, SIGMA[kind])


def right(kind: str, probabilities: Floats, positions: Floats) -> float:
    """The share of pictures with a position that is found within 0.2, of displays read as what they show."""
    there = ~np.isnan(positions)
    if kind == "segment":
        return float((probabilities[there].argmax(1) == positions[there]).mean())
    found, _, _ = read_back(probabilities[there])
    return float((distance(found, positions[there]) <= 0.2).mean())


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)


def read_back(probabilities: Floats) -> tuple[Floats, Floats, Floats]:
    """(n, 101) → positions 0..10, the mass of the peak they stand on, the mass of "nothing"; each (n,).

    The position is the circular mean of the strongest peak, NEAR bins to each side.
    """
    turn = probabilities[:, :100]
    reach = np.arange(-NEAR, NEAR + 1)
    mass = sum(np.roll(turn, -step, 1) for step in reach)
    # The peak is looked for in the smoothed distribution: two halves of one peak beat a spike.
    peak = np.asarray(mass).argmax(1)
    index = (peak[:, None] + reach) % 100
    around = np.take_along_axis(turn, index, 1)
    total = around.sum(1)
    offset = (around * reach).sum(1) / np.maximum(total, 1e-9)
    positions = ((peak + offset) / 10) % 10
    return positions.astype(np.float32), total.astype(np.float32), probabilities[:, 100]


def distance(left: Floats, right: Floats) -> npt.NDArray[np.float32]:
    """How far apart two positions are on the circle of 10."""
    away = np.abs(left - right) % 10
    return np.asarray(np.minimum(away, 10 - away), np.float32)
