"""What a meter's flow says of the house: water that never rests, runs all night, or stands still.

Nothing is said that the pictures cannot show. A picture an hour tells that something flowed in that
hour, not for how long: a tap that was closed for twenty minutes in each of them reads as a leak does.
So a flow counts as unbroken only over intervals that are short beside the limit, and the words give the
interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from meerkat_contract.meter_messages import Alarm

from .chain import Link, hours_between
from .rows import PARTS
from .settings import Limits, MeterSettings

FINE_ENOUGH = 4
"""So many intervals at least make an unbroken flow, or a night."""
NIGHT_SEEN = 2 / 3
"""Of the night that pictures must cover."""


def wrong_with(
    chain: Sequence[Link], settings: MeterSettings, unit: str, now: datetime
) -> tuple[str, Alarm | None]:
    """In words, and of what kind; empty when nothing is. chain: the believed readings, the latest last."""
    if not chain:
        return "", None
    limits = settings.limits(unit)
    silent = hours_between(chain[-1].at, now)
    if settings.silent_hours and silent >= settings.silent_hours:
        text = f"no reading for {_long(silent)}: is the camera running, and does the light come on?"
        return text, "silent"
    if leak := _without_pause(chain[-1], limits, unit) or _all_night(chain, limits, settings, unit):
        return leak, "leak"
    standing = _standing(chain[-1], limits)
    return standing, "no_flow" if standing else None


def _without_pause(latest: Link, limits: Limits, unit: str) -> str:
    learnt = latest.learnt
    if not limits.leak_hours or learnt.flowing_since is None:
        return ""
    lasted = hours_between(learnt.flowing_since, latest.at)
    if lasted < limits.leak_hours or learnt.longest > limits.leak_hours / FINE_ENOUGH:
        return ""
    return (
        f"it has flowed for {_long(lasted)}, never less than {learnt.least:.3g} {unit}/h: a leak? "
        f"A pause shorter than {_long(learnt.longest)} would not be seen"
    )


def _all_night(chain: Sequence[Link], limits: Limits, settings: MeterSettings, unit: str) -> str:
    if not limits.night_flow:
        return ""
    begin, end = _last_night(chain[-1].at, settings)
    covered, least = 0.0, float("inf")
    for index in range(len(chain) - 1, 0, -1):
        earlier, later = chain[index - 1], chain[index]
        if earlier.at < begin:
            break
        hours = hours_between(earlier.at, later.at)
        if later.at <= end and hours > 0:
            covered += hours
            least = min(least, (later.total - earlier.total) / PARTS / hours)
    if covered < NIGHT_SEEN * hours_between(begin, end) or least <= limits.night_flow:
        return ""
    first, last = settings.night
    return f"all night, from {first} to {last} o'clock, at least {least:.3g} {unit}/h flowed: a leak?"


def _standing(latest: Link, limits: Limits) -> str:
    since = latest.learnt.still_since
    if not limits.no_flow_days or since is None:
        return ""
    lasted = hours_between(since, latest.at)
    if lasted < 24 * limits.no_flow_days:
        return ""
    return f"nothing has flowed for {_long(lasted)}: does the meter stand still?"


def _last_night(latest: datetime, settings: MeterSettings) -> tuple[datetime, datetime]:
    """The last one that was over when the latest reading was taken; in UTC."""
    zone = ZoneInfo(settings.zone) if settings.zone else None
    first, last = settings.night
    # Without a zone it is the hub's, as Python takes a time without one: so each day has its own summer time.
    day = latest.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0, tzinfo=zone)
    end = _at(day, last)
    if end > latest:
        day -= timedelta(days=1)
        end = _at(day, last)
    return _at(day if first < last else day - timedelta(days=1), first), end


def _at(day: datetime, hour: int) -> datetime:
    """An hour of a local day; 24 is the next day's beginning."""
    local = day + timedelta(days=1) if hour == 24 else day.replace(hour=hour)
    return local.astimezone(ZoneInfo("UTC"))


def _long(hours: float) -> str:
    if hours >= 48:
        return f"{hours / 24:.0f} days"
    return f"{hours:.3g} h" if hours >= 1 else f"{hours * 60:.0f} min"
