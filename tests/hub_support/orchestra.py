"""An orchestrator on a simulated clock, with workers that can be told things, and its invariants."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from meerkat_contract.messages import ModelInfo, TaskInfo, WorkerState, WorkflowState
from meerkat_hub.core.pool.work import Flow
from meerkat_hub.core.records import Now
from meerkat_hub.core.workflow_records import (
    ClearLeftovers,
    DeployTask,
    Plan,
    Policy,
    PublishWorkflow,
    SetFrameRate,
    WorkflowSpec,
)
from meerkat_hub.core.workflows.graph import PART
from meerkat_hub.core.workflows.orchestrator import Orchestrator, Orders, Verdict

START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
CLIPS, FACES, WHO = "detect_objects", "detect_faces", "recognise_faces"


def an_id(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012x}"


def a_worker(
    name: str,
    *,
    serving: str | None = None,
    switch: float = 2.0,
    start: int = 1,
    online: bool = True,
    energy: float | None = None,
    **tasks: float,
) -> WorkerState:
    """A worker with these frames per second for each task."""
    offered = [
        TaskInfo(task=task, model=ModelInfo(name=f"a-{task}"), frames_per_second=fps, switch_seconds=switch)
        for task, fps in tasks.items()
    ]
    return WorkerState(
        worker=name,
        incarnation=an_id(start),
        online=online,
        tasks=tuple(offered),
        serving=serving,
        energy=energy,
    )


def a_spec(fps: float = 10, *cameras: str, **more: Any) -> WorkflowSpec:
    """Faces at these cameras, each with as many frames per second."""
    wanted = dict.fromkeys(cameras or ("porch/front",), fps)
    return WorkflowSpec.model_validate(
        {"cameras": wanted, "decision": {"rule": "who_may_be_here"}, "max_delay": 10, **more}
    )


class Orchestra:
    def __init__(self, **policy: Any) -> None:
        self.orchestrator = Orchestrator(Policy(**{"reserve": 0, "gather": 0.0, **policy}))
        self.mono = 0.0
        self.plan = Plan()
        self.rates: dict[str, float] = {}
        self.published: dict[str, WorkflowState | None] = {}
        self.deploys: list[tuple[str, str]] = []
        self.fetches: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.leftovers: list[ClearLeftovers] = []
        self.states: dict[str, WorkerState] = {}
        self.obedient = True
        """Whether workers load what they are told to, at once."""

    @property
    def now(self) -> Now:
        return Now(START + timedelta(seconds=self.mono), self.mono)

    def turn(self, seconds: float = 0.0) -> None:
        self.mono += seconds
        self._carry_out(self.orchestrator.plan(self.now))

    def _carry_out(self, orders: Orders) -> None:
        self.plan = orders.plan or self.plan
        self.notes += orders.notes
        told: list[tuple[str, str]] = []
        for effect in orders.effects:
            match effect:
                case DeployTask(worker=worker, deploy=deploy) if deploy.fetch:
                    self.fetches.append((worker, deploy.task))
                case DeployTask(worker=worker, deploy=deploy):
                    told.append((worker, deploy.task))
                case SetFrameRate(device=device, camera=camera, frames_per_second=fps):
                    self.rates[f"{device}/{camera}"] = fps
                case PublishWorkflow(name=name, state=state):
                    self.published[name] = state
                case ClearLeftovers():
                    self.leftovers.append(effect)
        self.deploys += told
        self.check()
        if self.obedient:
            for worker, task in told:
                self.see(self.states[worker].model_copy(update={"serving": task}))

    # --- what happens ---------------------------------------------------------------------------

    def see(self, *states: WorkerState) -> None:
        for state in states:
            self.states[state.worker] = state
            self.orchestrator.node_seen(state, self.now)
        self.turn()

    def leave(self, worker: str) -> None:
        self.see(self.states[worker].model_copy(update={"online": False}))

    def slow(self, worker: str, round_trip: float = 0.0, **speeds: float) -> None:
        self.orchestrator.node_measured(worker, speeds, round_trip, self.now)
        self.turn()

    def last(self, worker: str, seconds: float, round_trip: float = 0.0, **speeds: float) -> None:
        """The same figures, measured once a second for so long."""
        for _ in range(round(seconds)):
            self.slow(worker, round_trip, **speeds)
            self.mono += 1
        self.slow(worker, round_trip, **speeds)

    def ask(self, name: str, spec: WorkflowSpec | None = None, *, wait: bool = False) -> Verdict:
        verdict = self.orchestrator.request(name, spec or a_spec(), self.now, wait=wait)
        self.turn()
        return verdict

    def withdraw(self, name: str) -> bool:
        there = self.orchestrator.withdraw(name)
        self.turn()
        return there

    # --- how it stands --------------------------------------------------------------------------

    def state(self, name: str) -> WorkflowState:
        state = self.orchestrator.state(name)
        assert state is not None, f"there is no workflow {name}"
        return state

    def on(self, name: str) -> Mapping[str, list[str]]:
        """Task → the nodes of a workflow that do it."""
        nodes: dict[str, list[str]] = {}
        for operator in self.state(name).nodes:
            nodes.setdefault(operator.task, []).append(operator.node)
        return {task: sorted(workers) for task, workers in nodes.items()}

    def age(self, name: str) -> tuple[float, int]:
        """Who was admitted first has the least; who never was, a greater one than all that were."""
        return self.orchestrator._wanted[name].age

    def flow(self, flow_id: str) -> Flow:
        return next(flow for flow in self.plan.flows if flow.id == flow_id)

    # --- invariants -----------------------------------------------------------------------------

    def check(self) -> None:
        """What must hold after every plan, whatever happened."""
        policy = self.orchestrator.policy
        graphs = {one.workflow.id: one for one in self.orchestrator._running()}
        exclusive: dict[str, set[str]] = {}
        booked: dict[str, float] = {}
        for name, admitted in graphs.items():
            graph, workflow = admitted.graph, admitted.workflow
            assert graph.workflow_time <= workflow.max_delay * (1 + 1e-6), name
            for level, demand in zip((graph.measurement, graph.feature), workflow.demands, strict=True):
                assert abs(sum(o.share for o in level) - demand) < 1e-6 * max(1, demand), name
            for operator in (*graph.measurement, *graph.feature):
                shared = workflow.shared and operator.task == workflow.feature
                exclusive.setdefault(operator.node, set()).add(operator.task if shared else name)
                booked[operator.node] = booked.get(operator.node, 0.0) + operator.share
                worker = self.orchestrator.nodes.get(operator.node.partition(PART)[0])
                assert worker is not None
                assert worker.online
                part = 2 if PART in operator.node else 1
                figure = worker.figures[operator.task]
                assert operator.capacity * part in (figure.steady, figure.careful)
                factor = policy.overbooking if shared else 1.0
                assert booked[operator.node] <= factor * operator.capacity * (1 + 1e-6), operator
                if part == 2:
                    assert operator.node.partition(PART)[0] not in exclusive, (
                        "a node is booked whole and half"
                    )
        assert all(len(users) == 1 for users in exclusive.values()), exclusive
        lent = {node.partition(PART)[0] for node in exclusive}
        able = {w.id for w in self.orchestrator.nodes if w.online and CLIPS in w.capacities}
        wanted = policy.reserve
        if wanted is None:
            alone = [w for w in self.orchestrator.nodes if w.id in able and w.serving is None]
            wanted = 0 if len(able) == len(alone) == 1 else 1
        assert len(able - lent) >= min(wanted, len(able)), "clips have lost their reserve"
        for flow in self.plan.flows:
            for node in flow.nodes or ():
                worker = self.orchestrator.nodes.get(node)
                assert worker is not None
                assert worker.ready(flow.task)
