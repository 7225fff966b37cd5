"""Pull: whoever has room takes the next job. With a window of 1, Algorithm 2 of the MELINDA paper.

(Information 2021, 12, 14, section 3.3: one queue in, a thread per node that sends one message and
waits for its reply.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .rule import ArrivalEstimate, Assignment, Job
from .view import WorkerView


@dataclass(frozen=True, slots=True)
class Pull:
    """Fills every worker up to `credit`: who holds the fewest first, then who has waited longest.

    The paper's threads all wait at one queue, which serves them in the order in which they came to it.
    """

    credit: int = 1

    @property
    def name(self) -> str:
        return f"pull {self.credit}"

    @property
    def only_willing(self) -> bool:
        return False

    def assign(
        self,
        waiting: Sequence[Job],
        workers: Sequence[WorkerView],
        _now: float,
        _arrivals: ArrivalEstimate,
        /,
    ) -> list[Assignment]:
        places = sorted(
            (held, worker.last_answer, position)
            for position, worker in enumerate(workers)
            for held in range(len(worker.in_flight), min(self.credit, worker.window))
        )
        return [
            Assignment(job.id, workers[position].id)
            for job, (_, _, position) in zip(waiting, places, strict=False)
        ]
