"""One turn of the hub on a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hub_support.core_driver import START, a_clip, an_id
from meerkat_contract.ids import new_id
from meerkat_contract.messages import HubState, ModelInfo, TaskInfo, WorkerState
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.ingest import Arrived
from meerkat_hub.adapters.live import Live
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.store import Store, Waiting
from meerkat_hub.core.inputs import BusChanged, ClipArrived
from meerkat_hub.core.outputs import Effect, SendJob
from meerkat_hub.core.records import Now
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
        self.turn.actions = Actions(
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


def test_a_clock_that_is_set_back_makes_no_clip_younger_than_new(hub: Hub) -> None:
    hub.turn.process([hub.arrive(1)], at(10))
    hub.turn.process([], at(20, wall=-7200))
    assert hub.states[-1].backlog == 1
    assert hub.states[-1].oldest_wait == 0


def test_what_expired_while_the_hub_was_away_ends_as_it_loads(hub: Hub) -> None:
    hub.turn.process([hub.arrive(1)], at(10))
    hub.know_a_worker()
    hub.turn.load(at(25 * 3600))
    assert hub.store.totals()["expired"] == 1
    assert [w.announce.topic.rsplit("/", 1)[1] for w in hub.announced] == ["outcome"]


def test_what_waits_is_given_to_a_known_worker_as_the_hub_loads(hub: Hub) -> None:
    hub.turn.process([hub.arrive(1), Arrived(BusChanged(up=True))], at(10))
    hub.know_a_worker()
    hub.turn.abandon(())
    hub.turn.load(at(11))
    assert [effect.clip.id for effect in hub.effects if isinstance(effect, SendJob)] == [an_id(1)]


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
