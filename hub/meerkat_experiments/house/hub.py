"""The production hub as one process of the simulated world: it can be killed anywhere.

Everything is the hub's own code: HubBus, Ingest, Announcer, Turn, HubCore, Store with a real SQLite
file, MediaFolder with real files. Simulated are what stands around it: the threads become events on
the clock, the MQTT session one over the simulated bus, and the two clocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import event

from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.errors import MeerkatError, StorageError
from meerkat_contract.session import Incoming, Session
from meerkat_hub.adapters.bus import HubBus
from meerkat_hub.adapters.database import open_database
from meerkat_hub.adapters.desk import Desk
from meerkat_hub.adapters.frames import FrameStore
from meerkat_hub.adapters.ingest import Arrived, Ingest
from meerkat_hub.adapters.live import Live
from meerkat_hub.adapters.media import MediaFolder
from meerkat_hub.adapters.retention import Retention
from meerkat_hub.adapters.store import Store, Waiting
from meerkat_hub.adapters.workflow_bus import WorkflowBus
from meerkat_hub.application import SWEEP_EVERY
from meerkat_hub.core.inputs import Input
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.outputs import Change, Decision, Effect
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import Policy, WorkflowSpec
from meerkat_hub.patience import Patience
from meerkat_hub.service import RETRY
from meerkat_hub.settings import HubSettings
from meerkat_hub.turn import BATCH, Turn

from .clock import Clock
from .cloud import Sky, SkyAgent
from .network import Line
from .session import NOWHERE, Bus, SimulatedSession
from .watch import Broken, Watch

KILL_POINTS = ("before commit", "after commit", "between effects", "while loading")

RESTLESS = 100
"""Turns without input in a row, each asking for the next at once."""


class Killed(BaseException):
    """The process is gone, at this very place."""


class Disk:
    """What is full, and where the hub is to die."""

    def __init__(self) -> None:
        self.database_full = False
        self.media_full = False
        self.kill_at = ""

    def reach(self, point: str) -> None:
        """Die here, when that is what fate says."""
        if self.kill_at == point:
            self.kill_at = ""
            raise Killed(point)


class SimulatedStore(Store):
    """The real store, which may die around a commit."""

    disk: Disk
    watch: Watch

    def load(self) -> Any:
        self.disk.reach("while loading")
        return super().load()

    def commit(
        self, changes: Sequence[Change], *, announced: Sequence[int], now: datetime, pictures: dict[str, str]
    ) -> list[Waiting]:
        self.disk.reach("before commit")
        fresh = super().commit(changes, announced=announced, now=now, pictures=pictures)
        self.watch.committed(changes, fresh)
        self.disk.reach("after commit")
        return fresh


class SimulatedMedia(MediaFolder):
    """The real folder, whose disk may be full."""

    disk: Disk

    def receive(self, payload: bytes, final: Path | None = None) -> Path:
        if self.disk.media_full:
            raise StorageError("it cannot be written: the disk is full", where=str(self.root))
        return super().receive(payload, final)


class SimulatedIngest(Ingest):
    """The real one, on the clock instead of on a thread."""

    later: Callable[[float, Callable[[], None]], None]
    _asked = False

    def take(self, message: Incoming) -> None:
        self.later(0.0, lambda: self._look_at(message))

    def _look_at(self, message: Incoming) -> None:
        self.look(message)
        self._wait()

    def _wait(self) -> None:
        if self.holding and not self._asked:
            self._asked = True
            self.later(0.2, self._wake)

    def _wake(self) -> None:
        self._asked = False
        self.look_again()
        self._wait()


class WatchedTurn(Turn):
    """The real turn; the watch sees every step of the core."""

    watch: Watch

    def make_core(self, epoch: int) -> HubCore:
        core = super().make_core(epoch)

        def step(happened: Input, now: Now) -> Decision:
            decision = type(core).step(core, happened, now)
            self.watch.stepped(happened, decision)
            return decision

        core.step = step  # type: ignore[method-assign]
        return core


class HubProcess:
    """From its start to its death; a new one starts with the same folder."""

    turn_type: type[WatchedTurn] = WatchedTurn

    def __init__(
        self,
        folder: Path,
        bus: Bus,
        line: Line,
        watch: Watch,
        *,
        disk: Disk,
        settings: HubSettings,
        workflows: Mapping[str, WorkflowSpec],
        sky: Sky | None = None,
        burst: BurstSettings | None = None,
    ) -> None:
        """`sky` and `burst`: the cloud, where the house has one."""
        self._clock: Clock = bus.clock
        self._bus = bus
        self._line = line
        self._watch = watch
        self._disk = disk
        self._chance = bus.clock.chance(f"hub {bus.clock.new_id()}")
        self._queue: deque[Callable[[], None] | Arrived] = deque()
        self._turn_number = 0
        self._due = float("inf")
        self._restless = 0
        self._patience = Patience(RETRY)
        self.alive = True
        self.on_death: Callable[[], None] = _nobody_cares
        """Called when it has died at a place where it was to die."""
        self.engine = open_database(folder / "hub.db")
        event.listen(self.engine, "connect", _without_power_loss)
        event.listen(self.engine, "checkout", self._limit)
        self.engine.dispose()
        self.store = SimulatedStore(self.engine)
        self.store.disk, self.store.watch = disk, watch
        self.media = SimulatedMedia(folder / "media")
        self.media.disk = disk
        self.live = Live()
        self.retention = Retention(self.engine, self.media, settings.retention)
        self.frames = FrameStore()
        self.turn = self.turn_type(
            self.store,
            self.media,
            self.live,
            settings,
            self._clock.new_id,
            frames=self.frames,
            workflows=workflows,
            policy=Policy(),
            burst=burst,
        )
        self.turn.watch = watch
        self.agent: SkyAgent | None = None
        if sky is not None and burst is not None:
            self.agent = SkyAgent(sky, burst, tell=self.happened, later=self._later)
        ingest = SimulatedIngest(
            self.media, settings, lambda device: device in self.live.devices, self.give, self._clock.now
        )
        ingest.later = self._later
        self.bus = HubBus(
            NOWHERE,
            service=self,
            ingest=ingest,
            store=self.store,
            media=self.media,
            live=self.live,
            software="simulated",
            page="",
            workflows=WorkflowBus(
                self.frames,
                Desk(self.happened),
                happened=self.happened,
                clock=self._clock.now,
                new_id=self._clock.new_id,
                address="",
                monotonic=lambda: self._clock.mono,
            ),
            cloud=None if self.agent is None else self.agent.carry_out,
            clock=self._clock.now,
            make_session=self._make_session,
        )

    def start(self) -> None:
        """As `application.Hub.start` does. Raises StorageError; Killed."""
        self.media.clear_incoming()
        self.retention.remove_orphans()
        for device in self.store.devices():
            self.live.devices.setdefault(device.device, device)
        actions = self.bus.actions()
        carry_out = actions.carry_out

        def watched(effect: Effect) -> None:
            self._watch.carried_out(effect)
            carry_out(effect)
            self._disk.reach("between effects")

        actions.carry_out = watched
        publish_state = actions.publish_state

        def stated(state: Any) -> None:
            assert self.turn.core is not None
            self._watch.stated(state, self.turn.core, self.frames.held[0])
            publish_state(state)

        actions.publish_state = stated
        self.turn.actions = actions
        self._watch.loading()
        self.turn.load(self._clock.now())
        self._watch.check_database(self.store, self.engine, self.media.root)
        self.bus.start()
        if self.agent is not None:
            self.agent.start()
        self._sleep()
        self._sweep_later()

    def die(self) -> None:
        """Leave the database and the files as they are, and nothing else."""
        self.alive = False
        self._queue.clear()
        self.session.vanish(self._chance.choice((0.0, 0.5, 30.0)))
        self.engine.dispose()

    @property
    def session(self) -> SimulatedSession:
        return cast(SimulatedSession, self.bus.session)

    @property
    def core(self) -> HubCore | None:
        return self.turn.core

    # --- what HubService does -------------------------------------------------------------------

    def give(self, arrived: Arrived) -> None:
        self._put(arrived)

    def happened(self, happened: Input) -> None:
        self._put(Arrived(happened))

    def confirm(self, seq: int, error: MeerkatError | None) -> None:
        self._put(lambda: self.turn.confirm(seq, error))

    def _put(self, item: Callable[[], None] | Arrived) -> None:
        self._queue.append(item)
        if self.turn.core is not None:
            self._turn_in(self._commit_time())

    def _commit_time(self) -> float:
        """Seconds until the hub's thread gets to it: an SD card now and then takes very long."""
        return (
            self._chance.expovariate(1 / 0.01) if self._chance.random() > 0.01 else self._chance.uniform(1, 8)
        )

    def _turn_in(self, seconds: float) -> None:
        """Turn then, or earlier if that is planned already."""
        at = self._clock.mono + seconds
        if at >= self._due:
            return
        self._due = at
        self._turn_number += 1
        number = self._turn_number

        def if_still_wanted() -> None:
            if number == self._turn_number:
                self._due = float("inf")
                self._work()

        self._later(seconds, if_still_wanted)

    def _work(self) -> None:
        batch: list[Arrived] = []
        idle = not self._queue
        try:
            while self._queue and len(batch) < BATCH:
                item = self._queue.popleft()
                if isinstance(item, Arrived):
                    batch.append(item)
                else:
                    item()
            self.turn.process(batch, self._clock.now())
        except MeerkatError as error:
            self._watch.note("hub", f"recovers: {type(error).__name__}", count="reloads of the hub")
            self.turn.abandon(batch)
            self._load_later()
        else:
            self._check_rest(idle=idle)
            self._sleep()

    def _check_rest(self, *, idle: bool) -> None:
        """A hub that turns without end and has nothing to do costs a core of the machine."""
        self._restless = self._restless + 1 if idle and self.turn.sleep(self._clock.mono) < 0.01 else 0
        if self._restless > RESTLESS:
            raise Broken("rest", f"{RESTLESS} turns within a second, and nothing came of them")

    def _load_later(self) -> None:
        self._later(self._patience.failed(self._clock.mono), self._load_again)

    def _load_again(self) -> None:
        self._watch.loading()
        try:
            self.turn.load(self._clock.now())
        except MeerkatError:
            self._load_later()
            return
        self._watch.check_database(self.store, self.engine, self.media.root)
        self.bus.actions().recovered()
        self._sleep()

    def _sweep_later(self) -> None:
        self._later(self._chance.uniform(0.2, 1.0) * SWEEP_EVERY, self._sweep)

    def _sweep(self) -> None:
        """What the sweeper's thread does, between two turns."""
        try:
            swept = self.retention.sweep(self._clock.now().wall)
        except StorageError:
            self._watch.note("hub", "could not sweep")
        else:
            if swept:
                self._watch.note("hub", f"swept {swept}", count="sweeps that removed media")
        self._sweep_later()

    def _sleep(self) -> None:
        self._turn_in(self._commit_time() if self._queue else self.turn.sleep(self._clock.mono))

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        """On one of the hub's threads, if it still lives then."""

        def if_alive() -> None:
            if not self.alive:
                return
            try:
                action()
            except Killed as killed:
                self._watch.note("hub", f"is killed {killed}", count="hub killed")
                self.die()
                self.on_death()
            except Exception as error:  # noqa: BLE001 - told to the world, which ends the run
                self._bus.fault("hub", error)

        self._clock.after(seconds, if_alive)

    def _make_session(self, address: object, **arguments: Any) -> Session:
        del address
        return cast(Session, SimulatedSession(self._bus, self._line, **arguments))

    def _limit(self, connection: Any, record: object, proxy: object) -> None:
        """A full disk: SQLite may not take another page, and says so itself."""
        del record, proxy
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA max_page_count={1 if self._disk.database_full else 2**30}")
        cursor.close()


def _nobody_cares() -> None:
    """Until somebody wants to know."""


def _without_power_loss(connection: Any, record: object) -> None:
    """A killed process loses nothing that SQLite has handed to the kernel, so nothing is synced here."""
    del record
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=OFF")
    cursor.close()
