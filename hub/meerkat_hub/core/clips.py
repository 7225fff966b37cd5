"""Clips from their arrival to their end, and the recordings that they make up.

    clip     waiting ──send──► leased ──result──► done
              ▲ │ ▲              │  └──refused──► failed
              │ │ └─ try again ◄─┘       (lease over, worker ended, retry asked: MAX_TRIES at most)
              │ └──── out ───► aloft ──result───► done or failed, as above
              └──── back ◄───────┘              (the cloud gave none: see `cloud`)
             waiting for EXPIRE_AFTER ──────────► expired

Each ends exactly once. The pool deals them out; what a result means for events, recordings tell. One that
is aloft is in nobody's pool: it waits here for what the cloud says of it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from math import inf

from meerkat_contract.messages import Job, Receipt, Result
from meerkat_contract.presence_messages import RESERVED

from .announcements import count_message
from .inputs import ClipArrived
from .outputs import (
    CancelJob,
    ClipSettled,
    ClipStored,
    ClipTried,
    Decision,
    EventSaved,
    SendJob,
    SendReceipt,
)
from .pool.pool import Pool
from .pool.work import Answer, Flow, Item, Lease, Priority, TryEnded
from .recording import Recording
from .records import Clip, Now, RecordingSnapshot, Settled
from .second_opinion import ask_another, may_be_read
from .zones import ZonesOf, no_zones

CLIPS = "clips"
"""Their flow in the pool."""

TASK = "detect_objects"
MAX_TRIES = 3

SAMPLE_FPS = 5.0
"""Frames looked at per second of video."""

REMEMBERED = 4096
"""Ids of clips that ended lately, for duplicates that arrive before the database is asked."""

GRACE = 600.0
"""Seconds that a clip may wait at least after a restart: that the hub was off is not its fault."""

SENT_LATE = 60.0
"""Seconds after its end at which a clip that arrives was kept back by its device."""


@dataclass(frozen=True, slots=True)
class CoreSettings:
    expire_after: float = 24 * 3600.0
    """Seconds a clip may wait at the hub before it is given up."""
    clips_weight: float = 1.0
    """The clips' share of the pool beside workflows, which have 1 each unless told otherwise."""


def frames_of(clip: Clip) -> int:
    """How many frames a clip costs: its cost in the plan."""
    if clip.content_type.startswith("image/"):
        return 1
    return max(1, round((clip.duration or 5.0) * SAMPLE_FPS))


def priority_of(clip: Clip) -> Priority:
    """The doorbell first; last what was kept back by its device, and what somebody submits."""
    if clip.trigger == "doorbell":
        return Priority.URGENT
    if clip.trigger == "submit":
        return Priority.BACKLOG
    late = (clip.received_at - clip.end_at).total_seconds() > SENT_LATE
    return Priority.BACKLOG if late else Priority.LIVE


class Clips:
    """All clips that have not ended, and the recordings that are open."""

    def __init__(
        self, pool: Pool, new_id: Callable[[], str], settings: CoreSettings, zones_of: ZonesOf = no_zones
    ) -> None:
        self.settings = settings
        self.unfinished: OrderedDict[str, Clip] = OrderedDict()
        """By id, in the order of their arrival."""
        self.since: dict[str, float] = {}
        """When the hub got each of them, in monotonic seconds."""
        self.aloft: dict[str, Item] = {}
        """Those of them that are in the cloud, as they left the pool."""
        self.cloud_said: dict[str, str] = {}
        """Of those that it gave no result for: why."""
        self.recordings: dict[str, Recording] = {}
        self._pool = pool
        self._new_id = new_id
        self._zones_of = zones_of
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._ageing: deque[tuple[float, str]] = deque()
        """Until when each may wait, by the monotonic clock: it does not leap when a hub is told the day."""
        self._aged: set[str] = set()
        """Too old to wait again: a worker has had them since before that."""
        self._due: list[tuple[float, str]] = []
        """When recordings want to be looked at; an entry may be out of date."""
        self._due_at: dict[str, float] = {}
        """The earliest entry of each recording there."""
        self._in_view: dict[tuple[str, str], set[str]] = {}
        """Open recordings with events, by camera."""
        self._counts: dict[tuple[str, str], dict[str, int]] = {}
        pool.open(Flow(CLIPS, TASK, weight=settings.clips_weight))

    def load(
        self,
        recordings: Iterable[RecordingSnapshot],
        waiting: Iterable[Clip],
        now: Now,
        aloft: Collection[str] = (),
    ) -> None:
        """Take over what the database holds: open recordings, and clips that have not ended, those of them
        that are `aloft` apart."""
        for snapshot in recordings:
            self._restore(snapshot, now)
        for clip in waiting:
            age = (now.wall - clip.received_at).total_seconds()
            self._enqueue(
                clip,
                now,
                max(GRACE, self.settings.expire_after - age),
                age=max(age, 0.0),
                aloft=clip.id in aloft,
            )
        for recording in list(self.recordings.values()):
            self._look_again(recording)
            key = (recording.device, recording.camera)
            self._counts[key] = self._count(key, now)

    def knows(self, clip_id: str) -> bool:
        """Whether a clip of this id waits, is being looked at, or ended lately."""
        return clip_id in self.unfinished or clip_id in self._ended

    @property
    def backlog(self) -> int:
        """How many wait for a worker."""
        return self._pool.queues.length(CLIPS) + self._pool.aside.count(CLIPS)

    @property
    def running(self) -> int:
        """How many a worker of the house has."""
        return sum(leases[0].item.flow == CLIPS for leases in self._pool.leases.values())

    def oldest_waiting(self) -> Clip | None:
        elsewhere = self.aloft
        for clip in self.unfinished.values():
            if clip.id not in self._pool.leases and clip.id not in elsewhere:
                return clip
        return None

    # --- arrival --------------------------------------------------------------------------------

    def arrived(self, arrived: ClipArrived, now: Now, out: Decision) -> None:
        clip = arrived.clip
        if self.knows(clip.id):
            out.effects.append(SendReceipt(clip.device, Receipt(id=clip.id, outcome="duplicate")))
            return
        if arrived.earlier is not None and arrived.earlier.id not in self.recordings:
            self._restore(arrived.earlier, now)
        self._enqueue(clip, now, self.settings.expire_after)
        out.changes.append(ClipStored(clip))
        out.effects.append(SendReceipt(clip.device, Receipt(id=clip.id, outcome="stored")))

    def _restore(self, snapshot: RecordingSnapshot, now: Now) -> None:
        recording = self.recordings[snapshot.id] = Recording.restore(
            snapshot, now.mono, zones_of=self._zones_of
        )
        self._index(recording)

    def _enqueue(
        self, clip: Clip, now: Now, may_wait: float, *, age: float = 0.0, aloft: bool = False
    ) -> None:
        recording = self.recordings.get(clip.recording)
        if recording is None:
            recording = Recording(clip.recording, clip.device, clip.camera, zones_of=self._zones_of)
            self.recordings[clip.recording] = recording
        recording.arrive(clip, now.mono)
        self.unfinished[clip.id] = clip
        self.since[clip.id] = now.mono - age
        self._ageing.append((now.mono + may_wait, clip.id))
        item = Item(
            clip.id,
            CLIPS,
            cost=frames_of(clip),
            size=clip.size,
            arrived=now.mono,
            priority=priority_of(clip),
            source=f"{clip.device}/{clip.camera}",
            attempts=clip.attempts,
            avoid=frozenset({clip.unreadable_by} - {""}),
        )
        if aloft:
            self.aloft[clip.id] = item
        else:
            self._pool.add(item, now.mono)

    # --- looking --------------------------------------------------------------------------------

    def job(self, lease: Lease, now: Now) -> SendJob:
        """What to send for a lease on a clip."""
        clip = self.unfinished[lease.item.id]
        job = Job(
            job=clip.id,
            token=lease.token,
            task=lease.task,
            device=clip.device,
            camera=clip.camera,
            media=clip.id,
            content_type=clip.content_type,
            captured_at=clip.captured_at,
            lease=lease.expires - now.mono,
            ahead=lease.ahead,
            sample_fps=SAMPLE_FPS,
        )
        return SendJob(lease.worker, job, clip)

    def answered(self, answer: Answer, result: Result, now: Now, out: Decision) -> None:
        """A worker's word on a clip; its lease is over."""
        self._answered(answer.lease.item, answer.lease.worker, result, now, out)

    def _answered(self, item: Item, worker: str, result: Result, now: Now, out: Decision) -> None:
        clip = self.unfinished[item.id]
        failed, again = result.state == "failed", result.retry
        if failed and not again and clip.unreadable_by in ("", worker):
            self.unfinished[item.id] = replace(clip, unreadable_by=worker)
            again = may_be_read(self._pool, CLIPS, worker, now.mono)
        if failed and again:
            self.try_ended(TryEnded(item, worker, result.reason or "the worker gave no reason"), now, out)
        else:
            done = result.state == "done"
            tracks = result.tracks if done else ()
            settled = Settled(clip, result.state, tracks, result.model, result.reason, result.frames)
            self._settle(settled, now, out, seconds=result.seconds, worker=worker)

    def try_ended(self, tried: TryEnded, now: Now, out: Decision) -> None:
        """A try ended without a result: another one, or the end."""
        if tried.item.id not in self.unfinished:  # the cloud has answered meanwhile
            return
        clip = self.unfinished[tried.item.id]
        clip = self.unfinished[clip.id] = replace(clip, attempts=tried.item.attempts + 1)
        if clip.attempts >= MAX_TRIES:
            why = f"given up after {clip.attempts} tries; the last: {tried.reason}"
            if (said := self.cloud_said.get(clip.id, tried.reason)) != tried.reason:
                why += f"; in the cloud: {said}"
            self._settle(Settled(clip, "failed", reason=why), now, out)
            return
        out.changes.append(ClipTried(clip.id, clip.attempts, tried.reason, clip.unreadable_by))
        out.notes.append(f"{clip.device}/{clip.camera}: clip {clip.id} is tried again: {tried.reason}")
        if clip.id in self._aged:
            self._expire(clip, now, out)
        else:
            ask_another(self._pool, tried, clip.unreadable_by, now.mono)

    def media_lost(self, clip_id: str, reason: str, now: Now, out: Decision) -> None:
        clip = self.unfinished.get(clip_id)
        if clip is not None:
            self._pool.remove(clip_id)
            self._settle(Settled(clip, "failed", reason=reason), now, out)

    # --- in the cloud ---------------------------------------------------------------------------

    def send_out(self, clip_id: str) -> Clip | None:
        """Take one that waits out of the pool, for the cloud; None when it does not wait there."""
        if clip_id not in self.unfinished or clip_id not in self._pool.queues.waiting:
            return None
        item = self._pool.remove(clip_id)
        assert item is not None
        self.aloft[clip_id] = item
        return self.unfinished[clip_id]

    def came_home(self, clip_id: str, now: Now, out: Decision) -> None:
        """The cloud gives no result, which is not the clip's fault: it waits in the pool again."""
        item = self.aloft.pop(clip_id)
        if clip_id in self._aged:
            self._expire(self.unfinished[clip_id], now, out)
        else:
            self._pool.again(item)

    def failed_aloft(self, clip_id: str, worker: str, reason: str, now: Now, out: Decision) -> None:
        """A try in the cloud ended without a result: another one at home, or the end."""
        self.cloud_said[clip_id] = reason
        self.try_ended(TryEnded(self.aloft.pop(clip_id), worker, reason), now, out)

    def answered_aloft(self, clip_id: str, worker: str, result: Result, now: Now, out: Decision) -> None:
        """The cloud's word on a clip that has not ended, wherever that is now."""
        item = self.aloft.pop(clip_id, None)
        if item is None:  # it came home meanwhile; who looks at it there may stop
            out.effects += [
                CancelJob(lease.worker, clip_id, lease.token) for lease in self._pool.leases.get(clip_id, ())
            ]
            item = self._pool.remove(clip_id) or Item(clip_id, CLIPS, frames_of(self.unfinished[clip_id]))
        self._answered(item, worker, result, now, out)

    # --- the end --------------------------------------------------------------------------------

    def _settle(
        self, settled: Settled, now: Now, out: Decision, *, seconds: float = 0, worker: str = ""
    ) -> None:
        clip = settled.clip
        del self.unfinished[clip.id]
        del self.since[clip.id]
        self.cloud_said.pop(clip.id, None)
        self.aloft.pop(clip.id, None)
        self._aged.discard(clip.id)
        self._ended[clip.id] = None
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        out.changes.append(
            ClipSettled(
                clip.id,
                settled.state,
                reason=settled.reason,
                model=settled.model,
                frames=settled.frames,
                seconds=seconds,
                tracks=settled.tracks,
                worker=worker,
            )
        )
        if settled.state != "done":
            out.notes.append(
                f"{clip.device}/{clip.camera}: clip {clip.id} ended as {settled.state}: {settled.reason}"
            )
        recording = self.recordings[clip.recording]
        recording.settle(settled, now.mono)
        self._advance(recording, now, out)

    def _expire(self, clip: Clip, now: Now, out: Decision) -> None:
        hours = self.settings.expire_after / 3600
        why = f"no worker could look at it within {hours:g} h. Start a worker, or a faster one"
        self._settle(Settled(clip, "expired", reason=why), now, out)

    def pass_time(self, now: Now, out: Decision) -> None:
        while self._ageing and now.mono >= self._ageing[0][0]:
            clip = self.unfinished.get(self._ageing.popleft()[1])
            if clip is not None:
                self._aged.add(clip.id)
        leases, aloft = self._pool.leases, self.aloft
        for clip_id in [one for one in self._aged if one not in leases and one not in aloft]:
            self._pool.remove(clip_id)
            self._expire(self.unfinished[clip_id], now, out)
        while self._due and now.mono >= self._due[0][0]:
            at, recording_id = heappop(self._due)
            if self._due_at.get(recording_id) != at:
                continue
            del self._due_at[recording_id]
            recording = self.recordings[recording_id]
            wake = recording.wake_at()
            if wake is not None and now.mono >= wake:
                self._advance(recording, now, out)
            else:
                self._look_again(recording)

    def wake_at(self) -> float | None:
        while self._ageing and self._ageing[0][1] not in self.unfinished:
            self._ageing.popleft()
        times = [self._ageing[0][0]] if self._ageing else []
        times += [self._due[0][0]] if self._due else []
        return min(times, default=None)

    # --- recordings -----------------------------------------------------------------------------

    def _look_again(self, recording: Recording) -> None:
        """One entry for each recording: a later one is not needed, for the earlier looks again."""
        at = recording.wake_at()
        if at is not None and at < self._due_at.get(recording.id, inf):
            self._due_at[recording.id] = at
            heappush(self._due, (at, recording.id))

    def _advance(self, recording: Recording, now: Now, out: Decision) -> None:
        changes = recording.advance(now.mono, self._new_id)
        out.changes += changes
        out.notes += [
            _in_words(c) for c in changes if isinstance(c, EventSaved) and c.record.state.revision == 1
        ]
        self._index(recording)
        if recording.is_complete() or recording.is_stale(now.mono):
            out.changes += recording.close()
            del self.recordings[recording.id]
            self._due_at.pop(recording.id, None)
            self._forget(recording)
        else:
            self._look_again(recording)
        self._announce_counts(recording, now, out)

    def _index(self, recording: Recording) -> None:
        if recording.events:
            self._in_view.setdefault((recording.device, recording.camera), set()).add(recording.id)

    def _forget(self, recording: Recording) -> None:
        ids = self._in_view.get((recording.device, recording.camera))
        if ids is not None:
            ids.discard(recording.id)
            if not ids:
                del self._in_view[recording.device, recording.camera]

    def _announce_counts(self, recording: Recording, now: Now, out: Decision) -> None:
        key = (recording.device, recording.camera)
        before, after = self._counts.get(key, {}), self._count(key, now)
        for label in sorted(before.keys() | after.keys()):
            if label not in RESERVED and before.get(label, 0) != after.get(label, 0):
                out.changes.append(count_message(*key, label, after.get(label, 0)))
        self._counts[key] = after

    def _count(self, key: tuple[str, str], now: Now) -> dict[str, int]:
        totals: dict[str, int] = {}
        for recording_id in self._in_view.get(key, ()):
            for label, count in self.recordings[recording_id].counts(now.wall).items():
                totals[label] = totals.get(label, 0) + count
        return totals


def _in_words(saved: EventSaved) -> str:
    state = saved.record.state
    return f"{state.device}/{state.camera}: event {state.id}: {state.label} (score {state.score:.2f})"
