"""Workflows in the hub's core: the orchestrator and the frames, behind one set of calls.

What the core (`machine.HubCore`) calls, and when:

    load(configured, stored, now)       once, before the first step
    happened(input, now)                inputs FrameArrived, WorkflowRequested, WorkflowWithdrawn and
                                        WorkflowsAsked
    worker_seen(state, now)             input WorkerSeen, online or not
    worker_absent(worker, now)          input WorkerAbsent, where the pool had it
    measured(worker, speeds, round_trip, now)
                                        when the pool's estimates have changed; speeds are frames per
                                        second by task, round_trip is seconds. Cheap: call it after results
    knows(item id)                      whether an item or lease of the pool is a frame's
    job(lease, seconds)                 the Job of a lease that the pool grants; `job.media` names the
                                        frame whose bytes the shell sends with it
    result(item id, result, now)        the answer that counts, done or failed for good
    try_ended(TryEnded, now)            a try ended without one (also a result with retry)
    dropped(Dropped, now)               the pool gave it up
    lost(item id, now)                  its bytes are gone: remove it from the pool, then call this
    pass_time(now), wake_at()           at every step (cheap), and when to be woken

Each returns an `Outcome`: `items` are put into the pool; `plan`, when not None, says which flows the pool
has from now on (others whose id has a `/` are closed: what waited there comes back as Dropped "gone") and
which workers may take clips; `changes`, `effects` and `notes` go into the step's Decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from meerkat_contract.messages import Job, ModelInfo, Result, WorkerState, WorkflowState
from meerkat_hub.core.pool.work import Dropped, Lease, TryEnded
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import (
    AnswerRequest,
    DeployTask,
    FrameArrived,
    Policy,
    PublishWorkflow,
    ShowWorkflows,
    Stored,
    View,
    WorkflowInput,
    WorkflowRemoved,
    WorkflowRequested,
    WorkflowsAsked,
    WorkflowSpec,
    WorkflowStored,
    WorkflowWithdrawn,
)
from meerkat_hub.core.zones import ZonesOf, no_zones

from .decisions import WhoMayBeHere
from .frames import Frames
from .orchestrator import Orchestrator, Orders, Verdict
from .outcome import Outcome
from .recognition import Recogniser

RECOGNITION = "recognise_faces"
"""The task whose models describe people."""

TELL_EVERY = 10.0
"""Seconds between publications of what became of a workflow's frames."""


class Workflows:
    def __init__(
        self,
        *,
        new_id: Callable[[], str],
        recogniser: Recogniser,
        policy: Policy | None = None,
        local: Callable[[datetime], datetime] = lambda wall: wall,
        zones_of: ZonesOf = no_zones,
    ) -> None:
        self._orchestrator = Orchestrator(policy)
        self._frames = Frames(new_id, recogniser, local, zones_of)
        self._specs: dict[str, WorkflowSpec] = {}
        self._configured: frozenset[str] = frozenset()
        self._recogniser = recogniser
        self._told: dict[str, WorkflowState] = {}
        self._warned: set[str] = set()
        """Warnings that the log has, as long as they hold."""
        self._tell_at = 0.0
        self._wake: float | None = None

    def load(self, configured: Mapping[str, WorkflowSpec], stored: Sequence[Stored], now: Now) -> Outcome:
        """Those of the file in its order, then those of the database by age. The file's name counts first."""
        self._orchestrator.begin(now)
        self._configured = frozenset(configured)
        for name, spec in configured.items():
            self._want(name, spec, now, wait=True)
        for one in sorted(stored, key=lambda one: (one.at, one.name)):
            if one.name not in configured:
                self._want(one.name, one.spec, now, wait=True)
        return self._planned(Outcome(), now)

    def happened(self, happened: WorkflowInput, now: Now) -> Outcome:
        match happened:
            case FrameArrived():
                return self._frames.arrived(happened, now)
            case WorkflowRequested():
                return self.request(happened, now)
            case WorkflowWithdrawn():
                return self.withdraw(happened, now)
            case WorkflowsAsked(ticket=ticket):
                return Outcome(effects=[ShowWorkflows(ticket, self.view(now))])

    # --- requests -------------------------------------------------------------------------------

    def request(self, asked: WorkflowRequested, now: Now) -> Outcome:
        out = Outcome()
        verdict = self._want(asked.name, asked.spec, now, wait=asked.wait)
        state = self.state(asked.name)
        if verdict in ("admitted", "kept"):
            out.changes.append(WorkflowStored(Stored(asked.name, asked.spec, now.wall)))
            self._planned(out, now)
            state = self.state(asked.name)
        elif self._orchestrator.stale:  # somebody may have to fetch a model for the next who asks
            self._planned(out, now)
        if state is not None:
            out.notes.append(state.reason)
        if asked.ticket:
            out.effects.append(AnswerRequest(asked.ticket, verdict, state))
        return out

    def withdraw(self, asked: WorkflowWithdrawn, now: Now) -> Outcome:
        out, state = Outcome(), self.state(asked.name)
        if asked.name in self._configured:
            answer = AnswerRequest(asked.ticket, "configured", state)
        elif not self._orchestrator.withdraw(asked.name):
            answer = AnswerRequest(asked.ticket, "unknown")
        else:
            del self._specs[asked.name]
            self._told.pop(asked.name, None)
            out.changes.append(WorkflowRemoved(asked.name))
            out.notes.append(f"workflow {asked.name} is withdrawn")
            self._planned(out, now)
            answer = AnswerRequest(asked.ticket, "withdrawn", state)
        if asked.ticket:
            out.effects.append(answer)
        return out

    def _want(self, name: str, spec: WorkflowSpec, now: Now, *, wait: bool) -> Verdict:
        verdict = self._orchestrator.request(name, spec, now, wait=wait)
        if verdict in ("admitted", "kept"):
            self._specs[name] = spec
        return verdict

    # --- nodes ----------------------------------------------------------------------------------

    def worker_seen(self, state: WorkerState, now: Now) -> Outcome:
        self._orchestrator.node_seen(state, now)
        return self._followed(now)

    def worker_absent(self, worker: str, now: Now) -> Outcome:
        """It is not there, whatever it said last."""
        node = self._orchestrator.nodes.get(worker)
        if node is None or not node.online:
            return Outcome()
        return self.worker_seen(node.state.model_copy(update={"online": False}), now)

    def measured(self, worker: str, speeds: Mapping[str, float], round_trip: float, now: Now) -> Outcome:
        self._orchestrator.node_measured(worker, speeds, round_trip, now)
        return self._followed(now)

    def _followed(self, now: Now) -> Outcome:
        """Telemetry comes all the time; a plan is made when something has changed."""
        if self._orchestrator.stale:
            return self._planned(Outcome(), now)
        due = self._orchestrator.figures_due
        if due is not None and (self._wake is None or due < self._wake):
            self._wake = due
        return Outcome()

    # --- frames ---------------------------------------------------------------------------------

    def knows(self, item_id: str) -> bool:
        return self._frames.knows(item_id)

    def job(self, lease: Lease, seconds: float) -> Job:
        return self._frames.job(lease, seconds)

    def result(self, item_id: str, result: Result, now: Now) -> Outcome:
        return self._frames.result(item_id, result, now)

    def try_ended(self, ended: TryEnded, now: Now) -> Outcome:
        return self._frames.try_ended(ended, now)

    def dropped(self, dropped: Dropped, now: Now) -> Outcome:
        del now
        return self._frames.dropped(dropped)

    def lost(self, item_id: str, now: Now) -> Outcome:
        del now
        return self._frames.lost(item_id)

    # --- time -----------------------------------------------------------------------------------

    def pass_time(self, now: Now) -> Outcome:
        """What follows from the time alone: plans that may change, counts to publish."""
        if self._wake is None or now.mono < self._wake:
            return Outcome()
        return self._planned(Outcome(), now)

    def wake_at(self) -> float | None:
        return self._wake

    # --- how it stands --------------------------------------------------------------------------

    def state(self, name: str) -> WorkflowState | None:
        state = self._orchestrator.state(name)
        return self._whole(state) if state else None

    def _whole(self, state: WorkflowState) -> WorkflowState:
        """As the orchestrator has it, with what became of its frames and what it cannot do."""
        update = {"frames": self._frames.counts(state.workflow), "warning": self._warning(state)}
        return state.model_copy(update=update)

    def _warning(self, state: WorkflowState) -> str:
        """Why it may run and recognise nobody, by the models on its nodes and those that have answered."""
        spec = self._specs.get(state.workflow)
        if spec is None or not isinstance(spec.decision, WhoMayBeHere):
            return ""
        models: dict[str, ModelInfo] = {}
        for operator in state.nodes:
            node = self._orchestrator.nodes.get(operator.node)
            offered = node.state.tasks if node is not None and operator.task == spec.feature else ()
            models |= {t.model.sha256: t.model for t in offered if t.task == spec.feature and t.model.sha256}
        models |= {model.sha256: model for model in self._frames.strange(state.workflow)}
        return ". ".join(sorted({doubt for m in models.values() if (doubt := self._recogniser.doubt(m))}))

    def totals(self) -> dict[str, int]:
        """Frames by fate, of all workflows: for the hub's state."""
        return self._frames.totals()

    def view(self, now: Now) -> View:
        states = [self.state(one.workflow) for one in self._orchestrator.states()]
        return View(
            tuple(state for state in states if state is not None),
            tuple(self._orchestrator.node_views(now)),
            dict(self._specs),
            self._configured,
        )

    def _planned(self, out: Outcome, now: Now) -> Outcome:
        orders: Orders = self._orchestrator.plan(now)
        running = self._orchestrator.running()
        if orders.plan is not None or orders.effects:
            self._frames.run(self._specs, running)
            out.plan = orders.plan
        for effect in orders.effects:
            if isinstance(effect, PublishWorkflow) and effect.state is not None:
                state = self._told[effect.name] = self._whole(effect.state)
                out.effects.append(PublishWorkflow(effect.name, state))
            elif isinstance(effect, DeployTask) and effect.deploy.fetch and effect.deploy.task == RECOGNITION:
                # Another model than that of the people's faces would know nobody.
                meant = effect.deploy.model_copy(update={"sha256": self._recogniser.known_by})
                out.effects.append(DeployTask(effect.worker, meant))
            else:
                out.effects.append(effect)
        out.notes += orders.notes
        if now.mono >= self._tell_at:
            self._tell_at = now.mono + TELL_EVERY
            self._tell_again(out)
        self._warn(out)
        wake = self._orchestrator.wake_at(now.mono)
        # Frames of one that no longer runs end after it was last told of.
        telling = running or any(told.frames.get("in_work") for told in self._told.values())
        times = [at for at in (wake, self._tell_at if telling else None) if at is not None]
        self._wake = min(times, default=None)
        return out

    def _tell_again(self, out: Outcome) -> None:
        """What has changed without a plan: counts, and who is enrolled."""
        for name, told in self._told.items():
            state = self._whole(told)
            if state != told:
                self._told[name] = state
                out.effects.append(PublishWorkflow(name, state))

    def _warn(self, out: Outcome) -> None:
        """Say in the log what holds since lately, once for all workflows of which it holds."""
        holds = {state.warning: name for name, state in self._told.items() if state.warning}
        out.notes += [f"workflow {name}: {text}" for text, name in holds.items() if text not in self._warned]
        self._warned = set(holds)
