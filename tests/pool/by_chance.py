"""A pool to which everything happens that may: for comparing two of them, answer for answer.

What happens depends on the seed and on what the pool says, so two pools see the same as long as they say the
same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from meerkat_contract.messages import Result
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.pool.work import Flow, Item, Lease, Priority

from .desk import LOOK, state

OTHER = "classify"

Said = tuple[tuple[str, str, int, bool, bool, float], ...]
"""Of each lease: its item, its worker, its token, whether it is a copy, whether it goes ahead, its end."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What kind of pool it is."""

    workers: int
    flows: int
    backlog: int
    load: float
    """Arrivals over answers; 1 keeps the backlog as it is."""
    costs: tuple[float, ...]
    troubles: float
    """How much of what happens is a trouble: a worker that leaves, a flow that changes…"""

    @classmethod
    def of(cls, chance: Random, workers: int) -> Shape:
        costs = chance.choice(
            [(1.0,), (1.0,), (0.5, 1.0, 2.0), tuple(chance.uniform(0.2, 2) for _ in range(40))]
        )
        return cls(
            workers=workers,
            flows=chance.choice([1, 1, 3, 20]),
            backlog=chance.choice([0, 1, 3, 6]) * workers,
            load=chance.choice([0.5, 1.0, 1.0, 1.3]),
            costs=costs,
            troubles=chance.choice([0.0, 0.02, 0.1]),
        )


class ByChance:
    def __init__(self, seed: int, workers: int, pool: Pool) -> None:
        self.chance = chance = Random(seed)
        self.shape = shape = Shape.of(chance, workers)
        self.pool = pool
        self.now = 100.0
        self._count = 0
        self._held: dict[int, tuple[float, Lease, float]] = {}
        """By token: when it is answered, the lease, and the seconds of work."""
        self._free: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._round_trip = chance.choice([0.0005, 0.012, 0.1])
        self._ahead = chance.choice([0.0, 0.7, 1.0])
        self._nodes = chance.random() < 0.3
        for number in range(shape.flows):
            self._open(number)
        for number in range(workers):
            self._join(number)
        for _ in range(shape.backlog):
            self._arrive()

    def steps(self, count: int) -> Iterator[Said]:
        """What the pool sends, step by step."""
        for _ in range(count):
            leases = self.pool.dispatch(self.now)
            yield tuple((x.item.id, x.worker, x.token, x.copy, x.ahead, x.expires) for x in leases)
            for lease in leases:
                self._take(lease)
            self._happen()

    def _happen(self) -> None:
        chance = self.chance
        if chance.random() < self.shape.troubles:
            self._trouble()
            return
        if self._held:
            token = min(self._held, key=lambda token: (self._held[token][0], token))
            at, lease, seconds = self._held.pop(token)
            self.now = max(self.now, at)
            self._pass()
            answer = self.pool.answer(lease.worker, self._result(lease, seconds), self.now)
            for other in answer.void if answer else ():
                self._held.pop(other.token, None)
        else:
            self.now += chance.expovariate(20)
            self._pass()
        arrivals = int(self.shape.load + chance.random())
        for _ in range(arrivals if chance.random() < 0.98 else 20):
            self._arrive()

    def _trouble(self) -> None:
        chance, pool = self.chance, self.pool
        match chance.randrange(8):
            case 0:
                number = chance.randrange(self.shape.workers)
                pool.seen(state(f"w{number}", start=number, online=False), self.now)
                self._join(number, start=number + 1000 * self._next())
            case 1 if self._held:
                _, lease, _ = self._held.pop(chance.choice(list(self._held)))
                pool.not_sent(lease.item.id, lease.token, self.now)
            case 2:
                self._open(chance.randrange(self.shape.flows))
            case 3 if pool.queues.waiting:
                pool.remove(chance.choice(list(pool.queues.waiting)))
            case 4 if self._held:
                token = chance.choice(list(self._held))
                at, lease, seconds = self._held[token]
                self._held[token] = (at + chance.choice([0.5, 60.0]), lease, seconds)
            case 5:
                self.now += chance.choice([0.01, 0.2, 1.5])
                self._pass()
            case 6 if self._held:
                _, lease, _ = self._held.pop(chance.choice(list(self._held)))
                failed = {"state": "failed", "retry": chance.random() < 0.5}
                answer = pool.answer(lease.worker, self._result(lease, 0.0, **failed), self.now)
                if answer is not None and not answer.kept and chance.random() < 0.7:
                    pool.again(lease.item, tried=lease.worker)
            case _:
                for _ in range(chance.choice([3, 30])):
                    self._arrive()

    def _pass(self) -> None:
        passed = self.pool.pass_time(self.now)
        for lease in passed.over:
            self._held.pop(lease.token, None)

    def _arrive(self) -> None:
        chance = self.chance
        number = self._next()
        flow = f"f{min(chance.randrange(self.shape.flows), chance.randrange(self.shape.flows))}"
        item = Item(
            str(number),
            flow,
            chance.choice(self.shape.costs),
            chance.choice([50_000, 50_000, 400_000]),
            self.now,
            deadline=self.now + chance.choice([1.0, 10.0]),
            priority=chance.choices(list(Priority), [0.02, 0.9, 0.08])[0],
            source=f"camera{number % 7}",
        )
        self.pool.add(item, self.now)

    def _open(self, number: int) -> None:
        chance = self.chance
        nodes = None
        if self._nodes and chance.random() < 0.3:
            nodes = frozenset(f"w{n}" for n in range(self.shape.workers) if n % 3 == number % 3)
        self.pool.open(
            Flow(
                f"f{number}",
                OTHER if number % 5 == 4 else LOOK,
                weight=chance.choice([0.5, 1.0, 1.0, 3.0]),
                nodes=nodes,
                bound=chance.choice([None, None, 8]),
            )
        )

    def _join(self, number: int, start: int | None = None) -> None:
        chance = self.chance
        worker = f"w{number}"
        fps = chance.choice([60.0, 30.0, 10.0]) * chance.choice([1.0, chance.uniform(0.8, 1.2)])
        self._seconds[worker] = 1 / fps
        self._free[worker] = self.now
        tasks = (LOOK, OTHER) if number % 2 else (LOOK,)
        self.pool.seen(
            state(
                worker,
                fps=fps * chance.choice([1.0, 1.0, 3.0]),
                window=chance.choice([1, 2, 16, 16]),
                start=number if start is None else start,
                tasks=tasks,
                ahead=chance.random() < self._ahead,
            ),
            self.now,
        )

    def _take(self, lease: Lease) -> None:
        begins = max(self._free[lease.worker], self.now + self._round_trip / 2)
        seconds = (
            self._seconds[lease.worker] * lease.item.cost * self.chance.choice([1.0, 0.9, 1.2, 1.2, 9.0])
        )
        self._free[lease.worker] = begins + seconds
        self._held[lease.token] = (begins + seconds + self._round_trip / 2, lease, seconds)

    def _result(self, lease: Lease, seconds: float, **changed: object) -> Result:
        fields: dict[str, object] = {
            "job": lease.item.id,
            "token": lease.token,
            "incarnation": lease.incarnation,
            "state": "done",
            "frames": 0,
            "seconds": seconds,
            "waited": max(0.0, self.now - lease.sent - seconds - self._round_trip),
            "retry": False,
            "reason": "",
            **changed,
        }
        return Result.model_construct(**fields)  # type: ignore[arg-type]

    def _next(self) -> int:
        self._count += 1
        return self._count
