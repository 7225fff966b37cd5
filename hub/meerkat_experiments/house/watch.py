"""The invariants: what must hold in the house whatever happens.

The watch stands outside the hub. It hears what the hub commits, decides and publishes, and what the
devices forget, keeps its own books, and raises Broken when the two do not agree.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import format_exception
from zlib import crc32

from sqlalchemy import Engine, select

from meerkat_cloud_burst.news import CloudAnswered, SendOut
from meerkat_contract.messages import HubState, WorkerState
from meerkat_hub.adapters import schema as db
from meerkat_hub.adapters.store import Store, Waiting
from meerkat_hub.core.clips import CLIPS
from meerkat_hub.core.inputs import (
    BusChanged,
    Input,
    MediaLost,
    ResultArrived,
    SendFailed,
    WorkerAbsent,
    WorkerSeen,
)
from meerkat_hub.core.machine import HubCore
from meerkat_hub.core.outputs import (
    CancelJob,
    Change,
    ClipSettled,
    ClipStored,
    Decision,
    Effect,
    PictureStored,
    SendFrame,
    SendJob,
)

from .network import Packet
from .trace import Trace

INVARIANTS = {
    "acknowledged": "what a device forgot on a receipt is in the database, with its file while it waits",
    "one result": "each clip is stored once and ends once, by a result whose lease was good",
    "frames": "each is done, dropped for a reason that is told, or in work; the bytes of the others are gone",
    "window": "no worker holds more leases than its window",
    "at home": "no clip of a camera that says never leaves the house, and none that is at a worker of it",
    "money": "what the cloud's machines have cost in a day never passes the ceiling",
    "counts": "received = done + failed + expired + waiting, in the hub's state and in the database",
    "ends": "once the faults are over, everything durable ends and is published",
    "rest": "a hub with nothing to do does nothing",
    "no fault": "no exception but those that say what is wrong and what helps",
}


PRIVATE = "device-0"
"""The device whose camera says never."""

WORKFLOW = "door"
"""The workflow of the house, to which its cameras' frames go."""


class Broken(BaseException):
    """An invariant does not hold. No error handling of the hub's may swallow it."""

    def __init__(self, invariant: str, what: str) -> None:
        self.invariant = invariant
        self.what = what
        super().__init__(f"{invariant}: {what}")


@dataclass(slots=True)
class _Lease:
    clip: str
    worker: str
    incarnation: str
    over: str = ""
    """Why a result with this token must not count any more."""
    held: bool = True
    """Whether it takes a place in the worker's window."""


class Watch:
    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self.note = trace.note
        self.stored: set[str] = set()
        self.pictures: set[str] = set()
        self.settled: dict[str, str] = {}
        """Clip → done | failed | expired, as committed."""
        self._fates: dict[str, int] = {}
        """What this start of the hub says became of frames."""
        self._ended: Counter[str] = Counter()
        self.unheard: set[tuple[str, int]] = set()
        """Topic and checksum of what was committed to be published and never came to the broker."""
        self._told: dict[str, int] = {}
        self._leases: dict[int, _Lease] = {}
        self._workers: dict[str, WorkerState] = {}
        self._flown: set[tuple[str, int]] = set()
        """Job and token of every order."""
        self._private: set[str] = set()
        """Clips of the camera that says never."""

    @property
    def waiting(self) -> int:
        return len(self.stored) - len(self.settled)

    # --- what the hub does ----------------------------------------------------------------------

    def loading(self) -> None:
        """The hub starts anew: whatever was leased is not, and whoever was known is not."""
        for lease in self._leases.values():
            lease.over = lease.over or "of an earlier start of the hub"
            lease.held = False
        self._workers.clear()
        self._fates = {}

    def stepped(self, happened: Input, decision: Decision) -> None:
        """The core took one input and decided."""
        match happened:
            case ResultArrived(worker=worker, result=result):
                lease = self._leases.get(result.token)
                for change in decision.changes:
                    if isinstance(change, ClipSettled) and change.id == result.job and change.worker:
                        self._check_fence(worker, result.token, result.job, lease)
                said = (worker, result.incarnation, result.job)
                if lease is not None and (lease.worker, lease.incarnation, lease.clip) == said:
                    self._end((lease,), "answered already")
            case WorkerSeen(state=state):
                self._worker(state)
            case BusChanged(up=False):
                for lease in self._leases.values():
                    lease.held = False
            case SendFailed(token=token):
                self._end(self._by_token(token), "never sent")
            case WorkerAbsent(worker=worker, token=token):
                known = token is None or any(
                    lease.worker == worker and lease.held for lease in self._by_token(token)
                )
                if known:
                    self._end([lease for lease in self._leases.values() if lease.worker == worker], "")
                    self._workers.pop(worker, None)
            case MediaLost(clip=clip, reason=reason):
                raise Broken("acknowledged", f"the file of {clip[:8]} was gone: {reason}")
            case _:
                pass
        self._cloud_answered(happened, decision)
        self._effects(decision.effects)

    def _cloud_answered(self, happened: Input, decision: Decision) -> None:
        if not isinstance(happened, CloudAnswered):
            return
        job, token = happened.result.job, happened.result.token
        self.note("sky", f"answers {job[:8]}", count="answers of the cloud")
        settled = any(isinstance(change, ClipSettled) and change.worker for change in decision.changes)
        if settled and (job, token) not in self._flown:
            raise Broken("one result", f"the cloud's word on {job[:8]}, which was never sent, counts")

    def _worker(self, state: WorkerState) -> None:
        known = self._workers.get(state.worker)
        same = known is not None and known.incarnation == state.incarnation
        if known is not None and not state.online and not same:
            return  # the will of an earlier start
        if not same or not state.online:
            mine = [lease for lease in self._leases.values() if lease.worker == state.worker and lease.held]
            self._end(mine, "of a worker that was gone since")
        if state.online:
            self._workers[state.worker] = state
        else:
            self._workers.pop(state.worker, None)

    def _end(self, leases: Iterable[_Lease], why: str) -> None:
        for lease in leases:
            lease.held = False
            lease.over = lease.over or why

    def _effects(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case CancelJob(token=token):
                    self._end(self._by_token(token), "cancelled")
                case SendJob(worker=worker, job=job) | SendFrame(worker=worker, job=job):
                    known = self._workers.get(worker)
                    if known is None:
                        raise Broken("window", f"{worker} is sent {job.job}, and is not there")
                    self._forget_old()
                    self._leases[job.token] = _Lease(job.job, worker, known.incarnation)
                    held = sum(lease.worker == worker and lease.held for lease in self._leases.values())
                    if held > known.window:
                        raise Broken("window", f"{worker} holds {held} leases, its window is {known.window}")
                    self.note("hub", f"job {job.job[:8]} token {job.token} to {worker}", count="jobs sent")
                    if job.ahead:
                        self.note("hub", f"job {job.job[:8]} goes ahead", count="jobs sent ahead")
                case SendOut(order=order):
                    self._sent_out(order.job.job, order.job.token)
                case _:
                    pass

    def _sent_out(self, clip: str, token: int) -> None:
        if clip in self._private:
            raise Broken("at home", f"clip {clip[:8]} is sent out, and its camera says never")
        self._flown.add((clip, token))
        self.note("hub", f"sends {clip[:8]} out, token {token}", count="clips sent out")

    def _by_token(self, token: int) -> list[_Lease]:
        return [self._leases[token]] if token in self._leases else []

    def _forget_old(self) -> None:
        """The oldest of those that are over; a result as late as that would be told as unknown."""
        while len(self._leases) > 1024:
            del self._leases[next(iter(self._leases))]

    def _check_fence(self, worker: str, token: int, clip: str, lease: _Lease | None) -> None:
        said = f"the result for {clip[:8]} by {worker} with token {token} was recorded"
        if lease is None:
            raise Broken("one result", f"{said}, and there never was such a lease")
        if lease.clip != clip or lease.worker != worker:
            raise Broken("one result", f"{said}, and that lease is {lease.worker}'s on {lease.clip[:8]}")
        if lease.over:
            raise Broken("one result", f"{said}, and that lease was {lease.over}")

    def committed(self, changes: Sequence[Change], fresh: Sequence[Waiting]) -> None:
        """The hub has written this to its database."""
        for change in changes:
            match change:
                case ClipStored(clip=clip):
                    if clip.id in self.stored:
                        raise Broken("one result", f"clip {clip.id[:8]} was stored twice")
                    self.stored.add(clip.id)
                    if clip.device == PRIVATE:
                        self._private.add(clip.id)
                    self.note("hub", f"stored {clip.id[:8]}", count="clips stored")
                case ClipSettled(id=clip_id, state=state):
                    before = self.settled.get(clip_id)
                    if before is not None:
                        raise Broken("one result", f"clip {clip_id[:8]} ended twice: {before}, then {state}")
                    if clip_id not in self.stored:
                        raise Broken("one result", f"clip {clip_id[:8]} ended and was never stored")
                    self.settled[clip_id] = state
                    self._ended[state] += 1
                    self.note("hub", f"{state} {clip_id[:8]} {change.reason}", count=f"clips {state}")
                case PictureStored(picture=picture):
                    self.pictures.add(picture.id)
                    self.note("hub", f"kept picture {picture.id[:8]}", count="pictures kept")
                case _:
                    pass
        for waiting in fresh:
            if waiting.announce.event_picture is None:
                self.unheard.add((waiting.announce.topic, crc32(waiting.announce.payload)))

    def stated(self, state: HubState, core: HubCore, bytes_of: int) -> None:
        """The hub says how much it has; told after each commit. `bytes_of` so many frames are held."""
        at_workers = Counter(leases[0].item.flow == CLIPS for leases in core.leases.values())
        aloft = core.clips.aloft
        both = [clip for clip in aloft if core.pool.has(clip)]
        if both:
            raise Broken("at home", f"clip {both[0][:8]} is in the cloud and in the pool of the house")
        if state.backlog + at_workers[True] + len(aloft) != self.waiting:
            raise Broken(
                "counts",
                f"{state.backlog} clips wait, {at_workers[True]} are at workers and {len(aloft)} aloft, "
                f"but {len(self.stored)} were stored and {len(self.settled)} have ended",
            )
        waiting = len(core.waiting) + len(core.pool.aside)
        self._check_frames(core, waiting - state.backlog + at_workers[False], bytes_of)
        for name in ("done", "failed", "expired"):
            if getattr(state, name) != self._ended[name]:
                said = f"{getattr(state, name)} {name} by its state, {self._ended[name]} committed"
                raise Broken("counts", said)

    def _check_frames(self, core: HubCore, in_work: int, bytes_of: int) -> None:
        """Every frame that a workflow received is done, dropped for a reason that is told, or in work."""
        fates = core.workflows.totals()
        met = sum(count for fate, count in fates.items() if fate != "received")
        for fate, count in fates.items():
            self._trace.counts[f"frames {fate}"] += count - self._fates.get(fate, 0)
        self._fates = fates
        if fates["received"] != met + in_work:
            raise Broken("frames", f"{in_work} are in the pool, and the workflow says {fates}")
        if bytes_of < in_work:
            raise Broken("frames", f"{in_work} are in work, and the bytes of {bytes_of} are held")

    def check_database(self, store: Store, engine: Engine, media: Path) -> None:
        """The file against the books: each clip, each count, and the media of what waits."""
        with engine.connect() as connection:
            rows = connection.execute(select(db.clips.c.id, db.clips.c.state)).all()
            pictures = set(connection.execute(select(db.meter_pictures.c.id)).scalars())
        found = {row.id: row.state for row in rows}
        for clip_id in self.stored:
            want = self.settled.get(clip_id, "waiting")
            if found.get(clip_id) != want:
                have = found.get(clip_id, "absent")
                raise Broken("acknowledged", f"clip {clip_id[:8]} is {have} in the database, not {want}")
            if want == "waiting" and not (media / "clips" / clip_id[34:36] / f"{clip_id}.mp4").exists():
                raise Broken("acknowledged", f"the file of clip {clip_id[:8]} is gone, and it still waits")
        if len(found) != len(self.stored) or pictures != self.pictures:
            raise Broken("counts", "the database has rows that were never committed")
        totals = store.totals()
        expected = {"received": len(self.stored), "waiting": self.waiting, "pictures": len(pictures)}
        expected |= self._ended
        for name, want_count in expected.items():
            if totals.get(name, 0) != want_count:
                raise Broken("counts", f"the total of {name} is {totals.get(name, 0)}, not {want_count}")

    def billed(self, dollars: float, ceiling: float) -> None:
        """What the machines of the cloud have cost since the world began, which is less than a day ago."""
        if dollars > ceiling:
            raise Broken("money", f"machines have cost ${dollars:.4f}, above the ceiling of ${ceiling:.2f}")

    # --- what others do -------------------------------------------------------------------------

    def accepted(self, packet: Packet) -> None:
        """The broker has a message."""
        checksum = crc32(packet.payload)
        self.note("broker", f"{packet.topic} {len(packet.payload)} {checksum:08x}", count="messages")
        self.unheard.discard((packet.topic, checksum))
        if packet.topic.endswith("/outcome"):
            clip_id = json.loads(packet.payload)["id"]
            if self._told.setdefault(clip_id, checksum) != checksum:
                raise Broken("one result", f"two different outcomes of clip {clip_id[:8]} were published")
            if clip_id not in self.settled:
                raise Broken("one result", f"the outcome of {clip_id[:8]} came before its commit")

    def forgotten(self, device: str, media_id: str) -> None:
        """A device trusts a receipt and deletes its copy."""
        self.note(device, f"forgets {media_id[:8]}", count="forgotten by devices")
        if media_id not in self.stored and media_id not in self.pictures:
            raise Broken("acknowledged", f"{device} forgot {media_id[:8]}, and the hub does not have it")

    def fault(self, where: str, error: BaseException) -> None:
        """An exception that no one foresaw. Its traceback stands at the end of what is shown."""
        for line in format_exception(error)[-8:]:
            self._trace.tail.extend(line.rstrip().splitlines())
        raise Broken("no fault", f"{where}: {type(error).__name__}: {error}") from error

    # --- what the hub's process tells -----------------------------------------------------------

    def carried_out(self, effect: Effect) -> None:
        """An effect goes out, after its commit."""
        self.note("hub", f"does {type(effect).__name__}")
