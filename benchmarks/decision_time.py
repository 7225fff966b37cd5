"""How long a decision takes: the rule alone, and the whole pool.

    python benchmarks/decision_time.py [--steps 2000] [--repeat 3] [--flows 1 20] [--ahead] [--json]

A pool of 60, 30 and 10 jobs a second (each off by up to a tenth) with a backlog from 1,000 cameras runs
on a simulated clock, 12 ms away. A step is one answer and what follows from it: for the rule, the view of
the worker that answered and `EctStar.assign` for the head of 24 jobs; for the pool, `answer` and
`dispatch`. As many jobs arrive as are answered. With `--ahead` the workers know of jobs that go ahead of
others, and it is looked for who may. Jobs are alike, or cost from a fifth to twice as much as usual. The
last lines say how a step grows with the workers and with what waits, and whether no faster than the
logarithm. CPU time of this thread in microseconds, the garbage collector's included. Each run is repeated and
a step's time is the least of its repetitions, for they differ only by what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count, islice, product
from math import log
from statistics import fmean
from time import thread_time_ns
from typing import Any

from meerkat_contract.messages import ModelInfo, Result, TaskInfo, WorkerState
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.pool.work import Flow, Item, Lease
from meerkat_hub.core.rules import ArrivalEstimate, EctStar, InFlight, WaitingJob, WorkerView, staff_of

HEAD = 24
LIMIT = 200
"""Microseconds, of the slowest hundredth."""
FEW = 10
CAMERAS = 1000
ROUND_TRIP = 0.012
WINDOW = 16
TASK = "detect_objects"
INCARNATION = "00000000-0000-7000-8000-000000000000"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--flows", type=int, nargs="+", default=[1, 20], help="that the pool shares among")
    parser.add_argument("--workers", type=int, nargs="+", default=[3, 20, 200, 1000])
    parser.add_argument("--waiting", type=int, nargs="+", default=[10, 1000, 100_000])
    parser.add_argument("--ahead", action="store_true", help="the workers know of jobs that go ahead")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    kinds: dict[str, Callable[..., list[float]]] = {"rule": time_rule}
    for flows in options.flows:
        kinds[f"pool, {flows} flow{'s' if flows > 1 else ''}"] = pool_timer(flows, ahead=options.ahead)
    rows: list[dict[str, Any]] = []
    if not options.json:
        print(f"{'':15}{'workers':>8}{'waiting':>9}{'alike p50':>11}{'p99':>6}{'unlike p50':>12}{'p99':>6}")
    for name, measure in kinds.items():
        for workers in options.workers:
            for waiting in options.waiting:
                row: dict[str, Any] = {"what": name, "workers": workers, "waiting": waiting}
                for cost in ("alike", "unlike"):
                    runs = [
                        measure(workers, waiting, cost == "unlike", options.steps)
                        for _ in range(options.repeat)
                    ]
                    took = sorted(map(min, zip(*runs, strict=True)))
                    row[cost] = {"p50": took[len(took) // 2], "p99": took[int(0.99 * len(took))]}
                rows.append(row)
                if not options.json:
                    print(line(row), flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    slowest = max(row[cost]["p99"] for row in rows for cost in ("alike", "unlike"))
    print(
        f"\nslowest p99 {slowest:.0f} µs: at most {LIMIT} {'holds' if slowest <= LIMIT else 'does not hold'}"
    )
    for what, by in product(kinds, ("workers", "waiting")):
        print(growth([row for row in rows if row["what"] == what], by))


def growth(rows: list[dict[str, Any]], by: str) -> str:
    """How the mean of the medians grows from the least to the most of `by`, and whether no faster than its
    logarithm. Fewer than FEW are left out: what a step costs at any size hides the growth there."""
    means = {
        number: fmean(row[cost]["p50"] for row in rows if row[by] == number for cost in ("alike", "unlike"))
        for number in sorted({row[by] for row in rows if row[by] >= FEW})
    }
    if len(means) < 2:
        return f"{rows[0]['what']}, by {by}: nothing to compare"
    (few, least), (many, most) = next(iter(means.items())), list(means.items())[-1]
    times, may = most / least, log(many) / log(few)
    told = " ".join(f"{number}: {mean:.0f}" for number, mean in means.items())
    verdict = "holds" if times <= may else "does not hold"
    return f"{rows[0]['what']}, by {by} ({told} µs): x {times:.2f}, log n x {may:.2f}: {verdict}"


def line(row: dict[str, Any]) -> str:
    alike, unlike = row["alike"], row["unlike"]
    return (
        f"{row['what']:15}{row['workers']:>8}{row['waiting']:>9}"
        f"{alike['p50']:>11.0f}{alike['p99']:>6.0f}{unlike['p50']:>12.0f}{unlike['p99']:>6.0f}"
    )


def speeds(chance: random.Random, workers: int) -> list[float]:
    """Seconds per unit of cost."""
    return [1 / ((60, 30, 10)[n % 3] * chance.uniform(0.9, 1.1)) for n in range(workers)]


def costs(chance: random.Random, unlike: bool) -> Callable[[], float]:
    return (lambda: round(chance.uniform(0.2, 2.0), 2)) if unlike else (lambda: 1.0)


class Workers:
    """The workers in truth: who answers next. Service times vary by a tenth."""

    def __init__(self, chance: random.Random, seconds: Sequence[float]) -> None:
        self._chance = chance
        self._seconds = seconds
        self._free = [0.0] * len(seconds)
        self._answers: list[tuple[float, int, int, Any, float]] = []
        self._numbers = count()

    def take(self, worker: int, job: Any, cost: float, now: float) -> None:
        begins = max(self._free[worker], now + ROUND_TRIP / 2)
        took = self._seconds[worker] * cost * self._chance.uniform(0.9, 1.1)
        self._free[worker] = begins + took
        heappush(self._answers, (begins + took + ROUND_TRIP / 2, next(self._numbers), worker, job, took))

    def next(self) -> tuple[float, int, int, Any, float]:
        return heappop(self._answers)


def time_rule(workers: int, waiting: int, unlike: bool, steps: int) -> list[float]:
    chance = random.Random(1)
    seconds, cost = speeds(chance, workers), costs(chance, unlike)
    truth, rule, ids = Workers(chance, seconds), EctStar(), count()
    queue = deque(WaitingJob(str(next(ids)), cost()) for _ in range(waiting))
    held: list[list[InFlight]] = [[] for _ in seconds]
    last = [float("-inf")] * workers
    rate = 0.9 * sum(1 / each for each in seconds)

    def view(n: int) -> WorkerView:
        each = seconds[n]
        return WorkerView(str(n), each, ROUND_TRIP, WINDOW, 1 / each, tuple(held[n]), last[n], 0.1)

    def send(chosen: list[Any], now: float) -> None:
        for assignment in chosen:
            job = jobs[assignment.job]
            queue.remove(job)
            n = int(assignment.worker)
            held[n].append(InFlight(job.id, job.cost, now))
            views.replace(n, view(n))
            truth.take(n, job.id, job.cost, now)
            queue.append(WaitingJob(str(next(ids)), cost()))

    views = staff_of(view(n) for n in range(workers))
    while True:  # the start, when all idle
        head = list(islice(queue, HEAD))
        jobs = {job.id: job for job in head}
        first = rule.assign(head, views, 0.0, ArrivalEstimate(rate, float(len(queue) - len(head))))
        send(first, 0.0)
        if len(first) < len(head):
            break
    took = []
    for _ in range(steps + steps // 4):
        now, _, n, job_id, _ = truth.next()
        held[n] = [job for job in held[n] if job.job != job_id]
        last[n] = now
        head = list(islice(queue, HEAD))
        jobs = {job.id: job for job in head}
        arrivals = ArrivalEstimate(rate, float(len(queue) - len(head)))
        began = thread_time_ns()
        views.replace(n, view(n))
        chosen = rule.assign(head, views, now, arrivals)
        took.append((thread_time_ns() - began) / 1e3)
        send(chosen, now)
    return took[steps // 4 :]


def pool_timer(flows: int, *, ahead: bool) -> Callable[[int, int, bool, int], list[float]]:
    def time_pool(workers: int, waiting: int, unlike: bool, steps: int) -> list[float]:
        chance = random.Random(1)
        seconds, cost = speeds(chance, workers), costs(chance, unlike)
        truth, pool, ids = Workers(chance, seconds), Pool(), count()
        for number in range(flows):
            pool.open(Flow(f"flow{number}", TASK, weight=1 + number % 3))

        def arrive(now: float) -> None:
            number = next(ids)
            camera = number % CAMERAS
            flow = f"flow{camera % flows}"
            pool.add(Item(str(number), flow, cost(), 50_000, now, source=f"camera{camera}"), now)

        def send(leases: list[Lease], now: float) -> None:
            for lease in leases:
                truth.take(int(lease.worker[1:]), lease, lease.item.cost, now)

        for n, each in enumerate(seconds):
            pool.seen(announced(f"w{n}", each, ahead=ahead), 0.0)
        for _ in range(waiting + 3 * workers):
            arrive(0.0)
        send(pool.dispatch(0.0), 0.0)
        took = []
        for _ in range(steps + steps // 4):
            now, _, n, lease, worked = truth.next()
            arrive(now)
            result = Result.model_construct(
                job=lease.item.id,
                token=lease.token,
                incarnation=INCARNATION,
                state="done",
                frames=0,
                seconds=worked,
                waited=max(0.0, now - lease.sent - worked - ROUND_TRIP),
            )
            began = thread_time_ns()
            pool.answer(f"w{n}", result, now)
            leases = pool.dispatch(now)
            took.append((thread_time_ns() - began) / 1e3)
            send(leases, now)
        return took[steps // 4 :]

    return time_pool


def announced(worker: str, seconds: float, *, ahead: bool) -> WorkerState:
    task = TaskInfo(task=TASK, model=ModelInfo(name="simulated"), frames_per_second=1 / seconds)
    return WorkerState(
        worker=worker, incarnation=INCARNATION, online=True, tasks=(task,), window=WINDOW, ahead=ahead
    )


if __name__ == "__main__":
    main()
