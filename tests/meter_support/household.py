"""A meter and the house behind it for a year, as a reader sees it: pictures with faults, and the truth.

Nothing is rendered: each picture is a `CounterSeen` as a reader would give it. What goes wrong:

    unreadable        10 % of the pictures show nothing
    misread           2 % have one digit wrong, as sure as any other picture
    knocks            the camera is hit: for hours nothing is readable, or all digits are those beside
    exchange          the meter is replaced by a new one
    rollover          it passes its top
    offline           three days' pictures come later in one lot, after newer ones
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from statistics import fmean
from uuid import UUID

from meerkat_contract.meter_messages import Candidate, CounterSeen, PositionSeen
from meerkat_hub.core.meters.rows import PictureSeen

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DECIMALS = 4
PER_UNIT = 10**DECIMALS
SPAN = 10**5 * PER_UNIT
"""Steps of 0.1 L: five wheels of whole cubic metres, three of its parts, and a needle."""


@dataclass(frozen=True)
class Faults:
    unreadable: float = 0.1
    misread: float = 0.02
    glare: tuple[float, float] = (0.4, 0.8)
    """What it takes from the clearness of the wheel that is misread."""
    unsure: float = 0.05
    """Pictures whose likeliest reading is one of two that differ by a carry."""
    knocks: int = 2
    exchange_at: int | None = 200 * 24
    """Hour; the owner tells of it unless told otherwise."""
    rollover_at: int | None = 100 * 24
    offline: tuple[int, int] = (50 * 24, 53 * 24)


@dataclass
class Taken:
    """One picture, with what the meter showed."""

    picture: PictureSeen
    hour: int
    shown: int
    total: int
    """Steps since the beginning, plus what it showed then."""
    good: bool
    """It shows the truth, and the reader is sure of it."""
    fault: str = ""


@dataclass
class Year:
    taken: list[Taken]
    exchange: tuple[datetime, int, int] | None
    """When, what the old meter showed last and the new one first."""
    arrival: list[Taken] = field(default_factory=list)
    """In the order in which they come."""


def flows(random: Random, hours: int) -> Iterator[int]:
    """Steps in each hour of a home's water: nothing at night, baths, weeks away, a pool once in summer."""
    away = {random.randrange(10, max(11, hours // 24)) for _ in range(3)}
    away |= {day + 1 for day in away} | {day + 2 for day in away}
    pool = random.randrange(150 * 24, 200 * 24)
    for hour in range(hours):
        day, clock = divmod(hour, 24)
        if pool <= hour < pool + 8:
            yield random.randrange(9000, 13000)
        elif day in away or (clock < 6 and random.random() < 0.9):
            yield 0
        elif clock in (6, 7, 19, 20):
            yield round(random.expovariate(1 / 400))
        else:
            yield round(random.expovariate(1 / 120)) if random.random() < 0.7 else 0


def year(seed: int, faults: Faults | None = None, hours: int = 365 * 24) -> Year:
    """The same seed is the same year."""
    faults = faults or Faults()
    random = Random(seed)
    used = list(flows(random, hours))
    before_top = sum(used[: faults.rollover_at or 0])
    shown = SPAN - before_top - 40 if faults.rollover_at is not None else 2_069_228
    total = shown
    knocked = {
        random.randrange(hours // 10, hours - 30): random.choice(("dark", "shifted"))
        for _ in range(faults.knocks)
    }
    exchange, taken, knock, left = None, [], "", 0
    for hour, steps in enumerate(used):
        shown, total = (shown + steps) % SPAN, total + steps
        at = BEGIN + timedelta(hours=hour)
        if hour == faults.exchange_at:
            first = random.randrange(0, 50)
            exchange = (at - timedelta(minutes=20), shown, first)
            shown = first
        if hour in knocked:
            knock, left = knocked[hour], random.randrange(3, 20)
        fault = knock if left > 0 else _fault(random, faults)
        left -= 1
        taken.append(_picture(random, faults.glare, at=at, hour=hour, shown=shown, total=total, fault=fault))
    return Year(taken, exchange, _in_order_of_arrival(taken, faults.offline))


def _fault(random: Random, faults: Faults) -> str:
    chance = random.random()
    for name, share in (
        ("unreadable", faults.unreadable), ("misread", faults.misread), ("unsure", faults.unsure)
    ):  # fmt: skip
        if chance < share:
            return name
        chance -= share
    return ""


def _picture(
    random: Random, glare: tuple[float, float], *, at: datetime, hour: int, shown: int, total: int, fault: str
) -> Taken:
    # A needle between two marks is read one step off now and then.
    value = max(0, shown + random.choice((0, 0, 0, 0, 0, 0, -1, 1)))
    clear = [min(0.99, max(0.7, random.gauss(0.94, 0.03))) for _ in range(9)]
    candidates = [(value, 1.0)]
    if fault == "misread":
        place = random.randrange(1, 9)
        candidates = [(_wrong_digit(random, value, 10**place), 1.0)]
        clear[8 - place] *= random.uniform(*glare)
    elif fault == "shifted":
        candidates = [(value * 10 % SPAN + random.randrange(10), 1.0)]
    elif fault == "unsure":
        other = value + random.choice((1, -1)) * 10 ** random.randrange(2, 7)
        candidates = sorted(
            ((value, (share := random.uniform(0.35, 0.65))), (abs(other) % SPAN, 1 - share)),
            key=lambda c: -c[1],
        )
    seen = seen_as(candidates, clear, readable=fault not in ("unreadable", "dark"))
    id = str(UUID(int=random.getrandbits(128), version=4))
    return Taken(PictureSeen(id, at, seen), hour, shown, total, not fault, fault)


def _wrong_digit(random: Random, value: int, place: int) -> int:
    digit = value // place % 10
    wrong = random.choice([d for d in range(10) if d != digit])
    return value + (wrong - digit) * place


def seen_as(
    candidates: list[tuple[int, float]], clear: Sequence[float] = (0.94,) * 9, *, readable: bool = True
) -> CounterSeen:
    """As a reader gives it; candidates: (steps, likelihood), the likeliest first; clear: wheels, needle."""
    seen = tuple(
        PositionSeen(position=0.0, confidence=one, factor=10.0 ** (4 - place))
        for place, one in enumerate(clear)
    )
    if not readable:
        return CounterSeen(
            verdict="unreadable", reason="the picture is too dark", unit="m³", step=1 / PER_UNIT, span=1e5
        )
    return CounterSeen(
        verdict="accepted" if candidates[0][1] > 0.6 else "held",
        value=candidates[0][0] / PER_UNIT,
        confidence=fmean(clear) * candidates[0][1],
        unit="m³",
        step=1 / PER_UNIT,
        span=SPAN / PER_UNIT,
        wheels=seen[:-1],
        needles=seen[-1:],
        candidates=tuple(Candidate(value=value / PER_UNIT, likelihood=share) for value, share in candidates),
    )


def _in_order_of_arrival(taken: list[Taken], offline: tuple[int, int]) -> list[Taken]:
    """What was spooled comes after the first six pictures that are sent when it is back."""
    first, last = offline
    live = [one for one in taken if not first <= one.hour < last]
    spooled = [one for one in taken if first <= one.hour < last]
    back = next((i for i, one in enumerate(live) if one.hour >= last), len(live))
    return live[: back + 6] + spooled + live[back + 6 :]
