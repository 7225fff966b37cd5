"""Which workflows run, and on which nodes: the Intelligence Orchestrator of the paper (section 3.1).

                     request ──► admitted (starting → running) ──withdraw──► gone
                        │            │    ▲
                        ▼            ▼    │  a node left or slowed; a node joined
                     refused ◄── refused for now

    orchestrator.request(name, spec, now, wait=…)   → "admitted" | "kept" | "refused" | "exists"
    orchestrator.withdraw(name)                     → whether there was such a workflow
    orchestrator.state(name)                        → how it stands, with the numbers
    orchestrator.node_seen(state, now)              as it was published, online or not
    orchestrator.node_measured(worker, speeds, round_trip, now)
    orchestrator.plan(now)                          → Orders: what is to be done now; empty most of the time

Nothing happens but in `plan`, which is cheap while nothing has changed. The rules:

1. *Who runs stays where it is* while its nodes hold it (`replanning.refit`) and no older one needs them.
   Nothing is moved because another place would be better, so nothing flaps; figures count only when they
   differ much or for long, and a node is not made to load another task too often (`nodes`).
2. *Who does not hold is placed anew*, on whatever there is. The one that was admitted first is served
   first; if it fits nowhere, younger ones give way, the youngest first, and are then placed anew
   themselves. Who was never admitted displaces nobody.
3. *Who fits nowhere is refused for now*, with the numbers, and tried again whenever nodes change.
4. *Clips of motion come first*: see `placement`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from meerkat_contract.messages import Deploy, WorkerState, WorkflowState
from meerkat_hub.core.pool.work import Flow
from meerkat_hub.core.records import Now
from meerkat_hub.core.times import soonest
from meerkat_hub.core.workflow_records import (
    CLIP_TASK,
    ClearLeftovers,
    DeployTask,
    NodeView,
    Plan,
    Policy,
    PublishWorkflow,
    SetFrameRate,
    WorkflowSpec,
)

from .answers import Admitted
from .bookings import Bookings
from .graph import PART, worker_of
from .nodes import Nodes
from .placement import keeps_reserve, lent, place
from .replanning import refit
from .wanted import Wanted, state_of

FIGURES_EVERY = 1.0
"""Seconds from one plan that follows the figures that nodes say to the next: each takes milliseconds of the
thread that deals out work, and a broken node may say other ones all the time. Who comes, goes, loads
something else or is asked for is planned at once."""

FETCH_AFTER = 60.0
"""Seconds for which what ran, or was wanted when the hub began, is refused before a model is fetched for it:
a node that starts anew, or lost the broker, is back sooner, and who fetches starts anew too."""

MOST_WAITING = 256
"""Frames that wait in one flow at most, however slow the workflow may be: they lie in memory."""

Verdict = Literal["admitted", "kept", "refused", "exists"]


@dataclass(slots=True)
class Orders:
    """What follows from a plan."""

    effects: list[DeployTask | SetFrameRate | PublishWorkflow | ClearLeftovers] = field(default_factory=list)
    plan: Plan | None = None
    """What the pool is to do, when that has changed."""
    notes: list[str] = field(default_factory=list)


class Orchestrator:
    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.nodes = Nodes()
        self._wanted: dict[str, Wanted] = {}
        self._numbers = 0
        self._seniorities = 0
        self._stale = False
        self._gathering: float | None = None
        """Until when nodes are only listened to. None: nothing has happened yet."""
        self._planned = False
        """Whether a plan was ever made."""
        self._plan = Plan()
        self._rates: dict[str, float] = {}
        self._shown: set[str] = set()
        self._notes: list[str] = []
        """What the next plan says in the log."""
        self._sought: set[str] = set()
        """Tasks of requests that were refused and forgotten, and of which nobody was told yet."""
        self._refused: WorkflowState | None = None
        """How the last request stood that was refused and forgotten."""
        self._figured_at = -math.inf
        """When a plan followed figures that a node said."""
        self.figures_due: float | None = None
        """When one is to follow those that were said since."""
        self._look_at: float | None = None
        """When time alone may change the plan, as of the last one."""

    # --- what happens ---------------------------------------------------------------------------

    def begin(self, now: Now) -> None:
        """Listen to nodes, and then make a first plan, though nobody asks for anything."""
        self._begin(now)
        self._stale = True

    def request(self, name: str, spec: WorkflowSpec, now: Now, *, wait: bool = False) -> Verdict:
        """Ask for a workflow. One that is refused is forgotten, unless it may wait for better times."""
        if name in self._wanted:
            return "exists"
        self._begin(now)
        self._numbers += 1
        one = Wanted(name, spec, self._numbers, now.wall)
        self._put(one, Bookings(self._running()), now)
        if one.admitted is None and self._planned:  # somebody asks now
            self._sought |= one.lacks
        if one.admitted is None and not wait:
            self._refused = self._state(one)
            self._stale |= bool(self._sought)
            return "refused"
        self._wanted[name] = one
        self._stale = True
        return "admitted" if one.admitted else "kept"

    def withdraw(self, name: str) -> bool:
        """End a workflow, or no longer want it; whether there was such a one."""
        self._stale |= name in self._wanted
        return self._wanted.pop(name, None) is not None

    def node_seen(self, state: WorkerState, now: Now) -> None:
        """A worker's state as it was published."""
        self._begin(now)
        worker = self.nodes.get(state.worker)
        told = worker.deploying if worker is not None else None
        before = worker.state if worker is not None else None
        if self.nodes.seen(state, now.mono):
            if before is not None and _without_figures(before) == _without_figures(state):
                self._figured(now)
            else:
                self._stale = True
        if worker is not None and told in worker.failed:
            reason = (state.failed or {}).get(told, "")
            self._notes.append(f"node {worker.id} cannot load {told}: {reason}")
        if worker is not None and before is not None:
            for task in worker.fetching.keys() & (state.failed or {}).keys() - (before.failed or {}).keys():
                reason = (state.failed or {})[task]
                self._notes.append(f"node {worker.id} has no model for {task}: {reason}")

    def node_measured(self, worker: str, speeds: Mapping[str, float], round_trip: float, now: Now) -> None:
        """Frames per second by task, and seconds there and back, as the hub measures them now."""
        self._stale |= self.nodes.measured(worker, speeds, round_trip, now.mono)

    def _figured(self, now: Now) -> None:
        """A node says other figures, which one that is broken may do a thousand times a second."""
        if now.mono >= self._figured_at + FIGURES_EVERY:
            self._figured_at, self._stale = now.mono, True
        else:
            self.figures_due = self._figured_at + FIGURES_EVERY

    @property
    def stale(self) -> bool:
        """Whether something has happened that a plan may have to follow."""
        return self._stale

    def _begin(self, now: Now) -> None:
        if self._gathering is None:
            self._gathering = now.mono + self.policy.gather

    # --- how it stands --------------------------------------------------------------------------

    def state(self, name: str) -> WorkflowState | None:
        """How a workflow stands; of one that was just refused and forgotten, too."""
        one = self._wanted.get(name)
        if one is not None:
            return self._state(one)
        return self._refused if self._refused and self._refused.workflow == name else None

    def states(self) -> list[WorkflowState]:
        """All that are wanted, in the order of their requests."""
        return [self._state(one) for one in self._wanted.values()]

    def running(self) -> dict[str, WorkflowSpec]:
        """Those that are admitted."""
        return {one.name: one.spec for one in self._wanted.values() if one.admitted is not None}

    def node_views(self, now: Now) -> list[NodeView]:
        on: dict[str, list[str]] = {}
        for one in self._wanted.values():
            for worker in sorted(lent(one.admitted)) if one.admitted else ():
                on.setdefault(worker, []).append(one.name)
        targets = self._targets()
        return [
            NodeView(
                worker.id,
                worker.online,
                dict(worker.capacities),
                worker.way.latest or 0.0,
                worker.availability(now.mono),
                worker.serving,
                tuple(on.get(worker.id, ())),
                targets.get(worker.id),
            )
            for worker in self.nodes
        ]

    def wake_at(self, now: float) -> float | None:
        """When time alone may change the plan."""
        times = [self.nodes.wake_at(now), self._fetch_at(now), self.figures_due]
        if self._stale and self._gathering is not None:
            times.append(self._gathering)
        return soonest(times)

    # --- planning -------------------------------------------------------------------------------

    def plan(self, now: Now) -> Orders:
        """What is to be done now. Call it after everything that happens, and at `wake_at`."""
        orders = Orders(notes=self._notes)
        self._notes = []
        if self._look_at is not None and now.mono >= self._look_at:
            self._stale = True
        if self.figures_due is not None and now.mono >= self.figures_due:
            self._stale, self._figured_at, self.figures_due = True, now.mono, None
        changed, late = self.nodes.pass_time(now.mono)
        self._stale |= changed
        orders.notes += [
            f"node {worker} did not load {task} in time and rests from it" for worker, task in late
        ]
        if not self._stale or (self._gathering is not None and now.mono < self._gathering):
            return orders
        self._stale = False
        self._settle(now, orders)
        self._fetch(now, orders)
        self._deploy(now, orders)
        self._flows(orders)
        self._tell(now, orders)
        self._look_at = soonest([self.nodes.wake_at(now.mono), self._fetch_at(now.mono)])
        return orders

    def _fetch_at(self, now: float) -> float | None:
        """When somebody has been refused for so long that models are fetched."""
        if not any(worker.online and worker.state.fetchable for worker in self.nodes):
            return None
        since = [one.refused_at for one in self._wanted.values() if one.refused_at is not None]
        return soonest([at + FETCH_AFTER for at in since if at + FETCH_AFTER > now])

    def _running(self) -> list[Admitted]:
        return [one.admitted for one in self._wanted.values() if one.admitted is not None]

    def _put(self, one: Wanted, others: Bookings, now: Now, known: frozenset[str] = frozenset()) -> bool:
        """Place it beside the others; `known` are the workers on which it ran until now."""
        workflow = one.spec.workflow(one.name)
        placed = place(workflow, self.nodes, others, self.policy, now.mono, known=known)
        one.placed = placed
        one.admitted = placed.answer if isinstance(placed.answer, Admitted) else None
        if one.admitted is not None and one.seniority is None:
            self._seniorities += 1
            one.seniority = self._seniorities
        return one.admitted is not None

    def _settle(self, now: Now, orders: Orders) -> None:
        """Keep who holds, place anew who does not, try those again who were refused."""
        before = {one.name: one.admitted for one in self._wanted.values()}
        by_age = sorted(self._wanted.values(), key=lambda one: one.age)
        kept: list[Wanted] = []
        booked = Bookings()
        for one in by_age:
            if one.admitted is not None:
                one.admitted = self._refit(one.admitted, booked, now)
            if one.admitted is not None:
                booked.add(one.admitted)
                kept.append(one)
        for one in by_age:
            if one.admitted is None:
                ran = before[one.name]
                known = frozenset(lent(ran) if ran is not None else ())
                booked = self._make_room(one, kept, booked, now, known)
        for one in self._wanted.values():
            if (before[one.name] is None) != (one.admitted is None) and one.placed is not None:
                orders.notes.append(one.placed.reason)

    def _refit(self, admitted: Admitted, others: Bookings, now: Now) -> Admitted | None:
        halves = {worker_of(node) for node in admitted.graph.accelerators if PART in node}
        own = self.nodes.own_nodes(lent(admitted), now.mono, split=frozenset(others.halved | halves))
        held = refit(admitted, own, others)
        if held is None:
            return None
        takes = lent(held)
        if self.nodes.clip_workers().isdisjoint(takes):
            return held
        return held if keeps_reserve(self.nodes, others.lent | takes, self.policy) else None

    def _make_room(
        self, one: Wanted, kept: list[Wanted], booked: Bookings, now: Now, known: frozenset[str]
    ) -> Bookings:
        """Place it beside those that hold; if it was there before them, in place of the youngest.

        Answers what is booked then.
        """
        if self._put(one, booked, now, known):
            assert one.admitted is not None
            booked.add(one.admitted)
            kept.append(one)
            return booked
        refused = one.placed
        younger = [other for other in kept if one.seniority is not None and other.age > one.age]
        giving_way: list[Wanted] = []
        for other in sorted(younger, key=lambda other: other.age, reverse=True):
            giving_way.append(other)
            left = Bookings(k.admitted for k in kept if k not in giving_way and k.admitted is not None)
            if self._put(one, left, now, known):
                assert one.admitted is not None
                for gone in giving_way:
                    kept.remove(gone)
                    gone.admitted = None  # its turn comes: it is younger
                left.add(one.admitted)
                kept.append(one)
                return left
        one.placed = refused
        return booked

    def _fetch(self, now: Now, orders: Orders) -> None:
        """Have models fetched for what is refused, where only the model is missing."""
        lacking, self._sought = self._sought, set()
        for one in self._wanted.values():
            if one.admitted is not None:
                one.refused_at = None
            elif one.refused_at is None:
                one.refused_at = now.mono
            elif now.mono >= one.refused_at + FETCH_AFTER:
                lacking |= one.lacks
        for worker, task in self.nodes.to_fetch(lacking, now.mono):
            orders.effects.append(DeployTask(worker.id, Deploy(task=task, fetch=True)))
            orders.notes.append(f"node {worker.id} is told to fetch a model for {task}, and to offer it")

    def _targets(self) -> dict[str, str]:
        """Worker → the task that it is to serve for workflows."""
        return {
            worker_of(operator.node): operator.task
            for admitted in self._running()
            for operator in (*admitted.graph.measurement, *admitted.graph.feature)
        }

    def _deploy(self, now: Now, orders: Orders) -> None:
        """Tell nodes what to load. Those that nobody uses look at clips."""
        targets = self._targets()
        looking = any(w.ready(CLIP_TASK) and w.id not in targets for w in self.nodes)
        for worker in self.nodes:
            task = targets.get(worker.id)
            if task is None and worker.deploying is None and CLIP_TASK in worker.capacities:
                back = not looking or now.mono >= worker.may_switch_at()
                task = CLIP_TASK if back and now.mono >= worker.failed.get(CLIP_TASK, 0.0) else None
            if not worker.online or task is None or worker.deploying == task:
                continue
            if worker.deploying is None and worker.serving in (None, task):
                continue
            info = next(t for t in worker.state.tasks if t.task == task)
            self.nodes.told(worker, task, now.mono)
            deploy = Deploy(task=task, model=info.model.name, sha256=info.model.sha256)
            orders.effects.append(DeployTask(worker.id, deploy))
            orders.notes.append(f"node {worker.id} is told to load {task} in place of {worker.serving}")

    def _flows(self, orders: Orders) -> None:
        """What the pool is to do, if that has changed."""
        flows: list[Flow] = []
        for one in self._wanted.values():
            if one.admitted is None:
                continue
            flow, spec = one.admitted.workflow, one.spec
            bound = min(max(2, math.ceil(flow.flow * flow.max_delay)), MOST_WAITING)
            levels = (
                ("measurement", one.admitted.graph.measurement),
                ("feature", one.admitted.graph.feature),
            )
            for level, operators in levels:
                if operators:
                    ready = frozenset(worker_of(o.node) for o in operators if self._ready(o.node, o.task))
                    flow_id = flow_of(one.name, level)
                    flows.append(Flow(flow_id, operators[0].task, spec.weight, ready, bound))
        plan = Plan(tuple(flows), self._clip_nodes())
        if plan.clip_nodes == frozenset() != self._plan.clip_nodes and not self._reserve():
            orders.notes.append(
                "no node looks at clips of motion: those that can serve workflows (orchestrator.reserve)"
            )
        if plan != self._plan:
            self._plan = orders.plan = plan

    def _reserve(self) -> int:
        return self.nodes.reserve(self.policy.reserve)

    def _clip_nodes(self) -> frozenset[str] | None:
        busy = Bookings(self._running()).lent if self._reserve() else set()
        able = [worker for worker in self.nodes if worker.online and CLIP_TASK in worker.capacities]
        free = frozenset(w.id for w in able if w.ready(CLIP_TASK) and w.id not in busy)
        return None if len(free) == len(able) else free

    def _ready(self, node: str, task: str) -> bool:
        worker = self.nodes.get(worker_of(node))
        return worker is not None and worker.ready(task)

    def _tell(self, now: Now, orders: Orders) -> None:
        """Publish what has changed: rates that cameras are asked for, and how workflows stand."""
        rates: dict[str, float] = {}
        for spec in self.running().values():
            for camera, fps in spec.rates.items():
                rates[camera] = max(rates.get(camera, 0.0), fps)
        for camera in sorted(self._rates.keys() | rates.keys()):
            if self._rates.get(camera, 0.0) != rates.get(camera, 0.0):
                device, _, thing = camera.partition("/")
                orders.effects.append(SetFrameRate(device, thing, rates.get(camera, 0.0)))
        self._rates = rates
        for one in self._wanted.values():
            state = self._state(one)
            if one.shown is None or one.shown.state != state.state:
                one.since = now.wall
                state = self._state(one)
            if one.shown != state:
                one.shown = state
                orders.effects.append(PublishWorkflow(one.name, state))
        if not self._planned:
            self._planned = True
            orders.effects.append(ClearLeftovers(frozenset(self._wanted), frozenset(rates)))
        for name in self._shown - self._wanted.keys():
            orders.effects.append(PublishWorkflow(name, None))
        self._shown = set(self._wanted)

    def _state(self, one: Wanted) -> WorkflowState:
        return state_of(one, self._ready, self.policy)


def _without_figures(state: WorkerState) -> tuple[object, ...]:
    """What a node is and does, but for how fast."""
    tasks = tuple((task.task, task.model, task.beside) for task in state.tasks)
    return state.online, state.incarnation, state.serving, state.failed, state.fetchable, tasks


def flow_of(workflow: str, level: str) -> str:
    """The id of the pool's flow of one level: measurement | feature."""
    return f"{workflow}/{level}"
