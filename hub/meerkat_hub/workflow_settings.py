"""Sections `workflows` and `orchestrator` of meerkat.yaml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, RootModel

from meerkat_contract.ids import Name

from .core.workflow_records import Policy, WorkflowSpec
from .core.workflows.selection import Method, Outage, Weights


class WorkflowsSettings(RootModel[dict[Name, WorkflowSpec]]):
    """Section `workflows`: what is to be watched for, each by its id."""

    model_config = ConfigDict(frozen=True)

    root: dict[Name, WorkflowSpec] = Field(default_factory=dict)


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

    reserve: int = Field(
        1,
        ge=0,
        le=1000,
        description="nodes able to look at clips of motion that no workflow gets; 0: clips and workflows "
        "share all nodes, frames may wait behind a clip, and a node that loads one task at a time looks at "
        "no clip while a workflow has it",
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
