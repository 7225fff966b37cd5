"""A household's year at its water meter, hour by hour, and everything that goes wrong with its pictures.

Everything follows from the seed. Nothing is painted here: that is for `year`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from meerkat_training.arrays import Random, between

Fault = Literal["", "black", "white", "fogged", "covered", "blurred", "upside-down", "glare"]
UNREADABLE: tuple[Fault, ...] = ("black", "white", "fogged", "covered", "blurred", "upside-down")

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
_BY_HOUR = np.array([1, 0.3, 0.2, 0.2, 0.4, 2, 9, 12, 9, 6, 5, 5, 7, 6, 4, 4, 5, 7, 10, 10, 8, 6, 4, 2])
"""What a household draws in each hour of the day, in no unit."""
_DAILY_LITRES = 264.0


@dataclass(frozen=True)
class Moment:
    """One picture of the year."""

    number: int
    at: datetime
    """When it was taken."""
    arrives: datetime
    """When the hub has it: at once, or when the device is back."""
    meter: int
    """0, and 1 after the exchange."""
    shown: float
    """What the meter stands at, in m³."""
    total: float
    """What has been drawn since the meter of the beginning stood at zero, rollovers counted on."""
    fault: Fault
    knocks: int
    """How often the camera has been knocked."""

    @property
    def reading(self) -> float | None:
        """What can be read: nothing on an unreadable picture. A picture with glare invites to misread."""
        return None if self.fault in UNREADABLE else self.shown


@dataclass(frozen=True)
class Exchange:
    """The old meter's end and the new one's beginning, right after the picture ``after``."""

    after: int
    old: float
    new: float


@dataclass(frozen=True)
class Plan:
    moments: tuple[Moment, ...]
    knocked: tuple[int, ...]
    """Numbers of the first pictures after each knock."""
    offline: tuple[int, int]
    """First picture taken without the network, and the first after it."""
    exchange: Exchange
    rollover: int
    """Number of the first picture after 99999 has become 0."""

    def arrivals(self) -> tuple[Moment, ...]:
        """In the order in which they reach the hub."""
        return tuple(sorted(self.moments, key=lambda moment: (moment.arrives, moment.number)))


def plan(
    seed: int = 0,
    *,
    hours: int = 8760,
    span: float = 100_000.0,
    new_start: float = 0.0,
    unreadable: float = 0.10,
    glare: float = 0.02,
    offline_hours: int = 72,
) -> Plan:
    """A year that begins soon before the meter's rollover; ``new_start`` is what the new meter begins at.

    At most ``hours`` pictures, of which the given shares are unreadable or glaring. ``hours`` of 200 or more
    have room for everything that happens.
    """
    rng = np.random.default_rng([seed, 5])
    litres = household(rng, hours)
    drawn = np.concatenate([[0.0], np.cumsum(litres)]) / 1000.0
    rollover = int(hours * between(rng, 0.15, 0.3))
    start = span - 0.5 * (drawn[rollover - 1] + drawn[rollover])
    exchanged = int(hours * between(rng, 0.68, 0.8))
    knocked = (int(hours * between(rng, 0.34, 0.42)), int(hours * between(rng, 0.84, 0.92)))
    away = min(offline_hours, hours // 8)
    first_away = int(hours * between(rng, 0.48, 0.58))
    spared = {exchanged - 1, exchanged, exchanged + 1, 0, 1, hours - 1, rollover - 1, rollover}
    faults = draw_faults(rng, hours, unreadable=unreadable, glare=glare, spared=spared)
    back = START + (first_away + away) * HOUR
    old = float((start + drawn[exchanged]) % span)
    moments = []
    for number in range(hours):
        at = START + number * HOUR
        total = float(start + drawn[number])
        late = first_away <= number < first_away + away
        shown = total % span
        if number > exchanged:
            shown = new_start + float(drawn[number] - drawn[exchanged])
        moments.append(
            Moment(
                number=number,
                at=at,
                # The live picture goes ahead, then the backlog in its order.
                arrives=back + timedelta(seconds=60 + 2 * (number - first_away)) if late else at,
                meter=int(number > exchanged),
                shown=shown,
                total=total,
                fault=faults[number],
                knocks=sum(number >= one for one in knocked),
            )
        )
    return Plan(
        moments=tuple(moments),
        knocked=knocked,
        offline=(first_away, first_away + away),
        exchange=Exchange(exchanged, old, new_start),
        rollover=rollover,
    )


def household(rng: Random, hours: int) -> NDArray[np.float64]:
    """Litres drawn in each hour: by the time of day, in gulps, none while the family is away."""
    by_hour = _BY_HOUR[np.arange(hours) % 24] / _BY_HOUR.sum() * _DAILY_LITRES
    gulps = rng.gamma(1.3, 1 / 1.3, hours)
    gulps[rng.random(hours) < 0.2] = 0.0
    litres = by_hour * gulps
    for _ in range(2):
        begin = int(rng.integers(0, max(1, hours - 24)))
        litres[begin : begin + min(hours // 20, 24 * int(rng.integers(5, 15)))] = 0.0
    capped: NDArray[np.float64] = np.minimum(litres, 140.0)
    return capped


def draw_faults(rng: Random, hours: int, *, unreadable: float, glare: float, spared: set[int]) -> list[Fault]:
    """One fault or none an hour, exactly the given shares; fog, covers and darkness last some hours."""
    faults: list[Fault] = [""] * hours
    free = [number for number in range(hours) if number not in spared]
    rng.shuffle(free)
    for number in free[: round(glare * hours)]:
        faults[number] = "glare"
    left = round(unreadable * hours)
    while left:
        begin = int(rng.integers(hours))
        kind = UNREADABLE[int(rng.integers(len(UNREADABLE)))]
        lasts = 1 if kind in ("blurred", "upside-down") else int(min(rng.geometric(0.5), 9))
        for number in range(begin, min(begin + lasts, hours)):
            if left and not faults[number] and number not in spared:
                faults[number] = kind
                left -= 1
    return faults
