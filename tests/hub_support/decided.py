"""An event that a workflow decided upon one frame of porch/front."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from meerkat_contract.ids import new_id
from meerkat_contract.message import Box
from meerkat_contract.messages import EventState

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def decided(box: Box, *, region: Box | None = None, label: str = "face", **more: Any) -> EventState:
    """As it stands at its end; `region` is the part of the camera's picture that its picture is."""
    told: dict[str, Any] = {"revision": 2, "workflow": "lobby", "reason": "nobody may be here", **more}
    return EventState(
        id=new_id(),
        device="porch",
        camera="front",
        label=label,
        category="person",
        score=0.83,
        box=box,
        region=region,
        start_time=NOW,
        end_time=NOW,
        picture_time=NOW,
        has_picture=True,
        **told,
    )
