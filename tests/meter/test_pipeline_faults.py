"""Words that cannot be: of workers and devices of another make, and of owners in a hurry."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from meerkat_contract.messages import MeterSeen
from meerkat_contract.meter_layout import MeterLayout
from meerkat_contract.meter_messages import MOST, Candidate, CounterSeen
from meerkat_hub.core.meter_records import (
    ConfiguredMeter,
    Correct,
    RowSaved,
    SeenArrived,
    SetLayout,
    SetSettings,
    SetValue,
    StoredCounter,
    StoredMeters,
    TakeBack,
)
from meerkat_hub.core.meters.history import KEEP
from meerkat_hub.core.meters.settings import MeterSettings
from meerkat_hub.core.outputs import Announce
from meter_support.pipeline import BOTH, LAYOUT, START, WATER, MeterDriver, an_id, counter, seen

READING = "meerkat/meter/basement/water/reading"


def otherwise(**fields: object) -> MeterSeen:
    return MeterSeen(counters=(counter(206.4).model_copy(update=fields),))


def on_the_bus(core: MeterDriver) -> list[bytes]:
    return [c.payload for c in core.changes if isinstance(c, Announce) and c.topic == READING and c.retain]


# --- workers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        seen(1e9),
        MeterSeen(
            counters=(
                counter(206.4).model_copy(update={"candidates": (Candidate(value=1e9, likelihood=1),)}),
            )
        ),
        MeterSeen(counters=(counter(206.4).model_copy(update={"step": 0.001, "span": 1000.0}),)),
        MeterSeen(),
    ],
    ids=["value beyond the span", "candidate beyond the span", "another layout", "nothing said"],
)
def test_an_answer_to_something_else_is_no_reading_and_says_why(core: MeterDriver, answer: MeterSeen) -> None:
    core.picture(1)
    core.answer(answer)
    assert core.readings() == []
    (verdict,) = core.verdicts()
    assert verdict.verdict == "unreadable"
    assert verdict.reason
    assert any("worker cpu" in note for note in core.notes)
    core.read(2, 206.4, hours=1)
    assert [reading.value for reading in core.readings()] == [206.4]


def test_a_counter_that_the_layout_does_not_have_becomes_no_meter(core: MeterDriver) -> None:
    core.picture(1)
    core.answer(MeterSeen(counters=(counter(206.4), counter(3.0, name="night"), counter(9.9))))
    assert [reading.value for reading in core.readings()] == [206.4]
    assert core.verdicts("water-night") == []
    assert sum("worker cpu read" in note for note in core.notes) == 2


def test_a_worker_gives_landmarks_and_does_not_move_the_owners_boxes(core: MeterDriver) -> None:
    picture = core.picture(1)
    core.lay_out(LAYOUT.model_copy(update={"reference": picture.id}), picture)
    other = MeterLayout(digits=((0, 0, 10, 10),), width=640, height=480, landmarks=b"bGFuZA==")
    core.answer(MeterSeen(counters=(counter(206.4),), layout=other), job=core.jobs()[-1])
    kept = core.core.meters.layout(WATER)
    assert kept is not None
    assert (kept.landmarks, kept.width, kept.height) == (b"land", 640, 480)
    assert (kept.digits, kept.pointers) == (LAYOUT.digits, LAYOUT.pointers)


@pytest.mark.parametrize("wrong", [{"value": 1e308}, {"span": 1e308}, {"step": 1e-300}])
def test_numbers_that_no_meter_shows_are_refused_at_the_door(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        CounterSeen.model_validate({**counter(206.4).model_dump(), **wrong})
    with pytest.raises(ValidationError):
        Candidate(value=2.0 * MOST, likelihood=1)


# --- devices and owners ---------------------------------------------------------------------------


def test_a_device_that_names_anothers_picture_takes_no_reading_from_it(core: MeterDriver) -> None:
    picture = core.picture(1)
    core.do(SeenArrived(an_id(50), picture.id, "attic", "gas", START, seen(17.5)))
    assert core.settled() == []
    (row,) = [change for change in core.changes if isinstance(change, RowSaved)]
    assert (row.device, row.row.id) == ("attic", an_id(50))
    core.answer(seen(206.4))
    assert [reading.value for reading in core.readings()] == [206.4]


def test_a_device_that_names_an_unknown_unit_is_published_in_that(core: MeterDriver) -> None:
    answer = core.ask(SetSettings(MeterSettings(unit="L")))
    assert answer is not None
    assert answer.outcome == "done"
    strange = counter(206.4).model_copy(update={"unit": "buckets"})
    core.do(SeenArrived(an_id(1), an_id(1), *WATER, START, MeterSeen(counters=(strange,))))
    assert [(reading.value, reading.unit) for reading in core.readings()] == [(206.4, "buckets")]


def test_what_is_said_before_the_first_picture_is_in_the_layouts_unit(core: MeterDriver) -> None:
    core.ask(SetSettings(MeterSettings(unit="L")))
    answer = core.ask(SetValue("", 206.4, START))
    assert answer is not None
    assert answer.outcome == "done"
    assert [(reading.value, reading.unit) for reading in core.readings()] == [(206_400.0, "L")]


def test_the_span_holds_for_the_owner_of_a_meter_that_its_device_reads() -> None:
    core = MeterDriver()
    core.do(SeenArrived(an_id(1), an_id(1), *WATER, START, seen(206.4)))
    answer = core.ask(SetValue("", 100_000.0, START))
    assert answer is not None
    assert answer.outcome == "wrong"


def test_a_reading_that_is_taken_back_leaves_the_bus(core: MeterDriver) -> None:
    picture = core.picture(1)
    core.answer(seen(800.0))
    core.ask(Correct(picture.id, "", None))
    assert on_the_bus(core)[-1] == b""
    rows = tuple(c.row for c in core.changes if isinstance(c, RowSaved))[-1:]
    stored = StoredMeters({WATER: LAYOUT}, {}, (StoredCounter(*WATER, "", rows),))
    again = MeterDriver(stored=stored, epoch=2)
    assert on_the_bus(again) == [b""], "the hub may have ended before it was said"


def test_what_is_no_longer_in_mind_keeps_what_is_stored_of_it() -> None:
    core = MeterDriver()
    for number in range(KEEP + 250):
        at = START + timedelta(hours=number)
        core.mono = 3600.0 * number
        value = round(206.4 + number / 10, 1)
        core.do(SeenArrived(an_id(number), an_id(number), *WATER, at, seen(value)))
    core.do(SeenArrived(an_id(1), an_id(1), *WATER, START + timedelta(hours=1), seen(206.5)))
    saved = [c for c in core.changes if isinstance(c, RowSaved) and c.row.id == an_id(1)]
    assert [one.only_new for one in saved] == [False, True]
    answer = core.ask(SetValue("", 10.0, START))
    assert answer is not None
    assert answer.outcome == "unknown"
    assert core.readings()[-1].value == value


def test_two_meters_never_share_a_name_on_the_bus(core: MeterDriver) -> None:
    core.do(SeenArrived(an_id(9), an_id(9), "basement", "water-night", START, seen(17.5)))
    answer = core.ask(SetLayout(BOTH))
    assert answer is not None
    assert answer.outcome == "wrong"
    assert "water-night" in answer.reason
    assert core.core.meters.layout(WATER) == LAYOUT


def test_a_unit_in_the_configuration_that_no_longer_fits_stops_no_hub(core: MeterDriver) -> None:
    core.read(1, 206.4)
    rows = tuple(change.row for change in core.changes if isinstance(change, RowSaved))
    stored = StoredMeters({WATER: LAYOUT}, {}, (StoredCounter(*WATER, "", rows),))
    kilowatts = {WATER: ConfiguredMeter(None, MeterSettings(unit="kWh"))}
    again = MeterDriver(configured=kilowatts, stored=stored, epoch=2)
    assert [(reading.value, reading.unit) for reading in again.readings()] == [(206.4, "m³")]
    assert any("calorific_value" in note for note in again.notes)


def test_what_a_device_read_is_its_own_again_when_the_owner_takes_his_word_back(core: MeterDriver) -> None:
    core.do(SeenArrived(an_id(50), an_id(1), *WATER, START, seen(206.4)))
    core.ask(Correct(an_id(1), "", 207.4))
    core.ask(TakeBack(an_id(1), ""))
    assert [(one.value, one.source, one.revision) for one in core.readings()] == [
        (206.4, "device", 1),
        (207.4, "owner", 2),
        (206.4, "device", 3),
    ]
