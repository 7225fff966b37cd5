"""A hub whose disk refuses rests longer each time, and is quick again once all was well for a while."""

from __future__ import annotations

from meerkat_hub.patience import LONGEST, STEADY, Patience


def test_each_failure_that_follows_soon_doubles_the_rest_up_to_the_longest() -> None:
    patience, now, rests = Patience(1.0), 100.0, []
    for _ in range(7):
        rests.append(patience.failed(now))
        now += rests[-1] + 0.5
    assert rests == [1, 2, 4, 8, 16, LONGEST, LONGEST]


def test_the_first_failure_after_a_steady_time_is_the_first_again() -> None:
    patience = Patience(1.0)
    patience.failed(100.0)
    assert patience.failed(101.0 + STEADY - 0.001) == 2
    assert patience.failed(101.0 + STEADY - 0.001 + 2 + STEADY) == 1
