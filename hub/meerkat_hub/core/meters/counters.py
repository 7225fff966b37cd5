"""The counters of all meters: each has its history, and a place on the bus.

A counter with a name is a meter of its own there: `<meter>-<counter>`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from meerkat_contract.messages import MeterReading, MeterVerdict
from meerkat_contract.meter_layout import MeterLayout
from meerkat_contract.topics import MeterTopic
from meerkat_hub.core.meter_records import (
    AnswerMeter,
    Correct,
    CounterView,
    Exchange,
    MeterKey,
    PictureIsExample,
    RowRemoved,
    RowSaved,
    SetValue,
    StoredCounter,
    TakeBack,
)
from meerkat_hub.core.outputs import Announce, Decision
from meerkat_hub.core.records import Now

from .history import MeterHistory, UnknownReading
from .rows import Outcome
from .settings import MeterSettings

AHEAD = timedelta(minutes=5)
"""The owner's clock may be so much ahead of the hub's."""

Told = Correct | TakeBack | SetValue | Exchange


@dataclass(slots=True, eq=False)
class Counter:
    device: str
    meter: str
    name: str
    history: MeterHistory
    reading: MeterReading | None = None
    verdict: MeterVerdict | None = None

    @property
    def published(self) -> str:
        """What it is called on the bus."""
        return published(self.meter, self.name)

    def view(self) -> CounterView:
        return CounterView(self.name, self.history.unit, self.reading, self.verdict, self.history.last)


def published(meter: str, counter: str) -> str:
    """What a counter is called on the bus."""
    return f"{meter}-{counter}" if counter else meter


def say(counter: Counter, outcome: Outcome, out: Decision) -> tuple[str, ...]:
    """Do what follows from something told to a counter's history; the notes for its owner."""
    unit = counter.history.unit
    for row in outcome.changes:
        saved = RowSaved(counter.device, counter.meter, counter.name, unit, row, outcome.late)
        out.changes.append(saved)
    for kind, message in (("reading", outcome.reading), ("verdict", outcome.verdict)):
        if message is not None:
            topic = MeterTopic(counter.device, counter.published, kind)
            out.changes.append(Announce(str(topic), message.to_json(), retain=True))
    counter.reading = None if outcome.withdrawn else outcome.reading or counter.reading
    if outcome.withdrawn:
        _unsay(counter, out)
    if (verdict := outcome.verdict) is not None:
        counter.verdict = verdict
        value = f", {verdict.value:.10g} {verdict.unit}" if verdict.value is not None else ""
        why = f": {verdict.reason}" if verdict.reason else ""
        leak = f" ({verdict.leak})" if verdict.leak else ""
        out.notes.append(f"{counter.device}/{counter.published}: {verdict.verdict}{value}{why}{leak}")
    out.notes += [f"{counter.device}/{counter.published}: {note}" for note in outcome.notes]
    return outcome.notes


def _unsay(counter: Counter, out: Decision) -> None:
    """Clear what is retained of its reading."""
    topic = MeterTopic(counter.device, counter.published, "reading")
    out.changes.append(Announce(str(topic), b"", retain=True))


class Counters:
    """By device, meter and the counter's name; the main one's is empty."""

    def __init__(
        self,
        new_id: Callable[[], str],
        settings: Callable[[MeterKey], MeterSettings],
        layout: Callable[[MeterKey], MeterLayout | None],
    ) -> None:
        self._new_id = new_id
        self._settings = settings
        self._layout = layout
        self._known: dict[tuple[str, str, str], Counter] = {}

    def load(self, stored: StoredCounter, out: Decision) -> None:
        """Take over what is stored of one."""
        key = (stored.device, stored.meter, stored.counter)
        history = MeterHistory(
            stored.device,
            published(stored.meter, stored.counter),
            self._settings((stored.device, stored.meter)),
            stored.rows,
            self._unit(*key),
        )
        counter = self._known[key] = Counter(*key, history)
        say(counter, history.loaded, out)
        try:
            history.settings.conversion(history.unit)
        except ValueError as error:  # the configuration has another unit now
            where = f"{counter.device}/{counter.published}"
            out.notes.append(f"{where}: its readings stay in {history.unit}: {error}")
        if counter.reading is None:  # it may have been withdrawn, and the hub ended before it was said
            _unsay(counter, out)

    def _unit(self, device: str, meter: str, name: str) -> str:
        """By the layout; empty while that does not know the counter."""
        layout = self._layout((device, meter))
        laid_out = layout.all_counters.get(name) if layout is not None else None
        return laid_out.unit if laid_out is not None else ""

    def of(self, device: str, meter: str, name: str) -> Counter:
        """Known, or new."""
        key = (device, meter, name)
        counter = self._known.get(key)
        if counter is None:
            history = MeterHistory(device, published(meter, name), self._settings((device, meter)))
            counter = self._known[key] = Counter(*key, history)
        counter.history.laid_out = self._unit(*key)
        return counter

    @property
    def all(self) -> list[Counter]:
        return list(self._known.values())

    @property
    def meters(self) -> set[MeterKey]:
        return {(device, meter) for device, meter, _ in self._known}

    def clashing(self, key: MeterKey, layout: MeterLayout) -> str:
        """What a layout's counters would be called on the bus, as another meter there is already; empty when
        none is."""
        device, meter = key
        wanted = {published(meter, name) for name in layout.all_counters}
        others = (one for one in self.all if one.device == device and one.meter != meter)
        return next((one.published for one in others if one.published in wanted), "")

    def of_meter(self, key: MeterKey) -> list[Counter]:
        """By name, the main one first."""
        mine = [counter for (*meter, _), counter in self._known.items() if tuple(meter) == key]
        return sorted(mine, key=lambda counter: counter.name)

    # --- what the owner says --------------------------------------------------------------------

    def told(self, ticket: str, key: MeterKey, told: Told, now: Now, out: Decision) -> AnswerMeter:
        """Do what the owner says of a counter, or say why not."""
        layout = self._layout(key)
        laid_out = layout.all_counters.get(told.counter) if layout is not None else None
        if (*key, told.counter) not in self._known and laid_out is None and told.counter:
            return AnswerMeter(ticket, "unknown", f"the meter has no counter {told.counter}")
        counter = self.of(*key, told.counter)
        last = counter.history.last
        scale = laid_out or (last.seen if last is not None else None)
        if why := _wrong(told, scale.span if scale is not None else None, now):
            return AnswerMeter(ticket, "wrong", why)
        try:
            outcome = self._outcome(counter, told, out)
        except UnknownReading as error:
            return AnswerMeter(ticket, "unknown", str(error))
        notes = say(counter, outcome, out)
        if isinstance(told, Correct) and told.value is not None and layout is not None:
            out.changes.append(PictureIsExample(told.id, layout))
        return AnswerMeter(ticket, "done", notes=notes)

    def _outcome(self, counter: Counter, told: Told, out: Decision) -> Outcome:
        history = counter.history
        match told:
            case Correct(id=reading, value=value):
                return history.corrected(reading, value)
            case TakeBack(id=reading):
                kinds = {row.id: row.kind for row in history.rows}
                if kinds.get(reading, "picture") == "picture":
                    return history.uncorrected(reading)
                outcome = history.removed(reading)
                out.changes.append(RowRemoved(counter.name, reading))
                return outcome
            case SetValue(value=value, at=at):
                return history.shows(self._new_id(), at, value)
            case Exchange(at=at, final=final, start=start):
                return history.exchanged(self._new_id(), at, last=final, first=start)


def _wrong(told: Told, most: float | None, now: Now) -> str:
    """What cannot be of what the owner says; empty when all can. most: where the counter begins again."""
    match told:
        case SetValue(at=at) | Exchange(at=at) if at > now.wall + AHEAD:
            return "that time has not come yet"
        case TakeBack():
            return ""
    values = (told.final, told.start) if isinstance(told, Exchange) else (told.value,)
    for value in values:
        if value is not None and most is not None and value >= most:
            return f"{value:.10g} is more than the meter can show: it begins again at {most:.10g}"
    return ""
