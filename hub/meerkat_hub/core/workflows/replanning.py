"""Whether what was admitted still holds, now that nodes have left or changed.

Algorithm 1 of the paper ends with the deployment; what follows is ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from .answers import Admitted
from .bookings import NOTHING, Bookings
from .graph import EdgeNode, Graph, Operator
from .selection import meets


def refit(admitted: Admitted, nodes: Mapping[str, EdgeNode], bookings: Bookings) -> Admitted | None:
    """The workflow on its own nodes as they are now; the same value when nothing needs to change, and
    None when these nodes cannot hold it any more.

    `bookings` are of those that keep theirs whatever becomes of this one.
    """
    graph = admitted.graph
    booked = bookings.shared(admitted.workflow.feature) if admitted.workflow.shared else NOTHING
    measured, described = admitted.workflow.demands
    factor = admitted.overbooking
    first = _level(graph.measurement, measured, nodes, {}, 1.0)
    second = _level(graph.feature, described, nodes, booked, factor)
    if first is None or second is None:
        return None
    if (first, second) == (graph.measurement, graph.feature):
        return admitted
    fresh = Graph(first, second, graph.decision)
    if not meets(admitted.workflow.max_delay, fresh.workflow_time):
        return None
    return replace(admitted, graph=fresh)


def _level(
    level: tuple[Operator, ...],
    demand: float,
    nodes: Mapping[str, EdgeNode],
    booked: Mapping[str, float],
    factor: float,
) -> tuple[Operator, ...] | None:
    """The operators with the figures of now; the shares as they were, if they fit, else in proportion."""
    found = [(operator, nodes.get(operator.node)) for operator in level]
    now = [(o, n, n.capacities[o.task]) for o, n in found if n is not None and o.task in n.capacities]
    if len(now) < len(level):
        return None
    room = [max(0.0, factor * capacity - booked.get(node.id, 0.0)) for _, node, capacity in now]
    total = math.fsum(room)
    if not meets(total, demand):
        return None
    fits = all(meets(left, operator.share) for left, (operator, _, _) in zip(room, now, strict=True))
    shares = [o.share for o in level] if fits else [demand * left / total for left in room]
    return tuple(
        replace(operator, capacity=capacity, share=share, latency_ms=node.latency_ms)
        for (operator, node, capacity), share in zip(now, shares, strict=True)
    )
