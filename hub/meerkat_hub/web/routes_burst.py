"""The cloud burst: how it stands, what it cost, and its switch."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from meerkat_cloud_burst.news import BurstAsked
from meerkat_hub.adapters.desk import Desk
from meerkat_hub.core.cloud_records import BurstView

from .burst_models import (
    BurstDetails,
    DaysView,
    DayView,
    HistoryView,
    LedgerLine,
    LedgerView,
    SampleView,
)
from .models import Problem
from .parts import TheDesk, TheHub, TheQueries
from .problems import BAD_QUERY, REFUSED, ApiError

WHERE = "/api/burst"

_NONE: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "None is set up"}}

router = APIRouter(prefix=WHERE, tags=["cloud"], responses={**REFUSED, **_NONE})


def _known(desk: Desk) -> BurstView:
    """How it stands; raises ApiError where none is set up."""
    view = desk.burst()
    if view is None:
        raise ApiError(
            404,
            "no cloud burst is set up: nothing leaves this house",
            where=WHERE,
            remedy="docs/how-to/cloud-burst.md sets one up; burst.enabled in meerkat.yaml switches it on",
        )
    return view


def _details(view: BurstView) -> BurstDetails:
    return BurstDetails.model_validate({**asdict(replace(view, history=())), "state": view.state})


@router.get("", summary="How the cloud burst stands")
def burst(desk: TheDesk) -> BurstDetails:
    """State, policy, the clips that are out, and the last decisions with their reasons."""
    return _details(_known(desk))


@router.get("/ledger", summary="What it cost", responses=BAD_QUERY)
def ledger(
    queries: TheQueries,
    limit: Annotated[int, Query(ge=1, le=50_000, description="lines at most, the latest")] = 10_000,
) -> LedgerView:
    """What was reserved for machines, what they cost, and what was given back."""
    return LedgerView(
        entries=[
            LedgerLine(**{**asdict(entry), "at": datetime.fromtimestamp(entry.at, UTC)})
            for entry in queries.burst_ledger(limit)
        ]
    )


@router.get("/days", summary="What it cost, by day", responses=BAD_QUERY)
def days(
    queries: TheQueries,
    limit: Annotated[int, Query(ge=1, le=1000, description="days at most, the latest")] = 31,
) -> DaysView:
    """Sums of the ledger; days on which nothing was spent are left out."""
    return DaysView(days=[DayView(**asdict(day)) for day in queries.burst_days(limit)])


@router.get("/history", summary="How it went in the last hours")
def history(desk: TheDesk) -> HistoryView:
    """Clips at home and in the cloud, machines and dollars, for a picture."""
    return HistoryView(samples=[SampleView(**asdict(sample)) for sample in _known(desk).history])


@router.post("/{what}", summary="Switch it", responses=BAD_QUERY)
def switch(desk: TheDesk, hub: TheHub, what: Literal["on", "off", "stop"]) -> BurstDetails:
    """`off`: nothing new goes out, and what a machine has begun is finished. `stop`: off, every rented
    machine ends now, and what is out is done at home. It stays so over restarts. Answers with how the
    burst then stands."""
    _known(desk)
    hub.service.happened(BurstAsked(what, by="the page"))
    return _details(_known(desk))
