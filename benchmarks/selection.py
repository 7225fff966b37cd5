"""What the ways to choose nodes cost: against the optimum, and in time.

    python benchmarks/selection.py [--pools 200] [--nodes 20] [--json]

Every method chooses for the same demand from the same random pool; its cost (A = B = C = D = 0.25) is
told as a multiple of the optimum's, as far as the exact search proved it. How far the heuristics are
off depends on what is in the pool, so there are several kinds. The line above them is what was measured
earlier on pools of 20 nodes whose make-up is not on record: compare the size, not the digits.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from meerkat_hub.core.workflows.selection import METHODS, Node, Selection, select_nodes

EARLIER_NODES = 20
EARLIER = {"first_fit": 2.09, "best_fit": 2.29, "worst_fit": 1.69, "melinda": 1.07}
EARLIER_WORST = {"melinda": 1.42}

Chance = random.Random


@dataclass(frozen=True)
class Kind:
    name: str
    capacity: Callable[[Chance], float]
    energy: Callable[[Chance, float], float]
    demand: Callable[[Chance, float], float]
    """From the pool's capacity."""


def of_cameras(chance: Chance, _: float) -> float:
    """Two to ten cameras at 20 frames a second."""
    return 20.0 * chance.randint(2, 10)


KINDS = (
    Kind(
        "10 to 100 frames/s, watts as capacity",
        lambda c: float(c.randint(10, 100)),
        lambda c, capacity: capacity / 4 * c.uniform(0.5, 1.5),
        of_cameras,
    ),
    Kind(
        "10 to 100 frames/s, 1 to 10 watts",
        lambda c: float(c.randint(10, 100)),
        lambda c, _: c.uniform(1, 10),
        of_cameras,
    ),
    Kind(
        "10, 20, 40 or 60 frames/s, 2 to 15 watts",
        lambda c: c.choice((10.0, 20.0, 40.0, 60.0)),
        lambda c, _: c.uniform(2, 15),
        of_cameras,
    ),
    Kind(
        "5 to 60 frames/s, any demand",
        lambda c: c.uniform(5, 60),
        lambda c, _: c.uniform(2, 15),
        lambda c, total: total * c.uniform(0.1, 0.9),
    ),
)


@dataclass
class Row:
    kind: str
    ratios: dict[str, list[float]] = field(default_factory=dict)
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)
    proven: int = 0
    pools: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pools", type=int, default=200)
    parser.add_argument("--nodes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measure(kind, options.pools, options.nodes, options.seed) for kind in KINDS]
    if options.json:
        print(json.dumps([summary(row) for row in rows], indent=1))
    else:
        show(rows, options.nodes)


def a_pool(kind: Kind, nodes: int, chance: Chance) -> list[Node]:
    pool = []
    for i in range(nodes):
        capacity = kind.capacity(chance)
        energy = kind.energy(chance, capacity)
        pool.append(Node(f"n{i}", capacity, chance.uniform(1, 20), energy, chance.uniform(0.9, 1)))
    return pool


def measure(kind: Kind, pools: int, nodes: int, seed: int) -> Row:
    chance = random.Random(seed)
    row = Row(kind.name, {method: [] for method in METHODS}, {method: [] for method in METHODS})
    while row.pools < pools:
        pool = a_pool(kind, nodes, chance)
        total = sum(node.capacity for node in pool)
        demand = kind.demand(chance, total)
        if demand > total:
            continue
        row.pools += 1
        costs: dict[str, float] = {}
        proven = False
        for method in METHODS:
            begin = time.perf_counter()
            selection = select_nodes(method, demand, pool)
            row.milliseconds[method].append(1000 * (time.perf_counter() - begin))
            assert isinstance(selection, Selection)
            costs[method] = selection.cost.total
            if method == "exact":
                row.steps.append(selection.steps)
                proven = selection.optimal
        row.proven += proven
        if proven:
            for name, cost in costs.items():
                row.ratios[name].append(cost / costs["exact"])
    return row


def summary(row: Row) -> dict[str, object]:
    return {
        "kind": row.kind,
        "pools": row.pools,
        "proven": row.proven,
        "mean": {m: statistics.fmean(ratios) for m, ratios in row.ratios.items() if ratios},
        "worst": {m: max(ratios) for m, ratios in row.ratios.items() if ratios},
        "median_milliseconds": {m: statistics.median(times) for m, times in row.milliseconds.items()},
    }


def show(rows: list[Row], nodes: int) -> None:
    heuristics = [method for method in METHODS if method != "exact"]
    table = Table(
        title=f"Cost over the optimum's, mean (worst); pools of {nodes} nodes", title_justify="left"
    )
    table.add_column("pools")
    for method in heuristics:
        table.add_column(method, justify="right")
    table.add_column("proven", justify="right")
    earlier = [
        f"{EARLIER[m]:.2f}" + (f" ({EARLIER_WORST[m]:.2f})" if m in EARLIER_WORST else "") for m in heuristics
    ]
    if nodes == EARLIER_NODES:
        table.add_row("measured earlier", *earlier, "", end_section=True)
    for row in rows:
        cells = [
            f"{statistics.fmean(row.ratios[m]):.2f} ({max(row.ratios[m]):.2f})" if row.ratios[m] else "–"
            for m in heuristics
        ]
        table.add_row(row.kind, *cells, f"{row.proven} of {row.pools}")
    speed = Table(title="Milliseconds to choose, median / worst", title_justify="left")
    speed.add_column("pools")
    for name in METHODS:
        speed.add_column(name, justify="right")
    speed.add_column("exact's steps", justify="right")
    for row in rows:
        cells = [
            f"{statistics.median(row.milliseconds[m]):.2f} / {max(row.milliseconds[m]):.2f}" for m in METHODS
        ]
        speed.add_row(row.kind, *cells, f"{statistics.median(row.steps):.0f} / {max(row.steps)}")
    console = Console(width=140)
    console.print(table)
    console.print()
    console.print(speed)


if __name__ == "__main__":
    main()
