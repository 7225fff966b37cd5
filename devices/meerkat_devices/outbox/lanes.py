"""What is sent next: live before spooled, each in its own order. Pure; time is passed in.

Live is what was made while connected and has not failed yet. At a start, and when the connection is
lost, everything that waits becomes spooled: a backlog, which is sent at a bounded rate so that it
never holds up what happens now. What gets no receipt in time is sent again, later each time.

Each step costs the same whether ten wait or a hundred thousand: heaps say what is first. What was settled
meanwhile stays in them until it comes to the top.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

from .outbox import Entry

WINDOW = 2
"""How many entries are on their way at a time, their receipts outstanding."""

RECEIPT_SECONDS = 30.0
LONGEST_WAIT = 600.0

SLOWEST_LINE = 10_000.0
"""Bytes a second. Until the broker has an entry it is not called late before this: sending it again
would make a slow line slower."""


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    live: bool
    attempts: int = 0
    not_before: float = 0.0
    deadline: float = 0.0


_Item = tuple[float, int, int, _Waiting]
"""By what it is sorted, its place in the order, a number of its own, itself."""


class Lanes:
    """Entries by state: waiting in one of two lanes, or on their way."""

    def __init__(self, *, spooled_bytes_per_second: float, window: int = WINDOW) -> None:
        self.rate = spooled_bytes_per_second
        """Bytes of the backlog a second; may be changed at any time, on any thread."""
        self._window = window
        self._waiting: dict[str, _Waiting] = {}
        self._on_way: dict[str, _Waiting] = {}
        self._live: list[_Item] = []
        """What may go, by its place in the order."""
        self._spooled: list[_Item] = []
        self._later: list[_Item] = []
        """Spooled, and backing off: by when it may go."""
        self._numbers = itertools.count()
        self._connected = False
        self._hub_away = False
        self._spool_free_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._on_way)

    @property
    def on_way(self) -> frozenset[str]:
        return frozenset(self._on_way)

    def add(self, entry: Entry) -> None:
        """A new entry: live if we are connected now. One that is known already is left where it is."""
        if entry.id in self._waiting or entry.id in self._on_way:
            return
        self._put(_Waiting(entry, live=self._connected))

    def spool(self, entries: list[Entry]) -> None:
        """What an earlier run left."""
        for entry in entries:
            self._put(_Waiting(entry, live=False))

    def connected(self) -> None:
        """All that waits may be sent at once, whatever its back-off was."""
        self._connected = True
        self._retry_at_once()

    def disconnected(self) -> list[str]:
        """Nothing is on its way any more; returns the ids of what was."""
        self._connected = False
        self._hub_away = False
        lost = list(self._on_way)
        for entry_id in lost:
            self._waiting[entry_id] = self._on_way.pop(entry_id)
        for waiting in self._waiting.values():
            waiting.live = False
        self._sort()
        return lost

    def hub_is(self, *, away: bool, news: bool = False) -> list[str]:
        """What the hub's availability says. While it is away nobody would give receipts.

        When it comes back, what was on its way may have been lost with it and waits again; returns
        the ids of that. `news`: it was said just now, and not kept by the broker from before.
        """
        came_back = not away and (self._hub_away or news)
        self._hub_away = away
        if not came_back:
            return []
        lost = list(self._on_way)
        for entry_id in lost:
            self._waiting[entry_id] = self._on_way.pop(entry_id)
        self._retry_at_once()
        return lost

    def settled(self, entry_id: str) -> None:
        """A receipt came, or the entry is gone."""
        self._waiting.pop(entry_id, None)
        self._on_way.pop(entry_id, None)
        if len(self._live) + len(self._spooled) + len(self._later) > 2 * len(self._waiting) + 1000:
            self._sort()  # without a connection nothing ever comes to the top

    def failed(self, entry_id: str, now: float) -> None:
        """It could not be handed to the broker: again, after a while."""
        if waiting := self._on_way.pop(entry_id, None):
            self._back_off(waiting, now, first=1.0)

    def delivered(self, entry_id: str, now: float) -> None:
        """The broker has it: the time for its receipt begins."""
        if waiting := self._on_way.get(entry_id):
            waiting.deadline = now + _patience(waiting)

    def overdue(self, now: float) -> list[str]:
        """Put back what got no receipt in time; returns the ids."""
        late = [entry_id for entry_id, waiting in self._on_way.items() if now >= waiting.deadline]
        for entry_id in late:
            self._back_off(self._on_way.pop(entry_id), now, first=0.0)
        return late

    def next(self, now: float) -> Entry | None:
        """What to send at `now`, counted as on its way from here on; None when nothing may go."""
        if not self._connected or self._hub_away or len(self._on_way) >= self._window:
            return None
        while self._later and self._later[0][0] <= now:
            _, seq, number, waiting = heapq.heappop(self._later)
            if self._is_waiting(waiting):
                heapq.heappush(self._spooled, (seq, seq, number, waiting))
        lane = self._live
        if not self._first(lane) and now >= self._spool_free_at:
            lane = self._spooled
        chosen = self._first(lane)
        if chosen is None:
            return None
        heapq.heappop(lane)
        del self._waiting[chosen.entry.id]
        if not chosen.live:
            self._spool_free_at = now + chosen.entry.size / self.rate
        chosen.attempts += 1
        chosen.deadline = now + max(_patience(chosen), chosen.entry.size / SLOWEST_LINE)
        self._on_way[chosen.entry.id] = chosen
        return chosen.entry

    def wake_at(self, now: float) -> float | None:
        """When `next` or `overdue` may say something else without any event; None for never."""
        times = [waiting.deadline for waiting in self._on_way.values()]
        if self._connected and not self._hub_away and len(self._on_way) < self._window:
            if self._first(self._live):
                times.append(now)
            elif self._first(self._spooled):
                times.append(max(now, self._spool_free_at))
            if later := self._first(self._later):
                times.append(max(now, later.not_before, self._spool_free_at))
        return min(times, default=None)

    def _back_off(self, waiting: _Waiting, now: float, *, first: float) -> None:
        waiting.live = False
        waiting.not_before = now + min(first * 2.0 ** (min(waiting.attempts, 30) - 1), LONGEST_WAIT)
        self._put(waiting)

    def _retry_at_once(self) -> None:
        for waiting in self._waiting.values():
            waiting.attempts = 0
            waiting.not_before = 0.0
        self._sort()

    def _put(self, waiting: _Waiting) -> None:
        self._waiting[waiting.entry.id] = waiting
        seq, number = waiting.entry.seq, next(self._numbers)
        if waiting.live:
            heapq.heappush(self._live, (seq, seq, number, waiting))
        elif waiting.not_before:
            heapq.heappush(self._later, (waiting.not_before, seq, number, waiting))
        else:
            heapq.heappush(self._spooled, (seq, seq, number, waiting))

    def _sort(self) -> None:
        """Everything anew, after all changed at once."""
        self._live, self._spooled, self._later = [], [], []
        for waiting in self._waiting.values():
            self._put(waiting)

    def _first(self, lane: list[_Item]) -> _Waiting | None:
        while lane and not self._is_waiting(lane[0][3]):
            heapq.heappop(lane)
        return lane[0][3] if lane else None

    def _is_waiting(self, waiting: _Waiting) -> bool:
        return self._waiting.get(waiting.entry.id) is waiting


def _patience(waiting: _Waiting) -> float:
    """Seconds that a receipt may take."""
    return min(RECEIPT_SECONDS * 2.0 ** (min(waiting.attempts, 30) - 1), LONGEST_WAIT)
