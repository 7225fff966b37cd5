"""What goes wrong around pins, and must not go further: a watchdog that fails, a door that stands open."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from meerkat_contract.errors import DeviceError, MeerkatError
from meerkat_contract.message import read
from meerkat_contract.messages import LightState
from meerkat_devices.pins import wiring
from meerkat_devices.pins.wiring import STUCK_SECONDS, Pins
from meerkat_devices.settings.device import DeviceSettings
from support.pins import WIRED, Bench, Board, HandClock, Session, Station


def turned(bench: Bench, *, until: float) -> threading.Event:
    """Each wait passes at once, and its time with it; stopped after `until` seconds."""
    stop = threading.Event()

    def wait(event: threading.Event, seconds: float) -> bool:
        if event is not stop and event.is_set():
            return True
        bench.clock.seconds += max(seconds, 0.001)
        if bench.clock.seconds >= until:
            stop.set()
        return event is stop and stop.is_set()

    bench.clock.wait = wait  # type: ignore[method-assign]
    return stop


def test_each_lamp_has_a_watchdog_of_its_own(tmp_path: Path) -> None:
    """One that fails at its lamp, and is started again later and later, keeps no other from its work."""
    lights = {"first": {"gpio": 18, "longest": 10}, "second": {"gpio": 23, "longest": 10}}
    bench = Bench(tmp_path, lights=lights)
    bench.pins.lamp("first").set(1.0)
    bench.pins.lamp("second").set(1.0)

    def fails(about: MeerkatError) -> None:
        raise RuntimeError("what nobody thought of")

    bench.pins.lamps["first"]._report = fails
    until = bench.clock.seconds + 20
    runs = bench.pins.threads
    with pytest.raises(RuntimeError):
        runs["light first"](turned(bench, until=until))
    bench.clock.seconds = until - 20
    runs["light second"](turned(bench, until=until))
    assert (bench.board.pins[18].level, bench.board.pins[23].level) == (0, 0)


def test_a_lamp_that_cannot_be_told_of_stays_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is lit, and then the word of it fails: who asked knows nothing of a lamp that he should hold."""
    bench = Bench(tmp_path, **WIRED)

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("what nobody thought of")

    with monkeypatch.context() as patch:
        patch.setattr(bench.station, "keep", fails)
        with pytest.raises(RuntimeError):
            bench.pins.lamp("ir").set(1.0)
        assert bench.board.pins[18].level == 0
    bench.pins.lamp("ir").set(1.0)
    bench.pins.lamp("lamp").set(1.0)
    with monkeypatch.context() as patch:
        patch.setattr(bench.station, "keep", fails)
        with pytest.raises(RuntimeError):
            bench.pins.close()
    assert (bench.board.pins[18].level, bench.board.pins[23].level) == (0, 0)
    assert bench.board.closed


def test_a_door_counts_as_it_opens_and_shuts_and_not_while_it_stands_open(tmp_path: Path) -> None:
    """In summer it stands open all afternoon, and a camera that records all that time fills the disk."""
    board = Board()
    board.pins[27].levels = [1.0]
    bench = Bench(tmp_path, board=board, **WIRED)
    bench.settle()
    assert not bench.moves("back"), "it was open before"
    board.pins[27].drive(False)
    bench.settle()
    assert bench.moves("back", at=1.0)
    assert not bench.moves("back", at=1.1)
    board.pins[27].drive(True)
    bench.settle()
    assert bench.moves("back", at=2.0)
    assert not bench.moves("back", at=2.1)


def test_a_motion_sensor_that_never_falls_is_told(tmp_path: Path) -> None:
    """Its camera records without end, and somebody should know why."""
    bench = Bench(tmp_path, **WIRED)
    bench.settle()
    bench.board.pins[17].drive(True)
    on_since = bench.clock.seconds
    bench.pins.watch_sensors(turned(bench, until=on_since + STUCK_SECONDS - 60))
    assert not bench.station.errors
    bench.pins.watch_sensors(turned(bench, until=on_since + STUCK_SECONDS + 120))
    (error,) = {str(error): error for error in bench.station.errors}.values()
    assert error.what == "has been ON for an hour"
    assert error.where == "sensor pir"
    assert bench.station.standing == {"sensor pir, stuck"}
    bench.board.pins[17].drive(False)
    bench.pins.watch_sensors(turned(bench, until=bench.clock.seconds + 120))
    assert not bench.station.standing


def test_a_door_that_stands_open_is_no_trouble(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    bench.board.pins[27].drive(True)
    bench.pins.watch_sensors(turned(bench, until=bench.clock.seconds + 3 * STUCK_SECONDS))
    assert not bench.station.errors


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_without_pins_nothing_that_an_earlier_run_said_is_left(
    choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ON for ever, or a lamp that reads OFF, would be a word about pins that nobody looks at."""

    def no_board() -> Board:
        raise DeviceError("this machine has no pins", where="pins", remedy="Try --pins mock")

    monkeypatch.setattr(wiring, "open_board", no_board)
    station = Station()
    own = DeviceSettings.model_validate({**WIRED, "pins": choice})
    pins = Pins(own, tmp_path, station=station, clock=HandClock())
    pins.open()
    pins.start(Session())
    for thing in ("pir/state", "door/state", "ir/light/state", "lamp/light/state"):
        assert station.said(thing) == [b""]
    pins.close()


def test_a_lamp_says_nothing_until_its_pin_is_there(tmp_path: Path) -> None:
    board = Board()
    board.taken = {18}
    bench = Bench(tmp_path, board=board, **WIRED)
    assert bench.station.said("ir/light/state") == [b""]
    board.taken.clear()
    bench.pins.fetch(threading.Event())
    assert read(LightState, bench.station.said("ir/light/state")[-1]) == LightState(state="OFF", brightness=0)


@pytest.mark.parametrize("thing", ["pir", "bell"])
def test_a_sensor_is_not_played_after_the_end(thing: str, tmp_path: Path) -> None:
    """A key or a message that comes as the device ends."""
    bench = Bench(tmp_path, **{**WIRED, "pins": "mock"})
    bench.settle()
    bench.pins.close()
    with pytest.raises(MeerkatError):
        bench.pins.play(thing, on=True)


def test_motion_as_the_device_ends_is_no_trouble_with_its_lamp(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    bench.pins.close()
    bench.senses["front"].shine(True, lambda: 0.0)
    assert not bench.station.errors
    assert not bench.station.standing


def test_the_faintest_light_that_can_be_asked_for_is_still_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    bench.session.hand("ir/light/set", b'{"state": "ON", "brightness": 0.01}')
    assert bench.board.pins[18].level > 0
    state = read(LightState, bench.station.said("ir/light/state")[-1])
    assert state.state == "ON"
    assert state.brightness
    bench.session.hand("ir/light/set", b'{"state": "ON", "brightness": 33.3}')
    assert read(LightState, bench.station.said("ir/light/state")[-1]).brightness == 33.3


@pytest.mark.parametrize(
    "payload",
    [
        b'{"state": "ON", "brightness": NaN}',
        b'{"state": "ON", "brightness": 1e999}',
        b'{"state": "ON", "brightness": "; rm -rf /"}',
        b'{"state": ["ON"]}',
        b"[" * 100_000,
        b'"ON"',
        b"\xff\xfe",
        b"ON\x00",
        b"null",
    ],
)
def test_a_hostile_command_is_told_and_lights_nothing(payload: bytes, tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    bench.session.hand("ir/light/set", payload)
    bench.session.hand("pir/state/set", payload)
    assert bench.board.pins[18].level == 0
    assert len(bench.station.errors) == 2
    assert all(len(str(error)) < 500 for error in bench.station.errors)


def test_a_camera_whose_light_took_too_long_gets_it_with_the_next_recording(tmp_path: Path) -> None:
    """A sensor that never falls must not keep a lamp lit; who comes tomorrow has light again."""
    bench = Bench(tmp_path, **WIRED)
    front, lamp, pin = bench.senses["front"], bench.pins.lamps["ir"], bench.board.pins[18]
    front.shine(True, lambda: 0.0)
    bench.clock.seconds += lamp.settings.longest
    lamp.watch()
    assert pin.level == 0
    front.shine(True, lambda: 0.0)
    assert pin.level == 0
    front.shine(False, lambda: 0.0)
    front.shine(True, lambda: 0.0)
    assert pin.level == 0.8


@pytest.mark.parametrize(
    ("combine", "asks", "moves"),
    [("any", True, True), ("all", True, False), ("wake", True, False), ("sensors", False, True)],
)
def test_a_motion_sensor_that_is_high_at_the_start_counts_by_every_rule(
    combine: str, asks: bool, moves: bool, tmp_path: Path
) -> None:
    """`moves`: though vision sees nothing. What it does see is motion by all rules that ask it."""
    cameras = {"front": {"source": "0", "motion": {"sensors": ["pir"], "combine": combine}}}
    board = Board()
    board.pins[17].levels = [1.0]
    bench = Bench(tmp_path, board=board, **{**WIRED, "cameras": cameras})
    bench.settle()
    asked: list[bool] = []

    def sees(forget: bool) -> bool:
        asked.append(forget)
        return len(asked) > 1

    assert bench.senses["front"].look(0.0, sees).moving == moves
    assert bool(asked) == asks
    assert bench.senses["front"].look(0.1, sees).moving
