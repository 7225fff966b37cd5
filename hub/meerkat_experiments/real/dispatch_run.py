"""E2 over real processes: every rule on every set of workers and number of images, several times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from meerkat_experiments.paper.bounds import shortest_makespan
from meerkat_experiments.paper.metrics import balance, throughput

from .dispatch_batch import Measured, Source
from .dispatch_carriers import Carrier
from .dispatch_site import open_site

RULES: Mapping[str, str] = {
    "ect": "ect*",
    "pull": "pull 1 (paper)",
    "round_robin": "round robin",
    "static_weights": "static weights",
    "least_in_flight": "least in flight",
}
"""`hub.dispatch.rule` in meerkat.yaml → as the tables call it."""
OURS = "ect"
WARM_UP = 20
"""Images dealt out before the first that count: the hub imports and prepares some things when first used."""
PATIENCE = 30.0
CPU_IMAGES = 100
"""The hub's CPU is judged from so many images on: what it does every second counts too much in fewer."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run."""

    sets: tuple[tuple[int, ...], ...]
    messages: tuple[int, ...]
    rules: tuple[str, ...]
    runs: int
    round_trip: float = 0.0
    """Seconds, injected between the broker and each worker."""
    window: int = 64
    idle_seconds: float = 10.0
    kilobytes: int = 50
    """Of an image."""

    def steps(self) -> int:
        return len(self.sets) * len(self.rules) * len(self.messages) * self.runs

    def seconds(self) -> float:
        """How long it takes, about."""
        total = 0.0
        for capacities in self.sets:
            for rule in self.rules:
                total += 4 + self.idle_seconds
                total += self.runs * sum(self._expected(capacities, rule, n) for n in self.messages)
        return total

    def __str__(self) -> str:
        steps, minutes = self.steps(), round(self.seconds() / 60)
        runs = "1 run" if steps == 1 else f"{steps} runs"
        return f"{runs}, about {minutes} minutes" if minutes > 1 else f"{runs}, about a minute"

    def optimum(self, capacities: tuple[int, ...], messages: int) -> float:
        half = self.round_trip / 2
        return shortest_makespan(messages, capacities, there=half, back=half)

    def _expected(self, capacities: tuple[int, ...], rule: str, messages: int) -> float:
        if rule == "round_robin":
            return messages / len(capacities) / min(capacities)
        if rule == "pull":
            return messages / sum(1 / (1 / capacity + self.round_trip) for capacity in capacities)
        return self.optimum(capacities, messages) * (1.5 if rule == "least_in_flight" else 1.0)


@dataclass(frozen=True, slots=True)
class Row:
    """All runs of one rule, set of workers and number of images."""

    capacities: tuple[int, ...]
    messages: int
    rule: str
    optimum: float
    """Seconds; the injected round trip is part of it, the links of this machine are not."""
    runs: tuple[Measured, ...]

    @property
    def makespan(self) -> float:
        """The median run's, seconds."""
        return median(run.makespan for run in self.runs)

    @property
    def ratio(self) -> float:
        return self.makespan / self.optimum

    @property
    def optimum_without_links(self) -> float:
        """Seconds."""
        return shortest_makespan(self.messages, self.capacities, there=0, back=0)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest ratio."""
        spans = [run.makespan / self.optimum for run in self.runs]
        return min(spans), max(spans)

    @property
    def balance(self) -> float:
        """WB, Eq. 12, the median of the runs."""
        capacities = {worker_name(n): float(c) for n, c in enumerate(self.capacities, 1)}
        return median(balance(run.served, capacities, run.makespan) for run in self.runs)

    @property
    def throughput(self) -> float:
        return throughput(self.messages, self.makespan)

    @property
    def hub_cpu(self) -> float | None:
        """Seconds per image, the median of the runs."""
        return _median(run.hub_cpu for run in self.runs)

    @property
    def stand_in_cpu(self) -> float | None:
        """Seconds per image, the median of the runs."""
        return _median(run.stand_in_cpu for run in self.runs)

    @property
    def served(self) -> tuple[int, ...]:
        """By each worker in the median run."""
        middle = sorted(self.runs, key=lambda run: run.makespan)[len(self.runs) // 2]
        return tuple(middle.served.get(worker_name(n), 0) for n in range(1, len(self.capacities) + 1))


def _median(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return median(known) if known else None


@dataclass(slots=True)
class Outcome:
    """Everything that was measured."""

    plan: Plan
    carrier: str
    rows: list[Row] = field(default_factory=list)
    idle: dict[tuple[tuple[int, ...], str], float] = field(default_factory=dict)
    """(workers, rule) → the part of a core that the hub uses when nothing happens."""


def worker_name(number: int) -> str:
    return f"flo-{number}"


def run(plan: Plan, carrier: Carrier, *, tick: Callable[[], None] = lambda: None) -> Outcome:
    """Raises SiteError or BrokerError when something does not come up, or images stay unanswered."""
    outcome = Outcome(plan, carrier.name)
    for capacities in plan.sets:
        for rule in plan.rules:
            rows, idle = _run_site(plan, carrier, capacities, rule, tick)
            outcome.rows += rows
            if idle is not None:
                outcome.idle[capacities, rule] = idle
    return outcome


def _run_site(
    plan: Plan, carrier: Carrier, capacities: tuple[int, ...], rule: str, tick: Callable[[], None]
) -> tuple[list[Row], float | None]:
    """One broker, one hub, the workers of one set; its runs, and the hub's idle part of a core after them."""
    with open_site() as site:
        hub = {} if rule == OURS else {"dispatch": {"rule": rule}}
        site.start_hub({"hub": hub, **carrier.configuration(capacities)})
        for number, capacity in enumerate(capacities, 1):
            site.start_worker(
                worker_name(number),
                capacity,
                [carrier.task],
                window=plan.window,
                round_trip=plan.round_trip,
            )
        source = Source(site, carrier)
        try:
            source.start(len(capacities))
            source.batch(WARM_UP, patience=PATIENCE)
            rows = list(_rows(plan, source, capacities, rule, tick))
            return rows, source.idle(plan.idle_seconds) if plan.idle_seconds else None
        finally:
            source.stop()


def _rows(
    plan: Plan, source: Source, capacities: tuple[int, ...], rule: str, tick: Callable[[], None]
) -> Iterator[Row]:
    for messages in plan.messages:
        patience = PATIENCE + 3 * messages / len(capacities) / min(capacities)
        runs = []
        for _ in range(plan.runs):
            runs.append(source.batch(messages, patience=patience))
            tick()
        yield Row(capacities, messages, rule, plan.optimum(capacities, messages), tuple(runs))


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that must hold for our rule, and what was measured."""

    what: str
    limit: float
    measured: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        return self.measured <= self.limit

    def __str__(self) -> str:
        word = "holds" if self.holds else "DOES NOT HOLD"
        return (
            f"{self.what}: at most {self.limit:g}{self.unit}, measured {self.measured:.4g}{self.unit}: {word}"
        )


def limits(outcome: Outcome) -> list[Limit]:
    """Of the rows of our rule, the worst against each limit; none where nothing was run that it is about."""
    rows = [row for row in outcome.rows if row.rule == OURS]
    found: list[Limit] = []

    def worst(what: str, limit: float, values: Sequence[float], unit: str = "") -> None:
        if values:
            found.append(Limit(what, limit, max(values), unit))

    if trip := outcome.plan.round_trip:
        what = "makespan less one round trip over the optimum without links"
        worst(what, 1.02, [(row.makespan - trip) / row.optimum_without_links for row in rows])
    else:
        worst(
            "makespan over the optimum, 300 images and more",
            1.015,
            [r.ratio for r in rows if r.messages >= 300],
        )
        worst("makespan over the optimum, 100 images", 1.03, [r.ratio for r in rows if r.messages == 100])
    worst("workload balance (Eq. 12) at 1000 images", 0.006, [r.balance for r in rows if r.messages == 1000])
    spent = [1e3 * r.hub_cpu for r in rows if r.hub_cpu is not None and r.messages >= CPU_IMAGES]
    worst("the hub's CPU per image", 0.8, spent, " ms")
    worst(
        "the idle hub",
        1.0,
        [100 * v for (_, rule), v in outcome.idle.items() if rule == OURS],
        " % of a core",
    )
    return found


def as_object(outcome: Outcome) -> dict[str, object]:
    """For --json."""
    return {
        "carrier": outcome.carrier,
        "round_trip_ms": 1e3 * outcome.plan.round_trip,
        "window": outcome.plan.window,
        "kilobytes": outcome.plan.kilobytes,
        "rows": [_row(row) for row in outcome.rows],
        "idle": [
            {"capacities": list(capacities), "rule": rule, "core": round(part, 5)}
            for (capacities, rule), part in outcome.idle.items()
        ],
        "limits": [
            {
                "what": x.what,
                "limit": x.limit,
                "measured": round(x.measured, 5),
                "unit": x.unit,
                "holds": x.holds,
            }
            for x in limits(outcome)
        ],
    }


def _row(row: Row) -> dict[str, object]:
    return {
        "capacities": list(row.capacities),
        "messages": row.messages,
        "rule": row.rule,
        "optimum_ms": round(1e3 * row.optimum, 2),
        "makespan_ms": [round(1e3 * run.makespan, 2) for run in row.runs],
        "ratio": round(row.ratio, 4),
        "wb": round(row.balance, 5),
        "pt": round(row.throughput, 2),
        "served": list(row.served),
        "hub_cpu_ms": _milliseconds(row.hub_cpu),
        "stand_in_cpu_ms": _milliseconds(row.stand_in_cpu),
        "copies": sum(run.copies for run in row.runs),
        "failed": sum(run.failed for run in row.runs),
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1e3 * seconds, 3)
