"""When the pool will have done what waits: beside flows that compete for the same workers."""

from __future__ import annotations

from math import inf

import pytest

from meerkat_contract.messages import ModelInfo, TaskInfo, WorkerState
from meerkat_hub.core.pool.outlook import SHORT, Outlook
from meerkat_hub.core.pool.pool import Pool
from meerkat_hub.core.pool.work import Flow, Item

ID = "00000000-0000-7000-8000-00000000000{}"


def a_pool(*workers: str, fps: float = 5.0) -> Pool:
    pool = Pool()
    pool.open(Flow("clips", "detect"))
    pool.open(Flow("frames", "detect"))
    pool.open(Flow("elsewhere", "read"))
    for number, name in enumerate(workers):
        task = TaskInfo(task="detect", model=ModelInfo(name="m"), frames_per_second=fps)
        pool.seen(
            WorkerState(worker=name, incarnation=ID.format(number), online=True, tasks=(task,), window=1), 0.0
        )
    return pool


def add(pool: Pool, flow: str, count: int) -> None:
    for number in range(count):
        pool.add(Item(f"{flow}-{number}", flow, cost=25), 0.0)


def waits(outlook: Outlook, now: float = 0.0) -> list[float]:
    return [one.done_in for one in outlook.look(now, 100).items]


def test_alone_all_of_the_pool_is_its_own() -> None:
    pool = a_pool("a", "b")
    outlook = Outlook(pool, "clips")
    add(pool, "clips", 4)
    assert waits(outlook) == pytest.approx([5, 7.5, 10, 12.5])


@pytest.mark.parametrize(("looks", "share"), [(1, 1 / 1.3), (100, 1 / 2)])
def test_a_flow_that_always_has_work_takes_half(looks: int, share: float) -> None:
    pool = a_pool("a")
    outlook = Outlook(pool, "clips")
    add(pool, "clips", 2)
    add(pool, "frames", 100)
    add(pool, "elsewhere", 100)  # done by nobody here, and by none of the same workers
    for _ in range(looks):
        outlook.learn()
    assert waits(outlook) == pytest.approx([5, 5 + 5 / share], rel=0.01)


def test_a_flow_that_has_work_a_fifth_of_the_time_takes_a_sixth() -> None:
    pool = a_pool("a")
    outlook = Outlook(pool, "clips")
    add(pool, "clips", 2)
    found = []
    for number in range(200):
        if number % 5 == 0:
            add(pool, "frames", 1)
        else:
            pool.remove("frames-0")
        outlook.learn()
        found.append(outlook.look(0.0, 1).capacity)
    assert sum(found[100:]) / 100 == pytest.approx(5 * 5 / 6, rel=0.03)


def test_to_look_is_not_to_learn() -> None:
    pool = a_pool("a")
    outlook = Outlook(pool, "clips")
    add(pool, "clips", 2)
    add(pool, "frames", 1)
    assert [waits(outlook) for _ in range(10)] == [[5, 10]] * 10


def test_work_at_the_workers_comes_first() -> None:
    pool = a_pool("a")
    outlook = Outlook(pool, "clips")
    add(pool, "clips", 3)
    assert len(pool.dispatch(0.0)) == 1
    assert waits(outlook) == pytest.approx([10, 15])
    assert waits(outlook, now=3.0) == pytest.approx([7, 12])
    assert waits(outlook, now=60.0) == pytest.approx([5, 10])  # it is overdue, and no wait is below its own


def test_a_worker_that_pauses_for_long_is_not_there_and_one_that_does_shortly_is() -> None:
    pool = a_pool("a")
    outlook = Outlook(pool, "clips")
    add(pool, "clips", 1)
    pool.members["a"].pause(SHORT)
    assert waits(outlook) == [inf]
    assert waits(outlook, now=0.001) == [5]


def test_nodes_that_are_kept_for_others_do_not_count() -> None:
    pool = a_pool("a", "b")
    pool.open(Flow("clips", "detect", nodes=frozenset({"b"})))
    outlook = Outlook(pool, "clips")
    add(pool, "clips", 2)
    assert waits(outlook) == pytest.approx([5, 10])


def test_of_a_flow_that_has_ended_nothing_waits() -> None:
    pool = a_pool("a")
    outlook = Outlook(pool, "gone")
    seen = outlook.look(0.0, 10)
    assert (seen.items, seen.capacity, seen.idle) == ((), 0.0, False)
