"""What every dispatch rule sees besides the workers (`view`), and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from meerkat_contract.values import value

from .view import WorkerView


class Job(Protocol):
    """A job that waits at the hub, as far as a rule looks at it."""

    @property
    def id(self) -> str: ...

    @property
    def cost(self) -> float: ...


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job of which nothing else is known."""

    id: str
    cost: float = 1.0


@value
class ArrivalEstimate:
    """What a rule is told of jobs that it is not shown."""

    rate: float = 0.0
    """Units of cost that have been arriving a second lately (see `estimates.ArrivalWindow`)."""
    behind: float = 0.0
    """Units of cost that wait behind the jobs shown."""


@value
class Assignment:
    """Send this job to this worker now."""

    job: str
    worker: str


class Rule(Protocol):
    """Decides which waiting jobs are sent now.

    `waiting` is in the order in which jobs should be served; of a long queue it is the head. The rule
    changes none of its arguments. It may remember whose turn it is, and nothing else: the same calls in
    the same order give the same answers. It sends no worker more than its window, no job twice, and
    only jobs that wait.
    """

    @property
    def name(self) -> str: ...

    @property
    def only_willing(self) -> bool:
        """Whether it sends jobs to none but workers whose view `wants` one, and need not be asked where
        nobody does."""

    def assign(
        self,
        waiting: Sequence[Job],
        workers: Sequence[WorkerView],
        now: float,
        arrivals: ArrivalEstimate,
        /,
    ) -> list[Assignment]: ...
