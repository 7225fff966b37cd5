"""A meter's picture on its way through the hub's core: kept, read by somebody, believed, announced."""

from __future__ import annotations

from meerkat_contract.messages import MeterOrder, MeterSeen
from meerkat_hub.core.inputs import BusChanged, MediaLost
from meerkat_hub.core.meter_records import (
    ConfiguredMeter,
    LayoutSaved,
    PictureTried,
    PictureWaits,
    RowSaved,
    SetLayout,
    SetSettings,
)
from meerkat_hub.core.meters.pictures import MAX_TRIES
from meerkat_hub.core.meters.settings import MeterSettings
from meerkat_hub.core.outputs import PictureStored
from meter_support.pipeline import (
    BOTH,
    LAYOUT,
    START,
    WATER,
    MeterDriver,
    a_picture,
    an_id,
    counter,
    seen,
)

DAY = 24.0


# --- pictures -------------------------------------------------------------------------------------


def test_a_picture_becomes_a_reading_and_a_verdict(core: MeterDriver) -> None:
    picture = core.picture(1)
    (sent,) = core.jobs()
    assert (sent.worker, sent.picture, sent.job.task, sent.job.media) == (
        "cpu",
        picture,
        "read_meter",
        picture.id,
    )
    assert sent.job.meter == MeterOrder(layout=LAYOUT)
    core.answer(seen(206.4))
    (reading,) = core.readings()
    assert (reading.id, reading.value, reading.at, reading.unit, reading.source) == (
        picture.id, 206.4, START, "m³", "picture",
    )  # fmt: skip
    (verdict,) = core.verdicts()
    assert (verdict.id, verdict.verdict) == (picture.id, "accepted")
    assert core.settled() == [(picture.id, "done")]
    assert core.receipts() == [(picture.id, "stored")]
    assert any(isinstance(change, RowSaved) for change in core.changes)


def test_only_what_is_believed_reaches_the_reading(core: MeterDriver) -> None:
    core.read(1, 206.4)
    core.read(2, 96000.0, hours=1)
    core.read(3, None, hours=2)
    assert [reading.value for reading in core.readings()] == [206.4]
    assert [verdict.verdict for verdict in core.verdicts()] == ["accepted", "implausible", "unreadable"]
    core.read(4, 206.5, hours=3)
    assert core.readings()[-1].value == 206.5


def test_without_a_layout_pictures_are_kept_and_the_latest_is_read_when_there_is_one() -> None:
    core = MeterDriver()
    core.worker()
    core.picture(1)
    latest = core.picture(2, hours=1)
    assert core.jobs() == []
    assert [c.state for c in core.changes if isinstance(c, PictureStored)] == ["kept", "kept"]
    core.lay_out(latest=latest)
    assert [job.picture for job in core.jobs()] == [latest]
    assert PictureWaits(latest.id) in core.changes
    core.answer(seen(206.4))
    new = core.picture(3, hours=2)
    assert core.jobs()[-1].picture == new


def test_what_waits_is_read_when_a_worker_comes() -> None:
    core = MeterDriver()
    core.lay_out()
    pictures = [core.picture(number, hours=number) for number in (1, 2, 3)]
    assert core.jobs() == []
    core.worker()
    while len(core.settled()) < 3:
        core.answer(seen(206.4 + 0.1 * len(core.settled())))
    assert [job.picture for job in core.jobs()] == pictures
    assert [reading.id for reading in core.readings()] == [picture.id for picture in pictures]


def test_who_serves_another_task_reads_meters_beside_it() -> None:
    core = MeterDriver()
    core.lay_out()
    core.worker(serving="detect_faces")
    core.picture(1)
    assert len(core.jobs()) == 1


def test_three_tries_and_then_it_has_failed_with_the_reason(core: MeterDriver) -> None:
    picture = core.picture(1)
    for attempt in range(1, MAX_TRIES + 1):
        core.answer(None, state="failed", retry=True, reason="the stick was pulled out")
        if attempt < MAX_TRIES:
            assert PictureTried(picture.id, attempt, "the stick was pulled out") in core.changes
    assert core.settled() == [(picture.id, "failed")]
    (verdict,) = core.verdicts()
    assert verdict.verdict == "unreadable"
    assert "the stick was pulled out" in verdict.reason
    assert core.readings() == []


def test_what_nobody_can_read_fails_at_once(core: MeterDriver) -> None:
    picture = core.picture(1)
    core.answer(None, state="failed", reason="a JPEG that is cut off")
    assert core.settled() == [(picture.id, "failed")]
    assert "cut off" in core.verdicts()[0].reason


def test_what_one_worker_cannot_read_another_may(core: MeterDriver) -> None:
    picture = core.picture(1)
    core.worker("other", start=2)
    core.answer(None, state="failed", reason="no decoder")
    assert core.settled() == []
    assert core.jobs()[-1].worker == "other"
    core.answer(seen(206.4), start=2)
    assert core.settled() == [(picture.id, "done")]


def test_that_nobody_can_read_it_two_workers_have_to_say_whatever_failed_before(core: MeterDriver) -> None:
    picture = core.picture(1)
    core.worker("other", start=2)
    core.answer(None, state="failed", retry=True, reason="out of memory")
    core.answer(None, state="failed", reason="no decoder", start=2)
    assert core.settled() == []
    assert core.jobs()[-1].worker == "cpu"
    core.answer(None, state="failed", reason="a JPEG that is cut off")
    assert core.settled() == [(picture.id, "failed")]
    assert "cut off" in core.verdicts()[0].reason


def test_an_answer_without_a_reading_is_no_reading(core: MeterDriver) -> None:
    core.picture(1)
    core.answer(None)
    assert core.settled() == []
    assert any("without a reading" in note for note in core.notes)


def test_after_a_day_without_a_worker_it_expires_at_the_very_instant() -> None:
    core = MeterDriver()
    core.lay_out()
    picture = core.picture(1)
    core.turn(DAY - 0.001)
    assert core.settled() == []
    core.turn(0.001)
    assert core.settled() == [(picture.id, "expired")]
    assert "meerkat worker" in core.verdicts()[0].reason


def test_a_picture_whose_file_is_gone_has_failed(core: MeterDriver) -> None:
    picture = core.picture(1)
    core.do(MediaLost(picture.id, "the file cannot be read"))
    assert core.settled() == [(picture.id, "failed")]
    core.answer(seen(206.4))
    assert core.readings() == [], "its answer comes too late"


def test_two_workers_never_double_a_reading(core: MeterDriver) -> None:
    core.worker("other", start=2)
    core.picture(1)
    (first,) = core.jobs()
    core.do(BusChanged(up=False))  # what was under way may be lost
    core.do(BusChanged(up=True))
    second = core.jobs()[-1]
    assert second.job.token > first.job.token
    start = {"cpu": 1, "other": 2}
    core.answer(seen(206.4), job=first, start=start[first.worker])
    core.answer(seen(206.4), job=second, start=start[second.worker])
    core.answer(seen(206.4), job=second, start=start[second.worker])
    assert len(core.readings()) == 1
    assert core.settled() == [(an_id(1), "done")]


def test_a_late_picture_takes_its_place_in_time(core: MeterDriver) -> None:
    core.read(1, 206.4)
    core.read(2, 206.8, hours=4)
    core.read(3, 206.6, hours=2, late=3)
    rows = core.core.meters._counters.of(*WATER, "").history.rows
    assert [(row.id, row.value, row.verdict) for row in rows] == [
        (an_id(1), 206.4, "accepted"),
        (an_id(3), 206.6, "accepted"),
        (an_id(2), 206.8, "accepted"),
    ]
    assert core.readings()[-1].id == an_id(2), "the latest stays the latest"


def test_a_camera_whose_clock_is_ahead_does_not_block_the_meter(core: MeterDriver) -> None:
    early = a_picture(1, hours=48, late=-48)
    core.picture(1, hours=48, late=-48)
    core.answer(seen(206.4))
    assert core.readings()[0].at == early.received_at
    core.read(2, 206.5, hours=1)
    assert core.readings()[-1].value == 206.5


def test_a_named_counter_is_a_meter_of_its_own(core: MeterDriver) -> None:
    core.lay_out(BOTH)
    core.picture(1)
    core.answer(MeterSeen(counters=(counter(206.4), counter(17.5, name="night"))))
    assert [reading.value for reading in core.readings("water")] == [206.4]
    (night,) = core.readings("water-night")
    assert (night.meter, night.value) == ("water-night", 17.5)


# --- layouts --------------------------------------------------------------------------------------


def test_a_new_layout_counts_for_what_is_being_read(core: MeterDriver) -> None:
    picture = core.picture(1)
    assert len(core.jobs()) == 1
    turned = LAYOUT.model_copy(update={"rotation_deg": 3.0})
    core.lay_out(turned)
    core.answer(seen(1.0))
    assert core.settled() == []
    assert core.jobs()[-1].job.meter == MeterOrder(layout=turned)
    core.answer(seen(206.4))
    assert [reading.value for reading in core.readings()] == [206.4]
    assert core.settled() == [(picture.id, "done")]


def test_without_a_layout_again_what_waits_is_only_kept(core: MeterDriver) -> None:
    picture = core.picture(1)
    core.lay_out(None)
    assert core.settled() == [(picture.id, "kept")]
    assert LayoutSaved(*WATER, None) in core.changes
    core.picture(2, hours=1)
    assert len(core.jobs()) == 1


def test_the_picture_that_a_layout_was_drawn_on_gives_its_landmarks(core: MeterDriver) -> None:
    picture = core.picture(1)
    core.answer(seen(206.4))
    drawn = LAYOUT.model_copy(update={"reference": picture.id})
    core.lay_out(drawn, latest=picture)
    assert core.jobs()[-1].job.meter == MeterOrder(layout=drawn, landmarks=True)
    made = drawn.model_copy(update={"landmarks": b"landmarks", "width": 640, "height": 480})
    core.answer(seen(206.4).model_copy(update={"layout": made}))
    assert core.changes[-1] == LayoutSaved(*WATER, made) or LayoutSaved(*WATER, made) in core.changes
    core.picture(2, hours=1)
    assert core.jobs()[-1].job.meter == MeterOrder(layout=made)


def test_a_picture_without_anything_to_recognise_is_asked_for_landmarks_once(core: MeterDriver) -> None:
    picture = core.picture(1)
    core.answer(seen(206.4))
    core.lay_out(LAYOUT.model_copy(update={"reference": picture.id}), latest=picture)
    made = LAYOUT.model_copy(update={"reference": picture.id, "width": 640, "height": 480})
    core.answer(seen(206.4).model_copy(update={"layout": made, "doubts": ("nothing to align with",)}))
    assert any("nothing to align with" in note for note in core.notes)
    core.picture(2, hours=1)
    order = core.jobs()[-1].job.meter
    assert order is not None
    assert not order.landmarks


def test_what_the_configuration_says_is_fixed() -> None:
    limits = MeterSettings(max_flow=1.0)
    core = MeterDriver(configured={WATER: ConfiguredMeter(LAYOUT, limits)})
    core.worker()
    core.picture(1)
    assert len(core.jobs()) == 1
    for wish in (SetLayout(None), SetSettings(None)):
        answer = core.ask(wish)
        assert answer is not None
        assert answer.outcome == "configured"
    core.answer(seen(206.4))
    core.read(2, 208.0, hours=1)
    assert core.verdicts()[-1].verdict == "implausible", "more than the flow that the file allows"
