"""The life of a worker: ready, order after order, and each way to end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cloud_support.machine import Machine
from meerkat_cloud_burst.errors import CloudError
from meerkat_cloud_burst.worker import loop
from meerkat_cloud_burst.worker.metadata import Identity
from support.media import make_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=1).read_bytes()


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


def test_a_model_that_cannot_be_fetched_just_now_is_tried_again(clip: bytes) -> None:
    machine = Machine(clip, grace=0)
    machine.models.faults = [
        CloudError("no answer", cause="network"),
        CloudError("who?", cause="credentials"),
    ]
    assert machine.worker.run() == 0
    assert machine.lives() == ["ready", "ending"]


def test_asked_to_end_while_the_model_is_fetched_it_takes_nothing(clip: bytes) -> None:
    machine = Machine(clip, grace=60)
    machine.order()
    machine.models.faults = [CloudError("no answer", cause="network")] * 100
    machine.models.on_open = lambda: machine.worker.end("SIGTERM")
    assert machine.worker.run() == 0
    assert machine.lives() == ["ending"]
    assert machine.orders.waits == []


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
