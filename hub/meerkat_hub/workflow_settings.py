"""Sections `workflows` and `orchestrator` of meerkat.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict, Field, RootModel

from meerkat_contract.configfile import did_you_mean
from meerkat_contract.findings import Finding, not_among_devices
from meerkat_contract.ids import Name
from meerkat_contract.vocabulary import LABELS

from .core.workflow_records import DEVICE, Policy, WorkflowSpec
from .core.workflows.decisions import SeenRule
from .core.workflows.selection import Method, Outage, Weights

FRAME_TASKS = ("detect_objects", "detect_faces", "recognise_faces")
"""What the house's own workers do with a frame; one of an owner's own may do others."""

FOUND = (*LABELS, "face")
"""What the models of the catalogue find."""


class WorkflowsSettings(RootModel[dict[Name, WorkflowSpec]]):
    """Section `workflows`: what is to be watched for, each by its id."""

    model_config = ConfigDict(frozen=True)

    root: dict[Name, WorkflowSpec] = Field(default_factory=dict)

    def look(self, sections: Mapping[str, BaseModel]) -> Iterator[Finding]:
        """What would only ever wait or stay silent: cameras, tasks and labels that nothing here knows."""
        for name, spec in self.root.items():
            yield from not_among_devices(spec.cameras, "cameras", sections, below=(name, "cameras"))
            for field, task in (("measurement", spec.measurement), ("feature", spec.feature)):
                if task is not None and task not in (*FRAME_TASKS, DEVICE):
                    text = f"no worker of Meerkat's own does {task!r}{did_you_mean(task, FRAME_TASKS)}"
                    yield Finding((name, field), text, sure=False)
            for index, label in enumerate(
                spec.decision.labels if isinstance(spec.decision, SeenRule) else ()
            ):
                if label not in FOUND:
                    text = f"no model of Meerkat's own finds {label!r}{did_you_mean(label, FOUND)}"
                    yield Finding((name, "decision", "labels", index), text, sure=False)


class WeightSettings(BaseModel):
    """A to E of the cost by which nodes are chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    waste: float = Field(0.25, ge=0, description="per frame/s of capacity that is not asked for")
    latency: float = Field(0.25, ge=0, description="per millisecond")
    energy: float = Field(0.25, ge=0, description="per watt")
    unavailability: float = Field(0.25, ge=0, description="per unit of probability, which is at most 1")
    switching: float = Field(0.25, ge=0, description="per second in which a node loads another task")
    outage: Outage = Field("all_down", description="what counts as unavailable: all_down or any_down")


class OrchestratorSettings(BaseModel):
    """How nodes are shared between clips of motion and workflows."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    reserve: int | None = Field(
        None,
        ge=0,
        le=1000,
        description="nodes able to look at clips of motion that no workflow gets; when not given, one, but "
        "none where a single node is able and holds all its tasks at once. 0: clips and workflows share all "
        "nodes, frames may wait behind a clip, and a node that loads one task at a time looks at no clip "
        "while a workflow has it",
    )
    overbooking: float = Field(
        1.0, ge=1, le=100, description="times its capacity that a node of a shared service may be booked"
    )
    decisions_per_second: float = Field(
        2000,
        gt=0,
        le=1_000_000,
        description="frames of all workflows together that the hub may have to decide upon in a second: a "
        "workflow that would bring more is refused; more on a fast machine, fewer where it does much else",
    )
    method: Method = Field("exact", description="how nodes are chosen")
    weights: WeightSettings = WeightSettings()

    def policy(self) -> Policy:
        """The same for the core."""
        return Policy(
            reserve=self.reserve,
            overbooking=self.overbooking,
            decisions_per_second=self.decisions_per_second,
            method=self.method,
            weights=Weights(**self.weights.model_dump()),
        )
