"""The workers as a rule sees them, by position. `arrays` keeps many of them in arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from .line import Entry, FewTurns, Line, Turns
from .view import WorkerView

MANY = 80
"""Workers; fewer are gone through one by one sooner than arrays of them are reckoned with."""


class Staff(list[WorkerView]):
    """Workers by position. Change it by `replace` alone. No answer came later than the present."""

    def __init__(self, workers: Iterable[WorkerView] = ()) -> None:
        super().__init__(workers)
        self.willing = {position for position, worker in enumerate(self) if worker.wants}
        """Positions of those that should be given another job."""
        self.rates = [1 / worker.seconds for worker in self]
        """Units of cost a second, by position."""
        self._rate: float | None = None

    @property
    def rate(self) -> float:
        """Units of cost a second, of all together."""
        if self._rate is None:
            self._rate = sum(self.rates)
        return self._rate

    def replace(self, position: int, worker: WorkerView) -> None:
        """It is as this says from now on."""
        self[position] = worker
        self.rates[position] = 1 / worker.seconds
        self._rate = None
        if worker.wants:
            self.willing.add(position)
        else:
            self.willing.discard(position)

    def turns(self, now: float, usual: float, most: int, *, together: bool) -> Turns:
        """When all would answer jobs of the usual cost: in one line, or each class of speed by itself. `most`
        jobs are put in the lines. There is somebody."""
        del most  # all are looked at
        entries = [
            (
                (worker.answers if now <= worker.plain_until else worker.answers_at(now))
                + worker.seconds * usual,
                position,
                worker.seconds,
            )
            for position, worker in enumerate(self)
        ]
        if together:
            return FewTurns([Line(entries)], self.willing, usual)
        classes: defaultdict[int, list[Entry]] = defaultdict(list)
        for worker, entry in zip(self, entries, strict=True):
            classes[worker.speed_class].append(entry)
        return FewTurns([Line(those) for those in classes.values()], self.willing, usual)

    def has_idle(self) -> bool:
        return any(not worker.in_flight for worker in self)

    def has_busy(self) -> bool:
        return any(worker.in_flight for worker in self)

    def overdue_at(self) -> float | None:
        """When the first answer is overdue; None when nobody holds anything."""
        return min([w.first_end + w.round_trip / 2 for w in self if w.in_flight], default=None)


def staff_of(workers: Iterable[WorkerView]) -> Staff:
    """Those workers; in arrays where they are many."""
    staff = Staff(workers)
    if len(staff) < MANY:
        return staff
    from .arrays import ArrayStaff

    return ArrayStaff(staff)
