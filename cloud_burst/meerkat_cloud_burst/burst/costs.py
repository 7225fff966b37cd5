"""The ledger by day and month (UTC)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from meerkat_cloud_burst.policy.books import CLOCK


@dataclass(frozen=True, slots=True)
class Costs:
    """US dollars. `days` and `months`: what was spent, by 2026-11-20 and 2026-11, the latest first."""

    days: Mapping[str, float] = field(default_factory=dict)
    months: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Of machines, by day."""
    reserved: float = 0.0
    forecast_day: float = 0.0
    ceiling_day: float = 0.0
    ceiling_month: float = 0.0

    @classmethod
    def of(cls, ledger: Mapping[str, Any], burst: Mapping[str, Any]) -> Costs:
        """From the answers of /api/burst/ledger and /api/burst."""
        days: dict[str, float] = defaultdict(float)
        months: dict[str, float] = defaultdict(float)
        seconds: dict[str, float] = defaultdict(float)
        for entry in ledger.get("entries", ()):
            if entry.get("kind") != "spent" or entry.get("instance") == CLOCK:
                continue
            at = _moment(entry["at"])
            days[f"{at:%Y-%m-%d}"] += float(entry["dollars"])
            months[f"{at:%Y-%m}"] += float(entry["dollars"])
            seconds[f"{at:%Y-%m-%d}"] += float(entry.get("seconds", 0))
        state = burst.get("state", {})
        return cls(
            dict(sorted(days.items(), reverse=True)),
            dict(sorted(months.items(), reverse=True)),
            dict(seconds),
            reserved=float(state.get("reserved", 0)),
            forecast_day=float(state.get("forecast_day", 0)),
            ceiling_day=float(state.get("ceiling_day", 0)),
            ceiling_month=float(state.get("ceiling_month", 0)),
        )

    def as_object(self) -> dict[str, Any]:
        return {
            "days": [
                {"day": day, "dollars": dollars, "seconds": self.seconds.get(day, 0.0)}
                for day, dollars in self.days.items()
            ],
            "months": [{"month": month, "dollars": dollars} for month, dollars in self.months.items()],
            "reserved": self.reserved,
            "forecast_day": self.forecast_day,
            "ceiling_day": self.ceiling_day,
            "ceiling_month": self.ceiling_month,
        }


def _moment(at: float | str) -> datetime:
    """Of Unix seconds, or of a time in words."""
    if isinstance(at, str):
        return datetime.fromisoformat(at).astimezone(UTC)
    return datetime.fromtimestamp(at, UTC)
