"""ECT*'s plan against a plain one that takes the definition by its word, a job and a turn at a time.

All times and costs are multiples of a power of two, so that sums are exact and ties are real.
"""

from __future__ import annotations

from heapq import heappop
from math import exp, inf, log, sqrt

from hypothesis import given, settings
from hypothesis import strategies as st

from meerkat_hub.core.rules import ArrivalEstimate, EctStar, InFlight, WaitingJob, WorkerView
from meerkat_hub.core.rules.arrays import ArrayStaff
from meerkat_hub.core.rules.staff import Staff

NOW = 16.0


class PlainWorker:
    """A worker in the plain plan: when it is free, and what it holds."""

    def __init__(self, view: WorkerView, now: float) -> None:
        self.view = view
        self.half = view.round_trip / 2
        free = view.last_answer - self.half
        for position, job in enumerate(view.in_flight):
            free = max(free, job.sent + self.half) + view.seconds * job.cost
            if position == 0 and free < now - self.half:
                free = 2 * (now - self.half) - free
        self.free = max(free, now + self.half)
        self.held = len(view.in_flight)
        self.first = self.view.seconds * view.in_flight[0].cost if view.in_flight else 0.0
        self.behind = sum(view.seconds * job.cost for job in view.in_flight[1:])

    def answers(self, cost: float) -> float:
        return self.free + self.view.seconds * cost + self.half

    def wants(self) -> bool:
        if self.held >= self.view.window:
            return False
        if self.held == 0:
            return True
        if self.held == 1:
            return self.view.round_trip > 0.005 * self.first
        spread = exp(-2 * self.view.variation / sqrt(self.held - 1))
        return self.behind * spread < 1.5 * self.view.round_trip

    def take(self, cost: float) -> None:
        if self.held:
            self.behind += self.view.seconds * cost
        else:
            self.first = self.view.seconds * cost
        self.held += 1


def plain(
    rule: EctStar, waiting: list[WaitingJob], views: list[WorkerView], now: float, arrivals: ArrivalEstimate
) -> list[tuple[str, str]]:
    workers = [PlainWorker(view, now) for view in views]
    head = waiting[: rule.head]
    if not head or not any(worker.wants() for worker in workers):
        return []
    costs = sorted(job.cost for job in head)
    usual = costs[len(costs) // 2]
    sent: list[tuple[str, str]] = []
    left: list[WaitingJob] = []
    end = now
    for job in head:
        best = first(workers, job.cost, usual)
        end = max(end, best.answers(job.cost))
        best.free += best.view.seconds * job.cost
        if best.wants():
            best.take(job.cost)
            sent.append((job.id, best.view.id))
            if not any(worker.wants() for worker in workers):
                return sent
        else:
            left.append(job)
            if len(left) == rule.aside:
                break
    capacity = sum(1 / view.seconds for view in views)
    part = rule.still_to_come * min(1.0, arrivals.rate / capacity) ** rule.load_power
    seen = len(sent) + len(left)
    behind = arrivals.behind + sum(job.cost for job in waiting[seen:])
    left += head[seen:]
    coming = part * arrivals.rate * (end - now + behind / capacity)
    # Turns are handed out before the jobs, whose true costs the count of what is wanted then knows.
    wanted = {worker.view.id: turns(worker, usual) for worker in workers}
    for _ in range(int((behind + coming) / usual)):
        if not left or not any(wanted.values()):
            break
        best = first(workers, usual, usual)
        best.free += best.view.seconds * usual
        if wanted[best.view.id]:
            wanted[best.view.id] -= 1
            sent.append((left.pop().id, best.view.id))
    return sent


def turns(worker: PlainWorker, usual: float) -> int:
    """How many jobs of the usual cost it wants."""
    before, count = (worker.held, worker.first, worker.behind), 0
    while worker.wants():
        worker.take(usual)
        count += 1
    worker.held, worker.first, worker.behind = before
    return count


def first(workers: list[PlainWorker], cost: float, usual: float) -> PlainWorker:
    """The first of each class by the usual cost, and of those the first by this job's."""
    classes: dict[int, list[PlainWorker]] = {}
    for worker in workers:
        classes.setdefault(round(log(worker.view.seconds) / log(1.2)), []).append(worker)
    firsts = [min(those, key=lambda worker: worker.answers(usual)) for those in classes.values()]
    return min(firsts, key=lambda worker: (worker.answers(cost), workers.index(worker)))


eighths = st.integers(0, 8 * 16).map(lambda number: number / 8)


@st.composite
def views(draw: st.DrawFn) -> WorkerView:
    window = draw(st.sampled_from([1, 2, 3, 8]))
    sent = sorted(draw(st.lists(eighths, max_size=min(4, window))))
    held = tuple(InFlight(str(at), draw(st.sampled_from([0.5, 1.0, 4.0])), at) for at in sent)
    return WorkerView(
        id="",
        seconds=draw(st.sampled_from([0.125, 0.5, 1.0, 1.125, 4.0])),
        round_trip=draw(st.sampled_from([0.0, 1 / 128, 0.25, 2.0])),
        window=window,
        weight=1.0,
        in_flight=held,
        last_answer=draw(st.sampled_from([-inf, 12.0, 15.5, NOW])),
        variation=draw(st.sampled_from([0.0, 0.5])),
    )


def named(view: WorkerView, number: int) -> WorkerView:
    return WorkerView(
        f"w{number}",
        view.seconds,
        view.round_trip,
        view.window,
        view.weight,
        view.in_flight,
        view.last_answer,
        view.variation,
    )


@settings(max_examples=800, deadline=None)
@given(
    shapes=st.lists(views(), min_size=1, max_size=12),
    costs=st.one_of(
        st.lists(st.just(1.0), min_size=1, max_size=24),
        st.lists(st.sampled_from([0.5, 1.0, 1.0, 2.0, 8.0]), min_size=1, max_size=24),
    ),
    rate=st.sampled_from([0.0, 0.5, 2.0, 10.0]),
    behind=st.sampled_from([0.0, 0.0, 1.0, 8.0, 1000.0]),
    bounds=st.tuples(st.sampled_from([4, 64]), st.sampled_from([2, 32])),
    kept=st.sampled_from([list, ArrayStaff]),
)
def test_the_fast_plan_is_the_plain_one(
    *,
    shapes: list[WorkerView],
    costs: list[float],
    rate: float,
    behind: float,
    bounds: tuple[int, int],
    kept: type[list[WorkerView]],
) -> None:
    workers = kept(named(view, number) for number, view in enumerate(shapes))
    waiting = [WaitingJob(str(number), cost) for number, cost in enumerate(costs)]
    rule = EctStar(head=bounds[0], aside=bounds[1])
    arrivals = ArrivalEstimate(rate, behind)
    chosen = [(a.job, a.worker) for a in rule.assign(waiting, workers, NOW, arrivals)]
    assert chosen == plain(rule, waiting, workers, NOW, arrivals)


@settings(max_examples=300, deadline=None)
@given(
    shapes=st.lists(views(), min_size=1, max_size=30),
    changes=st.lists(st.tuples(st.integers(0, 29), views()), max_size=30),
    cost=st.sampled_from([0.5, 1.0, 8.0]),
)
def test_workers_kept_in_arrays_are_those_gone_through_one_by_one(
    shapes: list[WorkerView], changes: list[tuple[int, WorkerView]], cost: float
) -> None:
    """Whatever became of each since: they are as workers who were looked at just now."""
    arrays = ArrayStaff(named(view, number) for number, view in enumerate(shapes))
    for number, view in changes:
        if number < len(shapes):
            arrays.replace(number, named(view, number))
    plain = Staff(arrays)
    assert (arrays.willing, arrays.rates) == (plain.willing, plain.rates)
    assert (arrays.has_idle(), arrays.has_busy()) == (plain.has_idle(), plain.has_busy())
    assert arrays.overdue_at() == plain.overdue_at()
    assert in_turn(arrays, cost) == in_turn(plain, cost)
    few, many = (staff.turns(NOW, cost, 4, together=True) for staff in (plain, arrays))
    for turns in (few, many):
        turns.settle({})
    sated = sorted(plain.willing)[::3]
    turns = sorted(
        (at + later * cost, p) for at, p, each in few.lines[0].heap for later in (0, each, 3 * each)
    )
    for limit in range(0, 3 * len(turns), 4):
        assert few.used(turns, limit) == many.used(turns, limit)
        assert few.used(turns[:2], limit) == many.used(turns[:2], limit)
    for most in (1, 4, 99):
        assert few.soonest(most, sated) == many.soonest(most, sated)
    if plain.willing.difference(sated):
        assert few.first(sated) == many.first(sated)


def in_turn(staff: Staff, cost: float) -> list[list[tuple[float, int, float]]]:
    """Each class of speed, in the order in which it would answer."""
    classes = []
    for line in staff.turns(NOW, cost, 4, together=False).lines:
        classes.append([])
        while line.heap:
            classes[-1].append(heappop(line.heap))
            line.look()
    return sorted(classes)
