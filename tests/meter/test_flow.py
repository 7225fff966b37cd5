"""Leaks, nights and silence: said when the pictures can show it, and only then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from meerkat_contract.ids import new_id
from meerkat_hub.core.meters.flow import _last_night
from meerkat_hub.core.meters.history import MeterHistory
from meerkat_hub.core.meters.rows import PictureSeen
from meerkat_hub.core.meters.settings import MeterSettings, convert
from meter_support.household import seen_as

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)


def leak(steps: list[int], settings: MeterSettings, *, every: float = 1.0) -> str:
    """What is said after readings that rise by so many tenths of a litre each."""
    made, value, said = MeterHistory("basement", "water", settings), 2_000_000, ""
    for count, rise in enumerate([0, *steps]):
        value += rise
        seen = PictureSeen(new_id(), MIDNIGHT + timedelta(hours=count * every), seen_as([(value, 1.0)]))
        outcome = made.saw(seen)
        assert outcome.verdict is not None
        said = outcome.verdict.leak
    return said


DRY = MeterSettings(night_flow=0)


def test_a_day_without_a_pause_is_a_leak_and_an_hour_less_is_none() -> None:
    assert leak([10] * 23, DRY) == ""
    assert "24 h, never less than 0.001 m³/h" in leak([10] * 24, DRY)
    assert "shorter than 1 h would not be seen" in leak([10] * 24, DRY)
    assert leak([10] * 12 + [0] + [10] * 23, DRY) == ""


def test_a_trembling_needle_is_no_leak() -> None:
    assert leak([3, 0, 2, 1] * 8, DRY) == ""


def test_two_pictures_a_day_cannot_tell_a_leak() -> None:
    assert leak([500] * 8, DRY, every=12) == ""


def test_minutes_are_seen_by_pictures_that_come_every_few() -> None:
    settings = MeterSettings(leak_hours=0.5, night_flow=0)
    assert leak([20] * 9, settings, every=1 / 20) == ""
    assert "30 min" in leak([20] * 10, settings, every=1 / 20)


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hub's own zone is another."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_the_night_is_the_hubs_own_unless_another_is_named() -> None:
    afternoon = datetime(2026, 11, 20, 7, tzinfo=UTC)
    night = datetime(2026, 11, 19, 17, tzinfo=UTC), datetime(2026, 11, 19, 20, tzinfo=UTC)
    assert _last_night(afternoon, MeterSettings()) == night
    assert _last_night(afternoon, MeterSettings(zone="Asia/Tokyo")) == night
    assert _last_night(afternoon, MeterSettings(zone="UTC"))[0] == datetime(2026, 11, 20, 2, tzinfo=UTC)


def test_flow_all_night_is_told_at_its_end() -> None:
    settings = MeterSettings(leak_hours=0, night_flow=0.02, zone="UTC")
    assert leak([0, 0, 300, 300, 300, 0], settings).startswith(
        "all night, from 2 to 5 o'clock, at least 0.03"
    )
    assert leak([0, 0, 300, 300], settings) == "", "the night is not over"
    assert leak([0, 0, 300, 10, 300, 0], settings) == "", "there was a pause"
    elsewhere = MeterSettings(leak_hours=0, night_flow=0.02, zone="America/New_York")
    assert leak([0, 0, 300, 300, 300, 0], elsewhere) == ""


def test_a_meter_that_stands_still_for_days_is_told() -> None:
    settings = MeterSettings(no_flow_days=2)
    assert leak([100] + [0] * 47, settings) == ""
    assert "nothing has flowed for 2 days" in leak([100] + [0] * 48, settings)


def test_silence_is_told_when_its_time_is_reached() -> None:
    made = MeterHistory("basement", "water", MeterSettings(silent_hours=26))
    made.saw(PictureSeen(new_id(), MIDNIGHT, seen_as([(2_000_000, 1.0)])))
    assert made.reached(MIDNIGHT + timedelta(hours=25.9)).verdict is None
    outcome = made.reached(MIDNIGHT + timedelta(hours=26))
    assert outcome.verdict is not None
    assert "no reading for 26 h" in outcome.verdict.leak
    assert made.reached(MIDNIGHT + timedelta(hours=26)).verdict is None, "once"


def test_units_are_converted_and_what_cannot_be_is_said() -> None:
    assert convert("m³", "L") == 1000
    assert float(convert("m³", "kWh", 10.3)) == pytest.approx(10.3)
    assert float(convert("ft³", "gal")) == pytest.approx(7.480519, rel=1e-6)
    assert float(convert("kWh", "MJ")) == pytest.approx(3.6)
    with pytest.raises(ValueError, match="calorific_value"):
        convert("m³", "kWh")
    with pytest.raises(ValueError, match="no way from"):
        convert("kWh", "L")


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValidationError, match="Europe/Berlin"):
        MeterSettings(zone="Basement")
    with pytest.raises(ValidationError, match="two different hours"):
        MeterSettings(night=(3, 3))


def test_limits_are_in_the_meters_unit() -> None:
    assert MeterSettings().limits("L").max_flow == pytest.approx(5000)
    assert MeterSettings().limits("kWh").max_flow == 25
    assert MeterSettings(kind="gas").limits("m³").max_flow == 6
    assert MeterSettings(max_flow=1.5).limits("L").max_flow == 1.5
