"""What becomes of pictures, and of what the owner says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from meerkat_contract.ids import new_id
from meerkat_hub.core.meters.history import KEEP, SLACK, MeterHistory, UnknownReading
from meerkat_hub.core.meters.rows import PictureSeen
from meerkat_hub.core.meters.settings import MeterSettings
from meter_support.household import PER_UNIT, seen_as

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def at(hour: float) -> datetime:
    return BEGIN + timedelta(hours=hour)


def picture(hour: float, value: float, **how: object) -> PictureSeen:
    seen = seen_as([(round(value * PER_UNIT), 1.0)], **how)  # type: ignore[arg-type]
    return PictureSeen(new_id(), at(hour), seen)


def history(hours: int = 30, settings: MeterSettings | None = None) -> MeterHistory:
    """A meter at 200 m³ through which 10 L flow every hour."""
    made = MeterHistory("basement", "water", settings or MeterSettings())
    for hour in range(hours):
        made.saw(picture(hour, 200 + hour / 100))
    return made


def verdicts(made: MeterHistory, last: int) -> list[str]:
    return [row.verdict for row in made.rows[-last:]]


def test_the_first_sure_picture_is_a_reading_at_once() -> None:
    outcome = MeterHistory("basement", "water", MeterSettings()).saw(picture(0, 200.1234))
    assert outcome.reading is not None
    assert (outcome.reading.value, outcome.reading.total, outcome.reading.flow) == (200.1234, 200.1234, None)


def test_a_first_picture_that_is_not_clear_waits_for_the_next() -> None:
    made = MeterHistory("basement", "water", MeterSettings())
    assert made.saw(picture(0, 200, clear=(0.7,) * 9)).reading is None
    assert made.saw(picture(1, 200.01, clear=(0.7,) * 9)).reading is not None


def test_a_first_reading_that_was_wrong_is_overturned_by_two_good_ones() -> None:
    made = MeterHistory("basement", "water", MeterSettings())
    made.saw(picture(0, 800))
    made.saw(picture(1, 200))
    outcome = made.saw(picture(2, 200.01))
    assert verdicts(made, 3) == ["implausible", "accepted", "accepted"]
    assert [row.revision for row in outcome.changes] == [2, 2, 1]


@pytest.mark.parametrize("likelihood", [0.5, 0.6, 0.8, 0.89])
@pytest.mark.parametrize("before", [None, 567.3, 567.3289])
@pytest.mark.parametrize("clear", [0.6, 0.95])
def test_a_meter_that_stands_still_says_the_same_doubt_again_and_that_proves_nothing(
    likelihood: float, before: float | None, clear: float
) -> None:
    made = MeterHistory("basement", "water", MeterSettings())
    if before is not None:
        made.saw(picture(0, before))
    readings = [(round(567.3389 * PER_UNIT), likelihood), (round(567.3289 * PER_UNIT), 1 - likelihood)]
    for hour in range(1, 12):
        seen = seen_as(readings, clear=(clear,) * 9).model_copy(
            update={"verdict": "held", "confidence": 0.55}
        )
        outcome = made.saw(PictureSeen(new_id(), at(hour), seen))
        assert outcome.reading is None or outcome.reading.value != 567.3389


def test_a_high_misread_is_held_and_blocks_nothing() -> None:
    made = history()
    assert made.saw(picture(30, 203.3)).reading is None
    outcome = made.saw(picture(31, 200.31))
    assert outcome.reading is not None
    assert outcome.reading.value == 200.31
    assert verdicts(made, 2) == ["implausible", "accepted"]


def test_a_misread_that_was_accepted_is_overturned_by_the_second_good_picture() -> None:
    made = history()
    assert made.saw(picture(30, 200.38)).reading is not None
    assert made.saw(picture(31, 200.31)).reading is None
    outcome = made.saw(picture(32, 200.32))
    assert outcome.reading is not None
    assert (outcome.reading.value, outcome.reading.total) == (200.32, 200.32)
    assert verdicts(made, 3) == ["implausible", "accepted", "accepted"]


def test_an_unusual_flow_is_believed_when_it_goes_on() -> None:
    made = history()
    assert made.saw(picture(30, 201.3)).reading is None
    outcome = made.saw(picture(31, 202.3))
    assert outcome.reading is not None
    assert outcome.reading.value == 202.3
    assert verdicts(made, 2) == ["accepted", "accepted"]
    assert made.saw(picture(32, 203.3)).reading is not None


def test_a_trembling_needle_is_no_flow() -> None:
    made = history()
    outcome = made.saw(picture(30, 200.2897))
    assert outcome.reading is not None
    assert (outcome.reading.value, outcome.reading.flow) == (200.29, 0.0)


def test_a_late_picture_takes_its_place() -> None:
    made = history(10)
    made.saw(picture(12, 200.12))
    outcome = made.saw(picture(11, 200.11))
    assert [row.value for row in made.rows[-3:]] == [200.09, 200.11, 200.12]
    assert [row.flow for row in outcome.changes] == [pytest.approx(0.01), pytest.approx(0.01)]
    assert outcome.reading is not None
    assert outcome.reading.revision == 2, "its flow is another now"


def test_a_late_picture_may_overturn_what_stood_alone() -> None:
    made = history(10)
    made.saw(picture(13, 200.19))
    made.saw(picture(14, 200.14))
    assert verdicts(made, 2) == ["accepted", "implausible"]
    made.saw(picture(12, 200.12))
    made.saw(picture(15, 200.15))
    assert verdicts(made, 4) == ["accepted", "implausible", "accepted", "accepted"]


def test_a_rollover_goes_on_with_the_total() -> None:
    made = MeterHistory("basement", "water", MeterSettings())
    for hour, value in enumerate((99999.98, 99999.99, 0.001, 0.011)):
        outcome = made.saw(picture(hour, value))
    assert outcome.reading is not None
    assert (outcome.reading.value, outcome.reading.total) == (0.011, 100000.011)
    assert outcome.reading.last_reset is None


def test_an_exchange_that_is_told_counts_to_the_last_litre() -> None:
    made = history()
    outcome = made.exchanged(new_id(), at(29.5), last=200.295, first=0.002)
    assert outcome.reading is not None
    assert (outcome.reading.total, outcome.reading.source) == (200.295, "owner")
    outcome = made.saw(picture(30, 0.007))
    assert outcome.reading is not None
    assert (outcome.reading.value, outcome.reading.total) == (0.007, 200.3)
    assert outcome.reading.last_reset == at(29.5)


def test_a_new_meter_that_nobody_told_of_is_taken_for_one_at_its_second_picture() -> None:
    made = history()
    outcome = made.saw(picture(30, 0.004))
    assert outcome.verdict is not None
    assert outcome.verdict.verdict == "held"
    assert "exchanged" in outcome.verdict.reason
    outcome = made.saw(picture(31, 0.014))
    assert outcome.reading is not None
    assert (outcome.reading.value, outcome.reading.total) == (0.014, 200.30)
    assert outcome.reading.last_reset == at(30)
    # The owner tells of it after all: what no picture saw is added.
    outcome = made.exchanged(new_id(), at(29.7), last=200.297, first=0.001)
    assert outcome.reading is not None
    assert outcome.reading.total == 200.31


@pytest.mark.parametrize("value", [0.0, 137.5])
def test_no_other_lower_reading_is_taken_for_a_new_meter(value: float) -> None:
    made = history()
    for hour in range(30, 36):
        assert made.saw(picture(hour, value)).reading is None
    outcome = made.exchanged(new_id(), at(29.5), last=200.29, first=None)
    assert outcome.reading is not None
    assert (outcome.reading.value, outcome.reading.total) == (value, 200.29)


def test_the_owner_overturns_at_once() -> None:
    made = history()
    wrong = picture(30, 200.38)
    made.saw(wrong)
    outcome = made.corrected(wrong.id, 200.3)
    assert outcome.reading is not None
    assert (outcome.reading.id, outcome.reading.value, outcome.reading.source) == (wrong.id, 200.3, "owner")
    assert outcome.reading.revision == 2
    outcome = made.uncorrected(wrong.id)
    assert outcome.reading is not None
    assert outcome.reading.value == 200.38
    made.corrected(wrong.id, None)
    assert made.rows[-1].verdict == "unreadable"
    assert made.last is not None
    assert made.last.value == 200.29


def test_what_the_meter_shows_now_puts_the_total_right_and_asks() -> None:
    made = history()
    outcome = made.shows(new_id(), at(30), 150.5)
    assert outcome.reading is not None
    assert (outcome.reading.value, outcome.reading.total) == (150.5, 150.5)
    assert "exchanged" in outcome.notes[0]
    assert made.saw(picture(31, 150.51)).reading is not None
    said = made.rows[-2].id
    made.removed(said)
    assert made.last is not None
    assert made.last.value == 200.29


def test_who_corrects_what_is_not_there_is_told_what_to_do() -> None:
    with pytest.raises(UnknownReading, match="Say what the meter shows now"):
        history().corrected(new_id(), 3)
    made = history()
    with pytest.raises(UnknownReading, match="Correct it instead"):
        made.removed(made.rows[0].id)


def test_memory_is_bounded_and_what_is_dropped_stays_settled() -> None:
    made = history(KEEP + 2 * SLACK)
    assert len(made.rows) < KEEP + SLACK
    outcome = made.saw(picture(2, 500.0))
    assert [row.verdict for row in outcome.changes] == ["held"]
    assert outcome.reading is None
    again = MeterHistory("basement", "water", MeterSettings(), made.rows)
    assert again.loaded.changes == ()
    assert again.last == made.last
    assert again.saw(picture(KEEP + 2 * SLACK, 214.01)).reading is not None


def test_readings_are_published_in_the_unit_that_is_wanted() -> None:
    made = history(2, MeterSettings(unit="L"))
    outcome = made.saw(picture(2, 200.0201))
    assert outcome.reading is not None
    assert (outcome.reading.value, outcome.reading.unit) == (200020.1, "L")
    assert outcome.reading.flow == pytest.approx(10.1)
    assert made.last is not None
    assert made.last.value == 200.0201, "kept as the meter has it"


def test_other_settings_judge_again() -> None:
    made = history()
    made.saw(picture(30, 201.3))
    outcome = made.changed(MeterSettings(max_flow=0.5))
    assert outcome.verdict is not None
    assert outcome.verdict.verdict == "implausible"


def half_way(hour: float, litres: float, wheel: int) -> PictureSeen:
    """At 200 m³ and so many litres, with a wheel of which the picture is not sure."""
    clear = [0.98] * 9
    clear[wheel] = 0.7
    return picture(hour, 200 + litres / 1000, clear=clear)


def test_a_wheel_that_counts_more_than_can_have_flowed_need_not_be_clear() -> None:
    made = history()
    assert made.saw(half_way(30, 303, wheel=4)).reading is not None, "one step of it is a cubic metre"
    assert made.saw(half_way(31, 313, wheel=6)).reading is None, "ten litres, as flow in an hour"
    unknown = MeterHistory("basement", "water", MeterSettings())
    assert unknown.saw(half_way(0, 303, wheel=4)).reading is None, "without a history each has to be"


def test_nor_does_it_help_a_reading_that_rose_suddenly() -> None:
    made = history()
    made.saw(half_way(30, 1303, wheel=4))
    assert made.saw(half_way(31, 1313, wheel=4)).reading is None
    assert made.saw(picture(32, 200.33)).reading is not None


def test_an_unsure_picture_that_may_show_much_else_is_not_confirmed_by_the_one_before() -> None:
    made = history()
    seen = seen_as([(round(200.29 * PER_UNIT), 0.6), (round(200.31 * PER_UNIT), 0.4)], (0.5,) * 9)
    made.saw(PictureSeen(new_id(), at(30), seen.model_copy(update={"verdict": "held", "confidence": 0.3})))
    made.saw(picture(31, 200.32))
    assert verdicts(made, 2) == ["held", "accepted"]


def test_between_two_that_say_the_same_it_is() -> None:
    made = history()
    seen = seen_as([(round(200.29 * PER_UNIT), 0.6), (round(200.31 * PER_UNIT), 0.4)], (0.5,) * 9)
    made.saw(PictureSeen(new_id(), at(30), seen.model_copy(update={"verdict": "held", "confidence": 0.3})))
    assert verdicts(made, 1) == ["held"]
    made.saw(picture(31, 200.29))
    assert verdicts(made, 2) == ["accepted", "accepted"]


def rivals(hour: float, litres: float, share: float, *, verdict: str = "accepted") -> PictureSeen:
    """At 200 m³ and so many litres, or else 40 litres more, and no wheel is dim."""
    readings = [(round((200 + more / 1000) * PER_UNIT), one) for more, one in
                ((litres, share), (litres + 40, 1 - share))]  # fmt: skip
    seen = seen_as(readings).model_copy(update={"verdict": verdict})
    return PictureSeen(new_id(), at(hour), seen)


@pytest.mark.parametrize("share", [0.76, 0.79])
def test_two_pictures_of_which_the_reader_is_sure_end_every_doubt(share: float) -> None:
    made = history()
    assert made.saw(rivals(30, 303, share)).reading is None, "flow alone makes it no surer than it is"
    outcome = made.saw(rivals(31, 313, share))
    assert outcome.reading is not None
    assert outcome.reading.value == 200.313
    assert verdicts(made, 2) == ["accepted", "accepted"]


@pytest.mark.parametrize(("share", "verdict"), [(0.74, "accepted"), (0.79, "held")])
def test_of_which_it_is_not_they_do_not(share: float, verdict: str) -> None:
    made = history()
    made.saw(rivals(30, 303, share, verdict=verdict))
    assert made.saw(rivals(31, 313, share, verdict=verdict)).reading is None


def test_and_so_a_history_begins() -> None:
    made = MeterHistory("basement", "water", MeterSettings())
    assert made.saw(rivals(0, 303, 0.8)).reading is None
    assert made.saw(rivals(1, 303, 0.8)).reading is not None
    for hour in range(2, 12):
        outcome = made.saw(rivals(hour, 303 + hour, 0.8))
        assert outcome.reading is not None, "and goes on"


def test_a_wheel_between_two_digits_may_be_dimmer_than_one_on_a_digit() -> None:
    for position, believed in ((4.5, True), (4.0, False)):
        made = history()
        dim = half_way(30, 303, wheel=6)
        assert dim.seen.wheels[6].factor == 0.01
        wheels = list(dim.seen.wheels)
        wheels[6] = wheels[6].model_copy(update={"position": position, "confidence": 0.84})
        outcome = made.saw(PictureSeen(dim.id, dim.at, dim.seen.model_copy(update={"wheels": tuple(wheels)})))
        assert (outcome.reading is not None) == believed


def test_a_dial_whose_whole_turn_counts_a_litre_need_not_be_clear() -> None:
    made = history()
    assert made.saw(half_way(30, 303, wheel=8)).reading is not None
    assert made.saw(half_way(31, 313, wheel=7)).reading is None
