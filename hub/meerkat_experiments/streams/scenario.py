"""What happens to a rule: workers, faults, jobs. All chance comes from the seed, before the run.

Every rule that runs the same scenario sees the same arrivals, and the first try of a job takes the
same multiple of the mean service time whoever does it (common random numbers). A second try is drawn
anew, from the seed, the job and the number of the try: what makes a job take ten times as long is a
hiccup of the worker, not the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

SLOWER = 3.0
OUTLIER = 10.0


@dataclass(frozen=True, slots=True)
class SimulatedWorker:
    id: str
    capacity: float
    """Jobs a second, in truth."""
    announced: float
    round_trip: float
    """Seconds, half of it each way."""
    window: int = 100_000
    """Without a bound of its own, so that static rules can send everything at once."""
    dies_at: float = float("inf")
    slows_at: float = float("inf")
    """From then on it needs `SLOWER` times as long."""

    def done(self, begin: float, end: float) -> float:
        """How many mean jobs it can do between two instants."""
        end = min(end, self.dies_at)
        fast = max(0.0, min(end, self.slows_at) - begin)
        slow = max(0.0, end - max(begin, self.slows_at))
        return self.capacity * (fast + slow / SLOWER)

    def ends(self, begin: float, factor: float) -> float:
        """When a job of `factor` mean service times ends that begins at `begin`."""
        seconds = factor / self.capacity
        if begin + seconds <= self.slows_at:
            return begin + seconds
        fast = max(0.0, self.slows_at - begin)
        return begin + fast + (seconds - fast) * SLOWER


@dataclass(frozen=True, slots=True)
class Scenario:
    workers: tuple[SimulatedWorker, ...]
    arrivals: tuple[float, ...]
    """When each job reaches the hub, ascending."""
    seed: int = 0
    cv: float = 0.0
    """Coefficient of variation of service times (gamma)."""
    outliers: float = 0.0
    """Part of the tries that take `OUTLIER` times as long."""

    def first_factors(self) -> list[float]:
        rng = Random(self.seed)
        return [self._draw(rng) for _ in self.arrivals]

    def later_factor(self, job: int, attempt: int) -> float:
        return self._draw(Random(f"{self.seed}:{job}:{attempt}"))

    @property
    def identical(self) -> bool:
        return not self.cv and not self.outliers

    def _draw(self, rng: Random) -> float:
        factor = rng.gammavariate(1 / self.cv**2, self.cv**2) if self.cv else 1.0
        return factor * (OUTLIER if self.outliers and rng.random() < self.outliers else 1.0)


def batch(
    capacities: Sequence[float],
    jobs: int = 300,
    *,
    round_trip: float = 0.012,
    seed: int = 0,
    cv: float = 0.0,
    outliers: float = 0.0,
) -> Scenario:
    """All jobs are there at t = 0."""
    return Scenario(_workers(capacities, round_trip), (0.0,) * jobs, seed, cv, outliers)


def poisson(
    capacities: Sequence[float],
    load: float,
    jobs: int,
    *,
    round_trip: float = 0.012,
    seed: int = 0,
    cv: float = 0.0,
) -> Scenario:
    """Jobs arrive at `load` times the sum of the capacities, at intervals that know nothing of each other."""
    rng = Random(f"arrivals:{seed}")
    rate = load * sum(capacities)
    now, arrivals = 0.0, []
    for _ in range(jobs):
        now += rng.expovariate(rate)
        arrivals.append(now)
    return Scenario(_workers(capacities, round_trip), tuple(arrivals), seed, cv)


def dying(scenario: Scenario, at: float) -> Scenario:
    """The fastest worker dies at `at`, with all that it holds."""
    return _change_fastest(scenario, dies_at=at)


def slowing(scenario: Scenario, at: float) -> Scenario:
    """The fastest worker slows down threefold at `at`."""
    return _change_fastest(scenario, slows_at=at)


def announced_alike(scenario: Scenario) -> Scenario:
    """Every worker announces the mean of the capacities."""
    mean = sum(w.capacity for w in scenario.workers) / len(scenario.workers)
    return replace(scenario, workers=tuple(replace(w, announced=mean) for w in scenario.workers))


def announced_backwards(scenario: Scenario) -> Scenario:
    """The slowest announces the capacity of the fastest, and so on."""
    values = sorted((w.capacity for w in scenario.workers), reverse=True)
    ranked = sorted(scenario.workers, key=lambda w: w.capacity)
    lies = {w.id: value for w, value in zip(ranked, values, strict=True)}
    return replace(scenario, workers=tuple(replace(w, announced=lies[w.id]) for w in scenario.workers))


def _change_fastest(scenario: Scenario, **change: float) -> Scenario:
    fastest = max(scenario.workers, key=lambda w: w.capacity)
    workers = tuple(
        replace(w, dies_at=change.get("dies_at", w.dies_at), slows_at=change.get("slows_at", w.slows_at))
        if w is fastest
        else w
        for w in scenario.workers
    )
    return replace(scenario, workers=workers)


def _workers(capacities: Sequence[float], round_trip: float) -> tuple[SimulatedWorker, ...]:
    return tuple(
        SimulatedWorker(f"w{number}", capacity, capacity, round_trip)
        for number, capacity in enumerate(capacities)
    )
