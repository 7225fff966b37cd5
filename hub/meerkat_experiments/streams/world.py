"""The simulated world: a dealer of jobs against a scenario.

Jobs and answers travel half a round trip. A worker takes its jobs one at a time, in the order in which
they came, and tells with each answer how long it worked. Every job costs 1. When a worker dies, what
it holds is lost, answers on their way are not; the hub learns of it half a round trip later (the will).
Events of the same instant all happen before the dealer is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from statistics import fmean

from .dealers import Answered, Dealer, Sent
from .scenario import Scenario, SimulatedWorker

Traced = tuple[float, str, str, str]
"""When, what happened (arrive, send, answer, gone), job, worker."""


@dataclass(slots=True)
class Run:
    """What came of it. Times in seconds."""

    sojourns: list[float] = field(default_factory=list)
    """From a job's arrival at the hub to its first answer, in the order of the answers."""
    makespan: float = 0.0
    served: dict[str, int] = field(default_factory=dict)
    """First answers, per worker."""
    redone: int = 0
    """Jobs that were sent again because their worker died."""
    copies: int = 0
    trace: list[Traced] = field(default_factory=list)

    @property
    def mean(self) -> float:
        return fmean(self.sojourns)

    @property
    def p99(self) -> float:
        return sorted(self.sojourns)[int(0.99 * (len(self.sojourns) - 1))]


@dataclass(slots=True)
class _Worker:
    truth: SimulatedWorker
    busy_until: float = float("-inf")


class _World:
    def __init__(self, scenario: Scenario, dealer: Dealer, *, trace: bool) -> None:
        self._scenario = scenario
        self._dealer = dealer
        self._traced = trace
        self._factors = scenario.first_factors()
        self._tries = [0] * len(scenario.arrivals)
        self._answered = bytearray(len(scenario.arrivals))
        self._workers = {worker.id: _Worker(worker) for worker in scenario.workers}
        self._events: list[tuple[float, int, Answered | str | None]] = []
        """When, a number to keep their order, and an answer, the id of a worker that is gone, or a wake."""
        self._numbers = 0
        self._wake_at: float | None = None
        self.result = Run()

    def run(self) -> Run:
        self._dealer.begin(self._scenario.workers)
        for worker in self._scenario.workers:
            if worker.dies_at < float("inf"):
                self._at(worker.dies_at + worker.round_trip / 2, worker.id)
        arrivals, arrived, left = self._scenario.arrivals, 0, len(self._scenario.arrivals)
        while left:
            next_arrival = arrivals[arrived] if arrived < len(arrivals) else float("inf")
            now = min(next_arrival, self._events[0][0] if self._events else float("inf"))
            if now == float("inf"):
                raise RuntimeError(f"{self._dealer.name}: {left} jobs are never answered")
            while arrived < len(arrivals) and arrivals[arrived] <= now:
                self._dealer.arrive(str(arrived), now)
                self._note(now, "arrive", str(arrived), "")
                arrived += 1
            while self._events and self._events[0][0] <= now:
                left -= self._happen(heappop(self._events)[2], now)
            sent, wake_at = self._dealer.deal(now)
            for each in sent:
                self._send(each, now)
            if wake_at is not None and not (self._wake_at is not None and now < self._wake_at <= wake_at):
                self._wake_at = max(wake_at, now)
                self._at(self._wake_at, None)
        self.result.makespan = now
        return self.result

    def _at(self, at: float, what: Answered | str | None) -> None:
        self._numbers += 1
        heappush(self._events, (at, self._numbers, what))

    def _happen(self, event: Answered | str | None, now: float) -> int:
        """How many jobs are answered by it for the first time."""
        if event is None:
            return 0
        if isinstance(event, str):
            self._dealer.gone(event, now)
            self._note(now, "gone", "", event)
            return 0
        self._dealer.answer(event, now)
        self._note(now, "answer", event.job, event.worker)
        number = int(event.job)
        if self._answered[number]:
            return 0
        self._answered[number] = 1
        self.result.served[event.worker] = self.result.served.get(event.worker, 0) + 1
        self.result.sojourns.append(now - self._scenario.arrivals[number])
        return 1

    def _send(self, sent: Sent, now: float) -> None:
        """All that comes of it is known: the worker is its own queue, and no job overtakes another."""
        worker, number = self._workers[sent.worker], int(sent.job)
        self._note(now, "send", sent.job, sent.worker)
        attempt = self._tries[number]
        self._tries[number] += 1
        if sent.copy:
            self.result.copies += 1
        elif attempt:
            self.result.redone += 1
        factor = self._scenario.later_factor(number, attempt) if attempt else self._factors[number]
        half = worker.truth.round_trip / 2
        begins = max(now + half, worker.busy_until)
        ends = worker.busy_until = worker.truth.ends(begins, factor)
        if ends < worker.truth.dies_at:
            answer = Answered(sent.job, sent.worker, ends - begins, begins - now - half, sent.token)
            self._at(ends + half, answer)

    def _note(self, now: float, what: str, job: str, worker: str) -> None:
        if self._traced:
            self.result.trace.append((now, what, job, worker))


def simulate(scenario: Scenario, dealer: Dealer, *, trace: bool = False) -> Run:
    """One run, until every job is answered; the dealer must be a fresh one.

    Raises RuntimeError if some are never answered.
    """
    return _World(scenario, dealer, trace=trace).run()
