"""The order of service: shares, priorities, and what is dropped."""

from __future__ import annotations

from collections import Counter

import pytest

from .desk import LOOK, Desk, Flow, Priority


def _serve(desk: Desk, count: int) -> list[str]:
    """The flows of the next jobs done by a worker that is always busy."""
    flows = []
    for _ in range(count):
        lease = desk.held()[0]
        flows.append(lease.item.flow)
        desk.turn(0.1)
        desk.answer(lease)
    return flows


@pytest.mark.parametrize("weights", [(1, 1), (3, 1), (5, 2), (10, 1)])
def test_shares_are_the_weights_under_overload(weights: tuple[int, int]) -> None:
    desk = Desk()
    for name, weight in zip("ab", weights, strict=True):
        desk.pool.open(Flow(name, LOOK, weight=weight))
        desk.add(2000, flow=name)
    desk.worker(fps=10)
    _serve(desk, 50)  # within the first second of service the oldest go first, whosever they are
    served = Counter(_serve(desk, 1000))
    assert served["a"] / 1000 == pytest.approx(weights[0] / sum(weights), abs=0.01)


def test_shares_count_cost_and_not_jobs() -> None:
    desk = Desk()
    desk.pool.open(Flow("long", LOOK))
    desk.pool.open(Flow("short", LOOK))
    desk.add(500, flow="long", cost=10.0)
    desk.add(5000, flow="short", cost=1.0)
    desk.worker(fps=10)
    served = Counter(_serve(desk, 1100))
    assert served["short"] / served["long"] == pytest.approx(10, rel=0.02)


def test_who_was_idle_gains_no_credit_by_it() -> None:
    desk = Desk()
    desk.pool.open(Flow("a", LOOK))
    desk.pool.open(Flow("b", LOOK))
    desk.worker(fps=10)
    desk.add(1000, flow="a")
    _serve(desk, 300)
    desk.add(1000, flow="b")
    assert Counter(_serve(desk, 200))["b"] == pytest.approx(100, abs=3)


def test_a_light_flow_passes_a_flood() -> None:
    desk = Desk()
    desk.pool.open(Flow("flood", LOOK))
    desk.pool.open(Flow("light", LOOK))
    desk.worker(fps=10)
    desk.add(5000, flow="flood")
    _serve(desk, 20)  # more than SLACK
    waits = []
    for _ in range(50):
        (item,) = desk.add(1, flow="light")
        since = desk.now
        while desk.pool.has(item.id):
            _serve(desk, 1)
        waits.append(desk.now - since)
        _serve(desk, 5)
    assert max(waits) < 0.4, "itself, and what its worker holds already"


def test_an_urgent_item_goes_before_every_flow() -> None:
    desk = Desk()
    desk.pool.open(Flow("other", LOOK, weight=100))
    desk.worker(fps=10, ahead=False)
    desk.add(100, flow="other")
    desk.add(100)
    desk.add(100, priority=Priority.BACKLOG)
    (bell,) = desk.add(1, priority=Priority.URGENT)
    held = len(desk.held())
    _serve(desk, held)
    assert desk.sent[held].item.id == bell.id


def test_what_was_kept_back_comes_after_what_is_live() -> None:
    desk = Desk()
    late = desk.add(2, priority=Priority.BACKLOG)
    live = desk.add(2)
    desk.worker(window=1)
    while desk.held():
        desk.answer(desk.held()[0])
    assert [lease.item.id for lease in desk.sent] == [item.id for item in (*live, *late)]


def test_what_comes_back_is_served_first_and_paid_once() -> None:
    desk = Desk()
    desk.worker()
    desk.add(5)
    lane_of = desk.sent[0]
    before = desk.pool.queues._lanes["clips"].tag
    answer = desk.answer(lane_of, state="failed", retry=True, seconds=0)
    assert answer is not None
    assert desk.pool.queues._lanes["clips"].tag < before
    assert next(iter(desk.pool.queues._lanes["clips"].in_order())).id == lane_of.item.id


def _frames(bound: int = 4) -> Desk:
    desk = Desk()
    desk.pool.open(Flow("frames", LOOK, bound=bound))
    return desk


def test_a_full_flow_drops_its_oldest_and_says_so() -> None:
    desk = _frames()
    items = desk.add(6, flow="frames")
    assert [(d.item.id, d.reason) for d in desk.dropped] == [(items[0].id, "full"), (items[1].id, "full")]


def test_behind_schedule_the_newest_is_served_first() -> None:
    desk = _frames()
    items = desk.add(6, flow="frames")
    desk.worker(window=1)
    assert desk.sent[0].item.id == items[5].id


def test_once_one_was_late_the_newest_is_served_first() -> None:
    desk = _frames()
    desk.add(1, flow="frames", lives=1.0)
    desk.turn(0.5)
    items = desk.add(3, flow="frames", lives=1.0)
    desk.turn(0.5)
    assert [dropped.reason for dropped in desk.dropped] == ["late"]
    desk.worker(window=1)
    assert desk.sent[0].item.id == items[2].id


def test_in_time_the_oldest_is_served_first() -> None:
    desk = _frames()
    items = desk.add(3, flow="frames")
    desk.worker(window=1)
    assert desk.sent[0].item.id == items[0].id


def test_caught_up_it_is_in_time_again() -> None:
    desk = _frames()
    desk.add(6, flow="frames")
    desk.worker(window=1)
    while desk.held():
        desk.answer(desk.held()[0])
    items = desk.add(3, flow="frames")
    assert desk.sent[-1].item.id == items[0].id


def test_what_is_late_is_dropped_at_its_instant_and_not_before() -> None:
    desk = _frames()
    (item,) = desk.add(1, flow="frames", lives=2.0)
    desk.turn(1.999)
    assert desk.dropped == []
    assert desk.pool.wake_at() == item.deadline
    desk.turn(0.001)
    assert [(d.item.id, d.reason) for d in desk.dropped] == [(item.id, "late")]


def test_every_frame_has_one_fate() -> None:
    desk = _frames(bound=8)
    desk.worker(fps=10, window=2)
    items = []
    done = []
    for _ in range(300):
        items += desk.add(3, flow="frames", lives=0.5)
        desk.turn(0.1)
        lease = desk.held()[0]
        desk.answer(lease)
        done.append(lease.item.id)
    desk.turn(1.0)
    done += [lease.item.id for lease in desk.held()]
    fates = Counter([*done, *(d.item.id for d in desk.dropped)])
    assert set(fates) == {item.id for item in items}
    assert set(fates.values()) == {1}
    assert {d.reason for d in desk.dropped} == {"full", "late"} or {d.reason for d in desk.dropped} == {
        "late"
    }
