"""Counters of an LCD or LED: what each place shows, the number they make, and how far it may be trusted.

Their digits are whole, and one does not tell where its neighbour stands. So a reading is as likely as the
product of its digits. Places on the left may be empty: leading zeros that a display leaves out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.meter_layout import CounterLayout, PixelBox
from meerkat_contract.meter_messages import Candidate, CounterSeen, PositionSeen, Verdict

from . import condition
from .boxes import PLAIN, WHEEL_SIZE, Crop, Matrix, View, cut
from .decode import MOST
from .networks import Reads
from .verdict import DISTINCT, NOTHING, READABLE, SURE, TRUSTED

EMPTY, NO_DIGIT = 10, 11
"""Of a network's twelve numbers, those after the digits."""
VIEWS = (View(dy=-0.03), View(dy=0.03), View(dx=-0.05), View(dx=0.05), View(scale=0.94), View(scale=1.06))
"""Other looks at a place that is in doubt."""
_AGAIN = 0.99
_DOUBT = 0.003
"""Of what a network says, the share that is taken to be wrong altogether."""
_KEPT = 200
_FAINT = 1e-4
"""A likelihood below it is not told."""
_LIKE_IT = 0.4
"""How far an empty place may differ from the display behind the digits, beside the digits' contrast."""
_GRAIN = 12.0
"""Grey levels that it may always."""

Shown = NDArray[np.float32]
"""(12,): how likely each digit is, an empty place, and none of these; adds up to 1."""


@dataclass(frozen=True, slots=True)
class Number:
    """`candidates`, the likeliest first; `digits` and `masses` of each place are the first one's."""

    candidates: tuple[Candidate, ...]
    digits: tuple[int, ...]
    masses: tuple[float, ...]
    """How likely the place shows what that number has there."""
    empty: int
    """Places on the left that show nothing."""


def read_counter(
    picture: NDArray[np.uint8], name: str, counter: CounterLayout, matrix: Matrix, networks: Reads
) -> CounterSeen:
    """What a (height, width, 3) BGR picture shows on one counter; `matrix` as in `boxes`."""
    crops = [_crop(picture, box, matrix, PLAIN) for box in counter.digits]
    shown = _look(picture, counter.digits, crops, matrix, networks)
    number = decode(counter, shown)
    verdict, reason = judge(number, shown, crops)
    told = verdict != "unreadable"
    sure = number.candidates[0].likelihood
    return CounterSeen(
        counter=name or None,
        verdict=verdict,
        reason=reason,
        value=number.candidates[0].value if told else None,
        confidence=round(fmean(number.masses) * (sure if told else 1.0), 4),
        unit=counter.unit,
        step=counter.step,
        span=counter.span,
        wheels=tuple(
            seen(one, digit if told else None, index < number.empty)
            for index, (one, digit) in enumerate(zip(shown, number.digits, strict=True))
        ),
        candidates=number.candidates if told else (),
    )


def read_crop(picture: NDArray[np.uint8], networks: Reads) -> Shown:
    """What one crop (height, width, 3) BGR of a place shows."""
    height, width = picture.shape[:2]
    box = (0.0, 0.0, float(width), float(height))
    here = np.eye(2, 3)
    return _look(picture, [box], [_crop(picture, box, here, PLAIN)], here, networks)[0]


def seen(shown: Shown, digit: int | None, leading: bool = False) -> PositionSeen:
    """As a message tells it: a digit's position is itself, and an empty place on the left is a zero."""
    if digit is not None and leading:
        mass = float(shown[0] + shown[EMPTY])
        return PositionSeen(position=0.0, confidence=min(1.0, round(mass, 4)), digit=0)
    best = int(shown.argmax())
    likely = min(1.0, round(float(shown[best]), 4))
    return PositionSeen(position=float(best) if best < EMPTY else None, confidence=likely, digit=digit)


def _crop(picture: NDArray[np.uint8], box: PixelBox, matrix: Matrix, view: View) -> Crop:
    return cut(picture, box, matrix, WHEEL_SIZE, view=view)


def _look(
    picture: NDArray[np.uint8],
    boxes: Sequence[PixelBox],
    crops: Sequence[Crop],
    matrix: Matrix,
    networks: Reads,
) -> list[Shown]:
    """What each place shows; those in doubt averaged over several views."""
    first = networks.segments(np.stack(crops))
    found = list(first)
    for index, one in enumerate(first):
        if one.max() < _AGAIN:
            views = np.stack([_crop(picture, boxes[index], matrix, view) for view in VIEWS])
            found[index] = np.concatenate((one[None], networks.segments(views))).mean(axis=0)
    return found


def decode(counter: CounterLayout, shown: Sequence[Shown]) -> Number:
    """The numbers that the places may show, as likely as the product of their digits.

    The place before the decimal point and those behind it always show a digit.
    """
    must = max(counter.integer_digits - 1, 0)
    states: dict[tuple[int, int], float] = {(0, 0): 1.0}
    for place, one in enumerate(shown):
        doubted = (1 - _DOUBT) * one.astype(np.float64) + _DOUBT / len(one)
        after: dict[tuple[int, int], float] = {}
        for (empty, value), likelihood in states.items():
            for digit in range(10):
                after[empty, 10 * value + digit] = likelihood * doubted[digit]
            if empty == place < must:
                after[empty + 1, value] = likelihood * doubted[EMPTY]
        states = dict(sorted(after.items(), key=lambda item: -item[1])[:_KEPT])
    shares: defaultdict[int, float] = defaultdict(float)
    for (_, value), likelihood in states.items():
        shares[value] += likelihood
    total = sum(shares.values())
    ranked = sorted(shares, key=lambda value: -shares[value])[:MOST]
    digits = tuple(int(digit) for digit in f"{ranked[0]:0{len(shown)}d}")
    leading = next((place for place, digit in enumerate(digits[:must]) if digit), must)
    return Number(
        candidates=tuple(
            Candidate(value=float(f"{value * counter.step:.12g}"), likelihood=min(1.0, shares[value] / total))
            for value in ranked
            if shares[value] / total >= _FAINT
        ),
        digits=digits,
        masses=tuple(
            float(one[0] + one[EMPTY]) if place < leading else float(one[digit])
            for place, (one, digit) in enumerate(zip(shown, digits, strict=True))
        ),
        empty=next((i for i in range(leading) if shown[i][EMPTY] <= shown[i][0]), leading),
    )


def judge(number: Number, shown: Sequence[Shown], crops: Sequence[Crop]) -> tuple[Verdict, str]:
    """The verdict of one picture on one counter, and why."""
    shining = [condition.condition(crop) for crop in crops[number.empty :]]
    cause = condition.why(shining)
    if all(one[EMPTY] > NOTHING for one in shown):
        return "unreadable", "the display shows nothing: is it on, and do the boxes lie on it?"
    absent = [i + 1 for i, one in enumerate(shown) if one[NO_DIGIT] > NOTHING]
    begun = next((i for i, one in enumerate(shown) if one[:EMPTY].sum() > NOTHING), len(shown))
    gone = [i + 1 for i, one in enumerate(shown) if i > begun and one[EMPTY] > NOTHING]
    mean = fmean(number.masses)
    if absent or gone or mean < READABLE or condition.blank(shining):
        if absent:
            what = f"{_listed(absent)} shows no digit"
        elif gone:
            what = f"{_listed(gone)} is empty"
        else:
            what = "the digits cannot be made out"
        return "unreadable", f"{what}; {cause or _USUAL}"
    if covered := _covered(crops, number.empty):
        return "held", f"{_listed(covered)} is empty, but unlike the rest of the display: is it covered?"
    faint = [i + 1 for i, mass in enumerate(number.masses) if mass < DISTINCT]
    if faint or mean < TRUSTED:
        what = f"{_listed(faint)} can hardly be made out" if faint else "the picture is hard to read"
        return "held", f"{what}; {cause or _USUAL}"
    if number.candidates[0].likelihood < SURE:
        others = " or ".join(f"{one.value:.12g}" for one in number.candidates[:2])
        return "held", f"the picture alone does not tell whether it is {others}"
    return "accepted", ""


_USUAL = (
    "was the picture taken while it changed, or does it show something else in turn? "
    "`meerkat meter draw` shows whether the boxes sit on the digits"
)


def _covered(crops: Sequence[Crop], empty: int) -> list[int]:
    """The empty places whose tone is not that of the display about the first digit: 1, 2 …

    A lid over the left digits must not make a small number of a large one.
    """
    first = crops[empty].mean(axis=2)
    low, dark, bright, high = np.percentile(first, (5, 25, 75, 95))
    allowed = _LIKE_IT * (high - low) + _GRAIN
    tones = [float(np.median(crop.mean(axis=2))) for crop in crops[:empty]]
    return [i + 1 for i, tone in enumerate(tones) if min(abs(tone - dark), abs(tone - bright)) > allowed]


def _listed(places: Sequence[int]) -> str:
    named = ", ".join(f"digit {place}" for place in places[:3])
    return named + (f" and {len(places) - 3} more" if len(places) > 3 else "")
