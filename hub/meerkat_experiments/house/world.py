"""One run of the house: its people and machines, the faults that meet them, and the end of it all."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO, TypeVar

from sqlalchemy import func, select

from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.errors import StorageError
from meerkat_hub.adapters import schema as db
from meerkat_hub.core.workflow_records import WorkflowSpec
from meerkat_hub.settings import HubSettings, RetentionSettings

from .clock import Clock
from .cloud import Sky
from .device import FRAMES_PER_SECOND, Device, Pace
from .faults import Fault, draw
from .hub import Disk, HubProcess, Killed
from .network import Broker, Line
from .planted import PLANTED
from .session import Bus, SimulatedSession
from .trace import Trace
from .watch import PRIVATE, WORKFLOW, Broken, Watch
from .worker import Habits, Worker

T = TypeVar("T")

TOLD_EVERY = 360.0
"""Simulated seconds between two words on how far it is."""
SETTLE = 6 * 3600.0
"""Seconds in which all must have ended once the faults are over."""

CLOUDY = 0.8
"""Of the houses have a cloud."""

EAGER: tuple[dict[str, float | str], ...] = (
    {"kind": "drain", "deadline": 30, "gain": 0},
    {"kind": "threshold", "threshold": 1},
)
"""Policies that send more than anybody would pay for."""

LOOK_EVERY = 600.0
"""Seconds between two looks into the database."""

STRANGE = (
    Habits(frames_per_second=4, slow=0.1),
    Habits(tells=0.001),
    Habits(tells=1000.0),
    Habits(announced=50.0, frames_per_second=8, window=4),
    Habits(announced=0.02),
    Habits(restarts_every=60.0),
    Habits(hangs=0.05),
    Habits(slow=0.1, deaf_to_cancel=True, window=4),
    Habits(babbles=0.5),
    Habits(declines=0.4),
    Habits(twin=True),
)
"""Those of whom three are in every house beside the honest ones."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run. Everything else follows from it."""

    seed: int
    hours: float = 3.0
    faults: float = 1.0
    """Intensity: 1 has a fault of some kind every minute and a half."""
    pace: Pace = field(default_factory=Pace)
    planted: str = ""
    """A mistake in the hub, by its name in PLANTED."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it. `broken` is the invariant that did not hold, or empty."""

    plan: Plan
    simulated: float
    """Seconds, the settling included."""
    digest: str
    counts: dict[str, int]
    broken: str = ""
    what: str = ""
    tail: tuple[str, ...] = ()
    """The last lines of the trace before the end."""


class World:
    """`folder` is empty and the world's own: the database and the media lie in it."""

    def __init__(
        self, plan: Plan, folder: Path, copy_to: TextIO | None, tell: Callable[[float], None]
    ) -> None:
        self._plan = plan
        self._tell = tell
        self._folder = folder
        self._clock = Clock(plan.seed)
        self._trace = Trace(self._clock, copy_to)
        self._watch = Watch(self._trace)
        self._broker = Broker(self._clock, self._watch.accepted, duplicates=0.01)
        self._bus = Bus(self._clock, self._broker, self._watch.fault)
        self._disk = Disk()
        self._hub_line = Line(self._clock)
        self._process = PLANTED[plan.planted].hub if plan.planted else HubProcess
        self._hub: HubProcess | None = None
        self._sky: Sky | None = None
        self._burst: BurstSettings | None = None
        retention = RetentionSettings(days=1.5 / 24, reserve_megabytes=0)
        self._settings = HubSettings(expire_after_hours=1.0, retention=retention)

    def run(self) -> Run:
        """To the end, or to the first invariant that does not hold."""
        try:
            self._live()
        except Broken as broken:
            return self._result(broken.invariant, broken.what)
        finally:
            if self._hub is not None:
                self._hub.engine.dispose()
        return self._result()

    def _result(self, broken: str = "", what: str = "") -> Run:
        return Run(
            self._plan,
            self._clock.mono,
            self._trace.digest,
            dict(sorted(self._trace.counts.items())),
            broken,
            what,
            tuple(self._trace.tail),
        )

    def _live(self) -> None:
        plan, chance = self._plan, self._clock.chance("house")
        names = [f"device-{number}" for number in range(chance.randint(2, 6))]
        self._workflows = {WORKFLOW: _workflow(names)}
        of_cloud = self._clock.chance("cloud")
        if of_cloud.random() < CLOUDY:
            self._sky = Sky(self._clock, self._trace)
            self._burst = _burst(of_cloud.choice(EAGER))
        self._start_hub()
        self._devices = [Device(name, self._bus, self._watch, plan.pace) for name in names]
        speed = chance.choice((0.2, 1.0, 3.0))  # of a house that cannot keep up, to one that idles
        self._workers = [
            Worker("coral", self._bus, self._watch, Habits(frames_per_second=40 * speed)),
            Worker("desk", self._bus, self._watch, Habits(frames_per_second=8 * speed, window=3)),
        ]
        for number, habits in enumerate(chance.sample(STRANGE, 3)):
            name = "desk" if habits.twin else f"odd-{number}"
            self._workers.append(Worker(name, self._bus, self._watch, habits))
        for fault in draw(self._clock.chance("faults"), plan.hours, plan.faults):
            self._clock.after(fault.at, lambda fault=fault: self._strike(fault))  # type: ignore[misc]
        self._clock.after(LOOK_EVERY, self._look)
        end = plan.hours * 3600
        while (before := self._clock.mono) < end:
            self._clock.run_until(min(end, before + TOLD_EVERY))
            self._tell((self._clock.mono - before) / 3600)
        self._end_faults()
        while not self._at_rest():
            if self._clock.mono > plan.hours * 3600 + SETTLE:
                raise Broken("ends", self._unfinished())
            self._clock.run_until(self._clock.mono + 60)
        self._check_end()

    # --- the hub's process ----------------------------------------------------------------------

    def _start_hub(self) -> None:
        """Start it, and again after a while when it cannot."""
        hub = self._hub = self._process(
            self._folder,
            self._bus,
            self._hub_line,
            self._watch,
            disk=self._disk,
            settings=self._settings,
            workflows=self._workflows,
            sky=self._sky,
            burst=self._burst,
        )
        hub.on_death = self._hub_died
        try:
            hub.start()
        except Killed as killed:
            self._trace.note("hub", f"is killed {killed}", count="hub killed")
        except StorageError:
            self._trace.note("hub", "cannot start", count="hub could not start")
        else:
            self._trace.note("hub", "is up", count="hub started")
            return
        hub.die()
        self._hub_died()

    def _hub_died(self) -> None:
        pause = self._clock.chance(f"restart {self._clock.new_id()}").uniform(0.5, 20)
        self._clock.after(pause, self._start_hub)

    def _look(self) -> None:
        if self._hub is not None and self._hub.alive and self._hub.core is not None:
            self._watch.check_database(self._hub.store, self._hub.engine, self._hub.media.root)
        self._check_bill()
        self._clock.after(LOOK_EVERY, self._look)

    def _check_bill(self) -> None:
        if self._sky is not None and self._burst is not None:
            money = self._burst.money
            self._watch.billed(self._sky.billed(money.instance_hour), money.per_day)

    # --- faults ---------------------------------------------------------------------------------

    def _strike(self, fault: Fault) -> None:
        self._trace.note(
            "fate", f"{fault.kind} {fault.detail} {fault.seconds:.1f}", count=f"fault: {fault.kind}"
        )
        match fault.kind:
            case "kill hub":
                self._kill_hub(fault)
            case "kill worker":
                self._one(self._workers, fault).crash(fault.seconds)
            case "no workers":
                for worker in self._workers:
                    worker.crash(fault.seconds * (0.5 + fault.pick))
            case "drain worker":
                self._one(self._workers, fault).drain(fault.seconds)
            case "reboot device":
                self._one(self._devices, fault).reboot(fault.seconds)
            case "restart broker":
                self._broker.restart(
                    keep_retained=fault.detail != "forgets all", keep_sessions=fault.detail == "keeps all"
                )
                self._clock.after(min(fault.seconds, 60), self._broker_back)
            case "cut connection":
                self._one(self._sessions(), fault).cut()
            case "partition":
                self._one(self._sessions(), fault).stall(fault.seconds)
            case "set clock":
                self._clock.jump(fault.seconds)
            case "fill disk":
                self._disk.database_full = fault.detail != "media"
                self._disk.media_full = fault.detail != "database"
                self._clock.after(fault.seconds, self._free_disk)
            case _:
                self._strike_cloud(fault)

    def _strike_cloud(self, fault: Fault) -> None:
        if fault.kind != "cloud away":
            raise AssertionError(fault.kind)
        if self._sky is not None:
            self._sky.away_until = self._clock.mono + fault.seconds

    def _kill_hub(self, fault: Fault) -> None:
        if fault.detail:
            self._disk.kill_at = fault.detail
            if fault.detail == "while loading" and self._hub is not None and self._hub.alive:
                self._hub.die()
                self._hub_died()
        elif self._hub is not None and self._hub.alive:
            self._trace.note("hub", "is killed between two turns", count="hub killed")
            self._hub.die()
            self._hub_died()

    def _one(self, among: list[T], fault: Fault) -> T:
        return among[int(fault.pick * len(among))]

    def _sessions(self) -> list[SimulatedSession]:
        sessions = [*(d.session for d in self._devices), *(w.session for w in self._workers if w.session)]
        if self._hub is not None and self._hub.alive:
            sessions += [self._hub.session, self._hub.session]  # twice as often as anybody else
        return sessions

    def _broker_back(self) -> None:
        self._broker.up = True

    def _free_disk(self) -> None:
        self._disk.database_full = self._disk.media_full = False

    def _end_faults(self) -> None:
        self._trace.note("fate", "is tired: no more faults and no more motion")
        self._free_disk()
        self._disk.kill_at = ""
        self._broker_back()
        for device in self._devices:
            device.recording = False

    # --- the end --------------------------------------------------------------------------------

    def _at_rest(self) -> bool:
        watch = self._watch
        if watch.waiting or watch.unheard or any(device.waiting for device in self._devices):
            return False
        hub = self._hub
        if not hub or not hub.alive or not hub.core:
            return False
        return not (hub.core.recordings or hub.frames.held[0] or hub.store.announcements())

    def _unfinished(self) -> str:
        hub, watch = self._hub, self._watch
        left = {
            "clips that wait at the hub": watch.waiting,
            "things that wait on devices": sum(device.waiting for device in self._devices),
            "announcements that were never published": len(watch.unheard),
            "frames whose bytes are held": hub.frames.held[0] if hub else -1,
            "open recordings": len(hub.core.recordings) if hub and hub.core else -1,
            "announcements in the database": len(hub.store.announcements()) if hub and hub.alive else -1,
        }
        said = ", ".join(f"{count} {name}" for name, count in left.items() if count)
        return f"{SETTLE / 3600:g} h after the last fault there are still {said or 'no hub'}"

    def _check_end(self) -> None:
        assert self._hub is not None
        self._check_bill()
        self._watch.check_database(self._hub.store, self._hub.engine, self._hub.media.root)
        made = Counter(self._trace.counts)
        given = made["forgotten by devices"] + made["refused and put aside"]
        if made["clips made"] + made["pictures made"] != given:
            raise Broken("counts", f"{made['clips made']} clips and pictures were made, {given} were given")
        with self._hub.engine.connect() as connection:
            left = connection.execute(
                select(func.count()).select_from(db.recordings).where(db.OPEN)
            ).scalar_one()
        if left:
            raise Broken("ends", f"{left} recordings are open in the database")


def _burst(policy: dict[str, float | str]) -> BurstSettings:
    """A cloud that is cheap enough to be used and whose ceiling is met now and then."""
    return BurstSettings.model_validate(
        {
            "enabled": True,
            "policy": policy,
            "max_instances": 3,
            "timeout": 600,
            "money": {"per_day": 0.25},
            "cameras": {f"{PRIVATE}/front": "never"},
        }
    )


def _workflow(devices: Sequence[str]) -> WorkflowSpec:
    """Somebody wants to know of faces, at once or not at all."""
    return WorkflowSpec.model_validate(
        {
            "cameras": {f"{device}/front": FRAMES_PER_SECOND for device in devices},
            "measurement": "detect_faces",
            "feature": None,
            "decision": {"rule": "seen", "cooldown": 60},
            "max_delay": 2.0,
        }
    )


def run_in_scratch(
    plan: Plan, copy_to: TextIO | None = None, tell: Callable[[float], None] = lambda _hours: None
) -> Run:
    """Run a plan in a folder of its own that goes afterwards, in memory where the system has such a place.

    `tell` gets how many hours have been simulated since it was last called. The hub's log is silent
    meanwhile: it tells of each fault, at length.
    """
    shared_memory = Path("/dev/shm")
    fast = shared_memory if os.access(shared_memory, os.W_OK) else None
    logger = logging.getLogger("meerkat")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with TemporaryDirectory(prefix="meerkat-house-", dir=fast) as folder:
            return World(plan, Path(folder), copy_to, tell).run()
    finally:
        logger.setLevel(level)
