"""A ledger on clocks that a test turns, with the lines that a hub would have stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from meerkat_cloud_burst.policy import Ledger, Machine, Moment, Observed, Refused, Terms
from meerkat_cloud_burst.policy.view import LedgerEntry

MIDNIGHT = 1_790_035_200.0
"""A midnight of UTC."""

NOON = MIDNIGHT + 43_200.0

TERMS = Terms(per_day=1.0, per_month=10.0, instance_hour=0.36, hold=600.0, boot=90.0)
"""$0.0001 a second: a launch is paid for 600 + 90 + 360 s, $0.105, beforehand."""

CENT_HUNDREDTH = 1e-4


@dataclass
class Desk:
    terms: Terms = TERMS
    wall: float = NOON
    steady: float = 1000.0
    stored: list[LedgerEntry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ids = count()
        self.ledger = self._open()

    def _open(self) -> Ledger:
        ledger = Ledger(self.terms, lambda: f"line-{next(self._ids)}")
        ledger.load(list(self.stored), self.now)
        return ledger

    @property
    def now(self) -> Moment:
        return Moment(self.steady, self.wall)

    def pass_time(self, seconds: float, leap: float = 0.0) -> None:
        self.steady += seconds
        self.wall += seconds + leap

    def restart(self, down: float = 0.0, leap: float = 0.0) -> None:
        self.wall += down + leap
        self.steady = 5.0
        self.ledger = self._open()

    def reserve(self, machines: int = 1) -> None:
        paid = self.ledger.reserve(machines, self.now, "a test")
        assert not isinstance(paid, Refused), paid
        self.stored += paid

    def observe(self, *machines: tuple[str, float], desired: int | None = None) -> Observed:
        """`machines`: (id, age) each."""
        seen = self.ledger.observe(
            [Machine(*machine) for machine in machines],
            len(machines) if desired is None else desired,
            self.now,
        )
        self.stored += seen.entries
        return seen

    def run(self, id: str, begin: float, seconds: float, tick: float = 20.0) -> Observed:
        """Look each tick at a machine that is `begin` seconds old, for `seconds`."""
        seen = Observed()
        ran = 0.0
        while ran < seconds:
            self.pass_time(tick)
            ran += tick
            seen = self.observe((id, begin + ran))
        return seen

    @property
    def spent(self) -> float:
        return self.ledger.today(self.now).spent

    @property
    def reserved(self) -> float:
        return self.ledger.today(self.now).reserved

    def lines(self, kind: str) -> list[LedgerEntry]:
        return [entry for entry in self.stored if entry.kind == kind]
