"""How a worker ends when it is asked to, when EC2 takes its machine back, and when its detector hangs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from cloud_support.machine import Machine
from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.messages import Finished
from meerkat_cloud_burst.worker import loop
from meerkat_cloud_burst.worker.metadata import Notice
from support.media import make_clip
from support.wait import wait_for


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=1).read_bytes()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real waits of the end, in hundredths of a second."""
    monkeypatch.setattr(loop, "CALLED_OFF", 0.05)
    monkeypatch.setattr(loop, "HAND_OVER", 0.5)


class InMidClip:
    """A worker that looks at a clip until it is called off or let go."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.looking, self.go_on = threading.Event(), threading.Event()
        machine.squares.during = self._look
        self.job = machine.order()

    def _look(self) -> None:
        self.looking.set()
        hand = self.machine.worker._hand
        wait_for(lambda: self.go_on.is_set() or (hand is not None and hand.given_back))

    def then(self, action: Callable[[], None]) -> None:
        """Does it when the look has begun."""

        def act() -> None:
            self.looking.wait(20)
            action()

        threading.Thread(target=act, daemon=True).start()


def waiting(machine: Machine) -> list[str]:
    return [order.job.job for order in machine.orders.waiting]


def test_asked_to_end_it_gives_the_clip_in_hand_back(clip: bytes) -> None:
    machine = Machine(clip, grace=60)
    begun = InMidClip(machine)
    begun.then(lambda: machine.worker.end("SIGTERM"))
    assert machine.worker.run() == 0
    assert waiting(machine) == [begun.job]
    assert machine.results.announced == []
    assert machine.lives() == ["ready", "ending"]
    assert machine.worker.idle


def test_a_signal_that_does_not_wake_who_waits_is_heard_at_once(
    clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is handled on another thread, and does not interrupt the main thread's wait."""
    monkeypatch.setattr(loop, "WATCH", 60.0)
    machine = Machine(clip, grace=60)
    begun = InMidClip(machine)
    begun.then(lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM))
    assert machine.worker.run() == 0
    assert waiting(machine) == [begun.job]
    assert machine.results.lives[-1].reason == "asked to end (SIGTERM)"


def test_a_detector_that_hangs_does_not_delay_the_end(clip: bytes, quick: None) -> None:
    machine = Machine(clip, grace=60)
    job = machine.order()
    looking, hangs = threading.Event(), threading.Event()

    def look() -> None:
        looking.set()
        hangs.wait(20)

    machine.squares.during = look
    machine.clock.runs = True
    asking = threading.Thread(target=lambda: looking.wait(20) and machine.worker.end("SIGTERM"), daemon=True)
    asking.start()
    assert machine.worker.run() == 0
    assert waiting(machine) == [job]
    assert not machine.worker.idle
    hangs.set()
    wait_for(lambda: machine.worker.idle)
    assert machine.results.announced == []


@pytest.mark.parametrize(("until", "seconds"), [(None, loop.LONGEST), (100, 100.0)])
def test_a_detector_that_hangs_for_good_ends_the_process(
    clip: bytes, quick: None, monkeypatch: pytest.MonkeyPatch, until: int | None, seconds: float
) -> None:
    """For systemd to start it anew. The message is left to lapse, so that it counts as a try."""
    monkeypatch.setattr(loop, "WATCH", 0.01)
    machine = Machine(clip, grace=60)
    job = machine.order()
    order = machine.orders.waiting[0]
    if until is not None:
        machine.orders.waiting[0] = order.model_copy(
            update={"until": order.sent_at + timedelta(seconds=until)}
        )
        machine.worker._doing.utc = lambda: order.sent_at
    hangs = threading.Event()

    def look() -> None:
        machine.clock.time += seconds + loop.HANGS
        looks = len(machine.results.said)
        assert not hangs.wait(0.1)  # at that instant it is still waited for
        assert len(machine.results.said) == looks
        machine.clock.time += 0.1
        hangs.wait(20)

    machine.squares.during = look
    assert machine.worker.run() == 1
    assert "it hangs" in machine.results.lives[-1].reason
    assert waiting(machine) == []
    assert [taken.job.job for taken in machine.orders.taken.values()] == [job]
    assert not machine.worker.idle
    assert not machine.left
    hangs.set()


def test_interrupted_while_it_answers_it_has_the_time_for_it(clip: bytes, quick: None) -> None:
    machine = Machine(clip, grace=60)
    job = machine.order()
    put = machine.store.put_result

    def slowly(key: str, finished: Finished) -> bool:
        machine.worker.notice(notice(120))
        wait_for(lambda: machine.lives() == ["ready", "interrupted"])
        assert not threading.Event().wait(4 * loop.CALLED_OFF)
        return put(key, finished)

    machine.clock.runs = True
    machine.store.put_result = slowly  # type: ignore[method-assign]
    assert machine.worker.run() == 0
    assert [said.job for said in machine.results.announced] == [job]


def notice(seconds: float) -> Notice:
    return Notice("terminate", datetime.now(UTC) + timedelta(seconds=seconds))


def test_interrupted_it_gives_back_what_may_not_be_done_in_time(clip: bytes) -> None:
    """How long a clip takes is not known before one was done."""
    machine = Machine(clip, grace=60)
    begun = InMidClip(machine)
    begun.then(lambda: machine.worker.notice(notice(120)))
    assert machine.worker.run() == 0
    assert waiting(machine) == [begun.job]
    assert machine.lives() == ["ready", "interrupted", "ending"]
    assert "terminate" in machine.results.lives[1].reason
    assert not machine.left  # EC2 takes it; the group knows


@pytest.mark.parametrize(("took", "done"), [(20.0, True), (69.0, True), (71.0, False)])
def test_interrupted_it_finishes_what_surely_will_be_done(clip: bytes, took: float, done: bool) -> None:
    """120 s less the reserve of 15 s are 105 s: half as much again as 70 s."""
    machine = Machine(clip, grace=60)
    machine.worker._took.append(took)
    begun = InMidClip(machine)

    def take_back() -> None:
        machine.worker.notice(notice(120))
        wait_for(machine.worker._ending.is_set)
        if done:
            begun.go_on.set()

    begun.then(take_back)
    other = machine.order()
    assert machine.worker.run() == 0
    if done:
        assert [said.job for said in machine.results.announced] == [begun.job]
        assert waiting(machine) == [other]  # nothing new was begun
    else:
        assert machine.results.announced == []
        assert sorted(waiting(machine)) == sorted([begun.job, other])


def test_interrupted_while_it_waits_it_takes_nothing_more(clip: bytes) -> None:
    machine = Machine(clip, grace=60)

    def poll() -> None:
        if len(machine.orders.waits) == 1:
            machine.worker.notice(notice(120))
            wait_for(machine.worker._ending.is_set)
            machine.order()  # the poll that is under way still brings it

    machine.orders.on_receive = poll
    assert machine.worker.run() == 0
    assert len(machine.orders.waiting) == 1
    assert machine.orders.prolonged[-1][1] == 0
    assert machine.results.announced == []


def test_a_hub_that_cannot_be_told_changes_nothing(clip: bytes) -> None:
    machine = Machine(clip, grace=0)
    machine.results.faults["announce"] = [CloudError("no", cause="permission")] * 2
    assert machine.worker.run() == 0
    assert machine.results.said == []
    assert machine.left == ["left"]
