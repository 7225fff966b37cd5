"""A random life of the pool: nothing is lost or doubled, and time always helps."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from meerkat_hub.core.pool.passing import PASSED, PASSED_OF_LEASE
from meerkat_hub.core.pool.settings import PoolSettings

from .desk import LOOK, Desk, Flow, Priority

FACES = "detect_faces"


@pytest.fixture
def desk() -> Desk:
    return Desk(PoolSettings(hedger=None))


# --- a random life of the pool ----------------------------------------------------------------------


class Life:
    """Flows, workers and answers in any order; nothing is lost or doubled, and time always helps."""

    def __init__(self, seed: int, *, perishable: bool) -> None:
        self.chance = random.Random(seed)
        self.desk = Desk()
        self.perishable = perishable
        self.out: set[str] = set()
        """Items that were handed out again, whatever became of them."""
        self.all: set[str] = set()
        self.starts: Counter[str] = Counter()
        self.open()

    def live(self, steps: int = 120) -> None:
        todo = (self.open, self.add, self.add, self.worker, self.worker, self.answer, self.answer)
        for _ in range(steps):
            self.chance.choice((*todo, self.answer, self.turn, self.turn, self.mishap))()
            self.after()

    def after(self) -> None:
        desk = self.desk
        for tried in desk.ended:
            if tried.item.attempts < 2 and desk.pool.queues.flow(tried.item.flow) is not None:
                desk.dropped += desk.pool.again(tried.item, tried=tried.worker)
            else:
                self.out.add(tried.item.id)
        desk.ended.clear()
        before = len(desk.sent)
        desk.turn(0.0)
        for lease in desk.sent[before:]:
            member = desk.pool.members[lease.worker]
            assert len(member.leases) <= member.window
            assert member.does(lease.task)
        self.out |= {d.item.id for d in desk.dropped}
        self.check()

    def check(self) -> None:
        pool = self.desk.pool
        inside = [*pool.queues.waiting, *pool.leases, *pool.aside, *(t.item.id for t in self.desk.ended)]
        assert len(inside) == len(set(inside))
        assert not set(inside) & self.out, "handed out, and here still"
        assert set(inside) | self.out == self.all, "lost"
        flows = Counter(lease.item.flow for leases in pool.leases.values() for lease in leases)
        assert Counter({f: pool._book._flows[f] for f in pool._book.flows}) == flows
        assert all(len(leases) <= 2 for leases in pool.leases.values())
        assert all(len({lease.worker for lease in leases}) == len(leases) for leases in pool.leases.values())
        assert set(pool._book.copied) <= set(pool.leases)
        assert set(pool._paused) <= set(pool.members)
        for leases in pool.leases.values():
            for each in leases:
                assert each.passed <= max(PASSED_OF_LEASE * (each.expires - each.sent), PASSED) + 1e-6
        tokens = [lease.token for lease in self.desk.sent]
        assert tokens == sorted(set(tokens))
        for lane in pool.queues._lanes.values():
            assert abs(lane.tag) < 1e9
        wake = pool.wake_at()
        assert wake is None or wake > self.desk.now, "the clock is asked for a time that is over"

    def open(self) -> None:
        name = self.chance.choice("abc")
        nodes = self.chance.choice((None, None, frozenset({"x", "y"}), frozenset({"z"}), frozenset()))
        bound = self.chance.choice((2, 6)) if self.perishable and name == "c" else None
        task = FACES if name == "b" else LOOK
        self.desk.pool.open(Flow(name, task, self.chance.choice((0.5, 1.0, 7.0)), nodes, bound))

    def add(self) -> None:
        name = self.chance.choice("abc")
        if self.desk.pool.queues.flow(name) is None:
            return
        lives = 3.0 if self.perishable and name == "c" else None
        items = self.desk.add(
            self.chance.randint(1, 9),
            flow=name,
            lives=lives,
            cost=self.chance.choice((1.0, 25.0)),
            size=self.chance.choice((0, 50_000)),
            priority=self.chance.choice(tuple(Priority)),
        )
        self.all |= {item.id for item in items}

    def worker(self) -> None:
        name = self.chance.choice("xyz")
        if name not in self.desk.pool.members or self.chance.random() < 0.2:
            self.starts[name] += self.chance.randint(0, 1)
        tasks = self.chance.choice(((LOOK,), (FACES,), (LOOK, FACES)))
        serving = self.chance.choice((None, tasks[-1]))
        self.desk.worker(
            name,
            start=1 + self.starts[name],
            online=self.chance.random() < 0.75,
            fps=self.chance.choice((0.5, 10.0, 300.0)),
            window=(1, 3, 16)[self.starts[name] % 3],
            tasks=tasks,
            serving=serving,
            ahead=self.chance.random() < 0.7,
        )

    def answer(self) -> None:
        pool = self.desk.pool
        held = [lease for member in pool.members.values() for lease in member.leases]
        if not held:
            return
        lease = self.chance.choice(held)
        kind = self.chance.random()
        seconds = self.chance.choice((0.0, 0.01, 1.0, 1e9))
        waited = self.chance.choice((None, 0.0, 1e6))
        if kind < 0.6:
            answer = self.desk.answer(
                lease, seconds=seconds, waited=waited, frames=self.chance.choice((0, 1))
            )
            assert answer is not None
            self.out.add(lease.item.id)
        else:
            retry = kind < 0.9
            answer = self.desk.answer(lease, state="failed", retry=retry, seconds=seconds)
            assert answer is not None
            if answer.kept:
                desk_has = {*(t.item.id for t in pool._ended), *(d.item.id for d in pool._lost)}
                assert lease.item.id in desk_has or pool.has(lease.item.id)
            elif retry and answer.lease.item.attempts < 2:
                self.desk.dropped += pool.again(answer.lease.item, tried=lease.worker)
            else:
                self.out.add(lease.item.id)

    def turn(self) -> None:
        wake = self.desk.pool.wake_at()
        if wake is not None and self.chance.random() < 0.5:
            self.desk.turn(max(0.0, wake - self.desk.now))
        else:
            self.desk.turn(self.chance.choice((0.0, 0.001, 0.1, 3.0, 40.0)))

    def mishap(self) -> None:
        pool, kind = self.desk.pool, self.chance.random()
        held = [lease for member in pool.members.values() for lease in member.leases]
        if kind < 0.2:
            pool.bus_down()
        elif kind < 0.35:
            waiting, void = pool.close(self.chance.choice("abc"))
            self.out |= {item.id for item in waiting} | {lease.item.id for lease in void}
        elif kind < 0.5 and self.all - self.out:
            item = pool.remove(self.chance.choice(sorted(self.all - self.out)))
            assert item is not None
            self.out.add(item.id)
        elif held:
            lease = self.chance.choice(held)
            if kind < 0.75:
                pool.not_sent(lease.item.id, lease.token, self.desk.now)
            else:
                pool.absent(lease.worker, lease.token, self.desk.now)


@pytest.mark.parametrize("seed", range(300))
def test_a_random_life_of_durable_work(seed: int) -> None:
    Life(seed, perishable=False).live()


@pytest.mark.parametrize("seed", range(300))
def test_a_random_life_with_perishable_work(seed: int) -> None:
    Life(seed, perishable=True).live()
