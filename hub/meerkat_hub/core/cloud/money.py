"""What the cloud may cost: the ledger between the core's records and those of the burst."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil, inf
from typing import TypedDict

from meerkat_cloud_burst.policy.clocks import Moment
from meerkat_cloud_burst.policy.ledger import Ledger, Machine, Observed, Refused, Terms
from meerkat_cloud_burst.policy.view import LedgerEntry, MoneyView
from meerkat_cloud_burst.ports import FleetState
from meerkat_cloud_burst.settings import BurstSettings
from meerkat_hub.core.cloud_records import LedgerWritten
from meerkat_hub.core.records import Now

TENTHS_OF_A_CENT = 3
"""Digits of what is told to who asks."""

TEN_CENTS = 0.1
"""Dollars below which tenths of a cent are told on the bus; above it are cents."""


class Figures(TypedDict):
    """Fields of BurstState."""

    spent_today: float
    spent_month: float
    reserved: float
    ceiling_day: float
    ceiling_month: float
    forecast_day: float


def for_the_bus(exact: Figures) -> Figures:
    """As people read them: a tenth of a cent more is no news. What may still be spent is rounded up."""
    return exact | {
        "spent_today": _rounded(exact["spent_today"]),
        "spent_month": _rounded(exact["spent_month"]),
        "reserved": _cents_up(exact["reserved"]),
        "forecast_day": _cents_up(exact["forecast_day"]),
    }


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the fleet means for the money. `end`: machines that cannot be paid any longer."""

    changes: tuple[LedgerWritten, ...] = ()
    end: tuple[str, ...] = ()
    desired: int | None = None
    reason: str = ""


class Money:
    """With an external fleet nothing costs money, and all of it is available."""

    def __init__(self, settings: BurstSettings, new_id: Callable[[], str]) -> None:
        self._ledger = Ledger(Terms.of(settings), new_id) if settings.fleet == "asg" else None

    def load(self, entries: Iterable[LedgerEntry], now: Now) -> None:
        if self._ledger is not None:
            self._ledger.load(entries, _moment(now))

    def look(self, fleet: FleetState, now: Now) -> Looked:
        """Every machine that is billed, also one that no group counts."""
        if self._ledger is None:
            return Looked()
        machines = [
            Machine(one.id, max((now.wall - one.since).total_seconds(), 0.0))
            for one in (*fleet.instances, *fleet.orphans)
        ]
        if fleet.trouble is not None:
            self._ledger.launch_failed()
        seen: Observed = self._ledger.observe(machines, fleet.desired, _moment(now))
        return Looked(tuple(map(LedgerWritten, seen.entries)), seen.end, seen.desired, seen.reason)

    def reserve(self, machines: int, now: Now, reason: str) -> tuple[LedgerWritten, ...] | str:
        """Pay so many launches beforehand; or why that cannot be."""
        if self._ledger is None:
            return ()
        entries = self._ledger.reserve(machines, _moment(now), reason)
        return entries.reason if isinstance(entries, Refused) else tuple(map(LedgerWritten, entries))

    def view(self, now: Now) -> MoneyView:
        return MoneyView(inf, 0.0) if self._ledger is None else self._ledger.view(_moment(now))

    def figures(self, now: Now) -> Figures:
        if self._ledger is None:
            return Figures(
                spent_today=0, spent_month=0, reserved=0, ceiling_day=0, ceiling_month=0, forecast_day=0
            )
        day, month = self._ledger.today(_moment(now)), self._ledger.month(_moment(now))
        return Figures(
            spent_today=_told(day.spent),
            spent_month=_told(month.spent),
            reserved=_told(day.reserved),
            ceiling_day=day.ceiling,
            ceiling_month=month.ceiling,
            forecast_day=_told(day.forecast),
        )


def _moment(now: Now) -> Moment:
    return Moment(now.mono, now.wall.timestamp())


def _rounded(dollars: float) -> float:
    return round(dollars, TENTHS_OF_A_CENT if dollars < TEN_CENTS else 2)


def _cents_up(dollars: float) -> float:
    return ceil(round(100 * dollars, 1)) / 100


def _told(dollars: float) -> float:
    return round(dollars, TENTHS_OF_A_CENT)
