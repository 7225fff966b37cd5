"""A pool that remembers nothing from step to step and looks at everything: slow, and short.

At each step it works out anew what is known of each worker, the order of all that waits, and the plan, a job
and a turn at a time. The arithmetic is that of the pool, so the answers have to be the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

from meerkat_hub.core.pool.fair_order import SLACK, FairOrder, Key
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.pool.queues import Group
from meerkat_hub.core.pool.settings import PoolSettings
from meerkat_hub.core.pool.work import Item, Lease, Priority
from meerkat_hub.core.rules import ArrivalEstimate, Assignment, EctStar, Staff, WorkerView
from meerkat_hub.core.rules.rule import Job


class PlainPool(Pool):
    def __init__(self) -> None:
        super().__init__(settings=PoolSettings(rule=PlainRule))

    def dispatch(self, now: float) -> list[Lease]:
        self._crews._idle = None
        return super().dispatch(now)

    def _deal(self, group: Group, until: Key | None, now: float, sent: list[Lease]) -> bool:
        for member in self.members.values():
            member._views.clear()
        crew = self._crews.of(group)
        crew._views = Staff(member.view(group.task, crew._size(group.task)) for member in crew.members)
        group._order = PlainOrder(group._order)
        return super()._deal(group, until, now, sent)


class PlainOrder(FairOrder):
    def __init__(self, order: FairOrder) -> None:
        super().__init__()
        self.lanes = order.lanes
        self._touched.update(order.lanes)

    def head(self, count: int, unit: float, until: Key | None) -> list[Item]:
        """Of those within SLACK of the least served who came first; an urgent one before all."""
        lanes = list(self.lanes.values())
        tags = {lane.number: lane.tag for lane in lanes}
        left = {lane.number: list(lane.in_order()) for lane in lanes}
        chosen: list[Item] = []
        while len(chosen) < count and (waiting := [lane for lane in lanes if left[lane.number]]):
            lowest, _least = min((tags[lane.number], lane.number) for lane in waiting)
            turn = min(
                (not_urgent(item), item.arrived, lane.number)
                for lane in waiting
                for item in left[lane.number][:1]
                if not not_urgent(item) or tags[lane.number] <= lowest + SLACK
            )
            if until is not None and chosen and (turn[0], lowest, turn[2]) > until:
                break
            item = left[turn[2]].pop(0)
            chosen.append(item)
            tags[turn[2]] += item.cost * unit / self.lanes[turn[2]].flow.weight
        return chosen


def not_urgent(item: Item) -> bool:
    return item.priority is not Priority.URGENT


class PlainRule:
    """ECT*, as docs/explanation/dispatch.md has it."""

    name = "plain"
    only_willing = False  # it is asked in any case
    known = EctStar()

    def assign(
        self, waiting: Sequence[Job], workers: Sequence[WorkerView], now: float, arrivals: ArrivalEstimate, /
    ) -> list[Assignment]:
        plan = PlainPlan(workers, now, [job.cost for job in waiting])
        sent: list[Assignment] = []
        left: list[Job] = []
        for job in waiting:
            if not plan.willing():
                return sent
            position = plan.place(job.cost)
            if position in plan.willing():
                sent.append(plan.give(job, position))
            else:
                left.append(job)
                if len(left) == self.known.aside:
                    break
        if not left or not plan.willing():
            return sent
        rest = waiting[len(sent) + len(left) :]
        behind = arrivals.behind + sum([job.cost for job in rest])
        capacity = sum([1 / worker.seconds for worker in workers])
        part = self.known.still_to_come * min(1.0, arrivals.rate / capacity) ** self.known.load_power
        coming = part * arrivals.rate * (plan.end - now + behind / capacity) if arrivals.rate else 0.0
        left += rest
        others = int((behind + coming) / plan.usual)
        for _, position in [turn for turn in plan.turns()[: len(left)] if plan.before(turn) < others]:
            sent.append(plan.give(left.pop(), position))
        return sent


class PlainPlan:
    def __init__(self, workers: Sequence[WorkerView], now: float, costs: list[float]) -> None:
        self.workers = workers
        self.usual = sorted(costs)[len(costs) // 2]
        self.firsts = [worker.answers_at(now) + worker.seconds * self.usual for worker in workers]
        self.end = now
        self.alike = len(set(costs)) == 1
        self.holds = [
            (len(w.in_flight), w.first_end - w.begun if w.in_flight else 0.0, w.behind) for w in workers
        ]

    def wants(self, position: int) -> bool:
        return self.workers[position].would_want(*self.holds[position])

    def willing(self) -> list[int]:
        return [position for position in range(len(self.workers)) if self.wants(position)]

    def place(self, cost: float) -> int:
        more = cost - self.usual
        classes: dict[int, tuple[float, int]] = {}
        for position, worker in enumerate(self.workers):
            its = 0 if self.alike else worker.speed_class
            classes[its] = min(
                classes.get(its, (self.firsts[position], position)), (self.firsts[position], position)
            )
        seconds = [worker.seconds for worker in self.workers]
        answer, position = min((first + seconds[p] * more, p) for first, p in classes.values())
        self.end = max(self.end, answer)
        self.firsts[position] += seconds[position] * cost
        return position

    def give(self, job: Job, position: int) -> Assignment:
        self.take(position, self.workers[position].seconds * job.cost)
        return Assignment(job.id, self.workers[position].id)

    def take(self, position: int, seconds: float) -> None:
        held, first, behind = self.holds[position]
        self.holds[position] = (held + 1, first, behind + seconds) if held else (1, seconds, 0.0)

    def turns(self) -> list[tuple[float, int]]:
        """Of those that want more, as many of each as it wants of the usual cost, in order."""
        turns = []
        before = self.holds.copy()
        for position in self.willing():
            at, seconds = self.firsts[position], self.workers[position].seconds * self.usual
            while self.wants(position):
                turns.append((at, position))
                self.take(position, seconds)
                at += seconds
        self.holds = before
        return sorted(turns)

    def before(self, turn: tuple[float, int]) -> int:
        """How many turns of all workers come before this one."""
        at, of = turn
        count = 0
        for position, worker in enumerate(self.workers):
            if self.firsts[position] <= at:
                turns = (at - self.firsts[position]) / (worker.seconds * self.usual)
                count += 1 + int(turns) - (position >= of and turns.is_integer())
        return count
