"""Peaks on a circle, and views that are averaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat_inference.meter.distribution import average, peak, seen
from meter_support.painted import distribution

places = st.floats(0, 10, exclude_max=True)


def gap(one: float, other: float) -> float:
    return abs((one - other + 5) % 10 - 5)


@settings(deadline=None)
@given(places, st.floats(0.02, 0.12))
def test_a_peak_is_found_all_around_the_circle(place: float, sigma: float) -> None:
    found = peak(distribution(place, sigma))
    assert gap(found.position, place) < 0.06
    assert found.mass > 0.97
    assert 0 <= found.position < 10


def test_zero_lies_between_its_neighbours() -> None:
    circle = np.zeros(101, np.float32)
    circle[[98, 99, 0, 1, 2]] = 0.2
    found = peak(circle)
    assert gap(found.position, 0.0) < 1e-4
    assert found.mass == pytest.approx(1.0)


def test_what_is_spread_out_has_little_mass() -> None:
    flat = np.append(np.full(100, 0.009), 0.1).astype(np.float32)
    assert peak(flat).mass == pytest.approx(0.063, abs=1e-3)
    both = (distribution(2.0, 0.03) + distribution(7.0, 0.03)) / 2
    assert peak(both).mass == pytest.approx(0.5, abs=0.01)


def test_what_is_no_wheel_takes_from_the_peak() -> None:
    found = peak(distribution(3.0, nothing=0.4))
    assert found.mass == pytest.approx(0.6, abs=0.01)
    assert found.nothing == pytest.approx(0.4)


def test_nothing_at_all_is_no_error() -> None:
    found = peak(np.append(np.zeros(100), 1).astype(np.float32))
    assert found.mass == 0
    assert seen(np.append(np.zeros(100), 1).astype(np.float32), 3).position is None


def test_one_misled_view_does_not_outvote_the_others() -> None:
    right, misled = distribution(0.0, nothing=0.01), distribution(8.0)
    found = average([misled, right, right, right], [1.0, 0.6, 0.6, 0.6])
    assert gap(peak(found).position, 0.0) < 0.1
    assert found.sum() == pytest.approx(1.0)


def test_as_a_message() -> None:
    told = seen(distribution(9.98, 0.03), 0)
    assert told.digit == 0
    assert told.position is not None
    assert 0 <= told.position < 10
