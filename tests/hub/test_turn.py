"""One turn of the hub on a clock that the test turns."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hub_support.core_driver import START, a_clip, an_id
from hub_support.orchestra import a_spec
from meerkat_contract.errors import StorageError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Found, HubState, ModelInfo, Result, TaskInfo, WorkerState
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.frames import FrameStore
from meerkat_hub.adapters.ingest import Arrived
from meerkat_hub.adapters.live import Live
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.queries import Filter, Queries
from meerkat_hub.adapters.store import Store, Waiting
from meerkat_hub.core.clips import GRACE
from meerkat_hub.core.inputs import BusChanged, ClipArrived, ResultArrived
from meerkat_hub.core.outputs import Effect, SendJob, SendReceipt
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import ForgetFrame, FrameArrived, Policy
from meerkat_hub.settings import HubSettings
from meerkat_hub.turn import Actions, Turn


class Hub:
    """A turn with a real database, whose actions are only kept."""

    def __init__(self, folder: Path) -> None:
        self.engine = open_database(folder / "hub.db")
        self.media, self.store, self.live = MediaFolder(folder / "media"), Store(self.engine), Live()
        self.effects: list[Effect] = []
        self.announced: list[Waiting] = []
        self.states: list[HubState] = []
        self.turn = Turn(self.store, self.media, self.live, HubSettings(), new_id)
        self.turn.actions = self.actions = Actions(
            carry_out=self.effects.append,
            announce=self.announced.extend,
            announce_again=self.announced.extend,
            confirmed=lambda seq, error: error is None,
            pump=lambda: None,
            publish_state=self.states.append,
            recovered=lambda: None,
        )

    def arrive(self, number: int) -> Arrived:
        clip = a_clip(number)
        return Arrived(
            ClipArrived(clip), self.media.receive(b"video"), self.media.path("clips", clip.id), lambda: None
        )

    def arrive_in_place(self, number: int) -> Arrived:
        """As the ingest hands it over: its file is where it belongs."""
        clip = a_clip(number)
        final = self.media.path("clips", clip.id)
        final.parent.mkdir(exist_ok=True)
        return Arrived(ClipArrived(clip), self.media.receive(b"video", final), final, lambda: None)

    def know_a_worker(self) -> None:
        task = TaskInfo(task="detect_objects", model=ModelInfo(name="test"), frames_per_second=10)
        self.live.workers["cpu"] = WorkerState(
            worker="cpu", incarnation=an_id(9), online=True, tasks=(task,), window=2
        )


def at(mono: float, *, wall: float | None = None) -> Now:
    return Now(START + timedelta(seconds=mono if wall is None else wall), mono)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path)
    made.turn.load(at(0))
    yield made
    made.engine.dispose()


def test_it_wakes_for_announcements_that_only_time_holds_back(hub: Hub) -> None:
    hub.actions.pump = lambda: 10.05
    hub.turn.process([hub.arrive(1)], at(10))
    assert hub.turn.sleep(10) == pytest.approx(0.05)
    hub.actions.pump = lambda: None
    hub.turn.process([], at(10.05))
    assert hub.turn.sleep(10.05) > 0.1


def test_a_clock_that_is_set_back_makes_no_clip_younger_than_new(hub: Hub) -> None:
    hub.turn.process([hub.arrive(1)], at(10))
    hub.turn.process([], at(20, wall=-7200))
    assert hub.states[-1].backlog == 1
    assert hub.states[-1].oldest_wait == 0


def test_what_grew_old_while_the_hub_was_off_may_wait_a_little_longer_and_then_ends(hub: Hub) -> None:
    """That nobody looked at it was not for want of a worker."""
    hub.turn.process([hub.arrive(1)], at(10))
    hub.turn.load(at(25 * 3600))
    hub.turn.process([], at(25 * 3600 + GRACE - 1))
    assert "expired" not in hub.store.totals()
    hub.turn.process([], at(25 * 3600 + GRACE))
    assert hub.store.totals()["expired"] == 1
    assert [w.announce.topic.rsplit("/", 1)[1] for w in hub.announced] == ["outcome"]


def test_what_waits_is_given_to_a_known_worker_as_the_hub_loads(hub: Hub) -> None:
    hub.turn.process([hub.arrive(1), Arrived(BusChanged(up=True))], at(10))
    hub.know_a_worker()
    hub.turn.abandon(())
    hub.turn.load(at(11))
    assert [effect.clip.id for effect in hub.effects if isinstance(effect, SendJob)] == [an_id(1)]


def test_a_lease_from_before_a_restart_is_void(hub: Hub) -> None:
    """Tokens begin anew beyond all earlier ones, so what was sent before counts for nothing."""
    hub.know_a_worker()
    hub.turn.load(at(9))
    hub.turn.process([hub.arrive(1), Arrived(BusChanged(up=True))], at(10))
    hub.turn.abandon(())
    hub.turn.load(at(11))
    before, after = [effect.job for effect in hub.effects if isinstance(effect, SendJob)]
    assert before.job == after.job
    assert after.token > before.token
    for job, done in ((before, 0), (after, 1)):
        result = Result(job=job.job, token=job.token, incarnation=an_id(9), state="done", frames=1)
        hub.turn.process([Arrived(ResultArrived("cpu", result))], at(12))
        assert hub.store.totals().get("done", 0) == done


def test_a_load_that_fails_leaves_no_core(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.turn.process([hub.arrive(1)], at(10))
    hub.turn.abandon(())
    with monkeypatch.context() as broken:
        broken.setattr(hub.turn, "process", lambda batch, now: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            hub.turn.load(at(11))
    assert hub.turn.core is None
    hub.turn.load(at(12))
    assert hub.states[-1].backlog == 1


def test_a_frame_whose_bytes_went_with_an_earlier_core_is_lost_and_counted(tmp_path: Path) -> None:
    """It was in the line when a commit failed: no event may show a picture that is not there."""
    hub, frames = Hub(tmp_path), FrameStore()
    watch_for_dogs(hub, frames)
    hub.turn.actions = replace(hub.actions, carry_out=lambda effect: forget(frames, effect))
    hub.turn.load(at(0))
    arrivals = two_dogs(frames)
    hub.turn.process(arrivals[:1], at(1))
    hub.turn.abandon([])
    hub.turn.load(at(2))
    hub.turn.process(arrivals[1:], at(3))
    assert hub.states[-1].frames == {"received": 1, "done": 0, "lost": 1}
    (name,) = (path.name for path in (tmp_path / "media").rglob("*.jpg"))
    assert Queries(hub.engine).events(Filter(limit=9))[0].state.id in name
    assert frames.held == (0, 0)
    hub.engine.dispose()


def watch_for_dogs(hub: Hub, frames: FrameStore, **rule: object) -> None:
    """A workflow that decides upon what devices found."""
    spec = a_spec(measurement="device", feature=None, decision={"rule": "seen", **rule})
    hub.turn = Turn(
        hub.store,
        hub.media,
        hub.live,
        HubSettings(),
        new_id,
        frames=frames,
        workflows={"dogs": spec},
        policy=Policy(gather=0),
    )


def two_dogs(frames: FrameStore) -> list[Arrived]:
    found = (Found(label="dog", score=0.9, box=(0.1, 0.1, 0.2, 0.2)),)
    arrivals = []
    for number in (1, 2):
        frames.put(an_id(number), b"a frame", 0)
        frame = FrameArrived(an_id(number), "porch", "front", START, 7, found=found, found_by="x")
        arrivals.append(Arrived(frame))
    return arrivals


def forget(frames: FrameStore, effect: Effect) -> None:
    if isinstance(effect, ForgetFrame):
        frames.forget(effect.frame)


def test_of_a_batch_that_failed_only_files_with_a_row_stay(hub: Hub) -> None:
    """Their rows may be committed: then what failed came after it, and a receipt may be under way."""

    def fail(_effect: Effect) -> None:
        raise StorageError("it cannot be sent", where="here")

    kept, lost = hub.arrive_in_place(1), hub.arrive_in_place(2)
    hub.actions.carry_out = fail
    with pytest.raises(StorageError):
        hub.turn.process([kept], at(10))
    hub.turn.abandon([kept, lost])
    assert kept.final is not None
    assert lost.final is not None
    assert (kept.final.exists(), lost.final.exists()) == (True, True), "it does not know yet"
    hub.actions.carry_out = hub.effects.append
    hub.turn.load(at(11))
    assert (kept.final.exists(), lost.final.exists()) == (True, False)
    again = hub.arrive_in_place(1)
    assert again.incoming != again.final
    hub.turn.process([again], at(12))
    assert kept.final.exists()
    assert list((hub.media.root / "incoming").iterdir()) == []


def test_a_duplicate_that_the_disk_does_not_remove_is_a_duplicate_all_the_same(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes go at the next start, with all that is left in incoming/."""
    hub.turn.process([hub.arrive(1)], at(10))
    again = hub.arrive(1)
    with monkeypatch.context() as disk:
        disk.setattr(Path, "unlink", refuse)
        hub.turn.process([again], at(11))
    receipts = [effect.receipt.outcome for effect in hub.effects if isinstance(effect, SendReceipt)]
    assert receipts == ["stored", "duplicate"]
    assert hub.media.clear_incoming() == 1


def refuse(*_of: object, **_named: object) -> None:
    raise PermissionError(errno.EACCES, "Permission denied")


def test_of_pictures_that_do_not_all_fit_on_the_disk_none_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub whose disk is full tries again and again: what fits each time would fill it up."""
    hub, frames = Hub(tmp_path), FrameStore()
    watch_for_dogs(hub, frames, cooldown=0)
    hub.turn.actions = hub.actions
    hub.turn.load(at(0))
    arrivals = two_dogs(frames)
    real, tries = hub.media.receive, []

    def receive(payload: bytes, final: Path | None = None) -> Path:
        tries.append(payload)
        if len(tries) == 2:
            raise StorageError("it cannot be written: the disk is full", where=str(hub.media.root))
        return real(payload, final)

    monkeypatch.setattr(hub.media, "receive", receive)
    with pytest.raises(StorageError):
        hub.turn.process(arrivals, at(1))
    hub.turn.abandon(arrivals)
    assert len(tries) == 2
    assert [path for path in hub.media.root.rglob("*") if path.is_file()] == []
    hub.engine.dispose()
