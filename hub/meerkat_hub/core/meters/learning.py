"""What a meter's accepted readings teach about it: its usual flow, how clear its pictures usually are, and
whether its last wheel turns evenly.

The last is one bit of its mechanics, and many a picture cannot be read without it: a wheel at 5.9 above a
needle at 0.9 is a 5 that turns along with it, or a 6 that rests. It is learnt from pictures that are read
without it, those with the needle elsewhere, so no belief confirms itself; and from each only when the meter
has gone on since: a wheel that stands a little off must not tell the same all night.

Each reading makes the next estimate from the one before and nothing else, so that a history can be
taken up anywhere: the estimate is stored with the reading.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import exp, log

from meerkat_contract.meter_messages import EVENLY

from .rows import Learnt
from .settings import Limits

UP, DOWN = exp(0.09), exp(-0.01)
"""Steps of the running quantile (Robbins and Monro): at rest when nine of ten flows are below it."""
LONGER = exp(0.05)
MARGIN = 2.0
"""Usual is up to so many times the flow that nine of ten hours stay below."""
LEAST_PART = 0.2
"""Of a home's usual flow: below it nobody asks whether the flow is usual."""
MEAN_HOURS = 240.0
LONGEST_INTERVAL = 6.0
"""Hours over which nobody can say that the flow had no pause."""
ALWAYS_CLEAR = 0.9
"""A picture whose wheels are all as clear as this is never called less clear than usual."""
SPREADS = 3.0
"""Mean deviations below the usual."""

EACH, MOST, OWNERS = 1.5, 6.0, 3.0
"""Log odds: by how much one picture tells at most whether the last wheel turns evenly, all of them together,
and one that the owner has read."""
GONE_ON = 0.1
"""Of a step of that wheel: so much goes on between two pictures that tell."""


@dataclass(frozen=True, slots=True)
class Rise:
    """From a reading to the next, in the meter's unit and hours."""

    at: datetime
    """Of the later one."""
    hours: float
    flow: float
    """Per hour."""
    total: float
    """Then."""
    noise: float
    """What a needle may tremble."""


def beginning(limits: Limits) -> Learnt:
    """Before the first reading: a home's."""
    return Learnt(mean=limits.usual_flow / 10, high=limits.usual_flow / MARGIN)


def clearer(before: Learnt, clearness: float) -> Learnt:
    """With one more picture, nothing being known of the flow before it."""
    count = before.count + 1
    off = abs(clearness - before.clearness) if before.count else before.spread
    return replace(
        before,
        count=count,
        clearness=before.clearness + max(0.02, 1 / count) * (clearness - before.clearness),
        spread=before.spread + max(0.02, 1 / (count + 10)) * (off - before.spread),
    )


def flowed(before: Learnt, limits: Limits, rise: Rise) -> Learnt:
    """With one more rise from a reading to the next."""
    hours, flow = rise.hours, rise.flow
    usual_hours = before.hours * (LONGER if hours > before.hours else 1 / LONGER)
    high = before.high
    if flow > 0 and before.hours / 4 <= hours <= 2 * before.hours:
        high = max(high * (UP if flow > high else DOWN), LEAST_PART * limits.usual_flow / MARGIN)
    moved = before.still_since is None or rise.total - before.still_total > rise.noise
    since, longest, least = _unbroken(before, rise)
    return Learnt(
        before.count,
        before.mean + min(1.0, hours / MEAN_HOURS) * (flow - before.mean),
        high,
        min(max(hours if before.count < 3 else usual_hours, 1 / 60), 48.0),
        before.clearness,
        before.spread,
        rise.at if moved else before.still_since,
        rise.total if moved else before.still_total,
        since,
        longest,
        least,
        before.evenly,
        before.evenly_total,
    )


def _unbroken(before: Learnt, rise: Rise) -> tuple[datetime | None, float, float]:
    """Since when something has flowed in every interval, the longest of them and the least flow."""
    if rise.flow * rise.hours <= rise.noise or rise.hours > LONGEST_INTERVAL:
        return None, 0.0, 0.0
    if before.flowing_since is None:
        return rise.at - timedelta(hours=rise.hours), rise.hours, rise.flow
    return before.flowing_since, max(before.longest, rise.hours), min(before.least, rise.flow)


def usual_rise(learnt: Learnt, hours: float) -> float:
    """Units that may have flowed in so many hours without anybody wondering.

    Over more than the usual time between readings what flows nears the mean: a gap of three days does
    not excuse three days of the highest flow.
    """
    first = min(hours, learnt.hours)
    return MARGIN * learnt.high * first + learnt.mean * (hours - first)


def least_clearness(learnt: Learnt) -> float:
    """Below it a picture is less clear than this meter's usually are."""
    return min(ALWAYS_CLEAR, learnt.clearness - SPREADS * learnt.spread - 0.02)


def turned(before: Learnt, evenly: float | None, factor: float, total: float) -> Learnt:
    """With one more reading, which is as likely as this (Candidate.evenly) when the last wheel turns evenly.

    factor: what one step of that wheel counts, in units. total: then.
    """
    known = before.evenly_total
    if evenly is None or (known is not None and abs(total - known) < GONE_ON * factor):
        return before
    odds = before.evenly + min(max(_told(evenly), -EACH), EACH)
    return replace(before, evenly=min(max(odds, -MOST), MOST), evenly_total=total)


def turned_by_owner(before: Learnt, evenly: float | None) -> Learnt:
    """With a reading of the owner's, which outweighs all pictures that say otherwise."""
    if evenly is None:
        return before
    said = min(max(_told(evenly), -OWNERS), OWNERS)
    agreed = before.evenly if said * before.evenly > 0 else 0.0
    return replace(before, evenly=min(max(agreed + said, -MOST), MOST))


def _told(evenly: float) -> float:
    """Log odds, beside what is usual."""
    return _odds(min(max(evenly, 1e-4), 1 - 1e-4)) - _odds(EVENLY)


def other_meter(before: Learnt) -> Learnt:
    """When the meter has been exchanged: the house is the same."""
    return replace(before, evenly=0.0, evenly_total=None)


def likelier(learnt: Learnt, evenly: float | None) -> float:
    """Times that a reading is likelier, the meter being known, than a picture alone says."""
    if evenly is None or learnt.evenly == 0:
        return 1.0
    share = 1 / (1 + exp(-_odds(EVENLY) - learnt.evenly))
    return share * evenly / EVENLY + (1 - share) * (1 - evenly) / (1 - EVENLY)


def _odds(share: float) -> float:
    return log(share / (1 - share))
