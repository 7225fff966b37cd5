"""A rendered meter's year through the real reader and networks into a meter's history."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from meerkat_contract.meter_messages import CounterSeen
from meerkat_hub.core.meters.history import MeterHistory
from meerkat_hub.core.meters.rows import PictureSeen, ReadingRow
from meerkat_hub.core.meters.settings import MeterSettings
from meerkat_inference.meter.landmarks import features
from meerkat_inference.meter.networks import Networks
from meerkat_inference.meter.reader import read
from meerkat_training.faces.plan import Moment
from meerkat_training.faces.year import Year

TOLD = UUID(int=2**100, version=4)
TELLS_AFTER = timedelta(hours=1, minutes=30)
"""So long after it the owner tells of the exchange."""


@dataclass
class Lived:
    """What became of every picture, and when it went wrong."""

    year: Year
    history: MeterHistory
    rows: dict[str, ReadingRow] = field(default_factory=dict)
    wrong_at_once: list[tuple[int, float]] = field(default_factory=list)
    """(picture, m³) of readings that were published wrong by more than a litre and a half step."""
    stuck: list[int] = field(default_factory=list)
    """Pictures after which two good ones in a row had not ended a bad stretch."""
    waiting: list[int] = field(default_factory=list)
    """The same, where good is every picture without a fault, whether the reader is sure of it or not."""
    reading_seconds: float = 0.0
    """CPU of the reader alone."""

    def row(self, number: int) -> ReadingRow:
        return self.rows[_id(number)]

    def error(self, number: int) -> float:
        """Of an accepted reading, in m³; a step is not shown in parts."""
        row = self.row(number)
        assert row.value is not None
        shown, span = self.year.plan.moments[number].shown, self.year.design.gears.span
        off = abs(row.value - shown) % span
        return max(0.0, min(off, span - off) - self.year.step)

    @property
    def wrong(self) -> list[float]:
        """Errors of what is believed in the end, above a litre."""
        accepted = (m.number for m in self.year.plan.moments if self.row(m.number).verdict == "accepted")
        return [error for number in accepted if (error := self.error(number)) > 0.001]

    @property
    def total_error(self) -> float:
        """Of the last accepted reading, in m³, beside the truth at its time."""
        moments = self.year.plan.moments
        last = next(m for m in reversed(moments) if self.row(m.number).verdict == "accepted")
        total = self.row(last.number).total
        assert total is not None
        return total - last.total


def live(year: Year, *, tell: Callable[[int], None] | None = None) -> Lived:
    """Every picture as it arrives; the owner tells of the exchange, and made the layout from picture 0."""
    networks = Networks()
    layout = year.layout
    layout = layout.model_copy(update={"landmarks": features(year.picture(0), layout)})
    lived = Lived(year, MeterHistory("basement", "water", MeterSettings()))
    exchange = year.plan.exchange
    exchanged_at = year.plan.moments[exchange.after].at + timedelta(minutes=1)
    before: Moment | None = None
    for count, moment in enumerate(year.plan.arrivals()):
        if moment.at > exchanged_at + TELLS_AFTER and str(TOLD) not in lived.rows:
            outcome = lived.history.exchanged(str(TOLD), exchanged_at, last=exchange.old, first=exchange.new)
            _store(lived, outcome.changes)
        begun = time.process_time()
        seen = read(year.picture(moment.number), layout, networks).counters[0]
        lived.reading_seconds += time.process_time() - begun
        _take(lived, moment, seen, moment.at)
        newest = lived.history.rows[-1].id == _id(moment.number)
        last = lived.history.last
        if before is not None and newest and (last is None or last.at < before.at):
            if _good(lived, before) and _good(lived, moment):
                lived.stuck.append(moment.number)
            if not before.fault and not moment.fault:
                lived.waiting.append(moment.number)
        before = moment
        if tell is not None:
            tell(count)
    return lived


def _take(lived: Lived, moment: Moment, seen: CounterSeen, at: datetime) -> None:
    _store(lived, lived.history.saw(PictureSeen(_id(moment.number), at, seen)).changes)


def _store(lived: Lived, changes: tuple[ReadingRow, ...]) -> None:
    for row in changes:
        known = lived.rows.get(row.id)
        lived.rows[row.id] = row
        if (
            row.kind == "picture"
            and row.verdict == "accepted"
            and (known is None or known.verdict != "accepted")
        ):
            number = UUID(row.id).int >> 80
            if (error := lived.error(number)) > 0.001:
                lived.wrong_at_once.append((number, error))


def _good(lived: Lived, moment: Moment) -> bool:
    """It shows the truth, and the reader is sure of it."""
    seen = lived.row(moment.number).seen
    return not moment.fault and seen is not None and seen.verdict == "accepted"


def _id(number: int) -> str:
    return str(UUID(int=(number << 80) | (4 << 76) | (8 << 60)))
