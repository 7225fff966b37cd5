"""Shares and waits of flows on a simulated clock, with service times that vary by a fifth."""

from __future__ import annotations

from statistics import median

import pytest

from .fair_world import run

HOMES = [(60.0, 30.0, 10.0), (40.0, 20.0, 10.0)]


@pytest.mark.parametrize(
    "weights", [{"a": 1.0, "b": 1.0}, {"a": 3.0, "b": 1.0}, {"a": 10.0, "b": 1.0}], ids=str
)
def test_shares_are_within_a_hundredth_of_the_weights_under_overload(weights: dict[str, float]) -> None:
    served = run({"a": 150, "b": 150}, weights=weights, seconds=30).served
    for flow, weight in weights.items():
        assert served[flow] / served.total() == pytest.approx(weight / sum(weights.values()), abs=0.01)


@pytest.mark.parametrize(("capacities", "round_trip"), [(HOMES[0], 0.012), (HOMES[1], 0.002)], ids=str)
def test_a_light_flow_beside_a_flood_waits_about_twice_as_long_as_alone(
    capacities: tuple[float, ...], round_trip: float
) -> None:
    """Light: a twentieth of the pool. The flood is four times what the pool can do.

    What it waits for is not the flood but what the workers hold already: the job at work, and the one or
    two behind it that hide the round trip. Median of three seeds: 1.90 to 2.03.
    """
    light, flood = 0.05 * sum(capacities), 4 * sum(capacities)
    ratios = []
    for seed in (1, 2, 3):
        alone = run({"light": light}, capacities=capacities, round_trip=round_trip, seed=seed)
        beside = run(
            {"light": light, "flood": flood},
            capacities=capacities,
            round_trip=round_trip,
            seed=seed,
        )
        ratios.append(beside.p99("light") / alone.p99("light"))
        assert beside.served.total() > 0.98 * 58 * sum(capacities), "and nobody idles"
    assert median(ratios) <= 2.1
