"""Workers that fail at everything take no clip with them; a clip that nobody can look at ends as ever."""

from __future__ import annotations

from collections import Counter

import pytest

from hub_support.core_driver import CoreDriver
from hub_support.core_driver import an_id as clip_id
from meerkat_contract.messages import Result
from meerkat_hub.core.clips import MAX_TRIES
from meerkat_hub.core.inputs import ResultArrived
from meerkat_hub.core.outputs import SendJob
from meerkat_hub.core.pool.settings import PoolSettings
from meerkat_hub.core.pool.trust import FAILING, LONGEST

from .desk import LOOK, Desk, Flow, Lease


@pytest.fixture
def desk() -> Desk:
    return Desk(PoolSettings(hedger=None))


def _fail(desk: Desk, lease: Lease) -> bool:
    """Its worker begins it and fails; whether that counted as a try, after which it waits again."""
    answer = desk.answer(lease, state="failed", retry=True, seconds=0.01, reason="no kernel image")
    assert answer is not None
    if not answer.kept:
        desk.pool.again(answer.lease.item, tried=lease.worker)
        desk.turn(0.0)
    return not answer.kept


def test_who_fails_at_one_task_and_does_another_is_not_left_out(desk: Desk) -> None:
    desk.pool.open(Flow("faces", "recognise_faces", bound=4))
    desk.worker("pc", fps=10, tasks=(LOOK, "recognise_faces"))
    for _ in range(2 * FAILING):
        desk.add(1)
        (clip,) = desk.held("pc")
        desk.answer(clip, seconds=1.0)
        for _ in range(FAILING + 1):
            desk.add(1, flow="faces", lives=60.0)
            (frame,) = desk.held("pc")
            desk.answer(frame, state="failed", retry=True, seconds=0.01, reason="out of memory")
            desk.pool.remove(frame.item.id)
    assert not desk.pool.members["pc"].paused_until
    assert not [note for note in desk.notes if "fails at everything" in note]


# --- through the core -----------------------------------------------------------------------------


class House:
    """Workers of which some fail at all that they get, and clips that none of them can look at."""

    def __init__(self, *, bad: int, good: int) -> None:
        self.core = CoreDriver()
        self.poison: set[str] = set()
        self.tries: Counter[str] = Counter()
        self._answered: set[int] = set()
        self._starts = {f"bad{n}": 10 + n for n in range(bad)} | {f"good{n}": 30 + n for n in range(good)}
        for name, start in self._starts.items():
            self.core.worker(name, fps=60 if name.startswith("bad") else 8, start=start)

    def answers(self) -> None:
        """All say at once what comes of what they have."""
        for job in self.core.jobs():
            if job.job.token not in self._answered and job.clip.id in self.core.core.leases:
                self._answered.add(job.job.token)
                self._answer(job)

    def _answer(self, job: SendJob) -> None:
        fails = job.worker.startswith("bad") or job.clip.id in self.poison
        self.tries[job.clip.id] += 1
        said = {"state": "failed", "retry": True, "reason": "no kernel image"} if fails else {"state": "done"}
        result = Result.model_validate(
            {
                "job": job.job.job,
                "token": job.job.token,
                "incarnation": clip_id(0xB000 + self._starts[job.worker]),
                "frames": 0 if fails else 25,
                "seconds": 0.01 if fails else 3.0,
                **said,
            }
        )
        self.core.do(ResultArrived(job.worker, result))


@pytest.mark.parametrize(("bad", "together"), [(1, 1), (3, 1), (3, 40), (8, 5)])
def test_beside_a_good_worker_those_that_fail_at_everything_lose_no_clip(bad: int, together: int) -> None:
    house = House(bad=bad, good=1)
    for number in range(1, 41):
        house.core.clip(number, recording=0xA000 + number, last=True)
        for _ in range(0 if number % together else 20 * together):
            house.core.turn(0.3)
            house.answers()
    assert Counter(state for _, state in house.core.settled()) == {"done": 40}
    told = [note for note in house.core.notes if "fails at everything" in note]
    assert {note.split()[1] for note in told} == {f"bad{n}" for n in range(bad)}
    assert "no kernel image. Look at its log" in told[0]


@pytest.mark.parametrize("good", [1, 2, 5])
def test_a_clip_that_nobody_can_look_at_ends_after_its_tries(good: int) -> None:
    house = House(bad=0, good=good)
    for number in range(1, 11):
        house.core.clip(number, recording=0xA000 + number, last=True)
    while house.core.core.leases:
        house.core.turn(0.3)
        house.answers()
    poison = clip_id(99)
    house.poison.add(poison)
    house.core.clip(99, recording=0xAFFF, last=True)
    for _ in range(MAX_TRIES):
        house.core.turn(0.3)
        house.answers()
    assert (poison, "failed") in house.core.settled()
    assert house.tries[poison] == MAX_TRIES
    assert not [note for note in house.core.notes if "fails at everything" in note]


@pytest.mark.parametrize("good", [2, 3, 6])
def test_it_ends_where_nobody_has_done_anything_yet_when_all_have_tried(good: int) -> None:
    house = House(bad=0, good=good)
    house.poison.add(clip_id(1))
    house.core.clip(1, last=True)
    for _ in range(good + MAX_TRIES):
        house.core.turn(0.3)
        house.answers()
    assert house.core.settled() == [(clip_id(1), "failed")]
    assert house.tries[clip_id(1)] <= good + MAX_TRIES - 2


@pytest.mark.parametrize("bad", [1, 2, 4])
def test_where_only_bad_workers_are_clips_end_after_their_tries(bad: int) -> None:
    house = House(bad=bad, good=0)
    for number in range(1, 5):
        house.core.clip(number, recording=0xA000 + number, last=True)
    for _ in range(400):
        house.core.turn(1.0)
        house.answers()
    assert sorted(house.core.settled()) == [(clip_id(n), "failed") for n in range(1, 5)]
    assert all("given up after 3 tries" in outcome.reason for outcome in house.core.outcomes())


# --- the pause ------------------------------------------------------------------------------------


def test_who_fails_at_three_different_jobs_is_left_out_for_longer_each_time(desk: Desk) -> None:
    desk.worker("bad", window=1)
    desk.add(100)
    pauses = []
    for turn in range(FAILING - 1 + 7):
        (lease,) = desk.held("bad")
        _fail(desk, lease)
        desk.pool.remove(lease.item.id)  # given up; the next one comes
        desk.turn(0.0)
        if turn < FAILING - 1:
            assert desk.held("bad")
            continue
        pauses.append(desk.pool.members["bad"].paused_until - desk.now)
        desk.turn(pauses[-1] - 1e-6)
        assert desk.held("bad") == []
        desk.turn(1e-6)
    assert pauses == pytest.approx([4, 8, 16, 32, LONGEST, LONGEST, LONGEST])


def test_it_is_told_as_long_as_the_pause_grows_and_when_it_is_over(desk: Desk) -> None:
    desk.worker("bad", window=1)
    desk.add(100)
    for _ in range(12):
        for lease in desk.held("bad"):
            _fail(desk, lease)
            desk.pool.remove(lease.item.id)
        desk.turn(LONGEST)
    assert [line.split(":")[0] for line in desk.notes] == [
        f"worker bad fails at everything and gets no work for {pause} s" for pause in (4, 8, 16, 32, 60)
    ]
    desk.notes.clear()
    for _ in range(3):
        desk.answer(desk.held("bad")[0])
        desk.turn(0.1)
    assert desk.notes == ["worker bad does its work again"]


def test_what_it_held_when_it_was_left_out_makes_the_pause_no_longer(desk: Desk) -> None:
    desk.worker("bad", fps=100, window=16)
    desk.add(100)
    for _ in range(12):
        desk.turn(0.011)
        desk.answer(desk.held("bad")[0], seconds=0.001, waited=0.0)
    held = desk.held("bad")
    assert len(held) > FAILING
    for lease in held:
        _fail(desk, lease)
    assert desk.pool.members["bad"].paused_until == desk.now + 4


def test_a_worker_that_fails_now_and_then_is_not_left_out(desk: Desk) -> None:
    """Two clips in a row that it cannot look at, between others."""
    desk.worker("cpu", window=1)
    desk.add(300)
    for turn in range(300):
        (lease,) = desk.held("cpu")
        if turn % 3:
            _fail(desk, lease)
            if lease.item.attempts:
                desk.pool.remove(lease.item.id)
        else:
            desk.answer(lease)
        desk.turn(0.1)
        assert not desk.pool.members["cpu"].paused_until
    assert desk.notes == []


def test_one_clip_over_and_over_is_not_everything(desk: Desk) -> None:
    desk.worker("only", window=1)
    desk.add(1)
    for tries in range(10):
        assert _fail(desk, desk.held("only")[0]), tries
    assert not desk.pool.members["only"].paused_until


def test_a_state_after_the_broker_was_away_mends_nobody(desk: Desk) -> None:
    desk.worker("bad", window=1)
    desk.add(100)
    for _ in range(FAILING):
        (lease,) = desk.held("bad")
        _fail(desk, lease)
        desk.pool.remove(lease.item.id)
        desk.turn(0.0)
    until = desk.pool.members["bad"].paused_until
    assert until == desk.now + 4
    desk.pool.bus_down()
    desk.worker("bad", window=1)
    assert desk.pool.members["bad"].paused_until == until


# --- whose fault it is ----------------------------------------------------------------------------


def test_the_first_failure_counts_whoever_failed(desk: Desk) -> None:
    desk.worker("bad", fps=100)
    desk.add(1)
    desk.worker("good", fps=1)
    assert _fail(desk, desk.held("bad")[0])
    assert desk.held("good")[0].item.attempts == 1


def test_a_second_one_counts_only_of_a_worker_that_did_its_last_job_well(desk: Desk) -> None:
    for name, fps in (("first", 100), ("second", 50), ("third", 1)):
        desk.worker(name, fps=fps, window=1)
    (item,) = desk.add(1)
    _fail(desk, desk.held("first")[0])
    assert desk.held("second")[0].item.id == item.id
    assert not _fail(desk, desk.held("second")[0]), "it has done nothing yet"
    desk.turn(0.0)
    assert desk.held("third")[0].item == desk.pool.leases[item.id][0].item
    assert desk.held("third")[0].item.attempts == 1
    assert desk.held("third")[0].item.avoid == {"first", "second"}
    assert _fail(desk, desk.held("third")[0]), "nobody else is able"


def test_a_frame_that_waits_again_is_dropped_when_its_time_is_over(desk: Desk) -> None:
    """Its second failure does not count, and nobody has time for it."""
    desk.pool.open(Flow("frames", LOOK, bound=8))
    for name, fps in (("first", 100), ("second", 50), ("busy", 40)):
        desk.worker(name, fps=fps, window=1)
    items = desk.add(3, flow="frames", lives=1.0)
    _fail(desk, desk.held("first")[0])
    for _ in range(20):
        for name in ("first", "second"):
            for lease in desk.held(name):
                _fail(desk, lease)
        desk.turn(0.051)
    assert not desk.pool.queues.waiting
    fates = [dropped.item.id for dropped in desk.dropped] + [held.item.id for held in desk.held("busy")]
    assert sorted(fates) == [item.id for item in items]


def test_a_clip_waits_for_the_good_one_that_is_paused_for_a_moment() -> None:
    house = House(bad=1, good=1)
    clip = house.core.clip(1, recording=0xA001, last=True)
    handed_back = 0
    for _ in range(20):
        for job in house.core.jobs():
            if job.worker == "good0" and not handed_back:
                handed_back = job.job.token
                house._answered.add(handed_back)
                said = {"job": clip.id, "token": handed_back, "incarnation": clip_id(0xB000 + 30)}
                full = {"state": "failed", "retry": True, "reason": "window full"}
                house.core.do(ResultArrived("good0", Result.model_validate(said | full)))
        house.answers()
        house.core.turn(0.3)
    assert handed_back, "the bad one had it first"
    assert house.core.settled() == [(clip.id, "done")]
