"""One number turns all wheels: find the readings that explain every wheel and needle at once.

From the least significant to the most, each wheel or needle multiplies what its distribution says to every
reading that is still possible below it (`mechanics` tells where it may stand, given the one below). It is
the forward pass of a hidden Markov model: of each reading are kept how likely each way of its last part is,
in each state of the row (its slack, and how far off its boxes are). The likeliest readings are kept at each
step. There are no transition bands: a 9.6 beside a 0.2 is weighed, not ruled upon.

A value is a multiple of the counter's step: what the last wheel or needle has passed. It counts as passed
a little early, three tenths for a wheel and one for a needle, so that a digit that stands a little low is
not read as the one before.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose, log10

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import UsageError
from meerkat_contract.meter_layout import CounterLayout
from meerkat_contract.meter_messages import EVENLY, Candidate

from .distribution import NOTHING, Distribution
from .mechanics import CREEP, WAYS, Drive, drives, moves, places, row_prior

MOST = 16
"""Candidates that are told."""
_KEPT = 80
_FAINT = 1e-4
"""A likelihood below it is not told."""
_EARLY = {True: 1, False: 3}
"""Tenths by which the last needle (True) or wheel counts as passed early."""
NEIGHBOURS = {True: 2, False: 1}
"""Steps by which a reading may be off and still be right, when a needle (True) or a wheel comes last."""
_MISFIT = 0.3
"""With one part's fit below it, the counter may be one whose wheels all creep."""
_LARGEST = 15
"""Places of a counter: a float holds no more."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """`candidates` add up to at most 1, the likeliest first; the digits and fits belong to that one.

    A fit is between 0 and 1: how well the wheel or needle stands where the ones below let expect it, beside
    the best place for it. The least significant has nothing below, and fits.
    """

    candidates: tuple[Candidate, ...]
    sure: float
    """Likelihood of the likeliest and of those `NEIGHBOURS` steps from it: no one can tell them apart."""
    wheel_digits: tuple[int, ...]
    needle_digits: tuple[int, ...]
    wheel_fits: tuple[float, ...]
    needle_fits: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """One wheel or needle; None of both is a place that the layout leaves out."""

    power: int
    """One step of it counts ten to this, in steps of the counter."""
    drive: Drive
    places: NDArray[np.float64]
    """(10, states, ways), see mechanics.places"""
    needle: bool = False
    index: int | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """Of n readings: themselves in steps (n,), how likely each is (n,), and how well each part fits
    (n, parts)."""

    readings: NDArray[np.int64]
    likelihood: NDArray[np.float64]
    fits: NDArray[np.float64]


def decode(
    counter: CounterLayout, wheels: Sequence[Distribution], needles: Sequence[Distribution]
) -> Decoded:
    """The readings of `counter` that explain the distributions of its wheels and needles, in their order.

    Raises UsageError when what one of them counts is not ten (or a hundred…) times what another does.
    """
    parts = _parts(counter, wheels, needles)
    found = _search(parts)
    if found.fits[np.argmax(found.likelihood)].min() < _MISFIT:
        found = _either(found, _search(parts, creeping=True))
    likelihood = found.likelihood / found.likelihood.sum()
    order = np.argsort(-likelihood, kind="stable")
    told = [int(i) for i in order[:MOST] if likelihood[i] >= _FAINT]
    evenly = _evenly(parts, found.readings[told])
    best = int(found.readings[order[0]])
    span = 10 ** (parts[-1].power + 1)
    alike = NEIGHBOURS[parts[0].needle]
    near = (found.readings - best + alike) % span <= 2 * alike
    digits = {(part.needle, part.index): best // 10**part.power % 10 for part in parts}
    fits = {(part.needle, part.index): float(found.fits[order[0], i]) for i, part in enumerate(parts)}
    return Decoded(
        candidates=tuple(
            Candidate(
                value=_value(int(found.readings[i]), counter.step),
                likelihood=min(1.0, float(likelihood[i])),
                evenly=share,
            )
            for i, share in zip(told, evenly, strict=True)
        ),
        sure=min(1.0, float(likelihood[near].sum())),
        wheel_digits=tuple(digits[False, i] for i in range(len(wheels))),
        needle_digits=tuple(digits[True, i] for i in range(len(needles))),
        wheel_fits=tuple(fits[False, i] for i in range(len(wheels))),
        needle_fits=tuple(fits[True, i] for i in range(len(needles))),
    )


def _parts(
    counter: CounterLayout, wheels: Sequence[Distribution], needles: Sequence[Distribution]
) -> list[_Part]:
    """Least significant first, without a gap."""
    given = [
        (_power(factor, counter.step), needle, index, distribution)
        for needle, factors, distributions in (
            (False, counter.wheel_factors, wheels),
            (True, counter.pointer_factors, needles),
        )
        for index, (factor, distribution) in enumerate(zip(factors, distributions, strict=True))
    ]
    given.sort(key=lambda item: (item[0], not item[1]))
    moved = drives([10.0 ** item[0] for item in given], [item[1] for item in given])
    parts: list[_Part] = []
    for (power, needle, index, distribution), drive in zip(given, moved, strict=True):
        while parts and power > parts[-1].power + 1:
            parts.append(_Part(parts[-1].power + 1, Drive.NEEDLE, places(_UNSEEN, Drive.NEEDLE)))
        parts.append(_Part(power, drive, places(distribution, drive), needle, index))
    if parts[-1].power >= _LARGEST:
        raise UsageError(
            f"the counter has {parts[-1].power + 1} places",
            where="layout",
            remedy="Two counters go under `counters`, each with its own digits",
        )
    return parts


_UNSEEN = np.append(np.zeros(NOTHING), 1.0).astype(np.float32)


def _power(factor: float, step: float) -> int:
    power = round(log10(factor / step))
    if not isclose(step * 10.0**power, factor, rel_tol=1e-6):
        raise UsageError(
            f"one step counts {factor:g}, which is not ten times (or a hundred times …) {step:g}",
            where="pointer_factors",
            remedy="Give what is printed beside each dial (0.1, 0.01 …), and leave test dials out",
        )
    return power


def _either(usual: _Found, creeping: _Found) -> _Found:
    """The readings of both sorts of counter, by how usual each sort is."""
    likelihood = np.concatenate(((1 - CREEP) * usual.likelihood, CREEP * creeping.likelihood))
    both = np.concatenate((usual.readings, creeping.readings))
    readings, first, which = np.unique(both, return_index=True, return_inverse=True)
    fits = np.concatenate((usual.fits, creeping.fits))
    if creeping.likelihood.max() * CREEP > usual.likelihood.max():  # theirs are the fits that count
        first = len(both) - 1 - np.unique(both[::-1], return_index=True)[1]
    shares = np.asarray(np.bincount(which, likelihood), np.float64)
    return _Found(readings, shares, fits[first])


def _search(parts: Sequence[_Part], *, creeping: bool = False) -> _Found:
    """The likeliest readings of a usual counter, or of one whose wheels all creep."""
    first = parts[0]
    weights = _start(first) * first.places
    readings, digits = np.arange(10, dtype=np.int64), np.arange(10)
    fits = np.ones((10, 1))
    for below, part in itertools.pairwise(parts):
        beside = part.power == below.power
        drive = Drive.CREEPING if creeping and part.drive is Drive.CARRIED else part.drive
        ahead = weights @ moves(drive, beside=beside)[digits]
        before = ahead.sum(axis=2) @ part.places.max(axis=(0, 2))  # were each at its best place
        if beside:
            weights = ahead * part.places[digits]
        else:
            weights = (ahead[None] * part.places[:, None]).reshape(-1, *ahead.shape[1:])
            before, fits = np.tile(before, 10), np.tile(fits, (10, 1))
            readings = (np.arange(10)[:, None] * 10**part.power + readings[None]).ravel()
            digits = np.repeat(np.arange(10), len(digits))
        likelihood = weights.sum(axis=(1, 2))
        fit = likelihood / np.maximum(before, 1e-300)
        fits = np.concatenate((fits, fit[:, None]), axis=1)
        kept = np.argsort(-likelihood, kind="stable")[:_KEPT]
        readings, digits, fits = readings[kept], digits[kept], fits[kept]
        weights = weights[kept]
    return _Found(readings, weights.sum(axis=(1, 2)), fits)


def _start(first: _Part) -> NDArray[np.float64]:
    """(states, ways): the last one may be anywhere on the way from what it has just passed."""
    early = _EARLY[first.needle]
    start = ((-early <= WAYS) & (10 - early > WAYS)).astype(np.float64)
    return row_prior()[:, None] * start


def _evenly(parts: Sequence[_Part], readings: NDArray[np.int64]) -> list[float | None]:
    """Were each the reading, how likely it is that the last wheel above a dial turns evenly.

    None when there is no such wheel. It is what the picture says with nothing known of the meter, `EVENLY`
    when it says nothing.
    """
    geared = next((part for part in parts if part.drive is Drive.GEARED), None)
    if geared is None:
        return [None] * len(readings)
    digits = [readings // 10**part.power % 10 for part in parts]
    weights = _start(parts[0]) * parts[0].places[digits[0]]
    for (below, digit), (part, own) in itertools.pairwise(zip(parts, digits, strict=True)):
        beside = part.power == below.power
        if part is geared:
            turned = [
                share * (weights @ moves(drive, beside=beside)[digit])
                for share, drive in ((EVENLY, Drive.EVENLY), (1 - EVENLY, Drive.CARRIED))
            ]
            ahead = np.stack(turned)
        else:
            ahead = weights @ moves(part.drive, beside=beside)[digit]
        weights = ahead * part.places[own]
    even, carried = weights.sum(axis=(2, 3))
    found: list[float | None] = [
        round(float(share), 4) for share in even / np.maximum(even + carried, 1e-300)
    ]
    return found


def _value(count: int, step: float) -> float:
    """Steps to units, without the digits that binary fractions add."""
    return float(f"{count * step:.12g}")
