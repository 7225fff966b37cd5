"""How long a light workflow waits beside a flood, over how long it waits alone.

    python benchmarks/flood.py [--seeds 3] [--seconds 200] [--json]
    python benchmarks/flood.py --real [--seconds 60] [--capacities 40,20,10]

The pool that the hub runs, on a simulated clock (`meerkat_experiments.streams.flows`): a flow that asks for
a twentieth or a fifth of the pool, and one of the same weight that asks for twice the pool. Each cell is
the ratio of the 99th percentiles for workers that know of jobs that go `ahead` of others, the worst of the
seeds and the median, and the same for workers that do not.

`--real` has a broker, a hub and worker processes instead, and a doorbell beside clips of motion: what may go
ahead there is what is urgent. It takes twice `--seconds`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median

from meerkat_experiments.real import doorbell
from meerkat_experiments.streams import share

SETS = ((60.0, 30.0, 10.0), (40.0, 20.0, 10.0))
ROUND_TRIPS = (0.002, 0.012)
PARTS = (0.05, 0.2)
FLOOD = 2.0
"""Of the pool's capacity."""


@dataclass(frozen=True, slots=True)
class Cell:
    capacities: tuple[float, ...]
    round_trip: float
    """Seconds."""
    part: float
    """Of the pool's capacity that the light flow asks for."""
    alone: float
    """Its 99th percentile alone, seconds, the median of the seeds; the flood's jobs are not there."""
    ratios: tuple[float, ...]
    """One for each seed."""
    without: tuple[float, ...]
    """The same, with workers that do not know of jobs that go ahead."""
    most_passed: float
    """Seconds of work that went before one job of the flood at a worker, at most."""
    throughput: float
    """Answers over what the workers can do; the least of the seeds."""


def measure(seeds: int, seconds: float) -> Iterator[Cell]:
    for capacities in SETS:
        for round_trip in ROUND_TRIPS:
            for part in PARTS:
                yield cell(capacities, round_trip, part, seeds, seconds)


def cell(capacities: tuple[float, ...], round_trip: float, part: float, seeds: int, seconds: float) -> Cell:
    total = sum(capacities)
    light, flood = {"light": part * total}, {"flood": FLOOD * total}
    alone, ratios, without, passed, throughput = [], [], [], [], []
    for seed in range(1, seeds + 1):
        run = partial(share, capacities=capacities, round_trip=round_trip, seed=seed, seconds=seconds)
        base = run(light).p99("light")
        beside = run(light | flood)
        as_before = run(light | flood, ahead=False)
        alone.append(base)
        ratios.append(beside.p99("light") / base)
        without.append(as_before.p99("light") / base)
        passed.append(beside.most_passed)
        throughput.append(beside.served.total() / (seconds - 2) / total)
    return Cell(
        capacities,
        round_trip,
        part,
        median(alone),
        tuple(ratios),
        tuple(without),
        max(passed),
        min(throughput),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, help="simulated, 200; with --real of this machine, 60")
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--capacities", default="40,20,10", help="of --real, jobs a second")
    parser.add_argument("--round-trip", type=float, default=12.0, help="of --real, injected, milliseconds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.real:
        capacities = [float(word) for word in options.capacities.split(",")]
        show_real(doorbell.run(capacities, options.seconds or 60.0, round_trip=options.round_trip / 1e3))
        return
    cells = []
    if not options.json:
        print(
            f"{'workers':9} {'round trip':>10} {'light':>6} {'alone':>7}   ahead: worst/median   without"
            "       passed at most   throughput"
        )
    for found in measure(options.seeds, options.seconds or 200.0):
        cells.append(found)
        if not options.json:
            print(row(found), flush=True)
    if options.json:
        print(json.dumps([asdict(each) for each in cells], indent=1))


def row(cell: Cell) -> str:
    named = "/".join(f"{capacity:g}" for capacity in cell.capacities)
    return (
        f"{named:9} {1e3 * cell.round_trip:7.0f} ms {cell.part:6.0%} {1e3 * cell.alone:4.0f} ms"
        f"{max(cell.ratios):12.2f} / {median(cell.ratios):.2f}"
        f"{max(cell.without):12.2f} / {median(cell.without):.2f}"
        f"{1e3 * cell.most_passed:13.0f} ms{cell.throughput:13.3f}"
    )


def show_real(waits: doorbell.Waits) -> None:
    print(f"{'doorbell':9}{'clips':>7}{'p50':>9}{'p90':>9}{'p99':>9}")
    for name, found in (("alone", waits.alone), ("beside", waits.beside)):
        ranks = [sorted(found)[int(q * (len(found) - 1))] for q in (0.5, 0.9, 0.99)]
        print(f"{name:9}{len(found):7}" + "".join(f"{1e3 * seconds:6.0f} ms" for seconds in ranks))


if __name__ == "__main__":
    main()
