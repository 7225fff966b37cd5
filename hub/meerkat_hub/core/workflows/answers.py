"""What a workflow is answered that asks for nodes: a graph that it runs on, or the numbers that failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .graph import Graph, Workflow, milliseconds
from .selection import Selection

Plan = Literal["reuse", "extend", "start"]
"""How the feature level is manned: a running service, that and idle nodes, idle nodes."""

Cause = Literal["decision", "capacity", "delay"]
"""Why a workflow is refused: nobody is free to decide; Eq. 3 does not hold; Eq. 6 does not hold."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The workflow runs on this graph. Its bookings hold as long as this value is given to `provision`."""

    workflow: Workflow
    graph: Graph
    plan: Plan
    measurement_capacity: float
    """Frames per second of the idle nodes for the measurement task, as they were divided."""
    feature_capacity: float
    """The same for the feature task, with what is left of a shared service."""
    overbooking: float
    chosen: tuple[Selection | None, Selection | None]
    """How the measurement and the feature level were chosen; of an extended service what was added.
    None for a level that needs no node."""

    @property
    def idle_capacity(self) -> float:
        """IC(W), Eq. 2: frames per second, of the levels that need nodes."""
        return _least(self.workflow, self.measurement_capacity, self.feature_capacity)

    @property
    def reason(self) -> str:
        workflow = self.workflow
        free = f" of {self.idle_capacity:g}" if any(workflow.demands) else ""
        return (
            f"workflow {workflow.id} is admitted ({self.plan}): {workflow.flow:g}{free} "
            f"frames/s; {self.graph} are within {milliseconds(workflow.max_delay)}"
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """The workflow cannot run now; the numbers are those of the attempt that came nearest."""

    workflow: Workflow
    cause: Cause
    measurement_capacity: float = 0.0
    """Frames per second of the idle nodes for the measurement task, as they were divided."""
    feature_capacity: float = 0.0
    """The same for the feature task, with what is left of a shared service."""
    graph: Graph | None = None
    """The graph that is too slow, when the delay is the cause."""
    decision_capacity: float = 0.0
    """Frames per second that somebody can still decide upon, when that is the cause."""

    @property
    def idle_capacity(self) -> float:
        """IC(W), Eq. 2, of the levels that need nodes."""
        return _least(self.workflow, self.measurement_capacity, self.feature_capacity)

    @property
    def reason(self) -> str:
        workflow = self.workflow
        said = f"workflow {workflow.id} is refused: "
        if self.graph is not None:
            time = milliseconds(self.graph.workflow_time)
            return f"{said}{self.graph} are {time}, more than {milliseconds(workflow.max_delay)}"
        if self.cause == "decision":
            can = [f"{self.decision_capacity:g} of {workflow.decision}"]
        else:
            measured, described = workflow.demands
            can = [f"{self.measurement_capacity:g} of {workflow.measurement}"] if measured else []
            can += [f"{self.feature_capacity:g} of {workflow.feature}"] if described else []
        return (
            f"{said}its cameras give {workflow.flow:g} frames/s, and what is free can do {' and '.join(can)}"
        )


def _least(workflow: Workflow, measurement: float, feature: float) -> float:
    levels = zip(workflow.demands, (measurement, feature), strict=True)
    return min((capacity for demand, capacity in levels if demand), default=0.0)
