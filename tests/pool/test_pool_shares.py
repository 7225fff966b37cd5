"""Nobody waits for what somebody else cannot do, and nobody gets more than its share."""

from __future__ import annotations

from collections import Counter

import pytest

from hub_support.core_driver import CoreDriver
from meerkat_contract.messages import ModelInfo, TaskInfo, WorkerState
from meerkat_hub.core.pool.settings import PoolSettings

from .desk import LOOK, Desk, Flow, Priority, an_id

FACES = "detect_faces"


@pytest.fixture
def desk() -> Desk:
    return Desk(PoolSettings(hedger=None))


# --- shares ---------------------------------------------------------------------------------------


def _serve(desk: Desk, count: int, worker: str = "cpu") -> Counter[str]:
    flows: Counter[str] = Counter()
    for _ in range(count):
        lease = desk.held(worker)[0]
        flows[lease.item.flow] += 1
        desk.turn(0.1)
        desk.answer(lease)
    return flows


def test_a_flow_with_nodes_of_its_own_gains_no_credit_by_having_been_idle(desk: Desk) -> None:
    """Each workflow has its own nodes, so in a house each flow is a group: none may starve another."""
    desk.worker()
    desk.add(2000)
    _serve(desk, 500)
    desk.pool.open(Flow("late", LOOK, nodes=frozenset({"cpu"})))
    desk.add(1000, flow="late")
    assert _serve(desk, 200)["clips"] == pytest.approx(100, abs=15)


def test_a_flow_whose_nodes_change_is_neither_punished_nor_preferred(desk: Desk) -> None:
    desk.pool.open(Flow("a", LOOK))
    desk.worker()
    desk.add(2000)
    desk.add(2000, flow="a")
    _serve(desk, 400)
    desk.pool.open(Flow("b", LOOK, nodes=frozenset({"cpu"})))
    desk.add(2000, flow="b")
    desk.pool.open(Flow("a", LOOK, nodes=frozenset({"cpu"})))
    served = _serve(desk, 300)
    assert served["a"] == pytest.approx(100, abs=15)
    assert served["b"] == pytest.approx(100, abs=15)


def test_what_a_dead_worker_held_is_paid_back_at_the_price_it_had(desk: Desk) -> None:
    """The price falls with the last worker to 1 s for each unit: its flow then gets all for minutes."""
    desk.pool.open(Flow("other", LOOK))
    desk.worker(fps=100)
    desk.add(500, cost=25.0)
    desk.add(500, flow="other", cost=25.0)
    _serve(desk, 20)
    desk.worker(online=False)
    desk.worker(fps=100)  # of the same start: a hiccup of the network
    served = _serve(desk, 100)
    assert served["other"] == pytest.approx(50, abs=8)


def test_an_urgent_item_goes_before_the_ordinary_ones_of_another_urgent_flow(desk: Desk) -> None:
    desk.pool.open(Flow("other", LOOK))
    desk.add(5)
    (first,) = desk.add(1, priority=Priority.URGENT)
    desk.add(1, flow="other")
    (second,) = desk.add(1, flow="other", priority=Priority.URGENT)
    desk.pool.queues._lanes["other"].tag = 0.3  # it was served a little more lately
    group = desk.pool.queues.groups[LOOK, None]
    assert [item.id for item in group.head(2, 0.1)] == [first.id, second.id]


def test_the_doorbell_does_not_wait_for_those_that_were_served_less(desk: Desk) -> None:
    """Its flow has just had clips of 25 frames at ten a second, far more than its share."""
    desk.pool.open(Flow("frames", LOOK))
    desk.worker(window=1)
    desk.add(3, cost=25.0)
    while desk.held():
        desk.answer(desk.held()[0], seconds=2.5, frames=25)
    desk.add(50, flow="frames")
    (bell,) = desk.add(1, priority=Priority.URGENT, cost=25.0)
    desk.answer(desk.held()[0])
    assert desk.held()[0].item.id == bell.id


def test_an_item_sent_that_never_leaves_the_hub_does_not_stop_the_others(desk: Desk) -> None:
    """One clip that cannot be sent (its file is unreadable for now) comes first at every worker."""
    for name in "abc":
        desk.worker(name, fps=10)
    (stuck,) = desk.add(1)
    desk.add(300)
    done = 0
    for _ in range(100):  # ten seconds: 300 jobs for three workers
        for lease in desk.pool.leases.get(stuck.id, [])[:]:
            desk.pool.not_sent(stuck.id, lease.token, desk.now)
        desk.turn(0.1)
        for name in "abc":
            for lease in desk.held(name)[:1]:
                if lease.item.id != stuck.id:
                    desk.answer(lease)
                    done += 1
    assert done > 200


def test_an_item_that_every_worker_hands_back_does_not_stop_the_others(desk: Desk) -> None:
    """It is more than any of them can hold, or a worker of somebody else's says no seconds when it fails."""
    for name in "abc":
        desk.worker(name, fps=10)
    (stuck,) = desk.add(1)
    desk.add(300)
    done = 0
    for _ in range(100):
        desk.turn(0.1)
        for name in "abc":
            for lease in desk.held(name)[:1]:
                if lease.item.id == stuck.id:
                    assert desk.answer(lease, state="failed", retry=True, seconds=0) is not None
                else:
                    desk.answer(lease)
                    done += 1
    assert done > 200


def test_an_item_that_every_worker_hands_back_ends_some_day() -> None:
    core = CoreDriver()
    core.worker("cpu")
    clip = core.clip(1)
    for _ in range(200):
        if clip.id in core.core.leases:
            core.answer(clip, state="failed", retry=True, begun=False)
        core.turn(1.0)
    assert core.settled() == [(clip.id, "failed")]


def test_the_price_of_a_task_follows_what_its_workers_are_measured_to_need(desk: Desk) -> None:
    """Announced ten times too fast at one of two tasks; half the time should go to each."""
    desk.pool.open(Flow("faces", FACES))
    infos = tuple(
        TaskInfo(task=task, model=ModelInfo(name="m"), frames_per_second=fps)
        for task, fps in ((LOOK, 10), (FACES, 100))
    )
    desk.pool.seen(
        WorkerState(worker="cpu", incarnation=an_id(0xB001), online=True, window=2, tasks=infos), desk.now
    )
    desk.add(3000)
    desk.add(3000, flow="faces")
    took: Counter[str] = Counter()
    for _ in range(600):
        lease = desk.held()[0]
        took[lease.item.flow] += 1
        desk.turn(0.1)  # both take as long in truth
        desk.answer(lease, seconds=0.1)
    assert took["faces"] / 600 == pytest.approx(0.5, abs=0.1)


# --- who waits for whom ---------------------------------------------------------------------------


def test_an_item_to_be_tried_elsewhere_does_not_hold_up_all_behind_it(desk: Desk) -> None:
    """The only other worker is busy for a minute. The fast one idles meanwhile, with a hundred waiting."""
    desk.worker("slow", fps=0.02, window=1)
    desk.add(1)
    desk.worker("fast", fps=100)
    desk.add(1)
    (lease,) = desk.held("fast")
    answer = desk.answer(lease, state="failed", retry=True)
    assert answer is not None
    desk.pool.again(answer.lease.item, tried="fast")
    desk.add(100)
    desk.turn(0.1)
    assert desk.held("fast"), "it idles"


def test_a_copy_goes_to_the_next_best_when_the_best_is_to_be_avoided() -> None:
    desk = Desk()
    desk.worker("slow", fps=1)
    desk.add(1, avoid=frozenset({"bad"}))
    desk.worker("bad", fps=100)
    desk.worker("good", fps=50)
    for _ in range(40):
        desk.turn(0.1)
    assert [lease.worker for lease in desk.sent] == ["slow", "good"]
