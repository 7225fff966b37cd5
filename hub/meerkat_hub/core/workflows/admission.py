"""Whether a workflow can run on the nodes there are, and on which: Algorithm 1 of the paper.

A workflow is cameras and three tasks: one that finds images of interest (measurement level, MLT), one
that says more about them (feature level, FLT), one that decides (decision level, DLT). `provision` is
a function of the nodes and of what was admitted before. Nothing is kept here: a workflow is released
by leaving it out of `admitted`, a node that left or slowed is seen in `nodes`.

Source: MELINDA, Information 2021, 12(1), 14, sections 3.2 and 3.3. Where the paper leaves a gap:

- A shared service is reused if what is left of its nodes suffices; else idle nodes are added to it for
  this workflow; else, or if the delay would not be met with its nodes, idle nodes alone are tried. The
  capacity of idle nodes for the feature level is asked for only as far as the service falls short.
- Each workflow is served by the nodes of its own graph, so adding a slow node to a service delays
  nobody who was admitted before.
- A level may need no node: the device itself may find what is of interest (`on_device`), and a workflow
  may have no feature task. Such a level adds nothing to the capacity asked for, nor to the delay.
- If the delay cannot be met, nodes that would break it whatever they were paired with are left out,
  and all is tried once more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from meerkat_contract.errors import BadMessage, UsageError

from .answers import Admitted, Plan, Refused
from .bookings import Bookings
from .graph import EdgeNode, Graph, Operator, Workflow
from .selection import Method, Node, Selection, Shortfall, Weights, meets, select_nodes

FRONTIER = 256
"""Partial splits of the nodes that can do both tasks that are carried along at most."""

UNDECIDED = 24
"""Of the nodes that can do both tasks so many are divided with care, those that are about as good at one
as at the other; the rest goes where it is better."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A node of a shared service."""

    node: EdgeNode
    booked: float
    """Frames per second of all workflows on it."""
    residual: float
    """Frames per second that may still be booked: overbooking × capacity − booked, not below 0."""


def service(
    task: str, nodes: Iterable[EdgeNode], admitted: Iterable[Admitted] | Bookings, overbooking: float = 1.0
) -> tuple[Serving, ...]:
    """The nodes that run this shared task now, and what each has left.

    `overbooking` is how many times its capacity a node may be booked. Bookings count every frame of the
    cameras as one of interest, which few are. Above 1, frames may have to wait for one another, and MWT
    bounds nothing any more: in experiment E1 (section 4.4), with the flow of four nodes on two, 3 % of
    the messages took longer when one frame in ten was of interest, and 20 to 25 % when one in four was.
    """
    bookings = admitted if isinstance(admitted, Bookings) else Bookings(admitted)
    booked = bookings.shared(task)
    runs = ((node, booked[node.id]) for node in nodes if node.id in booked and task in node.capacities)
    full = ((node, load, overbooking * node.capacities[task]) for node, load in runs)
    return tuple(Serving(node, load, 0.0 if meets(load, most) else most - load) for node, load, most in full)


def provision(
    workflow: Workflow,
    nodes: Sequence[EdgeNode],
    admitted: Iterable[Admitted] | Bookings = (),
    *,
    method: Method = "exact",
    weights: Weights | None = None,
    overbooking: float = 1.0,
) -> Admitted | Refused:
    """Algorithm 1. `nodes` are all there are; what `admitted` workflows run on is taken.

    A node runs one deep-learning task at a time (section 3.2), for one workflow unless it is a shared
    service; `overbooking` is that of `service`. Decision tasks are light: a node takes several, but none
    beside a deep-learning task. Raises UsageError when the workflow runs already or overbooking is
    below 1, BadMessage for a node with impossible figures.
    """
    if not 1 <= overbooking < math.inf:
        raise UsageError(f"{overbooking} is below 1", where="overbooking", remedy="1 books what is there")
    bookings = admitted if isinstance(admitted, Bookings) else Bookings(admitted)
    if workflow.id in bookings.workflows:
        raise UsageError("it runs already", where=f"workflow {workflow.id}", remedy="Release it first")
    if len({node.id for node in nodes}) < len(nodes):
        raise BadMessage("two nodes have the same id", where="pool", remedy="Rename one")
    free = _free(workflow, nodes, bookings, overbooking if workflow.shared else 1.0)
    if free is None:
        return Refused(workflow, "decision", decision_capacity=_left_to_decide(workflow, nodes, bookings))
    quick = free.quick_enough(workflow.max_delay)
    plans = [*free.plans(workflow.flow), *quick.plans(workflow.flow)]
    if not quick.has_nodes:  # no choice meets the delay: what is near will do for the numbers
        plans, method = plans[:1], "best_fit"
    refused: list[Refused] = []
    for plan, usable in plans:
        answer = _attempt(workflow, usable, plan, partial(select_nodes, method, weights=weights))
        if isinstance(answer, Admitted):
            return answer
        refused.append(answer)
    return min(refused, key=lambda r: (r.graph.workflow_time if r.graph else math.inf, -r.idle_capacity))


def _sink(workflow: Workflow, nodes: Sequence[EdgeNode], bookings: Bookings) -> Operator | None:
    """d of line 1: ordinary nodes before those that could do the deep learning, then the quickest."""
    task, flow = workflow.decision, workflow.flow
    able = [
        node
        for node in nodes
        if task in node.capacities
        and node.id not in bookings.busy
        and meets(
            1.0, bookings.sinks.get(node.id, 0.0) + flow / node.offer(task, node.capacities[task]).capacity
        )
    ]
    if not able:
        return None
    deep = {workflow.measurement, workflow.feature}
    best = min(
        able, key=lambda n: (not deep.isdisjoint(n.capacities), 1 / n.capacities[task] + n.latency_ms / 1000)
    )
    return Operator(best.id, task, best.capacities[task], flow, best.latency_ms)


def _left_to_decide(workflow: Workflow, nodes: Sequence[EdgeNode], bookings: Bookings) -> float:
    """Frames per second that the freest node can still decide upon."""
    task = workflow.decision
    left = [
        (1.0 - bookings.sinks.get(node.id, 0.0)) * node.capacities[task]
        for node in nodes
        if task in node.capacities and node.id not in bookings.busy
    ]
    return max([0.0, *left])


class _Able(NamedTuple):
    """A node that can do a task: what may be booked on it, and what it really does."""

    offer: Node
    capacity: float

    def seconds(self, hops: int) -> float:
        return 1 / self.capacity + hops * self.offer.latency_ms / 1000


def _free(workflow: Workflow, nodes: Sequence[EdgeNode], bookings: Bookings, factor: float) -> _Free | None:
    """What is left for this workflow; None when nobody can decide."""
    sink = _sink(workflow, nodes, bookings)
    if sink is None:
        return None
    taken = {sink.node} | bookings.busy | bookings.sinks.keys()
    idle = [node for node in nodes if node.id not in taken]

    def able(task: str, times: float) -> list[_Able]:
        can = [(node, node.capacities[task]) for node in idle if task in node.capacities]
        return [_Able(node.offer(task, times * capacity), capacity) for node, capacity in can]

    demands, task = workflow.demands, workflow.feature
    measurement = able(workflow.measurement, 1.0) if demands[0] else []
    if task is None:
        return _Free(sink, factor, demands, measurement, [], [])
    serving = service(task, nodes, bookings, factor) if workflow.shared else ()
    left = [_Able(s.node.offer(task, s.residual), s.node.capacities[task]) for s in serving if s.residual]
    return _Free(sink, factor, demands, measurement, able(task, factor), left)


@dataclass(frozen=True, slots=True)
class _Free:
    """What can still be booked. A node that can do both tasks is in the first two lists."""

    sink: Operator
    overbooking: float
    demands: tuple[float, float]
    measurement: list[_Able]
    feature: list[_Able]
    serving: list[_Able]

    @property
    def has_nodes(self) -> bool:
        """Whether each level that asks for nodes has one."""
        measured, described = self.demands
        return bool(self.measurement or not measured) and bool(self.feature or self.serving or not described)

    def plans(self, flow: float) -> list[tuple[Plan, _Free]]:
        """The ways to man the feature level, in the order in which they are tried (lines 5 to 8)."""
        start: tuple[Plan, _Free] = ("start", replace(self, serving=[]))
        if not self.serving:
            return [start]
        if meets(_booked(self.serving), flow):
            return [("reuse", replace(self, feature=[])), start]
        return [("extend", self), start]

    def quick_enough(self, max_delay: float) -> _Free:
        """Without the nodes that are too slow even beside the quickest of the other level."""
        rest = 1 / self.sink.capacity + self.sink.latency_ms / 1000
        first = min((able.seconds(1) for able in self.measurement), default=0.0)
        second = min((able.seconds(2) for able in (*self.feature, *self.serving)), default=0.0)

        def quick(level: list[_Able], hops: int, other: float) -> list[_Able]:
            return [able for able in level if meets(max_delay, able.seconds(hops) + other + rest)]

        return replace(
            self,
            measurement=quick(self.measurement, 1, second),
            feature=quick(self.feature, 2, first),
            serving=quick(self.serving, 2, first),
        )

    def split(self) -> tuple[list[_Able], list[_Able]]:
        """U and V of line 1: nodes that can do both tasks go where IC(W) becomes greatest, or, where
        the levels ask for different rates, the lesser of capacity over demand.

        Were nodes divisible, they would best be put in order of how much better they are at the first
        task, and cut in two; so only those near the cut are divided with care. Splits of the first of
        these are carried along as (capacity of U, capacity of V, who is in U); one that another beats in
        both is dropped. Beyond FRONTIER of them every so many are dropped, too, so that the answer is
        the greatest for a few nodes or many alike, and very near it for many unlike.
        """
        in_v = {able.offer.id: able.offer.capacity for able in self.feature}
        both = [able.offer for able in self.measurement if able.offer.id in in_v]
        ids = {node.id for node in both}
        u = math.fsum(able.offer.capacity for able in self.measurement if able.offer.id not in ids)
        v = math.fsum(able.offer.capacity for able in self.feature if able.offer.id not in ids)
        v += _booked(self.serving)
        first, both, last = self._cut(both, in_v, u, v)
        splits = [
            (u + math.fsum(n.capacity for n in first), v + math.fsum(in_v[n.id] for n in last), 0),
        ]
        for n, node in enumerate(both):
            to_u = [(u + node.capacity, v, members | 1 << n) for u, v, members in splits]
            to_v = [(u, v + in_v[node.id], members) for u, v, members in splits]
            splits = _undominated([*to_u, *to_v])
        of_u, of_v = ((1 / demand if demand else math.inf) for demand in self.demands)
        members = max(splits, key=lambda split: min(_times(split[0], of_u), _times(split[1], of_v)))[2]
        in_u = {node.id for node in first} | {node.id for n, node in enumerate(both) if members >> n & 1}
        return (
            [able for able in self.measurement if able.offer.id not in ids or able.offer.id in in_u],
            [able for able in self.feature if able.offer.id not in in_u],
        )

    def _cut(
        self, both: list[Node], in_v: Mapping[str, float], u: float, v: float
    ) -> tuple[list[Node], list[Node], list[Node]]:
        """Nodes that go to U, those that are still to be divided, and those that go to V.

        `u` and `v` are what the levels have besides them.
        """
        if len(both) <= UNDECIDED:
            return [], both, []
        order = sorted(both, key=lambda node: in_v[node.id] / node.capacity)
        v += math.fsum(in_v[node.id] for node in order)
        to_u, to_v = self.demands[0] or 1.0, self.demands[1] or 1.0
        cut = 0
        while cut < len(order) and u / to_u < v / to_v:
            u, v = u + order[cut].capacity, v - in_v[order[cut].id]
            cut += 1
        begin = min(max(0, cut - UNDECIDED // 2), len(order) - UNDECIDED)
        end = begin + UNDECIDED
        return order[:begin], order[begin:end], order[end:]


def _undominated(splits: list[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    kept: list[tuple[float, float, int]] = []
    for split in sorted(splits, reverse=True):
        if not kept or split[1] > kept[-1][1]:
            kept.append(split)
    if len(kept) <= FRONTIER:
        return kept
    return [kept[i * (len(kept) - 1) // (FRONTIER - 1)] for i in range(FRONTIER)]


def _times(capacity: float, per_demand: float) -> float:
    """How often the capacity covers the demand; of no demand, for ever."""
    return math.inf if per_demand == math.inf else capacity * per_demand


def _booked(level: Iterable[_Able]) -> float:
    return math.fsum(able.offer.capacity for able in level)


def _attempt(
    workflow: Workflow,
    free: _Free,
    plan: Plan,
    select: Callable[[float, Sequence[Node]], Selection | Shortfall],
) -> Admitted | Refused:
    """Lines 1 to 16 with one way of manning the feature level."""
    residual = _booked(free.serving)
    u, v = free.split()
    capacities = (_booked(u), residual + _booked(v))
    measured, described = workflow.demands
    if not all(map(meets, capacities, workflow.demands)):
        return Refused(workflow, "capacity", *capacities)

    def choose(level: Sequence[_Able], demand: float) -> tuple[Selection | None, list[_Able]]:
        if not demand:
            return None, []
        # Rounding must not make a demand of what is known to suffice.
        demand = min(demand, _booked(level))
        selection = select(demand, [able.offer for able in level])
        assert isinstance(selection, Selection), selection
        by_id = {able.offer.id: able for able in level}
        return selection, [by_id[node.id] for node in selection.nodes]

    first, measurement = choose(u, measured)
    if plan == "extend":
        second, added = choose(v, described - residual)
        feature = [*free.serving, *added]
    else:
        second, feature = choose(free.serving if plan == "reuse" else v, described)
    graph = Graph(
        _operators(workflow.measurement, measurement, measured),
        _operators(workflow.feature or "", feature, described),
        free.sink,
    )
    if not meets(workflow.max_delay, graph.workflow_time):
        return Refused(workflow, "delay", *capacities, graph)
    return Admitted(workflow, graph, plan, *capacities, free.overbooking, (first, second))


def _operators(task: str, level: Sequence[_Able], flow: float) -> tuple[Operator, ...]:
    """The flow is booked in proportion to what each node has to offer."""
    total = _booked(level)
    return tuple(
        Operator(offer.id, task, capacity, flow * offer.capacity / total, offer.latency_ms)
        for offer, capacity in level
    )
