"""A bad worker harms nobody but itself."""

from __future__ import annotations

from collections import Counter

import pytest

from hub_support.core_driver import CoreDriver
from hub_support.core_driver import an_id as clip_id
from meerkat_contract.messages import ModelInfo, Result, TaskInfo
from meerkat_hub.core.inputs import ResultArrived
from meerkat_hub.core.pool.attendance import PAUSE
from meerkat_hub.core.pool.settings import PoolSettings

from .desk import LOOK, Desk, state

FACES = "detect_faces"


@pytest.fixture
def desk() -> Desk:
    return Desk(PoolSettings(hedger=None))


# --- bad workers ----------------------------------------------------------------------------------


def test_a_worker_that_comes_and_goes_faster_than_its_pause_gets_no_more_for_it(desk: Desk) -> None:
    """It leaves while it is paused, with nothing in its hands, and all is forgotten."""
    desk.worker("good", fps=1)
    desk.add(400)
    given = 0
    for turn in range(240):
        before = len(desk.sent)
        desk.worker("twin", fps=1000, start=2 + turn % 2)
        for tried in desk.ended:
            desk.pool.again(tried.item)
        desk.ended.clear()
        desk.turn(0.25)
        given += any(lease.worker == "twin" for lease in desk.sent[before:])
    assert given < 20, "so often in a minute it got work, which was lost each time"


def test_a_pause_of_one_that_comes_and_goes_grows_until_ten_minutes(desk: Desk) -> None:
    """From the pause of 64 s on it counts as steady before it gets work, and begins anew."""
    desk.worker("flapping", start=1)
    desk.add(2)
    pauses = []
    for start in range(2, 14):
        desk.worker("flapping", start=start - 1, online=False)
        desk.worker("flapping", start=start)
        pauses.append(max(0.0, desk.pool.members["flapping"].paused_until - desk.now))
        for tried in desk.ended:
            desk.pool.again(tried.item)
        desk.ended.clear()
        desk.turn(pauses[-1])
    assert pauses == sorted(pauses)


def test_a_clip_that_kills_its_workers_is_given_up(desk: Desk) -> None:
    """Each dies of it after 61 s and is back a second later, when the other has it already."""
    (poison,) = desk.add(1)
    starts = {"a": 1, "b": 101}
    for name, start in starts.items():
        desk.worker(name, start=start, fps=0.1)
    deaths = 0
    while desk.pool.has(poison.id) and deaths < 20:
        desk.turn(61.0)
        (lease,) = desk.pool.leases[poison.id]
        victim = lease.worker
        desk.worker(victim, start=starts[victim], online=False, fps=0.1)
        deaths += 1
        desk.turn(1.0)
        starts[victim] += 1
        desk.worker(victim, start=starts[victim], fps=0.1)
        tries = [tried for tried in desk.ended if tried.item.id == poison.id]
        desk.ended.clear()
        for tried in tries:
            if tried.item.attempts < 2:
                desk.pool.again(tried.item, tried=tried.worker)
        desk.turn(0.0)
    assert deaths < 20


def test_a_death_is_counted_once(desk: Desk) -> None:
    desk.worker(start=1)
    desk.add(1)
    desk.worker(start=1, online=False)
    desk.worker(start=2, fps=10)
    (tried,) = desk.ended
    desk.pool.again(tried.item, tried=tried.worker)
    desk.turn(0)
    desk.ended.clear()
    (lease,) = desk.held()
    desk.pool.absent("cpu", lease.token, desk.now)  # the broker had nobody for the job: no try counts
    desk.worker(start=2)
    assert desk.ended == []


def test_a_hung_worker_is_left_out_for_five_seconds_at_first(desk: Desk) -> None:
    """Its two leases ran out together: that is one silence, not two."""
    desk.worker(fps=10, window=4)
    desk.add(3)
    assert len(desk.held()) == 2
    desk.turn(max(lease.expires for lease in desk.held()) - desk.now)
    assert desk.pool.members["cpu"].paused_until - desk.now == pytest.approx(5 * PAUSE)


def test_a_liar_about_frames_is_found_out(desk: Desk) -> None:
    desk.worker("liar", fps=10)
    desk.add(50)
    for _ in range(20):
        desk.turn(1.0)
        desk.answer(desk.held("liar")[0], seconds=1.0, frames=1000)
    assert desk.pool.members["liar"].seconds(LOOK) == pytest.approx(1.0, rel=0.3)


def test_a_liar_is_found_out_though_it_is_never_given_two_jobs(desk: Desk) -> None:
    """It takes a second and says: a millisecond, the rest I had waited. There was nothing to wait for."""
    desk.worker("good", fps=8)
    desk.worker("liar", fps=1000, window=1)
    took: Counter[str] = Counter()
    for _ in range(60):
        desk.add(1)
        desk.turn(0.13)
        for lease in desk.held("good"):
            desk.answer(lease, seconds=0.125)
            took["good"] += 1
        desk.turn(0.87)
        for lease in desk.held("liar"):
            desk.answer(lease, seconds=0.001, waited=desk.now - lease.sent - 0.001)
            took["liar"] += 1
    assert took["liar"] < 20, took


def test_a_liar_is_not_believed_again_for_saying_another_figure(desk: Desk) -> None:
    desk.worker("good", fps=5)
    fps = 1e6
    for _ in range(100):
        desk.worker("liar", fps=(fps := fps - 1), window=2)
        desk.add(1)
        desk.turn(0.2)
        for lease in desk.held("good"):
            desk.answer(lease, seconds=0.2)
        desk.turn(0.8)
        for lease in desk.held("liar"):
            desk.answer(lease, seconds=1.0)
    share = sum(lease.worker == "liar" for lease in desk.sent) / len(desk.sent)
    assert share < 0.3


def test_what_was_measured_stays_when_only_the_cost_of_a_switch_is_said_anew(desk: Desk) -> None:
    desk.worker(fps=10)
    desk.add(30)
    for _ in range(20):
        desk.turn(1.0)
        desk.answer(desk.held()[0], seconds=1.0)
    info = TaskInfo(task=LOOK, model=ModelInfo(name="m"), frames_per_second=10, switch_seconds=2.5)
    desk.pool.seen(state("cpu").model_copy(update={"tasks": (info,)}), desk.now)
    assert desk.pool.members["cpu"].seconds(LOOK) == pytest.approx(1.0, rel=0.2)


def test_a_burst_of_answers_after_a_stall_of_the_network_does_not_make_a_worker_fast(desk: Desk) -> None:
    """Ten jobs of 0.1 s each, their answers kept back by the network and then there at once."""
    desk.worker(fps=10, window=16)
    desk.add(400)
    for _ in range(40):  # 0.5 s on the way
        lease = desk.held()[0]
        desk.turn(0.1)
        desk.answer(lease, seconds=0.1, waited=max(0.0, desk.now - lease.sent - 0.6))
    held = desk.held()
    assert len(held) >= 8
    desk.turn(3.0)
    for lease in held:
        desk.now += 0.0005
        desk.answer(lease, seconds=0.1, waited=0.1)
    assert desk.pool.members["cpu"].seconds(LOOK) == pytest.approx(0.1, rel=0.4)


def test_a_worker_that_became_slow_gets_the_time_that_it_takes() -> None:
    """The only worker, slowed twentyfold: a clip takes 50 s, its lease 30 s, three tries are lost."""
    core = CoreDriver()
    core.worker("cpu", fps=10)
    clip = core.clip(1)
    for _ in range(6):
        if core.settled():
            break
        wake = core.core.wake_at()
        jobs = [lease for leases in core.core.leases.values() for lease in leases]
        if not jobs:
            core.turn(max(0.1, (wake or 0) - core.mono))
            continue
        token = jobs[0].token
        core.turn(50)
        core.do(
            ResultArrived(
                "cpu",
                Result(
                    job=clip.id,
                    token=token,
                    incarnation=clip_id(0xB001),
                    state="done",
                    frames=25,
                    seconds=50,
                    duration=5,
                ),
            )
        )
    assert core.settled() == [(clip.id, "done")]


def test_a_lease_ends_in_the_time_that_a_clip_may_wait(desk: Desk) -> None:
    """A mute worker that says it needs 1000 s for a frame would hold a clip for days."""
    desk.worker("mute", fps=0.001)
    desk.add(1, cost=25.0)
    (lease,) = desk.sent
    assert lease.expires - desk.now <= 24 * 3600


def test_two_that_share_a_name_cost_no_clip(desk: Desk) -> None:
    """The broker lets one in for the other, again and again: nobody has died of what they were at."""
    desk.add(1)
    desk.worker("twin", start=1)
    said, tries = [], 0
    for turn in range(12):
        desk.worker("twin", start=1 + turn % 2, online=False)  # its will
        said.append(desk.worker("twin", start=2 - turn % 2))
        tries += _try_again(desk, "twin")
    assert tries <= 2, "a third ends it; the first two are told from deaths by nothing"
    assert "two workers share this name" not in said[0]
    assert "two workers share this name" in said[1]
    assert "two workers share this name" in said[-1]


def test_a_worker_that_dies_and_starts_anew_is_no_twin(desk: Desk) -> None:
    desk.add(1)
    desk.worker(start=1)
    tries = 0
    for start in range(1, 6):
        desk.worker(start=start, online=False)
        assert "share this name" not in desk.worker(start=start + 1)
        tries += _try_again(desk, "cpu")
    assert tries == 5, "each death counts"


def _try_again(desk: Desk, worker: str) -> int:
    """What was ended waits again and is given out when the worker has waited its time; how many it were."""
    tries = 0
    for _ in range(2):
        for tried in desk.ended:
            desk.pool.again(tried.item, tried=tried.worker)
        tries += len(desk.ended)
        desk.ended.clear()
        desk.turn(max(0.0, desk.pool.members[worker].paused_until - desk.now))
    assert desk.held(worker)
    return tries


def test_a_result_of_another_start_is_told_as_one() -> None:
    core = CoreDriver()
    core.worker("cpu", start=1)
    clip = core.clip(1)
    (job,) = core.jobs()
    core.do(
        ResultArrived("cpu", Result(job=clip.id, token=job.job.token, incarnation=clip_id(7), state="done"))
    )
    assert "of another start" in core.notes[-1]
    assert core.settled() == []
