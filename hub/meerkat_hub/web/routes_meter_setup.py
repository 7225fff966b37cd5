"""Setting a meter up: where its wheels are, and what is plausible for it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from meerkat_contract.messages import MeterOrder, MeterSeen
from meerkat_contract.meter_layout import MeterLayout
from meerkat_hub.adapters.desk import Desk
from meerkat_hub.adapters.queries import Filter, Queries, StoredPicture
from meerkat_hub.core import meter_records as core
from meerkat_hub.core.meters.settings import MeterSettings
from meerkat_hub.core.records import MeterPicture

from .meter_models import LayoutView, LayoutWish, MeterSettingsView, ProposalView, ProposalWish, TryView
from .models import Problem
from .parameters import NamePath
from .parts import TheDesk, TheQueries
from .problems import BAD_QUERY, NOT_FOUND, REFUSED, ApiError
from .routes_meters import UNHEEDED, heeded

_ASKED: dict[int | str, dict[str, Any]] = {
    **NOT_FOUND,
    **UNHEEDED,
    410: {"model": Problem, "description": "The picture's file has gone"},
    504: {"model": Problem, "description": "No worker answered in time"},
}
_FIXED: dict[int | str, dict[str, Any]] = {**NOT_FOUND, **UNHEEDED}

router = APIRouter(prefix="/api/meters", tags=["meters"], responses=REFUSED)


def _chosen(
    request: Request, queries: Queries, device: str, meter: str, picture_id: str | None
) -> MeterPicture:
    """The picture of that id, else the latest; raises ApiError when there is none."""
    stored = _find(queries, device, meter, picture_id)
    if stored is None:
        what = "there is no such picture" if picture_id else "the meter has no picture yet"
        remedy = f"GET /api/meters/{device}/{meter}/pictures lists what there is"
        raise ApiError(404, what, where=request.url.path, remedy=remedy)
    return _record(stored)


def _seen(
    request: Request,
    desk: Desk,
    picture: MeterPicture,
    layout: MeterLayout | None = None,
) -> MeterSeen:
    """What a worker says of a picture, read with this layout; without one it proposes one."""
    wish = core.ReadNow(picture, MeterOrder(layout=layout))
    answer = heeded(request, desk.wish(picture.device, picture.meter, wish))
    assert answer.seen is not None, "what was read was seen"
    return answer.seen


@router.get("/{device}/{meter}/layout", summary="Where a meter's wheels are", responses=BAD_QUERY)
def layout(desk: TheDesk, device: NamePath, meter: NamePath) -> LayoutView:
    """As it is in force, set or configured."""
    return _layout(desk, device, meter)


@router.put("/{device}/{meter}/layout", summary="Say where a meter's wheels are", responses=_FIXED)
def set_layout(
    request: Request,
    desk: TheDesk,
    queries: TheQueries,
    *,
    device: NamePath,
    meter: NamePath,
    body: LayoutWish,
) -> LayoutView:
    """The picture that it was drawn on is read at once, and each that comes from then on."""
    latest = _find(queries, device, meter, body.picture)
    if latest is None and body.picture is not None:
        _chosen(request, queries, device, meter, body.picture)
    wanted = body.layout
    if wanted.landmarks is None:
        wanted = wanted.model_copy(update={"reference": latest.id if latest is not None else ""})
    wish = core.SetLayout(wanted, _record(latest) if latest is not None else None)
    heeded(request, desk.wish(device, meter, wish))
    return _layout(desk, device, meter)


@router.delete(
    "/{device}/{meter}/layout", summary="Read a meter no longer", status_code=204, responses=_FIXED
)
def remove_layout(request: Request, desk: TheDesk, device: NamePath, meter: NamePath) -> Response:
    """Its pictures are kept as before, and its history stays."""
    heeded(request, desk.wish(device, meter, core.SetLayout(None)))
    return Response(status_code=204)


@router.post("/{device}/{meter}/propose", summary="Find the wheels in a picture", responses=_ASKED)
def propose(
    request: Request,
    desk: TheDesk,
    queries: TheQueries,
    *,
    device: NamePath,
    meter: NamePath,
    body: ProposalWish,
) -> ProposalView:
    """A worker looks for wheels and dials. Nothing is kept: the owner looks at it, and sends it back."""
    picture = _chosen(request, queries, device, meter, body.picture)
    found = _seen(request, desk, picture)
    assert found.layout is not None, "what was asked for"
    return ProposalView(
        picture=picture.id,
        layout=found.layout.model_copy(update={"landmarks": None}),
        doubts=found.doubts,
        seen=found.model_copy(update={"layout": None}),
    )


@router.post("/{device}/{meter}/try", summary="Read a picture with a layout", responses=_ASKED)
def attempt(
    request: Request,
    desk: TheDesk,
    queries: TheQueries,
    *,
    device: NamePath,
    meter: NamePath,
    body: LayoutWish,
) -> TryView:
    """What would be read. Nothing is kept."""
    picture = _chosen(request, queries, device, meter, body.picture)
    return TryView(picture=picture.id, seen=_seen(request, desk, picture, body.layout))


@router.get("/{device}/{meter}/settings", summary="What is plausible for a meter", responses=BAD_QUERY)
def settings(desk: TheDesk, device: NamePath, meter: NamePath) -> MeterSettingsView:
    """As they are in force; null is what its kind says."""
    return _settings(desk, device, meter)


@router.put("/{device}/{meter}/settings", summary="Say what is plausible for a meter", responses=_FIXED)
def set_settings(
    request: Request, desk: TheDesk, device: NamePath, meter: NamePath, body: MeterSettings
) -> MeterSettingsView:
    """What is left out goes back to its default. What is known of the meter is judged again."""
    heeded(request, desk.wish(device, meter, core.SetSettings(body)))
    return _settings(desk, device, meter)


def _find(queries: Queries, device: str, meter: str, picture_id: str | None) -> StoredPicture | None:
    if picture_id is None:
        return next(iter(queries.meter_pictures(Filter(device=device, camera=meter, limit=1))), None)
    found = queries.meter_picture(picture_id)
    return found if found is not None and (found.device, found.meter) == (device, meter) else None


def _record(stored: StoredPicture) -> MeterPicture:
    return MeterPicture(
        stored.id,
        stored.device,
        stored.meter,
        stored.captured_at,
        stored.received_at,
        stored.size,
        stored.trigger,
    )


def _view(desk: Desk, device: str, meter: str) -> core.MeterView | None:
    return next(iter(desk.meters((device, meter)).views), None)


def _layout(desk: Desk, device: str, meter: str) -> LayoutView:
    view = _view(desk, device, meter)
    known = view.layout if view is not None else None
    return LayoutView(
        layout=known.model_copy(update={"landmarks": None}) if known is not None else None,
        configured=view is not None and view.layout_configured,
        aligned=known is not None and known.landmarks is not None,
    )


def _settings(desk: Desk, device: str, meter: str) -> MeterSettingsView:
    view = _view(desk, device, meter)
    if view is None:
        return MeterSettingsView(settings=MeterSettings(), configured=False)
    return MeterSettingsView(settings=view.settings, configured=view.settings_configured)
