"""The workers as a rule sees them, by position. `ordered` keeps many of them in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from .line import Entry, Line
from .view import WorkerView


class Staff(list[WorkerView]):
    """Workers by position. Change it by `replace` alone. No answer came later than the present."""

    def __init__(self, workers: Iterable[WorkerView] = ()) -> None:
        super().__init__(workers)
        self.willing = {position for position, worker in enumerate(self) if worker.wants}
        """Positions of those that should be given another job."""
        self.rates = [1 / worker.seconds for worker in self]
        """Units of cost a second, by position."""

    def replace(self, position: int, worker: WorkerView) -> None:
        """It is as this says from now on."""
        self[position] = worker
        self.rates[position] = 1 / worker.seconds
        if worker.wants:
            self.willing.add(position)
        else:
            self.willing.discard(position)

    def lines(self, now: float, cost: float, *, together: bool) -> list[Line]:
        """All, in the order in which they would answer a job of this cost: in one line, or each class of
        speed by itself. There is somebody."""
        entries = [
            (
                (worker.answers if now <= worker.plain_until else worker.answers_at(now))
                + worker.seconds * cost,
                position,
                worker.seconds,
            )
            for position, worker in enumerate(self)
        ]
        if together:
            return [Line(entries)]
        classes: defaultdict[int, list[Entry]] = defaultdict(list)
        for worker, entry in zip(self, entries, strict=True):
            classes[worker.speed_class].append(entry)
        return [Line(those) for those in classes.values()]

    def eager_line(self, now: float, cost: float) -> Line:  # noqa: ARG002
        """Those of which some should be given another job, and that are not in the heaps of `lines`."""
        return Line([])

    def has_idle(self) -> bool:
        return any(not worker.in_flight for worker in self)

    def has_busy(self) -> bool:
        return any(worker.in_flight for worker in self)

    def overdue_at(self) -> float | None:
        """When the first answer is overdue; None when nobody holds anything."""
        return min([w.first_end + w.round_trip / 2 for w in self if w.in_flight], default=None)
