"""What is written in the ledger, and its sums: spent by day and month, reserved and not yet closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import takewhile
from math import fsum

from .clocks import Clocks, Moment, Period
from .view import LedgerEntry

CLOCK = "clock"
"""Stands for the instance in a line without money that says by how many `seconds` the wall clock leapt."""

KEPT = 70 * 86_400.0
"""Seconds for which lines count at most: a month, whatever the clock did, and the one before."""

DUST = 1e-12


@dataclass(frozen=True, slots=True)
class Cost:
    steady: float
    """By the steady clock of this run; of earlier runs what it would have been."""
    dollars: float


class Books:
    """Lines in, sums out. Every method that writes returns the lines to be stored."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._costs: list[Cost] = []
        """In the order of the steady clock."""
        self._days: dict[float, float] = {}
        """Dollars by day, keyed by its beginning on the wall clock."""
        self._open: dict[str, float] = {}
        self._rates: dict[str, float] = {}
        self.recorded: dict[str, float] = {}
        """Seconds that are written of each instance."""
        self.last_of: dict[str, float] = {}
        """When something was last written of each instance, by the wall clock."""
        self.latest: float | None = None
        """The time of the last line that was loaded, by the wall clock."""

    def load(self, entries: Iterable[LedgerEntry], now: Moment, clocks: Clocks) -> None:
        """Take up the lines of earlier runs, in any order.

        A line of the future, or one that says that the clock leapt within the last day, makes all times
        doubtful for a day: what was spent may then have been spent today.
        """
        lines = list(entries)
        leaps = fsum(abs(e.seconds) for e in lines if e.instance == CLOCK and now.wall - e.at < 86_400.0)
        ahead = max((e.at - now.wall for e in lines), default=0.0)
        if leaps or ahead > 0:
            clocks.distrust(now, leaps + max(0.0, ahead))
        for entry in lines:
            if entry.kind == "reserved":
                self._open[entry.id] = self._open.get(entry.id, 0.0) + entry.dollars
                self._rates[entry.id] = entry.dollars / entry.seconds if entry.seconds else 0.0
            elif entry.refers:
                self._open[entry.refers] = self._open.get(entry.refers, 0.0) - entry.dollars
            if entry.kind == "spent" and entry.instance != CLOCK:
                age = max(0.0, now.wall - entry.at - leaps)
                self._note(entry, now.steady - age)
            self.latest = entry.at if self.latest is None else max(self.latest, entry.at)
        self._costs.sort(key=lambda cost: cost.steady)
        self._open = {key: left for key, left in self._open.items() if left > DUST}

    @property
    def reserved(self) -> float:
        """Dollars set apart that nothing has closed."""
        return fsum(self._open.values())

    @property
    def dearest(self) -> float:
        """Dollars a second of the dearest reservation that was open when the lines were loaded."""
        return max((rate for key, rate in self._rates.items() if key in self._open), default=0.0)

    def spent(self, period: Period, now: Moment, doubt: float) -> float:
        """Dollars of a period: by its dates and, where the clock is in doubt, whatever may belong to it."""
        dated = fsum(sum for day, sum in self._days.items() if period.begin <= day < period.end)
        if not doubt:
            return dated
        return max(dated, self._since(now.steady - period.reach(now.wall, doubt)))

    def spent_within(self, seconds: float, now: Moment) -> tuple[float, float]:
        """(dollars of the last `seconds`, how far back the lines reach within them)."""
        reach = now.steady - self._costs[0].steady if self._costs else 0.0
        return self._since(now.steady - seconds), min(seconds, reach)

    def _since(self, steady: float) -> float:
        return fsum(cost.dollars for cost in takewhile(lambda cost: cost.steady >= steady, self._costs[::-1]))

    def reserve(self, dollars: float, seconds: float, now: Moment, reason: str) -> LedgerEntry:
        entry = LedgerEntry(self._new_id(), now.wall, "reserved", dollars, seconds, reason=reason)
        self._open[entry.id] = dollars
        return entry

    def spend(
        self, dollars: float, seconds: float, instance: str, now: Moment, reason: str
    ) -> list[LedgerEntry]:
        """Out of the reservations, the oldest first; what they do not cover refers to none."""
        entries: list[LedgerEntry] = []
        left = dollars
        for key, part in self._take(dollars, oldest_first=True):
            share = seconds * part / dollars
            entries.append(self._spent(part, share, instance, now, reason=reason, refers=key))
            left -= part
        if left > DUST:
            entries.append(
                self._spent(left, seconds * left / dollars, instance, now, reason=reason, refers="")
            )
        return entries

    def release(self, dollars: float, now: Moment, reason: str) -> list[LedgerEntry]:
        """Give back what was set apart and is not needed, of the newest reservations first."""
        return [
            LedgerEntry(self._new_id(), now.wall, "released", part, reason=reason, refers=key)
            for key, part in self._take(dollars, oldest_first=False)
        ]

    def leapt(self, seconds: float, now: Moment) -> LedgerEntry:
        reason = f"the clock was set {'on' if seconds > 0 else 'back'} by {abs(seconds):.0f} s"
        return LedgerEntry(self._new_id(), now.wall, "spent", 0.0, seconds, CLOCK, reason)

    def forget_old(self, now: Moment) -> None:
        if self._costs and now.steady - self._costs[0].steady >= KEPT:
            self._costs = [cost for cost in self._costs if now.steady - cost.steady < KEPT]

    def forget(self, instance: str) -> None:
        self.recorded.pop(instance, None)
        self.last_of.pop(instance, None)

    def _take(self, dollars: float, *, oldest_first: bool) -> list[tuple[str, float]]:
        taken: list[tuple[str, float]] = []
        for key in list(self._open) if oldest_first else list(self._open)[::-1]:
            part = min(dollars, self._open[key])
            if part <= DUST:
                break
            dollars -= part
            self._open[key] -= part
            if self._open[key] <= DUST:
                del self._open[key]
            taken.append((key, part))
        return taken

    def _spent(
        self, dollars: float, seconds: float, instance: str, now: Moment, *, reason: str, refers: str
    ) -> LedgerEntry:
        entry = LedgerEntry(
            self._new_id(), now.wall, "spent", dollars, seconds, instance, reason, refers=refers
        )
        self._note(entry, now.steady)
        return entry

    def _note(self, entry: LedgerEntry, steady: float) -> None:
        self._costs.append(Cost(steady, entry.dollars))
        day = Period.day(entry.at).begin
        self._days[day] = self._days.get(day, 0.0) + entry.dollars
        if entry.instance:
            self.recorded[entry.instance] = self.recorded.get(entry.instance, 0.0) + entry.seconds
            self.last_of[entry.instance] = max(entry.at, self.last_of.get(entry.instance, entry.at))
