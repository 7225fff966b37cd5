"""What can be set of devices while they run: what is in force, and to set it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from meerkat_contract.errors import BadMessage
from meerkat_contract.ids import NAME_PATTERN
from meerkat_contract.messages import DeviceInfo, LightState, SettingInfo
from meerkat_contract.setting_values import DEFAULT, parse, takes
from meerkat_hub.adapters.live import Live
from meerkat_hub.adapters.wired import LIGHT
from meerkat_hub.application import Hub

from .models import LightWish, Problem, SettingView, SettingWish
from .parameters import NamePath
from .parts import TheHub, TheLive
from .problems import BAD_QUERY, NOT_FOUND, REFUSED, ApiError

CONFIRMED_WITHIN = 5.0
"""Seconds that the broker gets to take a command."""

DEVICE = "device"
"""The thing under which settings of the device itself are."""

AWAY: dict[str, Any] = {"model": Problem, "description": "The device is away"}

SettingPath = Annotated[
    str, Path(pattern=rf"^{NAME_PATTERN}$", description="a setting's name", examples=["sensitivity"])
]

router = APIRouter(prefix="/api", tags=["devices"], responses=REFUSED)


def _known(request: Request, live: Live, device: str) -> DeviceInfo:
    """Raises ApiError 404."""
    info = live.devices.get(device)
    if info is None:
        what = f"no device {device} has introduced itself"
        remedy = "GET /api/devices lists what there is"
        raise ApiError(404, what, where=request.url.path, remedy=remedy)
    return info


def _tell(request: Request, hub: Hub, device: str, target: tuple[str, str], payload: bytes) -> Response:
    """Send a payload to (thing, setting). Raises ApiError 409 when nobody is there who could hear it."""
    told = hub.bus.command(device, *target, payload)
    told.wait(CONFIRMED_WITHIN)
    if told.nobody:
        what = f"device {device} is {hub.live.availability.get(device) or 'not there'}"
        raise ApiError(409, what, where=request.url.path, remedy="Ask again when it is back")
    return Response(status_code=204)


@router.get("/devices/{device}/settings", summary="List a device's settings", responses=NOT_FOUND)
def settings(request: Request, live: TheLive, device: NamePath) -> list[SettingView]:
    """What can be set while it runs, of the device, its cameras and its meters, and what is in force."""
    return [
        SettingView(
            **info.model_dump(by_alias=True),
            thing=thing,
            value=live.settings.get((device, thing, info.name)),
            takes=takes(info),
        )
        for thing, info in _all(_known(request, live, device))
    ]


@router.post(
    "/devices/{device}/{thing}/{setting}",
    summary="Set one",
    status_code=204,
    response_class=Response,
    responses={
        **NOT_FOUND,
        **BAD_QUERY,
        409: AWAY,
    },
)
def set_one(
    request: Request,
    hub: TheHub,
    *,
    device: NamePath,
    thing: NamePath,
    setting: SettingPath,
    body: SettingWish,
) -> Response:
    """204 when the device has been told. It counts when the list says so, a moment later."""
    path = request.url.path
    all_ = _all(_known(request, hub.live, device))  # a device may name one twice
    info = next((info for of, info in all_ if (of, info.name) == (thing, setting)), None)
    if info is None:
        remedy = f"GET /api/devices/{device}/settings lists what there is"
        raise ApiError(404, f"{device}/{thing} has no setting {setting}", where=path, remedy=remedy)
    if info.kind == "button" or body.payload not in DEFAULT:
        try:
            parse(info, body.payload, where=path)
        except BadMessage as error:
            raise ApiError(422, error.what, where=path, remedy=error.remedy) from None
    return _tell(request, hub, device, (thing, setting), body.payload)


@router.post(
    "/lights/{device}/{light}",
    summary="Switch a light",
    status_code=204,
    response_class=Response,
    responses={**NOT_FOUND, **BAD_QUERY, 409: AWAY},
)
def switch_light(
    request: Request, hub: TheHub, device: NamePath, light: NamePath, body: LightWish
) -> Response:
    """204 when the device has been told. The list of devices says a moment later whether it is lit."""
    if light not in {one.name for one in _known(request, hub.live, device).lights}:
        remedy = "GET /api/devices lists what there is"
        raise ApiError(404, f"{device} has no light {light}", where=request.url.path, remedy=remedy)
    state = LightState(state="ON" if body.on else "OFF", brightness=body.brightness)
    return _tell(request, hub, device, (light, LIGHT), state.to_json())


def _all(info: DeviceInfo) -> Iterator[tuple[str, SettingInfo]]:
    """(thing, setting) of the device itself, its cameras and its meters."""
    for one in info.settings:
        yield DEVICE, one
    for camera in info.cameras:
        yield from ((camera.name, one) for one in camera.settings)
    for meter in info.meters:
        yield from ((meter.name, one) for one in meter.settings)
