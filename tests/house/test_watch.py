"""Each invariant can break: what the watch says when it does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hub_support.cloud_driver import CloudDriver, a_result
from hub_support.core_driver import START, a_clip, an_id
from meerkat_cloud_burst.news import CloudAnswered, SendOut
from meerkat_contract.messages import (
    HubState,
    Job,
    ModelInfo,
    Receipt,
    Result,
    TaskInfo,
    WorkerState,
)
from meerkat_experiments.house.clock import Clock
from meerkat_experiments.house.network import Packet
from meerkat_experiments.house.report import failure
from meerkat_experiments.house.trace import Trace
from meerkat_experiments.house.watch import INVARIANTS, PRIVATE, Broken, Watch
from meerkat_experiments.house.world import Plan, run_in_scratch
from meerkat_hub.adapters.announcer import Announcer
from meerkat_hub.core.clips import CLIPS
from meerkat_hub.core.inputs import Input, MediaLost, ResultArrived, TimeReached, WorkerSeen
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.outputs import (
    CancelJob,
    Change,
    ClipSettled,
    ClipStored,
    Decision,
    Effect,
    SendJob,
    SendReceipt,
)
from meerkat_hub.core.pool.work import Item
from meerkat_hub.core.workflows.frames import Frames
from meerkat_hub.core.workflows.outcome import Outcome


class Books:
    """A watch, and what it is told."""

    def __init__(self) -> None:
        self.watch = Watch(Trace(Clock(1)))
        self.clip = a_clip(1)

    def step(self, happened: Input, *effects: Effect, changes: tuple[Change, ...] = ()) -> None:
        self.watch.stepped(happened, Decision(list(changes), list(effects)))

    def worker(self, *, start: int = 1, online: bool = True, window: int = 1) -> WorkerSeen:
        task = TaskInfo(task="detect_objects", model=ModelInfo(name="test"), frames_per_second=10)
        incarnation = an_id(start)
        return WorkerSeen(
            WorkerState(worker="cpu", incarnation=incarnation, online=online, tasks=(task,), window=window)
        )

    def job(self, token: int, clip: int = 1) -> SendJob:
        job = Job(
            job=an_id(clip),
            token=token,
            device="porch",
            camera="front",
            media=an_id(clip),
            captured_at=START,
            lease=30,
        )
        return SendJob("cpu", job, a_clip(clip))

    def recorded(self, token: int, *, start: int = 1, worker: str = "cpu") -> None:
        """The hub takes a result with this token as the clip's end."""
        result = Result(job=self.clip.id, token=token, incarnation=an_id(start), state="done")
        settled = ClipSettled(self.clip.id, "done", worker=worker)
        self.step(ResultArrived(worker, result), changes=(settled,))


@pytest.fixture
def books() -> Books:
    return Books()


def test_a_good_life_breaks_nothing(books: Books) -> None:
    books.step(books.worker(), books.job(1))
    books.watch.committed([ClipStored(books.clip)], [])
    books.watch.carried_out(SendReceipt("porch", Receipt(id=books.clip.id, outcome="stored")))
    books.watch.forgotten("porch", books.clip.id)
    books.recorded(1)
    books.watch.committed([ClipSettled(books.clip.id, "done")], [])
    assert books.watch.waiting == 0


@pytest.mark.parametrize(
    ("why", "void"),
    [
        ("cancelled", lambda books: books.step(TimeReached(), CancelJob("cpu", an_id(1), 1))),
        ("gone", lambda books: books.step(books.worker(start=2))),
        ("gone", lambda books: books.step(books.worker(online=False))),
        ("earlier start of the hub", lambda books: books.watch.loading()),
        ("answered already", lambda books: books.recorded(1)),
    ],
)
def test_a_result_of_a_lease_that_is_over_must_not_count(
    books: Books, why: str, void: Callable[[Books], None]
) -> None:
    books.step(books.worker(), books.job(1))
    void(books)
    with pytest.raises(Broken, match=rf"one result: .*{why}"):
        books.recorded(1)


def test_a_result_of_no_lease_must_not_count(books: Books) -> None:
    with pytest.raises(Broken, match="never was such a lease"):
        books.recorded(7)


def test_a_result_of_anothers_lease_or_for_another_clip_must_not_count(books: Books) -> None:
    books.step(books.worker(window=2), books.job(1), books.job(2, clip=2))
    with pytest.raises(Broken, match="that lease is cpu's on "):
        books.recorded(1, worker="coral")
    with pytest.raises(Broken, match="that lease is cpu's on "):
        books.recorded(2)


def test_no_worker_may_hold_more_than_its_window(books: Books) -> None:
    books.step(books.worker(window=2), books.job(1), books.job(2, clip=2))
    with pytest.raises(Broken, match="window: cpu holds 3 leases, its window is 2"):
        books.step(TimeReached(), books.job(3, clip=3))


def test_a_clip_may_end_once(books: Books) -> None:
    books.watch.committed([ClipStored(books.clip), ClipSettled(books.clip.id, "done")], [])
    with pytest.raises(Broken, match=r"one result: .* ended twice: done, then expired"):
        books.watch.committed([ClipSettled(books.clip.id, "expired")], [])


def test_an_outcome_is_told_after_its_commit_and_always_the_same(books: Books) -> None:
    def told(state: str) -> Packet:
        body = json.dumps({"id": books.clip.id, "state": state}).encode()
        return Packet("meerkat/camera/porch/front/outcome", body)

    with pytest.raises(Broken, match="before its commit"):
        books.watch.accepted(told("done"))
    books.watch.committed([ClipStored(books.clip), ClipSettled(books.clip.id, "done")], [])
    books.watch.accepted(told("done"))
    with pytest.raises(Broken, match="two different outcomes"):
        books.watch.accepted(told("failed"))


def test_what_a_device_forgets_and_what_waits_must_be_there(books: Books) -> None:
    with pytest.raises(Broken, match="acknowledged: porch forgot"):
        books.watch.forgotten("porch", an_id(9))
    with pytest.raises(Broken, match="acknowledged: the file of"):
        books.step(MediaLost(an_id(9), "no such file"))


def test_what_must_not_leave_the_house_and_what_it_costs_are_watched() -> None:
    hub = CloudDriver()
    clip = hub.clip(1)
    hub.send([clip.id])
    order = next(effect for effect in hub.effects if isinstance(effect, SendOut))
    books = Books()
    answered = CloudAnswered(a_result(clip.id, hub.sky.token_of(clip.id)), "i-0")
    settled = ClipSettled(clip.id, "done", worker="cloud:i-0")
    with pytest.raises(Broken, match=r"one result: .* never sent, counts"):
        books.step(answered, changes=(settled,))
    books.step(TimeReached(), order)
    books.step(answered, changes=(settled,))
    books.watch.committed([ClipStored(replace(clip, device=PRIVATE))], [])
    with pytest.raises(Broken, match=r"at home: .* its camera says never"):
        books.step(TimeReached(), order)
    books.watch.billed(0.5, 0.5)
    with pytest.raises(Broken, match=r"money: machines have cost \$0.51"):
        books.watch.billed(0.51, 0.5)
    hub.core.clips.aloft[an_id(5)] = Item(an_id(5), CLIPS, 25)
    hub.core.pool.add(Item(an_id(5), CLIPS, 25), 0.0)
    with pytest.raises(Broken, match="in the cloud and in the pool"):
        books.watch.stated(HubState(), hub.core, 0)


def _fault(*_: Any) -> Any:
    raise IndexError("a mistake")


@pytest.mark.parametrize(
    ("invariant", "owner", "name", "instead"),
    [
        ("rest", HubCore, "wake_at", lambda self: 0.0),
        ("no fault", HubCore, "_result", _fault),
        ("ends", Announcer, "pump", lambda self: None),
        ("frames", Frames, "result", lambda self, item_id, result, now: Outcome()),
    ],
)
def test_a_hub_that_spins_or_faults_or_never_ends_or_loses_frames_is_found(
    monkeypatch: pytest.MonkeyPatch, invariant: str, owner: type, name: str, instead: Callable[..., Any]
) -> None:
    monkeypatch.setattr(owner, name, instead)
    run = run_in_scratch(Plan(3, hours=0.5))
    assert run.broken == invariant, run.what
    assert run.broken in INVARIANTS
    if invariant == "no fault":
        assert "IndexError: a mistake" in failure(run)
