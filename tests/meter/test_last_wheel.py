"""The last wheel above a dial turns evenly on some meters and rests on others: what tells, what is learnt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from meerkat_contract.ids import new_id
from meerkat_contract.meter_messages import EVENLY, CounterSeen
from meerkat_hub.core.meters.history import MeterHistory
from meerkat_hub.core.meters.learning import (
    EACH,
    GONE_ON,
    MOST,
    likelier,
    other_meter,
    turned,
    turned_by_owner,
)
from meerkat_hub.core.meters.rows import Learnt, PictureSeen
from meerkat_hub.core.meters.settings import MeterSettings
from meerkat_inference.meter.decode import decode
from meerkat_inference.meter.reader import read
from meter_support.painted import ColourNetworks, distribution, paint, row

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
LAYOUT = row(5, 3)
TRUTH = 214


@cache
def shown(litres: int, *, evenly: bool) -> CounterSeen:
    """What a reader sees of a meter at 214 m³ and so many litres, without anything else amiss."""
    value = TRUTH + litres / 1000
    needles = [value * 10**place % 10 for place in (1, 2, 3)]
    carried = max(0.0, value % 1 * 10 - 9)
    last = value % 10 if evenly else (int(value % 10) + carried) % 10
    wheels = [0.0, 0.0, 2.0, 1.0, last]
    return read(paint(LAYOUT, wheels, needles), LAYOUT, ColourNetworks()).counters[0]


class Meter:
    """One whose last wheel turns evenly, or does not, in its history: a picture an hour."""

    def __init__(self, *, evenly: bool) -> None:
        self.evenly = evenly
        self.history = MeterHistory("basement", "water", MeterSettings())
        self.ids: list[str] = []

    def at(self, *litres: int) -> list[str]:
        """What becomes of pictures at so many litres, as they come."""
        found = []
        for one in litres:
            self.ids.append(new_id())
            at = BEGIN + timedelta(hours=len(self.ids))
            self.history.saw(PictureSeen(self.ids[-1], at, shown(one, evenly=self.evenly)))
            found.append(self.history.rows[-1].verdict)
        return found

    @property
    def odds(self) -> float:
        learnt = next(r.learnt for r in reversed(self.history.rows) if r.verdict == "accepted")
        assert learnt is not None
        return learnt.evenly


TELLING = range(300, 700, 20)
OPEN = range(860, 960, 10)
"""Litres at which a picture alone does not tell whether it is this m³ or another."""


@pytest.mark.parametrize("evenly", [True, False])
def test_a_reading_says_how_its_last_wheel_would_turn(evenly: bool) -> None:
    wheels = [distribution(place) for place in (0, 0, 2, 1, 4.5 if evenly else 4.0)]
    needles = [distribution(place) for place in (5.0, 0.0, 0.0)]
    top = decode(LAYOUT, wheels, needles).candidates[0]
    assert top.value == pytest.approx(214.5)
    assert top.evenly is not None
    assert (top.evenly > 0.95) if evenly else (top.evenly < 0.05)


def test_where_one_picture_leaves_it_open_its_readings_differ_in_that() -> None:
    seen = shown(900, evenly=True)
    assert seen.verdict == "held"
    said = {round(one.value, 1): one.evenly for one in seen.candidates[:2]}
    assert set(said) == {214.9, 215.9}
    assert said[214.9] > 0.95
    assert said[215.9] < 0.05


def test_a_wheel_that_cannot_be_seen_tells_nothing_and_without_a_dial_nothing_is_asked() -> None:
    wheels = [distribution(place) for place in (0, 0, 2, 1)]
    needles = [distribution(place) for place in (5.0, 0.0, 0.0)]
    unseen = decode(LAYOUT, [*wheels, distribution(4, nothing=1.0)], needles)
    assert unseen.candidates[0].evenly == pytest.approx(EVENLY, abs=0.01)
    alone = decode(row(4), wheels, [])
    assert alone.candidates[0].evenly is None


@pytest.mark.parametrize("evenly", [True, False])
def test_what_pictures_with_the_needle_elsewhere_teach_settles_those_that_are_open(evenly: bool) -> None:
    meter = Meter(evenly=evenly)
    assert set(meter.at(*TELLING, *range(720, 840, 20))) == {"accepted"}
    assert (meter.odds > 3) if evenly else (meter.odds < -3)
    assert set(meter.at(*OPEN)) == {"accepted"}
    last = meter.history.last
    assert last is not None
    assert last.value == TRUTH + OPEN[-1] / 1000
    again = MeterHistory("basement", "water", MeterSettings(), meter.history.rows)
    assert again.last == last, "it is learnt again from what is stored"


def test_a_reading_that_the_history_chose_teaches_nothing() -> None:
    meter = Meter(evenly=True)
    meter.history.shows(new_id(), BEGIN, TRUTH + 0.855)
    assert all(shown(one, evenly=True).verdict == "held" for one in OPEN)
    meter.at(*OPEN)
    assert meter.odds == 0


def test_the_owner_overrules_what_was_learnt() -> None:
    meter = Meter(evenly=True)
    meter.at(*TELLING, *OPEN)
    before = meter.odds
    meter.history.corrected(meter.ids[-1], TRUTH + 1 + OPEN[-1] / 1000)
    assert before > 3
    assert meter.odds < 0
    meter.history.uncorrected(meter.ids[-1])
    assert meter.odds == before


def test_another_meter_is_another_matter() -> None:
    meter = Meter(evenly=True)
    meter.at(*TELLING)
    at = BEGIN + timedelta(hours=len(meter.ids), minutes=30)
    meter.history.exchanged(new_id(), at, last=TRUTH + 0.7, first=TRUTH + 0.7)
    assert meter.odds == 0


def test_a_meter_that_stands_still_tells_once() -> None:
    once = turned(Learnt(), 0.9, 0.1, 214.5)
    assert 0 < once.evenly <= EACH
    assert turned(once, 0.9, 0.1, 214.5 + 0.99 * GONE_ON * 0.1) == once
    assert turned(once, 0.9, 0.1, 214.5 + 1.01 * GONE_ON * 0.1).evenly > once.evenly
    assert turned(once, None, 0.1, 300) == once


def test_what_was_learnt_is_unlearnt_by_a_turn_of_the_dial_that_says_otherwise() -> None:
    learnt = Learnt()
    for step in range(1000):
        learnt = turned(learnt, 0.999, 1.0, step)
    assert learnt.evenly == MOST
    for step in range(1000, 1009):
        learnt = turned(learnt, 0.001, 1.0, step)
    assert learnt.evenly < -MOST / 2


def test_the_owners_word_outweighs_all_pictures_that_say_otherwise() -> None:
    learnt = Learnt(evenly=MOST)
    assert turned_by_owner(learnt, 0.001).evenly < -1
    assert turned_by_owner(learnt, 0.999).evenly == MOST
    assert turned_by_owner(learnt, None) == learnt
    assert other_meter(learnt).evenly == 0


def test_what_is_known_makes_one_reading_likelier_and_its_rival_less() -> None:
    assert likelier(Learnt(), 0.99) == likelier(Learnt(evenly=3), None) == 1
    assert likelier(Learnt(evenly=3), EVENLY) == pytest.approx(1), "it says nothing of the wheel"
    for odds, evenly in ((4.0, 0.99), (-4.0, 0.01)):
        assert likelier(Learnt(evenly=odds), evenly) > 1.5
        assert likelier(Learnt(evenly=odds), 1 - evenly) < 0.1
