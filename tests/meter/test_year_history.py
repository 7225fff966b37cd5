"""A year of hourly pictures with faults: the total is exact, nothing wrong is believed, nothing sticks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from meerkat_hub.core.meters.history import MeterHistory
from meerkat_hub.core.meters.rows import ReadingRow
from meerkat_hub.core.meters.settings import MeterSettings
from meter_support.household import PER_UNIT, Faults, Taken, Year, year

TOLD = "ffffffff-ffff-4fff-bfff-ffffffffffff"


@dataclass
class Lived:
    """What a history made of a year."""

    history: MeterHistory
    rows: dict[str, ReadingRow] = field(default_factory=dict)
    """As stored at the end, all of the year."""
    wrong_at_once: list[float] = field(default_factory=list)
    """By how much an accepted value was wrong when it was published, in m³; above 0.001 only."""
    stuck: list[int] = field(default_factory=list)
    """Hours at which two good pictures in a row did not end a bad stretch."""
    at_once: Counter[str] = field(default_factory=Counter)
    """Verdicts as the pictures came."""


def live(the_year: Year, *, announced: bool = True) -> Lived:
    lived = Lived(MeterHistory("basement", "water", MeterSettings()))
    truth = {one.picture.id: one for one in the_year.taken}
    before: Taken | None = None
    for one in the_year.arrival:
        exchange = the_year.exchange
        told = exchange is not None and one.picture.at > exchange[0] + timedelta(hours=2)
        if announced and told and exchange is not None and TOLD not in lived.rows:
            outcome = lived.history.exchanged(
                TOLD, exchange[0], last=exchange[1] / PER_UNIT, first=exchange[2] / PER_UNIT
            )
            lived.rows |= {row.id: row for row in outcome.changes}
        for row in lived.history.saw(one.picture).changes:
            if row.id in truth and row.verdict == "accepted":
                known = lived.rows.get(row.id)
                if known is None or known.verdict != "accepted":
                    _note_wrong(lived, row, truth[row.id])
            lived.rows[row.id] = row
        lived.at_once[lived.rows[one.picture.id].verdict] += 1
        if before is not None and before.good and one.good and one.hour == before.hour + 1:
            last = lived.history.last
            # Neither counts while older pictures still come after newer ones.
            newest = lived.history.rows[-1].id == one.picture.id
            if newest and (last is None or last.at < before.picture.at or _error(last, truth) > 0.001):
                lived.stuck.append(one.hour)
        before = one
    return lived


def _note_wrong(lived: Lived, row: ReadingRow, taken: Taken) -> None:
    assert row.value is not None
    error = round(abs(row.value - taken.shown / PER_UNIT), 6)
    if error > 0.001:
        lived.wrong_at_once.append(error)


def _error(row: ReadingRow, truth: dict[str, Taken]) -> float:
    assert row.value is not None
    return round(abs(row.value - truth[row.id].shown / PER_UNIT), 6) if row.id in truth else 0.0


def check(the_year: Year, lived: Lived) -> None:
    truth = {one.picture.id: one for one in the_year.taken}
    assert set(truth) <= set(lived.rows), "every picture ends with a verdict"
    last = lived.history.last
    assert last is not None
    assert last.total is not None
    # The needle is read one step off now and then, so a step is exact.
    assert abs(round(last.total * PER_UNIT) - truth[last.id].total) <= 1
    errors = [_error(row, truth) for row in lived.rows.values() if row.verdict == "accepted"]
    assert max(errors) <= 0.01
    assert sum(error > 0.001 for error in errors) <= 5
    assert max(lived.wrong_at_once, default=0) <= 0.01
    assert len(lived.wrong_at_once) <= 5
    # An enormous flow that is true, or a new meter that shows zeros only, may take a third picture.
    assert len(lived.stuck) <= 1
    good = [one for one in the_year.taken if one.good]
    held = sum(lived.rows[one.picture.id].verdict != "accepted" for one in good)
    assert held <= 0.01 * len(good), "hardly a good picture is wasted"


def test_a_year_with_faults_ends_with_the_exact_total() -> None:
    the_year = year(3)
    lived = live(the_year)
    check(the_year, lived)
    # Nineteen of twenty good pictures are believed when they come, not an hour later.
    good = sum(one.good for one in the_year.taken)
    assert lived.at_once["accepted"] >= 0.95 * good
    again = MeterHistory("basement", "water", MeterSettings(), lived.rows.values())
    assert again.last == lived.history.last


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(40))
def test_every_year_ends_with_the_exact_total(seed: int) -> None:
    the_year = year(seed)
    check(the_year, live(the_year))


def test_an_exchange_that_nobody_tells_of_costs_what_no_picture_saw_and_no_more() -> None:
    """The two flows beside it: of the old meter after its last picture, of the new one before its first."""
    hours = 20 * 24
    the_year = year(5, Faults(exchange_at=12 * 24 + 9, rollover_at=None, knocks=0, offline=(0, 0)), hours)
    lived = live(the_year, announced=False)
    truth = {one.picture.id: one for one in the_year.taken}
    last = lived.history.last
    assert last is not None
    assert last.total is not None
    short = truth[last.id].total / PER_UNIT - last.total
    assert 0 <= short < 0.2
    assert not lived.wrong_at_once
    told = live(the_year).history.last
    assert told is not None
    assert told.total is not None
    assert abs(round(told.total * PER_UNIT) - truth[told.id].total) <= 1


@pytest.mark.parametrize("seed", [0, 1])
def test_misreads_as_sure_as_any_picture_never_spoil_the_total(seed: int) -> None:
    """When the wrong wheel looks as clear as the others, only the flow can tell. What is wrong stays small:
    never more than flows unnoticed in an hour, and gone from the total with the next pictures."""
    hours = 60 * 24
    faults = Faults(glare=(1.0, 1.0), exchange_at=40 * 24, rollover_at=None, offline=(20 * 24, 23 * 24))
    the_year = year(seed, faults, hours)
    lived = live(the_year)
    truth = {one.picture.id: one for one in the_year.taken}
    last = lived.history.last
    assert last is not None
    assert last.total is not None
    assert abs(round(last.total * PER_UNIT) - truth[last.id].total) <= 1
    believed = [row for row in lived.rows.values() if row.verdict == "accepted"]
    errors = sorted(_error(row, truth) for row in believed)
    assert errors[-1] < 0.25
    assert sum(error > 0.001 for error in errors) <= 0.005 * len(errors)
    assert not lived.stuck
