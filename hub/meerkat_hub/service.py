"""The hub at work: gather what happened, let the core decide, commit, then act.

One thread owns the core and the database's writes. While a commit is under way the next inputs
gather, so that commits group themselves under load and come at once when all is quiet.

Whatever goes wrong (the disk refuses, or a fault of ours), nothing of the batch was promised: the
core is thrown away and loaded from the database again, what was committed and not yet published is
published, devices send again what has no receipt, and workers are asked again.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from meerkat_contract.errors import MeerkatError, StorageError
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
from .core.outputs import (
    Announce,
    Change,
    ClipSettled,
    ClipStored,
    Decision,
    Effect,
    EventSaved,
    RecordingClosed,
)
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
    error: MeerkatError | None


@dataclass(frozen=True, slots=True)
class _Stop:
    pass


@dataclass(slots=True)
class Actions:
    """What the service does to the outside; `bus.py` fills it in."""

    carry_out: Callable[[Effect], None]
    announce: Callable[[Iterable[Waiting]], None]
    announce_again: Callable[[Iterable[Waiting]], None]
    """Forget what is to be announced, and take this instead."""
    confirmed: Callable[[int, MeerkatError | None], bool]
    """The fate of an announcement; answers whether it is over and can be forgotten."""
    pump: Callable[[], None]
    publish_state: Callable[[HubState], None]
    recovered: Callable[[], None]


@dataclass(slots=True)
class _Batch:
    arrived: list[Arrived] = field(default_factory=list)
    stop: bool = False


@dataclass(slots=True)
class _Work:
    """What the core decided and is not committed yet."""

    changes: list[Change] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    acks: list[Callable[[], None]] = field(default_factory=list)

    def add(self, decision: Decision) -> None:
        self.changes += decision.changes
        self.effects += decision.effects
        for line in decision.notes:
            log.info("%s", line)

    def closes(self, recording: str) -> bool:
        return any(isinstance(c, RecordingClosed) and c.id == recording for c in self.changes)


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
        self.failure: MeerkatError | None = None
        """Set while the database refuses, or after a fault, until the hub is loaded again."""

    # --- from other threads ---------------------------------------------------------------------

    def start(self, actions: Actions) -> None:
        """Load the database and begin. Raises StorageError."""
        self._actions = actions
        self._load()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._queue.put(_Stop())
        self._thread.join(10)

    @property
    def ended(self) -> bool:
        """Whether its thread was started and runs no more."""
        return self._thread.ident is not None and not self._thread.is_alive()

    def give(self, arrived: Arrived) -> None:
        self._queue.put(arrived)

    def happened(self, happened: Input) -> None:
        self._queue.put(Arrived(happened))

    def confirm(self, seq: int, error: MeerkatError | None) -> None:
        """Of an announcement: the broker has it, or why not."""
        self._queue.put(_Confirmed(seq, error))

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
        over = set(self._announced)
        self._acting.announce_again(w for w in self._store.announcements() if w.seq not in over)
        self._core = core

    def _run(self) -> None:
        while True:
            batch = _Batch()
            try:
                self._gather(batch)
                self._process(batch)
            except MeerkatError as error:
                self._recover(error, batch)
            except Exception as error:  # a fault of ours must not leave the hub deaf
                log.exception("a fault in the hub; it loads its database again and goes on")
                fault = MeerkatError(f"a fault in the hub ({error!r})", remedy="The log has the details")
                self._recover(fault, batch)
            if batch.stop or self._core is None:
                return

    def _gather(self, batch: _Batch) -> None:
        timeout = self._sleep()
        while len(batch.arrived) < BATCH:
            try:
                item = self._queue.get(timeout=timeout) if timeout > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            timeout = 0
            match item:
                case Arrived(input=happened):
                    batch.arrived.append(item)
                    if isinstance(happened, BusChanged):
                        self._bus_up = happened.up
                case _Confirmed(seq=seq, error=error):
                    if self._acting.confirmed(seq, error):
                        self._announced.append(seq)
                case _Stop():
                    batch.stop = True

    def _sleep(self) -> float:
        wake = self._deciding.wake_at()
        sleep = LONGEST_SLEEP if wake is None else min(wake - time.monotonic(), LONGEST_SLEEP)
        return max(min(sleep, FLUSH) if self._announced else sleep, 0.001)

    def _process(self, batch: _Batch) -> None:
        now = _now()
        work = _Work()
        known = self._store.known(_ids(batch.arrived))
        for arrived in batch.arrived:
            happened = arrived.input
            if isinstance(happened, ClipArrived) and work.closes(happened.clip.recording):
                self._commit(work, now)  # the recording is looked up below as it is in the database
                work = _Work()
            work.add(self._deciding.step(self._prepare(arrived, known), now))
            if arrived.ack is not None:
                work.acks.append(arrived.ack)
        if not batch.arrived:
            work.add(self._deciding.step(TimeReached(), now))
        self._commit(work, now, idle=not batch.arrived)

    def _prepare(self, arrived: Arrived, known: set[str]) -> Input:
        """Move the file to its place and look up what the core does not hold."""
        happened = arrived.input
        match happened:
            case ClipArrived(clip=clip):
                device, media_id = clip.device, clip.id
                seen = media_id in known or self._deciding.knows(media_id)
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
        if isinstance(happened, ClipArrived) and happened.clip.recording not in self._deciding.recordings:
            return replace(happened, earlier=self._store.recording(happened.clip.recording))
        return happened

    def _commit(self, work: _Work, now: Now, *, idle: bool = False) -> None:
        """Write what was decided, then acknowledge, carry out and announce it."""
        fresh: list[Waiting] = []
        superseded: list[str] = []
        if work.changes or len(self._announced) >= BATCH or (self._announced and idle):
            pictures = self._write_pictures(work.changes)
            superseded = self._store.event_pictures(pictures)
            fresh = self._store.commit(
                work.changes, announced=self._announced, now=now.wall, pictures=pictures
            )
            self._announced = []
        for ack in work.acks:
            ack()
        for effect in work.effects:
            self._acting.carry_out(effect)
        self._acting.announce(fresh)
        self._acting.pump()
        self._tell(work.changes)
        self._remove_pictures(superseded)

    def _write_pictures(self, changes: Iterable[Change]) -> dict[str, str]:
        """Put the pictures of new best frames on disk; event id → file name without its suffix."""
        newest = {
            change.record.state.id: change
            for change in changes
            if isinstance(change, EventSaved) and change.picture is not None
        }
        names: dict[str, str] = {}
        for event_id, change in newest.items():
            name = f"{event_id}-{change.record.state.revision}"
            incoming = self._media.receive(change.picture or b"")
            self._media.place(incoming, self._media.path("events", name, ".jpg"))
            names[event_id] = name
        return names

    def _remove_pictures(self, names: Sequence[str]) -> None:
        try:
            self._media.remove(self._media.path("events", name, ".jpg") for name in names)
        except StorageError as error:
            log.warning("an event's earlier picture could not be removed: %s", error)

    def _recover(self, error: MeerkatError, batch: _Batch) -> None:
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
            except MeerkatError as again:
                self.failure = again
                log.error("%s", again)
            except Exception:
                log.exception("a fault while the hub loaded its database; it tries again")
            else:
                self.failure = None
                self._acting.recovered()

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
        core, wall = self._deciding, datetime.now(UTC)
        oldest = next(iter(core.waiting.values()), None)
        self._acting.publish_state(
            HubState(
                backlog=len(core.waiting),
                running=len(core.leases),
                oldest_wait=round((wall - oldest.received_at).total_seconds(), 0) if oldest else 0,
                done=self._counts.get("done", 0),
                failed=self._counts.get("failed", 0),
                expired=self._counts.get("expired", 0),
                workers=len(core.workers),
            )
        )

    @property
    def _acting(self) -> Actions:
        assert self._actions is not None
        return self._actions

    @property
    def _deciding(self) -> HubCore:
        assert self._core is not None
        return self._core


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
