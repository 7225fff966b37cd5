"""Where one workflow is put: Algorithm 1 under the house's rules.

- Clips of motion come first: at least `reserve` nodes that can look at them are lent to no workflow. Of
  the nodes that could be the reserve, those that are of least use to the workflow are kept.
- A node runs one deep-learning task at a time (section 3.2). Whole nodes are tried first; if that fails,
  nodes that hold all their tasks at once are offered as two halves, each as fast as half of it: two tasks
  that take turns on one node. So one machine can run both levels of a small workflow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from meerkat_hub.core.workflow_records import DECISION_TASK, HUB_NODE, Policy

from .admission import provision
from .answers import Admitted, Refused
from .bookings import Bookings
from .graph import EdgeNode, Workflow, worker_of
from .nodes import Nodes

ATTEMPTS = 16
"""Choices of the reserve that are tried at most."""


@dataclass(frozen=True, slots=True)
class Placed:
    answer: Admitted | Refused
    reserved: tuple[str, ...] = ()
    """Workers that were kept from it for clips of motion; of a refusal only."""
    busy: tuple[str, ...] = ()
    """Workers that could do a task of it and work for others, each with for whom; of a refusal only."""
    fetching: tuple[str, ...] = ()
    """Workers that lack only a model for a task of it, each with what comes of that; of a refusal only."""

    @property
    def reason(self) -> str:
        said = [self.answer.reason]
        if self.busy:
            said.append("; ".join(self.busy))
        if self.fetching:
            said.append("; ".join(self.fetching))
        if self.reserved:
            kept = ", ".join(self.reserved)
            are = "is" if len(self.reserved) == 1 else "are"
            said.append(f"{kept} {are} kept for clips of motion (orchestrator.reserve)")
        return ". ".join(said)


def lent(admitted: Admitted) -> set[str]:
    """The workers on which a workflow runs."""
    return {worker_of(node) for node in admitted.graph.accelerators}


def keeps_reserve(nodes: Nodes, lent: Set[str], policy: Policy) -> bool:
    """Whether enough nodes that can look at clips are lent to nobody, when these workers are lent."""
    able = nodes.clip_workers()
    return len(able - lent) >= nodes.reserve(policy.reserve)


def place(
    workflow: Workflow,
    nodes: Nodes,
    others: Bookings,
    policy: Policy,
    now: float,
    *,
    known: frozenset[str] = frozenset(),
) -> Placed:
    """Where the workflow runs beside the others, or why it cannot, with the attempt that came nearest.

    Of the workers in `known` the steady figures count: it ran there until now.
    """
    best: Placed | None = None
    halves = frozenset(others.halved)
    whole = frozenset(w.id for w in nodes if w.serving is None and w.id not in others.lent)
    for split in (halves, halves | whole) if whole else (halves,):
        offered = nodes.edge_nodes(now, split=split, known=known)
        for kept in _reserves(workflow, nodes, offered, others.lent, policy):
            usable = [node for node in offered if worker_of(node.id) not in kept]
            answer = _provision(workflow, usable, others, policy)
            if isinstance(answer, Admitted):
                takes = lent(answer) - others.lent
                if nodes.clip_workers().isdisjoint(takes) or keeps_reserve(
                    nodes, others.lent | takes, policy
                ):
                    return Placed(answer)
                continue
            placed = Placed(
                answer, tuple(sorted(kept)), _busy(workflow, nodes, others), _fetching(answer, nodes)
            )
            if best is None or _distance(answer) < _distance(best.answer):
                best = placed
            if not kept:
                break  # what cannot be done with all nodes cannot be done with fewer
    assert best is not None, "an attempt without the whole reserve either keeps it or is refused"
    return best


def _provision(
    workflow: Workflow, nodes: Sequence[EdgeNode], others: Bookings, policy: Policy
) -> Admitted | Refused:
    hub = EdgeNode(HUB_NODE, {DECISION_TASK: policy.decisions_per_second})
    return provision(
        workflow,
        [*nodes, hub],
        others,
        method=policy.method,
        weights=policy.weights,
        overbooking=policy.overbooking,
    )


def _busy(workflow: Workflow, nodes: Nodes, others: Bookings) -> tuple[str, ...]:
    """Who could do a task of the workflow and works for others, in words; a few of them."""
    wanted = {workflow.measurement, workflow.feature}
    able = [w.id for w in nodes if w.id in others.holders and not wanted.isdisjoint(w.capacities)]
    return tuple(f"{worker} works for {', '.join(others.holders[worker][:3])}" for worker in able[:3])


def _fetching(answer: Refused, nodes: Nodes) -> tuple[str, ...]:
    """Who lacks only the model for a task of the workflow, in words; a few of them."""
    wanted = {answer.workflow.measurement, answer.workflow.feature} if answer.cause == "capacity" else set()
    said: list[str] = []
    for worker in nodes:
        for task in worker.state.fetchable if worker.online else ():
            does = "could not fetch" if task in (worker.state.failed or {}) else "fetches"
            if task in wanted:
                said.append(f"{worker.id} {does} a model for {task}")
    return tuple(said[:3])


def _distance(answer: Admitted | Refused) -> tuple[float, float]:
    """How far a refusal is from an admission: one that fails by its delay alone is the nearest."""
    graph = answer.graph
    return (graph.workflow_time if graph else math.inf, -answer.idle_capacity)


def _reserves(
    workflow: Workflow, nodes: Nodes, offered: Sequence[EdgeNode], taken: set[str], policy: Policy
) -> Iterator[frozenset[str]]:
    """Which workers to keep for clips: first none, in case that what is chosen leaves enough."""
    able = nodes.clip_workers()
    free = able - taken
    need = nodes.reserve(policy.reserve)
    if need == 0:
        yield frozenset()
        return
    use: dict[str, float] = dict.fromkeys(free, 0.0)
    for node in offered:
        if (worker := worker_of(node.id)) in free:
            tasks = (workflow.measurement, workflow.feature)
            use[worker] += math.fsum(fps for task, fps in node.capacities.items() if task in tasks)
    order = sorted(free, key=lambda worker: (use[worker], worker))
    if len(order) > need:
        yield frozenset()
    for start in range(min(max(len(order) - need, 0) + 1, ATTEMPTS)):
        yield frozenset(order[start : start + need])
