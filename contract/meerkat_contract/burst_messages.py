"""What the hub says of its cloud burst: part of meerkat/hub/state."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .ids import UtcTime
from .message import Message

CloudRule = Literal["never", "overflow", "always"]
"""Whether a camera's clips may leave the house: not at all, when they would be late, or in any case."""


class BurstState(Message):
    """How the cloud burst stands. Money in US dollars; days and months are those of UTC."""

    on: bool = Field(True, description="what meerkat/hub/burst/set says: OFF sends nothing new out")
    state: str = Field(
        "idle",
        description="one word: idle | waiting | burst | hold | ceiling | reconcile | off | trouble | no-gain "
        "| forbidden | take-back | stop",
    )
    reason: str = Field("", description="in words, with the numbers")
    since: UtcTime | None = Field(
        None, description="when that was decided first; absent while the hub has not looked yet"
    )
    in_cloud: int = Field(0, ge=0, description="clips that are out and have no result yet")
    instances: int = Field(0, ge=0, description="machines that start or run")
    desired: int = Field(0, ge=0, description="machines that are asked for")
    max_instances: int = Field(0, ge=0, description="machines at most")
    spent_today: float = Field(0, ge=0)
    spent_month: float = Field(0, ge=0)
    reserved: float = Field(0, ge=0, description="set apart for machines that run")
    ceiling_day: float = Field(0, ge=0)
    ceiling_month: float = Field(0, ge=0)
    forecast_day: float = Field(0, ge=0, description="of today, if it goes on like this")
    trouble: str = Field("", description="why the cloud cannot be used now, and what to do")
    doubt: str = Field("", description="what in the configuration may be a mistake")
