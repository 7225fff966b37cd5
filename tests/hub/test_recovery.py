"""When the disk refuses or we are at fault: nothing promised is lost, and the hub goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from hub_support.core_driver import START, a_clip, an_id, track
from meerkat_contract.errors import BadMessage, BrokerError, MeerkatError, StorageError
from meerkat_contract.messages import Event, ModelInfo, Receipt, Result, TaskInfo, WorkerState
from meerkat_contract.session import Delivery, Incoming
from meerkat_hub import service as service_module
from meerkat_hub.adapters import ingest as ingest_module
from meerkat_hub.adapters.announcer import ATTEMPTS, Announcer
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.ingest import Arrived, Ingest
from meerkat_hub.adapters.live import Live
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.store import Store, Waiting
from meerkat_hub.container import Video
from meerkat_hub.core.inputs import BusChanged, ClipArrived, Input, ResultArrived, TimeReached, WorkerSeen
from meerkat_hub.core.outputs import Announce, ClipStored, Decision, Effect, SendJob, SendReceipt
from meerkat_hub.core.records import Now
from meerkat_hub.service import HubService
from meerkat_hub.settings import HubSettings
from meerkat_hub.turn import Actions
from support.wait import wait_for


@dataclass
class House:
    """A hub's service with a real database and media folder, whose effects are only kept."""

    engine: Engine
    media: MediaFolder
    store: Store
    service: HubService
    effects: list[Effect] = field(default_factory=list)
    announced: list[Waiting] = field(default_factory=list)
    recovered: list[int] = field(default_factory=list)

    def actions(self) -> Actions:
        def again(announcements: Any) -> None:
            self.announced[:] = announcements

        return Actions(
            carry_out=self.effects.append,
            announce=self.announced.extend,
            announce_again=again,
            confirmed=lambda seq, error: error is None,
            pump=lambda: None,
            publish_state=lambda _: None,
            recovered=lambda: self.recovered.append(1),
        )

    def arrive(self, number: int, *, sequence: int = 0, last: bool = False) -> Arrived:
        clip = a_clip(number, sequence=sequence, last=last)
        incoming = self.media.receive(b"video")
        return Arrived(ClipArrived(clip), incoming, self.media.path("clips", clip.id), lambda: None)

    def receipts(self) -> list[str]:
        return [e.receipt.id for e in self.effects if isinstance(e, SendReceipt)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "RETRY", 0.01)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    engine = open_database(tmp_path / "hub.db")
    media, store = MediaFolder(tmp_path / "media"), Store(engine)
    made = House(engine, media, store, HubService(store, media, Live(), HubSettings()))
    yield made
    if made.service._thread.is_alive():
        made.service.stop()
    engine.dispose()


def refuse(*args: Any, **kwargs: Any) -> Any:
    raise OperationalError("INSERT", {}, Exception("database or disk is full"))


@pytest.mark.parametrize("method", ["begin", "connect"])
def test_a_database_that_refuses_everything_is_said_and_outlived(
    house: House, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    house.service.start(house.actions())
    with monkeypatch.context() as full:
        full.setattr(house.engine, method, refuse)
        house.service.give(house.arrive(1))
        wait_for(lambda: house.service.failure, what="the failure")
        assert "disk is full" in str(house.service.failure)
        assert house.receipts() == []
    wait_for(lambda: house.service.failure is None, what="the hub to be well again")
    wait_for(lambda: house.recovered, what="devices to be told to send again")
    house.service.give(house.arrive(1))
    wait_for(lambda: house.receipts() == [an_id(1)], what="the receipt")


def test_a_fault_of_ours_costs_one_batch_and_not_the_hub(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.service.start(house.actions())
    core = house.service.turn.core
    assert core is not None

    def fault(happened: Input, now: Now) -> Decision:
        raise IndexError("a mistake")

    monkeypatch.setattr(core, "step", fault)
    house.service.give(house.arrive(1))
    wait_for(lambda: house.recovered, what="recovery")
    house.service.give(house.arrive(1))
    wait_for(lambda: house.receipts() == [an_id(1)], what="the receipt")


def test_a_connection_made_in_a_batch_that_failed_is_remembered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = house.media.place_all, []

    def place(moves: Sequence[tuple[Path, Path]]) -> None:
        tries.append(moves)
        if len(tries) == 1:
            raise StorageError("cannot write (No space left on device)", where=str(house.media.root))
        real(moves)

    monkeypatch.setattr(house.media, "place_all", place)
    house.service.give(house.arrive(1))
    house.service.happened(BusChanged(up=True))
    house.service.start(house.actions())
    wait_for(lambda: house.recovered, what="recovery")
    assert house.service.turn.core is not None
    assert house.service.turn.core.bus_up
    assert not list((house.media.root / "incoming").iterdir()), "half-received files of the batch are gone"


def test_what_was_committed_is_announced_although_an_effect_failed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions = house.actions()
    failed: list[Effect] = []

    def carry_out(effect: Effect) -> None:
        failed.append(effect)
        raise StorageError("the clip's path cannot be made")

    actions.carry_out = carry_out
    house.service.start(actions)
    core = house.service.turn.core
    assert core is not None

    def step(happened: Input, now: Now) -> Decision:
        out = Decision()
        if isinstance(happened, ClipArrived):
            out.changes += [ClipStored(happened.clip), Announce("meerkat/camera/porch/front/event", b"{}")]
            receipt = Receipt(id=happened.clip.id, outcome="stored")
            out.effects.append(SendReceipt("porch", receipt))
        return out

    monkeypatch.setattr(core, "step", step)
    house.service.give(house.arrive(1))
    wait_for(lambda: failed, what="the failure")
    wait_for(lambda: house.announced, what="the committed announcement")


def test_a_clip_of_a_recording_that_closed_in_the_same_batch_goes_on_with_its_event(house: House) -> None:
    clock = [1000.0]
    turn = house.service.turn
    turn.actions = house.actions()

    def now() -> Now:
        return Now(START + timedelta(seconds=clock[0]), clock[0])

    turn.load(now())
    task = TaskInfo(task="detect_objects", model=ModelInfo(name="test"), frames_per_second=10)
    worker = WorkerState(worker="cpu", incarnation=an_id(9), online=True, tasks=(task,), window=4)

    def process(*arrived: Arrived) -> None:
        turn.process(arrived, now())

    def answer(x: tuple[float, float]) -> None:
        job = [e.job for e in house.effects if isinstance(e, SendJob)][-1]
        result = Result(
            job=job.job,
            token=job.token,
            incarnation=an_id(9),
            state="done",
            frames=25,
            seconds=1,
            model=ModelInfo(name="test"),
            tracks=(track(x=x),),
        )
        process(Arrived(ResultArrived("cpu", result)))

    process(Arrived(BusChanged(up=True)), Arrived(WorkerSeen(worker)))
    process(house.arrive(1))
    answer((0.1, 0.5))
    clock[0] += 1000
    process(Arrived(TimeReached()), house.arrive(2, sequence=1, last=True))
    answer((0.5, 0.9))
    told = [
        (event.type, event.after.revision)
        for waiting in house.announced
        if waiting.announce.topic.endswith("/event")
        for event in [Event.model_validate_json(waiting.announce.payload)]
    ]
    assert told == [("new", 1), ("end", 2), ("update", 3), ("end", 4)]


def test_what_came_together_is_dealt_out_once_all_of_it_is_known(house: House) -> None:
    turn, now = house.service.turn, Now(START, 1000.0)
    turn.actions = house.actions()
    turn.load(now)

    def seen(name: str, speed: float) -> Arrived:
        task = TaskInfo(task="detect_objects", model=ModelInfo(name="test"), frames_per_second=speed)
        return Arrived(
            WorkerSeen(WorkerState(worker=name, incarnation=an_id(9), online=True, tasks=(task,), window=2))
        )

    turn.process([Arrived(BusChanged(up=True)), seen("slow", 1), house.arrive(1), seen("fast", 100)], now)
    assert [effect.worker for effect in house.effects if isinstance(effect, SendJob)] == ["fast"]


class Refusing:
    """A session that is connected and whose broker refuses every message."""

    connected = True

    def __init__(self, error: MeerkatError) -> None:
        self.error = error
        self.published = 0

    def publish(self, *args: Any, **kwargs: Any) -> Delivery:
        self.published += 1
        return Delivery.failed(self.error)


@pytest.mark.parametrize(
    ("error", "attempts"), [(BrokerError("not authorised"), ATTEMPTS), (BadMessage("a newline"), 1)]
)
def test_an_announcement_that_is_refused_is_given_up_with_pauses(error: MeerkatError, attempts: int) -> None:
    session, clock = Refusing(error), [0.0]
    fates: list[tuple[int, MeerkatError | None]] = []
    over: list[bool] = []
    announcer = Announcer(
        session,  # type: ignore[arg-type]
        lambda _: None,
        lambda seq, fate: fates.append((seq, fate)),
        now=lambda: clock[0],
    )
    announcer.add([Waiting(1, Announce("meerkat/camera/porch/front/event", b"{}"))])
    for _ in range(100):
        before = session.published
        announcer.pump()
        announcer.pump()
        assert session.published <= before + 1, "no second attempt in the same instant"
        while fates:
            over.append(announcer.confirmed(*fates.pop()))
        clock[0] += 20
    assert session.published == attempts
    assert over == [False] * (attempts - 1) + [True]


def test_a_fault_while_a_message_is_read_refuses_it_and_the_next_is_heard(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprise(*args: Any, **kwargs: Any) -> Video:
        raise IndexError("a parser's mistake")

    given: list[Arrived] = []
    ingest = Ingest(house.media, HubSettings(), lambda _: True, given.append)
    ingest.start()
    properties = [("schema", "1"), ("id", an_id(1)), ("captured-at", "2026-11-20T08:00:00Z")]
    message = Incoming("meerkat/device/porch/front/clip", b"x", properties, "video/mp4", qos=1)
    monkeypatch.setattr(ingest_module, "check_video", surprise)
    ingest.take(message)
    wait_for(lambda: len(given) == 1, what="the refusal")
    monkeypatch.setattr(ingest_module, "check_video", lambda *args, **kwargs: Video("video/mp4", 5.0))
    ingest.take(message)
    wait_for(lambda: len(given) == 2, what="the next message")
    assert isinstance(given[1].input, ClipArrived)
    ingest.stop()
