"""Events: what was seen, its picture, and whether it is kept."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from meerkat_hub.adapters.queries import Filter, Queries, StoredEvent

from .files import ASK_AGAIN, FOREVER, file_name, send_file
from .models import Category, EventDetails, EventPage, EventView, Keep
from .parameters import IdPath, LabelQuery, NameQuery, SliceQuery
from .parts import TheMedia, TheQueries
from .problems import BAD_QUERY, NOT_FOUND, REFUSED, ApiError
from .routes_clips import view as clip_view


def view(stored: StoredEvent) -> EventView:
    return EventView.model_validate(_fields(stored))


def _fields(stored: StoredEvent) -> dict[str, object]:
    return {
        **dict(stored.state),
        "ended": stored.ended,
        "kept": stored.kept,
        "picture_revision": _revision(stored),
    }


def _revision(stored: StoredEvent) -> int | None:
    """Pictures are named <event>-<revision>."""
    return int(stored.picture[37:]) if stored.picture else None


router = APIRouter(prefix="/api", tags=["events"], responses=REFUSED)


def _find(request: Request, queries: Queries, event_id: str) -> StoredEvent:
    """Raises ApiError 404."""
    stored = queries.event(event_id)
    if stored is None:
        remedy = "GET /api/events lists what there is; old events go with their clips"
        raise ApiError(404, "there is no such event", where=request.url.path, remedy=remedy)
    return stored


@router.get("/labels", summary="List labels")
def labels(queries: TheQueries) -> list[str]:
    """Every label that a stored event has, for filters."""
    return queries.labels()


@router.get("/events", summary="List events", responses=BAD_QUERY)
def events(
    queries: TheQueries,
    part: SliceQuery,
    *,
    device: NameQuery = None,
    camera: NameQuery = None,
    label: LabelQuery = None,
    category: Category | None = None,
    kept: Annotated[bool | None, Query(description="only those that are kept, or only others")] = None,
) -> EventPage:
    """Events, newest first. `next` is the cursor of the following page."""
    found = queries.events(
        Filter(
            device=device,
            camera=camera,
            label=label,
            category=category,
            kept=kept,
            **part.of_query,
        )
    )
    page, last = part.page(found, lambda event: (event.state.start_time, event.state.id))
    return EventPage(events=[view(stored) for stored in page], next=last)


@router.get("/events/{event_id}", summary="One event with its clips", responses=NOT_FOUND)
def event(request: Request, queries: TheQueries, event_id: IdPath) -> EventDetails:
    """The event as it stands, and how each of its clips ended."""
    stored = _find(request, queries, event_id)
    clips = queries.clips_by_id(stored.state.clips)
    return EventDetails.model_validate({**_fields(stored), "outcomes": [clip_view(clip) for clip in clips]})


@router.head("/events/{event_id}/picture", include_in_schema=False)
@router.get(
    "/events/{event_id}/picture",
    summary="An event's picture",
    response_class=Response,
    responses={
        **NOT_FOUND,
        200: {
            "content": {"image/jpeg": {}},
            "description": "The best frame with its box; of a workflow's event the frame as it came",
        },
        304: {"description": "You have it"},
    },
)
def picture(
    request: Request,
    queries: TheQueries,
    media: TheMedia,
    event_id: IdPath,
    v: Annotated[
        int | None, Query(description="`picture_revision`: with it the answer may be kept for good")
    ] = None,
) -> Response:
    """A JPEG. It changes when a better frame comes; each revision has its own ETag."""
    stored = _find(request, queries, event_id)
    if stored.picture is None:
        remedy = "has_picture says whether there is one"
        raise ApiError(404, "this event has no picture", where=request.url.path, remedy=remedy)
    return send_file(
        request,
        media.path("events", stored.picture, ".jpg"),
        media_type="image/jpeg",
        name=file_name(stored.state.camera, stored.state.picture_time, ".jpg"),
        tag=stored.picture,
        cache=FOREVER if v is not None and v == _revision(stored) else ASK_AGAIN,
    )


@router.post("/events/{event_id}/keep", summary="Keep an event", responses={**NOT_FOUND, **BAD_QUERY})
def keep(request: Request, queries: TheQueries, event_id: IdPath, body: Keep) -> EventView:
    """Keep an event with its clips and picture for good, or let it go when its time comes."""
    queries.keep_event(event_id, body.kept)
    return view(_find(request, queries, event_id))
