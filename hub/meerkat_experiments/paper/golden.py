"""The figures that section 4.4 gives for E2 and 100 messages, beside what they measure and ours.

The authors published what their runs counted: messages per node, times int(1000 / capacity) ms of
work for each. The paper sets the *busiest* node under its own rule against the *mean* over the nodes
under round robin. The last message is done when the busiest node ends, under either rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from .dispatchers import MakeDispatcher
from .e2 import run_one
from .parameters import AUTHORS_COUNTS, AUTHORS_TURNS, Parameters

MESSAGES = 100


@dataclass(frozen=True, slots=True)
class Golden:
    """One figure of the paper."""

    claim: str
    theirs: str
    """From the counts that the authors published."""
    counted: str
    """The same count in our run of their rules, without links."""
    here: str
    """Makespans of our dispatcher and of round robin, links included."""


@dataclass(frozen=True, slots=True)
class Account:
    """Milliseconds for 100 messages: under the rule in question, and under round robin."""

    rule: float
    turns: float

    @property
    def less(self) -> float:
        return 1 - self.rule / self.turns

    def __str__(self) -> str:
        return f"{self.rule:.0f} against {self.turns:.0f} ms: {self.less:.0%}"


def published(capacities: tuple[int, ...]) -> Account:
    """As the paper counts, from the counts that its authors published."""
    needs = [1000 // capacity for capacity in capacities]
    busy = [count * ms for count, ms in zip(AUTHORS_COUNTS[capacities], needs, strict=True)]
    return Account(max(busy), fmean(AUTHORS_TURNS * ms for ms in needs))


def counted(
    parameters: Parameters, capacities: tuple[int, ...], pull: MakeDispatcher, turns: MakeDispatcher
) -> Account:
    """The same from our runs: no links, whole milliseconds."""
    loopback = replace(parameters, delay=0.0, message_kilobytes=0.0)
    paper = run_one(loopback, capacities, MESSAGES, "", pull, whole_milliseconds=True)
    robin = run_one(loopback, capacities, MESSAGES, "", turns, whole_milliseconds=True)
    return Account(1e3 * max(paper.busy.values()), 1e3 * fmean(robin.busy.values()))


def makespans(
    parameters: Parameters, capacities: tuple[int, ...], ours: MakeDispatcher, turns: MakeDispatcher
) -> Account:
    return Account(
        1e3 * run_one(parameters, capacities, MESSAGES, "", ours).makespan,
        1e3 * run_one(parameters, capacities, MESSAGES, "", turns).makespan,
    )


def golden(
    parameters: Parameters, rules: Mapping[str, MakeDispatcher], *, ours: str, paper: str, turns: str
) -> list[Golden]:
    """`ours`, `paper` and `turns` are names in `rules`."""

    def accounts(capacities: tuple[int, ...]) -> tuple[Account, Account, Account]:
        return (
            published(capacities),
            counted(parameters, capacities, rules[paper], rules[turns]),
            makespans(parameters, capacities, rules[ours], rules[turns]),
        )

    fast, near = accounts((60, 30, 10)), accounts((40, 20, 10))
    return [
        Golden("60/30/10: MELINDA 1100 ms", *(_ms(account.rule) for account in fast)),
        Golden("60/30/10: round robin 1640 ms", *(_ms(account.turns) for account in fast)),
        Golden("60/30/10: 33 % faster", *map(str, fast)),
        Golden("60/30/10: above 90 messages/s", *(_rate(account.rule) for account in fast)),
        Golden("60/30/10: round robin 63 messages/s", *(_rate(account.turns) for account in fast)),
        Golden("40/20/10: 15 % lower", *map(str, near)),
    ]


def _ms(value: float) -> str:
    return f"{value:.0f} ms"


def _rate(milliseconds: float) -> str:
    return f"{1e3 * MESSAGES / milliseconds:.1f}/s"
