"""What becomes of every picture once the chain through them is known.

See the table of states in `history`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from meerkat_contract.meter_messages import Verdict
from meerkat_inference.meter.choice import CLOCK_SLACK, Choice, choose

from .chain import FAINT, Link, hours_between, largest_rise, looks_new
from .offer import ALONE, LIKELY
from .rows import PARTS, ReadingRow, parts
from .settings import Rules

SURER_CAME = "a surer picture came after it"
RUN = 4
"""Pictures that are all less sure are believed when so many in a row go with each other."""


def confirmed(chain: Sequence[Link], index: int) -> bool:
    """Whether a link of the believed chain is accepted.

    One that is not sure is, when the sure ones before and after say the same, for then nothing has flowed;
    when one of them does, it is as clear as usual and hardly anything else goes with it; beside another that
    is not sure, when both by themselves say what they are taken for; or in a row of RUN. Else it may be wrong
    by as much as flowed, and nobody could tell; and what misleads one picture often misleads the next.
    """
    link = chain[index]
    if link.strong:
        return True
    same_before = index > 0 and chain[index - 1].strong and _agree(chain[index - 1], link)
    same_after = index + 1 < len(chain) and chain[index + 1].strong and _agree(link, chain[index + 1])
    if same_before and same_after:
        return True
    if (same_before or same_after) and link.clear and link.share >= LIKELY:
        return True
    beside = (*chain[max(0, index - 1) : index], *chain[index + 1 : index + 2])
    if link.own and any(one.own for one in beside):
        return True
    if not _unclear(link):
        return False
    first = last = index
    while first > 0 and _unclear(chain[first - 1]) and last - first < RUN:
        first -= 1
    while last + 1 < len(chain) and _unclear(chain[last + 1]) and last - first < RUN:
        last += 1
    return last - first + 1 >= RUN


def _unclear(link: Link) -> bool:
    """Not sure, but for want of light and not because another reading is as likely: that would stay so."""
    return not link.strong and link.share >= ALONE and link.confidence >= FAINT


def _agree(one: Link, later: Link) -> bool:
    return (
        not one.open and one.offset == later.offset and later.value - one.value <= max(one.alike, later.alike)
    )


def accepted(row: ReadingRow, link: Link, before: Link | None, rules: Rules) -> ReadingRow:
    """A row whose link is believed; before: the accepted one before it."""
    flow = expected = None
    if before is not None and not link.open:
        hours = hours_between(before.at, link.at)
        if row.kind != "exchange":
            flow = (link.total - before.total) / PARTS / max(hours, CLOCK_SLACK)
        if before.reset == link.reset and not before.open:
            most = largest_rise(rules.limits, hours, link.jitter, link.span)
            expected = (before.value / PARTS, (before.value + most) / PARTS)
    return replace(
        row, verdict="accepted", reason="", value=link.value / PARTS, confidence=link.confidence,
        expected=expected, total=link.total / PARTS, flow=flow, last_reset=link.reset,
        learnt=None if link.open else link.learnt,
    )  # fmt: skip


def set_aside(
    row: ReadingRow, believed: bool, before: Link | None, after: Link | None, rules: Rules
) -> ReadingRow:
    """A picture that is not accepted: held, implausible or unreadable, and why.

    believed: it is on the chain, and nothing says the same. before, after: accepted readings next to it.
    """
    seen = row.seen
    if row.refused or seen is None:
        return _as(row, "unreadable", "the owner says that it shows no reading")
    known = before is not None and not before.open
    choice = choose(
        seen,
        previous=before.value / PARTS if before is not None and known else None,
        elapsed_hours=hours_between(before.at, row.at) if before is not None and known else None,
        max_flow=rules.limits.max_flow,
        jitter=rules.settings.jitter,
        sure=rules.settings.sure,
    )
    verdict, reason = choice.verdict, choice.reason
    value = None if choice.value is None else parts(choice.value)
    if verdict == "implausible" and before is not None and after is None and value is not None:
        if looks_new(value, before.value, rules.limits):
            verdict = "held"
    elif verdict in ("accepted", "held") and value is not None:
        if after is not None and not believed and _contradicts(value, row, after, rules):
            verdict = "implausible"
            reason = f"the reading after it, {after.value / PARTS:.10g}, says otherwise"
        elif after is not None:
            verdict, reason = "held", reason or SURER_CAME
        else:
            verdict, reason = "held", reason or _waits(value, before, believed)
    return _as(row, verdict, reason, choice)


def _contradicts(value: int, row: ReadingRow, after: Link, rules: Rules) -> bool:
    """Whether the reading after cannot follow."""
    if after.open or after.broken or (after.reset is not None and after.reset > row.at):
        return False
    most = largest_rise(rules.limits, hours_between(row.at, after.at), after.jitter, after.span)
    rise = after.value - value
    if rise < -after.jitter:
        rise += after.span
    return not -after.jitter <= rise <= most


def _waits(value: int, before: Link | None, believed: bool) -> str:
    if believed:
        return (
            "a wheel is less clear than this meter's usually are: it waits for a picture that says the same"
        )
    if before is not None and value > before.value + before.jitter:
        rise = f"{(value - before.value) / PARTS:.10g}"
        return f"{rise} more than the reading before is unusual here: it waits for another that goes with it"
    return "it waits for another picture that goes with it"


def _as(row: ReadingRow, verdict: Verdict, reason: str, choice: Choice | None = None) -> ReadingRow:
    return replace(
        row, verdict=verdict, reason=reason, value=choice.value if choice else None,
        confidence=choice.confidence if choice else 0.0, expected=choice.expected if choice else None,
        total=None, flow=None, last_reset=None, learnt=None,
    )  # fmt: skip
