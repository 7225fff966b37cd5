"""Frames that are lost on their way silence nobody for long; who is heard of again is silent no more."""

from __future__ import annotations

import pytest

from meerkat_hub.core.pool.attendance import PAUSE
from meerkat_hub.core.pool.settings import GRACE, LEASE_CAP, PoolSettings

from .desk import LOOK, Desk, Flow, Lease

FRAMES = "walkers/measurement"


@pytest.fixture
def desk() -> Desk:
    desk = Desk(PoolSettings(hedger=None))
    desk.pool.open(Flow(FRAMES, LOOK, bound=8))
    return desk


def _frame(desk: Desk, *, lives: float = 1.0) -> None:
    desk.add(1, flow=FRAMES, lives=lives)


def _answer_all(desk: Desk, worker: str, lost: list[Lease]) -> int:
    """Answer what it holds and what was not lost; how many."""
    mine = [lease for lease in desk.held(worker) if lease not in lost]
    for lease in mine:
        desk.answer(lease, seconds=0.02, waited=0.0)
    return len(mine)


def _settled(desk: Desk, worker: str, **announced: object) -> None:
    """A worker 50 times as fast as its frames come, of which all is known."""
    desk.worker(worker, fps=50, **announced)
    for _ in range(30):
        _frame(desk)
        desk.turn(0.021)
        _answer_all(desk, worker, [])
        desk.turn(0.079)


@pytest.mark.parametrize(
    ("expected", "left", "seconds"),
    [
        (0.02, 1.0, 1.0 + GRACE),
        (0.02, -5.0, GRACE),  # a copy of what is late already
        (1.0, 1.0, 1.0 + 10.0),  # a worker whose work takes as long as the frame lives
        (5.0, 1.0, 50.0),  # nor more than that of a clip
        (0.02, 3600.0, 30.0),  # a workflow that may wait for hours is told of a lost frame as soon as a clip
        (1e9, 10.0, LEASE_CAP),
    ],
)
def test_a_lease_on_a_frame_ends_soon_after_its_deadline(
    expected: float, left: float, seconds: float
) -> None:
    assert PoolSettings().lease_seconds(expected, 0, left) == pytest.approx(seconds)


def test_a_try_makes_the_lease_on_a_frame_no_longer_than_its_deadline_allows() -> None:
    assert PoolSettings().lease_seconds(0.02, 3, 1.0) == 1.0 + GRACE
    assert PoolSettings().lease_seconds(0.02, 1, 3600.0) == 60.0


def test_what_was_lost_is_counted_at_the_end_of_its_lease_and_not_before(desk: Desk) -> None:
    desk.worker(fps=50)
    _frame(desk)
    (lease,) = desk.held()
    desk.turn(1.0 + GRACE - 1e-6)
    assert desk.held() == [lease]
    desk.turn(1e-6)
    assert desk.held() == []
    assert [tried.item for tried in desk.ended] == [lease.item]


@pytest.mark.parametrize(("lost_ones", "window"), [(1, 16), (2, 16), (1, 1)])
def test_a_worker_of_which_frames_were_lost_gets_frames_again_when_their_leases_are_over(
    desk: Desk, lost_ones: int, window: int
) -> None:
    _settled(desk, "w", window=window)
    lost: list[Lease] = []
    last, longest = desk.now, 0.0
    for _ in range(300):
        _frame(desk)
        lost += [lease for lease in desk.held("w") if lease not in lost][: lost_ones - len(lost)]
        desk.turn(0.021)
        if _answer_all(desk, "w", lost):
            longest, last = max(longest, desk.now - last), desk.now
        desk.turn(0.079)
    assert len(lost) == lost_ones
    assert max(longest, desk.now - last) < 1.0 + GRACE + 0.3


def test_a_worker_that_answers_no_frame_waits_as_long_as_its_lease_was_and_no_longer(desk: Desk) -> None:
    """It hangs, or is not there. The first frames may have been lost; from then on it gets less, not none."""
    desk.worker("mute", fps=50)
    pauses = []
    for _ in range(600):
        _frame(desk)
        pause = desk.pool.members["mute"].paused_until - desk.now
        if pause > 0 and not any(abs(pause - p) < p for p in pauses[-1:]):
            pauses.append(pause)
        desk.turn(0.1)
    assert pauses
    assert max(pauses) <= 1.0 + GRACE + 1e-6
    given = len([lease for lease in desk.sent if lease.worker == "mute"])
    assert 10 <= given <= 60, "of 600"


def test_a_frame_answered_after_its_lease_counts_for_nothing_and_tells_that_the_worker_is_there(
    desk: Desk,
) -> None:
    desk.worker("slow", fps=50, window=1)
    for _ in range(2):
        _frame(desk)
        desk.turn(1.0 + GRACE)
        desk.ended.clear()
    late = desk.sent[-1]
    slow = desk.pool.members["slow"]
    assert slow.paused_until > desk.now
    before = slow.seconds(LOOK)
    assert desk.answer(late, seconds=3.0) is None, "it is over"
    assert desk.ended == []
    assert slow.seconds(LOOK) > before, "and it is slower than was thought"
    _frame(desk)
    assert [lease.worker for lease in desk.held("slow")] == ["slow"]


def test_who_gives_up_at_the_end_of_its_leases_gets_longer_ones(desk: Desk) -> None:
    """It says 50 a second and takes four seconds. Like ours it stops when a lease is over, and says so."""
    desk.worker("slow", fps=50, window=1)
    for _ in range(12):
        _frame(desk)
        for lease in desk.held("slow"):
            desk.turn(min(4.0, lease.expires - desk.now))
            done = desk.now - lease.sent >= 4.0
            desk.answer(lease, seconds=desk.now - lease.sent, state="done" if done else "failed", retry=True)
        desk.turn(5.0)
    _frame(desk)
    (lease,) = desk.held("slow")
    assert lease.expires - lease.sent > 4.0


def test_a_failure_after_the_lease_tells_nothing_of_a_worker_that_gave_up_sooner(desk: Desk) -> None:
    desk.worker("cpu", fps=1)
    _frame(desk)
    (lease,) = desk.held("cpu")
    desk.turn(lease.expires - desk.now)
    desk.answer(lease, seconds=0.5, state="failed", retry=True)
    assert desk.pool.members["cpu"].seconds(LOOK) == 1.0


# --- announced anew -----------------------------------------------------------------------------------


def _silent(desk: Desk) -> None:
    """A clip's lease ran out."""
    desk.worker()
    desk.add(1)
    desk.turn(desk.held()[0].expires - desk.now)
    desk.pool.again(desk.ended.pop().item)
    assert desk.pool.members["cpu"].paused_until == desk.now + 5 * PAUSE


def test_a_state_after_the_broker_was_away_ends_a_silence(desk: Desk) -> None:
    _silent(desk)
    desk.pool.bus_down()
    desk.worker()
    assert len(desk.held()) == 1
    desk.turn(desk.held()[0].expires - desk.now)
    assert desk.pool.members["cpu"].paused_until == desk.now + 5 * PAUSE, "it begins anew"


def test_a_state_in_between_is_no_answer(desk: Desk) -> None:
    """A worker whose job thread hangs goes on telling its temperature."""
    _silent(desk)
    desk.pool.bus_down()
    desk.worker()
    desk.turn(desk.held()[0].expires - desk.now)
    desk.pool.again(desk.ended.pop().item)
    until = desk.pool.members["cpu"].paused_until
    desk.worker()
    assert desk.pool.members["cpu"].paused_until == until
    assert desk.held() == []


def test_a_new_start_is_not_silent(desk: Desk) -> None:
    _silent(desk)
    desk.worker(start=2)
    assert len(desk.held()) == 1


def test_a_state_after_the_broker_was_away_ends_no_other_pause(desk: Desk) -> None:
    desk.worker()
    desk.add(1)
    desk.answer(desk.held()[0], state="failed", retry=True, seconds=0)
    until = desk.pool.members["cpu"].paused_until
    assert until == desk.now + PAUSE
    desk.pool.bus_down()
    desk.worker()
    assert desk.pool.members["cpu"].paused_until == until


# --- whether anybody gets it ------------------------------------------------------------------------


def test_until_a_worker_has_answered_its_jobs_may_reach_nobody(desk: Desk) -> None:
    desk.worker(fps=50)
    _frame(desk)
    _frame(desk)
    first, second = desk.held()
    assert first.unmet
    assert second.unmet
    desk.answer(first)
    desk.answer(second)
    _frame(desk)
    assert not desk.sent[-1].unmet
    desk.pool.bus_down()
    desk.turn(0.0)
    assert desk.held()[0].unmet
