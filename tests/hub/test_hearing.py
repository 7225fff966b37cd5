"""What the network thread hears is dealt with there, as far as no disk is needed."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hub_support.core_driver import START, a_clip, an_id
from meerkat_contract.messages import Result
from meerkat_hub import service as service_module
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.frames import FrameStore
from meerkat_hub.adapters.ingest import Arrived
from meerkat_hub.adapters.live import Live
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.store import Store
from meerkat_hub.core.inputs import BusChanged, ClipArrived, Input, ResultArrived
from meerkat_hub.core.outputs import Announce, Decision, Effect
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import ForgetFrame, FrameArrived
from meerkat_hub.service import HubService
from meerkat_hub.settings import HubSettings
from meerkat_hub.turn import Actions
from support.wait import wait_for

HUB = "hub"


@dataclass
class Heard:
    """A hub's service that tells which thread carried out what."""

    service: HubService
    media: MediaFolder
    frames: FrameStore
    done: list[tuple[str, Effect]] = field(default_factory=list)
    announced: list[tuple[str, str]] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    pumped: list[str] = field(default_factory=list)

    def actions(self) -> Actions:
        def name() -> str:
            return threading.current_thread().name

        return Actions(
            carry_out=lambda effect: self.done.append((name(), effect)),
            announce=lambda fresh: self.announced.extend((name(), w.announce.topic) for w in fresh),
            announce_again=lambda _: None,
            confirmed=lambda seq, error: error is None,
            pump=lambda: self.pumped.append(name()),
            publish_state=lambda _: None,
            recovered=lambda: self.recovered.append(name()),
        )

    def frame(self, number: int) -> FrameArrived:
        self.frames.put(an_id(number), b"jpeg", 0)
        return FrameArrived(an_id(number), "porch", "front", START, 4, "image/jpeg")

    def forgotten(self) -> list[tuple[str, str]]:
        """By which thread, and which frame: nobody here wants any."""
        return [(thread, e.frame) for thread, e in self.done if isinstance(e, ForgetFrame)]


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    monkeypatch.setattr(service_module, "RETRY", 0.01)
    engine = open_database(tmp_path / "hub.db")
    media, frames = MediaFolder(tmp_path / "media"), FrameStore()
    made = Heard(HubService(Store(engine), media, Live(), HubSettings(), frames=frames), media, frames)
    made.service.start(made.actions())
    service = made.service
    # Who hears something deals with it only while the hub's thread sleeps.
    wait_for(lambda: service._wakes_at and not service._turning.locked(), what="its first turn to be over")
    yield made
    made.service.stop()
    engine.dispose()


def test_a_frame_is_dealt_with_where_it_is_heard(heard: Heard) -> None:
    me = threading.current_thread().name
    with heard.service.hearing():
        heard.service.happened(heard.frame(1))
        heard.service.happened(heard.frame(2))
        assert heard.forgotten() == [], "what is heard together is dealt with together"
    assert heard.forgotten() == [(me, an_id(1)), (me, an_id(2))]


def test_what_nobody_heard_is_the_hubs_threads(heard: Heard) -> None:
    heard.service.happened(heard.frame(1))
    wait_for(heard.forgotten, what="the frame's end")
    assert heard.forgotten() == [(HUB, an_id(1))]


def test_what_another_thread_says_meanwhile_is_not_heard(heard: Heard) -> None:
    with heard.service.hearing():
        other = threading.Thread(target=heard.service.happened, args=(heard.frame(1),))
        other.start()
        other.join()
        wait_for(heard.forgotten, what="the frame's end")
    assert heard.forgotten() == [(HUB, an_id(1))]


def test_what_takes_more_than_a_decision_is_the_hubs_threads(heard: Heard) -> None:
    with heard.service.hearing():
        heard.service.happened(BusChanged(up=True))
        heard.service.happened(heard.frame(1))
    wait_for(heard.forgotten, what="the frame's end")
    assert heard.forgotten() == [(HUB, an_id(1))]
    assert heard.service.turn.core is not None
    assert heard.service.turn.core.bus_up


def test_what_is_to_be_written_is_written_by_the_hubs_thread(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def step(happened: Input, now: Now) -> Decision:
        steps.append(threading.current_thread().name)
        return Decision(changes=[Announce("meerkat/camera/porch/front/event", b"{}")])

    assert heard.service.turn.core is not None
    monkeypatch.setattr(heard.service.turn.core, "step", step)
    result = Result(job=an_id(1), token=1, incarnation=an_id(9), state="done")
    with heard.service.hearing():
        heard.service.happened(ResultArrived("cpu", result))
    assert steps == [threading.current_thread().name]
    wait_for(lambda: heard.announced, what="the announcement")
    assert heard.announced == [(HUB, "meerkat/camera/porch/front/event")]


def test_what_comes_behind_what_is_left_keeps_its_order(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing may be decided between a decision and its commit but by who commits it."""
    core = heard.service.turn.core
    assert core is not None

    def step(happened: Input, now: Now) -> Decision:
        if isinstance(happened, FrameArrived):
            return Decision(changes=[Announce(f"meerkat/camera/porch/front/{happened.frame}", b"{}")])
        return Decision()

    monkeypatch.setattr(core, "step", step)
    for number in range(1, 100):
        with heard.service.hearing():
            heard.service.happened(heard.frame(number))
    wait_for(lambda: len(heard.announced) == 99, what="the announcements")
    assert [topic[-36:] for _, topic in heard.announced] == [an_id(number) for number in range(1, 100)]


def test_a_fault_where_it_is_heard_costs_one_batch_and_not_the_hub(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(happened: Input, now: Now) -> Decision:
        raise IndexError("a mistake")

    assert heard.service.turn.core is not None
    monkeypatch.setattr(heard.service.turn.core, "step", fault)
    with heard.service.hearing():
        heard.service.happened(heard.frame(1))
    wait_for(lambda: heard.recovered, what="recovery")
    assert heard.recovered == [HUB]
    assert heard.frames.held == (0, 0)
    with heard.service.hearing():
        heard.service.happened(heard.frame(2))
    wait_for(heard.forgotten, what="the next frame")


def test_a_confirmation_lets_the_next_announcements_go_at_once(heard: Heard) -> None:
    with heard.service.hearing():
        heard.service.confirm(1, None)
        before = list(heard.pumped)
    assert heard.pumped == [*before, threading.current_thread().name]


def test_while_the_hubs_thread_writes_nothing_waits_for_it(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes its time must not stop the network thread: what it hears is left to the other."""
    writes, may = threading.Event(), threading.Event()
    real = heard.media.place_all

    def slow(moves: list[tuple[Path, Path]]) -> None:
        writes.set()
        assert may.wait(20)
        real(moves)

    monkeypatch.setattr(heard.media, "place_all", slow)
    clip = a_clip(3)
    incoming, final = heard.media.receive(b"video"), heard.media.path("clips", clip.id)
    heard.service.give(Arrived(ClipArrived(clip), incoming, final, lambda: None))
    assert writes.wait(20)
    with heard.service.hearing():
        heard.service.happened(heard.frame(1))
    assert heard.forgotten() == []
    may.set()
    wait_for(heard.forgotten, what="the frame's end")
    assert heard.forgotten() == [(HUB, an_id(1))]


def test_an_answer_to_a_clip_is_the_hubs_threads_from_the_beginning(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = a_clip(3)
    incoming, final = heard.media.receive(b"video"), heard.media.path("clips", clip.id)
    core = heard.service.turn.core
    assert core is not None
    heard.service.give(Arrived(ClipArrived(clip), incoming, final, lambda: None))
    wait_for(lambda: heard.done, what="the receipt")
    steps: list[str] = []

    def step(happened: Input, now: Now) -> Decision:
        steps.append(threading.current_thread().name)
        return Decision()

    monkeypatch.setattr(core, "step", step)
    result = Result(job=clip.id, token=1, incarnation=an_id(9), state="done")
    with heard.service.hearing():
        heard.service.happened(ResultArrived("cpu", result))
    wait_for(lambda: steps, what="the decision")
    assert steps == [HUB]


def test_a_disk_that_takes_no_more_leaves_the_hub_at_work(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses the commit, and then to remove what was not committed."""

    def refuse(*_of: object, **_named: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    clip, acks = a_clip(1), list[int]()
    incoming, final = heard.media.receive(b"video"), heard.media.path("clips", clip.id)
    with monkeypatch.context() as disk:
        disk.setattr(Path, "replace", refuse)
        disk.setattr(Path, "unlink", refuse)
        heard.service.give(Arrived(ClipArrived(clip), incoming, final, lambda: acks.append(1)))
        wait_for(lambda: heard.recovered, what="the hub that begins anew")
    assert acks == [1], "the device sends it again: it has no receipt"
    heard.service.happened(heard.frame(1))
    wait_for(heard.forgotten, what="the frame's end")
