"""The dispatch rules side by side in the simulator: batches against the optimum, and streams.

    python benchmarks/dispatch_simulated.py [--seeds 20] [--jobs 300] [--stream 20000] [--json]

Batches: the makespan over the offline optimum (tests/simulation/optimum.py says how it is computed), the
mean over the seeds where chance takes part. Streams: mean and p99 of the time from arrival to answer.
All rules see the same jobs. "designed" and "paper" are the figures we set out with.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from meerkat_hub.core.rules import (
    EctStar,
    Hedger,
    LeastInFlight,
    Pull,
    RoundRobin,
    Rule,
    WeightedRoundRobin,
)
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

SETS = ((40.0, 20.0, 10.0), (60.0, 30.0, 10.0))
CLIPS = (2.0, 1.0, 0.3)
"""Clips a second: what a house's workers do."""

Make = Callable[[], tuple[Rule, Hedger | None]]
RULES: dict[str, Make] = {
    "round robin": lambda: (RoundRobin(), None),
    "static weights": lambda: (WeightedRoundRobin(), None),
    "least in flight": lambda: (LeastInFlight(), None),
    "pull 1 (paper)": lambda: (Pull(1), None),
    "pull 2": lambda: (Pull(2), None),
    "production": lambda: (ProductionPlan(), None),
    "ECT*": lambda: (EctStar(), None),
    "ECT* hedged": lambda: (EctStar(), Hedger()),
}
STREAM_RULES: dict[str, Make] = {
    "static weights": RULES["static weights"],
    "least in flight": RULES["least in flight"],
    "pull 1 (paper)": RULES["pull 1 (paper)"],
    "pull 2": RULES["pull 2"],
    "production": RULES["production"],
    "ECT, none to come": lambda: (EctStar(still_to_come=0.0), None),
    "ECT*, a quarter": lambda: (EctStar(still_to_come=0.25, load_power=0.0), None),
    "ECT*": RULES["ECT*"],
}

# For 40/20/10 and 60/30/10: pull with credit 1, pull with credit 2, ECT*, ECT* hedged.
DESIGNED: dict[str, tuple[str, str]] = {
    "plain": ("pull 1.32–1.35, ECT* 1.000", "pull 1.54–1.56, ECT* 1.000"),
    "round trip 100 ms": ("3.48, 1.75, 1.000", "4.70, 2.38, 1.003"),
    "service time CV 0.5": ("1.35, 1.02, 1.009", "1.54, 1.07, 1.006"),
    "2 % take ten times as long": ("1.34, 1.03, 1.022, 1.012", "1.50, 1.05, 1.026, 1.007"),
    "fastest dies at a third": ("1.29, 1.01, 1.006", "1.44, 1.02, 1.008"),
    "fastest slows threefold": ("1.26, 1.01, 1.007", "1.39, 1.02, 1.007"),
    "announced alike": ("1.35, 1.02, 1.002", "1.54, 1.04, 1.002"),
}
DESIGNED_STREAMS = {
    ((60.0, 30.0, 10.0), 0.3, 0.0): "pull 54/136, ECT* 33/60",
    ((60.0, 30.0, 10.0), 0.8, 0.0): "pull 2 70/243, ECT* 60/178",
    ((60.0, 30.0, 10.0), 0.95, 0.5): "pull 2 271/717, ECT* 158/454",
    ((40.0, 20.0, 10.0), 0.3, 0.0): "p99: plain ECT 83, ECT* 103",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="batches per case with chance in it")
    parser.add_argument("--jobs", type=int, default=300, help="jobs of a batch")
    parser.add_argument("--stream", type=int, default=20_000, help="jobs of a stream; 0 leaves streams out")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    batches = list(measure_batches(options.jobs, options.seeds))
    streams = list(measure_streams(options.stream)) if options.stream else []
    if options.json:
        print(json.dumps({"batches": batches, "streams": streams}, indent=1, ensure_ascii=False))
        return
    print(f"Makespan over the optimum, {options.jobs} jobs (in brackets: jobs to redo, or copies)")
    print(table(batches, list(RULES)))
    if streams:
        print(f"\nMean/p99 in ms, {options.stream} jobs, 12 ms round trip")
        print(table(streams, list(STREAM_RULES)))


def cases(capacities: tuple[float, ...], jobs: int) -> dict[str, Callable[[int], Scenario]]:
    """For each case, from a seed to what happens."""
    third = optimum(batch(capacities, jobs)) / 3
    return {
        "plain": lambda seed: batch(capacities, jobs, seed=seed),
        "round trip 100 ms": lambda seed: batch(capacities, jobs, seed=seed, round_trip=0.1),
        "service time CV 0.5": lambda seed: batch(capacities, jobs, seed=seed, cv=0.5),
        "2 % take ten times as long": lambda seed: batch(capacities, jobs, seed=seed, outliers=0.02),
        "fastest dies at a third": lambda seed: dying(batch(capacities, jobs, seed=seed), third),
        "fastest slows threefold": lambda seed: slowing(batch(capacities, jobs, seed=seed), third),
        "announced alike": lambda seed: announced_alike(batch(capacities, jobs, seed=seed)),
        "announced backwards": lambda seed: announced_backwards(batch(capacities, jobs, seed=seed)),
    }


def measure_batches(jobs: int, seeds: int) -> Iterator[dict[str, Any]]:
    for position, capacities in enumerate(SETS):
        for case, make in cases(capacities, jobs).items():
            designed = DESIGNED.get(case, ("", ""))[position]
            yield batch_row(named(capacities), case, make, seeds, designed)
    yield batch_row(named(CLIPS), "30 clips, CV 0.5", house, seeds, "")


def house(seed: int) -> Scenario:
    return batch(CLIPS, 30, seed=seed, cv=0.5)


def batch_row(
    workers: str, case: str, make: Callable[[int], Scenario], seeds: int, designed: str
) -> dict[str, Any]:
    scenarios = [make(seed) for seed in range(seeds)]
    if scenarios[0].identical:
        scenarios = scenarios[:1]
    row: dict[str, Any] = {"workers": workers, "case": case}
    for name, build in RULES.items():
        ratios, again = [], []
        for scenario in scenarios:
            rule, hedger = build()
            run = simulate(scenario, rule, hedger=hedger)
            ratios.append(run.makespan / optimum(scenario))
            again.append(run.redone + run.copies)
        row[name] = {"ratio": fmean(ratios), "worst": max(ratios), "again": fmean(again)}
    return row | {"designed": designed}


def measure_streams(jobs: int) -> Iterator[dict[str, Any]]:
    for capacities in reversed(SETS):
        for load in (0.3, 0.6, 0.8, 0.95):
            for cv in (0.0, 0.5):
                scenario = poisson(capacities, load, jobs, cv=cv, seed=1)
                row: dict[str, Any] = {"workers": named(capacities), "case": f"load {load}, CV {cv}"}
                for name, build in STREAM_RULES.items():
                    rule, hedger = build()
                    if isinstance(rule, Pull) and not bears(scenario, rule.credit, load):
                        row[name] = None
                        continue
                    run = simulate(scenario, rule, hedger=hedger)
                    row[name] = {"mean": run.mean, "p99": run.p99}
                yield row | {"designed": DESIGNED_STREAMS.get((capacities, load, cv), "")}


def bears(scenario: Scenario, credit: int, load: float) -> bool:
    """Whether a pull can keep up: each worker does at most `credit` jobs per job and round trip."""
    total = sum(w.capacity for w in scenario.workers)
    reached = (min(w.capacity, credit / (1 / w.capacity + w.round_trip)) for w in scenario.workers)
    return sum(reached) > load * total


def named(capacities: tuple[float, ...]) -> str:
    return "/".join(f"{capacity:g}" for capacity in capacities)


def table(rows: list[dict[str, Any]], rules: list[str]) -> str:
    lines = [f"{'workers':9} {'case':27}" + "".join(f"{rule:>18}" for rule in rules) + "  designed"]
    for row in rows:
        cells = "".join(f"{cell(row[rule]):>18}" for rule in rules)
        lines.append(f"{row['workers']:9} {row['case']:27}{cells}  {row['designed']}")
    return "\n".join(lines)


def cell(value: dict[str, float] | None) -> str:
    if value is None:
        return "unstable"
    if "ratio" in value:
        return f"{value['ratio']:.3f}" + (f" ({value['again']:.1f})" if value["again"] else "")
    return f"{value['mean'] * 1e3:.0f}/{value['p99'] * 1e3:.0f}"


if __name__ == "__main__":
    main()
