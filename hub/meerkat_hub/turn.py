"""One turn of the hub: let the core decide upon what arrived, commit, then act.

No thread, queue or clock of its own: the service turns it on the hub's thread, the simulated world
on a simulated clock. An exception out of any method means that nothing of the batch was promised;
the caller then calls `abandon` and, until it succeeds, `load`: the core is built again from the
database, what was committed and not yet published is published, devices send again what has no
receipt, and workers are asked again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path

from meerkat_cloud_burst.policy.view import Policy as BurstPolicy
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.errors import MeerkatError, StorageError

from .adapters.frames import FrameStore
from .adapters.ingest import Arrived
from .adapters.live import Live
from .adapters.media import MediaFolder
from .adapters.store import Known, Store, Waiting
from .core.clips import CoreSettings
from .core.cloud_records import NO_BURST
from .core.inputs import (
    AlreadyKnown,
    BusChanged,
    ClipArrived,
    Input,
    PictureArrived,
    ResultArrived,
    TimeReached,
    WorkerSeen,
)
from .core.machine import HubCore
from .core.meter_records import ConfiguredMeter, MeterKey, SeenArrived
from .core.outputs import EventSaved
from .core.records import Now, RecordingSnapshot
from .core.workflow_records import FrameArrived, Policy, WorkflowSpec
from .core.workflows.recognition import Recogniser
from .settings import HubSettings, pool_settings
from .turn_told import Teller
from .turn_work import Actions, Work, cameras_of, local, midnight, with_pictures

__all__ = ["BATCH", "LONGEST_SLEEP", "Actions", "Turn", "Work"]

log = logging.getLogger("meerkat.hub")

LONGEST_SLEEP = 20.0
"""Seconds; the core is stepped at least so often, for what expires by the wall clock."""

SHORTEST_SLEEP = 0.001
"""Seconds."""

FLUSH = 1.0
"""Seconds after which confirmed announcements are forgotten without another reason to commit."""

BATCH = 256
"""Inputs taken together, and confirmed announcements that are forgotten together."""

_LOOKED_UP = (ClipArrived, PictureArrived, SeenArrived)
"""What the database may know already."""


class Turn:
    """The core, its database and its actions. Every method may raise, see above."""

    def __init__(
        self,
        store: Store,
        media: MediaFolder,
        live: Live,
        settings: HubSettings,
        new_id: Callable[[], str],
        *,
        frames: FrameStore | None = None,
        recogniser: Recogniser | None = None,
        workflows: Mapping[str, WorkflowSpec] | None = None,
        policy: Policy | None = None,
        meters: Mapping[MeterKey, ConfiguredMeter] | None = None,
        burst: BurstSettings | None = None,
    ) -> None:
        """`workflows`, `meters` and `burst` are those of the configuration; `frames` holds the bytes that
        the core speaks of."""
        self._store = store
        self._media = media
        self._live = live
        self._settings = settings
        self._new_id = new_id
        self._frames = frames or FrameStore()
        self._recogniser = recogniser
        self._workflows = workflows or {}
        self._policy = policy
        self._meters = meters
        self._burst = burst if burst is not None and burst.enabled else None
        self._announced: list[int] = []
        self._flush_at = inf
        """When what is announced is forgotten, though nothing else is to be written."""
        self._bus_up = False
        self._unsure: list[Path] = []
        """Files of batches that failed: whether their rows were committed is not known."""
        self._teller = Teller(live, self._frames)
        self._stepped_at = 0.0
        self._pump_at: float | None = None
        """When announcements that only time holds back go on."""
        self.actions: Actions | None = None
        self.core: HubCore | None = None
        """None before `load` and between `abandon` and `load`."""

    def make_core(self, epoch: int) -> HubCore:
        """A core that knows nothing yet."""
        settings = CoreSettings(expire_after=self._settings.expire_after_hours * 3600)
        return HubCore(
            epoch=epoch,
            new_id=self._new_id,
            settings=settings,
            pool=pool_settings(self._settings.dispatch),
            policy=self._policy,
            recogniser=self._recogniser,
            local=local,
            zones_of=self._live.zones,
            meters=self._meters,
            burst=self._burst_policy(),
            cloud_of=self._live.cloud,
        )

    def _burst_policy(self) -> tuple[BurstSettings, BurstPolicy] | None:
        if self._burst is None:
            return None
        from meerkat_cloud_burst.policy import make_policy

        return self._burst, make_policy(self._burst)

    def load(self, now: Now) -> None:
        """Build the core from the database, publish what was left and do what is due."""
        loaded = self._store.load()
        self._remove_unnamed()
        core = self.make_core(self._store.new_epoch())
        work = Work()
        work.add(
            core.load(
                loaded.recordings,
                loaded.waiting,
                now,
                configured=self._workflows,
                stored=self._store.workflows(),
                meters=self._store.meters(),
                burst=self._store.burst() if self._burst is not None else NO_BURST,
                today=self._store.begun_since(midnight(now.wall)),
            )
        )
        core.bus_up = self._bus_up
        if core.cloud is not None:
            core.cloud.bus_changed(self._bus_up, now)
        self._teller.begin(self._store.totals())
        over = set(self._announced)
        self._acting.announce_again(w for w in self._store.announcements() if w.seq not in over)
        self.core = core
        try:
            self.finish(work, now)
            known: list[Input] = [WorkerSeen(worker) for worker in self._live.workers.values()]
            known += [cameras_of(device) for device in self._live.devices.values()]
            self.process([Arrived(one) for one in known], now)
        except BaseException:
            self.core = None
            raise

    def abandon(self, batch: Iterable[Arrived]) -> None:
        """Throw the core away, and with it the batch, whose senders will send again."""
        self.core = None
        self._frames.clear()
        for arrived in batch:
            if arrived.incoming is not None and arrived.in_place:
                self._unsure.append(arrived.incoming)
            elif arrived.incoming is not None:
                self._media.discard([arrived.incoming])
            if arrived.ack is not None:
                arrived.ack()

    def _remove_unnamed(self) -> None:
        """Of the files that were in their places when their batch failed, remove those without a row."""
        known = self._store.known(path.stem for path in self._unsure)
        self._media.remove(path for path in self._unsure if path.stem not in known)
        self._unsure.clear()

    def confirm(self, seq: int, error: MeerkatError | None) -> None:
        """The broker has an announcement, or why not."""
        if self._acting.confirmed(seq, error):
            self._announced.append(seq)

    def sleep(self, mono: float) -> float:
        """Seconds from `mono` until a turn without input has something to do; LONGEST_SLEEP at most after
        the last one."""
        wake = self._deciding.wake_at()
        sleep = self._stepped_at + LONGEST_SLEEP - mono
        if wake is not None:
            sleep = min(sleep, wake - mono)
        if (due := self._teller.due_at) is not None:
            sleep = min(sleep, due - mono)
        if self._announced:
            sleep = min(sleep, FLUSH, self._flush_at - mono)
        if self._pump_at is not None:
            sleep = min(sleep, self._pump_at - mono)
        return max(sleep, SHORTEST_SLEEP)

    def is_due(self, mono: float) -> bool:
        """Whether a turn without input has something to do now."""
        return self.sleep(mono) <= SHORTEST_SLEEP

    def process(self, batch: Sequence[Arrived], now: Now) -> None:
        """Decide upon the batch, or upon the time when it is empty; commit, and act."""
        self.finish(self.decided(batch, now), now)

    def decided(self, batch: Sequence[Arrived], now: Now, before: Work | None = None) -> Work:
        """What follows from the batch, or from the time when it is empty. `before` was decided before it.

        What comes first of a batch is committed here where the rest has to find it in the database.
        """
        self._stepped_at = now.mono
        taken: list[Arrived] = []
        looked_up: list[Arrived] = []
        for arrived in batch:
            match arrived.input:
                case FrameArrived(frame=frame):
                    if self._frames.missed(frame):  # its bytes went with an earlier core
                        continue
                case BusChanged(up=up):
                    self._bus_up = up  # stays known though the batch should fail
                case ClipArrived() | PictureArrived() | SeenArrived():
                    looked_up.append(arrived)
                case _:
                    pass
            taken.append(arrived)
        work = before or Work()
        known = self._look_up(looked_up) if looked_up else Known()
        core, left = self._deciding, len(taken)
        for arrived in taken:
            happened = arrived.input
            if looked_up and isinstance(happened, _LOOKED_UP):
                if isinstance(happened, ClipArrived) and work.closes(happened.clip.recording):
                    self.finish(work, now)  # the recording is looked up below as it is in the database
                    work = Work()
                happened = self._prepare(arrived, known, work)
            left -= 1
            core.deals = not left  # once, when all is known that came together
            work.add(core.step(happened, now))
            if arrived.ack is not None:
                work.acks.append(arrived.ack)
        if not taken:
            work.add(core.step(TimeReached(), now))
        return work

    def is_light(self, batch: Iterable[Arrived]) -> bool:
        """Whether probably nothing has to be read or written for it: frames, and the answers to them."""
        core = self._deciding
        knows = core.workflows.knows
        for arrived in batch:
            happened = arrived.input
            if isinstance(happened, FrameArrived):
                continue
            if not isinstance(happened, ResultArrived):
                return False
            job = happened.result.job
            if not knows(job) and (core.knows(job) or core.meters.pictures.knows(job)):
                return False
        return True

    def needs_disk(self, work: Work, now: Now) -> bool:
        """Whether to finish this work means to write to the database, or to read a file of media."""
        return bool(work.changes) or self._writes(now) or work.reads_media

    def _writes(self, now: Now) -> bool:
        """Whether enough announcements are confirmed, or one long enough ago."""
        return len(self._announced) >= BATCH or now.mono >= self._flush_at

    def _look_up(self, batch: Sequence[Arrived]) -> Known:
        """What the database knows of the clips and pictures of a batch, and the core does not hold."""
        ids: list[str] = []
        recordings: set[str] = set()
        for arrived in batch:
            match arrived.input:
                case ClipArrived(clip=clip):
                    ids.append(clip.id)
                    if clip.recording not in self._deciding.recordings:
                        recordings.add(clip.recording)
                case PictureArrived(picture=picture):
                    ids.append(picture.id)
                case SeenArrived(picture=picture_id):
                    ids.append(picture_id)
                case _:
                    pass
        return self._store.look_up(ids, recordings) if ids else Known()

    def _prepare(self, arrived: Arrived, known: Known, work: Work) -> Input:
        """Note where its file goes, and add what the core does not hold."""
        happened = arrived.input
        match happened:
            case ClipArrived(clip=clip):
                device, media_id = clip.device, clip.id
                seen = media_id in known.media or self._deciding.knows(media_id)
            case PictureArrived(picture=picture):
                device, media_id = picture.device, picture.id
                seen = media_id in known.media
                known.media.add(media_id)
                happened = replace(happened, read=media_id in known.readings)
            case SeenArrived(picture=picture_id):
                seen = picture_id in known.readings
                known.readings.add(picture_id)
                return AlreadyKnown(happened.id, happened.device) if seen else happened
            case _:
                return happened
        assert arrived.incoming is not None
        assert arrived.final is not None
        if seen:
            self._media.discard([arrived.incoming])
            return AlreadyKnown(media_id, device)
        work.moves.append((arrived.incoming, arrived.final))
        if isinstance(happened, ClipArrived) and happened.clip.recording not in self._deciding.recordings:
            return replace(happened, earlier=self._earlier(happened.clip.recording, known))
        return happened

    def _earlier(self, recording: str, known: Known) -> RecordingSnapshot | None:
        """As it was looked up, if it has not been open in between."""
        if recording in known.recordings:
            return known.recordings.pop(recording)
        return self._store.recording(recording)

    def finish(self, work: Work, now: Now) -> None:
        """Write what was decided, then acknowledge, carry out and announce it."""
        fresh: list[Waiting] = []
        superseded: list[str] = []
        if self._announced:
            self._flush_at = min(self._flush_at, now.mono + FLUSH)
        if work.changes or self._writes(now):
            newest = with_pictures(work.changes)
            superseded = self._store.event_pictures(newest)
            pictures = self._receive_pictures(newest, work)
            if work.moves:
                self._media.place_all(work.moves)
            fresh = self._store.commit(
                work.changes, announced=self._announced, now=now.wall, pictures=pictures
            )
            self._announced, self._flush_at = [], inf
        with self._acting.together():
            self._act(work, fresh)
            self._teller.tell(work.changes, self._deciding, now, self._acting.publish_state)
        if superseded:
            self._remove_pictures(superseded)

    def _act(self, work: Work, fresh: Sequence[Waiting]) -> None:
        """What the commit allows: nothing of it happens before."""
        for ack in work.acks:
            ack()
        acting = self._acting
        carry_out = acting.carry_out
        for effect in work.effects:
            carry_out(effect)
        if fresh:
            acting.announce(fresh)
        self._pump_at = acting.pump()

    def _receive_pictures(self, newest: Mapping[str, EventSaved], work: Work) -> dict[str, str]:
        """Write the pictures of new best frames, to be placed; event id → file name without its suffix."""
        names: dict[str, str] = {}
        moves: list[tuple[Path, Path]] = []
        try:
            for event_id, change in newest.items():
                name = f"{event_id}-{change.record.state.revision}"
                incoming = self._media.receive(change.picture or self._bytes_of(change.frame))
                moves.append((incoming, self._media.path("events", name, ".jpg")))
                names[event_id] = name
        except StorageError:
            self._media.discard([incoming for incoming, _ in moves])
            raise
        work.moves += moves
        return names

    def _bytes_of(self, frame: str | None) -> bytes:
        stored = self._frames.get(frame) if frame else None
        if stored is None:
            raise StorageError(
                f"the bytes of frame {frame} are gone", where="memory", remedy="The hub begins anew by itself"
            )
        return stored.payload

    def _remove_pictures(self, names: Sequence[str]) -> None:
        try:
            self._media.remove(self._media.path("events", name, ".jpg") for name in names)
        except StorageError as error:
            log.warning("an event's earlier picture could not be removed: %s", error)

    @property
    def _acting(self) -> Actions:
        assert self.actions is not None
        return self.actions

    @property
    def _deciding(self) -> HubCore:
        assert self.core is not None
        return self.core
