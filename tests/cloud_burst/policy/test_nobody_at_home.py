"""A house without workers, some of whose clips must not leave it."""

from __future__ import annotations

from math import inf

import pytest

from meerkat_cloud_burst.policy.drain import Drain
from meerkat_cloud_burst.policy.view import CloudView, MoneyView, Rule, WaitingClip, World


def world(*rules: Rule) -> World:
    waiting = tuple(
        WaitingClip(str(number), age=10.0, done_in=inf, size=500_000, seconds=5.0, rule=rule)
        for number, rule in enumerate(rules)
    )
    return World(waiting, (), CloudView(), MoneyView(1.0, 0.035, 900.0))


@pytest.mark.parametrize(
    "rules",
    [
        ("overflow", "overflow", "never"),
        ("never", "overflow", "overflow"),
        ("overflow", "never", "never", "overflow"),
    ],
)
def test_what_must_stay_keeps_nothing_else_at_home(rules: tuple[Rule, ...]) -> None:
    policy = Drain()
    assert policy.decide(world(*rules)).code == "waiting"
    decision = policy.decide(world(*rules))
    assert set(decision.send) == {str(n) for n, rule in enumerate(rules) if rule == "overflow"}
    assert decision.desired


def test_where_nothing_may_leave_that_is_said() -> None:
    policy = Drain()
    policy.decide(world("never"))
    assert policy.decide(world("never")).code == "forbidden"
