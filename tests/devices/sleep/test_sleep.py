"""When a sleepy device sleeps and wakes, and what it reads off its battery."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from meerkat_contract.errors import DeviceError, UsageError
from meerkat_contract.messages import Battery
from meerkat_devices.clock import SystemClock
from meerkat_devices.settings.sleep import BatterySettings, SleepSettings
from meerkat_devices.sleep.battery import BatteryWatch, CommandGauge, Max17048, SystemGauge, open_gauge
from meerkat_devices.sleep.schedule import SETTLE, may_sleep, next_wake
from meerkat_devices.sleep.sleeper import Night, Wakefulness, run_command, sleep, told_wake
from support.frames import Station

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- settings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h", 3600), ("30m", 1800), ("90 s", 90), ("1.5h", 5400), ("1d", 86_400), (600, 600)],
)
def test_durations_are_written_as_people_write_them(text: Any, seconds: float) -> None:
    assert SleepSettings(wake_every=text, awake_seconds=5, watch_seconds=0).wake_every == seconds


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"wake_every": "hourly"}, "no duration"),
        ({"wake_every": "90s"}, "no sleep"),
        ({"wake_every": "1h", "watch_seconds": 90}, "watch_seconds"),
        ({"wake_every": "1h", "command": "rtcwake -s {minutes}"}, "only {seconds} and {wake}"),
        ({"wake_every": "1h", "command": "'"}, "closing quotation"),
        ({"wake_every": "1h", "command": " "}, "empty command"),
    ],
)
def test_what_cannot_be_is_told(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        SleepSettings.model_validate(settings)


# --- when --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "every", "expected"),
    [
        ("2026-11-20 12:07", 3600, "2026-11-20 13:00"),
        ("2026-11-20 13:00", 3600, "2026-11-20 14:00"),
        ("2026-11-20 12:58:59", 3600, "2026-11-20 13:00"),
        ("2026-11-20 12:59:00", 3600, "2026-11-20 13:00"),
        ("2026-11-20 12:59:01", 3600, "2026-11-20 14:00"),
        ("2026-11-20 12:00", 86_400, "2026-11-20 23:00"),  # midnight in Berlin
        ("2026-10-25 00:30", 3600, "2026-10-25 01:00"),  # the repeated hour
        ("2026-11-20 12:00:50", 60, "2026-11-20 12:02:00"),
    ],
)
def test_it_wakes_at_round_times(now: str, every: float, expected: str) -> None:
    assert next_wake(at(now), every, BERLIN) == at(expected)


def test_a_wake_is_always_ahead_and_never_far() -> None:
    now = at("2026-03-28 00:00")
    for minute in range(0, 3 * 1440, 7):
        moment = now + timedelta(minutes=minute)
        wake = next_wake(moment, 5400, BERLIN)
        assert timedelta(0) < wake - moment <= timedelta(seconds=5400 + 60)


SLEEPY = SleepSettings(wake_every=3600, awake_seconds=60, watch_seconds=10)
DONE: dict[str, Any] = {"connected": SETTLE, "watches": False, "pictured": True, "handed_over": True}


def test_it_sleeps_once_all_is_done() -> None:
    assert may_sleep(SLEEPY, awake=3, **DONE)
    assert not may_sleep(SLEEPY, awake=3, **{**DONE, "pictured": False})
    assert not may_sleep(SLEEPY, awake=3, **{**DONE, "handed_over": False})
    assert not may_sleep(SLEEPY, awake=3, **{**DONE, "connected": None})
    assert not may_sleep(SLEEPY, awake=3, **{**DONE, "connected": SETTLE - 0.001})


def test_cameras_look_around_for_a_while() -> None:
    assert not may_sleep(SLEEPY, awake=9.999, **{**DONE, "watches": True})
    assert may_sleep(SLEEPY, awake=10, **{**DONE, "watches": True})


def test_without_a_network_it_does_not_stay_awake_for_ever() -> None:
    nothing: dict[str, Any] = {"connected": None, "watches": True, "pictured": False, "handed_over": False}
    assert not may_sleep(SLEEPY, awake=59.999, **nothing)
    assert may_sleep(SLEEPY, awake=60, **nothing)


class Turned(SystemClock):
    """Each wait passes at once."""

    def __init__(self, now: str = "2026-11-20 12:07") -> None:
        self.time = at(now)
        self.seconds = 0.0
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.turn(seconds)
        return event.is_set()

    def turn(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.seconds += seconds


class Life:
    def __init__(self) -> None:
        self.connected = self.watches = False
        self.pictured = self.handed_over = True


def test_a_connection_that_breaks_begins_anew() -> None:
    clock, life = Turned(), Life()
    awake = Wakefulness(SLEEPY, clock)
    life.connected = True
    assert not awake.over(life)
    clock.turn(1.5)
    life.connected = False
    assert not awake.over(life)
    clock.turn(1)
    life.connected = True
    assert not awake.over(life)
    clock.turn(SETTLE)
    assert awake.over(life)


def test_it_sleeps_until_the_wake_in_steps() -> None:
    clock = Turned()
    wake = told_wake(SLEEPY, clock, BERLIN)
    assert wake == at("2026-11-20 13:00")
    assert sleep(SLEEPY, wake, clock=clock, stop=threading.Event()) is None
    assert clock.time == wake
    assert max(clock.waits) == 60


def test_a_clock_that_is_not_set_tells_no_time_and_sleeps_the_whole_of_it() -> None:
    clock = Turned("1970-01-01 00:10")
    assert told_wake(SLEEPY, clock, BERLIN) is None
    assert sleep(SLEEPY, None, clock=clock, stop=threading.Event()) is None
    assert clock.seconds == 3600


def test_the_command_is_told_the_time() -> None:
    clock, told = Turned(), list[list[str]]()
    settings = SLEEPY.model_copy(update={"command": "sudo rtcwake -m off -s {seconds} '{wake}'"})

    def suspend(words: list[str], _: Night) -> None:
        told.append(words)
        clock.turn(3180)  # it comes back at the wake

    assert sleep(settings, at("2026-11-20 13:00"), clock=clock, stop=threading.Event(), run=suspend) is None
    assert told == [["sudo", "rtcwake", "-m", "off", "-s", "3180", "2026-11-20T13:00:00+00:00"]]
    assert not clock.waits


def test_a_command_that_fails_is_told_and_the_wake_comes_all_the_same() -> None:
    clock = Turned()
    settings = SLEEPY.model_copy(update={"command": "false"})
    failed = sleep(settings, at("2026-11-20 13:00"), clock=clock, stop=threading.Event())
    assert "false ended with 1" in str(failed)
    assert clock.time == at("2026-11-20 13:00")
    with pytest.raises(DeviceError, match="cannot be run"):
        run_command(["/no/such/program"], Night(clock, threading.Event(), None, 10))


@pytest.mark.parametrize("command", ["sleep 600", "sh -c 'sleep 600 & wait'"])
def test_a_command_that_hangs_does_not_keep_the_device_from_waking(command: str) -> None:
    class Passing(Turned):
        """Five minutes pass with every look."""

        def now(self) -> datetime:
            self.turn(300)
            return self.time

    clock = Passing()
    settings = SLEEPY.model_copy(update={"command": command})
    failed = sleep(settings, at("2026-11-20 13:00"), clock=clock, stop=threading.Event())
    assert "had not ended when it was time to wake" in str(failed)


def test_a_machine_that_comes_back_long_after_its_wake_does_not_hang(
    tmp_path: Path,
) -> None:
    class Suspended(Turned):
        """By the second look hours have passed, by the time of day alone."""

        def now(self) -> datetime:
            before, self.time = self.time, at("2026-11-20 18:00")
            return before

    clock = Suspended()
    settings = SLEEPY.model_copy(update={"command": f"sh -c 'sleep 1; touch {tmp_path}/over'"})
    assert sleep(settings, at("2026-11-20 13:00"), clock=clock, stop=threading.Event()) is None
    assert (tmp_path / "over").exists()


def test_a_child_that_a_command_leaves_behind_is_not_waited_for(tmp_path: Path) -> None:
    clock, child = Turned(), f"(sleep 5; touch {tmp_path}/over) &"
    settings = SLEEPY.model_copy(update={"command": f"sh -c '{child}'"})
    assert sleep(settings, at("2026-11-20 13:00"), clock=clock, stop=threading.Event()) is None
    assert CommandGauge(f"sh -c '{child} echo 50'").read() == Battery(level=50)
    assert not (tmp_path / "over").exists()


def test_a_device_that_is_told_to_end_does_not_wait_for_the_command(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    settings = SLEEPY.model_copy(update={"command": f"sh -c 'sleep 5; touch {tmp_path}/over'"})
    sleep(settings, at("2026-11-20 13:00"), clock=Turned(), stop=stop)
    assert not (tmp_path / "over").exists()


def test_a_clock_that_is_set_back_does_not_make_the_night_longer() -> None:
    class SetBack(Turned):
        def wait(self, event: threading.Event, seconds: float) -> bool:
            if not self.waits:
                self.time -= timedelta(days=300)
            return super().wait(event, seconds)

    clock = SetBack()
    sleep(SLEEPY, at("2026-11-20 13:00"), clock=clock, stop=threading.Event())
    assert clock.seconds == (53 + 1) * 60


def test_a_machine_that_was_suspended_wakes_by_the_time_of_day() -> None:
    class Suspended(Turned):
        def wait(self, event: threading.Event, seconds: float) -> bool:
            self.time += timedelta(minutes=20)  # while the other clock stood
            return super().wait(event, seconds)

    clock = Suspended()
    sleep(SLEEPY, at("2026-11-20 13:00"), clock=clock, stop=threading.Event())
    assert len(clock.waits) == 3


def test_a_signal_ends_the_sleep() -> None:
    clock, stop = Turned(), threading.Event()
    stop.set()
    sleep(SLEEPY, at("2026-11-20 13:00"), clock=clock, stop=stop)
    assert clock.seconds <= 60


# --- battery -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("87", Battery(level=87)),
        ("87.5 %\n", Battery(level=87.5)),
        ('{"level": 12, "voltage": 3.6, "charging": true}', Battery(level=12, voltage=3.6, charging=True)),
    ],
)
def test_a_command_tells_the_level(tmp_path: Path, printed: str, expected: Battery) -> None:
    (tmp_path / "said").write_text(printed)
    assert CommandGauge(f"cat {tmp_path}/said").read() == expected


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("echo much", "printed 'much'"),
        ("echo 300", "printed '300'"),
        ("echo NaN", "printed 'NaN'"),
        (r"printf '\377\0'", "printed"),
        ("head -c 300000 /dev/zero", "printed"),
        ("false", "ended with 1"),
        ("/no/it", "cannot be run"),
    ],
)
def test_a_command_that_tells_nothing_is_told(command: str, complaint: str) -> None:
    with pytest.raises(DeviceError, match=complaint):
        CommandGauge(command).read()


def test_a_battery_command_that_hangs_is_ended_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meerkat_devices.sleep.battery.COMMAND_SECONDS", 0.1)
    with pytest.raises(DeviceError, match="took longer"):
        CommandGauge("sh -c 'sleep 600; true'").read()


def test_a_mouse_is_no_battery_of_the_machine(tmp_path: Path) -> None:
    for name, scope, level in (("hidpp_battery_0", "Device", 5), ("ups", "System", 70)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scope").write_text(scope + "\n")
        (tmp_path / name / "capacity").write_text(f"{level}\n")
    assert SystemGauge(tmp_path).read() == Battery(level=70)


def test_the_kernels_battery_is_read(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="knows of no battery"):
        SystemGauge(tmp_path).read()
    (tmp_path / "AC").mkdir()
    supply = tmp_path / "BAT0"
    supply.mkdir()
    (supply / "capacity").write_text("64\n")
    assert SystemGauge(tmp_path).read() == Battery(level=64)
    (supply / "voltage_now").write_text("3912000\n")
    (supply / "status").write_text("Discharging\n")
    assert SystemGauge(tmp_path).read() == Battery(level=64, voltage=3.912, charging=False)


class FakeBus:
    """SMBus reads words with the low byte first; the gauge's registers have the high byte first."""

    def __init__(self, **registers: int) -> None:
        self.registers = {int(name[1:], 16): value for name, value in registers.items()}
        self.fails = False

    def read_word_data(self, i2c_addr: int, register: int) -> int:
        if self.fails:
            raise OSError(121, "Remote I/O error")
        assert i2c_addr == 0x36
        value = self.registers[register]
        return (value & 0xFF) << 8 | value >> 8


def test_a_max17048_is_read() -> None:
    bus = FakeBus(x02=0xC350, x04=0x5780, x16=0xFFF0)
    gauge = Max17048(BatterySettings(gauge="max17048"), bus=bus)
    assert gauge.read() == Battery(level=87.5, voltage=3.906, charging=False)
    bus.registers[0x16] = 0x0010
    assert gauge.read().charging is True
    bus.registers |= {0x04: 0x6600, 0x16: 0}
    assert gauge.read() == Battery(level=100, voltage=3.906, charging=None)
    bus.fails = True
    with pytest.raises(DeviceError, match="does not answer"):
        gauge.read()


def test_without_smbus2_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smbus2", None)
    with pytest.raises(DeviceError, match="pip install smbus2"):
        open_gauge(BatterySettings(gauge="max17048")).read()


def test_a_gauge_of_ones_own_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "pijuice"

        def load(self) -> Any:
            return lambda settings: CommandGauge("echo 50")

    monkeypatch.setattr("meerkat_devices.sleep.battery.entry_points", lambda group: [Point()])
    assert open_gauge(BatterySettings(gauge="pijuice")).read() == Battery(level=50)
    with pytest.raises(UsageError, match="system, command, max17048, pijuice"):
        open_gauge(BatterySettings(gauge="potato"))


def test_a_command_without_its_gauge_is_enough_and_the_other_way_is_not() -> None:
    assert BatterySettings.model_validate({"command": "cat level"}).gauge == "command"
    with pytest.raises(ValidationError, match="goes with command"):
        BatterySettings(gauge="command")


class Told(Station):
    def __init__(self) -> None:
        super().__init__()
        self.changes = 0

    def changed(self) -> None:
        self.changes += 1


class Readings:
    def __init__(self, *readings: Battery | DeviceError) -> None:
        self.readings = list(readings)

    def read(self) -> Battery:
        found = self.readings.pop(0)
        if isinstance(found, DeviceError):
            raise found
        return found


def test_the_level_is_told_when_it_differs_by_a_percent_and_reported_when_low() -> None:
    levels = [50, 49.5, 49.0, 9.9, 10, 14.9, 15.0]
    station = Told()
    gauge = Readings(
        *(Battery(level=level) for level in levels), DeviceError("gone"), Battery(level=9, charging=True)
    )
    watch = BatteryWatch(BatterySettings(low=10), station=station, clock=Turned(), gauge=gauge)
    changes, standing = [], []
    for _ in range(9):
        watch.look()
        changes.append(station.changes)
        standing.append("battery" in station.standing)
    assert changes == [1, 1, 2, 3, 3, 4, 4, 4, 5]
    assert standing == [False, False, False, True, True, True, False, True, False]
    assert [error.what for error in station.errors] == ["the battery is below 10 %", "gone"]
