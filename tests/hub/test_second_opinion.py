"""That nobody can read a clip or a frame, two workers have to say, whatever else went wrong before."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hub_support.cloud_driver import CloudDriver
from hub_support.core_driver import START, CoreDriver, an_id
from meerkat_contract.messages import ModelInfo, Result, TaskInfo, WorkerState
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.store import Store
from meerkat_hub.core.clips import MAX_TRIES
from meerkat_hub.core.inputs import BusChanged, ResultArrived, TimeReached, WorkerSeen
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.outputs import Effect, SendFrame
from meerkat_hub.core.pool.attendance import PAUSE
from meerkat_hub.core.records import Clip, Now
from meerkat_hub.core.second_opinion import SOON
from meerkat_hub.core.workflow_records import FrameArrived, Policy, WorkflowRequested, WorkflowSpec

STARTS = {"a": 1, "b": 2, "c": 3}


@pytest.fixture
def core() -> CoreDriver:
    return CoreDriver()


def with_workers(core: CoreDriver, *names: str) -> Clip:
    """A clip that the first of them has."""
    core.worker(names[0], start=STARTS[names[0]])
    clip = core.clip(1, last=True)
    for name in names[1:]:
        core.worker(name, start=STARTS[name])
    assert core.job_of(clip).worker == names[0]
    return clip


def breaks(core: CoreDriver, clip: Clip) -> str:
    """Who has the clip fails at it, and says that another may succeed."""
    worker = core.job_of(clip).worker
    core.answer(clip, state="failed", retry=True, reason="out of memory", start=STARTS[worker])
    return worker


def cannot_read(core: CoreDriver, clip: Clip) -> str:
    """Who has the clip says that nobody can read it."""
    worker = core.job_of(clip).worker
    core.answer(clip, state="failed", reason=f"{worker} cannot read it", start=STARTS[worker])
    return worker


def reasons(core: CoreDriver) -> list[str]:
    return [outcome.reason for outcome in core.outcomes()]


def test_one_word_is_not_enough_after_a_try_that_failed_for_another_reason(core: CoreDriver) -> None:
    clip = with_workers(core, "a", "b", "c")
    assert breaks(core, clip) == "a"
    assert cannot_read(core, clip) == "b"
    assert core.settled() == []
    assert core.job_of(clip).worker == "c"
    core.answer(clip, start=STARTS["c"])
    assert core.settled() == [(clip.id, "done")]


def test_nor_after_a_lease_that_ran_out(core: CoreDriver) -> None:
    clip = with_workers(core, "a", "b", "c")
    (lease,) = core.core.leases[clip.id]
    core.turn(lease.expires - core.mono)
    assert core.job_of(clip).worker != "a"
    first = cannot_read(core, clip)
    assert core.settled() == []
    core.turn(SOON)
    assert core.job_of(clip).worker not in (first, "a")


def test_the_second_word_settles_it_although_another_try_came_between(core: CoreDriver) -> None:
    clip = with_workers(core, "a", "b", "c")
    assert cannot_read(core, clip) == "a"
    between = core.job_of(clip).worker
    token = core.job_of(clip).job.token
    core.worker(between, start=STARTS[between], online=False)  # its network went: no try
    assert core.job_of(clip).job.token > token
    second = cannot_read(core, clip)
    assert second not in ("a", between)
    assert reasons(core) == [f"{second} cannot read it"]


def test_who_failed_for_another_reason_is_asked_again_before_who_cannot_read_it(core: CoreDriver) -> None:
    clip = with_workers(core, "a", "b")
    assert breaks(core, clip) == "a"
    assert cannot_read(core, clip) == "b"
    assert core.job_of(clip).worker == "a", "nobody else is left, and its memory may have come back"
    core.answer(clip, start=STARTS["a"])
    assert core.settled() == [(clip.id, "done")]


def test_nor_does_a_broken_second_try_bring_it_back_to_who_cannot_read_it(core: CoreDriver) -> None:
    clip = with_workers(core, "a", "b")
    assert cannot_read(core, clip) == "a"
    assert breaks(core, clip) == "b"
    assert core.job_of(clip).worker == "b"
    assert cannot_read(core, clip) == "b"
    assert reasons(core) == ["b cannot read it"]


def test_tries_are_counted_all_the_same(core: CoreDriver) -> None:
    clip = with_workers(core, "a", "b", "c")
    for member in core.core.pool.members.values():
        member.sound = {"detect_objects"}  # it did its last job well: its failures count
    breaks(core, clip)
    breaks(core, clip)
    last = cannot_read(core, clip)
    assert reasons(core) == [f"given up after {MAX_TRIES} tries; the last: {last} cannot read it"]


@pytest.mark.parametrize("others", [[], ["b"]], ids=["alone", "the other left"])
def test_where_only_one_is_there_its_word_is_enough(core: CoreDriver, others: list[str]) -> None:
    clip = with_workers(core, "a", *others)
    for other in others:
        core.worker(other, start=STARTS[other], online=False)
    cannot_read(core, clip)
    assert reasons(core) == ["a cannot read it"]


def test_one_that_goes_before_it_is_asked_leaves_the_word_of_one(core: CoreDriver) -> None:
    clip = with_workers(core, "a", "b")
    cannot_read(core, clip)
    core.worker("b", start=STARTS["b"], online=False)
    assert core.job_of(clip).worker == "a"
    cannot_read(core, clip)
    assert reasons(core) == ["a cannot read it"]


def test_one_that_is_paused_for_a_moment_is_waited_for(core: CoreDriver) -> None:
    """Else an old decoder would end whatever comes while the other one's window is full."""
    clip = with_workers(core, "a", "b")
    core.core.pool._pause(core.core.workers["b"], core.mono + PAUSE)
    cannot_read(core, clip)
    assert core.settled() == []
    core.turn(PAUSE - 0.001)
    assert core.job_of(clip).worker == "a", "nobody has it"
    assert clip.id not in core.core.leases
    assert core.core.wake_at() == PAUSE
    core.turn(0.001)
    assert core.job_of(clip).worker == "b"


@pytest.mark.parametrize(("pause", "settled"), [(SOON, 0), (SOON + 0.001, 1)], ids=["soon", "too late"])
def test_one_that_is_paused_for_longer_is_not(core: CoreDriver, pause: float, settled: int) -> None:
    clip = with_workers(core, "a", "b")
    core.core.pool._pause(core.core.workers["b"], core.mono + pause)
    cannot_read(core, clip)
    assert len(core.settled()) == settled


@pytest.mark.parametrize("before", ["cannot read it", "out of memory"])
def test_what_was_said_outlives_the_hub(core: CoreDriver, tmp_path: Path, before: str) -> None:
    engine = open_database(tmp_path / "hub.db")
    store = Store(engine)
    clip = with_workers(core, "a", "b", "c")
    said = cannot_read if before == "cannot read it" else breaks
    assert said(core, clip) == "a"
    store.commit(core.changes, announced=[], now=core.now.wall, pictures={})

    after = CoreDriver()
    loaded = store.load()
    engine.dispose()
    after.core = HubCore(epoch=2, new_id=after._new_id)
    after.core.load(loaded.recordings, loaded.waiting, after.now)
    after.check = lambda: None  # type: ignore[method-assign]  # its changes begin in the middle
    for name, start in STARTS.items():
        after.worker(name, start=start)
    after.do(BusChanged(up=True))
    last = cannot_read(after, clip)
    if before == "cannot read it":
        assert last != "a"
    else:
        assert after.settled() == []
        last = cannot_read(after, clip)
    assert reasons(after) == [f"{last} cannot read it"]


def test_what_the_cloud_cannot_read_is_tried_at_home_and_two_words_settle_it() -> None:
    hub = CloudDriver()
    clip = hub.clip(1, last=True)
    hub.send([clip.id])
    hub.worker()
    hub.cloud_answers(clip.id, state="failed", reason="it cannot be decoded")
    assert hub.settled() == []
    assert hub.job_of(clip).worker == "cpu"
    assert not hub.cloud.flights.known[clip.id].aloft
    hub.answer(clip, state="failed", reason="nor here")
    assert hub.settled() == [(clip.id, "failed")]
    assert reasons(hub) == ["nor here"]


# --- frames -------------------------------------------------------------------------------------


class Watch:
    """A hub with a workflow upon one camera that these nodes run."""

    def __init__(self, *nodes: str) -> None:
        self._numbers = 0xE000
        self.mono = 0.0
        self.effects: list[Effect] = []
        self.core = HubCore(epoch=1, new_id=self._new_id, policy=Policy(reserve=0, gather=0))
        self.core.load([], [], self.now)
        self.do(BusChanged(up=True))
        for node in nodes:
            task = TaskInfo(task="detect_faces", model=ModelInfo(name="m"), frames_per_second=5)
            state = WorkerState(
                worker=node, incarnation=an_id(STARTS[node]), online=True, window=16, tasks=(task,)
            )
            self.do(WorkerSeen(state))
        spec = WorkflowSpec.model_validate(
            {
                "cameras": {"porch/front": 4.0 * len(nodes)},
                "measurement": "detect_faces",
                "feature": None,
                "decision": {"rule": "seen", "cooldown": 0},
                "max_delay": 2,
            }
        )
        self.do(WorkflowRequested("lobby", spec))
        self.mono = 10.0
        self.do(TimeReached())
        self.do(FrameArrived(self._new_id(), "porch", "front", self.now.wall, 1000))

    def _new_id(self) -> str:
        self._numbers += 1
        return an_id(self._numbers)

    @property
    def now(self) -> Now:
        return Now(START + timedelta(seconds=self.mono), self.mono)

    def do(self, happened: object) -> None:
        self.effects += self.core.step(happened, self.now).effects  # type: ignore[arg-type]

    @property
    def asked(self) -> list[str]:
        return [effect.worker for effect in self.effects if isinstance(effect, SendFrame)]

    def answer(self, state: str, *, retry: bool = False) -> None:
        sent = [effect for effect in self.effects if isinstance(effect, SendFrame)][-1]
        result = Result.model_validate(
            {
                "job": sent.job.job,
                "token": sent.job.token,
                "incarnation": an_id(STARTS[sent.worker]),
                "state": state,
                "retry": retry,
                "reason": "" if state == "done" else "no decoder",
                "frames": 1,
                "seconds": 0.01,
            }
        )
        self.do(ResultArrived(sent.worker, result))

    @property
    def fates(self) -> dict[str, int]:
        return self.core.workflows.totals()


def test_a_frame_that_one_node_cannot_read_another_may() -> None:
    watch = Watch("a", "b")
    watch.answer("failed")
    assert sorted(watch.asked) == ["a", "b"]
    watch.answer("done")
    assert watch.fates == {"received": 1, "done": 1}


@pytest.mark.parametrize("retry", [False, True])
def test_a_frame_that_two_nodes_failed_at_is_given_up(retry: bool) -> None:
    watch = Watch("a", "b", "c")
    watch.answer("failed", retry=retry)
    watch.answer("failed")
    assert len(set(watch.asked)) == len(watch.asked) == 2
    assert watch.fates == {"received": 1, "done": 0, "failed": 1}


def test_a_frame_that_the_only_node_cannot_read_is_not_sent_again() -> None:
    watch = Watch("a")
    watch.answer("failed")
    assert watch.asked == ["a"]
    assert watch.fates == {"received": 1, "done": 0, "failed": 1}


@pytest.mark.parametrize(("late", "tries"), [(-0.001, 2), (0.0, 1)], ids=["in time", "too late"])
def test_a_frame_is_not_looked_at_again_when_its_time_is_over(late: float, tries: int) -> None:
    watch = Watch("a", "b")
    watch.mono += 2 + late
    watch.answer("failed")
    assert len(watch.asked) == tries
