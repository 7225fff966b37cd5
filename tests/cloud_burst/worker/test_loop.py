"""The life of a worker: ready, order after order, and each way to end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cloud_support.pretend_cloud import PretendOrders, PretendResults, PretendStore, order_of
from cloud_support.squares import OneModel, Squares
from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.worker import loop
from meerkat_cloud_burst.worker.doing import Cloud, Doing
from meerkat_cloud_burst.worker.loop import CloudWorker
from meerkat_cloud_burst.worker.metadata import Identity, Notice
from meerkat_cloud_burst.worker.patience import Pauses
from support.media import make_clip
from support.wait import wait_for


class Clock:
    """Monotonic, and moved by hand."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


class Machine:
    """One worker in its process, without the process."""

    def __init__(self, clip: bytes, *, grace: float | None, identity: Identity | None = None) -> None:
        self.clip = clip
        self.clock = Clock()
        self.store, self.orders, self.results = PretendStore(), PretendOrders(), PretendResults()
        self.squares = Squares()
        self.models = OneModel(self.squares)
        self.left: list[str] = []
        self.leaving: Callable[[], None] = lambda: self.left.append("left")
        doing = Doing(
            Cloud(self.store, self.orders, self.results, self._leave),
            self.models,  # type: ignore[arg-type]
            "i-0123",
            now=self.clock,
            pauses=Pauses(0.001, 0.002),
        )
        self.worker = CloudWorker(doing, idle_grace=grace, identity=identity, now=self.clock)

    def _leave(self) -> None:
        self.leaving()

    def order(self) -> str:
        order = order_of(self.clip)
        self.store.objects[order.key] = self.clip
        self.orders.send(order)
        return order.job.job

    def lives(self) -> list[str]:
        return [life.what for life in self.results.lives]

    def empty_polls(self, seconds: float) -> None:
        """From now on each empty poll lasts that long."""

        def poll() -> None:
            if not self.orders.waiting:
                self.clock.time += seconds

        self.orders.on_receive = poll


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=1).read_bytes()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The real waits of the end, in hundredths of a second."""
    monkeypatch.setattr(loop, "CALLED_OFF", 0.05)
    monkeypatch.setattr(loop, "HAND_OVER", 0.5)
    return


def test_it_does_what_is_there_and_ends_when_the_queue_stays_empty(clip: bytes) -> None:
    machine = Machine(clip, grace=60)
    machine.empty_polls(5)
    jobs = {machine.order(), machine.order()}
    assert machine.worker.run() == 0
    assert {said.job for said in machine.results.announced} == jobs
    assert machine.lives() == ["ready", "ending"]
    assert machine.results.lives[-1].reason == "the queue is empty"
    assert machine.left == ["left"]


def test_the_idle_grace_ends_at_its_instant_and_not_before(clip: bytes) -> None:
    machine = Machine(clip, grace=60)
    machine.empty_polls(5)
    assert machine.worker.run() == 0
    # Twelve polls of 5 s make 60 s, and one last look.
    assert len(machine.orders.waits) == 13
    assert machine.orders.waits[-1] == loop.LAST_LOOK
    assert machine.worker.idle


def test_no_idle_grace_is_one_poll_and_a_last_look(clip: bytes) -> None:
    machine = Machine(clip, grace=0)
    assert machine.worker.run() == 0
    assert machine.orders.waits == [loop.LAST_LOOK, loop.LAST_LOOK]


def test_an_order_of_the_last_moment_is_not_stranded(clip: bytes) -> None:
    machine = Machine(clip, grace=60)

    def poll() -> None:
        if not machine.orders.waiting:
            machine.clock.time += 5
        if len(machine.orders.waits) == 12:  # the last look
            machine.order()

    machine.orders.on_receive = poll
    assert machine.worker.run() == 0
    assert len(machine.results.announced) == 1


def test_one_that_stays_polls_on_and_ends_when_asked(clip: bytes) -> None:
    machine = Machine(clip, grace=None)
    machine.empty_polls(3600)

    def poll() -> None:
        machine.clock.time += 3600
        if len(machine.orders.waits) == 50:
            machine.worker.end("SIGTERM")

    machine.orders.on_receive = poll
    assert machine.worker.run() == 0
    assert set(machine.orders.waits) == {loop.POLL_STAYING}
    assert machine.lives() == ["ready", "ending"]
    assert "SIGTERM" in machine.results.lives[-1].reason
    assert not machine.left  # whoever asked it to end takes care of the machine


def test_one_that_no_group_counts_says_that_it_lives(clip: bytes) -> None:
    machine = Machine(clip, grace=100)
    machine.empty_polls(20)
    machine.worker.run()
    assert machine.lives() == ["ready", "ending"]
    machine = Machine(clip, grace=100)
    machine.worker._doing.cloud = replace(machine.worker._doing.cloud, leave=None)
    machine.empty_polls(20)
    assert machine.worker.run() == 0
    assert machine.lives() == ["ready", "ready", "ending"]


def test_the_boot_is_told_from_the_launch(clip: bytes) -> None:
    launched = datetime.now(UTC) - timedelta(seconds=80)
    machine = Machine(clip, grace=0, identity=Identity("i-0123", launched=launched))
    machine.order()
    machine.worker.run()
    assert machine.results.lives[0].boot == pytest.approx(80, abs=20)
    assert next(iter(machine.store.results.values())).boot == machine.results.lives[0].boot


def test_a_process_that_was_started_again_tells_no_boot(clip: bytes) -> None:
    launched = datetime.now(UTC) - timedelta(hours=5)
    machine = Machine(clip, grace=0, identity=Identity("i-0123", launched=launched))
    machine.worker.run()
    assert machine.results.lives[0].boot is None


def test_an_engine_that_does_not_open_takes_nothing_and_says_why(clip: bytes) -> None:
    machine = Machine(clip, grace=60)
    machine.order()
    machine.models.missing.add("")
    assert machine.worker.run() == 1
    assert machine.orders.waits == []
    (life,) = machine.results.lives
    assert (life.what, life.worker) == ("ending", "i-0123")
    assert "neither on this machine" in life.reason
    assert machine.left == ["left"]  # it would cost money and do nothing


def test_a_fault_of_ours_ends_with_status_1(clip: bytes, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(clip, grace=60)

    def poll() -> None:
        raise KeyError("nobody foresaw this")

    machine.orders.on_receive = poll
    assert machine.worker.run() == 1
    assert "This is a fault in Meerkat" in caplog.text
    assert machine.lives() == ["ready", "ending"]
    assert not machine.left  # it is started anew on the same machine


def test_an_instance_that_cannot_end_itself_ends_with_status_1(clip: bytes) -> None:
    machine = Machine(clip, grace=0)

    def refused() -> None:
        raise CloudError("not allowed", cause="permission")

    machine.leaving = refused
    assert machine.worker.run() == 1


def test_ending_itself_is_tried_again(clip: bytes) -> None:
    machine = Machine(clip, grace=0)
    tries = [CloudError("no answer", cause="network"), CloudError("slow", cause="throttled")]

    def leave() -> None:
        if tries:
            raise tries.pop()
        machine.left.append("left")

    machine.leaving = leave
    assert machine.worker.run() == 0
    assert machine.left == ["left"]


# --- the cloud is away ----------------------------------------------------------------------------


def test_silence_of_the_cloud_is_not_an_empty_queue(clip: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Away for longer than the grace: the grace begins anew when it answers."""
    machine = Machine(clip, grace=60)
    machine.orders.faults["receive"] = [CloudError("no answer", cause="network")] * 5
    machine.empty_polls(20)
    assert machine.worker.run() == 0
    # Five that failed, one that answered, three for the grace, the last look.
    assert len(machine.orders.waits) == 10
    assert caplog.text.count("No orders can be had") == 1
    assert machine.results.lives[-1].reason == "the queue is empty"


@pytest.mark.parametrize(("cause", "seconds"), [("network", loop.LATER), ("permission", loop.SOON)])
def test_a_machine_that_costs_money_does_not_wait_for_ever(clip: bytes, cause: str, seconds: float) -> None:
    machine = Machine(clip, grace=60)
    machine.orders.faults["receive"] = [CloudError("no", cause=cause)] * 5  # type: ignore[arg-type]
    machine.empty_polls(seconds / 2)
    assert machine.worker.run() == 1
    # At exactly its time it tries once more; what comes later ends it.
    assert len(machine.orders.waits) == 3


def test_one_that_stays_outlasts_a_network_that_is_down_for_a_day(clip: bytes) -> None:
    machine = Machine(clip, grace=None)
    machine.orders.faults["receive"] = [CloudError("no answer", cause="network")] * 24
    machine.empty_polls(3600)
    job = ""

    def poll() -> None:
        nonlocal job
        machine.clock.time += 3600
        if len(machine.orders.waits) == 30:
            job = machine.order()
        if len(machine.orders.waits) == 31:
            machine.worker.end("test")

    machine.orders.on_receive = poll
    assert machine.worker.run() == 0
    assert [said.job for said in machine.results.announced] == [job]


# --- asked to end, or taken back ------------------------------------------------------------------


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


def test_a_detector_that_hangs_does_not_delay_the_end(clip: bytes, quick: None) -> None:
    machine = Machine(clip, grace=60)
    job = machine.order()
    looking, hangs = threading.Event(), threading.Event()

    def look() -> None:
        looking.set()
        hangs.wait(20)

    machine.squares.during = look
    # The clock stands still: what ends the wait is that nothing more is said.
    asking = threading.Thread(target=lambda: looking.wait(20) and machine.worker.end("SIGTERM"), daemon=True)
    asking.start()
    assert machine.worker.run() == 0
    assert waiting(machine) == [job]
    assert not machine.worker.idle
    hangs.set()
    wait_for(lambda: machine.worker.idle)
    assert machine.results.announced == []


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
