"""The hub's state and the one entry point that changes it.

    HubCore.step(input, now) ──► Decision(changes, effects, notes)

It only distributes: `clips` knows clips and recordings, `meters` meters' pictures and what they read,
`workflows` what is done with frames, `pool` the workers and who gets what, `cloud` what goes out of the
house.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from meerkat_cloud_burst.policy.view import Policy as BurstPolicy
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.messages import Receipt, Result

from .clips import CLIPS, TASK, Clips, CoreSettings
from .cloud.cloud import Cloud
from .cloud.permission import SaidNow, nothing_said
from .cloud_records import NO_BURST, BurstQuestion, CloudInput, ShowBurst, StoredBurst
from .inputs import (
    AlreadyKnown,
    BusChanged,
    CamerasTold,
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
from .meter_records import (
    NO_METERS,
    ConfiguredMeter,
    MeterAsked,
    MeterKey,
    MetersAsked,
    SeenArrived,
    StoredMeters,
)
from .meters.meters import Meters
from .meters.pictures import FLOWS as METER_FLOWS
from .missing import Missing
from .outputs import CallWorker, CancelJob, Decision, RefusalNoted, SendFrame, SendReceipt
from .pool.members import Member
from .pool.pool import Pool
from .pool.settings import PoolSettings
from .pool.work import NOTHING_PASSED, Answer, Dropped, Flow, Item, Lease, TryEnded
from .presence import Counts, Presence
from .recording import Recording
from .records import Clip, Now, RecordingSnapshot
from .resting import Resting
from .times import soonest
from .workflow_records import (
    FrameArrived,
    Plan,
    Policy,
    Stored,
    WorkflowRequested,
    WorkflowsAsked,
    WorkflowSpec,
    WorkflowWithdrawn,
)
from .workflows.gallery import Gallery
from .workflows.outcome import Outcome
from .workflows.recognition import Recogniser
from .workflows.workflows import Workflows
from .zones import ZonesOf, no_zones

NOBODY_YET: Counts = {}

MEASURED_EVERY = 1.0
"""Seconds between two looks of the orchestrator at a worker's measured speed."""

_FRAMES = (FrameArrived, ResultArrived)
"""What comes most often, and mostly concerns frames alone."""


class HubCore:
    """`step` is the only way in. Times come in with it; ids come from `new_id`."""

    def __init__(
        self,
        *,
        epoch: int,
        new_id: Callable[[], str],
        settings: CoreSettings | None = None,
        pool: PoolSettings | None = None,
        policy: Policy | None = None,
        recogniser: Recogniser | None = None,
        local: Callable[[datetime], datetime] = lambda wall: wall,
        zones_of: ZonesOf = no_zones,
        meters: Mapping[MeterKey, ConfiguredMeter] | None = None,
        burst: tuple[BurstSettings, BurstPolicy] | None = None,
        cloud_of: SaidNow = nothing_said,
    ) -> None:
        """`local` gives a UTC time in the zone of the house; `recogniser` knows its people; `meters` are
        those of the configuration; `burst` where it is switched on there; `cloud_of` is what a camera says
        of the cloud now."""
        self.settings = settings or CoreSettings()
        self.pool = Pool(first_token=epoch << 32, settings=pool)
        self.clips = Clips(self.pool, new_id, self.settings, zones_of)
        self.meters = Meters(self.pool, new_id, expire_after=self.settings.expire_after, configured=meters)
        self.workflows = Workflows(
            new_id=new_id,
            recogniser=recogniser or Gallery(),
            policy=policy,
            local=local,
            zones_of=zones_of,
        )
        self.cloud: Cloud | None = None
        """None: nothing leaves the house."""
        if burst is not None:
            self.cloud = Cloud(
                self.clips, self.pool, *burst, first_token=epoch << 32, new_id=new_id, said_now=cloud_of
            )
        self.presence = Presence(local, zones_of)
        self._missing = Missing()
        self._resting = Resting(self.clips, self.meters, self.presence)
        self.bus_up = False
        self.deals = True
        """Whether a step looks at the time and deals out work: not while more inputs of the same moment
        follow, see Turn."""
        self._flows: set[str] = set()
        """Of workflows, open in the pool."""
        self._told: dict[str, float] = {}
        """When the orchestrator last heard of a worker's measured speed."""

    def load(
        self,
        recordings: Iterable[RecordingSnapshot],
        waiting: Iterable[Clip],
        now: Now,
        *,
        configured: Mapping[str, WorkflowSpec] | None = None,
        stored: Sequence[Stored] = (),
        meters: StoredMeters = NO_METERS,
        burst: StoredBurst = NO_BURST,
        today: Counts = NOBODY_YET,
    ) -> Decision:
        """Take over what the database holds: open recordings, clips that have not ended, and so on."""
        aloft = {flight.id for flight in burst.flights if flight.aloft} if self.cloud is not None else ()
        self.clips.load(recordings, waiting, now, aloft)
        out = self.meters.load(meters, now)
        if self.cloud is not None:
            self.cloud.load(burst, now, out)
        self.presence.load(today, now)
        self._apply(self.workflows.load(configured or {}, stored, now), now, out)
        return out

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
        if not isinstance(happened, _FRAMES):
            self._resting.stir()
        match happened:  # the most frequent first
            case FrameArrived():
                self._apply(self.workflows.happened(happened, now), now, out)
            case ResultArrived(worker=worker, result=result):
                self._result(worker, result, now, out)
            case ClipArrived():
                self.clips.arrived(happened, now, out)
            case PictureArrived():
                self.meters.arrived(happened, now, out)
            case SeenArrived() | MeterAsked() | MetersAsked():
                self.meters.happened(happened, now, out)
            case AlreadyKnown() | Refused():
                self._not_taken(happened, out)
            case WorkerSeen() | SendFailed() | WorkerAbsent() | BusChanged():
                self._workers_changed(happened, now, out)
            case MediaLost(clip=clip_id, reason=reason):
                self._media_lost(clip_id, reason, now, out)
            case _:
                self._otherwise(happened, now, out)
        if self.deals or isinstance(happened, TimeReached):
            self._pass_time(now, out)
            self._deal(now, out)
        if out.changes:
            self.presence.follow(out.changes, now, out)
            self._resting.stir()
        return out

    def wake_at(self) -> float | None:
        """The next monotonic time at which `step(TimeReached())` may have something to do."""
        times = [self.pool.wake_at(), self._resting.wake_at(), self.workflows.wake_at()]
        times.append(self._missing.wake_at())
        if self.cloud is not None:
            times.append(self.cloud.wake_at())
        return soonest(times)

    def _otherwise(
        self,
        happened: WorkflowRequested
        | WorkflowWithdrawn
        | WorkflowsAsked
        | CamerasTold
        | TimeReached
        | CloudInput,
        now: Now,
        out: Decision,
    ) -> None:
        if isinstance(happened, WorkflowRequested | WorkflowWithdrawn | WorkflowsAsked):
            self._apply(self.workflows.happened(happened, now), now, out)
        elif isinstance(happened, CamerasTold):
            self.presence.described(happened, now, out)
            if self.cloud is not None:
                self.cloud.described(happened)
        elif isinstance(happened, TimeReached):
            return
        elif isinstance(happened, BurstQuestion):
            view = None if self.cloud is None else self.cloud.view(now)
            out.effects.append(ShowBurst(happened.ticket, view))
        elif self.cloud is not None:
            self.cloud.happened(happened, now, out)

    def _not_taken(self, happened: AlreadyKnown | Refused, out: Decision) -> None:
        if isinstance(happened, AlreadyKnown):
            receipt = Receipt(id=happened.id, outcome="duplicate")
            out.effects.append(SendReceipt(happened.device, receipt))
            return
        refusal = happened.refusal
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
                if state.online:
                    self._missing.back(state.worker)
                else:
                    self._told.pop(state.worker, None)
                self._apply(self.workflows.worker_seen(state, now), now, out)
            case SendFailed(clip=item_id, token=token, reason=reason):
                self.pool.not_sent(item_id, token, now.mono, reason)
            case WorkerAbsent(worker=worker, token=token):
                self._absent(worker, token, now, out)
            case BusChanged(up=up):
                self.bus_up = up
                if self.cloud is not None:
                    self.cloud.bus_changed(up, now)
                if not up:
                    self.pool.bus_down()

    def _absent(self, worker: str, token: int | None, now: Now, out: Decision) -> None:
        """Nobody listens to its jobs: neither pool nor workflows count on it until it announces itself."""
        if self.pool.absent(worker, token, now.mono):
            out.notes.append(f"worker {worker} is not there: nobody listens to its jobs")
        elif token is not None:
            return  # it was given to somebody else since
        self._told.pop(worker, None)
        self._missing.absent(worker, now.mono)
        self._apply(self.workflows.worker_absent(worker, now), now, out)

    # --- what comes of leases -------------------------------------------------------------------

    def _result(self, worker: str, result: Result, now: Now, out: Decision) -> None:
        answer = self.pool.answer(worker, result, now.mono)
        if answer is None:
            member = self.pool.members.get(worker)
            another = member is not None and member.incarnation != result.incarnation
            why = "is of another start than the worker's latest" if another else "came too late"
            out.notes.append(f"worker {worker}: a result for {result.job} {why} and is ignored")
            return
        if answer.void:
            self._call_off(answer.void, out)
        if answer.lease.item.flow not in self._flows:
            self._resting.stir()
        if answer.kept:
            out.notes.append(f"worker {worker} did not do {result.job}; others will: {result.reason}")
        elif answer.lease.item.flow == CLIPS:
            self.clips.answered(answer, result, now, out)
        elif answer.lease.item.flow in METER_FLOWS:
            self.meters.pictures.answered(answer, result, now, out)
        else:
            self._frame_answered(answer, result, now, out)
        if result.state == "done" and now.mono >= self._told.get(worker, 0.0) + MEASURED_EVERY:
            self._told[worker] = now.mono
            member = self.pool.members[worker]
            speeds = {task: member.capacity(task) for task in member.tasks}
            round_trip = member.link.round_trip(answer.lease.item.size)
            self._apply(self.workflows.measured(worker, speeds, round_trip, now), now, out)

    def _frame_answered(self, answer: Answer, result: Result, now: Now, out: Decision) -> None:
        item, worker = answer.lease.item, answer.lease.worker
        if result.state == "failed" and (result.retry or self.pool.another_may(item, worker)):
            tried = TryEnded(item, worker, result.reason or "the worker gave no reason")
            self._tries_ended([tried], now, out)
        else:
            self._apply(self.workflows.result(item.id, result, now), now, out)

    def _media_lost(self, item_id: str, reason: str, now: Now, out: Decision) -> None:
        if self.workflows.knows(item_id):
            self.pool.remove(item_id)
            self._apply(self.workflows.lost(item_id, now), now, out)
        elif self.meters.pictures.knows(item_id):
            self.meters.pictures.media_lost(item_id, reason, out)
        else:
            self.clips.media_lost(item_id, reason, now, out)

    def _pass_time(self, now: Now, out: Decision) -> None:
        passed = self.pool.pass_time(now.mono)
        if passed is not NOTHING_PASSED:
            self._resting.stir()
            out.notes += passed.notes
            self._call_off(passed.over, out)
            self._tries_ended(passed.ended, now, out)
            self._drop(passed.dropped, now, out)
        if self.cloud is not None:
            self.cloud.pass_time(now, out)
            if out.changes:  # of a clip that came home too
                self._resting.stir()
        self._resting.pass_time(now, out)
        out.effects += [CallWorker(worker) for worker in self._missing.due(now.mono)]
        due = self.workflows.wake_at()
        if due is not None and now.mono >= due:
            self._apply(self.workflows.pass_time(now), now, out)

    def _deal(self, now: Now, out: Decision) -> None:
        if self.bus_up and self.deals:
            self._send(self.pool.dispatch(now.mono), now, out)

    def _tries_ended(self, ended: Iterable[TryEnded], now: Now, out: Decision) -> None:
        for tried in ended:
            if tried.item.flow == CLIPS:
                self.clips.try_ended(tried, now, out)
            elif tried.item.flow in METER_FLOWS:
                self.meters.pictures.try_ended(tried, now, out)
            else:
                self._apply(self.workflows.try_ended(tried, now), now, out)

    # --- workflows and the pool -----------------------------------------------------------------

    def _apply(self, outcome: Outcome, now: Now, out: Decision) -> None:
        """Do what workflows ask for."""
        out.changes += outcome.changes
        out.effects += outcome.effects
        out.notes += outcome.notes
        if outcome.plan is not None:
            self._open(outcome.plan, now, out)
        for item in outcome.items:
            if item.flow not in self._flows:
                self._drop([Dropped(item, "gone")], now, out)
            elif item.attempts:
                self._drop(self.pool.again(item), now, out)
            else:
                self._drop(self.pool.add(item, now.mono), now, out)

    def _drop(self, dropped: Iterable[Dropped], now: Now, out: Decision) -> None:
        for one in dropped:
            if one.item.flow in METER_FLOWS:
                self.meters.pictures.dropped([one], out)
            else:
                self._apply(self.workflows.dropped(one, now), now, out)

    def _open(self, plan: Plan, now: Now, out: Decision) -> None:
        """The flows of the pool are to be these."""
        wanted = {flow.id for flow in plan.flows}
        for gone in sorted(self._flows - wanted):
            self._close(gone, now, out)
        for flow in plan.flows:
            known = self.pool.queues.flow(flow.id)
            if known is not None and known.task != flow.task:
                self._close(flow.id, now, out)
            self.pool.open(flow)
        self._flows = wanted
        self.pool.open(Flow(CLIPS, TASK, self.settings.clips_weight, plan.clip_nodes))

    def _close(self, flow: str, now: Now, out: Decision) -> None:
        """What waited in the flow, or is being looked at, is dropped."""
        waiting, void = self.pool.close(flow)
        self._call_off(void, out)
        items = {item.id: item for item in (*waiting, *(lease.item for lease in void))}
        self._drop([Dropped(item, "gone") for item in items.values()], now, out)

    def _call_off(self, leases: Iterable[Lease], out: Decision) -> None:
        out.effects += [CancelJob(lease.worker, lease.item.id, lease.token) for lease in leases]

    def _send(self, leases: Iterable[Lease], now: Now, out: Decision) -> None:
        for lease in leases:
            if lease.item.flow == CLIPS:
                out.effects.append(self.clips.job(lease, now))
            elif lease.item.flow in METER_FLOWS:
                out.effects.append(self.meters.pictures.job(lease, now))
            else:
                job = self.workflows.job(lease, lease.expires - now.mono)
                out.effects.append(SendFrame(lease.worker, job, confirm=lease.unmet))
