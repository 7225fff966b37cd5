"""When a measured figure counts: at once for newcomers if it is worse, for those who run only if it lasts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat_hub.core.workflows.figures import DRIFT, FORGET, GAP, LASTING, LEAP, LONGEST_FORGET, Figure, Way


class Watched:
    """A figure, and a clock that runs while it is measured."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.now = 0.0

    def shows(self, *values: float, every: float = 1.0) -> tuple[float, float]:
        for value in values:
            self.now += every
            self.figure.measured(value, self.now)
        return self.figure.careful, self.figure.steady


def test_a_leap_down_counts_at_once_for_newcomers_alone() -> None:
    house = Watched(Figure(40, 0))
    assert house.shows(40 * (1 - LEAP)) == (40, 40)
    assert house.shows(40 * (1 - LEAP) - 0.01) == pytest.approx((31.99, 40))


def test_a_shortfall_counts_when_it_has_lasted_and_not_a_moment_before() -> None:
    house = Watched(Figure(40, 0))
    house.shows(*[30.0] * int(LASTING))
    assert house.figure.steady == 40
    assert house.shows(30.0) == (30, 30), "between the first and the last lie LASTING seconds"


def test_one_good_value_begins_the_time_anew() -> None:
    house = Watched(Figure(40, 0))
    house.shows(*[30.0] * int(LASTING), 40 * (1 - DRIFT), *[30.0] * int(LASTING))
    assert house.figure.steady == 40
    house.shows(30.0)
    assert house.figure.steady == 30


def test_the_best_of_what_lasted_is_believed() -> None:
    house = Watched(Figure(40, 0))
    house.shows(*[30.0, 35.0, 25.0] * 10, 25.0)
    assert house.figure.steady == 35


def test_a_quiet_hour_is_no_evidence() -> None:
    house = Watched(Figure(40, 0))
    house.shows(20.0)
    house.now += 3600
    house.shows(20.0)
    assert house.figure.steady == 40
    assert house.shows(20.0, 20.0, every=2 * GAP)[1] == 20, "four in a row, far apart, are"


def test_newcomers_come_back_to_a_node_that_is_well_for_as_long() -> None:
    house = Watched(Figure(40, 0))
    house.shows(10.0, *[40.0] * int(LASTING))
    assert house.figure.careful == 10
    assert house.shows(40.0) == (40, 40)


def test_a_node_that_is_faster_than_it_said_is_believed_when_it_lasts() -> None:
    house = Watched(Figure(1.8, 0))
    house.shows(*[6.0] * int(LASTING))
    assert house.figure.careful == 1.8
    assert house.shows(6.0) == (6, 6)


def test_jitter_changes_nothing() -> None:
    figure = Figure(40, 0)
    assert not any(figure.measured(40 + n % 5 - 2, float(n)) for n in range(1000))


def test_what_a_node_announces_counts_at_once_unless_it_is_worse_for_those_who_run() -> None:
    house = Watched(Figure(40, 0))
    assert house.figure.announce(60, 0)
    assert (house.figure.careful, house.figure.steady) == (60, 60)
    assert house.figure.announce(50, 0)
    assert (house.figure.careful, house.figure.steady) == (50, 60)
    assert not house.figure.announce(50, 0)
    house.shows(*[50.0] * (int(LASTING) - 1))
    assert house.figure.steady == 60
    house.shows(50.0)
    assert house.figure.steady == 50, "what it announced is the first evidence"


def test_what_nobody_confirms_is_forgotten_and_the_next_time_later() -> None:
    house = Watched(Figure(40, 0))
    assert house.figure.forget_at() is None
    patience = FORGET
    for _ in range(12):
        house.shows(*[20.0] * 45)
        assert house.figure.steady == 20
        assert house.figure.forget_at() == house.now + patience
        assert not house.figure.pass_time(house.now + patience - 0.001)
        house.now += patience
        assert house.figure.pass_time(house.now)
        assert (house.figure.careful, house.figure.steady) == (40, 40)
        patience = min(2 * patience, LONGEST_FORGET)
    assert patience == LONGEST_FORGET


def test_a_way_that_is_long_for_a_moment_and_one_that_stays_so() -> None:
    house = Watched(Way(0.0, 0))
    assert house.shows(0.0005) == (0, 0)
    assert house.shows(0.1) == (0.1, 0)
    assert house.shows(*[0.01] * 31) == (0.01, 0.01)
    assert house.shows(*[0.012] * 40) == (0.012, 0.012)
    assert house.shows(*[0.2] * 40) == (0.2, 0.2)
    due = house.figure.forget_at()
    assert due == house.now + FORGET
    assert house.figure.pass_time(due)
    assert house.figure.careful == pytest.approx(0.01), "the best that it had for LASTING seconds"


@given(
    st.lists(st.tuples(st.floats(0.01, 1000), st.floats(0, 700), st.booleans()), max_size=80), st.booleans()
)
def test_the_careful_figure_is_never_the_better_one(
    steps: list[tuple[float, float, bool]], way: bool
) -> None:
    figure, now = (Way(0.0, 0.0) if way else Figure(40.0, 0.0)), 0.0
    for value, seconds, said in steps:
        now += seconds
        figure.pass_time(now)
        before = (figure.careful, figure.steady)
        changed = figure.announce(value, now) if said and not way else figure.measured(value, now)
        assert changed == (before != (figure.careful, figure.steady))
        assert figure.worst((figure.careful, figure.steady)) == figure.careful
