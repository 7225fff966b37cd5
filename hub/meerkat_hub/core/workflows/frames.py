"""What becomes of a frame: the perishable pipeline of each workflow.

    frame ──► measurement ──► feature ──► decision ──► event, or none
                  │              │
                  └─ nothing     └─ dropped: full | late | gone | failed | lost

Every frame that a workflow receives meets one fate, and is counted once:

    received = nothing + decided + dropped + in work

    nothing     done: nothing of interest was found in it
    decided     done: the rule was asked (`events` says how often it made one; `incomparable` how many faces
                were described by a model with which nobody is enrolled: nobody is known by them)
    surplus     dropped: the camera sends more than the workflow asked for
    unmeasured  dropped: the device was to detect by itself, and says nothing of it
    full, late, gone, failed, lost   dropped while it waited for a node or was there: too many waited;
                its time was over, or was before the core took it up; the workflow ended; nodes failed
                at it; its bytes were gone

The first level that has not been done comes next: a frame in which the device has found something goes to
the feature level at once. A frame's time is `max_delay` from its arrival at the hub, however much later the
core takes it up: after a stall of the hub (a slow disk) the oldest are late at once, and the newest are
looked at. One that was answered later still counts as decided, and as `overdue`.

The bytes stay in the shell. `Outcome.effects` says with `ForgetFrame` when nobody needs them any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from meerkat_contract.frame_region import in_whole
from meerkat_contract.messages import Box, EventState, Found, Job, ModelInfo, Result, Track
from meerkat_contract.values import value
from meerkat_contract.vocabulary import category
from meerkat_hub.core.announcements import event_message
from meerkat_hub.core.outputs import EventSaved
from meerkat_hub.core.pool.work import Dropped, Item, Lease, TryEnded
from meerkat_hub.core.records import EventRecord, Now
from meerkat_hub.core.workflow_records import ForgetFrame, FrameArrived, WorkflowSpec
from meerkat_hub.core.zones import ZonesOf, no_zones, zones_of

from .decisions import NOTHING_YET, WORKING_POINT, Decision, Memory, Seen, SeenRule, decide
from .orchestrator import flow_of
from .outcome import Outcome
from .recognition import Recogniser

TRIES = 2
"""Of one frame at one level: perishable work is not worth more."""

LEEWAY = 1.1
"""Times the frame rate that a camera may send before frames are surplus: clocks differ."""

STRANGE = 8
"""Models that are remembered for each workflow because their faces could not be compared."""

DROPPED = ("surplus", "unmeasured", "full", "late", "gone", "failed", "lost")
DONE = ("nothing", "decided")


@dataclass(slots=True, eq=False)
class _Run:
    """One workflow, as far as frames are concerned."""

    name: str
    spec: WorkflowSpec
    active: bool = True
    counts: Counter[str] = field(default_factory=Counter)
    in_work: int = 0
    memory: Memory = field(default_factory=lambda: NOTHING_YET)
    credit: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Camera → (frames that it may send now, as of this monotonic time)."""
    strange: dict[str, ModelInfo] = field(default_factory=dict)
    """Hash → a model whose faces could not be compared with those who are enrolled; STRANGE at most, since
    the latest plan."""
    on_device: frozenset[str] = field(init=False)
    """Cameras whose device detects by itself."""

    def __post_init__(self) -> None:
        self.on_device = self.spec.on_device

    def admits(self, camera: str, at: float) -> bool:
        """Whether a frame that came at this monotonic time is within the camera's rate: bursts of a second's
        frames are."""
        rate = self.spec.cameras[camera].fps * LEEWAY
        most = max(2.0, rate)
        known = self.credit.get(camera)
        left = most if known is None else known[0] + (at - known[1]) * rate
        left = min(most, left)
        admitted = left >= 1.0
        self.credit[camera] = (left - 1.0 if admitted else left, at)
        return admitted


@dataclass(slots=True, eq=False)
class _Frame:
    arrived: FrameArrived
    camera: str
    """device/camera"""
    at: float
    """Monotonic seconds, when it came."""
    uses: int
    """Pieces of work that still need its bytes."""


@dataclass(slots=True, eq=False)
class _Visit:
    """A frame in one workflow."""

    run: _Run
    frame: _Frame


@dataclass(slots=True, eq=False)
class _Task:
    """A frame that waits for a node, or is at one."""

    visit: _Visit
    level: str
    found: tuple[Found, ...] = ()


@value
class _Look:
    """What one level has seen."""

    found: tuple[Found, ...] = ()
    model: ModelInfo | None = None
    pictures: Mapping[Box, bytes] = field(default_factory=dict)
    """JPEG of what is in a box, where there is one."""


class Frames:
    def __init__(
        self,
        new_id: Callable[[], str],
        recogniser: Recogniser,
        local: Callable[[datetime], datetime] = lambda wall: wall,
        zones_of: ZonesOf = no_zones,
    ) -> None:
        """`local` gives a UTC time in the zone of the house."""
        self._new_id = new_id
        self._recogniser = recogniser
        self._local = local
        self._zones_of = zones_of
        self._runs: dict[str, _Run] = {}
        self._of_camera: dict[str, list[_Run]] = {}
        self._tasks: dict[str, _Task] = {}
        self._totals: Counter[str] = Counter()

    def _count(self, run: _Run, fate: str, times: int = 1) -> None:
        run.counts[fate] += times
        self._totals[fate] += times

    def run(self, wanted: Mapping[str, WorkflowSpec], running: Iterable[str]) -> None:
        """Which workflows there are, and which of them take frames. Counts live as long as it is wanted."""
        takes = set(running)
        for one in self._runs.values():
            one.active = False  # those that are gone go no further
        runs: dict[str, _Run] = {}
        for name, spec in wanted.items():
            known = self._runs.get(name)
            runs[name] = known if known is not None and known.spec == spec else _Run(name, spec)
            runs[name].active = name in takes
            runs[name].strange.clear()  # other nodes may look from now on
        self._runs = runs
        self._of_camera = {}
        for one in runs.values():
            for camera in one.spec.cameras if one.active else ():
                self._of_camera.setdefault(camera, []).append(one)

    def knows(self, item_id: str) -> bool:
        """Whether this item of the pool is a frame's, and not ended."""
        return item_id in self._tasks

    def counts(self, name: str) -> dict[str, int]:
        """What became of the frames of one workflow, zeros left out; `in_work` are not ended."""
        one = self._runs.get(name)
        if one is None:
            return {}
        counts = {"received": one.counts["received"], **one.counts, "in_work": one.in_work}
        return {fate: count for fate, count in counts.items() if count}

    def totals(self) -> dict[str, int]:
        """Of all workflows together, those that have ended too: received, done, and dropped by reason."""
        total = self._totals
        fates = {"received": total["received"], "done": sum(total[fate] for fate in DONE)}
        return fates | {reason: total[reason] for reason in DROPPED if total[reason]}

    def strange(self, name: str) -> tuple[ModelInfo, ...]:
        """The models of whose faces some could not be compared with those who are enrolled."""
        one = self._runs.get(name)
        return () if one is None else tuple(one.strange.values())

    # --- what happens ---------------------------------------------------------------------------

    def arrived(self, arrived: FrameArrived, now: Now) -> Outcome:
        """A frame came: work for the first level that is not done, in each workflow of its camera."""
        out = Outcome()
        camera = f"{arrived.device}/{arrived.camera}"
        at = now.mono if arrived.came is None else arrived.came
        frame = _Frame(arrived, camera, at, uses=1)  # this step's own, so that it is forgotten once
        for run in self._of_camera.get(frame.camera, ()):
            self._count(run, "received")
            spec = run.spec
            looked = arrived.found is not None and spec.measurement in ("device", arrived.found_by)
            if not run.admits(frame.camera, at):
                self._count(run, "surplus")
            elif looked or frame.camera in run.on_device:
                if arrived.found is None:
                    self._count(run, "unmeasured")
                else:
                    self._found(_Visit(run, frame), _Look(arrived.found, arrived.model), now, out)
            else:
                self._begin(_Visit(run, frame), "measurement", (), now, out)
        self._release(frame, out)
        return out

    def result(self, item_id: str, result: Result, now: Now) -> Outcome:
        """A node's final answer for an item; the pool holds the item no longer."""
        out = Outcome()
        task = self._tasks.pop(item_id, None)
        if task is None:
            return out
        run = task.visit.run
        run.in_work -= 1
        pictures = _by_box(result.tracks) if result.tracks else {}
        if result.state == "failed":
            self._count(run, "failed")
            out.notes.append(f"workflow {run.name}: {task.level} failed at a frame: {result.reason}")
        elif task.level == "measurement":
            found = tuple(
                [
                    Found(label=track.label, score=track.best.score, box=track.best.box)
                    for track in result.tracks
                ]
            )
            self._found(task.visit, _Look(found, result.model, pictures), now, out)
        else:
            pictures |= {face.box: face.picture for face in result.faces if face.picture}
            look = _Look(model=result.model, pictures=pictures)
            self._decide(task.visit, self._described(task.visit.run, result, out), look, now, out)
        self._release(task.visit.frame, out)
        return out

    def dropped(self, dropped: Dropped) -> Outcome:
        """The pool gave an item up."""
        return self._drop(dropped.item.id, dropped.reason)

    def lost(self, item_id: str) -> Outcome:
        """The bytes of an item's frame are not there any more; take the item from the pool."""
        return self._drop(item_id, "lost")

    def try_ended(self, ended: TryEnded, now: Now) -> Outcome:
        """A node failed at an item, which the pool holds no longer: once more elsewhere, if time is left."""
        item = ended.item
        tries = item.attempts + 1
        if item.id in self._tasks and tries < TRIES and now.mono < item.deadline:
            return Outcome(items=[replace(item, attempts=tries, avoid=item.avoid | {ended.worker})])
        return self._drop(item.id, "failed", f"{ended.worker}: {ended.reason}")

    def job(self, lease: Lease, seconds: float) -> Job:
        """What to send with the frame's bytes (`media` is the frame's id); `seconds` is the lease's time."""
        task = self._tasks[lease.item.id]
        run, arrived = task.visit.run, task.visit.frame.arrived
        rule = run.spec.decision
        labels = rule.labels if isinstance(rule, SeenRule) and task.level == "measurement" else ()
        return Job.trusted(  # a frame's values were looked at when it came
            job=lease.item.id,
            token=lease.token,
            task=lease.task,
            device=arrived.device,
            camera=arrived.camera,
            media=arrived.frame,
            content_type=arrived.content_type,
            captured_at=arrived.captured_at,
            lease=seconds,
            ahead=lease.ahead,
            labels=labels,
            workflow=run.name,
            found=task.found,
        )

    # --- levels ---------------------------------------------------------------------------------

    def _begin(self, visit: _Visit, level: str, found: tuple[Found, ...], now: Now, out: Outcome) -> None:
        """A node is to look at it, unless its time is over: it must not take the room of one in time."""
        run, frame = visit.run, visit.frame
        deadline = frame.at + run.spec.max_delay
        if now.mono >= deadline:
            self._count(run, "late")
            return
        item = Item(
            self._new_id(),
            flow_of(run.name, level),
            cost=1.0,
            size=frame.arrived.size,
            arrived=frame.at,
            deadline=deadline,
            source=frame.camera,
        )
        self._tasks[item.id] = _Task(visit, level, found)
        run.in_work += 1
        frame.uses += 1
        out.items.append(item)

    def _found(self, visit: _Visit, look: _Look, now: Now, out: Outcome) -> None:
        """The measurement level is done, by the device or by a node."""
        run, found = visit.run, look.found
        if found:
            found = tuple([thing for thing in found if thing.score >= WORKING_POINT])
        if not found:
            self._count(run, "nothing")
        elif run.spec.feature is None:
            seen = [Seen(thing.label, thing.score, thing.box) for thing in found]
            self._decide(visit, seen, look, now, out)
        elif run.active:
            self._begin(visit, "feature", found, now, out)
        else:
            self._count(run, "gone")

    def _described(self, run: _Run, result: Result, out: Outcome) -> list[Seen]:
        """The feature level is done: who it is, if anybody is known."""
        if not (result.faces or result.tracks):
            return []
        sha256 = result.model.sha256 if result.model else ""
        matches = self._recogniser.who_all(result.faces, sha256)
        strange = [match.reason for match in matches if match.incomparable]
        if strange:
            self._incomparable(run, result.model or ModelInfo(name="a model without a name"), strange, out)
        seen = [
            Seen("face", face.score, face.box, match.person, match.stranger, doubt=match.reason)
            for face, match in zip(result.faces, matches, strict=True)
        ]
        return seen + [Seen(t.label, t.best.score, t.best.box) for t in result.tracks]

    def _incomparable(self, run: _Run, model: ModelInfo, reasons: list[str], out: Outcome) -> None:
        """Nobody can be known by these faces. A model's first are told, unless `doubt` says it for all."""
        self._count(run, "incomparable", len(reasons))
        if model.sha256 not in run.strange and len(run.strange) < STRANGE:
            run.strange[model.sha256] = model
            if not self._recogniser.doubt(model):
                out.notes.append(f"workflow {run.name}: a face cannot be compared: {reasons[0]}")

    def _decide(self, visit: _Visit, seen: list[Seen], look: _Look, now: Now, out: Outcome) -> None:
        run, frame = visit.run, visit.frame
        self._count(run, "decided")
        if now.mono > frame.at + run.spec.max_delay:
            self._count(run, "overdue")
        if not seen:  # no rule has anything to say of that
            return
        decisions, run.memory = decide(
            run.spec.decision, seen, camera=frame.camera, local=self._local(now.wall), memory=run.memory
        )
        for decision in decisions:
            if decision.event:
                self._count(run, "events")
                self._count(run, "alerts", decision.alert)
                self._event(visit, decision, look, out)

    def _event(self, visit: _Visit, decision: Decision, look: _Look, out: Outcome) -> None:
        """It begins and ends at one moment: a later frame of the same is quiet, or another event."""
        run, frame, seen = visit.run, visit.frame, decision.seen
        arrived, picture = frame.arrived, look.pictures.get(seen.box)
        box = in_whole(seen.box, arrived.region)
        begun = EventState(
            id=self._new_id(),
            device=arrived.device,
            camera=arrived.camera,
            label=seen.label,
            category=category(seen.label),
            score=seen.score,
            box=box,
            region=arrived.region if picture is None else box,
            start_time=arrived.captured_at,
            end_time=arrived.captured_at,
            picture_time=arrived.captured_at,
            revision=1,
            has_picture=True,
            model=look.model,
            zones=zones_of([box], self._zones_of(arrived.device, arrived.camera)),
            identity=seen.identity,
            stranger=seen.stranger or None,
            workflow=run.name,
            alert=decision.alert,
            reason=decision.reason,
        )
        ended = begun.model_copy(update={"revision": 2})
        out.changes += [
            EventSaved(EventRecord(ended, (), ended=True), picture, frame=arrived.frame),
            *event_message("new", None, begun, picture=True),
            *event_message("end", begun, ended, picture=False),
        ]
        what = "alert" if decision.alert else "event"
        out.notes.append(f"workflow {run.name}: {what} at {frame.camera}: {decision.reason}")

    # --- ends -----------------------------------------------------------------------------------

    def _drop(self, item_id: str, reason: str, why: str = "") -> Outcome:
        out = Outcome()
        task = self._tasks.pop(item_id, None)
        if task is not None:
            run = task.visit.run
            run.in_work -= 1
            self._count(run, reason)
            if why:
                out.notes.append(f"workflow {run.name}: a frame is given up: {why}")
            self._release(task.visit.frame, out)
        return out

    def _release(self, frame: _Frame, out: Outcome) -> None:
        frame.uses -= 1
        if frame.uses == 0:
            out.effects.append(ForgetFrame(frame.arrived.frame))


def _by_box(tracks: Iterable[Track]) -> dict[Box, bytes]:
    return {track.best.box: track.picture for track in tracks if track.picture}
