"""A workflow that somebody wants, and how it stands in words and numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from meerkat_contract.messages import Operator, WorkflowState
from meerkat_hub.core.workflow_records import Policy, WorkflowSpec

from .answers import Admitted, Refused
from .graph import worker_of
from .placement import Placed


@dataclass(slots=True, eq=False)
class Wanted:
    """One workflow that somebody wants."""

    name: str
    spec: WorkflowSpec
    number: int
    """In the order of the requests."""
    since: datetime
    seniority: int | None = None
    """In the order of the first admission; None: it never was admitted."""
    admitted: Admitted | None = None
    placed: Placed | None = None
    """The answer of the last attempt: of one that runs, its admission."""
    shown: WorkflowState | None = None
    refused_at: float | None = None
    """Since when it is refused (monotonic); None while it runs."""

    @property
    def age(self) -> tuple[float, int]:
        return (math.inf if self.seniority is None else self.seniority, self.number)

    @property
    def lacks(self) -> set[str]:
        """The tasks that nodes would do for it, when it is refused for want of capacity."""
        answer = self.placed.answer if self.placed is not None else None
        if not isinstance(answer, Refused) or answer.cause != "capacity":
            return set()
        workflow = answer.workflow
        tasks = zip((workflow.measurement, workflow.feature), workflow.demands, strict=True)
        return {task for task, demand in tasks if task and demand}


def state_of(one: Wanted, ready: Callable[[str, str], bool], policy: Policy) -> WorkflowState:
    """How it stands; `ready` says whether a node can do a task this moment."""
    assert one.placed is not None, "it is placed when it is asked for"
    answer, spec = one.placed.answer, one.spec
    admitted, workflow = one.admitted, answer.workflow
    nodes = admitted.graph if admitted else None
    operators = [
        Operator(
            task=o.task,
            node=worker_of(o.node),
            capacity=o.capacity,
            share=o.share,
            ready=ready(o.node, o.task),
        )
        for o in ((*nodes.measurement, *nodes.feature) if nodes else ())
    ]
    graph = nodes or (answer.graph if isinstance(answer, Refused) else None)
    tasks = (workflow.measurement, workflow.feature or "")
    free = (answer.measurement_capacity, answer.feature_capacity)
    levels = zip(workflow.demands, tasks, free, strict=True)
    capacity = {task: capacity for demand, task, capacity in levels if demand}
    if isinstance(answer, Refused) and answer.cause == "decision":
        capacity = {workflow.decision: answer.decision_capacity}
    runs = all(o.ready for o in operators)
    return WorkflowState(
        workflow=one.name,
        state=("running" if runs else "starting") if admitted else "refused",
        reason=one.placed.reason,
        cause="" if isinstance(answer, Admitted) else answer.cause,
        cameras=spec.rates,
        flow=workflow.flow,
        capacity=capacity,
        delay=graph.workflow_time if graph else None,
        max_delay=spec.max_delay,
        overbooking=policy.overbooking if spec.shared else 1.0,
        reserved=one.placed.reserved,
        nodes=tuple(operators),
        since=one.since,
    )
