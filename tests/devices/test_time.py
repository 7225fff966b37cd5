"""Media time, the time of day, and the schedule of a meter."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from meerkat_contract.device_messages import PictureCondition
from meerkat_contract.messages import MeterInfo
from meerkat_devices.backoff import Backoff
from meerkat_devices.clock import clock_state, local_zone
from meerkat_devices.meter import CAPTURE, RETRIES, Meter, next_time
from meerkat_devices.outbox.outbox import Outbox
from meerkat_devices.photo.taking import Photo
from meerkat_devices.recording.recorder import TICKS
from meerkat_devices.settings.device import MeterSettings
from meerkat_devices.sources.source import Pacer, SourceError
from meerkat_devices.sources.timeline import LiveTime, Timeline
from photo_support import MeterStation

BERLIN = ZoneInfo("Europe/Berlin")


class TurnedClock:
    """Waiting turns it; it sets `stop` at `until`."""

    def __init__(self, start: datetime, until: datetime) -> None:
        self.stop = threading.Event()
        self.time = start
        self.until = until
        self.seconds = 0.0
        self.jumps: dict[int, timedelta] = {}
        self.waits = 0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits += 1
        self.seconds += seconds
        self.time += timedelta(seconds=seconds) + self.jumps.get(self.waits, timedelta())
        if self.time >= self.until:
            self.stop.set()
        return event.is_set() or self.stop.is_set()


CONDITION = PictureCondition(
    verdict="good", brightness=0.4, dark=0.1, burnt_out=0.01, glare=0.01, sharpness=0.6
)


def run_meter(
    tmp_path: Path,
    clock: TurnedClock,
    schedule: str = "0 * * * *",
    failures: int = 0,
    *,
    jumps: Sequence[timedelta] = (),
) -> tuple[list[tuple[str, datetime]], MeterStation]:
    """What pictures a meter takes until the clock's end: trigger and time.

    `jumps`: by which the clock is set while each of the first pictures is being taken.
    """
    outbox = Outbox(tmp_path / "outbox", max_bytes=10_000_000, refused_bytes=0)
    station = MeterStation()
    left = [failures]
    to_come = list(jumps)

    def take(stop: threading.Event) -> Photo | None:
        assert stop is clock.stop
        if to_come:
            clock.time += to_come.pop(0)
        if left[0]:
            left[0] -= 1
            raise SourceError("no answer", where="rtsp://cellar")
        return None if stop.is_set() else Photo(b"\xff\xd8", clock.now(), CONDITION)

    meter = Meter(
        "water",
        MeterSettings(source="scene:meter", schedule=schedule, label="Water"),
        station=station,
        outbox=outbox,
        clock=clock,
        zone=BERLIN,
        data=tmp_path,
        take=take,
    )
    wanted = MeterInfo(name="water", label="Water", kind="water", schedule=schedule, settings=(CAPTURE,))
    assert meter.info == wanted
    meter.run(clock.stop)
    assert meter.started.is_set()
    taken = [(entry.metadata.trigger, entry.metadata.captured_at) for entry in outbox.waiting()]
    assert all(entry.retain for entry in outbox.waiting())
    assert {entry.topic for entry in outbox.waiting()} <= {"meerkat/device/pi/water/picture"}
    outbox.close()
    return taken, station


def test_a_meter_is_pictured_at_the_start_and_every_hour(tmp_path: Path) -> None:
    start = datetime(2026, 11, 20, 8, 20, tzinfo=UTC)
    taken, _ = run_meter(tmp_path, TurnedClock(start, start + timedelta(hours=3)))
    assert taken == [("start", start)] + [
        ("schedule", datetime(2026, 11, 20, hour, tzinfo=UTC)) for hour in (9, 10, 11)
    ]


def test_no_hour_is_taken_twice_or_left_out_when_summer_time_ends(tmp_path: Path) -> None:
    start = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)  # 01:30 in Berlin; at 03:00 it is 02:00 again
    taken, _ = run_meter(tmp_path, TurnedClock(start, start + timedelta(hours=4)), "30 2 * * *")
    assert [trigger for trigger, _ in taken] == ["start", "schedule"]


def test_a_skipped_hour_comes_right_after_when_summer_time_begins(tmp_path: Path) -> None:
    start = datetime(2026, 3, 29, 0, 10, tzinfo=UTC)  # 01:10 in Berlin; after 02:00 comes 03:00
    taken, _ = run_meter(tmp_path, TurnedClock(start, start + timedelta(hours=3)), "30 2 * * *")
    assert taken[1:] == [("schedule", datetime(2026, 3, 29, 1, 0, tzinfo=UTC))]


def test_a_machine_that_slept_takes_one_picture_at_once(tmp_path: Path) -> None:
    start = datetime(2026, 11, 20, 8, 59, tzinfo=UTC)
    clock = TurnedClock(start, start + timedelta(hours=6))
    clock.jumps[1] = timedelta(hours=3, minutes=5)
    taken, _ = run_meter(tmp_path, clock)
    woken = datetime(2026, 11, 20, 12, 5, tzinfo=UTC)
    assert taken[:3] == [
        ("start", start),
        ("schedule", woken),
        ("schedule", woken.replace(hour=13, minute=0)),
    ]


def test_a_clock_that_is_set_back_does_not_stop_the_schedule(tmp_path: Path) -> None:
    start = datetime(2026, 11, 20, 20, 30, tzinfo=UTC)
    clock = TurnedClock(start, start + timedelta(hours=1))
    clock.jumps[1] = timedelta(hours=-10)
    taken, _ = run_meter(tmp_path, clock)
    assert taken[1] == ("schedule", datetime(2026, 11, 20, 11, 0, tzinfo=UTC))


@pytest.mark.parametrize(("hours", "then"), [(3, 13), (-3, 7), (-48, 10)])
def test_a_clock_that_is_set_while_a_picture_is_taken(tmp_path: Path, hours: int, then: int) -> None:
    """The network's time comes with the first picture: no hour that never was is made up for."""
    start = datetime(2026, 11, 20, 9, 20, tzinfo=UTC)
    jump = timedelta(hours=hours)
    clock = TurnedClock(start, until=start + jump + timedelta(hours=3))
    taken, _ = run_meter(tmp_path, clock, jumps=[jump])
    assert [trigger for trigger, _ in taken] == ["start"] + ["schedule"] * 3
    hours_after = [(at.hour, at.minute) for _, at in taken[1:]]
    assert hours_after == [(then, 0), (then + 1, 0), (then + 2, 0)]


def test_a_clock_that_is_set_between_two_tries(tmp_path: Path) -> None:
    start = datetime(2026, 11, 20, 9, 20, tzinfo=UTC)
    clock = TurnedClock(start, start + timedelta(hours=7))
    clock.jumps[1] = timedelta(hours=5)
    taken, _ = run_meter(tmp_path, clock, failures=2)
    assert taken[0][0] == "start"
    assert taken[1] == ("schedule", datetime(2026, 11, 20, 15, 0, tzinfo=UTC))


def test_a_failed_picture_is_tried_again_and_then_left_to_the_schedule(tmp_path: Path) -> None:
    start = datetime(2026, 11, 20, 8, 20, tzinfo=UTC)
    end = start + timedelta(hours=1)
    taken, station = run_meter(tmp_path / "a", TurnedClock(start, end), failures=2)
    assert taken[0] == ("start", start + timedelta(seconds=sum(RETRIES[:2])))
    assert [error.where for error in station.errors] == ["meter water, rtsp://cellar"] * 2
    assert station.standing == {}
    taken, station = run_meter(tmp_path / "b", TurnedClock(start, end), failures=4)
    assert [trigger for trigger, _ in taken] == ["schedule"]


def test_the_schedule_is_in_local_time() -> None:
    after = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert next_time("0 18 * * *", after, BERLIN) == datetime(2026, 7, 1, 16, tzinfo=UTC)


def test_the_local_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    july = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert july.astimezone(local_zone()).hour == 14
    monkeypatch.setenv("TZ", "Nowhere/At-All")
    assert local_zone() is UTC


def test_an_unset_clock_is_said(tmp_path: Path) -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    assert clock_state(now, timesync=tmp_path / "no timesyncd") == "synced"
    assert clock_state(now.replace(year=1970), timesync=tmp_path / "no timesyncd") == "unsynced"
    assert clock_state(now, timesync=tmp_path) == "unsynced"
    (tmp_path / "synchronized").touch()
    assert clock_state(now, timesync=tmp_path) == "synced"


def test_media_time_goes_on_over_loops_and_jumps() -> None:
    timeline = Timeline(Fraction(1, 1000), 6000)
    assert timeline.place(500, 500, 100) == (0, 0, 9000)
    assert timeline.place(600, 600, 100) == (9000, 9000, 9000)
    assert timeline.shown_at(600) == 9000
    timeline.restart()
    assert timeline.place(500, 400, 100) == (18000, 9000, 9000)
    assert timeline.place(3_600_000, 3_600_000, None) == (27000, 27000, 6000), "the camera's clock was set"
    assert timeline.place(10, 10, None) == (33000, 33000, 6000), "and back again"
    assert timeline.place(None, None, None) == (39000, 39000, 6000)
    assert timeline.end == 45000


def test_ticks_are_rounded_to_the_nearest() -> None:
    timeline = Timeline(Fraction(1001, 30_000), 3003)
    assert timeline.ticks(1) == 3003
    assert Timeline(Fraction(1, 12_800), 1).ticks(512) == 3600
    assert Timeline(Fraction(1, 180_001), 1).ticks(-1) == 0


@pytest.mark.parametrize("dts", [0, 7_000])
def test_pictures_that_are_all_dated_alike_follow_one_another(dts: int) -> None:
    timeline = Timeline(Fraction(1, TICKS), 6000)
    placed = [timeline.place(dts, dts, None) for _ in range(4)]
    assert placed == [(6000 * n, 6000 * n, 6000) for n in range(4)]
    assert timeline.shown_at(dts) == 18_000


def test_a_step_back_goes_on_and_a_stumble_stays() -> None:
    timeline = Timeline(Fraction(1, TICKS), 6000)
    for n in range(3):
        timeline.place(6000 * n, 6000 * n, None)
    assert timeline.place(12_000 - 8_999, 12_000 - 8_999, None)[0] == 3_001, "less than a tenth of a second"
    timeline.place(18_000, 18_000, None)
    assert timeline.place(9_000, 9_000, None)[0] == 24_000, "a tenth: its clock was set"
    assert timeline.place(15_000, 15_000, None)[0] == 30_000


def test_without_times_of_decoding_pictures_may_come_in_another_order() -> None:
    timeline = Timeline(Fraction(1, TICKS), 6000)
    shown = [0, 36_000, 12_000, 6_000, 24_000]
    assert [timeline.place(pts, None, None)[0] for pts in shown] == shown


def test_live_frames_are_dated_by_the_least_delayed_one() -> None:
    live = LiveTime()
    assert live.captured(0, 1000.4, 50.4) == 1000.4
    assert live.captured(1, 1001.1, 51.1) == pytest.approx(1001.1), "this one came with less delay"
    assert live.captured(2, 1002.5, 52.5) == pytest.approx(1002.101), "a late one is not believed"
    assert live.time_of(2) == pytest.approx(1002.101)
    assert live.captured(3, 5003.1, 4053.1) == 5003.1, "its clock was set"


@pytest.mark.parametrize("step", [-3600.0, -2.0, 2.0, 4.9, 50 * 365 * 86_400.0])
def test_a_clock_of_ours_that_is_set_counts_at_once(step: float) -> None:
    live = LiveTime()
    for n in range(10):
        live.captured(n, 1000.1 + n, 50.1 + n)
    assert live.captured(10, 1010.3 + step, 60.3) == pytest.approx(1010.101 + step)
    assert live.time_of(10) == pytest.approx(1010.101 + step)


def test_a_replay_follows_a_clock_that_is_set() -> None:
    start = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    clock = TurnedClock(start, start.replace(year=2030))
    pacer = Pacer(clock, "own")
    assert pacer.wait(2 * TICKS, threading.Event())
    assert pacer.captured(2 * TICKS) == 62
    clock.time = datetime(2026, 11, 20, tzinfo=UTC)
    assert pacer.wait(3 * TICKS, threading.Event())
    assert pacer.captured(3 * TICKS) == datetime(2026, 11, 20, 0, 0, 1, tzinfo=UTC).timestamp()


def test_back_off_grows_and_is_bounded() -> None:
    backoff = Backoff(first=1, longest=60)
    waits = [backoff.next() for _ in range(12)]
    assert all(0.75 * 2**n <= wait <= 2**n for n, wait in enumerate(waits[:6]))
    assert 45 <= max(waits) <= 60
    backoff.reset()
    assert backoff.next() <= 1
    assert TICKS == 90_000
