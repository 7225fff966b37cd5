"""The hub's state and the one entry point that changes it.

    HubCore.step(input, now) ──► Decision(changes, effects, notes)

It only distributes: `clips` knows clips and recordings, `pool` the workers and who gets what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from meerkat_contract.messages import Receipt, Result

from .clips import CLIPS, Clips, CoreSettings
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
from .members import Member
from .outputs import CancelJob, Decision, PictureStored, RefusalNoted, SendReceipt
from .pool import Pool, PoolSettings
from .recording import Recording
from .records import Clip, Now, RecordingSnapshot, Refusal
from .work import Item, Lease, TryEnded


class HubCore:
    """`step` is the only way in. Times come in with it; ids come from `new_id`."""

    def __init__(
        self,
        *,
        epoch: int,
        new_id: Callable[[], str],
        settings: CoreSettings | None = None,
        pool: PoolSettings | None = None,
    ) -> None:
        self.pool = Pool(first_token=epoch << 32, settings=pool)
        self.clips = Clips(self.pool, new_id, settings or CoreSettings())
        self.bus_up = False

    def load(self, recordings: Iterable[RecordingSnapshot], waiting: Iterable[Clip], now: Now) -> None:
        """Take over what the database holds: open recordings, and clips that have not ended."""
        self.clips.load(recordings, waiting, now)

    def knows(self, clip_id: str) -> bool:
        """Whether a clip of this id waits, is being looked at, or ended lately."""
        return self.clips.knows(clip_id)

    @property
    def recordings(self) -> Mapping[str, Recording]:
        """Those that are open."""
        return self.clips.recordings

    @property
    def waiting(self) -> Mapping[str, Item]:
        """What waits for a worker."""
        return self.pool.queues.waiting

    @property
    def leases(self) -> Mapping[str, list[Lease]]:
        """What workers have been given, by item."""
        return self.pool.leases

    @property
    def workers(self) -> Mapping[str, Member]:
        return self.pool.members

    # --- the entry point ------------------------------------------------------------------------

    def step(self, happened: Input, now: Now) -> Decision:
        """What follows from one input: changes to commit, effects to carry out after the commit."""
        out = Decision()
        match happened:
            case ClipArrived():
                self.clips.arrived(happened, now, out)
            case AlreadyKnown(id=media_id, device=device):
                out.effects.append(SendReceipt(device, Receipt(id=media_id, outcome="duplicate")))
            case PictureArrived(picture=picture):
                out.changes.append(PictureStored(picture))
                out.effects.append(SendReceipt(picture.device, Receipt(id=picture.id, outcome="stored")))
                out.notes.append(f"{picture.device}/{picture.meter}: picture {picture.id} is kept")
            case Refused(refusal=refusal):
                self._refused(refusal, out)
            case ResultArrived(worker=worker, result=result):
                self._result(worker, result, now, out)
            case WorkerSeen() | SendFailed() | WorkerAbsent() | BusChanged():
                self._workers_changed(happened, now, out)
            case MediaLost(clip=clip_id, reason=reason):
                self.clips.media_lost(clip_id, reason, now, out)
            case TimeReached():
                pass
        self._pass_time(now, out)
        if self.bus_up:
            self._send(self.pool.dispatch(now.mono), now, out)
        return out

    def wake_at(self) -> float | None:
        """The next monotonic time at which `step(TimeReached())` may have something to do."""
        return min((at for at in (self.pool.wake_at(), self.clips.wake_at()) if at is not None), default=None)

    def _refused(self, refusal: Refusal, out: Decision) -> None:
        out.changes.append(RefusalNoted(refusal))
        out.notes.append(f"refused: {refusal.reason}")
        if refusal.id and refusal.device:
            receipt = Receipt(id=refusal.id, outcome="refused", reason=refusal.reason)
            out.effects.append(SendReceipt(refusal.device, receipt))

    def _workers_changed(
        self, happened: WorkerSeen | SendFailed | WorkerAbsent | BusChanged, now: Now, out: Decision
    ) -> None:
        match happened:
            case WorkerSeen(state=state):
                said, ended = self.pool.seen(state, now.mono)
                out.notes += [said] if said else []
                self._tries_ended(ended, now, out)
            case SendFailed(clip=item_id, token=token):
                self.pool.not_sent(item_id, token, now.mono)
            case WorkerAbsent(worker=worker, token=token):
                self.pool.absent(worker, token, now.mono)
            case BusChanged(up=up):
                self.bus_up = up
                if not up:
                    self.pool.bus_down()

    # --- what comes of leases -------------------------------------------------------------------

    def _result(self, worker: str, result: Result, now: Now, out: Decision) -> None:
        answer = self.pool.answer(worker, result, now.mono)
        if answer is None:
            out.notes.append(f"worker {worker}: a result for {result.job} came too late and is ignored")
            return
        self._call_off(answer.void, out)
        if answer.elsewhere:
            out.notes.append(
                f"worker {worker} failed at {result.job}, which another has too: {result.reason}"
            )
        elif answer.lease.item.flow == CLIPS:
            self.clips.answered(answer, result, now, out)

    def _pass_time(self, now: Now, out: Decision) -> None:
        passed = self.pool.pass_time(now.mono)
        self._call_off(passed.over, out)
        self._tries_ended(passed.ended, now, out)
        self.clips.pass_time(now, out)

    def _tries_ended(self, ended: Iterable[TryEnded], now: Now, out: Decision) -> None:
        for tried in ended:
            if tried.item.flow == CLIPS:
                self.clips.try_ended(tried, now, out)

    def _call_off(self, leases: Iterable[Lease], out: Decision) -> None:
        out.effects += [CancelJob(lease.worker, lease.item.id, lease.token) for lease in leases]

    def _send(self, leases: Iterable[Lease], now: Now, out: Decision) -> None:
        for lease in leases:
            if lease.item.flow == CLIPS:
                out.effects.append(self.clips.job(lease, now))
