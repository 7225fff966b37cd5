"""All rows of the table, over all seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from .parameters import LATE, Row
from .world import Day, day


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one row. `p95` in seconds, `late` in per cent, the rest a day, `dollars` as billed."""

    row: Row
    p95: float
    late: float
    launches: float
    dollars: float
    dearest: float
    """The dearest day of all seeds."""
    booked: float
    """Dollars a day as the ledger has them: never less than what is billed."""
    sent: float
    taken_back: float

    def as_object(self) -> dict[str, Any]:
        figures = asdict(self)
        row = figures.pop("row")
        names = ("p95", "late", "launches", "dollars")
        earlier = dict(zip(names, self.row.earlier, strict=True))
        return {"world": row["site"]["name"], "policy": row["policy"], **figures, "earlier": earlier}


def run(
    rows: Sequence[Row], seeds: int, *, grace: float | None = None, tick: Callable[[], None] = lambda: None
) -> Iterator[Outcome]:
    """`tick` is called after each day."""
    for row in rows:
        days = []
        for seed in range(seeds):
            days.append(day(row.site, row.settings, seed, grace=grace))
            tick()
        yield outcome(row, days)


def outcome(row: Row, days: Sequence[Day]) -> Outcome:
    latencies = sorted(latency for one in days for latency in one.latencies)
    return Outcome(
        row,
        p95=latencies[int(0.95 * (len(latencies) - 1))],
        late=100 * sum(latency > LATE for latency in latencies) / len(latencies),
        launches=fmean(one.launches for one in days),
        dollars=fmean(one.dollars for one in days),
        dearest=max(one.dollars for one in days),
        booked=fmean(one.booked for one in days),
        sent=fmean(one.sent for one in days),
        taken_back=fmean(one.taken_back for one in days),
    )
