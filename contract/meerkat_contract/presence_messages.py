"""What the hub says of who is at a camera: now, by zone, and how many came today.

meerkat/camera/<d>/<camera>/zones    ZonesNow, retained
meerkat/camera/<d>/<camera>/today    Today, retained
"""

from __future__ import annotations

from pydantic import Field

from .ids import Name
from .message import Count, Label, Message

RESERVED = frozenset({"detections", "event", "outcome", "zones", "today"})
"""Kinds of meerkat/camera/<d>/<camera>/<kind> that are no label's count."""


class ZonesNow(Message):
    """Who stands in each of a camera's zones now. A zone with nobody in it is there, and empty."""

    zones: dict[Name, dict[Label, Count]] = Field(default_factory=dict, description="zone → label → how many")


class Today(Message):
    """How many events began at a camera since midnight in the house, by category."""

    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="the day in the house's own zone")
    person: Count = 0
    vehicle: Count = 0
    animal: Count = 0
    object: Count = 0
