"""Cameras that are added, changed and removed on the page."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from meerkat_contract.added_cameras import check_source, without_secrets
from meerkat_contract.errors import MediaError, UsageError
from meerkat_hub.adapters.live import Change
from meerkat_hub.adapters.page_cameras import NameTaken, PageCameras
from meerkat_hub.application import Hub

from .camera_models import AddedCamera, AddedCamerasView, CameraWish, TryWish
from .glance import glance
from .models import Problem
from .parameters import NamePath
from .parts import TheHub
from .problems import BAD_QUERY, NOT_FOUND, REFUSED, ApiError

router = APIRouter(prefix="/api/cameras", tags=["devices"], responses=REFUSED)

_NOBODY: dict[int | str, dict[str, Any]] = {
    409: {"model": Problem, "description": "Nobody would run it here, or the configuration file has it"}
}
_TRIED: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"image/jpeg": {}},
        "description": "A JPEG. X-Size is the camera's own, such as 1280x720; X-Frames-Per-Second may be 0: "
        "not known",
    },
    502: {"model": Problem, "description": "The camera gives no picture"},
}


def _cameras(request: Request, hub: Hub) -> PageCameras:
    """Raises ApiError 409 where a camera that is added would be run by nobody."""
    if hub.cameras is None:
        raise ApiError(
            409,
            "this hub runs no cameras: it was started by itself, or shows the cloud burst",
            where=request.url.path,
            remedy="Write the camera into meerkat.yaml of a `meerkat device`, or start all with `meerkat up`",
        )
    return hub.cameras


def _wrong(error: UsageError) -> ApiError:
    status = 409 if isinstance(error, NameTaken) else 422
    return ApiError(status, error.what, where=error.where, remedy=error.remedy)


@router.get("", summary="List added cameras")
def cameras(hub: TheHub) -> AddedCamerasView:
    """Those that were added here. Those of the configuration file are in `/api/devices` alone."""
    if hub.cameras is None:
        return AddedCamerasView(possible=False)
    added = hub.cameras.all()
    return AddedCamerasView(
        possible=True,
        device=added.device,
        cameras=[
            AddedCamera(name=name, label=own.get("label", ""), source=without_secrets(own["source"]))
            for name, own in added.cameras.items()
        ],
    )


@router.post(
    "/try",
    summary="Try an address",
    response_class=Response,
    responses={**_TRIED, **BAD_QUERY, **_NOBODY},
)
async def attempt(request: Request, hub: TheHub, body: TryWish) -> Response:
    """A first picture, or why there is none, within 20 seconds. Nothing is kept."""
    _cameras(request, hub)
    try:
        seen = await glance(check_source(body.source))
    except UsageError as error:
        raise _wrong(error) from None
    except MediaError as error:
        raise ApiError(502, error.what, where=error.where, remedy=error.remedy) from None
    headers = {
        "Cache-Control": "no-store",
        "X-Size": f"{seen.width}x{seen.height}",
        "X-Frames-Per-Second": f"{seen.fps:g}",
    }
    return Response(seen.picture, media_type="image/jpeg", headers=headers)


@router.put(
    "/{name}",
    summary="Add a camera, or change it",
    status_code=204,
    response_class=Response,
    responses={**NOT_FOUND, **_NOBODY},
)
def put(request: Request, hub: TheHub, name: NamePath, body: CameraWish) -> Response:
    """204 when it is kept; it runs some seconds later. The others that were added here pause meanwhile."""
    there = _cameras(request, hub)
    try:
        there.put(name, body.source, body.label.strip())
    except UsageError as error:
        raise _wrong(error) from None
    except LookupError:
        remedy = "Send its source; GET /api/cameras lists those that there are"
        raise ApiError(404, f"there is no camera {name} yet", where=request.url.path, remedy=remedy) from None
    hub.live.tell(Change("hub"))  # the hint that only the demo is there goes
    return Response(status_code=204)


@router.delete(
    "/{name}",
    summary="Remove an added camera",
    status_code=204,
    response_class=Response,
    responses={**NOT_FOUND, **_NOBODY},
)
def remove(request: Request, hub: TheHub, name: NamePath) -> Response:
    """It is watched no longer. What it recorded stays for as long as everything else does."""
    if not _cameras(request, hub).remove(name):
        remedy = "GET /api/cameras lists those that were added here; others are in the configuration file"
        raise ApiError(404, f"no camera {name} was added here", where=request.url.path, remedy=remedy)
    if hub.farewell is not None:
        hub.farewell.look()
    return Response(status_code=204)
