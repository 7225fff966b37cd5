"""Which of the readings that a picture allows is the meter's, given the one before.

The picture alone cannot always tell 206.99 from 207.99: the wheel is half-way. The reading before and
the largest plausible flow usually can. Everything here counts in whole steps of the counter.

    rise = what the meter went on since the reading before; past the top it begins again at zero
    -jitter <= rise < 0     a needle that trembles: no flow, and the value is the one before
    0 <= rise <= most       it fits
    else                    it does not, however sure the picture is

Nothing here reads a clock, a file or a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import NamedTuple

from meerkat_contract.meter_messages import CounterSeen, Verdict

SURE = 0.75
"""Confidence from which a reading that the picture alone left open is accepted with the one before."""
AMBIGUOUS = 0.77
"""Likelihood of the likeliest reading up to which a held picture is held for want of a history: a bit more
than the reader calls sure (`verdict.SURE`), for not all readings are listed."""
LEAST_SHARE, LEAST_BESIDE_FIRM = 0.2, 0.1
"""Of the candidates' likelihood: a picture with less on all that fit contradicts a history, or a firm one."""
UNUSUAL = 0.08
"""Weight of a rise, however large, beside one that nobody wonders at."""
PREFERRED = 0.8
"""Of what the history allows, the share from which the picture itself prefers a reading. Renders whose wheel
is half-way, and may be of two digits, are right nine times in ten when they prefer one so clearly, and hardly
more than every second time when they do less."""
HISTORY_WRONG, FIRM_WRONG = 0.1, 0.03
"""Prior that it is the history that is wrong, or one that ends with a sure reading and has its own flow."""
NEEDLE_JITTER, WHEEL_JITTER = 3, 1
"""Steps by which the finest needle, or wheel, may seem to go back."""
GENEROUS = 100
"""Without a flow and a time: the part of the span by which a reading may be above the one before."""
CLOCK_SLACK = 1 / 60
"""Hours by which the times of two pictures may be off."""
MOST_STEPS = 10**15


@dataclass(frozen=True, slots=True)
class Choice:
    """What is made of one counter's picture with the reading before."""

    verdict: Verdict
    value: float | None
    reason: str = ""
    confidence: float = 0.0
    expected: tuple[float, float] | None = None
    """From, to: what the reading before leaves possible. Above the span it has begun again at zero."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The candidate that goes best with the reading before."""

    value: int
    """Steps; the reading before, when the needle only trembled."""
    rise: int
    """Steps, at least 0."""
    rank: int
    """Place among the candidates: 0 is the likeliest by the picture alone."""
    share: float
    """Of all candidates that fit: how much speaks for this one."""
    covered: float
    """Of all candidates' likelihood: how much fits."""


def choose(
    seen: CounterSeen,
    *,
    previous: float | None = None,
    elapsed_hours: float | None = None,
    max_flow: float | None = None,
    jitter: int | None = None,
    sure: float = SURE,
) -> Choice:
    """The reading, its verdict and why.

    previous: the last reading that is trusted, in the counter's unit. Without one the picture's own
    verdict stands. max_flow: units per hour; without elapsed_hours, the most it may have risen by.
    jitter: steps that a reading may be behind `previous` and count as no flow (3 with needles, else 1).
    """
    if seen.verdict == "unreadable" or (seen.value is None and not seen.candidates):
        return Choice("unreadable", None, seen.reason, seen.confidence)
    if previous is None or seen.verdict == "implausible":
        return Choice(seen.verdict, seen.value, seen.reason, seen.confidence)
    play = jitter_of(seen) if jitter is None else jitter
    before, span = steps(previous, seen.step), steps(seen.span, seen.step)
    most = largest_rise(seen.step, span, elapsed_hours, max_flow, play)
    expected = (previous, units(before + most, seen.step))
    allowed = candidates_of(seen)
    fit = best_fit(allowed, before, most, span, play)
    if fit is None:
        reason = _why_not(seen, before, expected)
        return Choice("implausible", seen.value, reason, seen.confidence, expected)
    verdict, confidence = judge(seen.verdict, seen.confidence, allowed, fit, play, sure=sure)
    if verdict == "accepted":
        return Choice("accepted", units(fit.value, seen.step), "", confidence, expected)
    why = seen.reason or f"{_many(len(allowed))}, and the one before does not tell which it is"
    return Choice("held", units(fit.value, seen.step), why, confidence, expected)


# --- in steps -------------------------------------------------------------------------------------


def steps(value: float, step: float) -> int:
    """How many steps a value is, rounded."""
    return round(min(value / step, MOST_STEPS))


def units(count: int, step: float) -> float:
    """The value of so many steps, as the nearest float to its decimal: 3 × 0.1 is 0.3."""
    return round(count * step, 9)


def jitter_of(seen: CounterSeen) -> int:
    """Less on a dial that stands alone: three of its ten steps are no trembling."""
    most = NEEDLE_JITTER if seen.needles else WHEEL_JITTER
    return max(1, min(most, steps(seen.span, seen.step) // 20))


def candidates_of(seen: CounterSeen) -> tuple[tuple[int, float], ...]:
    """(steps, likelihood) of each, the likeliest first."""
    listed = [(steps(c.value, seen.step), c.likelihood) for c in seen.candidates if c.likelihood > 0]
    if not listed and seen.value is not None:
        listed = [(steps(seen.value, seen.step), 1.0)]
    return tuple(sorted(listed, key=lambda c: -c[1]))


def largest_rise(step: float, span: int, elapsed: float | None, max_flow: float | None, jitter: int) -> int:
    """Steps: never a whole turn of the counter, which would allow every reading."""
    if max_flow is None:
        return span // GENEROUS
    hours = 1.0 if elapsed is None else max(elapsed, 0.0) + CLOCK_SLACK
    return min(steps(max_flow * hours, step) + jitter, span - jitter - 1)


def rise_of(value: int, previous: int, most: int, span: int, jitter: int) -> int | None:
    """Steps that the counter went on; None when it cannot have."""
    rise = value - previous
    if rise < -jitter:
        rise += span
    elif rise > most:
        rise -= span
    return max(rise, 0) if -jitter <= rise <= most else None


def best_fit(
    candidates: Sequence[tuple[int, float]],
    previous: int,
    most: int,
    span: int,
    jitter: int,
    *,
    usual: int | None = None,
    mean: int = 0,
    near: int = 0,
    known: Sequence[float] = (),
    firm: bool = False,
) -> Fit | None:
    """Of what the history allows, the likeliest: a small rise is likelier than a large one.

    usual, mean: steps by which it rises usually, where that is known (twice what nine of ten hours stay
    below), and on average. Above the mean the flow of a house is nearly exponential: half of `usual` more
    is e times less likely, and no rise less than UNUSUAL, for some day somebody fills a pool. A reading that
    the picture itself does not prefer (PREFERRED) is not made sure by that: to it all usual rises are alike.
    near: steps by which two readings may differ and speak for each other; at least the jitter.
    known: times that each candidate is likelier than the picture says, where the meter's ways are known. It
    chooses among those that fit, and speaks for them all; it never makes a picture contradict the history.
    firm: the reading before is sure, and so are those before it.
    None when nothing fits, or only what the picture all but excludes.
    """
    fitting: list[_Fitting] = []
    covered = everything = covered_known = all_known = 0.0
    for rank, (value, likelihood) in enumerate(candidates):
        likelier = likelihood * (known[rank] if known else 1.0)
        everything += likelihood
        all_known += likelier
        rise = rise_of(value, previous, most, span, jitter)
        if rise is not None:
            covered += likelihood
            covered_known += likelier
            seen = likelier * _not_unusual(rise, most, usual)
            above = max(0, rise - mean)
            weight = likelier * max(UNUSUAL, exp(-2 * above / usual)) if usual else seen
            fitting.append(_Fitting(weight, -rank, value, rise, seen, likelier))
    share_covered = max(covered / everything, covered_known / all_known) if fitting else 0.0
    if share_covered < (LEAST_BESIDE_FIRM if firm else LEAST_SHARE):
        return None
    best = max(fitting, key=lambda one: (one.weight, one.place))
    alike = [one for one in fitting if abs(one.rise - best.rise) <= max(jitter, near)]
    share = sum(one.weight for one in alike) / sum(one.weight for one in fitting)
    if sum(one.likelier for one in alike) < PREFERRED * sum(one.likelier for one in fitting):
        share = min(share, sum(one.seen for one in alike) / sum(one.seen for one in fitting))
    backwards = best.rise == 0 and best.value != previous
    return Fit(previous if backwards else best.value, best.rise, -best.place, share, share_covered)


class _Fitting(NamedTuple):
    """A candidate that the history allows."""

    weight: float
    """What speaks for it: the picture, the meter's ways, and that a small rise is likelier than a large."""
    place: int
    """Minus its rank."""
    value: int
    rise: int
    seen: float
    """The same, but that all usual rises are alike."""
    likelier: float
    """What speaks for it but for the flow."""


def _not_unusual(rise: int, most: int, usual: int | None) -> float:
    if usual is None:
        return 1 / (1 + 3 * rise / (most + 1))
    return max(UNUSUAL, (usual / rise) ** 2) if rise > usual else 1.0


def judge(
    verdict: Verdict,
    confidence: float,
    candidates: Sequence[tuple[int, float]],
    fit: Fit,
    jitter: int,
    *,
    sure: float = SURE,
    firm: bool = False,
) -> tuple[Verdict, float]:
    """Whether a fit is accepted or held, and its confidence.

    verdict, confidence: of the picture alone. What the history has decided no longer tells against it:
    of two readings that are as likely, the only one that fits is as sure as the picture is sharp. What is
    held for another reason stays held, though it fits.
    """
    if fit.rank == 0 and verdict == "accepted":
        return "accepted", confidence
    top = candidates[0][0]
    everything = sum(likelihood for _, likelihood in candidates)
    alone = sum(likelihood for value, likelihood in candidates if abs(value - top) <= jitter) / everything
    if verdict == "held" and alone > AMBIGUOUS:
        return "held", confidence
    history = fit.covered / (fit.covered + (1 - fit.covered) * (FIRM_WRONG if firm else HISTORY_WRONG))
    freed = min(1.0, confidence / alone) * fit.share * history
    return ("accepted" if freed >= sure else "held"), freed


def _why_not(seen: CounterSeen, before: int, expected: tuple[float, float]) -> str:
    value = seen.value if seen.value is not None else seen.candidates[0].value
    low, high = (f"{bound:.10g}" for bound in expected)
    if steps(value, seen.step) < before:
        return f"{value:.10g} is behind {low}, the reading before: has the meter been exchanged? Say so"
    return f"{value:.10g} is more than {high}, the most that can have flowed since {low}"


def _many(count: int) -> str:
    return "the picture is not clear enough" if count < 2 else f"{count} readings go with the picture"
