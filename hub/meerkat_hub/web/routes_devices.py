"""Devices, their cameras' live pictures, and their meters' pictures."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response

from meerkat_contract.ids import format_time
from meerkat_contract.messages import DeviceInfo, LightInfo
from meerkat_hub.adapters.live import Live
from meerkat_hub.adapters.queries import Filter, StoredPicture
from meerkat_hub.adapters.retained import StillThere

from .files import ASK_AGAIN, file_name, send_file
from .models import (
    CameraView,
    DeviceView,
    LightView,
    MeterPicturePage,
    MeterPictureView,
    MeterView,
    Problem,
    SensorView,
)
from .parameters import IdPath, NamePath, SliceQuery
from .parts import TheHub, TheLive, TheMedia, TheQueries
from .problems import BAD_QUERY, NOT_FOUND, REFUSED, ApiError

NUMBER = re.compile(r"\d{1,6}(\.\d{1,6})?")
ABOUT = (
    *("device", "label", "model", "software", "host", "clock", "battery", "wake_every", "next_wake"),
    "settings",
)
"""What a device says of itself and is told as it is."""

_JPEG = {"content": {"image/jpeg": {}}, "description": "A JPEG"}

router = APIRouter(prefix="/api", tags=["devices"], responses=REFUSED)


@router.get("/devices", summary="List devices")
def devices(queries: TheQueries, live: TheLive) -> list[DeviceView]:
    """Every device that introduced itself, with all that hangs on it."""
    latest = queries.latest_meter_pictures()
    known = live.devices.copy()
    return [_device(live, info, latest) for _, info in sorted(known.items())]


@router.delete(
    "/devices/{device}",
    summary="Forget a device that is gone for good",
    status_code=204,
    response_class=Response,
    responses={**NOT_FOUND, 409: {"model": Problem, "description": "It is online, or asleep"}},
)
def forget(request: Request, hub: TheHub, device: NamePath) -> Response:
    """It leaves page, broker and Home Assistant; what it recorded stays for as long as everything else does.

    Should it come back, it introduces itself and is there again.
    """
    try:
        hub.forgetting.forget(device)
    except LookupError:
        what, remedy = f"no device {device} has introduced itself", "GET /api/devices lists what there is"
        raise ApiError(404, what, where=request.url.path, remedy=remedy) from None
    except StillThere as error:
        raise ApiError(409, error.what, where=request.url.path, remedy=error.remedy) from None
    return Response(status_code=204)


@router.get(
    "/cameras/{device}/{camera}/picture",
    summary="A camera's latest picture",
    response_class=Response,
    responses={**NOT_FOUND, 200: _JPEG},
)
def camera_picture(request: Request, live: TheLive, device: NamePath, camera: NamePath) -> Response:
    """The latest live JPEG: one a second during motion, else every 30 seconds. Never cached."""
    picture = live.pictures.get((device, camera))
    if picture is None:
        raise _no_picture(request, live, device, camera)
    headers = {"Cache-Control": "no-store", "X-Captured-At": format_time(picture.captured_at)}
    return Response(picture.jpeg, media_type="image/jpeg", headers=headers)


@router.get(
    "/meters/{device}/{meter}/picture",
    summary="A meter's latest picture",
    response_class=Response,
    responses={**NOT_FOUND, 200: _JPEG},
)
def meter_picture(
    request: Request,
    queries: TheQueries,
    media: TheMedia,
    live: TheLive,
    *,
    device: NamePath,
    meter: NamePath,
) -> Response:
    """The newest picture that is stored, else the one that is on the bus."""
    stored = queries.meter_pictures(Filter(device=device, camera=meter, limit=1))
    if stored:
        path = media.path("pictures", stored[0].id, ".jpg")
        name = file_name(meter, stored[0].captured_at, ".jpg")
        response = send_file(
            request, path, media_type="image/jpeg", name=name, tag=stored[0].id, cache=ASK_AGAIN
        )
        response.headers["X-Captured-At"] = format_time(stored[0].captured_at)
        return response
    picture = live.pictures.get((device, meter))
    if picture is None:
        raise _no_picture(request, live, device, meter)
    headers = {"Cache-Control": "no-store", "X-Captured-At": format_time(picture.captured_at)}
    return Response(picture.jpeg, media_type="image/jpeg", headers=headers)


@router.get("/meters/{device}/{meter}/pictures", summary="List a meter's pictures", responses=BAD_QUERY)
def meter_pictures(
    queries: TheQueries, part: SliceQuery, device: NamePath, meter: NamePath
) -> MeterPicturePage:
    """Stored pictures, newest first. `next` is the cursor of the following page."""
    found = queries.meter_pictures(Filter(device=device, camera=meter, **part.of_query))
    page, last = part.page(found, lambda picture: (picture.captured_at, picture.id))
    return MeterPicturePage(pictures=[picture_view(stored) for stored in page], next=last)


@router.head("/meter-pictures/{picture_id}", include_in_schema=False)
@router.get(
    "/meter-pictures/{picture_id}",
    summary="One picture of a meter",
    response_class=Response,
    responses={**NOT_FOUND, 200: _JPEG, 304: {"description": "You have it"}},
)
def one_meter_picture(request: Request, queries: TheQueries, media: TheMedia, picture_id: IdPath) -> Response:
    """The JPEG as the device took it. It never changes."""
    stored = queries.meter_picture(picture_id)
    if stored is None:
        remedy = "GET /api/meters/{device}/{meter}/pictures lists what there is"
        raise ApiError(404, "there is no such picture", where=request.url.path, remedy=remedy)
    name = file_name(stored.meter, stored.captured_at, ".jpg")
    path = media.path("pictures", stored.id, ".jpg")
    return send_file(request, path, media_type="image/jpeg", name=name, tag=stored.id)


def _device(live: Live, info: DeviceInfo, latest: dict[tuple[str, str], StoredPicture]) -> DeviceView:
    cameras = []
    for camera in info.cameras:
        key = (info.device, camera.name)
        picture = live.pictures.get(key)
        now = {
            "motion": live.motion.get(key),
            "picture_at": picture.captured_at if picture else None,
            "late_after": None if camera.ended else _late_after(live, info, camera.name),
        }
        cameras.append(CameraView.model_validate({**dict(camera), **now}))
    meters = []
    for meter in info.meters:
        stored = latest.get((info.device, meter.name))
        meters.append(
            MeterView.model_validate({**dict(meter), "latest": picture_view(stored) if stored else None})
        )
    sensors = []
    for sensor in info.sensors:
        key = (info.device, sensor.name)
        now = {"on": live.sensors.get(key), "pressed_at": live.presses.get(key)}
        sensors.append(SensorView.model_validate({**dict(sensor), **now}))
    lights = [_light(live, info.device, light) for light in info.lights]
    errors = live.errors.of(info.device)
    return DeviceView.model_validate(
        {
            **{name: getattr(info, name) for name in ABOUT},
            "availability": live.availability.get(info.device) or "unknown",
            "error": next(iter(errors), None),
            "errors": errors,
            "cameras": cameras,
            "meters": meters,
            "sensors": sensors,
            "lights": lights,
        }
    )


def _late_after(live: Live, info: DeviceInfo, camera: str) -> float | None:
    """Four pictures left out, and a minute for a camera that is just opened anew; see CameraView."""
    pause = live.settings.get((info.device, camera, "picture_seconds"), "")
    off = live.settings.get((info.device, camera, "enabled")) == "OFF"
    if off or info.clock != "synced" or live.availability.get(info.device) != "online":
        return None
    return 60 + 4 * float(pause) if NUMBER.fullmatch(pause) else None


def _light(live: Live, device: str, info: LightInfo) -> LightView:
    state = live.lights.get((device, info.name))
    on = state.state == "ON" if state else None
    brightness = state.brightness if state and on else None
    return LightView.model_validate({**dict(info), "on": on, "brightness": brightness})


def picture_view(stored: StoredPicture) -> MeterPictureView:
    fields = {name: getattr(stored, name) for name in MeterPictureView.model_fields}
    return MeterPictureView.model_validate(fields)


def _no_picture(request: Request, live: Live, device: str, thing: str) -> ApiError:
    info = live.devices.get(device)
    if info is None:
        what, remedy = f"no device {device} has introduced itself", "GET /api/devices lists what there is"
    elif thing not in {camera.name for camera in info.cameras} | {meter.name for meter in info.meters}:
        what, remedy = f"device {device} has no {thing}", "GET /api/devices lists what it has"
    elif live.availability.get(device) in ("offline", "asleep"):
        state = live.availability[device]
        what, remedy = f"device {device} is {state}, and sent no picture before", "Look at the device's log"
    else:
        what, remedy = "the device has sent no picture yet", "The first one comes within 30 seconds"
    return ApiError(404, what, where=request.url.path, remedy=remedy)
