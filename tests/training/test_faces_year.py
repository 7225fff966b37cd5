"""A year at the meter: what happens, how often, and that pictures show it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from meerkat_training import wheels
from meerkat_training.faces.plan import START, UNREADABLE, plan
from meerkat_training.faces.preview import turned
from meerkat_training.faces.year import Year

PLAN = plan(3)
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def year() -> Year:
    return Year(4)


def test_faults_are_as_many_as_promised() -> None:
    counts = Counter(moment.fault for moment in PLAN.moments)
    assert len(PLAN.moments) == 8760
    assert sum(counts[kind] for kind in UNREADABLE) == 876
    assert all(counts[kind] > 20 for kind in UNREADABLE)
    assert counts["glare"] == 175
    assert all((moment.reading is None) == (moment.fault in UNREADABLE) for moment in PLAN.moments)


def test_total_never_falls_and_readings_follow_it() -> None:
    for before, after in pairwise(PLAN.moments):
        drawn = after.total - before.total
        assert 0 <= drawn <= 0.1401
        if after.meter == before.meter:
            assert (after.shown - before.shown) % 100_000 == pytest.approx(drawn, abs=1e-9)
    assert 30 < PLAN.moments[-1].total - PLAN.moments[0].total < 150


def test_meter_rolls_over_once() -> None:
    falls = [after.number for before, after in pairwise(PLAN.moments) if after.shown < before.shown]
    assert falls == [PLAN.rollover, PLAN.exchange.after + 1]
    assert PLAN.moments[PLAN.rollover - 1].shown > 99_999
    assert PLAN.moments[PLAN.rollover].shown < 1


@pytest.mark.parametrize("start", [0.0, 12.3])
def test_meter_is_exchanged_between_two_pictures(start: float) -> None:
    made = plan(3, new_start=start)
    last, first = made.moments[made.exchange.after], made.moments[made.exchange.after + 1]
    assert (last.meter, first.meter) == (0, 1)
    assert last.shown == made.exchange.old
    assert first.shown - start == pytest.approx(first.total - last.total)
    assert made.exchange.new == start
    assert not last.fault
    assert not first.fault


def test_pictures_of_three_days_arrive_late_and_in_order() -> None:
    first, after = PLAN.offline
    assert after - first == 72
    back = START + timedelta(hours=after)
    for moment in PLAN.moments:
        if first <= moment.number < after:
            assert back < moment.arrives < back + timedelta(hours=1)
        else:
            assert moment.arrives == moment.at
    arrivals = PLAN.arrivals()
    assert sorted(moment.number for moment in arrivals) == list(range(8760))
    assert [moment.number for moment in arrivals[first : first + 3]] == [after, first, first + 1]


def test_camera_is_knocked_twice(year: Year) -> None:
    one, two = year.plan.knocked
    layouts = [year.truth(number).layout for number in (one - 1, one, two)]
    assert layouts[0] == year.layout
    for before, after in pairwise(layouts):
        turn = abs(after.rotation_deg - before.rotation_deg)
        assert 0.9 <= turn <= 3.1


def test_same_picture_whatever_was_asked_before(year: Year) -> None:
    number = next(moment.number for moment in year.plan.moments if not moment.fault)
    picture = year.picture(number)
    for other in (5, 100, year.plan.exchange.after + 2):
        year.picture(other)
    assert np.array_equal(year.picture(number), picture)
    assert np.array_equal(Year(4).picture(number), picture)
    assert picture.shape == (480, 640, 3)
    assert picture.dtype == np.uint8


def test_pictures_show_their_readings(year: Year) -> None:
    good = [moment for moment in year.plan.moments if not moment.fault]
    for moment in (good[0], good[2000], good[5000], good[-1]):
        truth = year.truth(moment.number)
        upright = turned(year.picture(moment.number), truth.layout).astype(np.float32)
        for number, position in enumerate(truth.wheels):
            x, y, width, height = (round(part) for part in truth.layout.digits[number])
            seen = upright[y : y + height, x : x + width]
            style = truth.design.wheels[number]
            wide = round(height * truth.design.row.width / truth.design.row.height)
            likely = {
                offset: _likeness(
                    seen, wheels.paint_window(style, (position + offset) % 10, wide, height, RNG)
                )
                for offset in (-2.5, 0.0, 2.5)
            }
            assert max(likely, key=lambda offset: likely[offset]) == 0.0, (moment, number, likely)


def _likeness(seen: NDArray[np.float32], window: NDArray[np.float32]) -> float:
    wide = min(seen.shape[1], window.shape[1])
    a, b = (seen.shape[1] - wide) // 2, (window.shape[1] - wide) // 2
    # Pictures are BGR, windows RGB.
    one, other = seen[:, a : a + wide, ::-1], window[:, b : b + wide]
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_faults_look_like_faults(year: Year) -> None:
    clear = year.picture(next(m.number for m in year.plan.moments if not m.fault)).astype(float)
    first = {moment.fault: moment.number for moment in reversed(year.plan.moments)}
    pictures = {fault: year.picture(first[fault]).astype(float) for fault in UNREADABLE}
    assert pictures["black"].mean() < 12
    assert pictures["white"].mean() > 235
    for hidden in ("fogged", "covered", "blurred"):
        assert _detail(pictures[hidden]) < 0.6 * _detail(clear), hidden
    upside_down = first["upside-down"]
    moment = year.plan.moments[upside_down]
    assert moment.reading is None
    assert abs(np.corrcoef(pictures["upside-down"][::-1, ::-1].ravel(), clear.ravel())[0, 1]) > 0.6


def _detail(picture: NDArray[np.float64]) -> float:
    """Contrast over some pixels' distance, where noise does not count."""
    coarse = picture[..., 0].reshape(120, 4, 160, 4).mean(axis=(1, 3))
    return float(np.abs(np.diff(coarse, axis=1)).mean())
