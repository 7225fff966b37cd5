"""One number turns all wheels: find the readings that explain every wheel and needle at once.

From the least significant to the most, each wheel or needle adds what its distribution says to every
reading that is still possible below it (see `mechanics` for where it is likely to stand, given the lower
ones). The 300 likeliest are kept at each step. There are no transition bands: a 9.6 beside a 0.2 is
weighed, not ruled upon.

A value is a multiple of the counter's step: what the last wheel or needle has passed. It counts as passed
a little early, three tenths for a wheel and one for a needle, so that a digit that stands a little low is
not read as the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import UsageError
from meerkat_contract.meter_layout import CounterLayout
from meerkat_contract.meter_messages import Candidate

from .distribution import Distribution
from .mechanics import Drive, drives, likelihoods, row_prior

TENTHS = 10
"""The last wheel or needle is known to a tenth of its step."""
MOST = 16
"""Candidates that are told."""
_KEPT = 300
_FAINT = 1e-4
"""A likelihood below it is not told."""
_EARLY = {True: 1, False: 3}
"""Tenths by which the last needle (True) or wheel counts as passed early."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """`candidates` add up to at most 1, the likeliest first; the digits and fits belong to that one.

    A fit is between 0 and 1: how well the wheel or needle agrees with the reading, beside the place where
    it would agree best.
    """

    candidates: tuple[Candidate, ...]
    sure: float
    """Likelihood of the likeliest and its neighbours by one step: no one can tell them apart."""
    wheel_digits: tuple[int, ...]
    needle_digits: tuple[int, ...]
    wheel_fits: tuple[float, ...]
    needle_fits: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """One wheel or needle. `turn` is a full turn in tenths of the counter's step."""

    turn: int
    needle: bool
    index: int
    drive: Drive
    table: NDArray[np.float64]
    """(row offsets, 1000), see mechanics.likelihoods"""


@dataclass(frozen=True, slots=True)
class _Found:
    """Of n readings: themselves in tenths of a step (n,), their log likelihoods (n, row offsets), and the
    place of each part in its table (n, parts)."""

    readings: NDArray[np.int64]
    scores: NDArray[np.float64]
    places: NDArray[np.int64]


def decode(
    counter: CounterLayout, wheels: Sequence[Distribution], needles: Sequence[Distribution]
) -> Decoded:
    """The readings of `counter` that explain the distributions of its wheels and needles, in their order.

    Raises UsageError when one wheel or needle counts no whole multiple of another.
    """
    parts = _parts(counter, wheels, needles)
    found = _search(parts)
    readings, scores = found.readings, found.scores
    span = parts[-1].turn // TENTHS
    last = [part for part in parts if part.turn == parts[0].turn]
    early = _EARLY[any(part.needle for part in last)]
    weights = np.exp(scores - scores.max())
    likelihood = weights.sum(axis=1) / weights.sum()  # over the row's offsets
    counts = (readings + early) // TENTHS % span
    values, where = np.unique(counts, return_inverse=True)
    shares = np.bincount(where, likelihood)
    order = np.argsort(-shares, kind="stable")
    best = int(values[order[0]])
    # Of all fine readings of that value the likeliest speaks for its wheels.
    own = np.flatnonzero(counts == best)
    fine = int(own[np.argmax(likelihood[own])])
    row = int(np.argmax(scores[fine]))
    fits = {
        (part.needle, part.index): float(np.exp(part.table[row, place] - part.table[row].max()))
        for part, place in zip(parts, found.places[fine], strict=True)
    }
    digits = {(part.needle, part.index): best * TENTHS * 10 // part.turn % 10 for part in parts}
    near = (values - best + 1) % span <= 2
    return Decoded(
        candidates=tuple(
            Candidate(value=_value(int(values[i]), counter.step), likelihood=min(1.0, float(shares[i])))
            for i in order[:MOST]
            if shares[i] >= _FAINT
        ),
        sure=min(1.0, float(shares[near].sum())),
        wheel_digits=tuple(digits[False, i] for i in range(len(wheels))),
        needle_digits=tuple(digits[True, i] for i in range(len(needles))),
        wheel_fits=tuple(fits[False, i] for i in range(len(wheels))),
        needle_fits=tuple(fits[True, i] for i in range(len(needles))),
    )


def _parts(
    counter: CounterLayout, wheels: Sequence[Distribution], needles: Sequence[Distribution]
) -> list[_Part]:
    """Least significant first."""
    found = [
        (factor, needle, index, distribution)
        for needle, factors, distributions in (
            (False, counter.wheel_factors, wheels),
            (True, counter.pointer_factors, needles),
        )
        for index, (factor, distribution) in enumerate(zip(factors, distributions, strict=True))
    ]
    found.sort(key=lambda item: (item[0], not item[1]))
    moved = drives([item[0] for item in found], [item[1] for item in found])
    step = counter.step
    parts: list[_Part] = []
    for (factor, needle, index, distribution), drive in zip(found, moved, strict=True):
        turn = round(factor / step * TENTHS * 10)
        below = parts[-1].turn if parts else turn
        if not isclose(turn, factor / step * TENTHS * 10, rel_tol=1e-6) or turn % below:
            raise UsageError(
                f"one step of {'a dial' if needle else 'a wheel'} counts {factor:g}, "
                "which is no whole multiple of what is below it",
                where="pointer_factors",
                remedy="Give what is printed beside each dial: 0.1, 0.01 …",
            )
        parts.append(_Part(turn, needle, index, drive, likelihoods(distribution, drive)))
    if parts[-1].turn > 10**15:
        raise UsageError(
            f"the counter has {len(str(parts[-1].turn)) - 2} places",
            where="layout",
            remedy="Two counters go under `counters`, each with its own digits",
        )
    return parts


def _positions(
    readings: NDArray[np.int64], below: NDArray[np.int64] | None, part: _Part
) -> NDArray[np.int64]:
    """Where the part stands at each reading, in hundredths of its step: the index of its table.

    `below`: the same of its neighbour. A wheel that is carried knows nothing of a reading but where its
    neighbour stands, and that one rests on its digits too.
    """
    within = readings % part.turn
    if part.drive is not Drive.CARRIED or below is None:
        return np.asarray(within * 1000 // part.turn, np.int64)
    digits = within * 10 // part.turn
    return np.asarray(digits * 100 + below // 10, np.int64)


def _rests(positions: NDArray[np.int64], part: _Part) -> NDArray[np.int64]:
    """The same, with what moves only while its neighbour goes from 9 to 0 on its digit until then."""
    if part.drive is not Drive.CARRIED:
        return positions
    digits, way = positions // 100, positions % 100
    return np.asarray(digits * 100 + np.maximum(0, way - 90) * 10, np.int64)


def _search(parts: Sequence[_Part]) -> _Found:
    """The likeliest readings."""
    readings = np.arange(parts[0].turn, dtype=np.int64)
    scores = np.tile(row_prior(), (len(readings), 1))
    places = np.zeros((len(readings), 0), np.int64)
    below: NDArray[np.int64] | None = None
    turn = parts[0].turn
    for part in parts:
        if part.turn != turn:
            count = part.turn // turn
            readings = (np.arange(count, dtype=np.int64)[:, None] * turn + readings[None]).ravel()
            scores, places = np.tile(scores, (count, 1)), np.tile(places, (count, 1))
            below = np.tile(below, count) if below is not None else None
            turn = part.turn
        here = _positions(readings, below, part)
        scores = scores + part.table[:, here].T
        places = np.concatenate((places, here[:, None]), axis=1)
        below = _rests(here, part)
        if len(readings) > _KEPT:
            kept = np.argpartition(-scores.max(axis=1), _KEPT)[:_KEPT]
            readings, scores, places, below = readings[kept], scores[kept], places[kept], below[kept]
    return _Found(readings, scores, places)


def _value(count: int, step: float) -> float:
    """Steps to units, without the digits that binary fractions add."""
    return float(f"{count * step:.12g}")


__all__ = ["MOST", "Decoded", "Drive", "decode"]
