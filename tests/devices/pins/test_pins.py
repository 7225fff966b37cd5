"""All that is wired to a device, without a broker: what is there at first, what fails, what comes later."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meerkat_contract.connection import Connection
from meerkat_contract.errors import DeviceError, StorageError, UsageError
from meerkat_contract.message import read
from meerkat_contract.messages import ButtonPress, LightInfo, LightState, SensorInfo
from meerkat_devices import service
from meerkat_devices.pins import wiring
from meerkat_devices.pins.mock import FILE
from meerkat_devices.pins.wiring import LONGEST_WAIT, Pins
from meerkat_devices.settings.device import DeviceSettings
from support.pins import ROOT, WIRED, Bench, Board, HandClock, Session, Station
from support.wait import wait_for


def test_lights_are_dark_before_anything_else(tmp_path: Path) -> None:
    board = Board()
    board.pins[18].levels = [1.0]
    bench = Bench(tmp_path, board=board, **WIRED)
    assert board.opened[:2] == [18, 23], "the lights come first"
    assert board.pins[18].level == 0
    (state,) = bench.station.said("ir/light/state")
    assert read(LightState, state) == LightState(state="OFF", brightness=0)


def test_a_sensor_that_is_high_at_the_start_counts(tmp_path: Path) -> None:
    board = Board()
    board.pins[17].levels = [1.0]
    bench = Bench(tmp_path, board=board, **WIRED)
    bench.settle(0)
    assert bench.station.said("pir/state") == [b"ON"]
    assert bench.station.sent == [], "nobody came just now"
    assert bench.moves("front")
    assert not bench.moves("back")


def test_motion_is_told_as_it_begins_beside_the_state_that_stays(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    bench.settle()
    for high in (True, False, True):
        bench.board.pins[17].drive(high)
        bench.settle()
    assert bench.station.said("pir/state") == [b"OFF", b"ON", b"OFF", b"ON"]
    assert bench.station.sent == [(f"{ROOT}/pir/triggered", b"ON")] * 2
    bench.board.pins[27].drive(True)
    bench.settle()
    assert len(bench.station.sent) == 2, "a door says it by its state alone"


def test_sensors_are_told_to_the_bus_and_to_their_cameras(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    bench.settle()
    assert bench.station.said("door/state") == [b"OFF"]
    bench.board.pins[27].drive(True)
    bench.settle()
    assert bench.station.said("door/state") == [b"OFF", b"ON"]
    assert bench.moves("back")
    assert not bench.moves("front")


def test_a_pulse_between_two_pictures_counts_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    bench.settle()
    bench.board.pins[17].drive(True)
    bench.settle()
    bench.board.pins[17].drive(False)
    bench.settle()
    assert bench.moves(at=1.0)
    assert not bench.moves(at=1.1)


def test_a_press_is_told_and_rings(tmp_path: Path) -> None:
    board = Board()
    board.pins[22].levels = [1.0]
    bench = Bench(tmp_path, board=board, **WIRED)
    bench.settle()
    board.pins[22].drive(False)
    bench.settle()
    ((topic, payload),) = bench.station.sent
    assert topic == f"{ROOT}/bell/press"
    press = read(ButtonPress, payload)
    assert abs((press.at - datetime.now(UTC)).total_seconds()) < 60
    verdict = bench.senses["front"].look(1.0, lambda forget: False)
    assert (verdict.moving, verdict.record, verdict.trigger) == (False, True, "doorbell")
    assert not bench.senses["front"].look(1.1, lambda forget: False).record
    assert not bench.senses["back"].look(1.1, lambda forget: False).record


def test_a_press_while_the_camera_is_not_there_rings_nothing_later(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    bench.senses["front"].ring()
    bench.clock.seconds += 5.1
    assert not bench.senses["front"].look(1.0, lambda forget: False).record


def test_lights_obey_the_bus(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    pin = bench.board.pins[18]
    for payload, level in (
        (b'{"state": "ON"}', 0.8),
        (b'{"state": "ON", "brightness": 25}', 0.25),
        (b'{"state": "ON", "brightness": 0}', 0),
        (b"ON", 0.8),
        (b'{"state": "OFF"}', 0),
        (b'{"schema": 1, "state": "ON", "brightness": 100, "transition": 2}', 1.0),
        (b"OFF", 0),
    ):
        bench.session.hand("ir/light/set", payload)
        assert pin.level == level, payload
        state = read(LightState, bench.station.said("ir/light/state")[-1])
        assert state == LightState(state="ON" if level else "OFF", brightness=level * 100)
    assert not bench.station.errors


@pytest.mark.parametrize("payload", [b"on", b'{"state": "ON", "brightness": 101}', b'{"brightness": 5}'])
def test_what_is_no_command(tmp_path: Path, payload: bytes) -> None:
    bench = Bench(tmp_path, **WIRED)
    bench.session.hand("ir/light/set", payload)
    assert bench.board.pins[18].level == 0
    (error,) = bench.station.errors
    assert error.where == f"{ROOT}/ir/light/set"


def test_a_retained_command_switches_nothing_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    bench.session.hand("ir/light/set", b'{"state": "ON"}', retain=True)
    assert bench.board.pins[18].level == 0
    (error,) = bench.station.errors
    assert "a retained command is ignored" in error.what
    assert "without the retain flag" in error.remedy
    assert "an empty retained message clears" in error.remedy
    bench.session.hand("ir/light/set", b"")
    assert len(bench.station.errors) == 1, "who is there as it is cleared hears an empty message"


def test_only_a_mock_can_be_played(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    bench.session.hand("pir/state/set", b"ON")
    (error,) = bench.station.errors
    assert "--pins mock" in error.remedy


def test_a_lamp_that_is_switched_is_told_to_its_camera(tmp_path: Path) -> None:
    """Also when a hand does it: the camera must not take it for motion."""
    bench = Bench(tmp_path, **WIRED)
    forgot: list[bool] = []

    def see(forget: bool) -> bool:
        forgot.append(forget)
        return False

    front = bench.senses["front"]
    front.look(0.0, see)
    bench.pins.lamp("ir").set(1.0)
    for at in (0.1, 0.5, 1.2):
        front.look(at, see)
    assert forgot == [False, True], "blind for a second, then anew"
    bench.pins.lamp("lamp").set(1.0)
    front.look(1.3, see)
    assert forgot == [False, True, False], "the other lamp is none of its business"


def test_a_camera_holds_its_lamp_in_the_dark(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    front, pin = bench.senses["front"], bench.board.pins[18]
    front.shine(True, lambda: 0.17)
    assert pin.level == 0.8
    front.shine(True, lambda: 0.9)
    assert pin.level == 0.8, "its own light makes it no day"
    front.shine(False, lambda: 0.9)
    assert pin.level == 0
    front.shine(True, lambda: 0.18)
    assert pin.level == 0, "bright enough, at the limit"
    front.shine(False, lambda: 0.1)
    front.shine(True, lambda: 0.1)
    front.rest()
    assert pin.level == 0, "the source has ended"


def test_a_lamp_that_fails_is_told_and_the_camera_goes_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    bench.board.pins[18].broken = DeviceError("no current", where="GPIO 18")
    bench.senses["front"].shine(True, lambda: 0.0)
    (error,) = bench.station.errors
    assert "light ir, GPIO 18: does not go on: no current" in str(error)


def test_a_pin_that_is_taken_comes_later(tmp_path: Path) -> None:
    board = Board()
    board.taken = {17, 18}
    bench = Bench(tmp_path, board=board, **WIRED)
    with pytest.raises(DeviceError, match="light ir, GPIO 18: the pin is used by another program"):
        bench.pins.lamp("ir").set(1.0)
    assert set(bench.pins.threads) == {"light ir", "light lamp", "sensors", "pins"}
    waits: list[float] = []

    def wait(event: threading.Event, seconds: float) -> bool:
        waits.append(seconds)
        assert bench.station.standing == {"light ir", "sensor pir"}
        board.taken.clear()
        return False

    bench.clock.wait = wait  # type: ignore[method-assign]
    bench.pins.fetch(threading.Event())
    assert waits == [LONGEST_WAIT]
    assert not bench.station.standing
    bench.pins.lamp("ir").set(1.0)
    assert board.pins[18].level == 1.0
    assert bench.pins.sensors["pir"].attached


def test_a_sensor_that_is_not_there_does_not_leave_an_old_word_behind(tmp_path: Path) -> None:
    board = Board()
    board.taken = {17}
    bench = Bench(tmp_path, board=board, **WIRED)
    assert bench.station.said("pir/state") == [b""]
    assert bench.station.said("door/state") == []


def test_no_pins_at_all_is_told_once_and_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_board() -> Board:
        raise DeviceError("this machine has no pins", where="pins", remedy="Try --pins mock")

    monkeypatch.setattr(wiring, "open_board", no_board)
    station, session = Station(), Session()
    own = DeviceSettings.model_validate(WIRED)
    pins = Pins(own, tmp_path, station=station, clock=HandClock())
    pins.open()
    pins.start(session)
    assert station.standing == {"pins"}
    assert pins.threads == {}
    session.hand("ir/light/set", b"ON")
    assert "this machine has no pins" in str(station.errors[-1])
    pins.close()


def test_pins_that_are_left_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **{**WIRED, "pins": "none"})
    assert bench.pins.threads == {}
    assert bench.pins.sensor_infos == ()
    assert bench.pins.light_infos == ()
    with pytest.raises(DeviceError, match="left alone"), bench.pins.lamp("ir").lit():
        pass
    assert not bench.station.errors


def test_what_is_there_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    assert bench.pins.sensor_infos[0] == SensorInfo(name="pir", label="Hall", kind="motion")
    assert {one.name: one.rings for one in bench.pins.sensor_infos}["bell"] == "front"
    assert bench.pins.light_infos == (
        LightInfo(name="ir", kind="infrared", dimmable=True),
        LightInfo(name="lamp", kind="white", dimmable=False),
    )
    with pytest.raises(UsageError, match="There is ir, lamp"):
        bench.pins.lamp("flood")


def test_what_is_no_light_and_no_sensor_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **{**WIRED, "pins": "mock"})
    bench.session.hand("flood/light/set", b"ON")
    bench.session.hand("ir/state/set", b"ON")
    assert [error.what for error in bench.station.errors] == [
        "there is no light 'flood'",
        "ir is no sensor that can be played",
    ]


def test_a_lost_edge_is_found_and_a_pin_that_goes_wrong_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    pir = bench.board.pins[17]
    bench.settle()
    pir.levels.append(1.0)  # and nobody is told
    stop = threading.Event()
    waits: list[float] = []

    def wait(event: threading.Event, seconds: float) -> bool:
        waits.append(seconds)
        bench.clock.seconds += seconds
        match len(waits):
            case 3:
                assert bench.station.said("pir/state")[-1] == b"ON"
                pir.broken = DeviceError("gone", where="GPIO 17")
            case 4:
                assert bench.station.standing == {"sensor pir, pin"}
                pir.broken = None
            case 5:
                assert not bench.station.standing
                stop.set()
        return False

    bench.clock.wait = wait  # type: ignore[method-assign]
    bench.pins.watch_sensors(stop)
    assert waits[0] == LONGEST_WAIT


def test_the_end_is_dark(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    with bench.pins.lamp("ir").lit():
        bench.pins.close()
        assert bench.board.pins[18].level == 0
    assert bench.board.closed
    assert read(LightState, bench.station.said("ir/light/state")[-1]).state == "OFF"


def test_a_pin_that_does_not_go_off_at_the_end_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, **WIRED)
    bench.pins.lamp("ir").set(1.0)
    bench.board.pins[18].broken = DeviceError("stuck", where="GPIO 18")
    bench.pins.close()
    assert "stuck" in str(bench.station.errors[0])
    assert bench.board.pins[18].closed


def test_the_threads_end_with_the_pins(tmp_path: Path) -> None:
    """And the watchdog works by its thread: a turned clock, and the light is off."""
    bench = Bench(tmp_path, **{**WIRED, "lights": {"ir": {"gpio": 18, "longest": 30}}})
    stop = threading.Event()
    waiting: list[float] = []

    def wait(event: threading.Event, seconds: float) -> bool:
        waiting.append(seconds)
        return event.wait(0.005)

    bench.clock.wait = wait  # type: ignore[method-assign]
    runs = bench.pins.threads.values()
    threads = [threading.Thread(target=run, args=(stop,), daemon=True) for run in runs]
    for thread in threads:
        thread.start()
    try:
        with bench.pins.lamp("ir").lit():
            wait_for(lambda: 30 in waiting, what="the watchdog to know of the light")
            bench.clock.seconds += 30
            wait_for(lambda: bench.board.pins[18].level == 0, what="the light to go off")
        wait_for(lambda: bench.station.errors, what="the report")
        assert "lit for 30 s" in str(bench.station.errors[0])
    finally:
        stop.set()
        bench.pins.close()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_it_is_dark_even_where_the_rest_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed run left the lamp on, and now the disk is worn."""
    file = tmp_path / "devices" / "pi" / FILE
    file.parent.mkdir(parents=True)
    file.write_text('{"18": 1.0}')

    def worn(*_: object, **__: object) -> None:
        raise StorageError("the disk refuses")

    monkeypatch.setattr(service, "Outbox", worn)
    own = DeviceSettings.model_validate({**WIRED, "pins": "mock", "cameras": {}, "sensors": {}})
    with pytest.raises(StorageError):
        service.Device("pi", own, Connection("127.0.0.1", 9), tmp_path)
    assert json.loads(file.read_text())["18"] == 0
