"""A rendered meter before a camera: its pictures, through the reader and the networks, into its history."""

from __future__ import annotations

import pytest

from meerkat_training.faces.year import Year
from meter_support.rendered_year import Lived, live


def check(lived: Lived) -> None:
    step = lived.year.step
    assert abs(lived.total_error) <= 1.5 * step, "the final total is exact, but for a part of a step"
    assert not lived.wrong_at_once, "nothing is believed that is wrong by more than a litre"
    assert not lived.wrong, "nor in the end"
    assert not lived.stuck, "two good pictures end every bad stretch"
    for moment in lived.year.plan.moments:
        if moment.reading is None:
            assert lived.row(moment.number).verdict != "accepted", "nothing is read where nothing is seen"


@pytest.mark.timeout(300)
def test_ten_days_with_every_fault_ends_with_the_exact_total() -> None:
    lived = live(Year(3, hours=10 * 24))
    check(lived)
    good = [moment for moment in lived.year.plan.moments if not moment.fault]
    assert sum(lived.row(moment.number).verdict == "accepted" for moment in good) >= 0.9 * len(good)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(3))
def test_a_whole_year_ends_with_the_exact_total(seed: int) -> None:
    check(live(Year(seed)))
