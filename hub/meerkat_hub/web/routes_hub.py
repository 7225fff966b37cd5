"""The hub itself: health, state, workers, refusals, metrics, and the stream of what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from meerkat_contract.messages import WorkerState
from meerkat_hub.adapters.live import Change

from . import overview
from .fanout import Client, body
from .metrics import CONTENT_TYPE, exposition
from .models import Health, Problem, RefusalView, StateView
from .parts import TheFanout, TheHub, TheParts, TheQueries
from .problems import BAD_QUERY, REFUSED, ApiError

RETRY = 2000
"""Milliseconds after which a browser connects again."""

_FULL: dict[int | str, dict[str, Any]] = {503: {"model": Problem, "description": "Too many listen already"}}

router = APIRouter(tags=["hub"])


@router.get(
    "/healthz",
    summary="Is the hub well?",
    responses={503: {"model": Health, "description": "It is not; `reason` says why"}},
)
def healthz(response: Response, hub: TheHub) -> Health:
    """200 when the database and the broker can be used, else 503."""
    how = overview.health(hub)
    response.status_code = 200 if how.ok else 503
    response.headers["Cache-Control"] = "no-store"
    return how


@router.get("/api/state", summary="How the hub is", responses=REFUSED)
def state(hub: TheHub, queries: TheQueries) -> StateView:
    """What waits, what has ended, who works, and what is wrong if anything is."""
    return overview.state(hub, queries)


@router.get("/api/workers", summary="List workers")
def workers(hub: TheHub) -> list[WorkerState]:
    """Every worker that was heard of since the hub began, with its measured frames per second."""
    return overview.workers(hub)


@router.get("/api/refusals", summary="List refusals", responses={**REFUSED, **BAD_QUERY})
def refusals(
    queries: TheQueries,
    limit: Annotated[int, Query(ge=1, le=500, description="how many at most")] = 50,
) -> list[RefusalView]:
    """What came and was not accepted, with the reason; newest first."""
    return [
        RefusalView(at=r.at, device=r.device, media=r.media, topic=r.topic, reason=r.reason)
        for r in queries.refusals(limit)
    ]


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={**REFUSED, 200: {"content": {CONTENT_TYPE: {}}, "description": "Text format 0.0.4"}},
)
def metrics(parts: TheParts) -> Response:
    """Counts since the database was made, and how things stand now."""
    text = exposition(overview.metrics(parts.hub, parts.queries, parts.fanout, parts.release))
    return Response(text, headers={"Content-Type": CONTENT_TYPE})


async def _attached(fanout: TheFanout) -> AsyncIterator[Client]:
    """A client of the stream for as long as its request lasts; raises ApiError 503."""
    made = fanout.attach()
    if made is None:
        remedy = "Close other pages; the browser tries again by itself"
        raise ApiError(503, "too many pages listen already", where="/api/stream", remedy=remedy)
    try:
        yield made
    finally:
        fanout.detach(made)


@router.get(
    "/api/stream",
    summary="What happens, as it happens",
    response_class=EventSourceResponse,
    responses=_FULL,
)
async def stream(
    hub: TheHub, client: Annotated[Client, Depends(_attached)]
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events. `event` is one of hub, event, outcome, picture, motion, device, worker,
    reading, verdict, meter (its layout or settings are others).

    `data` is JSON: `device`, and `camera` or `meter`, where it is about one; `data` with the message of
    the bus (event, outcome, worker, reading, verdict), `motion` true or false, `captured_at` of a
    picture, and for hub `connected` and `hub`. The first one is always hub. After a break read the
    lists again.
    """
    hello = body(Change("hub"), hub.live)
    yield ServerSentEvent(event="hub", data=hello, retry=RETRY)
    async for change in client.changes():
        yield ServerSentEvent(event=change.kind, data=body(change, hub.live))
