"""Who came, who left with work in its hands, and how long one that comes and goes gets none.

A worker that leaves with work in its hands more than once is given none for a while when it is back, twice
as long each time. It has to stay: leaving again, even with nothing in its hands, begins the wait anew. Who
stayed for STEADY seconds beyond its wait begins afresh.

Who comes back as an earlier start than the one that left has not died in between: two workers share one
name, and the broker lets one in for the other. They get none of it faster, but what they leave counts as no
try, for nobody died of it.
"""

from __future__ import annotations

from dataclasses import dataclass

STARTS = 8
"""The latest starts of a worker that are remembered: one that crashes makes a new one each time."""

PAUSE = 1.0
"""Seconds without work for a worker that handed some back unbegun (its window is full, it is ending)."""

LONGEST_PAUSE = 600.0

STEADY = 60.0
"""Seconds on the bus, pauses not counted, after which a worker's earlier departures are forgotten."""

SILENCE = 5.0
"""A worker that let leases run out gets no work for PAUSE times this, to the power of how often in a row."""


def pause_of(times: int, base: float) -> float:
    """PAUSE × base to the power of `times`, LONGEST_PAUSE at most."""
    pause = PAUSE
    for _ in range(times):
        pause *= base
        if pause >= LONGEST_PAUSE:
            return LONGEST_PAUSE
    return pause


@dataclass(slots=True)
class _Record:
    """Of a worker that left with work in its hands."""

    incarnation: str
    item: str | None
    """What it was at; None when that has been looked into."""
    times: int
    left: float
    starts: tuple[str, ...]
    """Those it was here with, the latest last."""
    shared: bool = False
    """Two of that name were here in turns."""
    waits_until: float = 0.0
    """Until when it was given none, when it was here last."""


@dataclass(frozen=True, slots=True)
class Return:
    """What is to be known of a worker that is back."""

    times: int = 0
    """How often it left lately with work in its hands."""
    pause: float = 0.0
    """Seconds for which it gets none."""
    ended_at: str | None = None
    """The item it was at when its process ended."""
    shared: bool = False
    """Two workers have its name."""

    @property
    def words(self) -> str:
        said = f"; it left {self.times} times with work in its hands, and gets none for {self.pause:g} s"
        twins = "; two workers share this name and keep each other out: give one of them another (--id)"
        return (said if self.pause else "") + (twins if self.shared else "")


class Attendance:
    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    def __len__(self) -> int:
        return len(self._records)

    def left(self, worker: str, incarnation: str, at: str | None, now: float, joined: float) -> None:
        """It went. `at` is the item it was at: empty when that is dealt with, None when it held nothing.

        Call it for every departure but those of a broker's hiccup.
        """
        self._prune(now)
        known = self._records.get(worker)
        if known is not None and now - max(joined, known.waits_until) >= STEADY:
            del self._records[worker]
            known = None
        starts = known.starts if known else ()
        starts = (*(start for start in starts if start != incarnation), incarnation)[-STARTS:]
        if at is not None:
            times = known.times + 1 if known else 1
            shared = known is not None and known.shared
            self._records[worker] = _Record(incarnation, at, times, now, starts, shared)
        elif known is not None:
            known.incarnation, known.left, known.starts = incarnation, now, starts

    def is_shared(self, worker: str) -> bool:
        """Whether two of that name were here in turns lately."""
        record = self._records.get(worker)
        return record is not None and record.shared

    def back(self, worker: str, incarnation: str, now: float) -> Return:
        """It is here again, or for the first time."""
        record = self._records.get(worker)
        if record is None:
            return Return()
        another = record.incarnation != incarnation
        record.shared = record.shared or (another and incarnation in record.starts)
        ended_at = (record.item or None) if another and not record.shared else None
        record.item = None
        pause = pause_of(record.times - 1, 2.0) if record.times > 1 else 0.0
        record.waits_until = now + pause
        return Return(record.times, pause, ended_at, record.shared)

    def _prune(self, now: float) -> None:
        """Who left long ago, and did not come again, is forgotten."""
        if len(self._records) > 16:
            old = now - LONGEST_PAUSE - STEADY
            self._records = {name: r for name, r in self._records.items() if r.left > old}
