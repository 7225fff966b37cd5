"""The pool and the core go on and lose nothing, whatever workers and workflows do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub_support.core_driver import CoreDriver
from hub_support.core_driver import an_id as clip_id
from meerkat_contract.messages import ModelInfo, TaskInfo, WorkerState
from meerkat_hub.core.clips import CoreSettings
from meerkat_hub.core.inputs import TimeReached, WorkerSeen
from meerkat_hub.core.pool.settings import PoolSettings
from meerkat_hub.core.pool.work import Item
from meerkat_hub.core.records import Now

from .desk import LOOK, Desk, Flow, an_id, state

FACES = "detect_faces"


@pytest.fixture
def desk() -> Desk:
    return Desk(PoolSettings(hedger=None))


# --- the core dies ------------------------------------------------------------------------------


def test_two_groups_of_which_one_is_served_out(desk: Desk) -> None:
    desk.pool.open(Flow("faces", FACES))
    desk.add(1)
    desk.add(1, flow="faces")
    desk.worker(tasks=(LOOK, FACES))
    desk.worker("b", tasks=(LOOK, FACES))
    assert len(desk.sent) == 2


def test_a_worker_that_drops_a_task_and_then_answers_a_job_of_it() -> None:
    core = CoreDriver()
    core.worker("cpu")
    clip = core.clip(1)
    face = TaskInfo(task=FACES, model=ModelInfo(name="m"), frames_per_second=10)
    core.do(WorkerSeen(WorkerState(worker="cpu", incarnation=clip_id(0xB001), online=True, tasks=(face,))))
    core.turn(3.0)
    core.answer(clip)
    assert core.settled() == [(clip.id, "done")]


def test_a_worker_that_stays_mute_for_days(desk: Desk) -> None:
    """The pause is 5 to the power of the leases that ran out: beyond 441 that is no float."""
    desk.worker("mute", fps=1e6, window=64)
    desk.add(500)
    for _ in range(12):
        wake = desk.pool.wake_at()
        assert wake is not None
        desk.turn(max(wake - desk.now, 0.0))
        for tried in desk.ended:
            desk.pool.again(tried.item)
        desk.ended.clear()
        wake = desk.pool.wake_at()
        desk.turn(700)
        for tried in desk.ended:
            desk.pool.again(tried.item)
        desk.ended.clear()
    assert desk.pool.members["mute"].paused_until < desk.now + 601


def test_a_flow_that_changes_its_task_while_an_item_is_out() -> None:
    desk = Desk()
    desk.pool.open(Flow("level", LOOK))
    desk.worker("both", tasks=(LOOK, FACES))
    desk.add(1, flow="level")
    desk.pool.open(Flow("level", FACES))
    desk.worker("faces", tasks=(FACES,))
    for _ in range(20):
        desk.turn(0.2)
    desk.check()


# --- work is lost ---------------------------------------------------------------------------------


def _frames_of_a_full_flow(desk: Desk) -> list[Item]:
    """Four frames that wait, as many as may, and those before them with a worker."""
    desk.pool.open(Flow("frames", LOOK, bound=4))
    desk.worker(window=16)
    return [*desk.add(4, flow="frames"), *desk.add(2, flow="frames")]


def _fates(desk: Desk) -> set[str]:
    desk.turn(0.0)
    return {*desk.pool.queues.waiting, *desk.pool.leases, *(d.item.id for d in desk.dropped)}


def test_perishable_work_of_a_worker_that_leaves_is_not_dropped_silently(desk: Desk) -> None:
    items = _frames_of_a_full_flow(desk)
    desk.worker(online=False)
    assert _fates(desk) == {item.id for item in items}


def test_perishable_work_is_not_dropped_silently_as_the_broker_goes(desk: Desk) -> None:
    items = _frames_of_a_full_flow(desk)
    desk.pool.bus_down()
    assert _fates(desk) == {item.id for item in items}


def test_perishable_work_that_was_not_sent_is_not_dropped_silently(desk: Desk) -> None:
    items = _frames_of_a_full_flow(desk)
    lease = desk.held()[0]
    desk.pool.not_sent(lease.item.id, lease.token, desk.now)
    assert _fates(desk) == {item.id for item in items}


def test_perishable_work_of_an_absent_worker_is_not_dropped_silently(desk: Desk) -> None:
    items = _frames_of_a_full_flow(desk)
    desk.pool.absent("cpu", desk.held()[0].token, desk.now)
    assert _fates(desk) == {item.id for item in items}


def test_a_clip_that_grew_too_old_with_a_worker_that_leaves_expires() -> None:
    core = CoreDriver(settings=CoreSettings(expire_after=60))
    clip = core.clip(1)
    core.turn(50)
    core.worker("cpu")
    core.turn(11)
    assert clip.id in core.core.leases
    core.worker("cpu", online=False)
    core.turn(100)
    assert core.settled() == [(clip.id, "expired")]


# --- memory ---------------------------------------------------------------------------------------


def test_frames_that_no_worker_can_do_leave_nothing_behind(desk: Desk) -> None:
    desk.pool.open(Flow("odd", "read_tea_leaves", bound=4))
    desk.worker()
    for _ in range(5000):
        desk.pool.add(Item(an_id(desk._number + 1), "odd", 1.0), desk.now)
        desk._number += 1
        desk.now += 1.0
    window = desk.pool._demand._arrivals["read_tea_leaves"]
    assert len(window._newer) + len(window._older) < 100


def test_workers_that_come_once_and_leave_are_forgotten(desk: Desk) -> None:
    desk.add(5)
    for number in range(500):
        desk.worker(f"w{number}")
        desk.turn(1.0)
        desk.worker(f"w{number}", online=False)
        desk.turn(100.0)
    assert len(desk.pool._attendance) < 50


def test_the_hub_forgets_whose_speed_it_told() -> None:
    core = CoreDriver()
    core.turn(10)
    for number in range(300):
        core.worker(f"w{number}")
        clip = core.clip(number + 1, recording=0xA000 + number, last=True)
        core.turn(0.1)
        core.answer(clip)
        core.worker(f"w{number}", online=False)
    assert len(core.core._told) < 50


def test_a_recording_without_an_end_is_looked_at_once_a_while() -> None:
    core = CoreDriver()
    core.worker("cpu", fps=100)
    for number in range(300):
        core.answer(core.clip(number + 1, sequence=number))
        core.turn(5.0)
    assert len(core.core.clips._due) < 20


# --- time -----------------------------------------------------------------------------------------


def test_late_is_late_whatever_lies_before_it(desk: Desk) -> None:
    """A workflow is given a shorter delay: the frames of the old one do not cover the new."""
    desk.pool.open(Flow("frames", LOOK, bound=8))
    desk.add(1, flow="frames", lives=60.0)
    (late,) = desk.add(1, flow="frames", lives=1.0)
    desk.turn(1.0)
    assert [d.item.id for d in desk.dropped] == [late.id]


def test_a_clip_expires_though_nothing_else_happens() -> None:
    core = CoreDriver(settings=CoreSettings(expire_after=600))
    core.clip(1)
    for _ in range(50):
        wake = core.core.wake_at()
        if wake is None:
            break
        core.turn(max(0.0, wake - core.mono))
    assert [outcome for _, outcome in core.settled()] == ["expired"]


# --- effort ---------------------------------------------------------------------------------------


def test_telemetry_of_a_worker_leaves_the_crews_as_they_are(desk: Desk) -> None:
    """Its load and temperature, every few seconds, of two hundred: what it offers is as before."""
    desk.worker()
    desk.add(1)
    group = desk.pool.queues.groups[LOOK, None]
    crew = desk.pool._crews.of(group)
    desk.pool.seen(state("cpu").model_copy(update={"load": 0.5, "temperature": 61.0}), desk.now)
    assert desk.pool._crews.of(group) is crew


def test_a_leap_of_the_wall_clock_expires_nothing() -> None:
    """A hub without a clock of its own starts in the past, and is then told what day it is."""
    core = CoreDriver()
    clip = core.clip(1)
    core.core.step(TimeReached(), Now(core.now.wall + timedelta(days=2), core.mono + 1.0))
    assert clip.id in core.core.waiting
