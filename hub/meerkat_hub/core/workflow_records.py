"""Workflows as they are asked for, and what goes into and comes out of the part that runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from meerkat_contract.ids import NAME_PATTERN
from meerkat_contract.messages import Box, Deploy, Found, ModelInfo, WorkflowState
from meerkat_contract.values import value

from .pool.work import Flow
from .workflows.decisions import Rule, WhoMayBeHere
from .workflows.graph import Workflow
from .workflows.selection import Method, Weights

CLIP_TASK = "detect_objects"
"""What a node must be able to do to look at clips of motion."""

DECISION_TASK = "decide"

HUB_NODE = "@hub"
"""The node of every decision. No worker can be named so."""

Camera = Annotated[str, StringConstraints(pattern=rf"^{NAME_PATTERN}/{NAME_PATTERN}$")]
"""device/camera"""

FramesPerSecond = Annotated[float, Field(gt=0, le=240, allow_inf_nan=False)]
Task = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]

DEVICE = "device"


class CameraUse(BaseModel):
    """How a workflow uses one camera. A bare number is its frames per second."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fps: FramesPerSecond = Field(
        description="frames per second that are looked at; what is more is passed over"
    )
    measurement: Literal["pool", "device"] = Field(
        "pool", description="device: it detects by itself, and sends frames of interest with their boxes"
    )

    @model_validator(mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return {"fps": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class WorkflowSpec(BaseModel):
    """One workflow: cameras, a task that finds something, one that says more about it, a rule that decides.

    W = {So, MLT, FLT, DLT, MaxDelay} (MELINDA, section 3.2).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    cameras: dict[Camera, CameraUse] = Field(
        min_length=1, description="device/camera: its frames per second", examples=[{"porch/front": 2}]
    )
    measurement: Task = Field(
        "detect_faces",
        description="task that finds what is of interest; `device` when the devices do it themselves",
    )
    feature: Task | None = Field(
        "recognise_faces", description="task that says more about it; null to decide on what was found"
    )
    decision: Rule = Field(description="what follows from it")
    max_delay: float = Field(
        1.0, gt=0, le=3600, description="seconds from a frame's arrival at the hub to its decision"
    )
    shared: bool = Field(True, description="its feature nodes may serve other shared workflows too")
    weight: float = Field(1.0, gt=0, le=1000, description="its share when there is more work than capacity")

    @model_validator(mode="after")
    def _a_task(self) -> WorkflowSpec:
        if self.measurement == "pool":
            raise ValueError("measurement: name a task, such as detect_faces, or device")
        if isinstance(self.decision, WhoMayBeHere) and self.feature is None:
            raise ValueError("who_may_be_here needs a feature task that says who it is: recognise_faces")
        return self

    @property
    def on_device(self) -> frozenset[str]:
        """Cameras whose device detects by itself."""
        everywhere = self.measurement == DEVICE
        return frozenset(c for c, use in self.cameras.items() if everywhere or use.measurement == DEVICE)

    @property
    def rates(self) -> dict[str, float]:
        """Camera → frames per second."""
        return {camera: use.fps for camera, use in self.cameras.items()}

    def workflow(self, name: str) -> Workflow:
        """The same for admission."""
        return Workflow(
            name,
            self.rates,
            self.measurement,
            self.feature,
            DECISION_TASK,
            self.max_delay,
            self.shared,
            self.on_device,
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """What the house wants of the orchestrator."""

    reserve: int | None = 1
    """Nodes able to look at clips of motion that are lent to no workflow. None: one, unless there is but one
    and it holds all its tasks at once; that one does both."""
    overbooking: float = 1.0
    method: Method = "exact"
    weights: Weights = field(default_factory=Weights)
    decisions_per_second: float = 2000.0
    """What the hub takes of them, as the node of the decision level. With 200 enrolled faces one takes
    0.16 ms of its processor, which it needs for the frames on their way as well."""
    gather: float = 2.0
    """Seconds from the start until anything is planned, but for a workflow that somebody asks for: nodes
    are heard of one after another, and what they serve already is best left as it is."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A workflow that was asked for at run time, as the database keeps it."""

    name: str
    spec: WorkflowSpec
    at: datetime


# --- in -----------------------------------------------------------------------------------------


@value
class FrameArrived:
    """A frame came; its bytes lie in memory under its id until `ForgetFrame`."""

    frame: str
    device: str
    camera: str
    captured_at: datetime
    size: int
    content_type: str = "image/jpeg"
    found: tuple[Found, ...] | None = None
    """What the device found in it; None when it did not look."""
    found_by: str = ""
    """The task with which the device looked."""
    model: ModelInfo | None = None
    region: Box | None = None
    """The part of the camera's picture that the frame is; None when it is the whole. What is found in a
    frame is in fractions of the frame, up to the event."""
    came: float | None = None
    """Monotonic seconds when the hub's session received it, which may be long before it is taken up; None:
    now."""


@dataclass(frozen=True, slots=True)
class WorkflowRequested:
    """Somebody asks for a workflow. `ticket` names the request in the answer."""

    name: str
    spec: WorkflowSpec
    ticket: str = ""
    wait: bool = False
    """Keep it though it is refused now, and try again whenever the nodes change."""


@dataclass(frozen=True, slots=True)
class WorkflowWithdrawn:
    name: str
    ticket: str = ""


@dataclass(frozen=True, slots=True)
class WorkflowsAsked:
    """Somebody asks how workflows and nodes stand. Nothing changes by it."""

    ticket: str


WorkflowInput = FrameArrived | WorkflowRequested | WorkflowWithdrawn | WorkflowsAsked

# --- out: changes -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkflowStored:
    stored: Stored


@dataclass(frozen=True, slots=True)
class WorkflowRemoved:
    name: str


WorkflowChange = WorkflowStored | WorkflowRemoved

# --- out: effects -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeployTask:
    """Publish on meerkat/worker/<worker>/deploy (QoS 1, not retained)."""

    worker: str
    deploy: Deploy


@dataclass(frozen=True, slots=True)
class SetFrameRate:
    """Publish on meerkat/device/<device>/<camera>/frames/set, retained. 0: nobody asks for frames."""

    device: str
    camera: str
    frames_per_second: float


@dataclass(frozen=True, slots=True)
class PublishWorkflow:
    """Publish on meerkat/workflow/<name>/state, retained; None clears it."""

    name: str
    state: WorkflowState | None


@dataclass(frozen=True, slots=True)
class ClearLeftovers:
    """The first plan is made: take back what an earlier run said on the bus, and this one does not say."""

    workflows: frozenset[str]
    """Whose state stays."""
    cameras: frozenset[str]
    """device/camera: those that are asked for frames."""


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """The answer to the request of this ticket."""

    ticket: str
    outcome: Literal["admitted", "kept", "refused", "exists", "configured", "unknown", "withdrawn"]
    """kept: refused now, and tried again when nodes change. configured: it is the file's to change."""
    state: WorkflowState | None = None


@value
class ForgetFrame:
    """The bytes of this frame are needed no more."""

    frame: str


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as the orchestrator plans with it."""

    worker: str
    online: bool
    capacities: Mapping[str, float]
    """Task → frames per second, measured."""
    round_trip: float
    """Seconds, measured; 0 before the first."""
    availability: float
    serving: str | None
    workflows: tuple[str, ...]
    """That run on it."""
    task: str | None
    """What it is to serve for them."""


@dataclass(frozen=True, slots=True)
class View:
    """How all stands, for the API and the page."""

    workflows: tuple[WorkflowState, ...]
    """In the order of their requests."""
    nodes: tuple[NodeView, ...]
    specs: Mapping[str, WorkflowSpec]
    configured: frozenset[str]
    """Those of the configuration file, which only it can change."""


@dataclass(frozen=True, slots=True)
class ShowWorkflows:
    """The answer to WorkflowsAsked."""

    ticket: str
    view: View


WorkflowEffect = (
    DeployTask | SetFrameRate | PublishWorkflow | ClearLeftovers | AnswerRequest | ForgetFrame | ShowWorkflows
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the pool is to do for workflows."""

    flows: tuple[Flow, ...] = ()
    clip_nodes: frozenset[str] | None = None
    """The only workers that take clips of motion; None: all."""
