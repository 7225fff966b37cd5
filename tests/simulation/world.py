"""The event-driven simulator: a rule of the hub's core against a scenario.

Jobs and answers travel half a round trip. A worker takes its jobs one at a time, in the order in which
they came, and tells with each answer how long it worked. Every job costs 1. When a worker dies, what
it holds is lost, answers on their way are not; the hub learns of it half a round trip later (the will)
and puts what was not answered back at the head of the queue. Events of the same instant all happen
before the rule is asked.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import islice
from statistics import fmean

from meerkat_hub.core.rules import (
    ArrivalWindow,
    Assignment,
    Hedger,
    InFlight,
    Rule,
    WaitingJob,
    WorkerView,
    learn,
)

from .scenario import Scenario, SimulatedWorker

SHOWN = 64
"""Waiting jobs that a rule is shown at a time; it is asked again while it sends them all."""

Traced = tuple[float, str, str, str]
"""When, what happened, job, worker."""


@dataclass(slots=True)
class Run:
    """What came of it. Times in seconds."""

    sojourns: list[float] = field(default_factory=list)
    """From a job's arrival at the hub to its first answer, in the order of the answers."""
    makespan: float = 0.0
    served: dict[str, int] = field(default_factory=dict)
    """Answers that counted, per worker."""
    redone: int = 0
    """Jobs that a dead worker held."""
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
    """A worker in truth (`queue`, `busy`), and as the hub sees it (the rest)."""

    truth: SimulatedWorker
    seconds: float
    queue: deque[tuple[str, int]] = field(default_factory=deque)
    busy: bool = False
    dead: bool = False
    in_flight: list[InFlight] = field(default_factory=list)
    last_answer: float = float("-inf")
    view: WorkerView | None = None

    def seen(self) -> WorkerView:
        if self.view is None:
            truth = self.truth
            self.view = WorkerView(
                truth.id,
                self.seconds,
                truth.round_trip,
                truth.window,
                truth.announced,
                tuple(self.in_flight),
                self.last_answer,
            )
        return self.view


class World:
    """One run of one scenario; `run` may be called once."""

    def __init__(
        self,
        scenario: Scenario,
        rule: Rule,
        *,
        hedger: Hedger | None = None,
        arrivals: ArrivalWindow | None = None,
        trace: bool = False,
    ) -> None:
        self._scenario = scenario
        self._rule = rule
        self._hedger = hedger
        self._traced = trace
        self._now = 0.0
        self._events: list[tuple[float, int, str, str, str, float]] = []
        self._number = 0
        self._wake_at = 0.0
        self._factors = scenario.first_factors()
        self._tries: dict[str, int] = {}
        self._waiting: OrderedDict[str, WaitingJob] = OrderedDict()
        self._answered: set[str] = set()
        self._copied: set[str] = set()
        self._arrivals = arrivals or ArrivalWindow()
        self._workers = {w.id: _Worker(w, 1 / w.announced) for w in scenario.workers}
        self._known = dict(self._workers)
        self.result = Run()

    def run(self) -> Run:
        """Until every job is answered. Raises RuntimeError if that can never be."""
        for number, at in enumerate(self._scenario.arrivals):
            self._at(at, "arrive", str(number))
        for worker in self._scenario.workers:
            if worker.dies_at < float("inf"):
                self._at(worker.dies_at, "die", "", worker.id)
        total = len(self._scenario.arrivals)
        while len(self._answered) < total:
            if not self._events:
                left = total - len(self._answered)
                raise RuntimeError(f"{self._rule.name}: {left} jobs are never answered")
            self._now = self._events[0][0]
            while self._events and self._events[0][0] == self._now:
                self._happen(*heapq.heappop(self._events)[2:])
            self._dispatch()
        self.result.makespan = self._now
        return self.result

    def _at(self, at: float, what: str, job: str, worker: str = "", value: float = 0.0) -> None:
        self._number += 1
        heapq.heappush(self._events, (at, self._number, what, job, worker, value))

    def _happen(self, what: str, job: str, worker_id: str, value: float) -> None:
        if what == "arrive":
            self._waiting[job] = WaitingJob(job)
            self._arrivals.arrive(self._now)
            return
        if what == "wake":
            return
        worker = self._workers[worker_id]
        if what == "answer":
            self._answer(worker, job, value)
        elif what == "gone":
            self._gone(worker)
        elif not worker.dead:
            if what == "die":
                worker.dead = True
                self._at(self._now + worker.truth.round_trip / 2, "gone", "", worker_id)
            elif what == "reach":
                worker.queue.append((job, int(value)))
                self._begin(worker)
            else:
                worker.busy = False
                self._at(self._now + worker.truth.round_trip / 2, "answer", job, worker_id, value)
                self._begin(worker)
        if self._traced:
            self.result.trace.append((self._now, what, job, worker_id))

    def _begin(self, worker: _Worker) -> None:
        if worker.busy or not worker.queue:
            return
        job, attempt = worker.queue.popleft()
        number = int(job)
        factor = self._factors[number] if attempt == 0 else self._scenario.later_factor(number, attempt)
        end = worker.truth.ends(self._now, factor)
        worker.busy = True
        self._at(end, "end", job, worker.truth.id, end - self._now)

    def _answer(self, worker: _Worker, job: str, seconds: float) -> None:
        worker.in_flight = [held for held in worker.in_flight if held.job != job]
        worker.seconds = learn(worker.seconds, seconds)
        worker.last_answer = self._now
        worker.view = None
        if job in self._answered:
            return
        self._answered.add(job)
        self._waiting.pop(job, None)
        served = self.result.served
        served[worker.truth.id] = served.get(worker.truth.id, 0) + 1
        self.result.sojourns.append(self._now - self._scenario.arrivals[int(job)])

    def _gone(self, worker: _Worker) -> None:
        del self._known[worker.truth.id]
        for held in reversed(worker.in_flight):
            elsewhere = any(held.job == h.job for w in self._known.values() for h in w.in_flight)
            if held.job not in self._answered and not elsewhere:
                self._waiting[held.job] = WaitingJob(held.job, held.cost)
                self._waiting.move_to_end(held.job, last=False)
                self.result.redone += 1

    def _dispatch(self) -> None:
        while True:
            shown = list(islice(self._waiting.values(), SHOWN))
            views = [worker.seen() for worker in self._known.values()]
            sent = self._rule.assign(shown, views, self._now, self._arrivals.estimate(self._now))
            for assignment in sent:
                self._send(assignment, self._waiting.pop(assignment.job).cost)
            if not sent or len(sent) < len(shown) or not self._waiting:
                break
        if self._hedger is not None and not self._waiting:
            views = [worker.seen() for worker in self._known.values()]
            hedge = self._hedger.hedge(views, self._copied, self._now)
            for copy in hedge.copies:
                self._copied.add(copy.job)
                self.result.copies += 1
                self._send(copy, 1.0)
            if hedge.wake_at is not None and not self._now < self._wake_at <= hedge.wake_at:
                self._wake_at = hedge.wake_at
                self._at(hedge.wake_at, "wake", "")

    def _send(self, assignment: Assignment, cost: float) -> None:
        worker, job = self._known[assignment.worker], assignment.job
        attempt = self._tries.get(job, 0)
        self._tries[job] = attempt + 1
        worker.in_flight.append(InFlight(job, cost, self._now))
        worker.view = None
        if len(worker.in_flight) > worker.truth.window:
            raise RuntimeError(f"{self._rule.name} sent {assignment.worker} more than its window")
        self._at(self._now + worker.truth.round_trip / 2, "reach", job, worker.truth.id, attempt)
        if self._traced:
            self.result.trace.append((self._now, "send", job, worker.truth.id))


def simulate(
    scenario: Scenario,
    rule: Rule,
    *,
    hedger: Hedger | None = None,
    arrivals: ArrivalWindow | None = None,
    trace: bool = False,
) -> Run:
    """`arrivals` is what estimates the rate of arrivals, a fresh `ArrivalWindow()` unless given."""
    return World(scenario, rule, hedger=hedger, arrivals=arrivals, trace=trace).run()
