"""The cloud burst: how it stands, what it cost, and its switch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from meerkat_cloud_burst.news import BurstAsked
from meerkat_hub.adapters.desk import Desk
from meerkat_hub.adapters.queries import Queries

from .burst_models import BurstDetails, LedgerLine, LedgerView
from .models import Problem
from .problems import BAD_QUERY, REFUSED, ApiError

WHERE = "/api/burst"

_NONE: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "None is set up"}}


def routes(desk: Desk, queries: Queries, happened: Callable[[BurstAsked], None]) -> APIRouter:
    """`happened` tells the hub what somebody asks of it."""
    router = APIRouter(prefix=WHERE, tags=["cloud"], responses={**REFUSED, **_NONE})

    def details() -> BurstDetails:
        view = desk.burst()
        if view is None:
            raise ApiError(
                404,
                "no cloud burst is set up: nothing leaves this house",
                where=WHERE,
                remedy="docs/how-to/cloud-burst.md sets one up; burst.enabled in meerkat.yaml switches it on",
            )
        return BurstDetails.model_validate({**asdict(view), "state": view.state})

    @router.get("", summary="How the cloud burst stands")
    def burst() -> BurstDetails:
        """State, policy, the clips that are out, and the last decisions with their reasons."""
        return details()

    @router.get("/ledger", summary="What it cost", responses=BAD_QUERY)
    def ledger(
        limit: Annotated[int, Query(ge=1, le=50_000, description="lines at most, the latest")] = 10_000,
    ) -> LedgerView:
        """What was reserved for machines, what they cost, and what was given back."""
        return LedgerView(
            entries=[
                LedgerLine(**{**asdict(entry), "at": datetime.fromtimestamp(entry.at, UTC)})
                for entry in queries.burst_ledger(limit)
            ]
        )

    @router.post("/{what}", summary="Switch it", responses=BAD_QUERY)
    def switch(what: Literal["on", "off", "stop"]) -> BurstDetails:
        """`off`: nothing new goes out, what is out is finished. `stop`: off, every machine ends now, and what
        is out is done at home. It stays so over restarts. Answers with how the burst then stands."""
        details()
        happened(BurstAsked(what, by="the page"))
        return details()

    return router
