"""ECT*: the earliest predicted completion, without its selfishness and without its idle link.

Each job of a bounded head of the queue is assigned in thought, in order, to the worker that would
complete it first. Only what a worker wins in this plan is sent to it, so a slow worker does not get
one of the last jobs that a fast one would finish sooner.

That alone is selfish: each job prefers to wait for a fast worker, at the cost of all who come after
it, and near saturation a slow worker idles too long. So what waits behind the head takes part in the
plan, and some of the jobs still to come; a worker that only they would use gets the last of the head.

A decision looks at each worker a few times and at each job of the head once, however many wait.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heapreplace

from .rule import ArrivalEstimate, Assignment, Job
from .view import WorkerView

HEAD = 64
"""Jobs that one plan looks at; whoever sees them all sent asks again."""

ASIDE = 32
"""Jobs that one plan puts aside, for workers that have enough; those behind are only counted."""

STILL_TO_COME = 1.0
"""Part of the arrivals expected until the plan's end that takes part in it when every worker is busy."""

LOAD_POWER = 2.0
"""That part falls with this power of the load: who waits at a low load makes nobody else wait. With
power 0 and a part of 0.25 near saturation 3 to 5 % slower. Measured: docs/explanation/dispatch.md."""


@dataclass(frozen=True, slots=True)
class EctStar:
    """Points 1 to 4 of the rule; point 5, the estimate of service times, is `estimates.learn`."""

    still_to_come: float = STILL_TO_COME
    load_power: float = LOAD_POWER
    head: int = HEAD
    aside: int = ASIDE
    name: str = "ect*"

    def assign(
        self,
        waiting: Sequence[Job],
        workers: Sequence[WorkerView],
        now: float,
        arrivals: ArrivalEstimate,
        /,
    ) -> list[Assignment]:
        willing = [position for position, worker in enumerate(workers) if worker.wants]
        if not waiting or not willing:
            return []
        head = waiting[: self.head]
        plan = _Plan(workers, willing, now, [job.cost for job in head])
        sent, left = plan.place(head, self.aside)
        if left and plan.willing:
            seen = len(sent) + len(left)
            behind = arrivals.behind + sum([job.cost for job in waiting[seen:]])
            left += head[seen:]
            others = self._others(workers, arrivals.rate, behind, plan.end - now) / plan.usual
            sent += plan.place_others(left, int(others))
        return sent

    def _others(self, workers: Sequence[WorkerView], rate: float, behind: float, horizon: float) -> float:
        """Units of cost that take part in the plan though they are not in its head."""
        if not rate:
            return behind
        capacity = sum([1 / worker.seconds for worker in workers])
        part: float = self.still_to_come * min(1.0, rate / capacity) ** self.load_power
        return behind + part * rate * (horizon + behind / capacity)


class _Plan:
    """Workers by their position, and when each would answer one more job of the usual cost.

    Where costs differ, workers are compared by class of speed: within a class by when they would answer
    a job of the usual cost, and the first of each class by when it would answer this job. So a job is
    compared with the few classes and not with all workers; within a class the order is right but for a
    fifth of the difference between the job and the usual one.
    """

    def __init__(
        self, workers: Sequence[WorkerView], willing: list[int], now: float, costs: list[float]
    ) -> None:
        self.end = now
        self._workers = workers
        like = costs.count(costs[0]) == len(costs)
        usual = self.usual = costs[0] if like else sorted(costs)[len(costs) // 2]
        self.willing = dict.fromkeys(willing)
        """Positions of those that should be given another job."""
        self._holding: dict[int, tuple[int, float, float]] = {}
        """What those given a job here now hold: how many, and seconds of work in the first and behind."""
        entries = [
            (
                (worker.answers if now <= worker.plain_until else worker.answers_at(now))
                + worker.seconds * usual,
                position,
                worker.seconds,
            )
            for position, worker in enumerate(workers)
        ]
        self._heaps = [entries]
        """(answer to one more job of the usual cost, position, seconds), by class of speed."""
        if not like:
            classes: defaultdict[int, list[tuple[float, int, float]]] = defaultdict(list)
            for worker, entry in zip(workers, entries, strict=True):
                classes[worker.speed_class].append(entry)
            self._heaps = list(classes.values())
        for heap in self._heaps:
            heapify(heap)

    def place(self, head: Sequence[Job], aside: int) -> tuple[list[Assignment], list[Job]]:
        """Give each job to the worker that answers it first, the first on ties, while any wants one.

        Returns what is sent, and the jobs put aside for a worker that has enough, `aside` at most.
        """
        sent: list[Assignment] = []
        left: list[Job] = []
        willing, usual, end = self.willing, self.usual, self.end
        alike = len(self._heaps) == 1
        heap = self._heaps[0]
        for job in head:
            cost = job.cost
            if not alike:
                heap = self._first(cost - usual)
            answer, position, seconds = heap[0]
            heapreplace(heap, (answer + seconds * cost, position, seconds))
            answer += seconds * (cost - usual)
            if answer > end:  # noqa: PLR1730 - max() takes three times as long
                end = answer
            if position not in willing:
                left.append(job)
                if len(left) == aside:
                    break
                continue
            sent.append(self._give(job, position))
            if not willing:
                break
        self.end = end
        return sent, left

    def place_others(self, left: list[Job], others: int) -> list[Assignment]:
        """Who waits behind goes on with the plan; a willing worker that they would use gets one of the
        jobs left, the last first.

        They are of the usual cost and `others` in number. Counted, not placed one by one: a turn of a
        worker is used if fewer than `others` turns come before it.
        """
        if others <= 0:
            return []
        entries = [entry for heap in self._heaps for entry in heap]
        firsts = sorted([entry for entry in entries if entry[1] in self.willing])[: len(left)]
        if not _before(firsts[0][:2], entries, self.usual, others):
            return []
        turns = sorted([turn for entry in firsts for turn in self._turns(entry)])[: len(left)]
        low, high = 1, len(turns)  # the first `low` are used, those from `high` on are not
        probe = high - 1  # mostly all are used, or none
        while low < high:
            if _before(turns[probe], entries, self.usual, others):
                low = probe + 1
            else:
                high = probe
            probe = (low + high) // 2
        return [self._give(left.pop(), position) for _, position in turns[:low]]

    def _first(self, more: float) -> list[tuple[float, int, float]]:
        """The class whose first answers a job soonest that costs so much more than usual."""
        best = self._heaps[0]
        soonest, first, seconds = best[0]
        soonest += seconds * more
        for heap in self._heaps:
            answer, position, seconds = heap[0]
            answer += seconds * more
            if answer < soonest or (answer == soonest and position < first):
                best, soonest, first = heap, answer, position
        return best

    def _give(self, job: Job, position: int) -> Assignment:
        worker = self._workers[position]
        holding = self._holding[position] = _more(self._held(position), worker.seconds * job.cost)
        if not worker.would_want(*holding):
            self.willing.pop(position, None)
        return Assignment(job.id, worker.id)

    def _held(self, position: int) -> tuple[int, float, float]:
        holding = self._holding.get(position)
        if holding is None:
            worker = self._workers[position]
            held = len(worker.in_flight)
            holding = held, worker.first_end - worker.begun if held else 0.0, worker.behind
        return holding

    def _turns(self, entry: tuple[float, int, float]) -> list[tuple[float, int]]:
        """When a willing worker would answer jobs of the usual cost, as many as it should be given."""
        answer, position, seconds = entry
        holding = _more(self._held(position), seconds * self.usual)
        turns = [(answer, position)]
        while self._workers[position].would_want(*holding):
            holding = _more(holding, seconds * self.usual)
            answer += seconds * self.usual
            turns.append((answer, position))
        return turns


def _more(holding: tuple[int, float, float], seconds: float) -> tuple[int, float, float]:
    """What a worker holds with one more job of so many seconds."""
    held, first, behind = holding
    return (held + 1, first, behind + seconds) if held else (1, seconds, 0.0)


def _before(
    turn: tuple[float, int], entries: list[tuple[float, int, float]], usual: float, limit: int
) -> bool:
    """Whether fewer than `limit` turns of all workers come before this one."""
    at, of = turn
    turns = [(at - answer) / (seconds * usual) for answer, _, seconds in entries if answer <= at]
    count = len(turns) + sum(map(int, turns))
    if count < limit:
        return True
    if count - len(turns) >= limit:
        return False
    for answer, position, seconds in entries:  # at the same instant the first worker comes first
        if answer <= at and position >= of and ((at - answer) / (seconds * usual)).is_integer():
            count -= 1
    return count < limit
