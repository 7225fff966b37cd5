"""What the work of each task is like: how much of it comes, how large it usually is, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping

from meerkat_hub.core.rules import ArrivalWindow

from .members import Member
from .work import Item

PRICED_EVERY = 1.0
"""Seconds after which the price of a task is made anew from what its workers are measured to need."""

UNKNOWN = 0.04
"""Seconds that a pool is taken to need for one unit of cost while nobody has ever done the task."""

SIZE_SMOOTHING = 0.1
"""Of the newest item in the usual size."""


class Demand:
    """By task. `members` are the workers there are."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        self._members = members
        self._arrivals: dict[str, ArrivalWindow] = {}
        self._sizes: dict[str, float] = {}
        self._units: dict[str, float] = {}
        self._of_all: dict[str, float] = {}
        """What the whole pool needs; of a task that nobody does now, what it was."""
        self._priced_at = 0.0

    def came(self, item: Item, task: str, now: float) -> None:
        if self._members:  # else nobody asks how much came lately
            self._window(task).arrive(now, item.cost)
        old = self._sizes.get(task)
        self._sizes[task] = item.size if old is None else old + SIZE_SMOOTHING * (item.size - old)

    def rate(self, task: str, now: float) -> float:
        """Units of cost that have been arriving a second lately."""
        return self._window(task).rate(now)

    def usual_size(self, task: str) -> float:
        """Bytes that a job of this task has."""
        return self._sizes.get(task, 0.0)

    def unit(self, task: str) -> float:
        """Seconds that the pool needs for one unit of cost, so that flows of unlike tasks compare."""
        unit = self._units.get(task)
        if unit is None:
            seconds = [member.seconds(task) for member in self._members.values() if task in member.tasks]
            unit = self._units[task] = sum(seconds) / len(seconds) if seconds else 1.0
        return unit

    def pool_seconds(self, task: str) -> float:
        """Seconds that all workers together need for one unit of cost; as it was, while there are none."""
        capacity = sum(member.capacity(task) for member in self._members.values() if task in member.tasks)
        if capacity:
            self._of_all[task] = 1 / capacity
        return self._of_all.get(task, UNKNOWN)

    def price_anew(self) -> None:
        """Somebody came, went, or does other tasks than before."""
        self._units.clear()

    def pass_time(self, now: float) -> None:
        if now >= self._priced_at + PRICED_EVERY:
            self._priced_at = now
            self._units.clear()

    def _window(self, task: str) -> ArrivalWindow:
        window = self._arrivals.get(task)
        if window is None:
            window = self._arrivals[task] = ArrivalWindow()
        return window
