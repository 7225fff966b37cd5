"""The simulator by hand, and what the rules must reach in it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from statistics import fmean

import pytest

from meerkat_hub.core.rules import EctStar, Hedger, LeastInFlight, Pull, RoundRobin, Rule, WeightedRoundRobin
from simulation.optimum import optimum
from simulation.production import ProductionPlan
from simulation.scenario import (
    Scenario,
    announced_alike,
    announced_backwards,
    batch,
    dying,
    poisson,
    slowing,
)
from simulation.world import simulate

SETS = [(60.0, 30.0, 10.0), (40.0, 20.0, 10.0)]
RULES: list[Callable[[], Rule]] = [
    EctStar,
    Pull,
    lambda: Pull(2),
    RoundRobin,
    WeightedRoundRobin,
    LeastInFlight,
    ProductionPlan,
]


def ratio(scenario: Scenario, rule: Rule, hedger: Hedger | None = None) -> float:
    return simulate(scenario, rule, hedger=hedger).makespan / optimum(scenario)


# --- the simulator --------------------------------------------------------------------------------


def test_pull_waits_out_the_link() -> None:
    # One worker, 10 jobs a second, 20 ms round trip: with a window of 1 each job takes 120 ms.
    scenario = batch((10,), 3, round_trip=0.02)
    assert simulate(scenario, Pull()).makespan == pytest.approx(0.36)
    assert simulate(scenario, Pull(2)).makespan == pytest.approx(0.32)
    assert simulate(scenario, Pull()).sojourns == pytest.approx([0.12, 0.24, 0.36])


def test_two_workers_by_hand() -> None:
    # a 1 s, b 2 s per job, no distance: a answers at 1, 2, 3 and b at 2: four jobs in 3 s.
    run = simulate(batch((1, 0.5), 4, round_trip=0.0), EctStar())
    assert run.makespan == 3.0
    assert run.served == {"w0": 3, "w1": 1}
    assert run.sojourns == [1.0, 2.0, 2.0, 3.0]


def test_a_dead_workers_jobs_are_done_elsewhere() -> None:
    # w0 (1 s) answers one at 1.0 and dies at 1.5 with two in hand; w1 (2 s) has done one of two at 2.
    scenario = dying(batch((1, 0.5), 4, round_trip=0.0), 1.5)
    run = simulate(scenario, EctStar(), trace=True)
    assert run.redone == 2
    assert run.served == {"w0": 1, "w1": 3}
    assert run.makespan == 6.0
    assert (1.5, "gone", "", "w0") in run.trace


def test_a_slower_worker_finishes_what_it_is_at_more_slowly() -> None:
    # 1 s of work, slower threefold from half of it on: 0.5 + 3 × 0.5.
    assert simulate(slowing(batch((1,), 1, round_trip=0.0), 0.5), Pull()).makespan == 2.0


def test_a_worker_that_answers_never_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="3 jobs are never answered"):
        simulate(dying(batch((1,), 3), 0.5), Pull())


@pytest.mark.parametrize("make", RULES)
def test_every_job_is_answered_once_and_the_same_seed_gives_the_same_trace(make: Callable[[], Rule]) -> None:
    scenario = dying(slowing(batch((60, 30, 10), 80, seed=5, cv=0.5, outliers=0.05), 0.2), 0.4)
    first, second = (simulate(scenario, make(), hedger=Hedger(), trace=True) for _ in range(2))
    assert first.trace == second.trace
    assert len(first.sojourns) == sum(first.served.values()) == 80


def test_another_seed_gives_another_trace() -> None:
    first, second = (simulate(poisson((60, 30), 0.5, 50, seed=s, cv=0.5), Pull(), trace=True) for s in (1, 2))
    assert first.trace != second.trace


def test_service_times_have_the_variation_asked_for() -> None:
    factors = batch((1,), 20_000, cv=0.5).first_factors()
    mean = fmean(factors)
    assert mean == pytest.approx(1.0, abs=0.02)
    assert fmean((f - mean) ** 2 for f in factors) == pytest.approx(0.25, rel=0.06)
    tenfold = batch((1,), 20_000, outliers=0.02).first_factors()
    assert tenfold.count(10.0) / 20_000 == pytest.approx(0.02, abs=0.003)


# --- the optimum ----------------------------------------------------------------------------------


@pytest.mark.parametrize("capacities", [(3.0, 2.0, 1.0), (5.0, 1.0), (7.0, 3.0, 2.0)])
@pytest.mark.parametrize("jobs", [1, 4, 7])
def test_the_optimum_of_like_jobs_is_that_of_all_ways_to_share_them(
    capacities: tuple[float, ...], jobs: int
) -> None:
    shares = (s for s in product(range(jobs + 1), repeat=len(capacities)) if sum(s) == jobs)
    best = min(max(0.1 + n / c for n, c in zip(s, capacities, strict=True) if n) for s in shares)
    assert optimum(batch(capacities, jobs, round_trip=0.1)) == pytest.approx(best, abs=1e-6)


def test_the_optimum_knows_of_deaths_and_slow_downs() -> None:
    pair = batch((1, 1), 6, round_trip=0.0)
    assert optimum(pair) == pytest.approx(3.0, abs=1e-6)
    assert optimum(dying(pair, 1.5)) == pytest.approx(5.0, abs=1e-6)  # one of w0, five of w1
    assert optimum(slowing(pair, 1.0)) == pytest.approx(4.0, abs=1e-6)  # w0 ends its second at 4
    with pytest.raises(ValueError, match="never"):
        optimum(dying(batch((1,), 3), 0.5))


@pytest.mark.parametrize("make", RULES)
@pytest.mark.parametrize("seed", range(3))
def test_no_rule_beats_the_bound(make: Callable[[], Rule], seed: int) -> None:
    assert ratio(batch((60, 30, 10), 60, seed=seed, cv=0.5), make()) >= 1 - 1e-6
    assert ratio(batch((60, 30, 10), 60), make()) >= 1 - 1e-6


# --- what the rules reach -------------------------------------------------------------------------


@pytest.mark.parametrize("capacities", SETS)
def test_the_plain_case_orders_the_rules(capacities: tuple[float, ...]) -> None:
    scenario = batch(capacities)
    ours, weights, two, one, robin = (
        ratio(scenario, rule) for rule in (EctStar(), WeightedRoundRobin(), Pull(2), Pull(1), RoundRobin())
    )
    assert ours <= 1.01
    assert ours <= weights + 1e-6
    assert weights < two < one < robin
    assert two < 1.12
    assert 1.3 < one < 1.6
    assert robin > 2.2


@pytest.mark.parametrize("capacities", SETS)
@pytest.mark.parametrize("jobs", [10, 50, 100, 600, 1000])
def test_any_number_of_jobs_is_near_the_optimum(capacities: tuple[float, ...], jobs: int) -> None:
    assert ratio(batch(capacities, jobs), EctStar()) <= 1.015
    assert ratio(batch(capacities, jobs, round_trip=0.1), EctStar()) <= 1.02


@pytest.mark.parametrize("capacities", SETS)
def test_faults_and_lies_cost_little(capacities: tuple[float, ...]) -> None:
    plain = batch(capacities)
    third = optimum(plain) / 3
    for change in (announced_alike, announced_backwards):
        assert ratio(change(plain), EctStar()) <= 1.02
    dead = dying(plain, third)
    assert ratio(dead, EctStar()) <= 1.02
    assert simulate(dead, EctStar()).redone <= 3
    assert ratio(slowing(plain, third), EctStar()) <= 1.02


@pytest.mark.parametrize("capacities", SETS)
def test_chance_costs_little_and_hedging_takes_the_stragglers(capacities: tuple[float, ...]) -> None:
    varied = [batch(capacities, seed=seed, cv=0.5) for seed in range(10)]
    assert fmean(ratio(s, EctStar()) for s in varied) <= 1.02
    hiccups = [batch(capacities, seed=seed, outliers=0.02) for seed in range(10)]
    assert fmean(ratio(s, EctStar(), Hedger()) for s in hiccups) <= 1.02
    assert sum(simulate(s, EctStar(), hedger=Hedger()).copies for s in hiccups) <= 0.01 * 300 * 10


@pytest.mark.parametrize("capacities", SETS)
@pytest.mark.parametrize("load", [0.3, 0.8])
def test_a_stream_waits_no_longer_than_with_the_other_rules(
    capacities: tuple[float, ...], load: float
) -> None:
    scenario = poisson(capacities, load, 4000, cv=0.5, seed=1)
    ours = simulate(scenario, EctStar())
    for rule in (Pull(2), WeightedRoundRobin(), LeastInFlight()):
        other = simulate(scenario, rule)
        assert ours.mean <= other.mean
        assert ours.p99 <= other.p99
