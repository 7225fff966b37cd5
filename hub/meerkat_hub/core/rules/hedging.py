"""Hedging: a second copy for a straggler, once its overdue cost exceeds the copy's.

How long a job that is overdue still takes is not known; it is taken to need as long again as it has
run so far (for heavy tails that is the rule of thumb that has held longest). The jobs that wait behind
it in its worker's window wait as long. A copy is made only while nothing else waits and a worker
idles, so it takes nobody's turn, and each job is copied once at most.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from .rule import Assignment
from .view import InFlight, WorkerView

OVERDUE = 2.0
"""A job is overdue once it has run this many times its estimate, and longer than it may well vary."""

VARIES = 4.0
"""Standard deviations that service times may well vary. With 0, one job in thirty of a stream whose times
vary by half is copied for nothing; measured: docs/explanation/dispatch.md."""


@dataclass(frozen=True, slots=True)
class Hedge:
    """The copies to send now, and when to ask again if nothing happens before."""

    copies: tuple[Assignment, ...]
    wake_at: float | None


@dataclass(frozen=True, slots=True)
class Hedger:
    overdue: float = OVERDUE

    def hedge(self, workers: Sequence[WorkerView], copied: Set[str], now: float) -> Hedge:
        """Call it when nothing waits. `copied` holds the jobs that have a copy already."""
        idle = [worker for worker in workers if not worker.in_flight]
        copies: list[Assignment] = []
        wake: list[float] = []
        for worker in workers if idle else ():
            late_from = self._overdue_at(worker)
            if late_from is None:
                continue
            if now < late_from:
                wake.append(late_from)
                continue
            for job, answer in _answers(worker, now):
                if not idle:
                    break
                if job.job in copied:
                    continue
                best = min(idle, key=lambda other: (_cost(other, job), other.id))
                if now + _cost(best, job) < answer:
                    copies.append(Assignment(job.job, best.id))
                    idle.remove(best)
                elif (at := _worth_at(worker, _cost(best, job), now)) is not None:
                    wake.append(at)
        return Hedge(tuple(copies), min(wake, default=None))

    def _overdue_at(self, worker: WorkerView) -> float | None:
        if not worker.in_flight:
            return None
        times = max(self.overdue, 1 + VARIES * worker.variation)
        return worker.begun + times * worker.seconds * worker.in_flight[0].cost + worker.round_trip / 2


def _answers(worker: WorkerView, now: float) -> list[tuple[InFlight, float]]:
    """What an overdue worker holds, each with its predicted answer; the last is in most need."""
    ran = now - worker.begun
    free = now + ran
    answers = [(worker.in_flight[0], free + worker.round_trip / 2)]
    for job in worker.in_flight[1:]:
        free += worker.seconds * job.cost
        answers.append((job, free + worker.round_trip / 2))
    return answers[::-1]


def _cost(worker: WorkerView, job: InFlight) -> float:
    """Seconds until an idle worker would answer a copy."""
    return worker.round_trip + worker.seconds * job.cost


def _worth_at(worker: WorkerView, copy: float, now: float) -> float | None:
    """When the first job will have run so long that a copy is expected to overtake it."""
    at = worker.begun + max(0.0, copy - worker.round_trip / 2)
    return at + 1e-6 if at > now else None
