"""The simulator by hand, and what the rules must reach in it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from statistics import fmean, median

import pytest

from meerkat_experiments.streams import (
    Dealer,
    Scenario,
    announced_alike,
    announced_backwards,
    batch,
    by_pool,
    by_rule,
    dying,
    optimum,
    poisson,
    simulate,
    slowing,
)
from meerkat_hub.core.rules import EctStar, Hedger, LeastInFlight, Pull, RoundRobin, WeightedRoundRobin

SETS = [(60.0, 30.0, 10.0), (40.0, 20.0, 10.0)]
Make = Callable[[], Dealer]


def ours() -> Dealer:
    return by_rule(EctStar())


def hedged() -> Dealer:
    return by_rule(EctStar(), hedger=Hedger())


def pull(credit: int = 1) -> Dealer:
    return by_rule(Pull(credit))


def weights() -> Dealer:
    return by_rule(WeightedRoundRobin())


def least() -> Dealer:
    return by_rule(LeastInFlight())


def robin() -> Dealer:
    return by_rule(RoundRobin())


OURS: list[Make] = [ours, hedged, by_pool]
DEALERS: list[Make] = [*OURS, pull, lambda: pull(2), robin, weights, least]


def ratio(scenario: Scenario, dealer: Dealer) -> float:
    return simulate(scenario, dealer).makespan / optimum(scenario)


# --- the simulator --------------------------------------------------------------------------------


def test_pull_waits_out_the_link() -> None:
    # One worker, 10 jobs a second, 20 ms round trip: with a window of 1 each job takes 120 ms.
    scenario = batch((10,), 3, round_trip=0.02)
    assert simulate(scenario, pull()).makespan == pytest.approx(0.36)
    assert simulate(scenario, pull(2)).makespan == pytest.approx(0.32)
    assert simulate(scenario, pull()).sojourns == pytest.approx([0.12, 0.24, 0.36])


def test_two_workers_by_hand() -> None:
    # a 1 s, b 2 s per job, no distance: a answers at 1, 2, 3 and b at 2: four jobs in 3 s.
    run = simulate(batch((1, 0.5), 4, round_trip=0.0), ours())
    assert run.makespan == 3.0
    assert run.served == {"w0": 3, "w1": 1}
    assert run.sojourns == [1.0, 2.0, 2.0, 3.0]


def test_a_dead_workers_jobs_are_done_elsewhere() -> None:
    # w0 (1 s) answers one at 1.0 and dies at 1.5 with one in hand; w1 (2 s) does that and the last.
    scenario = dying(batch((1, 0.5), 4, round_trip=0.0), 1.5)
    run = simulate(scenario, ours(), trace=True)
    assert run.redone == 1
    assert run.served == {"w0": 1, "w1": 3}
    assert run.makespan == 6.0
    assert (1.5, "gone", "", "w0") in run.trace


def test_a_slower_worker_finishes_what_it_is_at_more_slowly() -> None:
    # 1 s of work, slower threefold from half of it on: 0.5 + 3 × 0.5.
    assert simulate(slowing(batch((1,), 1, round_trip=0.0), 0.5), pull()).makespan == 2.0


def test_a_worker_that_answers_never_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="3 jobs are never answered"):
        simulate(dying(batch((1,), 3), 0.5), pull())


@pytest.mark.parametrize("make", DEALERS)
def test_every_job_is_answered_once_and_the_same_seed_gives_the_same_trace(make: Make) -> None:
    scenario = dying(slowing(batch((60, 30, 10), 80, seed=5, cv=0.5, outliers=0.05), 0.2), 0.4)
    first, second = (simulate(scenario, make(), trace=True) for _ in range(2))
    assert first.trace == second.trace
    assert len(first.sojourns) == sum(first.served.values()) == 80


def test_another_seed_gives_another_trace() -> None:
    first, second = (simulate(poisson((60, 30), 0.5, 50, seed=s, cv=0.5), pull(), trace=True) for s in (1, 2))
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


@pytest.mark.parametrize("make", DEALERS)
@pytest.mark.parametrize("seed", range(3))
def test_no_rule_beats_the_bound(make: Make, seed: int) -> None:
    assert ratio(batch((60, 30, 10), 60, seed=seed, cv=0.5), make()) >= 1 - 1e-6
    assert ratio(batch((60, 30, 10), 60), make()) >= 1 - 1e-6


# --- what the rules reach -------------------------------------------------------------------------


@pytest.mark.parametrize("capacities", SETS)
def test_the_plain_case_orders_the_rules(capacities: tuple[float, ...]) -> None:
    scenario = batch(capacities)
    ratios = [ratio(scenario, dealer) for dealer in (ours(), weights(), pull(2), pull(1), robin())]
    assert ratios[0] <= 1.01
    assert ratios[0] <= ratios[1] + 1e-6
    assert ratios[1:] == sorted(ratios[1:])
    assert ratios[2] < 1.12
    assert 1.3 < ratios[3] < 1.6
    assert ratios[4] > 2.2
    assert ratio(scenario, by_pool()) <= 1.01


@pytest.mark.parametrize("capacities", SETS)
@pytest.mark.parametrize("jobs", [10, 50, 100, 600, 1000])
def test_any_number_of_jobs_is_near_the_optimum(capacities: tuple[float, ...], jobs: int) -> None:
    assert ratio(batch(capacities, jobs), ours()) <= 1.015
    assert ratio(batch(capacities, jobs, round_trip=0.1), ours()) <= 1.02


@pytest.mark.parametrize("make", OURS)
@pytest.mark.parametrize("capacities", SETS)
def test_faults_and_lies_cost_little(capacities: tuple[float, ...], make: Make) -> None:
    plain = batch(capacities)
    third = optimum(plain) / 3
    for change in (announced_alike, announced_backwards):
        assert ratio(change(plain), make()) <= 1.02
    dead = dying(plain, third)
    assert ratio(dead, make()) <= 1.02
    assert simulate(dead, make()).redone <= 3
    assert ratio(slowing(plain, third), make()) <= 1.02
    for seed in range(3):
        varied = dying(batch(capacities, seed=seed, cv=0.5), third)
        run = simulate(varied, make(), trace=True)
        answered = [job for _, what, job, _ in run.trace if what == "answer"]
        assert len(set(answered)) == len(run.sojourns) == 300
        assert len(answered) <= 300 + run.copies


@pytest.mark.parametrize("make", OURS)
@pytest.mark.parametrize("capacities", SETS)
def test_chance_costs_little(capacities: tuple[float, ...], make: Make) -> None:
    varied = [batch(capacities, seed=seed, cv=0.5) for seed in range(7)]
    assert median(ratio(s, make()) for s in varied) <= 1.02


@pytest.mark.parametrize("make", [hedged, by_pool])
@pytest.mark.parametrize("capacities", SETS)
def test_hedging_takes_the_stragglers(capacities: tuple[float, ...], make: Make) -> None:
    hiccups = [batch(capacities, seed=seed, outliers=0.02) for seed in range(10)]
    runs = [simulate(scenario, make()) for scenario in hiccups]
    ratios = [run.makespan / optimum(scenario) for run, scenario in zip(runs, hiccups, strict=True)]
    assert fmean(ratios) <= 1.02
    assert max(ratios) <= 1.05  # unhedged up to 1.2
    assert sum(run.copies for run in runs) <= 0.01 * 300 * 10


@pytest.mark.parametrize("make", [ours, by_pool])
@pytest.mark.parametrize("capacities", SETS)
@pytest.mark.parametrize("load", [0.3, 0.8])
def test_a_stream_waits_no_longer_than_with_the_other_rules(
    capacities: tuple[float, ...], load: float, make: Make
) -> None:
    scenario = poisson(capacities, load, 4000, cv=0.5, seed=1)
    mine = simulate(scenario, make())
    for other in (pull(2), weights(), least()):
        run = simulate(scenario, other)
        assert mine.mean <= run.mean
        assert mine.p99 <= run.p99


@pytest.mark.parametrize("capacities", SETS)
def test_work_that_varies_gets_enough_in_advance(capacities: tuple[float, ...]) -> None:
    """With two jobs at a time short ones let a worker idle for a round trip, which near saturation tells."""
    scenario = poisson(capacities, 0.95, 8000, cv=0.5, seed=1)
    assert simulate(scenario, ours()).mean <= 1.02 * simulate(scenario, least()).mean


def test_one_long_job_at_a_time() -> None:
    """Where a job takes a hundred round trips, none is promised to a worker that may turn out slow."""
    scenario = batch((0.5, 0.25), 12, round_trip=0.01, cv=0.5, seed=2)
    run = simulate(scenario, ours(), trace=True)
    held = {"w0": 0, "w1": 0}
    for _, what, _, worker in run.trace:
        if what in {"send", "answer"}:
            held[worker] += 1 if what == "send" else -1
            assert held[worker] <= 1


def test_many_workers_and_a_long_queue_keep_the_slow_busy_too() -> None:
    """Sixty-four jobs are planned one by one; behind them wait enough for everybody."""
    scenario = batch((60.0,) * 67 + (30.0,) * 67 + (10.0,) * 66, 4000)
    assert ratio(scenario, ours()) <= 1.02
    assert ratio(scenario, by_pool()) <= 1.02
