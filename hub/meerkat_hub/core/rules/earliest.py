"""ECT*: the earliest predicted completion, without its selfishness and without its idle link.

Each job of a bounded head of the queue is assigned in thought, in order, to the worker that would
complete it first. Only what a worker wins in this plan is sent to it, so a slow worker does not get
one of the last jobs that a fast one would finish sooner.

That alone is selfish: each job prefers to wait for a fast worker, at the cost of all who come after
it, and near saturation a slow worker idles too long. So what waits behind the head takes part in the
plan, and some of the jobs still to come; a worker that only they would use gets the last of the head.

A decision looks at each job of the head once, however many wait, and at those workers that may answer
one of them first (see `line`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapreplace
from math import inf

from .line import Entry, Turn
from .rule import ArrivalEstimate, Assignment, Job
from .staff import Staff, staff_of
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


FEW = 6
"""Workers that are looked at first when it comes to those behind: most often no more get one."""

ROUNDED = 1 + 1e-9
"""So much more than was counted is surely enough, however numbers are rounded."""


@dataclass(frozen=True, slots=True)
class EctStar:
    """Points 1 to 4 of the rule; point 5, the estimate of service times, is `estimates.learn`."""

    still_to_come: float = STILL_TO_COME
    load_power: float = LOAD_POWER
    head: int = HEAD
    aside: int = ASIDE
    name: str = "ect*"
    only_willing: bool = True

    def assign(
        self,
        waiting: Sequence[Job],
        workers: Sequence[WorkerView],
        now: float,
        arrivals: ArrivalEstimate,
        /,
    ) -> list[Assignment]:
        staff = workers if isinstance(workers, Staff) else staff_of(workers)
        if not waiting or not staff.willing:
            return []
        head = waiting[: self.head]
        plan = _Plan(staff, now, [job.cost for job in head])
        sent, left = plan.place(head, self.aside)
        if left and plan.wanting:
            seen = len(sent) + len(left)
            behind = arrivals.behind + sum([job.cost for job in waiting[seen:]])
            left += head[seen:]
            others = self._others(staff, arrivals.rate, behind, plan.end - now) / plan.usual
            sent += plan.place_others(left, int(others))
        return sent

    def _others(self, staff: Staff, rate: float, behind: float, horizon: float) -> float:
        """Units of cost that take part in the plan though they are not in its head."""
        if not rate:
            return behind
        capacity = staff.rate
        part: float = self.still_to_come * min(1.0, rate / capacity) ** self.load_power
        return behind + part * rate * (horizon + behind / capacity)


class _Plan:
    """Workers by their position, and when they would answer one more job of the usual cost.

    Where costs differ, workers are compared by class of speed: within a class by when they would answer
    a job of the usual cost, and the first of each class by when it would answer this job. So a job is
    compared with the few classes and not with all workers; within a class the order is right but for a
    fifth of the difference between the job and the usual one.
    """

    def __init__(self, staff: Staff, now: float, costs: list[float]) -> None:
        self.end = now
        self._staff = staff
        like = costs.count(costs[0]) == len(costs)
        self.usual = costs[0] if like else sorted(costs)[len(costs) // 2]
        self.wanting = len(staff.willing)
        """How many should be given another job."""
        self._sated: set[int] = set()
        """Positions of those given so much here that they should not, though their view says so."""
        self._holding: dict[int, tuple[int, float, float]] = {}
        """What those given a job here now hold: how many, and seconds of work in the first and behind."""
        self._moved: dict[int, float] = {}
        """When those given a job in this plan would answer one more of the usual cost."""
        self._turns = staff.turns(now, self.usual, len(costs), together=like)
        self._lines = self._turns.lines

    def place(self, head: Sequence[Job], aside: int) -> tuple[list[Assignment], list[Job]]:
        """Give each job to the worker that answers it first, the first on ties, while any wants one.

        Returns what is sent, and the jobs put aside for a worker that has enough, `aside` at most.
        """
        sent: list[Assignment] = []
        left: list[Job] = []
        willing, sated, usual, end = self._staff.willing, self._sated, self.usual, self.end
        lines, moved = self._lines, self._moved
        firsts = [line.heap[0] for line in lines]
        at = 0
        for job in head:
            cost = job.cost
            more = cost - usual
            answer, position, seconds = firsts[at]
            soonest = answer + seconds * more
            if len(firsts) > 1:  # the class whose first answers this job soonest
                for number, (its_answer, its_position, its_seconds) in enumerate(firsts):
                    answers = its_answer + its_seconds * more
                    if answers < soonest or (answers == soonest and its_position < position):
                        soonest, at = answers, number
                        answer, position, seconds = its_answer, its_position, its_seconds
            line = lines[at]
            heap = line.heap
            moved[position] = next_answer = answer + seconds * cost
            heapreplace(heap, (next_answer, position, seconds))
            if heap[0][0] >= line.bound:
                line.look()
            firsts[at] = heap[0]
            if soonest > end:  # noqa: PLR1730 - max() takes three times as long
                end = soonest
            if position not in willing or position in sated:
                left.append(job)
                if len(left) == aside:
                    break
                continue
            sent.append(self._give(job, position))
            if not self.wanting:
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
        self._turns.settle(self._moved)
        first = self._turns.first(self._sated)
        if not self._used([first[:2]], others):
            return []
        entries = self._turns.soonest(min(len(left), FEW), self._sated)
        used = 1 if len(entries) == 1 else self._used([entry[:2] for entry in entries], others)
        if used == FEW < len(left):
            entries = self._turns.soonest(len(left), self._sated)
            used = self._used([entry[:2] for entry in entries], others)
        del entries[used:]
        turns = self._turns_of(entries, len(left))
        if len(turns) > len(entries):
            del turns[self._used(turns, others) :]
        return [self._give(left.pop(), position) for _, position in turns]

    def _used(self, turns: list[Turn], others: int) -> int:
        """How many of these turns come before those behind run out."""
        since = min([line.heap[0][0] for line in self._lines])
        most = (turns[-1][0] - since) * self._staff.rate / self.usual + len(self._staff)
        if most * ROUNDED < others:  # so many turns cannot have come by then
            return len(turns)
        return self._turns.used(turns, others)

    def _give(self, job: Job, position: int) -> Assignment:
        worker = self._staff[position]
        holding = self._holding[position] = _more(self._held(position), worker.seconds * job.cost)
        if not worker.would_want(*holding):
            self._sated.add(position)
            self.wanting -= 1
        return Assignment(job.id, worker.id)

    def _held(self, position: int) -> tuple[int, float, float]:
        holding = self._holding.get(position)
        if holding is None:
            worker = self._staff[position]
            held = len(worker.in_flight)
            holding = held, worker.first_end - worker.begun if held else 0.0, worker.behind
        return holding

    def _turns_of(self, entries: list[Entry], most: int) -> list[Turn]:
        """When willing workers would answer jobs of the usual cost, as many as each should be given; the
        first `most` of all."""
        latest = entries[-1][0] if len(entries) == most else inf
        turns: list[Turn] = []
        for first, position, seconds in entries:
            answer, each = first, seconds * self.usual
            holding = _more(self._held(position), each)
            turns.append((answer, position))
            while answer <= latest and self._staff[position].would_want(*holding):
                holding = _more(holding, each)
                answer += each
                turns.append((answer, position))
        turns.sort()
        return turns[:most]


def _more(holding: tuple[int, float, float], seconds: float) -> tuple[int, float, float]:
    """What a worker holds with one more job of so many seconds."""
    held, first, behind = holding
    return (held + 1, first, behind + seconds) if held else (1, seconds, 0.0)
