"""Clips: how each one ended, what was seen in it, and the video itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from meerkat_cloud_burst.errors import Gone
from meerkat_hub.adapters.media import suffix_of
from meerkat_hub.adapters.queries import Filter, Queries, StoredClip

from .files import file_name, gone, send_file
from .models import ClipDetails, ClipPage, ClipState, ClipView
from .parameters import IdPath, NameQuery, SliceQuery
from .parts import TheHub, TheMedia, TheQueries
from .problems import BAD_QUERY, NOT_FOUND, REFUSED, ApiError

_VIDEO: dict[int | str, dict[str, Any]] = {
    200: {"content": {"video/mp4": {}}, "description": "The whole file"},
    206: {"content": {"video/mp4": {}}, "description": "The range that was asked for"},
    304: {"description": "You have it"},
    416: {"description": "The range lies outside the file"},
}

_SHARED = (
    "id device camera recording sequence captured_at received_at settled_at duration content_type size "
    "trigger state reason attempts worker frames seconds model"
).split()


def _fields(stored: StoredClip) -> dict[str, object]:
    return {**{name: getattr(stored, name) for name in _SHARED}, "available": stored.has_file}


def view(stored: StoredClip) -> ClipView:
    return ClipView.model_validate(_fields(stored))


router = APIRouter(prefix="/api/clips", tags=["clips"], responses=REFUSED)


def _find(request: Request, queries: Queries, clip_id: str) -> StoredClip:
    """Raises ApiError 404."""
    stored = queries.clip(clip_id)
    if stored is None:
        remedy = "GET /api/clips lists what there is"
        raise ApiError(404, "there is no such clip", where=request.url.path, remedy=remedy)
    return stored


@router.get("", summary="List clips", responses=BAD_QUERY)
def clips(
    queries: TheQueries,
    part: SliceQuery,
    *,
    device: NameQuery = None,
    camera: NameQuery = None,
    state: ClipState | None = None,
) -> ClipPage:
    """Clips, newest first. `next` is the cursor of the following page."""
    found = queries.clips(Filter(device=device, camera=camera, state=state, **part.of_query))
    page, last = part.page(found, lambda clip: (clip.captured_at, clip.id))
    return ClipPage(clips=[view(stored) for stored in page], next=last)


@router.get("/{clip_id}", summary="One clip with its tracks", responses=NOT_FOUND)
def clip(request: Request, queries: TheQueries, clip_id: IdPath) -> ClipDetails:
    """How the clip ended, who looked at it with which model, and every object that was followed in it."""
    stored = _find(request, queries, clip_id)
    tracks = tuple(track.model_copy(update={"picture": None}) for track in stored.tracks)
    return ClipDetails.model_validate({**_fields(stored), "tracks": tracks})


@router.head("/{clip_id}/media", include_in_schema=False)
@router.get(
    "/{clip_id}/media",
    summary="A clip's video",
    response_class=Response,
    responses={**NOT_FOUND, **_VIDEO, 410: {"description": "The file has gone by the retention rule"}},
)
def clip_media(request: Request, queries: TheQueries, media: TheMedia, clip_id: IdPath) -> Response:
    """The file as the camera made it, whole or in ranges (`Range`, `If-Range`), for seeking."""
    stored = _find(request, queries, clip_id)
    if not stored.has_file:
        raise gone(request)
    suffix = suffix_of(stored.content_type)
    return send_file(
        request,
        media.path("clips", stored.id, suffix),
        media_type=stored.content_type,
        name=file_name(stored.camera, stored.captured_at, suffix),
        tag=stored.id,
    )


@router.head("/{clip_id}/annotated", include_in_schema=False)
@router.get(
    "/{clip_id}/annotated",
    summary="A clip's video with the boxes drawn in",
    response_class=Response,
    responses={**NOT_FOUND, **_VIDEO},
)
def clip_annotated(request: Request, queries: TheQueries, hub: TheHub, clip_id: IdPath) -> Response:
    """Of a clip that a machine of the cloud has looked at while `burst.annotated` was true. It is fetched
    from there when it is asked for first, which takes a moment; 503 when the cloud cannot be reached."""
    stored = _find(request, queries, clip_id)
    videos = hub.annotated
    # Nobody else draws: so the cloud is not asked for nothing.
    if videos is None or not (stored.worker or "").startswith("cloud:"):
        raise _not_drawn(request)
    try:
        path = videos.path(stored.id)
    except Gone:
        raise _not_drawn(request) from None
    name = file_name(stored.camera, stored.captured_at, "-annotated.mp4")
    return send_file(request, path, media_type="video/mp4", name=name, tag=f"{stored.id}-annotated")


def _not_drawn(request: Request) -> ApiError:
    return ApiError(
        404,
        "there is no video of this clip with the boxes drawn in",
        where=request.url.path,
        remedy="burst.annotated: true has one drawn of each clip that the cloud looks at, kept for a week",
    )
