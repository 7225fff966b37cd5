"""What every dispatch rule sees and says.

All times are monotonic seconds on the hub's clock. The cost of a job is in any unit (frames, or 1 for
a job like any other), as long as `WorkerView.seconds` is per the same unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job that waits at the hub."""

    id: str
    cost: float = 1.0


@dataclass(frozen=True, slots=True)
class InFlight:
    """A job that was sent to a worker and is not answered yet."""

    job: str
    cost: float
    sent: float


@dataclass(frozen=True, slots=True)
class WorkerView:
    """What the hub knows of one worker."""

    id: str
    seconds: float
    """Estimated service time of one unit of cost: the worker's own, without links and queues."""
    round_trip: float
    """Seconds from the hub to the worker and back."""
    window: int
    """Jobs it takes at a time at most, the running one included."""
    weight: float
    """The capacity that it announced, in units of cost a second: what static weights go by."""
    in_flight: tuple[InFlight, ...] = ()
    """In the order in which they were sent, which is the order in which the worker takes them."""
    last_answer: float = float("-inf")
    """When its latest answer came."""

    @property
    def room(self) -> int:
        return self.window - len(self.in_flight)


@dataclass(frozen=True, slots=True)
class ArrivalEstimate:
    """How many units of cost have been arriving a second lately (see `estimates.ArrivalWindow`)."""

    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """Send this job to this worker now."""

    job: str
    worker: str


class Rule(Protocol):
    """Decides which waiting jobs are sent now.

    `waiting` is in the order in which jobs should be served. The rule changes none of its arguments.
    It may remember whose turn it is, and nothing else: the same calls in the same order give the same
    answers. It sends no worker more than its window, no job twice, and only jobs that wait.
    """

    @property
    def name(self) -> str: ...

    def assign(
        self,
        waiting: Sequence[WaitingJob],
        workers: Sequence[WorkerView],
        now: float,
        arrivals: ArrivalEstimate,
        /,
    ) -> list[Assignment]: ...
