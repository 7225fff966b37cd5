"""The chain of readings that explains most of a meter's pictures.

Every picture offers readings; no reading alone tells whether it is right. What is believed is a chain
through them in the order of time, in which nothing flows back and nothing flows faster than it can:

    a reading on the chain          STRONG, or WEAK when the picture is not sure, or less sure than usual
    a rise above the usual          costs UNUSUAL: one picture does not carry it, two that go on do
    to begin a chain                costs START: one sure picture carries it, or two less sure
    far below, near zero            a new meter: costs EXCHANGE, so that it takes two pictures
    what the owner says             every chain goes through it

The chain with the highest score is believed. So a bad reading is overturned by the second good one
after it, whether it was accepted or not, and cannot block those after it. It is found step by step: a
`Front` holds the ends of all chains that can still win, each with a pointer to its past, and is never
changed: a picture that comes late starts again from the front before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log2

from meerkat_inference.meter.choice import CLOCK_SLACK, Fit, best_fit, jitter_of, judge, rise_of

from .learning import (
    Rise,
    beginning,
    clearer,
    flowed,
    least_clearness,
    other_meter,
    turned,
    turned_by_owner,
    usual_rise,
)
from .offer import ALONE, LIKELY, Offer, offer_of
from .rows import PARTS, Learnt, ReadingRow, parts
from .settings import Limits, Rules

STRONG, WEAK, OWNER = 1.0, 0.4, 4.0
FAINT_GAIN, UNSURE_MOST = 0.1, 1.2
"""Of a FAINT picture; and the score of a chain without one sure link: two sure pictures overturn it, be it
as long as it may. What misleads the reader in one picture misleads it in the next."""
START, UNUSUAL, EXCHANGE = 0.5, 1.3, 1.5
BEHIND = 8.0
"""A chain so far behind the best is given up: at most so many accepted readings can be overturned."""
MOST_ENDS = 12
FAINT = 0.4
"""Confidence below which a picture begins no chain, and confirms nothing."""
ENORMOUS = 8.0
"""Times the usual above which each doubling costs DOUBLING more."""
DOUBLING = 2.6
KNOWN = 24
"""Readings after which a meter is known."""
GOES_ON = 2.0
"""So many times the flow that a chain ends with may come on top of what is usual."""


@dataclass(slots=True, eq=False)
class Link:
    """A reading as the end of a chain."""

    at: datetime
    id: str
    value: int
    """Parts; what the meter shows, freed of trembling."""
    offset: int
    """Parts: total minus value. Changes at a rollover and an exchange only."""
    score: float
    parent: Link | None
    strong: bool
    confidence: float
    learnt: Learnt
    span: int
    jitter: int
    flow: float = 0.0
    """Units per hour since the parent."""
    reset: datetime | None = None
    """When this meter was put in, if another was there before."""
    guessed: Link | None = None
    """The end of the old meter, when nobody has told of the exchange."""
    share: float = 1.0
    """Of the readings that go with the picture and those before: how much speaks for this."""
    sudden: bool = False
    """It rose above what is usual. What follows may too: the bath is being filled."""
    open: bool = False
    """An exchange whose new meter's beginning is not known: the next reading tells it."""
    broken: bool = False
    """The owner says what cannot follow from any reading before."""
    alike: int = 0
    """Parts by which the next reading may differ and say the same."""
    clear: bool = True
    """No wheel that matters is less clear than usual."""
    own: bool = False
    """Not sure, but the picture by itself says so too, though not without a rival."""

    @property
    def firm(self) -> bool:
        """Sure, as the one before is, and of a meter that is known."""
        before = self.parent
        return self.strong and self.learnt.count >= KNOWN and (before is None or before.strong)

    @property
    def total(self) -> int:
        return self.value + self.offset


@dataclass(frozen=True, slots=True)
class Front:
    """The ends of all chains that may still win, and the best."""

    ends: tuple[Link, ...] = ()
    """Highest score first."""
    best: Link | None = None


def hours_between(earlier: datetime, later: datetime) -> float:
    return (later - earlier).total_seconds() / 3600


def largest_rise(limits: Limits, hours: float, jitter: int, span: int) -> int:
    """Parts that can have flowed in so many hours; never a whole turn."""
    return min(parts(limits.max_flow * (hours + CLOCK_SLACK)) + jitter, span - jitter - 1)


def advance(front: Front, row: ReadingRow, rules: Rules) -> Front:
    """The front after one more row, which is later than all before."""
    if row.kind == "exchange":
        return _exchange(front, row, rules)
    if row.told is not None:
        return _told(front, row, row.told, rules)
    read = offer_of(row, rules)
    if read is None:
        return front
    offered: dict[tuple[int, bool], Link] = {}
    for end in front.ends:
        for link in (_follow(end, read, rules), _new_meter(end, read, rules)):
            if link is not None:
                _offer(offered, link)
    if read.confidence >= FAINT:
        _offer(offered, _begin(read, rules))
    return _front(front, tuple(offered.values()))


def _offer(offered: dict[tuple[int, bool], Link], link: Link) -> None:
    # What can follow depends on the value alone, not on how the total came about.
    key = (link.value, link.sudden)
    known = offered.get(key)
    if known is None or link.score > known.score + 1e-9:
        offered[key] = link


def _front(before: Front, new: Sequence[Link]) -> Front:
    """The best chain stays the best until another is better, not as good; it may go on as good as it was."""
    best = before.best
    for link in new:
        score = best.score if best else 0.0
        if link.score > score + 1e-9 or (link.parent is before.best is best and link.score > score - 1e-9):
            best = link
    least = (best.score if best else 0.0) - BEHIND
    ends = [link for link in (*new, *before.ends) if link.score > least]
    if len(ends) > 2 * MOST_ENDS:
        # Of the newest too, whatever their score: a chain that will win begins with nothing.
        best_ends = sorted(ends, key=lambda link: -link.score)[:MOST_ENDS]
        newest = sorted(ends, key=lambda link: (link.at, link.id), reverse=True)[:MOST_ENDS]
        ends = list({id(link): link for link in (*best_ends, *newest)}.values())
    return Front(tuple(sorted(ends, key=lambda link: -link.score)), best)


# --- pictures -------------------------------------------------------------------------------------


def _follow(end: Link, read: Offer, rules: Rules) -> Link | None:
    """The reading as what comes after `end`."""
    if end.open:
        return _opened(end, read)
    fitting = _fit(end, read, rules)
    if fitting is None:
        return None
    fit, sure, confidence = fitting
    share = fit.share
    firm = _firm(end)
    # What an unsure reading excluded is not excluded.
    if not firm.strong:
        share = min(share, read.share_of(fit.value, end.learnt))
        sure = sure and read.verdict == "accepted"
    elif firm is not end:
        again = _fit(firm, read, rules)
        share = min(share, again[0].share) if again is not None and again[0].value == fit.value else 0.0
        sure = sure and again is not None and again[1]
    sure = sure and share >= ALONE
    hours = hours_between(end.at, read.row.at)
    flow = fit.rise / PARTS / max(hours, CLOCK_SLACK)
    usual = _usual(end, hours)
    sudden = fit.rise > parts(usual) + read.jitter
    since_firm = _usual(firm, hours_between(firm.at, read.row.at))
    clearness = read.clearness(None if sudden else parts(max(usual, since_firm)))
    clear = clearness >= least_clearness(end.learnt)
    strong = sure and clear
    own = clear and not strong and share >= LIKELY and read.likeliest(fit.value)
    gain = STRONG if strong else WEAK if confidence >= FAINT else FAINT_GAIN
    if sudden:
        gain -= _cost(
            fit.rise / PARTS, max(usual, rules.limits.usual_flow * min(hours, end.learnt.hours)), end
        )
    score = end.score + gain
    if not strong and not firm.strong:
        score = min(score, UNSURE_MOST)
    total = end.total + fit.rise
    rise = Rise(read.row.at, hours, flow, total / PARTS, read.jitter / PARTS)
    learnt = clearer(flowed(end.learnt, rules.limits, rise), clearness)
    if (strong or own) and read.likeliest(fit.value):
        learnt = turned(learnt, read.evenly[0], read.last_wheel, total / PARTS)
    return Link(
        read.row.at, read.row.id, fit.value, total - fit.value, score, end, strong, confidence,
        learnt, read.span, read.jitter, flow, end.reset, end.guessed, share, sudden, alike=read.alike,
        clear=clear, own=own,
    )  # fmt: skip


def _fit(end: Link, read: Offer, rules: Rules) -> tuple[Fit, bool, float] | None:
    """What goes on best from `end`, whether hardly anything else does, and the confidence."""
    hours = hours_between(end.at, read.row.at)
    most = largest_rise(rules.limits, hours, read.jitter, read.span)
    usual = parts(_usual(end, hours)) + read.jitter
    fit = best_fit(
        read.candidates, end.value, most, read.span, read.jitter,
        usual=usual, mean=parts(end.learnt.mean * min(hours, end.learnt.hours)), near=read.near,
        known=read.known(end.learnt), firm=end.firm,
    )  # fmt: skip
    if fit is None:
        return None
    verdict, confidence = judge(
        read.verdict,
        read.confidence,
        read.candidates,
        fit,
        read.jitter,
        sure=rules.settings.sure,
        firm=end.firm,
    )
    return fit, verdict == "accepted" and fit.share >= ALONE, confidence


def _usual(end: Link, hours: float) -> float:
    """Units that nobody wonders at after so many hours."""
    return usual_rise(end.learnt, hours) + GOES_ON * end.flow * min(hours, end.learnt.hours)


def _firm(end: Link) -> Link:
    """The last sure link; the first of all when none is."""
    while not end.strong and end.parent is not None:
        end = end.parent
    return end


def _cost(rise: float, usual: float, end: Link) -> float:
    """Of a sudden rise. After one the next is free while it is not enormous: a bath fills on.

    The longer nothing fits, the more could have flowed, and in the end every nonsense would fit: so what
    is many times the usual takes ever more pictures, or the owner.
    """
    enormous = max(0.0, log2(max(rise, 1e-9) / max(usual, 1e-9) / ENORMOUS)) * DOUBLING
    return enormous if end.sudden else UNUSUAL + enormous


def _begin(read: Offer, rules: Rules) -> Link:
    """The reading as the first of all."""
    strong = read.sure_alone
    learnt = _first(beginning(rules.limits), read, read.candidates[0][0])
    return Link(
        read.row.at, read.row.id, read.candidates[0][0], 0, (STRONG if strong else WEAK) - START, None,
        strong, read.confidence, learnt, read.span, read.jitter, share=read.share_of_top, alike=read.alike,
        own=not strong and read.sure_enough,
    )  # fmt: skip


def _first(learnt: Learnt, read: Offer, total: int) -> Learnt:
    """With the first picture of a meter."""
    learnt = clearer(learnt, read.clearness())
    if not read.sure_alone:
        return learnt
    return turned(learnt, read.evenly[0], read.last_wheel, total / PARTS)


def looks_new(value: int, before: int, limits: Limits) -> bool:
    """Whether a value so far below the one before is that of a meter that has just been put in.

    All zeros are what a dark or shifted picture reads as; nothing is told by them.
    """
    newest = parts(limits.new_meter)
    return 0 < value <= newest and before > 10 * newest


def _new_meter(end: Link, read: Offer, rules: Rules) -> Link | None:
    """The reading as the first of a new meter that nobody has told of."""
    value = read.candidates[0][0]
    if end.open or read.verdict != "accepted" or not looks_new(value, end.value, rules.limits):
        return None
    if read.clearness() < least_clearness(end.learnt) or not read.alone:
        return None
    learnt = _first(other_meter(end.learnt), read, end.total)
    return Link(
        read.row.at, read.row.id, value, end.total - value, end.score + STRONG - EXCHANGE, end, True,
        read.confidence, learnt, read.span, read.jitter, 0.0, read.row.at, end, alike=read.alike,
    )  # fmt: skip


def _opened(end: Link, read: Offer) -> Link:
    """The first reading after an exchange whose new meter may have begun anywhere."""
    value = read.candidates[0][0]
    strong = read.sure_alone
    learnt = _first(end.learnt, read, end.total)
    return Link(
        read.row.at, read.row.id, value, end.total - value, end.score + (STRONG if strong else WEAK) - START,
        end, strong, read.confidence, learnt, read.span, read.jitter, 0.0, end.reset,
        share=read.share_of_top, alike=read.alike, own=not strong and read.sure_enough,
    )  # fmt: skip


# --- the owner ------------------------------------------------------------------------------------


def _told(front: Front, row: ReadingRow, told: float, rules: Rules) -> Front:
    """The owner says what the meter shows: of all chains the best that leads there, and no other."""
    value = parts(told)
    reachable = [(end, _rise_to(end, value, row.at, rules)) for end in front.ends]
    end, rise = next(((e, r) for e, r in reachable if r is not None), (front.best, None))
    offer = offer_of(row, rules)
    evenly = None if offer is None else offer.says(value)
    if end is None:
        span, jitter = scale_of(row)
        learnt = turned_by_owner(beginning(rules.limits), evenly)
        link = Link(row.at, row.id, value, 0, OWNER, None, True, 1.0, learnt, span, jitter)
        return Front((link,), link)
    hours = hours_between(end.at, row.at)
    flow = (rise or 0) / PARTS / max(hours, CLOCK_SLACK)
    # A new meter's first total is the old one's last. What cannot follow leaves the offset as it is: the
    # total is put right together with the value.
    offset = end.total - value if end.open else end.offset + (0 if rise is None else end.value + rise - value)
    if rise is not None and end.value - end.jitter <= value < end.value:
        offset = end.offset
    learnt = end.learnt
    if rise is not None and not end.open:
        since = Rise(row.at, hours, flow, (value + offset) / PARTS, end.jitter / PARTS)
        learnt = flowed(learnt, rules.limits, since)
    learnt = turned_by_owner(learnt, evenly)
    link = Link(
        row.at, row.id, value, offset, end.score + OWNER, end, True, 1.0, learnt, end.span,
        end.jitter, flow, end.reset, broken=rise is None and not end.open,
    )  # fmt: skip
    return Front((link,), link)


def _rise_to(end: Link, value: int, at: datetime, rules: Rules) -> int | None:
    if end.open:
        return 0
    most = largest_rise(rules.limits, hours_between(end.at, at), end.jitter, end.span)
    return rise_of(value, end.value, most, end.span, end.jitter)


def _exchange(front: Front, row: ReadingRow, rules: Rules) -> Front:
    """The owner has put a new meter in: the total goes on from the old one's last reading."""
    value = 0 if row.told is None else parts(row.told)
    best = front.best
    if best is not None and best.guessed is not None:
        best = best.guessed
    last = None if row.told_last is None else parts(row.told_last)
    end, rise = best, 0
    if last is not None:
        reachable = ((e, _rise_to(e, last, row.at, rules)) for e in (best, *front.ends) if e is not None)
        unlikely = (best, last - best.value if best else 0)
        end, rise = next(((e, r) for e, r in reachable if r is not None), unlikely)
    if end is None:
        span, jitter = scale_of(row)
        start = beginning(rules.limits)
        link = Link(row.at, row.id, value, 0, OWNER, None, True, 1.0, start, span, jitter, reset=row.at)
        link.open = row.told is None
        return Front((link,), link)
    link = Link(
        row.at, row.id, value, end.total + rise - value, end.score + OWNER, end, True, 1.0,
        other_meter(end.learnt), end.span, end.jitter, 0.0, row.at, open=row.told is None,
    )  # fmt: skip
    return Front((link,), link)


def scale_of(row: ReadingRow) -> tuple[int, int]:
    """Span and jitter of a meter of which no picture has come yet."""
    if row.seen is not None:
        return parts(row.seen.span), parts(row.seen.step) * jitter_of(row.seen)
    return 10**9 * PARTS, 0
