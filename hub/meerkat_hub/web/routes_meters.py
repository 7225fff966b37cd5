"""Meters: how they stand, their histories, and what their owner says."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from meerkat_contract.ids import NAME_PATTERN, format_time
from meerkat_contract.messages import MeterInfo
from meerkat_contract.meter_messages import Verdict
from meerkat_hub.adapters.desk import Desk
from meerkat_hub.adapters.live import Live
from meerkat_hub.adapters.meter_queries import StoredReading, Wanted
from meerkat_hub.adapters.queries import Queries, StoredPicture
from meerkat_hub.core import meter_records as core
from meerkat_hub.core.meters.counters import published

from .example_zip import packed
from .meter_models import (
    CorrectWish,
    CounterStatus,
    ExchangeWish,
    MeterStatus,
    ReadingPage,
    ReadingView,
    SetWish,
    Told,
    UndoWish,
)
from .models import Problem
from .parameters import AfterQuery, BeforeQuery, IdPath, NamePath, SliceQuery
from .parts import TheDesk, TheHistories, TheLive, TheMedia, TheQueries
from .problems import BAD_QUERY, NOT_FOUND, REFUSED, ApiError
from .routes_devices import picture_view

CounterQuery = Annotated[
    str,
    Query(pattern=rf"^({NAME_PATTERN})?$", description="of a second counter; the main one when left out"),
]
VerdictQuery = Annotated[Verdict | None, Query(description="only these")]

COLUMNS = (
    *("time", "value", "total", "flow", "unit", "verdict"),
    *("confidence", "source", "reason", "counter", "id"),
)
"""Of the CSV. Values are in the meter's own unit, the flow in units per hour."""

_CSV: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {}}, "description": ", ".join(COLUMNS)}
}
_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {}}, "description": "Pictures, and examples.json"}
}
_OUTCOMES = {"unknown": 404, "wrong": 422, "configured": 409, "nobody": 409, "late": 504, "gone": 410}
_OUTCOMES |= {"failed": 422}
_REMEDIES = {
    "unknown": "GET /api/meters/{device}/{meter}/readings lists what there is",
    "wrong": "Look at the meter again",
    "configured": "Change the section `meters` of meerkat.yaml, and restart the hub",
    "nobody": "Start a worker: `meerkat worker`, on any machine of the house",
    "late": "Ask again; GET /api/workers says who is there",
    "gone": "Choose a picture that is still there",
    "failed": "Choose another picture, or draw the boxes yourself",
}
UNHEEDED: dict[int | str, dict[str, Any]] = {
    409: {"model": Problem, "description": "The configuration says it, or there is no worker"}
}


def heeded(request: Request, answer: core.AnswerMeter) -> core.AnswerMeter:
    """The answer; raises ApiError for one that refuses."""
    status = _OUTCOMES.get(answer.outcome)
    if status is None:
        return answer
    remedy = _REMEDIES[answer.outcome]
    raise ApiError(status, answer.reason or answer.outcome, where=request.url.path, remedy=remedy)


router = APIRouter(prefix="/api/meters", tags=["meters"], responses=REFUSED)


def _told(request: Request, desk: Desk, meter: core.MeterKey, wish: core.Wish) -> Told:
    """The owner says something of a meter; raises ApiError when it is refused."""
    return Told(notes=heeded(request, desk.wish(*meter, wish)).notes)


def _check_there(request: Request, desk: Desk, queries: Queries, live: Live, key: core.MeterKey) -> None:
    """Raises ApiError for a meter that nobody has heard of: a slip of the pen makes no meter."""
    device, meter = key
    info = live.devices.get(device)
    named = info is not None and any(one.name == meter for one in info.meters)
    if not (named or desk.meters(key).views or key in queries.latest_meter_pictures()):
        remedy = "GET /api/meters lists those that there are"
        raise ApiError(404, "there is no such meter", where=request.url.path, remedy=remedy)


@router.get("", summary="List meters")
def meters(desk: TheDesk, queries: TheQueries, live: TheLive) -> list[MeterStatus]:
    """Every meter that a device has, or that has a history, and how it stands."""
    shown = desk.meters()
    views = {(view.device, view.meter): view for view in shown.views}
    infos = {(device, one.name): one for device, i in live.devices.copy().items() for one in i.meters}
    latest = queries.latest_meter_pictures()
    return [
        _status(key, views.get(key), infos.get(key), latest.get(key), shown.readers)
        for key in sorted({*views, *infos, *latest})
    ]


@router.get("/{device}/{meter}/readings", summary="A meter's history", responses=BAD_QUERY)
def readings(
    histories: TheHistories,
    part: SliceQuery,
    *,
    device: NamePath,
    meter: NamePath,
    counter: CounterQuery = "",
    verdict: VerdictQuery = None,
) -> ReadingPage:
    """What became of each picture, and what the owner said; newest first. It is kept for ever."""
    found = histories.readings(Wanted(device, meter, counter, verdict, **part.of_query))
    page, last = part.page(found, lambda one: (one.row.at, one.row.id))
    return ReadingPage(readings=[_reading(one) for one in page], next=last)


@router.get(
    "/{device}/{meter}/readings.csv",
    summary="A meter's history as CSV",
    response_class=StreamingResponse,
    responses={**BAD_QUERY, **_CSV},
)
def readings_csv(
    histories: TheHistories,
    *,
    device: NamePath,
    meter: NamePath,
    verdict: VerdictQuery = "accepted",
    before: BeforeQuery = None,
    after: AfterQuery = None,
) -> StreamingResponse:
    """Accepted readings of all its counters, oldest first; `verdict` asks for the others."""
    wanted = Wanted(device, meter, None, verdict, before, after)
    name = f'attachment; filename="{device}-{meter}.csv"'
    lines = _lines(histories.history(wanted))
    return StreamingResponse(lines, media_type="text/csv", headers={"Content-Disposition": name})


@router.post(
    "/{device}/{meter}/readings/{reading_id}/correct",
    summary="Say what a picture shows",
    responses=NOT_FOUND,
)
def correct(
    request: Request,
    desk: TheDesk,
    *,
    device: NamePath,
    meter: NamePath,
    reading_id: IdPath,
    body: CorrectWish,
) -> Told:
    """It counts at once, and all after it are judged again. The picture is kept as an example."""
    wish = core.Correct(reading_id, body.counter or "", body.value)
    return _told(request, desk, (device, meter), wish)


@router.post(
    "/{device}/{meter}/readings/{reading_id}/undo",
    summary="Take back what was said",
    responses=NOT_FOUND,
)
def undo(
    request: Request, desk: TheDesk, *, device: NamePath, meter: NamePath, reading_id: IdPath, body: UndoWish
) -> Told:
    """A corrected picture speaks for itself again; a value that was set, or an exchange, goes."""
    wish = core.TakeBack(reading_id, body.counter or "")
    return _told(request, desk, (device, meter), wish)


@router.post("/{device}/{meter}/set", summary="Say what the meter shows", responses=NOT_FOUND)
def set_value(
    request: Request,
    desk: TheDesk,
    queries: TheQueries,
    live: TheLive,
    *,
    device: NamePath,
    meter: NamePath,
    body: SetWish,
) -> Told:
    """The owner has looked at it. It counts at once."""
    _check_there(request, desk, queries, live, (device, meter))
    wish = core.SetValue(body.counter or "", body.value, _moment(request, body.at))
    return _told(request, desk, (device, meter), wish)


@router.post("/{device}/{meter}/exchange", summary="Say that the meter was exchanged", responses=NOT_FOUND)
def exchange(
    request: Request,
    desk: TheDesk,
    queries: TheQueries,
    live: TheLive,
    *,
    device: NamePath,
    meter: NamePath,
    body: ExchangeWish,
) -> Told:
    """The total goes on from what the old one showed last."""
    _check_there(request, desk, queries, live, (device, meter))
    wish = core.Exchange(body.counter or "", _moment(request, body.at), body.final, body.start)
    return _told(request, desk, (device, meter), wish)


@router.get(
    "/{device}/{meter}/examples.zip",
    summary="Pictures of which the owner said what they show",
    response_class=StreamingResponse,
    responses={**BAD_QUERY, **_ZIP},
)
def examples(
    histories: TheHistories, media: TheMedia, device: NamePath, meter: NamePath
) -> StreamingResponse:
    """The newest 500, with their layouts. `meerkat meter examples` cuts their wheels and needles out."""
    found = histories.examples(device, meter, 500)
    name = f'attachment; filename="{device}-{meter}-examples.zip"'
    return StreamingResponse(
        packed(found, media), media_type="application/zip", headers={"Content-Disposition": name}
    )


def _moment(request: Request, at: datetime | None) -> datetime:
    try:
        at = datetime.now(UTC) if at is None else at.astimezone(UTC)
    except OverflowError:  # its zone leads out of all years
        remedy = "Give the time as 2026-11-20T08:15:00Z"
        raise ApiError(422, f"{at} is no time", where=request.url.path, remedy=remedy) from None
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _status(
    key: core.MeterKey,
    view: core.MeterView | None,
    info: MeterInfo | None,
    latest: StoredPicture | None,
    readers: int,
) -> MeterStatus:
    device, meter = key
    counters = [
        CounterStatus(
            counter=one.counter,
            name=published(meter, one.counter),
            unit=one.unit,
            reading=one.reading,
            verdict=one.verdict,
            value=one.latest.value if one.latest is not None else None,
            **_scale(view, one),
        )
        for one in (view.counters if view is not None else ())
    ]
    kind = view.settings.kind if view is not None else None
    return MeterStatus(
        device=device,
        meter=meter,
        label=info.label if info is not None else "",
        kind=kind or (info.kind if info is not None else ""),
        latest=picture_view(latest) if latest is not None else None,
        layout=view is not None and view.layout is not None,
        layout_configured=view is not None and view.layout_configured,
        settings_configured=view is not None and view.settings_configured,
        waiting=view.waiting if view is not None else 0,
        readers=readers,
        counters=counters,
    )


def _scale(view: core.MeterView | None, counter: core.CounterView) -> dict[str, float]:
    """Step and span: by the layout, else as its device told them; nothing while neither is known."""
    laid_out = view.layout.all_counters.get(counter.counter) if view is not None and view.layout else None
    seen = counter.latest.seen if counter.latest is not None else None
    known = laid_out or seen
    return {"step": known.step, "span": known.span} if known is not None else {}


def _reading(stored: StoredReading) -> ReadingView:
    row, seen = stored.row, stored.row.seen
    said = row.told is not None or row.refused
    return ReadingView(
        id=row.id,
        counter=stored.counter,
        at=row.at,
        kind=row.kind,
        source=row.source,
        verdict=row.verdict,
        reason=row.reason,
        value=row.value,
        total=row.total,
        flow=row.flow,
        unit=stored.unit,
        confidence=row.confidence,
        expected=row.expected,
        revision=row.revision,
        told=row.told,
        told_last=row.told_last,
        read=seen.value if seen is not None and said else None,
        picture=stored.has_picture,
        wheels=seen.wheels if seen is not None else (),
        needles=seen.needles if seen is not None else (),
        candidates=seen.candidates if seen is not None else (),
    )


def _lines(found: Iterable[StoredReading]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in found:
        row = one.row
        writer.writerow(
            (
                format_time(row.at),
                *(_number(value) for value in (row.value, row.total, row.flow)),
                _text(one.unit),
                row.verdict,
                f"{row.confidence:.3f}",
                row.source,
                _text(row.reason),
                one.counter,
                row.id,
            )
        )
        if text.tell() > 30_000:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _text(said: str) -> str:
    """Somebody's words, which no spreadsheet is to take for a formula."""
    return f"'{said}" if said.startswith(("=", "+", "-", "@", "\t", "\r")) else said


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"
