"""What section 4.4 of the paper says of E1, and whether a run of ours bears it out.

The verdict is worked out from the runs, so that it says so when the dispatcher no longer keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from .metrics import ROUNDING, percentile

ACCEPTABLE = 0.25
"""The delayed ratio that the paper still calls acceptable: "around 20–25 %"."""
NOT = "NOT reproduced"
Values = Sequence[float]


@dataclass(frozen=True, slots=True)
class Claim:
    """Of one probability of interest and one number of FLO nodes."""

    words: str
    judge: Callable[[Values, Values], str]
    """(longest workflow time in seconds, delayed ratio), of each seed → a verdict in words."""
    longest: float | None = None
    """The workflow time that it names, seconds (the one without any delay excepted),"""
    delayed: tuple[float, ...] = ()
    """and the delayed ratios."""


def within(longest: Values, seconds: float) -> float:
    """The part of the seeds in which no message took longer."""
    return sum(time <= seconds + ROUNDING for time in longest) / len(longest)


def _said(holds: bool) -> str:
    return "reproduced" if holds else NOT


def _around_107(longest: Values, _: Values) -> str:
    return _said(abs(median(longest) - 0.107) <= 0.002)


def _up_to_245(longest: Values, _: Values) -> str:
    part = within(longest, 0.245)
    if part >= 0.5:
        return f"reproduced in {part:.0%} of the seeds"
    return f"the load is 1, a lucky run: 245 ms hold in {part:.0%} of the seeds"


def _bracketed(_: Values, delayed: Values) -> str:
    low, high = percentile(delayed, 0.1), percentile(delayed, 0.9)
    return "bracketed" if low <= 0.25 and high >= 0.20 else NOT


def _three_percent_and_129(longest: Values, delayed: Values) -> str:
    part = within(longest, 0.129)
    holds = median(delayed) <= 0.03 <= percentile(delayed, 0.9) and part > 0.5
    return f"{_said(holds)}; 129 ms hold in {part:.0%} of the seeds"


E1_CLAIMS: dict[tuple[float, int], Claim] = {
    (1.0, 3): Claim("more and more are delayed", lambda _, delayed: _said(median(delayed) > 0.9)),
    (1.0, 4): Claim("MWT around 107 ms", _around_107),
    (0.5, 2): Claim("MWT up to 245 ms", _up_to_245, longest=0.245),
    (0.5, 3): Claim("an acceptable DMR", lambda _, delayed: _said(median(delayed) <= ACCEPTABLE)),
    (0.25, 1): Claim("MWT not under 200 ms", lambda longest, _: _said(median(longest) > 0.2), longest=0.2),
    (0.25, 2): Claim("20–25 % delayed", _bracketed, delayed=(0.20, 0.25)),
    (0.1, 2): Claim(
        "3 % delayed, MWT at most 129 ms", _three_percent_and_129, longest=0.129, delayed=(0.03,)
    ),
}
"""(probability of interest, FLO nodes) → what the paper says, with the parameters of its Table 3."""
