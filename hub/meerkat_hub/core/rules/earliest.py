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

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heapreplace
from math import inf

from .line import Entry, Line
from .ordered import staff_of
from .rule import ArrivalEstimate, Assignment, Job
from .staff import Staff
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

GUESSES = 4
"""Times that the last turn which is used is looked for where it should be, before the rest is halved."""

FEW = 4
"""Workers; the turns of so few are sooner compared one by one than bounded first."""

SPARE = 8.0
"""Turns by which a guess may well be off."""

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
        if left and plan.willing:
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
        capacity = sum(staff.rates)
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
        self.willing = staff.willing.copy()
        """Positions of those that should be given another job."""
        self._holding: dict[int, tuple[int, float, float]] = {}
        """What those given a job here now hold: how many, and seconds of work in the first and behind."""
        self._now = now
        self._lines = staff.lines(now, self.usual, together=like)

    def place(self, head: Sequence[Job], aside: int) -> tuple[list[Assignment], list[Job]]:
        """Give each job to the worker that answers it first, the first on ties, while any wants one.

        Returns what is sent, and the jobs put aside for a worker that has enough, `aside` at most.
        """
        sent: list[Assignment] = []
        left: list[Job] = []
        willing, usual, end = self.willing, self.usual, self.end
        alike = len(self._lines) == 1
        line = self._lines[0]
        for job in head:
            cost = job.cost
            if not alike:
                line = self._first(cost - usual)
            heap = line.heap
            answer, position, seconds = heap[0]
            heapreplace(heap, (answer + seconds * cost, position, seconds))
            if heap[0][0] >= line.bound:
                line.look()
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
        looked = {entry[1]: entry for line in self._lines for entry in line.heap}
        firsts = sorted([entry for position, entry in looked.items() if position in self.willing])
        eager = self._staff.eager_line(self._now, self.usual)
        unlooked = self.willing - looked.keys()
        while eager.heap and eager.heap[0][1] not in unlooked:
            heappop(eager.heap)
            eager.look()
        first = min(firsts[:1] + eager.heap[:1])
        count = _Count(self._lines, self._staff, self.usual, others)
        if not count.used(first[:2]):
            return []
        latest = count.latest() if len(self.willing) > FEW else inf
        firsts += [
            e for e in (*eager.heap, *eager.until(latest)) if e[1] not in looked and e[1] in self.willing
        ]
        firsts = sorted([entry for entry in firsts if entry[0] <= latest])[: len(left)]
        turns = sorted([turn for entry in firsts for turn in self._turns(entry, latest)])
        del turns[len(left) :]
        low, high = 1, len(turns)  # the first `low` are used, those from `high` on are not
        for closer in range(high):
            if low >= high:
                break
            probe = (low + high) // 2
            if closer < GUESSES:
                probe = min(max(bisect_left(turns, (count.guess(), 0)) - closer % 2, low), high - 1)
            if count.used(turns[probe]):
                low = probe + 1
            else:
                high = probe
        return [self._give(left.pop(), position) for _, position in turns[:low]]

    def _first(self, more: float) -> Line:
        """The class whose first answers a job soonest that costs so much more than usual."""
        best = self._lines[0]
        soonest, first, seconds = best.heap[0]
        soonest += seconds * more
        for line in self._lines:
            answer, position, seconds = line.heap[0]
            answer += seconds * more
            if answer < soonest or (answer == soonest and position < first):
                best, soonest, first = line, answer, position
        return best

    def _give(self, job: Job, position: int) -> Assignment:
        worker = self._staff[position]
        holding = self._holding[position] = _more(self._held(position), worker.seconds * job.cost)
        if not worker.would_want(*holding):
            self.willing.discard(position)
        return Assignment(job.id, worker.id)

    def _held(self, position: int) -> tuple[int, float, float]:
        holding = self._holding.get(position)
        if holding is None:
            worker = self._staff[position]
            held = len(worker.in_flight)
            holding = held, worker.first_end - worker.begun if held else 0.0, worker.behind
        return holding

    def _turns(self, entry: Entry, latest: float) -> list[tuple[float, int]]:
        """When a willing worker would answer jobs of the usual cost, as many as it should be given; of
        those after `latest` perhaps one."""
        answer, position, seconds = entry
        holding = _more(self._held(position), seconds * self.usual)
        turns = [(answer, position)]
        while answer <= latest and self._staff[position].would_want(*holding):
            holding = _more(holding, seconds * self.usual)
            answer += seconds * self.usual
            turns.append((answer, position))
        return turns


class _Count:
    """Counts the turns of all workers that come before one, to tell whether it is among the first `limit`."""

    def __init__(self, lines: list[Line], staff: Staff, usual: float, limit: int) -> None:
        self._lines, self._usual, self._limit = lines, usual, limit
        self._workers = len(staff)
        self._rate = sum(staff.rates) / usual
        self._since = min([min(line.heap[0][0], line.bound) for line in lines])
        """No turn comes before."""
        self._entries = [entry for line in lines for entry in line.heap]
        self._at = 0.0
        """The turn that was counted last, and about how many come before it."""
        self._count = 0.0

    def used(self, turn: tuple[float, int]) -> bool:
        """Whether fewer than `limit` turns of all workers come before this one."""
        at, of = turn
        limit, usual = self._limit, self._usual
        self._at, self._count = at, (at - self._since) * self._rate + self._workers
        if self._count * ROUNDED < limit:  # there cannot be more
            return True
        entries = self._entries
        for line in self._lines:
            if line.bound <= at:
                entries += line.until(at)
        turns = [(at - answer) / (seconds * usual) for answer, _, seconds in entries if answer <= at]
        self._count = count = len(turns) + sum(map(int, turns))
        if count < limit:
            return True
        if count - len(turns) >= limit:
            return False
        for answer, position, seconds in entries:  # at the same instant the first worker comes first
            if answer <= at and position >= of and ((at - answer) / (seconds * usual)).is_integer():
                count -= 1
        return count < limit

    def guess(self) -> float:
        """About when the first turn comes that is not used."""
        return self._at + (self._limit - self._count) / self._rate

    def latest(self) -> float:
        """No turn later than this is used, if that can be told."""
        for more in (SPARE, 8 * SPARE):
            turn = self.guess() + more / self._rate
            if not self.used((turn, -1)):
                return turn
        return inf


def _more(holding: tuple[int, float, float], seconds: float) -> tuple[int, float, float]:
    """What a worker holds with one more job of so many seconds."""
    held, first, behind = holding
    return (held + 1, first, behind + seconds) if held else (1, seconds, 0.0)
