"""What goes wrong, and when: drawn from the seed before anything happens."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .hub import KILL_POINTS


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` at `at` (seconds), for `seconds`; `pick` chooses among those whom it may hit."""

    at: float
    kind: str
    seconds: float
    pick: float
    detail: str = ""


MEAN_MINUTES = {
    "kill hub": 12,
    "kill worker": 15,
    "no workers": 180,
    "drain worker": 40,
    "reboot device": 60,
    "restart broker": 60,
    "cut connection": 6,
    "partition": 8,
    "set clock": 90,
    "fill disk": 60,
    "cloud away": 60,
}
"""Mean minutes between two faults of a kind, at an intensity of 1."""


def draw(chance: Random, hours: float, intensity: float) -> list[Fault]:
    """All faults of a run, in order of time. `intensity` 0 makes a house without faults."""
    faults = []
    for kind, minutes in MEAN_MINUTES.items():
        at = 0.0
        while intensity > 0 and (at := at + chance.expovariate(intensity / (60 * minutes))) < hours * 3600:
            faults.append(Fault(at, kind, _seconds(chance, kind), chance.random(), _detail(chance, kind)))
    return sorted(faults, key=lambda fault: (fault.at, fault.kind))


def _seconds(chance: Random, kind: str) -> float:
    """Mostly short, at times long."""
    if kind == "set clock":
        size = chance.choice((2.0, 90.0, 90.0, 4000.0, 50_000.0))
        return chance.uniform(-size, size)
    if kind == "no workers":
        return chance.uniform(300, 6000)
    mean = {"partition": 15.0, "fill disk": 60.0, "cloud away": 60.0}.get(kind, 10.0)
    return 0.2 + chance.expovariate(1 / mean) * (10 if chance.random() < 0.1 else 1)


def _detail(chance: Random, kind: str) -> str:
    match kind:
        case "kill hub":
            return chance.choice(("", *KILL_POINTS))
        case "fill disk":
            return chance.choice(("database", "media", "both"))
        case "restart broker":
            return chance.choice(("forgets all", "keeps what is retained", "keeps all"))
        case _:
            return ""
