"""Experiment E2: do FLO nodes of unlike speed share the work as they are able to?

Three nodes, n images that all wait at t = 0. (The paper speaks of cameras of 80 frames/s together, but
its 100 messages in 1100 ms, and its code, are a batch.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from .bounds import shortest_makespan
from .dispatchers import MakeDispatcher
from .metrics import balance, served_by, throughput
from .parameters import Parameters
from .world import Image, simulate


@dataclass(frozen=True, slots=True)
class Batch:
    """One run. Times in seconds."""

    capacities: tuple[int, ...]
    messages: int
    rule: str
    makespan: float
    """From t = 0 until the broker has the last answer."""
    optimum: float
    served: Mapping[str, int]
    busy: Mapping[str, float]
    """How long each node worked."""

    @property
    def ratio(self) -> float:
        return self.makespan / self.optimum

    @property
    def balance(self) -> float:
        """WB, Eq. 12."""
        capacities = {f"flo-{n}": float(c) for n, c in enumerate(self.capacities, 1)}
        return balance(self.served, capacities, self.makespan)

    @property
    def throughput(self) -> float:
        """PT, Eq. 13."""
        return throughput(self.messages, self.makespan)


def run(
    parameters: Parameters,
    sets: Sequence[tuple[int, ...]],
    messages: Sequence[int],
    rules: Mapping[str, MakeDispatcher],
    *,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Batch]:
    """Every rule on every batch; `tick` is called after each."""
    for capacities in sets:
        for count in messages:
            for name, make in rules.items():
                yield run_one(parameters, capacities, count, name, make)
                tick()


def run_one(
    parameters: Parameters,
    capacities: tuple[int, ...],
    messages: int,
    name: str,
    make: MakeDispatcher,
    *,
    whole_milliseconds: bool = False,
) -> Batch:
    """One batch. `whole_milliseconds`: a node needs int(1000 / capacity) ms, as in the authors' code."""
    flows = [f"workflow-{n}" for n in range(parameters.workflows)]
    images = [
        Image(f"image-{n}", flows[n % len(flows)], f"camera-{n % 4}", 0.0, 0.0) for n in range(messages)
    ]
    seconds = [(1000 // c) / 1000 if whole_milliseconds else 1 / c for c in capacities]
    done = simulate(images, capacities, make, parameters, seconds=seconds)
    nodes = [f"flo-{n}" for n in range(1, len(capacities) + 1)]
    best = shortest_makespan(
        messages,
        [1 / needs for needs in seconds],
        there=parameters.hop,
        back=parameters.delay,
        apart=parameters.transmission,
    )
    return Batch(
        capacities,
        messages,
        name,
        makespan=max(one.answered for one in done),
        optimum=best,
        served=served_by(one.node for one in done),
        busy={node: sum(one.ended - one.begun for one in done if one.node == node) for node in nodes},
    )


def as_object(batch: Batch) -> dict[str, object]:
    """For --json."""
    return {
        "capacities": list(batch.capacities),
        "messages": batch.messages,
        "rule": batch.rule,
        "makespan_ms": round(1e3 * batch.makespan, 3),
        "optimum_ms": round(1e3 * batch.optimum, 3),
        "ratio": round(batch.ratio, 5),
        "wb": round(batch.balance, 6),
        "pt": round(batch.throughput, 3),
        "served": dict(batch.served),
        "mean_busy_ms": round(1e3 * fmean(batch.busy.values()), 3),
    }
