"""The basement's meter: it only counts up, its wheels show the reading, and it is dark without its lamp."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from meerkat_contract.errors import MediaError
from meerkat_devices.scenes.meter import BasementMeter, needle_positions, wheel_positions

MORNING = datetime(2026, 11, 20, 6, 50, tzinfo=UTC)
METER = BasementMeter(width=640, height=360)

times = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(times, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_reading_never_falls(at: datetime, later: timedelta) -> None:
    assert METER.reading(at + later) >= METER.reading(at)


@given(times, st.timedeltas(timedelta(seconds=1), timedelta(hours=1)))
def test_flow_is_a_household_s(at: datetime, span: timedelta) -> None:
    litres = 1000 * (METER.reading(at + span) - METER.reading(at))
    assert litres <= 150 * max(1.0, span.total_seconds() / 3600)


def test_day_has_its_litres_wherever_midnight_is() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for day in range(5):
        begin = start + timedelta(days=day)
        used = 1000 * (METER.reading(begin + timedelta(days=1)) - METER.reading(begin))
        assert used == pytest.approx(264.0)


def test_nothing_jumps_at_midnight() -> None:
    midnight = datetime(2026, 11, 20, tzinfo=UTC)
    before = METER.reading(midnight - timedelta(microseconds=1))
    assert METER.reading(midnight) == pytest.approx(before, abs=1e-6)


def test_zone_of_the_clock_does_not_matter() -> None:
    assert METER.reading(MORNING) == METER.reading(MORNING.astimezone(timezone(timedelta(hours=5))))


def test_time_without_zone_is_refused() -> None:
    with pytest.raises(MediaError, match="names no time zone"):
        METER.reading(MORNING.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("reading", "positions"),
    [
        (0.0, [0, 0, 0, 0, 0, 0, 0]),
        (567.63, [0, 0, 5, 6, 7, 6, 3]),
        (12345.678, [1, 2, 3, 4, 5, 6, 7.8]),
        (9.995, [0, 0, 0, 0.5, 9.5, 9.5, 9.5]),  # The nines and their left neighbour turn together.
        (99999.995, [9.5] * 7),
        (19.89, [0, 0, 0, 1, 9, 8, 9]),  # The last wheel stands at 9: nothing turns yet.
    ],
)
def test_wheels_show_the_reading(reading: float, positions: list[float]) -> None:
    assert wheel_positions(reading) == pytest.approx(positions, abs=1e-6)


def test_same_time_gives_the_same_picture() -> None:
    other = BasementMeter(width=640, height=360)
    assert np.array_equal(METER.render(MORNING), other.render(MORNING))


def test_consumption_turns_the_wheels() -> None:
    early, late = METER.render(MORNING), METER.render(MORNING + timedelta(days=1))
    changed = np.abs(early.astype(np.int16) - late.astype(np.int16))[..., 0] > 60
    assert 50 < changed.sum() < 6000
    rows, columns = np.nonzero(changed)
    assert rows.min() > 100
    assert columns.min() > 180
    assert columns.max() < 460


@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (800, 600)])
def test_layout_hits_what_turns(size: tuple[int, int]) -> None:
    """Over months nothing changes but what the boxes hold, and the star wheel between the dials."""
    meter = BasementMeter(width=size[0], height=size[1])
    layout = meter.layout()
    assert (layout.width, layout.height) == size
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), -layout.rotation_deg, 1.0)

    def seen(at: datetime) -> NDArray[np.int16]:
        calm = cv2.GaussianBlur(meter.render(at), (0, 0), size[0] / 640)
        return cv2.warpAffine(calm, turn, size).astype(np.int16)[..., 0]

    early, late = seen(MORNING), seen(MORNING + timedelta(days=163.3))
    changed = np.abs(early - late) > 40
    unboxed = changed.copy()
    for x, y, width, height in (*layout.digits, *layout.pointers):
        rows, columns = slice(round(y), round(y + height)), slice(round(x), round(x + width))
        unboxed[rows, columns] = False
    moved = layout.digits[3:], layout.pointers
    for x, y, width, height in (box for boxes in moved for box in boxes):
        assert changed[round(y) : round(y + height), round(x) : round(x + width)].any()
    assert unboxed.sum() < 0.1 * changed.sum()


def test_layout_counts_what_the_wheels_show() -> None:
    layout = METER.layout()
    reading = 567.6298
    wheels = wheel_positions(reading)
    assert len(wheels) == len(layout.digits) == 7
    assert wheels[-1] == pytest.approx(reading / layout.wheel_factors[-1] % 10)
    assert needle_positions(reading) == pytest.approx([9.8, 8.0], abs=1e-6)
    assert layout.step == 0.0001
    assert layout.span == 100_000
    assert max(box[1] + box[3] for box in layout.pointers) < 360


def test_lamp_makes_the_picture() -> None:
    lit, dark = METER.render(MORNING), METER.render(MORNING, light=False)
    assert lit.shape == dark.shape == (360, 640, 3)
    assert lit.dtype == dark.dtype == np.uint8
    assert np.ptp(lit, axis=2).max() == 0
    assert lit.std() > 35
    assert dark.mean() < 6
    assert dark.max() < 40


def test_corners_are_darker_than_the_hot_spot() -> None:
    lit = METER.render(MORNING).astype(float)
    assert lit[:40, :40].mean() < 0.35 * lit[140:220, 300:380].mean()
