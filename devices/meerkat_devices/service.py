"""The device: its cameras and meters, its outbox, its connection, each on a thread of its own.

    cameras, meters ──▶ outbox on disk ──▶ sender ──▶ session ──▶ broker ──▶ hub
                                             ◀──────── receipts ───────────────┘

Nothing here waits for the broker: without one, cameras record into the outbox. A thread that fails
is reported and started again; the others go on.
"""

from __future__ import annotations

import logging
import platform
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TypeVar

from meerkat_contract.connection import Connection
from meerkat_contract.errors import MeerkatError, StorageError
from meerkat_contract.messages import CameraInfo, DeviceInfo, MeterInfo
from meerkat_contract.session import Delivery, Session, Will
from meerkat_contract.topics import DeviceTopic

from .clock import Clock, SystemClock, clock_state, local_zone
from .lamps import Lamp
from .outbox.outbox import Outbox
from .outbox.sender import Sender
from .pins.wiring import Pins
from .reports import REPEAT_SECONDS, Reports
from .running.board import software, this_board
from .running.errands import IDENTIFY, RESTART, Blinker, find_led
from .running.heartbeat import PATIENCE, Heartbeats
from .running.systemd import describe
from .running.threads import Threads
from .settings.device import DeviceSettings
from .sleep.battery import BatteryWatch
from .sleep.sleeper import Wakefulness, told_wake, too_short
from .sources.source import Pace
from .things import make_cameras, make_meters
from .tuning.table import offer_camera, offer_device, offer_meter
from .tuning.tuning import DEVICE, Tuning
from .words import counted, waiting

_log = logging.getLogger("meerkat.device")

STOP_SECONDS = 2.0
"""A clean stop takes no longer than this, unless a disk, or a broker that is just being called, does."""

CLOCK_SECONDS = 10.0
"""Between looks at a clock that is not set yet."""


Thing = TypeVar("Thing", CameraInfo, MeterInfo)


@dataclass(frozen=True, slots=True)
class Replay:
    """How files and scenes are replayed."""

    pace: Pace = "own"
    loop: bool = False


class Device:
    """Start it, wait for `finished`, stop it. Implements `Station`."""

    def __init__(
        self,
        name: str,
        settings: DeviceSettings,
        connection: Connection,
        data: Path,
        *,
        replay: Replay | None = None,
        clock: Clock | None = None,
        zone: tzinfo | None = None,
        restart: Callable[[], None] | None = None,
    ) -> None:
        """`data` is the data folder; the outbox lies in <data>/devices/<name>/outbox. `restart` asks for the
        end of this program by who will start it again, where there is somebody.

        Raises StorageError when it cannot be opened.
        """
        self.name = name
        self.settings = settings
        self._clock = Heartbeats(clock or SystemClock())
        self.replay = replay or Replay()
        self._stop = threading.Event()
        self._info_lock = threading.Lock()
        self._board = this_board()
        self._hub_here = False
        self._tell_gone_at = 0.0
        self._zone = zone or local_zone()
        self._wakefulness: Wakefulness | None = None
        self.next_wake: datetime | None = None
        """When it sleeps: until when. None also while its clock is not set."""
        folder = data / "devices" / name
        self.pins = Pins(settings, folder, station=self, clock=self._clock)
        self.pins.open()  # before anything that may fail: a lamp that a killed run left on goes off
        self.outbox = self._open_outbox(folder / "outbox")
        self._availability = DeviceTopic(name, "availability")
        self.session = self._make_session(connection)
        self.reports = Reports(name, self.session, self._clock)
        self._sender = self._make_sender()
        self.cameras = make_cameras(
            settings.cameras,
            station=self,
            outbox=self.outbox,
            clock=self._clock,
            pace=self.replay.pace,
            loop=self.replay.loop,
        )
        self.meters = make_meters(
            settings.meters,
            station=self,
            outbox=self.outbox,
            clock=self._clock,
            zone=self._zone,
            data=folder,
            pace=self.replay.pace,
        )
        self.battery = (
            BatteryWatch(settings.battery, station=self, clock=self._clock) if settings.battery else None
        )
        for camera in self.cameras:
            self.pins.connect(camera.name, camera.senses, camera.settings)
        self.tuning = Tuning(folder / "settings.json", station=self)
        self._offer_settings(restart)
        self._threads = Threads(self._stop, heartbeats=self._clock, station=self)

    def _open_outbox(self, folder: Path) -> Outbox:
        """Raises StorageError."""
        own = self.settings.outbox
        outbox = Outbox(folder, max_bytes=own.max_bytes, refused_bytes=own.refused_bytes)
        outbox.on_evicted = self._evicted
        outbox.on_trouble = self.report
        return outbox

    def _make_session(self, connection: Connection) -> Session:
        return Session(
            connection,
            client_id=f"meerkat-device-{self.name}",
            will=Will(str(self._availability), b"offline", retain=True),
            on_connected=self._connected,
            on_disconnected=self._disconnected,
        )

    def _make_sender(self) -> Sender:
        return Sender(
            self.outbox,
            self.session,
            device=self.name,
            clock=self._clock,
            spooled_bytes_per_second=self.settings.outbox.spooled_bytes_per_second,
            report=self.report,
            on_hub=self._hub_is,
        )

    def _offer_settings(self, restart: Callable[[], None] | None) -> None:
        """What can be set, and asked for, while it runs."""
        for camera in self.cameras:
            offer_camera(self.tuning, camera)
        for meter in self.meters:
            offer_meter(self.tuning, meter)
        offer_device(self.tuning, lambda: self.settings, self._retune)
        self._offer_errands(restart)

    # --- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect in the background and start every camera and meter."""
        if self.outbox.repaired:
            _log.warning(
                "%s of the last run cleared away",
                counted(self.outbox.repaired, "half-written file", "half-written files"),
            )
        if self.outbox.trouble:
            self.report(self.outbox.trouble)
        self.session.keep(self._availability, "online")
        if self.settings.log_level != "info":  # else it is left to whoever set up logging
            self._retune(self.settings)
        self.tuning.restore()
        self.session.subscribe(self.tuning.topic, self.tuning.told)
        self.changed()
        self._sender.start()
        for camera in self.cameras:
            camera.frames.start()
            self.session.subscribe(camera.frames.topic, camera.frames.told)
        for meter in self.meters:
            self.session.subscribe(meter.topic, meter.told)
        self.pins.start(self.session)
        self.session.start()
        if self.battery:
            self._threads.start("battery", self.battery.run)
        if self.settings.sleep:
            self._wakefulness = Wakefulness(self.settings.sleep, self._clock)
        self._threads.start("settings", self.tuning.run, watched=False)
        for what, run in self.pins.threads.items():
            self._threads.start(what, run)
        for camera in self.cameras:
            self._threads.start(f"camera {camera.name}", camera.run)
            if detector := camera.frames.detector:
                self._threads.start(f"camera {camera.name}, frames", detector.run, watched=False)
        for meter in self.meters:
            self._threads.start(f"meter {meter.name}", meter.run)
        if clock_state(self._clock.now()) == "unsynced":
            self._threads.start("clock", self._await_clock)

    @property
    def finished(self) -> bool:
        """Whether it may sleep; or every replay has ended and the hub has everything: only with `fast`
        and no `loop`."""
        if self._wakefulness:
            return self._wakefulness.over(self)
        if self.replay.pace != "fast" or self.replay.loop:
            return False
        if any(not meter.started.is_set() for meter in self.meters):
            return False
        if any(self._threads.runs(f"camera {camera.name}") for camera in self.cameras):
            return False
        return self._sender.empty

    @property
    def failed(self) -> MeerkatError | None:
        """Why a camera or meter of a fast replay gave nothing, or not all."""
        ends = [camera.failed for camera in self.cameras] + [meter.failed for meter in self.meters]
        return next((error for error in ends if error), None)

    @property
    def hangs(self) -> bool:
        """Whether a camera or meter has not ended after `stop`: it waits or works in a library."""
        return self._threads.any_run or any(camera.hangs for camera in self.cameras)

    # --- Attended, by systemd --------------------------------------------------------------------

    def silent(self) -> tuple[str, ...]:
        """Names of the threads that do not get on."""
        outbox = () if self._sender.gets_on(PATIENCE) else ("outbox",)
        return self._clock.silent() + outbox

    def status(self) -> str:
        return describe(
            running=sum(camera.running for camera in self.cameras),
            cameras=len(self.cameras),
            meters=len(self.meters),
            waiting=self.outbox.counts().waiting,
            connected=self.connected,
        )

    # --- Life, of a device that sleeps -----------------------------------------------------------

    @property
    def watches(self) -> bool:
        return bool(self.cameras)

    @property
    def pictured(self) -> bool:
        """And the battery was looked at."""
        looked = self.battery is None or self.battery.looked.is_set()
        return looked and all(meter.started.is_set() for meter in self.meters)

    @property
    def handed_over(self) -> bool:
        return self._sender.empty

    def stop(self, *, asleep: bool = False) -> None:
        """Close recordings into the outbox, say goodbye, end every thread; see STOP_SECONDS."""
        deadline = time.monotonic() + STOP_SECONDS
        self._stop.set()
        self.pins.close()
        self.tuning.end()
        for camera in self.cameras:
            camera.frames.end()
        for meter in self.meters:
            meter.wake()
        for name in self._threads.join(each=1.0, deadline=deadline - 0.8):
            _log.warning("%s does not end; it is left behind, and what it recorded is saved", name)
        for camera in self.cameras:
            camera.close()
        self._sender.wait_empty(deadline - 1.0 - time.monotonic())
        if asleep and self.settings.sleep:
            if self._hub_here and not self.handed_over:
                left = waiting(self.outbox.counts().waiting)
                self.report(too_short(self.settings.sleep, f"{left} for the hub"))
            self.next_wake = told_wake(self.settings.sleep, self._clock, self._zone)
            self.changed()
        self.session.keep(self._availability, "asleep" if asleep else "offline")
        self._sender.stop(timeout=0.3)
        self.session.stop(timeout=max(0.1, deadline - time.monotonic()))
        counts = self.outbox.counts()
        if counts.waiting:
            _log.info("%s in the outbox for the next start", waiting(counts.waiting))
        self.outbox.close()

    def _connected(self) -> None:
        self._sender.connected()
        self.reports.flush()

    def _disconnected(self, reason: str) -> None:
        del reason  # the session has said it in the log
        self._hub_here = False
        self._sender.disconnected()
        self.reports.disconnected()

    def _hub_is(self, *, here: bool, news: bool) -> None:
        self.reports.hub_is(here=here, news=news)
        if here and (news or not self._hub_here):
            self._tell_gone_at = 0.0  # the sender asks for it at once
        self._hub_here = here
        for camera in self.cameras:
            camera.frames.hub_is(here=here)

    def _retune(self, settings: DeviceSettings) -> None:
        """What can be set of the device itself."""
        self.settings = settings
        logging.getLogger("meerkat").setLevel(settings.log_level.upper())
        self._sender.spool_rate(settings.outbox.spooled_bytes_per_second)

    def _offer_errands(self, restart: Callable[[], None] | None) -> None:
        lights = sorted(self.pins.light_infos, key=lambda light: light.kind != "white")
        lamp = self.pins.lamp(lights[0].name) if lights else None
        blinker = Blinker(find_led(), lamp, clock=self._clock, stop=self._stop, report=self.report)
        if blinker.possible:
            self.tuning.offer(DEVICE, IDENTIFY, get=lambda: None, set_=lambda _: blinker.start())
        if restart is not None:
            self.tuning.offer(DEVICE, RESTART, get=lambda: None, set_=lambda _: restart())

    def _await_clock(self, stop: threading.Event) -> None:
        """The info says `unsynced` until the network's time has come."""
        while clock_state(self._clock.now()) == "unsynced":
            if self._clock.wait(stop, CLOCK_SECONDS):
                return
        self.changed()

    # --- Station ---------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self.session.connected

    def send(
        self, topic: object, payload: bytes, *, properties: Sequence[tuple[str, str]], content_type: str
    ) -> Delivery:
        return self.session.publish(topic, payload, properties=properties, content_type=content_type)

    def keep(self, topic: object, payload: bytes | str, *, content_type: str = "") -> None:
        self.session.keep(topic, payload, content_type=content_type)

    def report(self, error: MeerkatError, *, about: str = "") -> None:
        self.reports.report(error, about=about)

    def well(self, about: str) -> None:
        self.reports.well(about)

    def lamp(self, name: str) -> Lamp:
        return self.pins.lamp(name)

    def changed(self) -> None:
        with self._info_lock:
            info = DeviceInfo(
                device=self.name,
                label=self.settings.label,
                model=self._board.model,
                model_id=self._board.model_id,
                serial=self._board.serial,
                mac=self._board.mac,
                software=software(),
                host=platform.node(),
                cameras=tuple(self._with_settings(camera.info) for camera in self.cameras),
                meters=tuple(self._with_settings(meter.info) for meter in self.meters),
                sensors=self.pins.sensor_infos,
                lights=self.pins.light_infos,
                settings=self.tuning.infos(DEVICE),
                clock=clock_state(self._clock.now()),
                battery=self.battery.battery if self.battery else None,
                wake_every=self.settings.sleep.wake_every if self.settings.sleep else None,
                next_wake=self.next_wake,
            )
            self.keep(DeviceTopic(self.name, "info"), info.to_json(), content_type="application/json")

    def _with_settings(self, thing: Thing) -> Thing:
        return thing.model_copy(update={"settings": (*thing.settings, *self.tuning.infos(thing.name))})

    def _evicted(self, count: int, size: int) -> bool:
        """A full outbox gives something up for every clip: told now and then, with the sum, and again to a
        hub that comes."""
        now = self._clock.monotonic()
        if now < self._tell_gone_at:
            return False
        self._tell_gone_at = now + REPEAT_SECONDS
        self.report(
            StorageError(
                f"the outbox is full: {counted(count, 'entry', 'entries')} ({size / 1e6:.1f} MB) given up, "
                f"the oldest first; {self.outbox.counts().evicted} in all",
                where=str(self.outbox.folder),
                remedy="Is the hub running? Or allow more: devices.<name>.outbox.max_bytes",
            )
        )
        return self._hub_here
