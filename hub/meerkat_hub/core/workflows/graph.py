"""Workflows, nodes, and the graph of nodes that runs a workflow (MELINDA, section 3.2)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from meerkat_contract.errors import UsageError

from .selection import Node

PART = "~"
"""`pi~1` and `pi~2` are the halves of a node that holds all its tasks at once. No worker is named so."""


def worker_of(node: str) -> str:
    """The worker that a node is, or is half of."""
    return node.partition(PART)[0]


@dataclass(frozen=True, slots=True)
class Workflow:
    """W = {So, MLT, FLT, DLT, MaxDelay} (section 3.2)."""

    id: str
    cameras: Mapping[str, float]
    """Camera → its frames per second."""
    measurement: str
    feature: str | None
    """None: the decision is made upon what the measurement level found."""
    decision: str
    max_delay: float
    """Seconds from a frame to its decision."""
    shared: bool = False
    """The feature task is an intelligence service, which serves several workflows."""
    on_device: frozenset[str] = frozenset()
    """Cameras whose device runs the measurement task itself and sends frames of interest only."""

    def __post_init__(self) -> None:
        for name, value in (*self.cameras.items(), ("max_delay", self.max_delay)):
            if not 0 < value < math.inf:
                raise UsageError(f"{value} is not above 0", where=f"workflow {self.id}, {name}")
        if not self.cameras:
            raise UsageError("it has no camera", where=f"workflow {self.id}", remedy="Name at least one")

    @property
    def flow(self) -> float:
        """Eq. 1: frames per second of all cameras together."""
        return math.fsum(self.cameras.values())

    @property
    def demands(self) -> tuple[float, float]:
        """Frames per second that nodes must take at the measurement and at the feature level."""
        measured = math.fsum(fps for camera, fps in self.cameras.items() if camera not in self.on_device)
        return measured, self.flow if self.feature else 0.0


@dataclass(frozen=True, slots=True)
class EdgeNode:
    """A node as it is known: what it does of each task when it does nothing else."""

    id: str
    capacities: Mapping[str, float]
    """Task → frames per second, measured, above 0."""
    latency_ms: float = 0.0
    """One message hop between this node and the hub, milliseconds."""
    energy: float = 0.0
    """Watts."""
    availability: float = 1.0
    switching: Mapping[str, float] = field(default_factory=dict)
    """Task → seconds to load it in place of what the node runs now; none for one that is ready."""

    def offer(self, task: str, capacity: float) -> Node:
        """This node as one to choose for a task, with so many frames per second to book."""
        seconds = self.switching.get(task, 0.0)
        return Node(self.id, capacity, self.latency_ms, self.energy, self.availability, seconds)


@dataclass(frozen=True, slots=True)
class Operator:
    """A task on a node, for one workflow."""

    node: str
    task: str
    capacity: float
    """Frames per second of the node for this task, however many workflows share it."""
    share: float
    """Frames per second of this workflow that are booked on it."""
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Graph:
    """The nodes of one workflow: E(MLO), E(FLO) and the sink E(DLO)."""

    measurement: tuple[Operator, ...]
    feature: tuple[Operator, ...]
    decision: Operator

    @property
    def accelerators(self) -> set[str]:
        """The nodes with a deep-learning task."""
        return {operator.node for operator in (*self.measurement, *self.feature)}

    @property
    def processing_time(self) -> float:
        """WPT of all three levels, seconds (Eq. 4; section 4.1 counts the decision too)."""
        levels = (self.measurement, self.feature, (self.decision,))
        return processing_time([operator.capacity for operator in level] for level in levels if level)

    @property
    def network_latency(self) -> float:
        """NL, seconds: the slowest way MLO → hub → FLO → DLO (section 4.2; Eq. 5 counts one hop only).

        The hub is the broker, so that the last hop leads past it, and takes no longer when it decides.
        """
        measurement = max((operator.latency_ms for operator in self.measurement), default=0.0)
        feature = max((operator.latency_ms for operator in self.feature), default=0.0)
        return (measurement + 2 * feature + self.decision.latency_ms) / 1000

    @property
    def workflow_time(self) -> float:
        """MWT = WPT + NL, seconds (Eq. 7): the longest a frame takes when it waits for no other."""
        return self.processing_time + self.network_latency

    def __str__(self) -> str:
        work, way = milliseconds(self.processing_time), milliseconds(self.network_latency)
        return f"{work} of work and {way} on the way"


def processing_time(levels: Iterable[Iterable[float]]) -> float:
    """WPT in seconds: the slowest node of each level, one after the other (Eq. 4, corrected).

    Eq. 4 is printed as 1 / (min MLT + min FLT). For Figure 5, with 8 and 16 frames/s, that is 0.0417 s,
    less than either level alone needs. A frame passes both: 1/8 + 1/16 = 0.1875 s. The paper's own 107 ms
    (section 4.1, Table 1) is a sum of this kind.
    """
    return math.fsum(1 / min(capacities) for capacities in levels)


def milliseconds(seconds: float) -> str:
    """For people: `87.5 ms`."""
    return f"{1000 * seconds:.4g} ms"
