"""What the API answers about the cloud burst."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from meerkat_contract.messages import BurstState, CloudRule

from .models import View

BURST: dict[str, Any] = {
    "state": {
        "on": True,
        "state": "burst",
        "reason": "of 21 clips 9 would be done later than 120 s, the last in 168 s; with 12 sent to 2 "
        "machines (2 new) all is done in 124 s, 44 s sooner",
        "since": "2026-11-20T08:15:00.250Z",
        "in_cloud": 12,
        "instances": 2,
        "desired": 2,
        "max_instances": 2,
        "spent_today": 0.021,
        "spent_month": 0.34,
        "reserved": 0.018,
        "ceiling_day": 0.5,
        "ceiling_month": 5.0,
        "forecast_day": 0.06,
    },
    "policy": "drain",
    "fleet": "asg",
    "default": "overflow",
    "rules": {"porch/front": "never"},
    "aloft": [
        {
            "clip": "0194a3c0-5b1e-7c3a-8f00-2b6c1f0d9e11",
            "device": "garden",
            "camera": "gate",
            "sent_at": "2026-11-20T08:15:00.250Z",
            "returns": 0,
        }
    ],
    "decisions": [],
    "dropped": 0,
    "boot": 84.0,
    "clip_seconds": 17.5,
    "upload_rate": 800000.0,
    "plan": {"code": "hold", "reason": "all that is late is out", "send": [], "dollars": 0.0},
}


class AloftView(View):
    """A clip in the cloud."""

    clip: str = Field(description="its id")
    device: str
    camera: str
    sent_at: datetime
    returns: int = Field(description="times that it came back before without a result")


class DecisionView(View):
    """What was decided, with the reason. What is decided again without anything new is one."""

    at: datetime
    code: str = Field(description="one word, as `state` of the burst's state")
    reason: str
    sent: int = Field(description="clips that it sent out")
    taken_back: int
    desired: int | None = Field(None, description="machines that it asked for; null: as many as before")


class PlannedClipView(View):
    """A clip that would go out now."""

    clip: str = Field(description="its id")
    device: str
    camera: str
    age: float = Field(description="seconds since the hub has it")
    done_in: float | None = Field(description="seconds until the house would have done it; null: never")

    @field_validator("done_in", mode="before")
    @classmethod
    def _never(cls, seconds: float | None) -> float | None:
        return None if seconds is None or math.isinf(seconds) else seconds


class PlanView(View):
    """What would be decided now, were the burst on. Nothing is done by asking."""

    code: str = Field(description="one word, as `state` of the burst's state")
    reason: str
    send: list[PlannedClipView] = Field(description="clips that would go out")
    machines: int | None = Field(None, description="machines that would be asked for; null: as many as now")
    dollars: float = Field(description="US dollars that would be set apart for them")


class BurstDetails(View):
    """How the cloud burst stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [BURST]})

    state: BurstState = Field(description="as it is said on the bus")
    policy: str = Field(description="drain | threshold")
    fleet: Literal["asg", "external"] = Field(
        description="asg: machines are rented; external: they are yours, and nothing is paid"
    )
    default: CloudRule = Field(description="for cameras of which nothing is said")
    rules: dict[str, CloudRule] = Field(description="device/camera: what the configuration says of it")
    aloft: list[AloftView] = Field(description="clips that are out, the first that went first")
    decisions: list[DecisionView] = Field(description="since the hub began, the latest first")
    dropped: int = Field(description="results that came late or twice, since the hub began")
    boot: float = Field(description="seconds until an instance works, measured")
    clip_seconds: float = Field(description="seconds of an instance for a clip of 5 s, measured")
    upload_rate: float = Field(description="bytes a second, measured")
    plan: PlanView


class LedgerLine(View):
    """A line of the ledger. What is reserved is closed by what was spent, and the rest released."""

    id: str
    at: datetime
    kind: Literal["reserved", "spent", "released"]
    dollars: float
    seconds: float = Field(description="of machines")
    instance: str
    reason: str
    refers: str = Field("", description="the reservation that it closes, wholly or in part")


class LedgerView(View):
    """The ledger, the latest line first."""

    entries: list[LedgerLine]


class DayView(View):
    """What was spent on a day (UTC)."""

    day: date
    dollars: float = Field(description="US dollars")
    machines: int = Field(description="that ran on it")
    seconds: float = Field(description="that they ran, together, as billed")


class DaysView(View):
    """Days on which something was spent, the latest first."""

    days: list[DayView]


class SampleView(View):
    """How it stood from then on, until the next sample."""

    at: datetime
    at_home: int = Field(description="clips that wait for a worker of the house, or are with one")
    in_cloud: int = Field(description="clips that are out")
    machines: int = Field(description="that start or run")
    spent_today: float = Field(description="US dollars of the day (UTC) until then")


class HistoryView(View):
    """The last six hours at most, since the hub began: a sample for each change, the earliest first."""

    samples: list[SampleView]
