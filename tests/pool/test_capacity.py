"""Estimates: drift is followed within ten jobs, outliers are survived, links are told from work."""

from __future__ import annotations

from math import inf, nan
from random import Random

import pytest

from meerkat_hub.core.pool.capacity import Link, Speed


def test_a_wrong_announcement_is_corrected_within_a_few_jobs() -> None:
    speed = Speed(0.01)
    for _ in range(6):
        speed.observe(0.1)
    assert speed.seconds == pytest.approx(0.1, rel=0.2)


@pytest.mark.parametrize("factor", [3.0, 1 / 3])
def test_drift_is_followed_within_ten_jobs(factor: float) -> None:
    speed = Speed(0.1)
    for _ in range(20):
        speed.observe(0.1)
    for _ in range(10):
        speed.observe(0.1 * factor)
    assert speed.seconds == pytest.approx(0.1 * factor, rel=0.25)


def test_one_outlier_moves_it_by_less_than_a_half() -> None:
    speed = Speed(0.1)
    for _ in range(20):
        speed.observe(0.1)
    speed.observe(100.0)
    assert speed.seconds < 0.15


@pytest.mark.parametrize("seconds", [0.0, -1.0, nan, inf])
def test_times_that_cannot_be_are_passed_over(seconds: float) -> None:
    speed = Speed(0.1)
    speed.observe(seconds)
    assert speed.seconds == 0.1
    assert speed.seen == 0


def test_bandwidth_is_told_from_latency_by_the_sizes() -> None:
    """20 ms and 2 MB/s: clips of 0.2 to 2 MB."""
    chance, link = Random(1), Link()
    for _ in range(60):
        size = chance.randint(200_000, 2_000_000)
        link.observe(0.02 + size / 2e6 + chance.uniform(0, 0.01), size)
    assert link.bandwidth == pytest.approx(2e6, rel=0.1)
    assert link.round_trip(50_000) == pytest.approx(0.05, abs=0.02)


def test_like_sizes_tell_no_bandwidth() -> None:
    link = Link()
    for _ in range(20):
        link.observe(0.05, 50_000)
    assert link.bandwidth is None
    assert link.round_trip(50_000) == pytest.approx(0.05, rel=0.05)


def test_a_hiccup_of_the_network_is_survived() -> None:
    link = Link()
    for _ in range(20):
        link.observe(0.01, 1000)
    link.observe(9.0, 1000)
    assert link.round_trip(1000) < 0.02
