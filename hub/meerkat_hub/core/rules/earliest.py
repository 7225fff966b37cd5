"""ECT*: the earliest predicted completion, without its selfishness and without its idle link.

Each job of a bounded head of the queue is assigned in thought, in order, to the worker that would
complete it first. Only what a worker wins in this plan is sent to it, so a slow worker does not get
one of the last jobs that a fast one would finish sooner.

That alone is selfish: each job prefers to wait for a fast worker, at the cost of all who come after
it, and near saturation a slow worker idles too long. So some of the jobs still to come take part in
the plan; a worker that only they would use gets the last of those that wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace
from math import ceil

from .estimates import free_at
from .rule import ArrivalEstimate, Assignment, WaitingJob, WorkerView

HEAD = 64
"""Jobs that one plan looks at, those still to come included."""

STILL_TO_COME = 1.0
"""Part of the arrivals expected until the plan's end that takes part in it when every worker is busy."""

LOAD_POWER = 2.0
"""That part falls with this power of the load: who waits at a low load makes nobody else wait. With
power 0 and a part of 0.25 near saturation 3 to 5 % slower. Measured: docs/explanation/dispatch.md."""


def credit(worker: WorkerView, cost: float) -> int:
    """How many jobs of this cost keep the worker busy while answers and new jobs travel.

    Never more than the worker's window. Twice the round trip, since service times vary.
    """
    wanted = 1 + ceil(2 * worker.round_trip / (worker.seconds * cost))
    return min(worker.window, max(2, wanted))


@dataclass(frozen=True, slots=True)
class EctStar:
    """Points 1 to 4 of the rule; point 5, the estimate of service times, is `estimates.learn`."""

    still_to_come: float = STILL_TO_COME
    load_power: float = LOAD_POWER
    head: int = HEAD
    name: str = "ect*"

    def assign(
        self,
        waiting: Sequence[WaitingJob],
        workers: Sequence[WorkerView],
        now: float,
        arrivals: ArrivalEstimate,
        /,
    ) -> list[Assignment]:
        if not waiting or not workers:
            return []
        plan = _Plan(workers, now, waiting[0].cost)
        sent: list[Assignment] = []
        left: list[WaitingJob] = []
        head = waiting[: self.head]
        for job in head:
            if not plan.has_room():
                return sent
            worker = plan.place(job.cost)
            if plan.take(worker):
                sent.append(Assignment(job.id, workers[worker].id))
            else:
                left.append(job)
        cost = head[-1].cost
        load = min(1.0, arrivals.rate / sum(1 / w.seconds for w in workers))
        part = self.still_to_come * load**self.load_power
        coming = int(part * arrivals.rate / cost * plan.horizon())
        for _ in range(min(coming, self.head - len(head))):
            if not left or not plan.has_room():
                break
            worker = plan.place(cost)
            if plan.take(worker):
                sent.append(Assignment(left.pop().id, workers[worker].id))
        return sent


class _Plan:
    """Workers by their position, and when each would answer one more job."""

    def __init__(self, workers: Sequence[WorkerView], now: float, cost: float) -> None:
        self._now = now
        self._seconds = [w.seconds for w in workers]
        self._half = [w.round_trip / 2 for w in workers]
        self._free = [max(free_at(w, now), now + w.round_trip / 2) for w in workers]
        self._room = [credit(w, cost) - len(w.in_flight) for w in workers]
        self._open = sum(room > 0 for room in self._room)
        self._end = now
        self._cost = cost
        self._next = self._answers(cost)

    def place(self, cost: float) -> int:
        """Give the next job to the worker that answers it first, the first on ties."""
        if cost != self._cost:
            self._cost, self._next = cost, self._answers(cost)
        answer, best = self._next[0]
        self._free[best] = answer - self._half[best]
        self._end = max(self._end, answer)
        heapreplace(self._next, (answer + self._seconds[best] * cost, best))
        return best

    def _answers(self, cost: float) -> list[tuple[float, int]]:
        """A heap of when each worker would answer one more job of this cost; jobs are mostly alike."""
        answers = [
            (free + seconds * cost + half, position)
            for position, (free, seconds, half) in enumerate(
                zip(self._free, self._seconds, self._half, strict=True)
            )
        ]
        heapify(answers)
        return answers

    def take(self, worker: int) -> bool:
        """Whether the worker has credit for one more now; counts it."""
        self._room[worker] -= 1
        if self._room[worker] == 0:
            self._open -= 1
        return self._room[worker] >= 0

    def has_room(self) -> bool:
        return self._open > 0

    def horizon(self) -> float:
        return self._end - self._now
