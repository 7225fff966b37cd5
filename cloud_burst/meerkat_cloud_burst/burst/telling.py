"""What the commands print: lines for people, and the same as objects for scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from meerkat_cloud_burst.settings import BurstSettings

from . import prices
from .costs import Costs
from .looking import Seen

BAR = 20
"""Characters of a full day."""


def status(seen: Seen, settings: BurstSettings) -> Iterator[str]:
    """One screen."""
    yield f"hub       {_hub(seen)}"
    yield f"machines  {_machines(seen, settings)}"
    yield f"orders    {_orders(seen)}"
    state = _state(seen.hub)
    if state:
        yield (
            f"money     today {_dollars(state, 'spent_today')} of {_dollars(state, 'ceiling_day')}, "
            f"this month {_dollars(state, 'spent_month')} of {_dollars(state, 'ceiling_month')}; "
            f"{_dollars(state, 'reserved')} set apart for what runs"
        )
    else:
        yield "money     the hub keeps the ledger; it is asked when it runs"
    for line in seen.trouble:
        yield f"trouble   {line}"
    if not seen.trouble:
        yield "          All is well."


def _hub(seen: Seen) -> str:
    if seen.hub is None:
        return seen.hub_silent
    state = _state(seen.hub)
    switch = "on" if state.get("on", True) else "off"
    out = f"{state.get('in_cloud', 0)} clips are out"
    return f"{switch}; {state.get('state', '?')}: {state.get('reason', '')}; {out}"


def _machines(seen: Seen, settings: BurstSettings) -> str:
    if settings.fleet == "external":
        return "PCs of yours (burst.fleet: external); AWS knows nothing of them"
    fleet = seen.fleet
    if fleet is None:
        return "AWS could not be asked"
    if not fleet.instances and not fleet.desired:
        return f"none, {fleet.maximum} at most"
    now = datetime.now(UTC)
    each = (
        f"{one.id} {one.state} {max(0.0, (now - one.since).total_seconds()) / 60:.0f} min {one.life}".rstrip()
        for one in fleet.instances
    )
    return f"{fleet.desired} asked for, {fleet.maximum} at most: {'; '.join(each) or 'none yet'}"


def _orders(seen: Seen) -> str:
    if seen.queue is None:
        return "AWS could not be asked"
    return f"{seen.queue.waiting} wait, {seen.queue.taken} are being done, {seen.queue.dead} dead letters"


def status_object(seen: Seen) -> dict[str, Any]:
    fleet = seen.fleet
    return {
        "hub": seen.hub,
        "hub_silent": seen.hub_silent,
        "fleet": None
        if fleet is None
        else {
            "desired": fleet.desired,
            "maximum": fleet.maximum,
            "instances": [{**asdict(one), "since": one.since.isoformat()} for one in fleet.instances],
            "orphans": [orphan.id for orphan in fleet.orphans],
        },
        "queue": None if seen.queue is None else asdict(seen.queue),
        "trouble": list(seen.trouble),
    }


def plan(view: Mapping[str, Any], settings: BurstSettings) -> Iterator[str]:
    """The hub's latest decision, and what its numbers are."""
    state = _state(view)
    yield f"{state.get('state', '?')}: {state.get('reason') or 'nothing was decided yet'}"
    wait = float(view.get("boot") or settings.boot)
    clip = float(view.get("clip_seconds") or settings.clip_seconds)
    rate = float(view.get("upload_rate") or 0)
    up = f", {rate / 1e6:.1f} MB/s up" if rate else ""
    cents = settings.money.instance_hour * clip / 36
    each = f"{clip:.0f} s a clip of 5 s ({cents:.3f} cents)"
    yield f"measured: {wait:.0f} s until a machine works, then {each}{up}"
    left = (
        float(state.get("ceiling_day", 0))
        - float(state.get("spent_today", 0))
        - float(state.get("reserved", 0))
    )
    yield f"left of today's {_dollars(state, 'ceiling_day')}: ${max(0.0, left):.4f}"
    for clip_out in view.get("aloft", ()):
        yield f"out: clip {clip_out.get('clip')} of {clip_out.get('device')}/{clip_out.get('camera')}"


def cost(costs: Costs, settings: BurstSettings) -> Iterator[str]:
    if not costs.days:
        yield "nothing was spent yet"
    for day, dollars in list(costs.days.items())[:14]:
        share = min(1.0, dollars / costs.ceiling_day) if costs.ceiling_day else 0.0
        bar = "#" * max(1, round(share * BAR))
        yield f"{day}  ${dollars:8.4f}  {costs.seconds.get(day, 0) / 60:6.0f} min  {bar}"
    for month, dollars in list(costs.months.items())[:12]:
        yield f"{month}     ${dollars:8.4f}  of ${costs.ceiling_month:.2f}"
    yield (
        f"today: ${costs.reserved:.4f} set apart for what runs; by midnight (UTC) about "
        f"${costs.forecast_day:.4f} of ${costs.ceiling_day:.2f}"
    )
    yield (
        f"assumed: ${settings.money.instance_hour:g} for an hour of a machine, "
        f"${prices.ADDRESS + prices.DISK:g} of it for its public address and disk; AWS bills the seconds, "
        "60 at least"
    )
    yield "not in it: requests, transfer and the idle alarm, cents a month. AWS's bill has the last word."


def _state(view: Mapping[str, Any] | None) -> Mapping[str, Any]:
    found = (view or {}).get("state", {})
    return found if isinstance(found, Mapping) else {}


def _dollars(state: Mapping[str, Any], key: str) -> str:
    return f"${float(state.get(key, 0)):.4f}".rstrip("0").ljust(3, "0")
