"""A hub that ends in the middle of a burst: what is in its database goes on, and nothing counts twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from math import inf
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from sqlalchemy import func, select

from hub_support.cloud_driver import SETTINGS, FakeCloud, ToldPolicy, a_result
from hub_support.core_driver import START, a_clip, an_id, track
from meerkat_cloud_burst.news import BurstAsked, CloudAnswered, CloudDead, CloudEffect, SendOut, Sent
from meerkat_cloud_burst.policy.view import BurstDecision, LedgerEntry, Reservation
from meerkat_contract.ids import new_id
from meerkat_contract.messages import BurstState, HubState, ModelInfo, Outcome, TaskInfo, WorkerState
from meerkat_hub.adapters import schema as db
from meerkat_hub.adapters.burst_store import days as days_of
from meerkat_hub.adapters.burst_store import ledger, write
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.ingest import Arrived
from meerkat_hub.adapters.live import Live
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.retention import Retention
from meerkat_hub.adapters.store import Store, Waiting
from meerkat_hub.core.cloud.flights import GRACE
from meerkat_hub.core.cloud.scene import BUS_GRACE
from meerkat_hub.core.cloud_records import LedgerWritten
from meerkat_hub.core.inputs import BusChanged, ClipArrived, Input, WorkerSeen
from meerkat_hub.core.outputs import Effect
from meerkat_hub.core.records import Now
from meerkat_hub.settings import HubSettings, RetentionSettings
from meerkat_hub.turn import Actions, Turn


class House:
    """A hub's turn over a real database, which can be started again; the cloud stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sky, self.policy = FakeCloud(), ToldPolicy()
        self.sky.launch("i-0")
        self.mono = 0.0
        self.states: list[HubState] = []
        self.announced: list[Waiting] = []
        self.deaf = False
        """Effects are not carried out: it ends right after its commit."""
        self.start()

    def start(self, *, enabled: bool = True) -> None:
        self.engine = open_database(self.folder / "hub.db")
        self.media, self.store = MediaFolder(self.folder / "media"), Store(self.engine)
        settings = SETTINGS.model_copy(update={"enabled": enabled})
        self.turn = Turn(self.store, self.media, Live(), HubSettings(), new_id, burst=settings)
        self.turn.actions = Actions(
            carry_out=self._carry_out,
            announce=self.announced.extend,
            announce_again=lambda waiting: None,
            confirmed=lambda seq, error: error is None,
            pump=lambda: None,
            publish_state=self.states.append,
            recovered=lambda: None,
        )
        self.turn._burst_policy = self._burst if enabled else lambda: None  # type: ignore[method-assign]
        self.turn.load(self.now)

    def _burst(self) -> Any:
        return SETTINGS, self.policy

    def restart(self, *, after: float = 0.0, enabled: bool = True) -> None:
        """The process is gone, and another begins."""
        self.close()
        self.deaf = False
        self.mono += after
        self.start(enabled=enabled)

    def close(self) -> None:
        self.engine.dispose()

    @property
    def now(self) -> Now:
        return Now(START + timedelta(seconds=self.mono), self.mono)

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, CloudEffect) and not self.deaf:
            self.sky.carry_out(effect)

    def do(self, *happened: Input) -> None:
        self.turn.process([Arrived(one) for one in happened], self.now)

    def later(self, seconds: float) -> None:
        self.mono += seconds
        self.turn.process([], self.now)

    def clip(self, number: int) -> str:
        clip = replace(a_clip(number, last=True, recording=0xA000 + number), received_at=self.now.wall)
        path = self.media.path("clips", clip.id)
        self.turn.process([Arrived(ClipArrived(clip), self.media.receive(b"video"), path)], self.now)
        return clip.id

    def send(self, *clips: str) -> None:
        self.policy.told = BurstDecision(
            send=clips, desired=1, reserve=Reservation(1, 900, 0.01), code="burst", reason="a storm"
        )
        self.do(self.sky.looked())

    def answers(self, clip: str, token: int, **about: Any) -> None:
        self.do(CloudAnswered(a_result(clip, token, track(), **about), "i-0"))

    def burst(self) -> BurstState:
        """As it is told a second later."""
        self.later(1)
        state = self.states[-1].burst
        assert state is not None
        return state

    def states_of(self, *clips: str) -> list[str]:
        with self.engine.connect() as connection:
            rows = dict(connection.execute(select(db.clips.c.id, db.clips.c.state)).all())
        return [rows[clip] for clip in clips]

    def flights(self) -> int:
        with self.engine.connect() as connection:
            return connection.execute(select(func.count()).select_from(db.burst_flights)).scalar_one()

    def outcomes(self) -> list[Outcome]:
        return [
            Outcome.model_validate_json(one.announce.payload)
            for one in self.announced
            if one.announce.topic.endswith("/outcome")
        ]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without rows: to make one takes longer than most of these tests."""
    path = tmp_path_factory.mktemp("empty") / "hub.db"
    open_database(path).dispose()
    return path


@pytest.fixture
def house(tmp_path: Path, empty: Path) -> Iterator[House]:
    copyfile(empty, tmp_path / "hub.db")
    made = House(tmp_path)
    yield made
    made.close()


def test_clips_that_are_out_are_waited_for_by_the_hub_that_comes_after(house: House) -> None:
    one, two, three = (house.clip(number) for number in (1, 2, 3))
    house.send(one, two)
    tokens = {clip: house.sky.token_of(clip) for clip in (one, two)}
    house.do(*(Sent(clip, token, 1.0, 5) for clip, token in tokens.items()))
    house.answers(one, tokens[one])
    house.restart(after=5)
    assert house.sky.sent == list(tokens.items())  # nothing was sent again
    assert house.burst().in_cloud == 1
    assert house.states[-1].backlog == 1
    house.answers(one, tokens[one])
    house.answers(two, tokens[two])
    house.answers(two, tokens[two])
    assert house.states_of(one, two, three) == ["done", "done", "waiting"]
    totals = house.store.totals()
    assert (totals["received"], totals["done"], totals["waiting"]) == (3, 2, 1)
    assert house.flights() == 0
    assert [outcome.id for outcome in house.outcomes()] == [one, two]


def test_what_was_committed_and_not_carried_out_is_sent_by_the_next_hub(house: House) -> None:
    """Under the same token, which the cloud takes for the same order."""
    clip = house.clip(1)
    house.deaf = True
    house.send(clip)
    assert house.sky.sent == []
    house.restart()
    ((job, token),) = house.sky.sent
    assert job == clip
    house.do(Sent(clip, token, 1.0, 5))
    house.restart()
    assert house.sky.sent == [(clip, token)]


def test_tokens_of_a_later_start_are_larger(house: House) -> None:
    first, second = house.clip(1), house.clip(2)
    house.send(first)
    house.restart()
    house.send(second)
    assert house.sky.token_of(second) > house.sky.token_of(first)


def test_an_answer_may_have_come_while_the_hub_was_away(house: House) -> None:
    """So it is not given up at once, however long that was."""
    clip = house.clip(1)
    house.send(clip)
    token = house.sky.token_of(clip)
    house.do(Sent(clip, token, 1.0, 5))
    house.restart(after=SETTINGS.timeout * 3)
    house.later(GRACE - 0.5)
    house.answers(clip, token)
    assert house.states_of(clip) == ["done"]


def test_the_time_that_is_left_is_left_after_a_restart(house: House) -> None:
    clip = house.clip(1)
    house.send(clip)
    house.do(Sent(clip, house.sky.token_of(clip), 1.0, 5))
    house.restart(after=100)
    house.later(SETTINGS.timeout - 100 - 0.5)
    assert house.turn.core is not None
    assert clip in house.turn.core.clips.aloft
    house.later(0.5)
    assert clip in house.turn.core.waiting


def test_why_the_cloud_had_no_result_is_known_after_a_restart(house: House) -> None:
    clip = house.clip(1)
    house.send(clip)
    house.do(CloudDead(clip, house.sky.token_of(clip), "3 workers ended in the middle of it"))
    house.restart()
    core = house.turn.core
    assert core is not None
    assert core.cloud is not None
    assert core.clips.unfinished[clip].attempts == 1
    assert "3 workers ended" in core.clips.cloud_said[clip]
    assert core.cloud.flights.returns(clip) == 1
    assert clip in core.waiting


def test_the_ledger_outlives_the_hub(house: House) -> None:
    house.send(house.clip(1))
    before = house.burst()
    assert before.reserved > 0
    house.restart(after=1)
    after = house.burst()
    assert after.reserved + after.spent_today == pytest.approx(before.reserved, abs=0.002)
    house.sky.instances = ()
    house.sky.desired = 0
    for _ in range(40):
        house.mono += 20
        house.do(house.sky.looked())
    assert house.burst().reserved == 0
    with house.engine.connect() as connection:
        lines = ledger(connection, 1000)
        assert ledger(connection, 1) == lines[-1:]
    reserved = sum(line.dollars for line in lines if line.kind == "reserved")
    closed = sum(line.dollars for line in lines if line.kind != "reserved" and line.refers)
    assert closed == pytest.approx(reserved)


def test_the_switch_stays_as_it_was_set(house: House) -> None:
    house.do(BurstAsked("off"))
    house.restart()
    assert not house.burst().on
    clip = house.clip(1)
    house.send(clip)
    assert house.sky.sent == []
    house.do(BurstAsked("on"))
    house.restart()
    house.send(clip)
    assert [job for job, _ in house.sky.sent] == [clip]


def test_without_the_burst_what_was_out_waits_at_home(house: House) -> None:
    """Somebody took it out of the configuration."""
    clip = house.clip(1)
    house.send(clip)
    token = house.sky.token_of(clip)
    house.restart(enabled=False)
    core = house.turn.core
    assert core is not None
    assert clip in core.waiting
    assert house.states[-1].burst is None
    house.answers(clip, token)
    assert house.states_of(clip) == ["waiting"]


def test_measured_times_are_known_after_a_restart(house: House) -> None:
    clip = house.clip(1)
    house.send(clip)
    house.answers(clip, house.sky.token_of(clip), seconds=10.0)
    house.restart()
    house.do(house.sky.looked())
    assert house.policy.worlds[-1].cloud.clip_seconds == pytest.approx(15)


def test_a_commit_that_fails_sends_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The core is built anew from the database, where the clip waits at home."""
    clip = house.clip(1)
    with monkeypatch.context() as full:
        full.setattr(house.store, "commit", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            house.send(clip)
    assert house.sky.sent == []
    house.turn.abandon(())
    house.turn.load(house.now)
    assert house.turn.core is not None
    assert clip in house.turn.core.waiting


def test_a_core_that_is_loaded_anew_knows_that_the_broker_is_away(house: House) -> None:
    """Its workers are known, and none of them can be given a clip."""
    task = TaskInfo(task="detect_objects", model=ModelInfo(name="test"), frames_per_second=10)
    worker = WorkerState(worker="cpu", incarnation=new_id(), online=True, tasks=(task,), window=2)
    house.turn._live.workers["cpu"] = worker
    house.do(BusChanged(up=True), WorkerSeen(worker), BusChanged(up=False))
    house.turn.abandon(())
    house.turn.load(house.now)
    house.clip(1)
    house.do(house.sky.looked())
    assert house.policy.worlds[-1].waiting[0].done_in < inf
    house.later(BUS_GRACE)
    house.do(house.sky.looked())
    assert house.policy.worlds[-1].waiting[0].done_in == inf


def test_media_of_a_clip_that_is_out_stay_however_old_it_is(house: House) -> None:
    clip, done = house.clip(1), house.clip(2)
    house.send(clip, done)
    house.answers(done, house.sky.token_of(done))
    retention = Retention(
        house.engine, house.media, RetentionSettings(days=0.0001, gigabytes=1e-9, reserve_megabytes=0)
    )
    retention.sweep(house.now.wall + timedelta(days=30))
    assert not house.media.path("clips", done).exists()
    assert house.media.path("clips", clip).exists()
    assert retention.remove_orphans() == 0
    house.answers(clip, house.sky.token_of(clip))
    assert house.states_of(clip) == ["done"]


def test_what_a_camera_said_of_the_cloud_is_stored_with_the_clip(house: House) -> None:
    clip = replace(a_clip(7), cloud="never")
    path = house.media.path("clips", clip.id)
    house.turn.process([Arrived(ClipArrived(clip), house.media.receive(b"video"), path)], house.now)
    house.restart()
    house.send(an_id(7))
    assert house.sky.sent == []
    assert house.policy.worlds[-1].waiting[0].rule == "never"
    assert next(iter(house.turn.core.clips.unfinished.values())).cloud == "never"  # type: ignore[union-attr]


def test_the_orders_name_media_that_are_there(house: House) -> None:
    clip = house.clip(1)
    house.send(clip)
    effect = house.sky.orders[clip, house.sky.token_of(clip)]
    assert isinstance(effect, SendOut)
    assert house.media.path("clips", effect.media).read_bytes() == b"video"


def test_a_clip_whose_camera_says_never_by_now_is_not_sent_by_the_next_hub(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its way out was committed and not begun when somebody forbade it and started the hub anew."""
    clip = house.clip(1)
    house.deaf = True
    house.send(clip)
    forbidding = SETTINGS.model_copy(update={"cameras": {"porch/front": "never"}})
    monkeypatch.setattr(house, "_burst", lambda: (forbidding, house.policy))
    house.restart()
    assert house.sky.sent == []
    assert house.turn.core is not None
    assert clip in house.turn.core.waiting
    house.restart()
    assert house.flights() == 1
    assert house.sky.sent == []


def test_a_machine_that_runs_for_long_is_not_taken_for_one_that_boots(house: House) -> None:
    """Else the hub that comes after would rent another beside it."""
    house.sky.desired = 1
    house.restart(after=SETTINGS.boot + 1)
    house.sky.launch("i-1", at=house.now.wall)
    house.do(house.sky.looked())
    assert house.policy.worlds[-1].cloud.ready == 1
    house.later(SETTINGS.boot * 2)
    house.do(house.sky.looked())
    assert house.policy.worlds[-1].cloud.ready == 1  # the other was seen to boot, and has said nothing


def test_a_stop_that_was_committed_and_not_carried_out_is_by_the_next_hub(house: House) -> None:
    house.sky.desired = 1
    house.do(house.sky.looked())
    house.deaf = True
    house.do(BurstAsked("stop"))
    assert (house.sky.desired, house.sky.ended) == (1, [])
    house.restart()
    house.do(house.sky.looked())
    assert (house.sky.desired, house.sky.ended) == (0, ["i-0"])
    house.do(BurstAsked("on"))
    house.restart()
    house.sky.desired = 1
    house.mono += 100
    house.do(house.sky.looked())
    assert (house.sky.desired, house.sky.ended) == (1, ["i-0"])


@pytest.mark.parametrize("wrong", [timedelta(days=1500), timedelta(days=90)])
def test_what_was_spent_is_known_to_a_hub_whose_clock_was_once_far_ahead(
    house: House, wrong: timedelta
) -> None:
    """A line of the future does not hide those of today."""
    spent = LedgerEntry(new_id(), house.now.wall.timestamp(), "spent", 0.30, 3600, "i-0")
    ahead = LedgerEntry(new_id(), (house.now.wall + wrong).timestamp(), "spent", 0.01, 60, "i-0")
    again = replace(spent, id=new_id(), dollars=0.05)
    with house.engine.begin() as connection:
        for entry in (spent, ahead, again):
            write(connection, LedgerWritten(entry))
    house.restart()
    assert house.burst().spent_today >= 0.35


def test_lines_of_the_ledger_are_kept_for_a_year_and_more(house: House) -> None:
    now = house.now.wall.timestamp()
    ages = {"long ago": 420, "last year": 390, "last month": 40, "today": 0}
    with house.engine.begin() as connection:
        for name, days in ages.items():
            write(connection, LedgerWritten(LedgerEntry(name, now - days * 86_400, "spent", 0.1, 60, "i-0")))
    retention = Retention(house.engine, house.media, RetentionSettings(reserve_megabytes=0))
    retention.sweep(house.now.wall)
    with house.engine.connect() as connection:
        assert [line.id for line in ledger(connection, 10)] == ["last year", "last month", "today"]
        days = days_of(connection, 10)
    assert [(house.now.wall.date() - day.day).days for day in days] == [0, 40, 390]
    assert [day.dollars for day in days] == [0.1, 0.1, 0.1]
