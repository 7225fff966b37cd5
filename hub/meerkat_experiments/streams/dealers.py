"""Who deals out the jobs in the simulated world: the interface, and a bare rule of the hub's core."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from meerkat_hub.core.rules import (
    ArrivalEstimate,
    ArrivalWindow,
    Hedger,
    InFlight,
    Rule,
    WaitingJob,
    WorkerView,
    learn,
    vary,
)

from .scenario import SimulatedWorker

SHOWN = 64
"""Waiting jobs that a rule is shown at a time; it is asked again while it sends them all."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A job on its way to a worker."""

    job: str
    worker: str
    copy: bool = False
    token: int = 0
    """Comes back with the answer."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer as the hub gets it."""

    job: str
    worker: str
    seconds: float
    """Of work."""
    waited: float
    """Seconds at the worker, before the work."""
    token: int


class Dealer(Protocol):
    """Is told what happens, and says what to send. Times never go back."""

    @property
    def name(self) -> str: ...

    def begin(self, workers: Sequence[SimulatedWorker]) -> None:
        """The workers announce themselves, before anything else happens."""
        ...

    def arrive(self, job: str, now: float) -> None: ...

    def answer(self, answer: Answered, now: float) -> None: ...

    def gone(self, worker: str, now: float) -> None: ...

    def deal(self, now: float) -> tuple[Sequence[Sent], float | None]:
        """What to send now, and when to ask again if nothing happens before."""
        ...


@dataclass(slots=True)
class _Worker:
    """A worker as the hub sees it."""

    truth: SimulatedWorker
    seconds: float
    variation: float = 0.3
    in_flight: list[InFlight] = field(default_factory=list)
    last_answer: float = float("-inf")
    view: WorkerView | None = None

    def seen(self) -> WorkerView:
        if self.view is None:
            self.view = WorkerView(
                self.truth.id,
                self.seconds,
                self.truth.round_trip,
                self.truth.window,
                self.truth.announced,
                tuple(self.in_flight),
                self.last_answer,
                self.variation,
            )
        return self.view


class _ByRule:
    """One queue in the order of arrival; round trips are known exactly, service times are learned."""

    def __init__(self, rule: Rule, hedger: Hedger | None, arrivals: ArrivalWindow) -> None:
        self.name = rule.name
        self._rule = rule
        self._hedger = hedger
        self._arrivals = arrivals
        self._waiting: OrderedDict[str, WaitingJob] = OrderedDict()
        self._answered: set[str] = set()
        self._copied: set[str] = set()
        self._workers: dict[str, _Worker] = {}
        self._in_flight = 0

    def begin(self, workers: Sequence[SimulatedWorker]) -> None:
        self._workers = {worker.id: _Worker(worker, 1 / worker.announced) for worker in workers}

    def arrive(self, job: str, now: float) -> None:
        self._waiting[job] = WaitingJob(job)
        self._arrivals.arrive(now)

    def answer(self, answer: Answered, now: float) -> None:
        worker = self._workers[answer.worker]
        worker.in_flight = [held for held in worker.in_flight if held.job != answer.job]
        worker.variation = vary(worker.variation, worker.seconds, answer.seconds)
        worker.seconds = learn(worker.seconds, answer.seconds)
        worker.last_answer = now
        worker.view = None
        if self._hedger is not None:
            self._answered.add(answer.job)
        self._waiting.pop(answer.job, None)

    def gone(self, worker: str, _now: float) -> None:
        """What was not answered goes back to the head of the queue."""
        for held in reversed(self._workers.pop(worker).in_flight):
            elsewhere = any(held.job == h.job for w in self._workers.values() for h in w.in_flight)
            if held.job not in self._answered and not elsewhere:
                self._waiting[held.job] = WaitingJob(held.job, held.cost)
                self._waiting.move_to_end(held.job, last=False)

    def deal(self, now: float) -> tuple[Sequence[Sent], float | None]:
        sent: list[Sent] = []
        while self._waiting:
            shown = list(islice(self._waiting.values(), SHOWN))
            views = [worker.seen() for worker in self._workers.values()]
            rate = self._arrivals.estimate(now).rate
            seen = ArrivalEstimate(rate, float(len(self._waiting) - len(shown)))
            chosen = self._rule.assign(shown, views, now, seen)
            for assignment in chosen:
                self._give(assignment.worker, assignment.job, self._waiting.pop(assignment.job).cost, now)
                sent.append(Sent(assignment.job, assignment.worker))
            if len(chosen) < len(shown):
                break
        if self._hedger is None or self._waiting:
            return sent, None
        hedge = self._hedger.hedge([worker.seen() for worker in self._workers.values()], self._copied, now)
        for copy in hedge.copies:
            self._copied.add(copy.job)
            self._give(copy.worker, copy.job, 1.0, now)
            sent.append(Sent(copy.job, copy.worker, copy=True))
        return sent, hedge.wake_at

    def _give(self, to: str, job: str, cost: float, now: float) -> None:
        worker = self._workers[to]
        worker.in_flight.append(InFlight(job, cost, now))
        worker.view = None
        if len(worker.in_flight) > worker.truth.window:
            raise RuntimeError(f"{self.name} sent {to} more than its window")


def by_rule(rule: Rule, *, hedger: Hedger | None = None, arrivals: ArrivalWindow | None = None) -> Dealer:
    """`arrivals` is what estimates the rate of arrivals, a fresh `ArrivalWindow()` unless given."""
    return _ByRule(rule, hedger, arrivals or ArrivalWindow())
