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
    out = f"{_count(int(state.get('in_cloud', 0)), 'clip')} out"
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
    """What would go out now, with the figures that it follows from."""
    state, planned = _state(view), view.get("plan") or {}
    send = planned.get("send", ())
    if not send:
        yield "Nothing would be sent out now."
    else:
        machines = planned.get("machines")
        how = "the machines that are there" if machines is None else _count(machines, "machine")
        cents = 100 * float(planned.get("dollars", 0))
        yield f"{_count(len(send), 'clip')} would go out, to {how}; {cents:.2f} cents would be set apart."
    yield f"{planned.get('code', '?')}: {planned.get('reason', '')}"
    for clip in send:
        camera = f"{clip['device']}/{clip['camera']}"
        yield f"  {clip['clip']}  {camera}  here {float(clip['age']):.0f} s, {_at_home(clip)}"
    boot = float(view.get("boot") or settings.boot)
    each = float(view.get("clip_seconds") or settings.clip_seconds)
    rate = float(view.get("upload_rate") or 0)
    cents = 100 * settings.money.instance_hour * each / 3600
    up = f", {rate / 1e6:.1f} MB/s up" if rate else ""
    yield f"Measured: {boot:.0f} s until a machine works, {each:.0f} s a clip of 5 s ({cents:.3f} cents){up}."
    spent, reserved = (float(state.get(key, 0)) for key in ("spent_today", "reserved"))
    left = float(state.get("ceiling_day", 0)) - spent - reserved
    yield f"Left of today's {_dollars(state, 'ceiling_day')}: ${max(0.0, left):.4f}."
    if not state.get("on", True):
        yield "The burst is switched off: nothing goes out until it is on again."
    if trouble := state.get("trouble"):
        yield f"It could not go now: {trouble}"
    if doubt := state.get("doubt"):
        yield f"Look again: {doubt}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _at_home(clip: Mapping[str, Any]) -> str:
    seconds = clip.get("done_in")
    return "no worker at home" if seconds is None else f"done at home in {float(seconds):.0f} s"


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
    """Four digits, of which the last two only where they say something: $0.50, $0.0105."""
    text = f"{float(state.get(key, 0)):.4f}"
    return f"${text.removesuffix('00')}"
