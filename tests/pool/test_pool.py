"""The pool: leases, tokens, bad workers, copies of stragglers."""

from __future__ import annotations

import pytest

from meerkat_contract.messages import ModelInfo, Result, TaskInfo
from meerkat_hub.core.pool.attendance import PAUSE
from meerkat_hub.core.pool.settings import LEASE_FLOOR, PoolSettings
from meerkat_hub.core.pool.work import Item
from meerkat_hub.core.rules import Hedger, Pull

from .desk import LOOK, Desk, Flow, state


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_what_comes_waits_until_a_worker_takes_it_and_ends_with_its_answer(desk: Desk) -> None:
    (item,) = desk.add()
    assert list(desk.pool.queues.waiting) == [item.id]
    desk.worker()
    (lease,) = desk.sent
    answer = desk.answer(lease)
    assert answer is not None
    assert answer.lease is lease
    assert not desk.pool.has(item.id)


@pytest.mark.parametrize(
    "changed",
    [
        {"token": 0},
        {"incarnation": "00000000-0000-7000-8000-00000000b0ff"},
        {"job": "00000000-0000-7000-8000-00000000ffff"},
    ],
)
def test_an_answer_without_its_lease_counts_for_nothing(desk: Desk, changed: dict[str, object]) -> None:
    desk.worker()
    desk.add()
    assert desk.answer(desk.sent[0], **changed) is None
    assert desk.held() == [desk.sent[0]]


def test_an_answer_from_another_worker_counts_for_nothing(desk: Desk) -> None:
    desk.worker("cpu", fps=100)
    desk.worker("thief", fps=1)
    desk.add()
    lease = desk.sent[0]
    stolen = {"job": lease.item.id, "token": lease.token, "incarnation": lease.incarnation, "state": "done"}
    assert desk.pool.answer("thief", Result.model_validate(stolen), desk.now) is None
    assert desk.held("cpu") == [lease]


def test_a_lease_lasts_ten_times_the_estimate_and_never_less_than_the_floor(desk: Desk) -> None:
    desk.worker(fps=1)
    desk.add(cost=2.0)
    desk.add(cost=60.0)
    short, long = desk.sent
    assert short.expires - desk.now == LEASE_FLOOR
    assert long.expires - desk.now == pytest.approx(10 * 62, rel=0.01)


def test_a_worker_that_says_nothing_is_left_alone_longer_each_time(desk: Desk) -> None:
    desk.worker()
    desk.add()
    pauses = []
    for tries in (1, 2, 3):
        desk.turn(desk.sent[-1].expires - desk.now)
        assert len(desk.ended) == tries
        member = desk.pool.members["cpu"]
        pauses.append(member.paused_until - desk.now)
        desk.pool.again(desk.ended[-1].item)
        desk.turn(pauses[-1])
    assert pauses == [5 * PAUSE, 25 * PAUSE, 125 * PAUSE]


def test_what_one_failed_at_another_gets(desk: Desk) -> None:
    desk.worker("bad", fps=100)
    desk.add()
    desk.worker("good", fps=1)
    answer = desk.answer(desk.sent[0], state="failed", retry=True)
    assert answer is not None
    desk.pool.again(answer.lease.item, tried="bad")
    desk.turn(0)
    assert desk.sent[-1].worker == "good"
    assert desk.sent[-1].item.attempts == 1


def test_who_failed_gets_it_again_when_nobody_else_is_there(desk: Desk) -> None:
    desk.worker("only")
    desk.add()
    answer = desk.answer(desk.sent[0], state="failed", retry=True)
    assert answer is not None
    desk.pool.again(answer.lease.item, tried="only")
    desk.turn(0)
    assert desk.sent[-1].worker == "only"


def test_a_worker_that_comes_and_goes_has_to_stay_before_it_gets_work_again(desk: Desk) -> None:
    desk.worker("flapping", start=1)
    items = desk.add(2)
    waits = []
    for start in range(2, 6):
        desk.worker("flapping", start=start - 1, online=False)
        desk.worker("flapping", start=start)
        until = desk.pool.members["flapping"].paused_until
        waits.append(max(0.0, until - desk.now))
        for tried in desk.ended:
            desk.pool.again(tried.item)  # a hub would count; here only the worker is looked at
        desk.ended.clear()
        desk.turn(waits[-1])
    assert waits == [0, 2 * PAUSE, 4 * PAUSE, 8 * PAUSE]
    assert all(desk.pool.has(item.id) for item in items)


def test_two_workers_of_one_name_do_not_hold_up_the_others(desk: Desk) -> None:
    desk.worker("good", fps=10)
    desk.worker("twin", fps=1000, start=1)
    done = 0
    desk.add(40)
    for turn in range(400):
        desk.worker("twin", fps=1000, start=2 + turn % 2)  # each greeting ends the other's leases
        for tried in desk.ended:
            desk.pool.again(tried.item, tried=tried.worker)
        desk.ended.clear()
        if held := desk.held("good"):
            desk.answer(held[0])
            done += 1
        desk.turn(0.1)
    assert done == 40


def test_a_job_handed_back_unbegun_is_charged_to_nobody(desk: Desk) -> None:
    desk.worker()
    desk.add()
    answer = desk.answer(desk.sent[0], state="failed", retry=True, seconds=0)
    assert answer is not None
    assert answer.kept
    desk.turn(PAUSE - 0.001)
    assert len(desk.sent) == 1
    desk.turn(0.001)
    assert len(desk.sent) == 2


def test_the_broker_goes_and_all_wait_in_their_order(desk: Desk) -> None:
    items = desk.add(3)
    desk.worker(fps=1)
    assert len(desk.sent) == 2
    desk.pool.bus_down()
    assert list(desk.pool.queues.groups[("detect_objects", None)].head(9, 1.0)) == items


def test_a_lease_is_longer_after_each_try_that_ended_without_a_result() -> None:
    """A worker that is slower than anybody thought has to be done some day."""
    settings = PoolSettings()
    assert [settings.lease_seconds(1.0, tries) for tries in range(4)] == [30, 60, 120, 240]
    assert settings.lease_seconds(20.0, 0) == 200
    assert settings.lease_seconds(20.0, 99) == 30 * 2**6
    assert settings.lease_seconds(1e9, 0) == 3600


def test_while_the_broker_is_away_nothing_wakes_the_hub_for_work(desk: Desk) -> None:
    """It follows at the next `dispatch`, when the broker is back; before, there is nothing to do."""
    desk.worker("fast", fps=10)
    desk.add(3)
    desk.worker("slow", fps=1)
    assert desk.pool.wake_at() is not None
    desk.pool.bus_down()
    assert desk.pool.wake_at() is None


def test_a_straggler_gets_one_copy_and_the_first_answer_counts() -> None:
    desk = Desk(PoolSettings(hedger=Hedger()))
    desk.worker("slow", fps=10)
    desk.add()
    desk.worker("idle", fps=9)
    desk.turn(0.35)
    original, copy = desk.sent
    assert (copy.worker, copy.item.id, copy.copy) == ("idle", original.item.id, True)
    desk.turn(0.1)
    assert len(desk.sent) == 2, "one copy is enough"
    answer = desk.answer(copy)
    assert answer is not None
    assert answer.void == (original,)
    assert desk.answer(original) is None, "the second answer is too late"
    assert desk.pool.leases == {}


@pytest.mark.parametrize(("lives", "sent"), [(0.36, 2), (0.35, 1)])
def test_what_is_too_late_is_not_copied(lives: float, sent: int) -> None:
    """Who has it may still answer; a copy would only take a worker from what is in time."""
    desk = Desk(PoolSettings(hedger=Hedger()))
    desk.pool.open(Flow("frames", LOOK, bound=8))
    desk.worker("slow", fps=10)
    desk.add(flow="frames", lives=lives)
    desk.worker("idle", fps=9)
    desk.turn(0.35)
    assert len(desk.sent) == sent


def test_a_copy_that_fails_leaves_the_original_alone() -> None:
    desk = Desk(PoolSettings(hedger=Hedger()))
    desk.worker("slow", fps=10)
    desk.add()
    desk.worker("idle", fps=9)
    desk.turn(0.35)
    original, copy = desk.sent
    answer = desk.answer(copy, state="failed", retry=True)
    assert answer is not None
    assert answer.kept
    assert desk.held("slow") == [original]


def test_credit_follows_the_measured_round_trip(desk: Desk) -> None:
    """At 0.1 s on the way and 0.01 s of work, 1 + 20 jobs keep a worker busy; its window allows 16."""
    desk.worker(fps=100, window=16)
    desk.add(200)
    assert len(desk.held()) < 12
    for _ in range(12):
        held = desk.held()
        desk.turn(0.1)
        for lease in held:
            desk.answer(lease, seconds=0.01, waited=0.0)
    assert len(desk.held()) >= 12


def test_a_worker_that_lies_about_its_speed_is_found_out(desk: Desk) -> None:
    """It says 0.01 s and takes a second: what counts is the time between its answers."""
    desk.worker("liar", fps=100)
    desk.add(50)
    for _ in range(16):
        desk.turn(1.0)
        desk.answer(desk.held("liar")[0], seconds=0.01)
    assert desk.pool.members["liar"].seconds("detect_objects") == pytest.approx(1.0, rel=0.2)


def test_by_configuration_the_papers_rule_gives_one_job_at_a_time() -> None:
    desk = Desk(PoolSettings(rule=Pull, hedger=None))
    desk.worker(fps=1000)
    desk.add(5)
    assert len(desk.held()) == 1


def test_work_that_waits_for_a_busy_worker_is_planned_anew_though_nothing_happens(desk: Desk) -> None:
    """The fast one hangs; the slow one idles; nobody says a word."""
    desk.worker("fast", fps=100)
    desk.add(2)
    desk.worker("slow", fps=2)
    desk.add(1)
    assert {lease.worker for lease in desk.sent} == {"fast"}
    for _ in range(100):
        wake = desk.pool.wake_at()
        assert wake is not None
        if any(lease.worker == "slow" for lease in desk.sent):
            break
        desk.turn(max(wake - desk.now, 0.0))
    assert any(lease.worker == "slow" for lease in desk.sent)
    assert desk.now < 102


def test_a_flow_that_ends_gives_back_what_waited_and_what_was_leased(desk: Desk) -> None:
    desk.pool.open(Flow("faces", "detect_faces"))
    desk.worker(tasks=("detect_faces",), fps=1000)
    items = desk.add(4, flow="faces")
    waiting, void = desk.pool.close("faces")
    assert sorted([*(i.id for i in waiting), *(lease.item.id for lease in void)]) == [i.id for i in items]
    desk.check()


def test_a_task_that_is_not_loaded_is_not_sent(desk: Desk) -> None:
    desk.worker(tasks=("detect_objects", "detect_faces"), serving="detect_faces")
    desk.add()
    assert desk.sent == []
    desk.worker(tasks=("detect_objects", "detect_faces"), serving="detect_objects")
    assert len(desk.sent) == 1


def test_work_bound_to_nodes_goes_to_no_other(desk: Desk) -> None:
    desk.pool.open(Flow("mine", "detect_objects", nodes=frozenset({"b"})))
    desk.worker("a", fps=1000)
    desk.worker("b", fps=1)
    desk.add(2, flow="mine")
    assert {lease.worker for lease in desk.sent} == {"b"}


def test_work_nobody_can_do_does_not_hold_up_the_rest(desk: Desk) -> None:
    desk.pool.open(Flow("odd", "read_tea_leaves"))
    desk.add(100, flow="odd")
    desk.worker()
    desk.add(1)
    assert [lease.item.flow for lease in desk.sent] == ["clips"]


def test_a_task_that_stays_loaded_is_done_by_who_serves_another() -> None:
    desk = Desk()
    desk.pool.open(Flow("meters", "read_meter"))
    meter = desk.pool.add(Item("m", "meters", cost=1), desk.now)
    assert meter == []
    info = TaskInfo(task="read_meter", model=ModelInfo(name="meter"), frames_per_second=40, beside=True)
    serving = state("coral", serving="detect_faces", tasks=("detect_faces",))
    desk.pool.seen(serving, desk.now)
    assert desk.pool.dispatch(desk.now) == []
    desk.pool.seen(serving.model_copy(update={"tasks": (*serving.tasks, info)}), desk.now)
    assert [lease.item.id for lease in desk.pool.dispatch(desk.now)] == ["m"]
