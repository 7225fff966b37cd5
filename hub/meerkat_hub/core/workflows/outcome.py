"""What follows from one call of the workflows."""

from __future__ import annotations

from dataclasses import dataclass, field

from meerkat_hub.core.outputs import Announce, EventSaved
from meerkat_hub.core.pool.work import Item
from meerkat_hub.core.workflow_records import Plan, WorkflowChange, WorkflowEffect


@dataclass(slots=True)
class Outcome:
    """Work for the pool, and which flows it has from now on, if that changes; changes to commit, effects
    after the commit, lines for the log."""

    items: list[Item] = field(default_factory=list)
    plan: Plan | None = None
    changes: list[EventSaved | Announce | WorkflowChange] = field(default_factory=list)
    effects: list[WorkflowEffect] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
