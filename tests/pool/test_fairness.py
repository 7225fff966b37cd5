"""Shares and waits of flows on a simulated clock, with service times that vary by a fifth.

`python benchmarks/flood.py` prints the figures of all cells.
"""

from __future__ import annotations

from statistics import median

import pytest

from meerkat_experiments.streams import share

HOMES = [(60.0, 30.0, 10.0), (40.0, 20.0, 10.0)]


@pytest.mark.parametrize(
    "weights", [{"a": 1.0, "b": 1.0}, {"a": 3.0, "b": 1.0}, {"a": 10.0, "b": 1.0}], ids=str
)
def test_shares_are_within_a_hundredth_of_the_weights_under_overload(weights: dict[str, float]) -> None:
    served = share({"a": 150, "b": 150}, weights=weights, seconds=30).served
    for flow, weight in weights.items():
        assert served[flow] / served.total() == pytest.approx(weight / sum(weights.values()), abs=0.01)


def test_shares_of_floods_stay_the_weights_beside_a_flow_whose_jobs_go_ahead() -> None:
    out = share({"a": 150, "b": 150, "light": 10}, weights={"a": 3.0}, seconds=30)
    assert out.ahead > 200
    assert out.served["light"] == pytest.approx(280, abs=25), "all that it asks for"
    floods = out.served["a"] + out.served["b"]
    assert out.served["a"] / floods == pytest.approx(0.75, abs=0.01)
    assert floods + out.served["light"] > 0.98 * 28 * 100, "and nobody idles"


@pytest.mark.parametrize(
    ("capacities", "round_trip", "part"), [(HOMES[0], 0.012, 0.05), (HOMES[1], 0.002, 0.2)], ids=str
)
def test_a_light_flow_beside_a_flood_waits_at_most_twice_as_long_as_alone(
    capacities: tuple[float, ...], round_trip: float, part: float
) -> None:
    """It waits for the job at work, not for those behind it. The flood is twice what the pool can do."""
    light, flood = part * sum(capacities), 2 * sum(capacities)
    ratios: list[float] = []
    without: list[float] = []
    for seed in (1, 2, 3):
        alone = share({"light": light}, capacities=capacities, round_trip=round_trip, seed=seed)
        assert not alone.ahead, "there is nobody to pass"
        for ahead, found in ((True, ratios), (False, without)):
            beside = share(
                {"light": light, "flood": flood},
                capacities=capacities,
                round_trip=round_trip,
                seed=seed,
                ahead=ahead,
            )
            found.append(beside.p99("light") / alone.p99("light"))
            assert beside.served.total() > 0.98 * 58 * sum(capacities), "and nobody idles"
            assert beside.most_passed < 0.5 + 1 / min(capacities), "nobody is passed for ever"
    assert max(ratios) <= 1.7
    assert median(without) > 1.9, "with workers that know nothing of it"


def test_a_flow_that_asks_for_more_than_its_share_goes_ahead_of_nobody() -> None:
    """Both wait in long queues; one is a second behind for ever, since its items are the younger ones."""
    assert share({"a": 300, "b": 300}, seconds=15).ahead <= 20
