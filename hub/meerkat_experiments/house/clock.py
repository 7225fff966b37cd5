"""Simulated time: a heap of what happens next, and chance that comes from the seed alone."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

from meerkat_hub.core.records import Now

START = datetime(2026, 11, 20, 0, 0, tzinfo=UTC)


class Clock:
    """`mono` only grows; `wall` may be set, as people and time servers do."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.mono = 0.0
        self._offset = timedelta()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._ids = 0

    def now(self) -> Now:
        """What the hub's clocks show."""
        return Now(self.true_time() + self._offset, self.mono)

    def true_time(self) -> datetime:
        """What a clock shows that nobody ever sets."""
        return START + timedelta(seconds=self.mono)

    def jump(self, seconds: float) -> None:
        """Set the hub's wall clock."""
        self._offset += timedelta(seconds=seconds)

    def chance(self, name: str) -> Random:
        """A source of chance of its own for each part, so that a change in one leaves the others alone."""
        return Random(f"{self.seed}/{name}")

    def new_id(self) -> str:
        """A UUID that is unique in this world, and the same in each run of it."""
        self._ids += 1
        return f"{self._ids:08x}-5eed-7000-8000-{self._ids:012x}"

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do it so much later. What is due at the same instant happens in the order it was asked for."""
        self._count += 1
        heapq.heappush(self._heap, (self.mono + max(seconds, 0.0), self._count, action))

    def run_until(self, mono: float) -> None:
        """Let everything happen that is due until then."""
        while self._heap and self._heap[0][0] <= mono:
            at, _, action = heapq.heappop(self._heap)
            self.mono = at
            action()
        self.mono = mono
