"""Two flows before one pool on a simulated clock: who waits how long."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from random import Random

from meerkat_contract.messages import Result
from meerkat_hub.core.pool import Pool
from meerkat_hub.core.pool_settings import PoolSettings
from meerkat_hub.core.work import Flow, Item, Lease

from .desk import LOOK, an_id, state


@dataclass
class Outcome:
    waits: dict[str, list[float]] = field(default_factory=dict)
    """Seconds from arrival to answer, by flow."""
    served: Counter[str] = field(default_factory=Counter)

    def p99(self, flow: str) -> float:
        waits = sorted(self.waits[flow])
        return waits[int(0.99 * (len(waits) - 1))]


def run(
    rates: dict[str, float],
    *,
    capacities: tuple[float, ...] = (60, 30, 10),
    weights: dict[str, float] | None = None,
    seconds: float = 60.0,
    round_trip: float = 0.012,
    seed: int = 1,
    variation: float = 0.2,
    settled: float = 2.0,
) -> Outcome:
    """Poisson arrivals of each flow at so many a second; workers take their jobs one at a time.

    What arrives before `settled` counts for nothing: within a second of service the oldest go first.
    """
    chance, number = Random(seed), count(1)
    pool = Pool(settings=PoolSettings())
    for flow in rates:
        pool.open(Flow(flow, LOOK, weight=(weights or {}).get(flow, 1.0)))
    for place, capacity in enumerate(capacities):
        pool.seen(state(f"w{place}", fps=capacity, window=16), 0.0)
    seconds_of = {f"w{place}": 1 / capacity for place, capacity in enumerate(capacities)}
    free = dict.fromkeys(seconds_of, 0.0)
    events: list[tuple[float, int, str, object]] = []
    for flow, rate in rates.items():
        at = 0.0
        while (at := at + chance.expovariate(rate)) < seconds:
            heapq.heappush(events, (at, next(number), "arrive", flow))
    out = Outcome({flow: [] for flow in rates})
    while events:
        now, _, kind, what = heapq.heappop(events)
        if kind == "arrive":
            assert isinstance(what, str)
            pool.add(Item(an_id(next(number)), what, cost=1.0, arrived=now), now)
        elif kind == "answer":
            assert isinstance(what, tuple)
            lease, result = what
            assert isinstance(lease, Lease)
            answered = pool.answer(lease.worker, result, now) is not None
            if answered and settled <= now <= seconds:
                out.served[lease.item.flow] += 1
                if lease.item.arrived >= settled:
                    out.waits[lease.item.flow].append(now - lease.item.arrived)
        if now > seconds:
            break
        pool.pass_time(now)
        for lease in pool.dispatch(now):
            there = now + round_trip / 2
            begin = max(there, free[lease.worker])
            spent = seconds_of[lease.worker] * max(0.2, chance.gauss(1.0, variation))
            free[lease.worker] = begin + spent
            result = Result.model_construct(
                job=lease.item.id,
                token=lease.token,
                incarnation=lease.incarnation,
                state="done",
                retry=False,
                frames=1,
                seconds=spent,
                waited=begin - there,
            )
            heapq.heappush(events, (begin + spent + round_trip / 2, next(number), "answer", (lease, result)))
        if (wake := pool.wake_at()) is not None:
            heapq.heappush(events, (max(wake, now + 1e-4), next(number), "wake", None))
    return out
