"""Several flows before the pool that the hub runs, on a simulated clock: who waits how long, who gets what.

    beside = share({"light": 5, "flood": 400}, capacities=(60, 30, 10), seed=1)
    print(beside.p99("light"), beside.served)

Jobs and answers travel half a round trip. A worker does one job at a time, those marked `ahead` before
the others, each kind in the order in which it came (docs/reference/worker-protocol.md), and tells how
long it worked and how long the job had waited there. The pool has to find out speeds and round trips.
When and how long the jobs of a flow are depends on the seed and the flow alone, so that it meets the
same with and without its neighbours.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from meerkat_contract.messages import ModelInfo, Result, TaskInfo, WorkerState
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.pool.settings import PoolSettings
from meerkat_hub.core.pool.work import Flow, Item, Lease, Priority

_TASK = "detect_objects"
_INCARNATION = "00000000-0000-7000-8000-000000000000"
_WINDOW = 16
"""Jobs that a worker takes at a time, as `meerkat worker` announces it."""


@dataclass(slots=True)
class Shared:
    """What came of it."""

    waits: dict[str, list[float]] = field(default_factory=dict)
    """Seconds from a job's arrival at the hub to its answer, by flow."""
    served: Counter[str] = field(default_factory=Counter)
    """Answers within the time that counts, by flow."""
    ahead: int = 0
    """Jobs that were sent to go before others."""
    most_passed: float = 0.0
    """Seconds of work that went before one job while a worker held it, at most."""

    def p99(self, flow: str) -> float:
        waits = sorted(self.waits[flow])
        return waits[int(0.99 * (len(waits) - 1))]


@dataclass(slots=True)
class _Job:
    flow: str
    factor: float
    """Of the mean service time."""


@dataclass(slots=True)
class _Held:
    lease: Lease
    there: float
    """When it reached the worker."""


@dataclass(slots=True)
class _Worker:
    id: str
    seconds: float
    """Of a job as long as the mean one."""
    waiting: deque[_Held] = field(default_factory=deque)
    busy: bool = False

    def line_up(self, held: _Held) -> None:
        if held.lease.ahead:
            self.waiting.insert(sum(other.lease.ahead for other in self.waiting), held)
        else:
            self.waiting.append(held)


class _World:
    def __init__(
        self,
        rates: Mapping[str, float],
        jobs: list[tuple[float, _Job]],
        settled: float,
        urgent: Collection[str],
    ) -> None:
        self.pool = Pool(settings=PoolSettings())
        self.out = Shared({flow: [] for flow in rates})
        self.workers: dict[str, _Worker] = {}
        self._jobs = jobs
        self._settled = settled
        self._urgent = urgent
        self._events: list[tuple[float, int, _Worker | None, _Held | Result | None]] = []
        """When; a number to keep their order; and a job that reaches its worker, an answer that reaches the
        hub, a worker that is free (neither), or the pool's own time (no worker)."""
        self._numbers = 0

    def run(self, seconds: float, round_trip: float) -> Shared:
        arrived, half = 0, round_trip / 2
        while True:
            next_job = self._jobs[arrived][0] if arrived < len(self._jobs) else float("inf")
            now = min(next_job, self._events[0][0] if self._events else float("inf"))
            if now > seconds:
                return self.out
            at_hub = False
            if now == next_job:
                job = self._jobs[arrived][1]
                priority = Priority.URGENT if job.flow in self._urgent else Priority.LIVE
                self.pool.add(Item(str(arrived), job.flow, 1.0, arrived=now, priority=priority), now)
                arrived, at_hub = arrived + 1, True
            else:
                _, _, worker, what = heappop(self._events)
                if isinstance(what, _Held):
                    assert worker is not None
                    worker.line_up(what)
                    self._begin(worker, now, half)
                elif isinstance(what, Result):
                    assert worker is not None
                    self._answered(worker, what, now)
                    at_hub = True
                elif worker is not None:
                    worker.busy = False
                    self._begin(worker, now, half)
                else:
                    at_hub = True
            if at_hub:
                self._deal(now, half)

    def _begin(self, worker: _Worker, now: float, half: float) -> None:
        if worker.busy or not worker.waiting:
            return
        worker.busy = True
        held = worker.waiting.popleft()
        seconds = worker.seconds * self._jobs[int(held.lease.item.id)][1].factor
        result = Result.model_construct(
            job=held.lease.item.id,
            token=held.lease.token,
            incarnation=_INCARNATION,
            state="done",
            retry=False,
            frames=1,
            seconds=seconds,
            waited=now - held.there,
        )
        self._at(now + seconds, worker, None)
        self._at(now + seconds + half, worker, result)

    def _answered(self, worker: _Worker, result: Result, now: float) -> None:
        answer = self.pool.answer(worker.id, result, now)
        if answer is None:  # of a copy that came second
            return
        self.out.most_passed = max(self.out.most_passed, answer.lease.passed)
        item = answer.lease.item
        if now >= self._settled:
            self.out.served[item.flow] += 1
        if item.arrived >= self._settled:
            self.out.waits[item.flow].append(now - item.arrived)

    def _deal(self, now: float, half: float) -> None:
        self.pool.pass_time(now)
        for lease in self.pool.dispatch(now):
            self.out.ahead += lease.ahead
            self._at(now + half, self.workers[lease.worker], _Held(lease, now + half))
        if (wake := self.pool.wake_at()) is not None:
            self._at(max(wake, now + 1e-4), None, None)

    def _at(self, at: float, worker: _Worker | None, what: _Held | Result | None) -> None:
        self._numbers += 1
        heappush(self._events, (at, self._numbers, worker, what))


def share(
    rates: Mapping[str, float],
    *,
    capacities: Sequence[float] = (60, 30, 10),
    weights: Mapping[str, float] | None = None,
    seconds: float = 60.0,
    round_trip: float = 0.012,
    seed: int = 1,
    variation: float = 0.2,
    settled: float = 2.0,
    ahead: bool = True,
    urgent: Collection[str] = (),
) -> Shared:
    """Each flow's jobs arrive at random, so many a second, at workers of these capacities (jobs a second).

    `variation` is the coefficient of variation of service times. What arrives before `settled` seconds
    counts for nothing: within a second of service the oldest go first. Without `ahead` the workers know
    nothing of jobs that go before others. All jobs of the flows of `urgent` are urgent.
    """
    world = _World(rates, _arrivals(rates, seconds, seed, variation), settled, urgent)
    for flow in rates:
        world.pool.open(Flow(flow, _TASK, weight=(weights or {}).get(flow, 1.0)))
    for number, capacity in enumerate(capacities):
        name = f"w{number}"
        task = TaskInfo(task=_TASK, model=ModelInfo(name="simulated"), frames_per_second=capacity)
        state = WorkerState(
            worker=name, incarnation=_INCARNATION, online=True, tasks=(task,), window=_WINDOW, ahead=ahead
        )
        world.workers[name] = _Worker(name, 1 / capacity)
        world.pool.seen(state, 0.0)
    return world.run(seconds, round_trip)


def _arrivals(
    rates: Mapping[str, float], seconds: float, seed: int, variation: float
) -> list[tuple[float, _Job]]:
    jobs: list[tuple[float, _Job]] = []
    for flow, rate in rates.items():
        chance, at = Random(f"{seed}:{flow}"), 0.0
        while (at := at + chance.expovariate(rate)) < seconds:
            jobs.append((at, _Job(flow, max(0.2, chance.gauss(1.0, variation)))))
    jobs.sort(key=lambda each: each[0])
    return jobs
