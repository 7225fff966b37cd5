"""How far a reading of one picture may be trusted, and why not.

The networks were trained on frames without a meter too: beside what is none they spread out, or say so.
The mean of the peaks' masses therefore parts readable pictures from all others, and a wheel that nobody
can make out has a small one. A reading that no meter can show (a wheel half-way while its neighbour rests)
has small fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean

from meerkat_contract.meter_layout import CounterLayout
from meerkat_contract.meter_messages import Candidate, Verdict

from .condition import Condition, blank, why
from .decode import Decoded
from .distribution import Peak

READABLE = 0.62
"""Mean peak mass below which the picture shows no reading."""
TRUSTED = 0.75
"""Mean peak mass from which a reading may be trusted."""
DISTINCT = 0.4
"""Peak mass below which one wheel or needle is not made out, and the reading waits for a history."""
NOTHING = 0.5
"""Of a distribution, the share that says "not a digit"."""
AGREES = 0.05
"""Fit below which one wheel contradicts the others."""
TOGETHER = 0.38
"""Geometric mean of the fits below which they all stand half-way. On renders that are read right it is 0.5
and more."""
SURE = 0.75
"""Likelihood of the best reading and its neighbours by one step, against all others."""


@dataclass(frozen=True, slots=True)
class Judged:
    verdict: Verdict
    reason: str
    confidence: float


def judge(
    counter: CounterLayout,
    decoded: Decoded,
    wheels: Sequence[Peak],
    needles: Sequence[Peak],
    conditions: Sequence[Condition],
) -> Judged:
    """The verdict of one picture on one counter, without any history."""
    parts = [
        *((f"wheel {i + 1}", peak, fit) for i, (peak, fit) in enumerate(_pairs(wheels, decoded.wheel_fits))),
        *((f"dial {i + 1}", peak, fit) for i, (peak, fit) in enumerate(_pairs(needles, decoded.needle_fits))),
    ]
    mean = fmean(peak.mass for _, peak, _ in parts)
    confidence = round(mean * decoded.sure, 4)
    absent = [name for name, peak, _ in parts if peak.nothing > NOTHING]
    if blank(conditions):
        return Judged("unreadable", why(conditions) or "there is nothing to see in the boxes", 0.0)
    if absent or mean < READABLE:
        what = f"{_listed(absent)} cannot be seen" if absent else "the wheels cannot be made out"
        return Judged("unreadable", _with_cause(what, conditions), round(mean, 4))
    if geometric_mean(max(fit, 1e-6) for _, _, fit in parts) < TOGETHER:
        return Judged(
            "unreadable",
            "the wheels stand half-way where they cannot: do the boxes sit on the digits? "
            "`meerkat meter draw` shows them",
            confidence,
        )
    faint = [name for name, peak, _ in parts if peak.mass < DISTINCT]
    if faint or mean < TRUSTED:
        what = f"{_listed(faint)} can hardly be made out" if faint else "the picture is hard to read"
        return Judged("held", _with_cause(what, conditions), confidence)
    if against := [name for name, _, fit in parts if fit < AGREES]:
        return Judged("held", f"{_listed(against)} does not agree with the others", confidence)
    if decoded.sure < SURE and len(decoded.candidates) > 1:
        values = " or ".join(f"{one.value:.{_places(counter)}f}" for one in _apart(decoded, counter))
        return Judged("held", f"the picture alone does not tell whether it is {values}", confidence)
    return Judged("accepted", "", confidence)


def _pairs(peaks: Sequence[Peak], fits: Sequence[float]) -> list[tuple[Peak, float]]:
    return list(zip(peaks, fits, strict=True))


def _with_cause(what: str, conditions: Sequence[Condition]) -> str:
    cause = why(conditions)
    return (
        f"{what}; {cause}"
        if cause
        else f"{what}: look whether the boxes are on the meter, and its glass clean"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _apart(decoded: Decoded, counter: CounterLayout) -> tuple[Candidate, Candidate]:
    """The best reading and the best of those that are further than a step from it."""
    best = decoded.candidates[0]
    for other in decoded.candidates[1:]:
        if abs(other.value - best.value) > 1.5 * counter.step:
            return best, other
    return best, decoded.candidates[1]


def _places(counter: CounterLayout) -> int:
    """Decimals of the counter's step."""
    text = f"{counter.step:.10f}".rstrip("0")
    return len(text.partition(".")[2])
