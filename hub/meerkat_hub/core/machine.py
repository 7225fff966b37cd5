"""The hub's state and the one entry point that changes it.

    clip     waiting ──send──► leased ──result──► done
                ▲                │  └──refused──► failed
                └── try again ◄──┘       (lease over, worker gone, retry asked: MAX_TRIES at most)
             waiting for EXPIRE_AFTER ──────────► expired

A lease is void at a restart of the hub: what was leased waits again. A result counts only with the
lease's fencing token and the worker's incarnation, so that each clip gets exactly one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from meerkat_contract.messages import Job, Receipt, Result, WorkerState

from . import dispatch
from .announcements import count_message
from .inputs import (
    AlreadyKnown,
    BusChanged,
    ClipArrived,
    Input,
    MediaLost,
    PictureArrived,
    Refused,
    ResultArrived,
    SendFailed,
    TimeReached,
    WorkerAbsent,
    WorkerSeen,
)
from .outputs import (
    CancelJob,
    ClipSettled,
    ClipStored,
    ClipTried,
    Decision,
    EventSaved,
    PictureStored,
    RefusalNoted,
    SendJob,
    SendReceipt,
)
from .recording import Recording
from .records import Clip, Lease, Now, RecordingSnapshot, Refusal, Settled, Worker

TASK = "detect_objects"
MAX_TRIES = 3
PAUSE = 1.0
"""Seconds without a job for a worker that handed one back unbegun (its window is full, it is ending)."""

REMEMBERED = 4096
"""Ids of clips that ended lately, for duplicates that arrive before the database is asked."""


@dataclass(frozen=True, slots=True)
class CoreSettings:
    expire_after: float = 24 * 3600.0
    """Seconds a clip may wait at the hub before it is given up."""


class HubCore:
    """`step` is the only way in. Times come in with it; ids come from `new_id`."""

    def __init__(
        self,
        *,
        epoch: int,
        new_id: Callable[[], str],
        settings: CoreSettings | None = None,
    ) -> None:
        self.settings = settings or CoreSettings()
        self.waiting: OrderedDict[str, Clip] = OrderedDict()
        self.leases: dict[str, Lease] = {}
        self.workers: dict[str, Worker] = {}
        self.recordings: dict[str, Recording] = {}
        self.bus_up = False
        self._new_id = new_id
        self._token = epoch << 32
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._counts: dict[tuple[str, str], dict[str, int]] = {}

    def load(self, recordings: Iterable[RecordingSnapshot], waiting: Iterable[Clip], now: Now) -> None:
        """Take over what the database holds: open recordings, and clips that have not ended."""
        for snapshot in recordings:
            self.recordings[snapshot.id] = Recording.restore(snapshot, now.mono)
        for clip in waiting:
            self._enqueue(clip, now)
        for recording in self.recordings.values():
            key = (recording.device, recording.camera)
            self._counts[key] = self._count(key, now)

    def knows(self, clip_id: str) -> bool:
        """Whether a clip of this id waits, is being looked at, or ended lately."""
        return clip_id in self.waiting or clip_id in self.leases or clip_id in self._ended

    # --- the entry point ------------------------------------------------------------------------

    def step(self, happened: Input, now: Now) -> Decision:
        """What follows from one input: changes to commit, effects to carry out after the commit."""
        out = Decision()
        match happened:
            case ClipArrived():
                self._clip_arrived(happened, now, out)
            case AlreadyKnown(id=media_id, device=device):
                out.effects.append(SendReceipt(device, Receipt(id=media_id, outcome="duplicate")))
            case PictureArrived(picture=picture):
                out.changes.append(PictureStored(picture))
                out.effects.append(SendReceipt(picture.device, Receipt(id=picture.id, outcome="stored")))
                out.notes.append(f"{picture.device}/{picture.meter}: picture {picture.id} is kept")
            case Refused(refusal=refusal):
                self._refused(refusal, out)
            case WorkerSeen(state=state):
                self._worker_seen(state, now, out)
            case ResultArrived(worker=worker, result=result):
                self._result(worker, result, now, out)
            case SendFailed(clip=clip_id, token=token):
                self._take_back(clip_id, token, now.mono)
            case WorkerAbsent(worker=worker, clip=clip_id, token=token):
                self._worker_absent(worker, clip_id, token)
            case MediaLost(clip=clip_id, reason=reason):
                self._media_lost(clip_id, reason, now, out)
            case BusChanged(up=up):
                self._bus_changed(up)
            case TimeReached():
                pass
        self._pass_time(now, out)
        self._dispatch(now, out)
        return out

    def wake_at(self) -> float | None:
        """The next monotonic time at which `step(TimeReached())` may have something to do."""
        times = [lease.expires for lease in self.leases.values()]
        times += [w.paused_until for w in self.workers.values() if w.paused_until and self.waiting]
        times += [t for r in self.recordings.values() if (t := r.wake_at()) is not None]
        return min(times, default=None)

    def _refused(self, refusal: Refusal, out: Decision) -> None:
        out.changes.append(RefusalNoted(refusal))
        out.notes.append(f"refused: {refusal.reason}")
        if refusal.id and refusal.device:
            receipt = Receipt(id=refusal.id, outcome="refused", reason=refusal.reason)
            out.effects.append(SendReceipt(refusal.device, receipt))

    # --- clips ----------------------------------------------------------------------------------

    def _clip_arrived(self, arrived: ClipArrived, now: Now, out: Decision) -> None:
        clip = arrived.clip
        if self.knows(clip.id):
            out.effects.append(SendReceipt(clip.device, Receipt(id=clip.id, outcome="duplicate")))
            return
        if arrived.earlier is not None and arrived.earlier.id not in self.recordings:
            self.recordings[arrived.earlier.id] = Recording.restore(arrived.earlier, now.mono)
        self._enqueue(clip, now)
        out.changes.append(ClipStored(clip))
        out.effects.append(SendReceipt(clip.device, Receipt(id=clip.id, outcome="stored")))

    def _enqueue(self, clip: Clip, now: Now) -> None:
        recording = self.recordings.get(clip.recording)
        if recording is None:
            recording = Recording(clip.recording, clip.device, clip.camera)
            self.recordings[clip.recording] = recording
        recording.arrive(clip, now.mono)
        self.waiting[clip.id] = clip

    def _settle(
        self, settled: Settled, now: Now, out: Decision, *, seconds: float = 0, worker: str = ""
    ) -> None:
        clip = settled.clip
        self.waiting.pop(clip.id, None)
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

    def _advance(self, recording: Recording, now: Now, out: Decision) -> None:
        changes = recording.advance(now.mono, self._new_id)
        out.changes += changes
        out.notes += [
            _in_words(c) for c in changes if isinstance(c, EventSaved) and c.record.state.revision == 1
        ]
        if recording.is_complete() or recording.is_stale(now.mono):
            out.changes += recording.close()
            del self.recordings[recording.id]
        self._announce_counts(recording, now, out)

    def _announce_counts(self, recording: Recording, now: Now, out: Decision) -> None:
        key = (recording.device, recording.camera)
        before, after = self._counts.get(key, {}), self._count(key, now)
        for label in sorted(before.keys() | after.keys()):
            if before.get(label, 0) != after.get(label, 0):
                out.changes.append(count_message(*key, label, after.get(label, 0)))
        self._counts[key] = after

    def _count(self, key: tuple[str, str], now: Now) -> dict[str, int]:
        totals: dict[str, int] = {}
        for recording in self.recordings.values():
            if (recording.device, recording.camera) == key:
                for label, count in recording.counts(now.wall).items():
                    totals[label] = totals.get(label, 0) + count
        return totals

    # --- leases ---------------------------------------------------------------------------------

    def _result(self, worker_id: str, result: Result, now: Now, out: Decision) -> None:
        lease = self.leases.get(result.job)
        worker = self.workers.get(worker_id)
        if (
            lease is None
            or worker is None
            or lease.worker != worker_id
            or lease.token != result.token
            or lease.incarnation != result.incarnation
        ):
            out.notes.append(f"worker {worker_id}: a result for {result.job} came too late and is ignored")
            return
        self._release(lease)
        if result.state == "failed" and result.retry and not result.frames and not result.seconds:
            worker.paused_until = now.mono + PAUSE
            self._back_to_queue(lease.clip)
            out.notes.append(f"worker {worker_id} handed {lease.clip.id} back: {result.reason}")
        elif result.state == "failed" and result.retry:
            self._try_again(lease.clip, result.reason or "the worker gave no reason", now, out)
        else:
            if result.state == "done":
                dispatch.observe(worker, TASK, result.frames, result.seconds)
            settled = Settled(
                lease.clip,
                result.state,
                result.tracks if result.state == "done" else (),
                result.model,
                result.reason,
                result.frames,
            )
            self._settle(settled, now, out, seconds=result.seconds, worker=worker_id)
        dispatch.repredict(worker.leases, worker, TASK, now.mono)

    def _release(self, lease: Lease) -> None:
        del self.leases[lease.clip.id]
        worker = self.workers.get(lease.worker)
        if worker is not None and lease in worker.leases:
            worker.leases.remove(lease)

    def _try_again(self, clip: Clip, reason: str, now: Now, out: Decision) -> None:
        clip = replace(clip, attempts=clip.attempts + 1)
        if clip.attempts >= MAX_TRIES:
            why = f"given up after {clip.attempts} tries; the last: {reason}"
            self._settle(Settled(clip, "failed", reason=why), now, out)
            return
        out.changes.append(ClipTried(clip.id, clip.attempts, reason))
        out.notes.append(f"{clip.device}/{clip.camera}: clip {clip.id} is tried again: {reason}")
        self._back_to_queue(clip)

    def _back_to_queue(self, clip: Clip) -> None:
        self.waiting[clip.id] = clip
        self.waiting.move_to_end(clip.id, last=False)
        self.recordings[clip.recording].pending[clip.id] = clip

    def _take_back(self, clip_id: str, token: int, now: float) -> None:
        """The job was never handed over: the clip waits on, and no try is counted."""
        lease = self.leases.get(clip_id)
        if lease is None or lease.token != token:
            return
        self._release(lease)
        self._back_to_queue(lease.clip)
        if (worker := self.workers.get(lease.worker)) is not None:
            worker.paused_until = now + PAUSE

    def _media_lost(self, clip_id: str, reason: str, now: Now, out: Decision) -> None:
        lease = self.leases.get(clip_id)
        clip = lease.clip if lease else self.waiting.get(clip_id)
        if lease is not None:
            self._release(lease)
        if clip is not None:
            self._settle(Settled(clip, "failed", reason=reason), now, out)

    # --- workers and the bus --------------------------------------------------------------------

    def _worker_seen(self, state: WorkerState, now: Now, out: Decision) -> None:
        known = self.workers.get(state.worker)
        gone = known is not None and (not state.online or known.incarnation != state.incarnation)
        if known is not None and gone:
            if not state.online and known.incarnation != state.incarnation:
                return  # the will of an earlier start, later than the new one's greeting
            self._worker_gone(known, now, out)
            known = None
        if not state.online:
            return
        tasks = {task.task: task for task in state.tasks}
        if known is None:
            self.workers[state.worker] = Worker(state.worker, state.incarnation, tasks, state.window)
            speed = (
                f"{tasks[TASK].frames_per_second:.1f} frames a second" if TASK in tasks else "no detection"
            )
            out.notes.append(f"worker {state.worker} is there: {speed}")
        else:
            if known.tasks != tasks:
                known.seconds_per_frame.clear()
            known.tasks, known.window = tasks, state.window

    def _worker_gone(self, worker: Worker, now: Now, out: Decision) -> None:
        del self.workers[worker.id]
        held = len(worker.leases)
        again = f"; {held} clip{'s wait' if held > 1 else ' waits'} again" if held else ""
        out.notes.append(f"worker {worker.id} is gone{again}")
        for position, lease in reversed(list(enumerate(worker.leases))):
            self.leases.pop(lease.clip.id, None)
            if position == 0:  # the one it was at may be what ended it
                self._try_again(lease.clip, f"worker {worker.id} went away in the middle of it", now, out)
            else:
                self._back_to_queue(lease.clip)

    def _worker_absent(self, worker_id: str, clip_id: str, token: int) -> None:
        """Forget it until it announces itself again, as it does when it connects; no try is counted."""
        lease = self.leases.get(clip_id)
        worker = self.workers.get(worker_id)
        if lease is None or lease.token != token or worker is None:
            return
        del self.workers[worker_id]
        for held in reversed(worker.leases):
            self.leases.pop(held.clip.id, None)
            self._back_to_queue(held.clip)

    def _bus_changed(self, up: bool) -> None:
        """Jobs in flight when the broker went may be lost: all of them wait again."""
        self.bus_up = up
        if up:
            return
        for lease in sorted(self.leases.values(), key=lambda lease: lease.token, reverse=True):
            self._release(lease)
            self._back_to_queue(lease.clip)

    # --- time and dispatch ----------------------------------------------------------------------

    def _pass_time(self, now: Now, out: Decision) -> None:
        for lease in [lease for lease in self.leases.values() if now.mono >= lease.expires]:
            self._release(lease)
            out.effects.append(CancelJob(lease.worker, lease.clip.id, lease.token))
            reason = f"worker {lease.worker} did not answer within {lease.expires - lease.sent:.0f} s"
            self._try_again(lease.clip, reason, now, out)
        while self.waiting:
            clip = next(iter(self.waiting.values()))
            if (now.wall - clip.received_at).total_seconds() < self.settings.expire_after:
                break
            hours = self.settings.expire_after / 3600
            why = f"no worker could look at it within {hours:g} h. Start a worker, or a faster one"
            self._settle(Settled(clip, "expired", reason=why), now, out)
        for worker in self.workers.values():
            if worker.paused_until and now.mono >= worker.paused_until:
                worker.paused_until = 0.0
        for recording in [r for r in self.recordings.values() if _due(r, now.mono)]:
            self._advance(recording, now, out)

    def _dispatch(self, now: Now, out: Decision) -> None:
        if not self.bus_up:
            return
        for choice in dispatch.plan(self.waiting.values(), self.workers.values(), TASK, now.mono):
            clip, worker = choice.clip, choice.worker
            self._token += 1
            lease = Lease(
                clip,
                worker.id,
                worker.incarnation,
                self._token,
                sent=now.mono,
                expires=now.mono + choice.lease,
                finish=choice.finish,
            )
            del self.waiting[clip.id]
            self.leases[clip.id] = lease
            worker.leases.append(lease)
            job = Job(
                job=clip.id,
                token=lease.token,
                task=TASK,
                device=clip.device,
                camera=clip.camera,
                media=clip.id,
                content_type=clip.content_type,
                captured_at=clip.captured_at,
                lease=choice.lease,
                sample_fps=dispatch.SAMPLE_FPS,
            )
            out.effects.append(SendJob(worker.id, job, clip))


def _in_words(saved: EventSaved) -> str:
    state = saved.record.state
    return f"{state.device}/{state.camera}: event {state.id}: {state.label} (score {state.score:.2f})"


def _due(recording: Recording, now: float) -> bool:
    at = recording.wake_at()
    return at is not None and now >= at
