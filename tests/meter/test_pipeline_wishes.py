"""What is asked of meters and said of them: questions, the owner's word, devices that read by themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from meerkat_contract.messages import MeterOrder
from meerkat_contract.meter_layout import CounterLayout, MeterLayout
from meerkat_hub.core.inputs import BusChanged
from meerkat_hub.core.meter_records import (
    Correct,
    Exchange,
    MetersAsked,
    PictureIsExample,
    ReadNow,
    RowRemoved,
    RowSaved,
    SeenArrived,
    SetLayout,
    SetSettings,
    SetValue,
    ShowMeters,
    StoredCounter,
    StoredMeters,
    TakeBack,
)
from meerkat_hub.core.meters.pictures import GRACE, MOST_QUESTIONS, PATIENCE
from meerkat_hub.core.meters.settings import MeterSettings
from meter_support.pipeline import LAYOUT, START, WATER, MeterDriver, a_picture, an_id, seen

# --- questions ------------------------------------------------------------------------------------


def test_a_question_is_answered_and_leaves_no_trace(core: MeterDriver) -> None:
    kept = a_picture(1)
    before = list(core.changes)
    assert core.ask(ReadNow(kept, MeterOrder())) is None
    (sent,) = core.jobs()
    assert sent.job.meter == MeterOrder()
    assert (sent.job.media, sent.picture) == (kept.id, kept)
    assert sent.job.job != kept.id
    proposal = seen(206.4).model_copy(update={"layout": LAYOUT})
    core.answer(proposal)
    (answer,) = core.answers()[-1:]
    assert (answer.outcome, answer.seen) == ("read", proposal)
    assert core.changes == before


def test_a_question_goes_before_the_pictures_that_wait(core: MeterDriver) -> None:
    for number in range(1, 12):
        core.picture(number)
    core.ask(ReadNow(a_picture(99), MeterOrder()))
    for _ in range(3):
        core.answer(seen(206.4))
    order = [job.picture.id for job in core.jobs()]
    assert an_id(99) in order
    assert len(order) < 8, "most of those that came before it wait on"


def test_nobody_to_ask_is_said_at_once() -> None:
    core = MeterDriver()
    answer = core.ask(ReadNow(a_picture(1), MeterOrder()))
    assert answer is not None
    assert answer.outcome == "nobody"
    assert "meerkat worker" in answer.reason


def test_a_question_that_nobody_answers_ends_in_time(core: MeterDriver) -> None:
    core.ask(ReadNow(a_picture(1), MeterOrder()))
    core.worker(online=False)
    core.turn((PATIENCE + 1) / 3600)
    assert core.answers()[-1].outcome == "late"


def test_a_question_that_one_cannot_read_is_put_to_another_whatever_failed_before(core: MeterDriver) -> None:
    core.worker("other", start=2)
    core.ask(ReadNow(a_picture(1), MeterOrder()))
    first = core.jobs()[-1].worker
    starts = {"cpu": 1, "other": 2}
    core.answer(None, state="failed", retry=True, reason="out of memory", start=starts[first])
    second = core.jobs()[-1].worker
    assert second != first
    core.answer(None, state="failed", reason="no decoder", start=starts[second])
    assert core.jobs()[-1].worker == first
    core.answer(seen(206.4), start=starts[first])
    assert core.answers()[-1].outcome == "read"


def test_questions_are_bounded(core: MeterDriver) -> None:
    core.do(BusChanged(up=False))
    for number in range(MOST_QUESTIONS + 1):
        core.ask(ReadNow(a_picture(number), MeterOrder()))
    (answer,) = [answer for answer in core.answers() if answer.outcome == "late"]
    assert "such questions wait" in answer.reason


def test_a_question_about_a_picture_that_cannot_be_read_says_why(core: MeterDriver) -> None:
    core.ask(ReadNow(a_picture(1), MeterOrder(layout=LAYOUT)))
    core.answer(None, state="failed", reason="digits[0] lies outside the picture")
    answer = core.answers()[-1]
    assert (answer.outcome, answer.reason) == ("failed", "digits[0] lies outside the picture")


# --- devices that read by themselves ----------------------------------------------------------------


def test_a_device_that_reads_by_itself_needs_no_worker_and_no_layout() -> None:
    core = MeterDriver()
    core.do(SeenArrived(an_id(9), an_id(1), *WATER, START, seen(206.4)))
    (reading,) = core.readings()
    assert (reading.id, reading.source, reading.value) == (an_id(1), "device", 206.4)
    assert core.receipts() == [(an_id(9), "stored")]


def test_what_a_device_has_read_is_not_read_again(core: MeterDriver) -> None:
    core.worker(online=False)
    picture = core.picture(1)
    core.do(SeenArrived(an_id(9), picture.id, *WATER, START, seen(206.4)))
    assert core.settled() == [(picture.id, "done")]
    core.worker(start=2)
    assert core.jobs() == []
    assert len(core.readings()) == 1


# --- the owner ------------------------------------------------------------------------------------


def test_a_correction_overturns_at_once_and_makes_an_example(core: MeterDriver) -> None:
    core.read(1, 208.4)
    answer = core.ask(Correct(an_id(1), "", 206.4))
    assert answer is not None
    assert answer.outcome == "done"
    reading = core.readings()[-1]
    assert (reading.value, reading.source, reading.revision) == (206.4, "owner", 2)
    assert PictureIsExample(an_id(1), LAYOUT) in core.changes
    taken = core.ask(TakeBack(an_id(1), ""))
    assert taken is not None
    assert core.readings()[-1].value == 208.4


def test_what_the_owner_says_is_refused_with_the_reason_where_it_cannot_be(core: MeterDriver) -> None:
    core.read(1, 206.4)
    for wish, outcome, words in (
        (Correct(an_id(77), "", 1.0), "unknown", "no reading"),
        (Correct(an_id(1), "night", 1.0), "unknown", "no counter night"),
        (SetValue("", 100_000.0, core.now.wall), "wrong", "begins again at 100000"),
        (SetValue("", 1.0, core.now.wall + timedelta(hours=1)), "wrong", "not come yet"),
        (SetSettings(MeterSettings(unit="kWh")), "wrong", "calorific_value"),
        (SetLayout(MeterLayout(digits=LAYOUT.digits, unit="bananas")), "done", ""),
    ):
        answer = core.ask(wish)
        assert answer is not None
        assert answer.outcome == outcome, wish
        assert words in answer.reason


def test_what_the_meter_shows_now_and_an_exchange_go_into_its_history(core: MeterDriver) -> None:
    core.read(1, 206.4)
    core.turn(1)
    core.ask(SetValue("", 207.0, core.now.wall))
    assert core.readings()[-1].value == 207.0
    core.turn(1)
    core.ask(Exchange("", core.now.wall, 207.5, 1.0))
    core.read(2, 1.2, hours=4)
    reading = core.readings()[-1]
    assert reading.value == 1.2
    assert reading.total == pytest.approx(207.7)
    assert reading.last_reset == START + timedelta(hours=2)
    (exchange,) = [
        row for row in core.core.meters._counters.of(*WATER, "").history.rows if row.kind == "exchange"
    ]
    core.ask(TakeBack(exchange.id, ""))
    assert RowRemoved("", exchange.id) in core.changes


def test_other_settings_judge_what_is_known_again(core: MeterDriver) -> None:
    core.read(1, 206.4)
    core.read(2, 206.5, hours=1)
    core.ask(SetSettings(MeterSettings(unit="L")))
    assert (core.readings()[-1].value, core.readings()[-1].unit) == (206_500.0, "L")


def test_a_meter_that_falls_silent_is_told(core: MeterDriver) -> None:
    core.read(1, 206.4)
    core.turn(30)
    assert "no reading for 30 h" in core.verdicts()[-1].leak


# --- restart --------------------------------------------------------------------------------------


def test_after_a_restart_it_goes_on_where_it_was(core: MeterDriver) -> None:
    core.read(1, 206.4)
    waiting = core.picture(2, hours=1)
    rows = tuple(c.row for c in core.changes if isinstance(c, RowSaved))
    stored = StoredMeters({WATER: LAYOUT}, {}, (StoredCounter(*WATER, "", rows[-1:]),), ((waiting, 2),))
    again = MeterDriver(stored=stored, epoch=2, at=7200)
    assert [reading.value for reading in again.readings()] == [206.4], "said again: the bus may have lost it"
    again.worker(start=2)
    again.answer(None, state="failed", retry=True, reason="broken", start=2)
    assert again.settled() == [(waiting.id, "failed")], "the tries before the restart count"


def test_what_waited_has_a_grace_after_a_restart() -> None:
    old = a_picture(1)
    again = MeterDriver(stored=StoredMeters({WATER: LAYOUT}, {}, (), ((old, 0),)), at=30 * 3600)
    again.turn((GRACE - 1) / 3600)
    assert again.settled() == []
    again.turn(1 / 3600)
    assert again.settled() == [(old.id, "expired")]


def test_what_waits_for_a_layout_that_is_gone_from_the_configuration_is_kept() -> None:
    old = a_picture(1)
    again = MeterDriver(stored=StoredMeters({}, {}, (), ((old, 0),)))
    assert again.settled() == [(old.id, "kept")]


def test_how_all_meters_stand(core: MeterDriver) -> None:
    core.read(1, 206.4)
    core.picture(2, hours=1)
    core.do(MetersAsked("t"))
    shown = core.effects[-1]
    assert isinstance(shown, ShowMeters)
    assert shown.readers == 1
    (view,) = shown.views
    assert (view.device, view.meter, view.layout, view.waiting) == (*WATER, LAYOUT, 1)
    (main,) = view.counters
    assert main.reading is not None
    assert (main.counter, main.reading.value) == ("", 206.4)


def test_a_layout_with_two_counters_says_of_each_that_it_was_not_read(core: MeterDriver) -> None:
    both = LAYOUT.model_copy(update={"counters": {"night": CounterLayout(digits=LAYOUT.digits)}})
    core.lay_out(both)
    core.picture(1)
    core.answer(None, state="failed", reason="a JPEG that is cut off")
    assert [v.verdict for meter in ("water", "water-night") for v in core.verdicts(meter)] == [
        "unreadable"
    ] * 2
