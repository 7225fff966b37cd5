"""What the workflows that run have taken of the nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .answers import Admitted
from .graph import PART, worker_of

NOTHING: Mapping[str, float] = {}


class Bookings:
    """Sums over admitted workflows, kept so that each further one costs no look at all the others."""

    def __init__(self, admitted: Iterable[Admitted] = ()) -> None:
        self.workflows: set[str] = set()
        self.busy: set[str] = set()
        """Nodes with a deep-learning task."""
        self.lent: set[str] = set()
        """Their workers."""
        self.holders: dict[str, list[str]] = {}
        """Worker → the workflows that run on it."""
        self.halved: set[str] = set()
        """Workers that are booked by halves."""
        self.sinks: dict[str, float] = {}
        """Node that decides → the part of its capacity that is booked."""
        self._shared: dict[str, dict[str, float]] = {}
        for one in admitted:
            self.add(one)

    def add(self, one: Admitted) -> None:
        graph, workflow = one.graph, one.workflow
        self.workflows.add(workflow.id)
        for worker in sorted({worker_of(node) for node in graph.accelerators}):
            self.holders.setdefault(worker, []).append(workflow.id)
        for node in graph.accelerators:
            self.busy.add(node)
            self.lent.add(worker_of(node))
            if PART in node:
                self.halved.add(worker_of(node))
        sink = graph.decision
        self.sinks[sink.node] = self.sinks.get(sink.node, 0.0) + sink.share / sink.capacity
        if workflow.shared and workflow.feature is not None:
            booked = self._shared.setdefault(workflow.feature, {})
            for operator in graph.feature:
                booked[operator.node] = booked.get(operator.node, 0.0) + operator.share

    def shared(self, task: str | None) -> Mapping[str, float]:
        """Node of the shared service of this task → frames per second that are booked on it."""
        return NOTHING if task is None else self._shared.get(task, NOTHING)
