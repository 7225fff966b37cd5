"""The dispatch rules side by side in the simulator: batches against the optimum, and streams.

    python benchmarks/dispatch_simulated.py [--seeds 20] [--jobs 300]
        [--stream 200000] [--stream-seeds 1] [--json] [--no-batches]

Batches: the makespan over the offline optimum (meerkat_experiments.streams.optimum says how it is
computed), the median over the seeds where chance takes part. Streams: mean and p99 of the time from
arrival to answer, the medians over the seeds, and in brackets by how many per cent ECT* and the pool are
above the best of the other rules. All rules see the same jobs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import fmean, median
from typing import Any

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

SETS = ((40.0, 20.0, 10.0), (60.0, 30.0, 10.0))
CLIPS = (2.0, 1.0, 0.3)
LOADS = (0.3, 0.6, 0.8, 0.95)

Make = Callable[[], Dealer]
RULES: dict[str, Make] = {
    "round robin": lambda: by_rule(RoundRobin()),
    "static weights": lambda: by_rule(WeightedRoundRobin()),
    "pull 1 (paper)": lambda: by_rule(Pull(1)),
    "pull 2": lambda: by_rule(Pull(2)),
    "ECT*": lambda: by_rule(EctStar()),
    "ECT* hedged": lambda: by_rule(EctStar(), hedger=Hedger()),
    "pool": by_pool,
}
STREAM_RULES: dict[str, Make] = {
    "static weights": RULES["static weights"],
    "least in flight": lambda: by_rule(LeastInFlight()),
    "pull 1 (paper)": RULES["pull 1 (paper)"],
    "pull 2": RULES["pull 2"],
    "ECT*": RULES["ECT*"],
    "pool": by_pool,
}
OURS = ("ECT*", "pool")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="batches per case with chance in it")
    parser.add_argument("--jobs", type=int, default=300, help="jobs of a batch")
    parser.add_argument("--stream", type=int, default=20_000, help="jobs of a stream; 0 leaves streams out")
    parser.add_argument("--stream-seeds", type=int, default=1)
    parser.add_argument("--no-batches", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    batches = [] if options.no_batches else list(measure_batches(options.jobs, options.seeds))
    streams = []
    for row in measure_streams(options.stream, options.stream_seeds) if options.stream else ():
        streams.append(row)
        print(f"{row['workers']} {row['case']} done", file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps({"batches": batches, "streams": streams}, indent=1, ensure_ascii=False))
        return
    if batches:
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
        "the same, CV 0.5": lambda seed: dying(batch(capacities, jobs, seed=seed, cv=0.5), third),
        "fastest slows threefold": lambda seed: slowing(batch(capacities, jobs, seed=seed), third),
        "announced alike": lambda seed: announced_alike(batch(capacities, jobs, seed=seed)),
        "announced backwards": lambda seed: announced_backwards(batch(capacities, jobs, seed=seed)),
    }


def measure_batches(jobs: int, seeds: int) -> Iterator[dict[str, Any]]:
    for capacities in SETS:
        for case, make in cases(capacities, jobs).items():
            yield batch_row(named(capacities), case, make, seeds)
    yield batch_row(named(CLIPS), "30 clips, CV 0.5", lambda seed: batch(CLIPS, 30, seed=seed, cv=0.5), seeds)


def batch_row(workers: str, case: str, make: Callable[[int], Scenario], seeds: int) -> dict[str, Any]:
    scenarios = [make(seed) for seed in range(seeds)]
    if scenarios[0].identical:
        scenarios = scenarios[:1]
    row: dict[str, Any] = {"workers": workers, "case": case}
    for name, build in RULES.items():
        ratios, again = [], []
        for scenario in scenarios:
            run = simulate(scenario, build())
            if len(run.sojourns) != len(scenario.arrivals):
                raise RuntimeError(f"{name}, {case}: {len(run.sojourns)} answers")
            ratios.append(run.makespan / optimum(scenario))
            again.append(run.redone + run.copies)
        row[name] = {"ratio": median(ratios), "worst": max(ratios), "again": fmean(again)}
    return row


def measure_streams(jobs: int, seeds: int) -> Iterator[dict[str, Any]]:
    """CV 0 and 0.5 at each load, and one with stragglers."""
    for capacities in reversed(SETS):
        for load in LOADS:
            for cv in (0.0, 0.5):
                made = [poisson(capacities, load, jobs, cv=cv, seed=seed) for seed in range(1, seeds + 1)]
                yield stream_row(capacities, f"load {load}, CV {cv}", load, made)
        made = [
            replace(poisson(capacities, 0.6, jobs, seed=seed), outliers=0.02) for seed in range(1, seeds + 1)
        ]
        yield stream_row(capacities, "load 0.6, 2 % tenfold", 0.6 * 1.18, made)


def stream_row(
    capacities: tuple[float, ...], case: str, load: float, scenarios: list[Scenario]
) -> dict[str, Any]:
    row: dict[str, Any] = {"workers": named(capacities), "case": case}
    for name, build in STREAM_RULES.items():
        if name.startswith("pull") and not bears(scenarios[0], int(name[5]), load):
            row[name] = None
            continue
        runs = [simulate(scenario, build()) for scenario in scenarios]
        row[name] = {
            "mean": median(run.mean for run in runs),
            "p99": median(run.p99 for run in runs),
            "copies": fmean(run.copies / len(run.sojourns) for run in runs),
        }
    others = [row[name] for name in STREAM_RULES if name not in OURS and row[name] is not None]
    for name in OURS:
        for what in ("mean", "p99"):
            row[name][f"{what} above"] = row[name][what] / min(other[what] for other in others) - 1
    return row


def bears(scenario: Scenario, credit: int, load: float) -> bool:
    """Whether a pull can keep up: each worker does at most `credit` jobs per job and round trip."""
    total = sum(w.capacity for w in scenario.workers)
    reached = (min(w.capacity, credit / (1 / w.capacity + w.round_trip)) for w in scenario.workers)
    return sum(reached) > load * total


def named(capacities: tuple[float, ...]) -> str:
    return "/".join(f"{capacity:g}" for capacity in capacities)


def table(rows: list[dict[str, Any]], rules: list[str]) -> str:
    lines = [f"{'workers':9} {'case':27}" + "".join(f"{rule:>21}" for rule in rules)]
    for row in rows:
        cells = "".join(f"{cell(row[rule]):>21}" for rule in rules)
        lines.append(f"{row['workers']:9} {row['case']:27}{cells}")
    return "\n".join(lines)


def cell(value: dict[str, float] | None) -> str:
    if value is None:
        return "unstable"
    if "ratio" in value:
        return f"{value['ratio']:.3f}" + (f" ({value['again']:.1f})" if value["again"] else "")
    said = f"{value['mean'] * 1e3:.1f}/{value['p99'] * 1e3:.0f}"
    if "p99 above" in value:
        said += f" ({100 * value['mean above']:+.1f}/{100 * value['p99 above']:+.1f})"
    return said


if __name__ == "__main__":
    main()
