"""The workers as a rule sees them, by position. `ordered` keeps many of them in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import inf

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

    def idle_answer(self, cost: float, now: float) -> float:
        """When the first of those that hold nothing would answer a job that is sent now; never, where all
        hold something."""
        return min([now + w.round_trip + w.seconds * cost for w in self if not w.in_flight], default=inf)

    def by_first_end(self, cost: float) -> Iterator[tuple[float, int]]:
        """(when it would answer a job of this cost that goes next there, at best; position), of those that
        hold something, in order."""
        busy = [(n, w) for n, w in enumerate(self) if w.in_flight]
        return iter(sorted([(w.first_end + w.seconds * cost + w.round_trip / 2, n) for n, w in busy]))
