"""The hub at work: gather what happened, let the core decide, commit, then act.

One thread owns the core and the database's writes. While a commit is under way the next inputs
gather, so that commits group themselves under load and come at once when all is quiet. If a commit
fails, the core is thrown away and loaded from the database again: nothing was promised yet.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from meerkat_contract.errors import StorageError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import HubState

from .adapters.ingest import Arrived
from .adapters.live import Change as LiveChange
from .adapters.live import Live
from .adapters.media import MediaFolder
from .adapters.store import Store, Waiting
from .core.inputs import (
    AlreadyKnown,
    BusChanged,
    ClipArrived,
    Input,
    PictureArrived,
    TimeReached,
    WorkerSeen,
)
from .core.machine import CoreSettings, HubCore
from .core.outputs import Announce, Change, ClipSettled, ClipStored, Effect, EventSaved
from .core.records import Now
from .settings import HubSettings

log = logging.getLogger("meerkat.hub")

LONGEST_SLEEP = 20.0
"""Seconds; the core is stepped at least so often, for what expires by the wall clock."""

FLUSH = 1.0
"""Seconds after which confirmed announcements are forgotten without another reason to commit."""

BATCH = 256

RETRY = 1.0
"""Seconds between attempts to load the database again after it refused."""


@dataclass(frozen=True, slots=True)
class _Confirmed:
    seq: int
    delivered: bool


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


@dataclass(slots=True)
class Actions:
    """What the service does to the outside; `bus.py` fills it in."""

    carry_out: Callable[[Effect], None]
    announce: Callable[[Iterable[Waiting]], None]
    confirmed: Callable[[int, bool], None]
    pump: Callable[[], None]
    publish_state: Callable[[HubState], None]


@dataclass(slots=True)
class _Batch:
    arrived: list[Arrived] = field(default_factory=list)
    stop: bool = False


class HubService:
    def __init__(self, store: Store, media: MediaFolder, live: Live, settings: HubSettings) -> None:
        self._store = store
        self._media = media
        self._live = live
        self._settings = settings
        self._queue: queue.SimpleQueue[Arrived | _Confirmed | _Stop] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="hub", daemon=True)
        self._core: HubCore | None = None
        self._actions: Actions | None = None
        self._stopping = threading.Event()
        self._announced: list[int] = []
        self._bus_up = False
        self._counts: dict[str, int] = {}
        self.failure: StorageError | None = None
        """Set while the database refuses."""

    # --- from other threads ---------------------------------------------------------------------

    def start(self, actions: Actions) -> None:
        """Load the database and begin. Raises StorageError."""
        self._actions = actions
        self._load()
        actions.announce(self._store.announcements())
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._queue.put(_Stop())
        self._thread.join(10)

    def give(self, arrived: Arrived) -> None:
        self._queue.put(arrived)

    def happened(self, happened: Input) -> None:
        self._queue.put(Arrived(happened))

    def confirm(self, seq: int, delivered: bool) -> None:
        self._queue.put(_Confirmed(seq, delivered))

    # --- the hub's thread -----------------------------------------------------------------------

    def _load(self) -> None:
        loaded = self._store.load()
        core = HubCore(
            epoch=self._store.new_epoch(),
            new_id=new_id,
            settings=CoreSettings(expire_after=self._settings.expire_after_hours * 3600),
        )
        core.load(loaded.recordings, loaded.waiting, _now())
        for worker in self._live.workers.values():
            core.step(WorkerSeen(worker), _now())
        core.bus_up = self._bus_up
        self._counts = self._store.totals()
        self._core = core

    def _run(self) -> None:
        while True:
            batch = self._gather()
            try:
                self._process(batch)
                self.failure = None
            except StorageError as error:
                self._recover(error, batch)
            if batch.stop or self._core is None:
                return

    def _gather(self) -> _Batch:
        batch = _Batch()
        timeout = self._sleep()
        while len(batch.arrived) < BATCH:
            try:
                item = self._queue.get(timeout=timeout) if timeout > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            timeout = 0
            match item:
                case Arrived():
                    batch.arrived.append(item)
                case _Confirmed(seq=seq, delivered=delivered):
                    self._actions_.confirmed(seq, delivered)
                    if delivered:
                        self._announced.append(seq)
                case _Stop():
                    batch.stop = True
        return batch

    def _sleep(self) -> float:
        assert self._core is not None
        wake = self._core.wake_at()
        sleep = LONGEST_SLEEP if wake is None else min(wake - time.monotonic(), LONGEST_SLEEP)
        return max(min(sleep, FLUSH) if self._announced else sleep, 0.001)

    def _process(self, batch: _Batch) -> None:
        assert self._core is not None
        changes: list[Change] = []
        effects: list[Effect] = []
        now = _now()
        known = self._store.known(_ids(batch.arrived))
        for arrived in batch.arrived:
            happened = self._prepare(arrived, known)
            self._note_bus(happened)
            decision = self._core.step(happened, now)
            changes += decision.changes
            effects += decision.effects
            for line in decision.notes:
                log.info("%s", line)
        if not batch.arrived:
            decision = self._core.step(TimeReached(), now)
            changes, effects = decision.changes, decision.effects
            for line in decision.notes:
                log.info("%s", line)
        fresh: list[Waiting] = []
        if changes or len(self._announced) >= BATCH or (self._announced and not batch.arrived):
            pictures = self._write_pictures(changes)
            superseded = self._store.event_pictures(pictures)
            fresh = self._store.commit(changes, announced=self._announced, now=now.wall, pictures=pictures)
            self._media.remove(self._media.path("events", name, ".jpg") for name in superseded)
            self._announced = []
        for arrived in batch.arrived:
            if arrived.ack is not None:
                arrived.ack()
        for effect in effects:
            self._actions_.carry_out(effect)
        self._actions_.announce(fresh)
        self._actions_.pump()
        self._tell(changes)

    def _prepare(self, arrived: Arrived, known: set[str]) -> Input:
        """Move the file to its place and look up what the core does not hold."""
        assert self._core is not None
        happened = arrived.input
        match happened:
            case ClipArrived(clip=clip):
                device, media_id = clip.device, clip.id
                seen = media_id in known or self._core.knows(media_id)
            case PictureArrived(picture=picture):
                device, media_id = picture.device, picture.id
                seen = media_id in known
                known.add(media_id)
            case _:
                return happened
        assert arrived.incoming is not None
        assert arrived.final is not None
        if seen:
            arrived.incoming.unlink(missing_ok=True)
            return AlreadyKnown(media_id, device)
        self._media.place(arrived.incoming, arrived.final)
        if isinstance(happened, ClipArrived) and happened.clip.recording not in self._core.recordings:
            return replace(happened, earlier=self._store.recording(happened.clip.recording))
        return happened

    def _note_bus(self, happened: Input) -> None:
        if isinstance(happened, BusChanged):
            self._bus_up = happened.up

    def _write_pictures(self, changes: Iterable[Change]) -> dict[str, str]:
        """Put the pictures of new best frames on disk; event id → file name without its suffix."""
        names: dict[str, str] = {}
        for change in changes:
            if isinstance(change, EventSaved) and change.picture is not None:
                state = change.record.state
                name = f"{state.id}-{state.revision}"
                incoming = self._media.receive(change.picture)
                self._media.place(incoming, self._media.path("events", name, ".jpg"))
                names[state.id] = name
        return names

    def _recover(self, error: StorageError, batch: _Batch) -> None:
        """Nothing of this batch was committed: devices will send it again, workers are asked again."""
        self.failure = error
        log.error("%s", error)
        for arrived in batch.arrived:
            if arrived.incoming is not None:
                arrived.incoming.unlink(missing_ok=True)
            if arrived.ack is not None:
                arrived.ack()
        self._core = None
        while self._core is None and not self._stopping.wait(RETRY):
            try:
                self._load()
            except StorageError as again:
                self.failure = again
                log.error("%s", again)

    def _tell(self, changes: Iterable[Change]) -> None:
        for change in changes:
            match change:
                case Announce(topic=topic, payload=payload, event_picture=None) if topic.endswith(
                    ("/event", "/outcome")
                ):
                    _, _, device, camera, kind = topic.split("/")
                    self._live.tell(LiveChange(kind, device, camera, payload))
                case ClipStored():
                    self._counts["received"] = self._counts.get("received", 0) + 1
                case ClipSettled(state=state):
                    self._counts[state] = self._counts.get(state, 0) + 1
                case _:
                    pass
        self._publish_state()

    def _publish_state(self) -> None:
        assert self._core is not None
        core, wall = self._core, datetime.now(UTC)
        oldest = next(iter(core.waiting.values()), None)
        state = HubState(
            backlog=len(core.waiting),
            running=len(core.leases),
            oldest_wait=round((wall - oldest.received_at).total_seconds(), 0) if oldest else 0,
            done=self._counts.get("done", 0),
            failed=self._counts.get("failed", 0),
            expired=self._counts.get("expired", 0),
            workers=len(core.workers),
        )
        self._actions_.publish_state(state)

    @property
    def _actions_(self) -> Actions:
        assert self._actions is not None
        return self._actions


def _ids(arrived: Iterable[Arrived]) -> list[str]:
    ids = []
    for item in arrived:
        match item.input:
            case ClipArrived(clip=clip):
                ids.append(clip.id)
            case PictureArrived(picture=picture):
                ids.append(picture.id)
            case _:
                pass
    return ids


def _now() -> Now:
    return Now(datetime.now(UTC), time.monotonic())
