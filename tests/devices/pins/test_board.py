"""gpiozero behind a board: its own mock pins, this machine without any, what its errors become."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory, MockPin, MockPWMPin

from meerkat_contract.errors import DeviceError
from meerkat_devices.pins import board as boards
from meerkat_devices.pins.board import GpioZeroBoard, open_board
from meerkat_devices.pins.mock import MockBoard
from support.wait import wait_for


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    made = MockFactory(pin_class=MockPWMPin)
    yield made
    made.close()


@pytest.fixture
def board(factory: MockFactory) -> GpioZeroBoard:
    return GpioZeroBoard(factory, name="mock")


@pytest.mark.parametrize("hertz", [None, 500])
@pytest.mark.parametrize("active_high", [True, False])
def test_a_lamp_is_dark_from_the_start(
    board: GpioZeroBoard, factory: MockFactory, hertz: int | None, active_high: bool
) -> None:
    lamp = board.output(18, hertz=hertz, active_high=active_high)
    pin = factory.pin(18)
    assert pin.function == "output"
    assert pin.state == (0 if active_high else 1)
    lamp.write(1.0)
    assert pin.state == (1 if active_high else 0)
    lamp.write(0.0)
    assert pin.state == (0 if active_high else 1)
    lamp.close()


def test_a_lamp_is_dimmed_by_pwm(board: GpioZeroBoard, factory: MockFactory) -> None:
    lamp = board.output(18, hertz=500, active_high=True)
    lamp.write(0.25)
    assert factory.pin(18).state == 0.25
    assert factory.pin(18).frequency == 500
    lamp.close()


def test_two_on_one_pin(board: GpioZeroBoard) -> None:
    lamp = board.output(18, hertz=None, active_high=True)
    with pytest.raises(DeviceError) as caught:
        board.output(18, hertz=None, active_high=True)
    assert caught.value.where == "GPIO 18"
    assert "GPIOPinInUse" in caught.value.what
    lamp.close()


def test_pins_that_cannot_be_dimmed_say_so() -> None:
    factory = MockFactory(pin_class=MockPin)
    board = GpioZeroBoard(factory, name="mock")
    with pytest.raises(DeviceError) as caught:
        board.output(18, hertz=500, active_high=True)
    assert caught.value.remedy == "Write `dimmable: false` for this light"
    factory.close()


@pytest.mark.parametrize("pull", ["up", "down", "none"])
def test_edges_tell_the_level(board: GpioZeroBoard, factory: MockFactory, pull: boards.Pull) -> None:
    heard: list[bool] = []
    pin = board.input(17, pull=pull, samples=None, changed=heard.append)
    assert pin.high() == (pull == "up")
    if pull == "up":
        factory.pin(17).drive_low()
        factory.pin(17).drive_high()
        assert heard == [False, True]
    else:
        factory.pin(17).drive_high()
        assert pin.high()
        factory.pin(17).drive_low()
        assert heard == [True, False]
    pin.close()


def test_a_motion_sensor_that_is_high_already(board: GpioZeroBoard, factory: MockFactory) -> None:
    """gpiozero fires no `when_motion` for it: the level itself is asked."""
    heard: list[bool] = []
    factory.pin(17).drive_high()
    pin = board.input(17, pull="none", samples=100, changed=heard.append)
    assert pin.high()
    factory.pin(17).drive_low()
    wait_for(lambda: heard and heard[-1] is False, what="the sensor to be looked at")
    assert not pin.high()
    pin.close()


def test_this_machine_has_no_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    if Path("/proc/device-tree/model").exists():
        pytest.skip("this machine may have pins")
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    before = Path.cwd()
    with pytest.raises(DeviceError) as caught:
        open_board()
    assert "this machine has no pins" in caught.value.what
    assert "--pins mock" in caught.value.remedy
    assert Path.cwd() == before


def test_another_factory_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    for _ in range(2):  # a board that was closed is nobody's default
        board = open_board()
        assert board.name == "MockFactory"
        lamp = board.output(18, hertz=None, active_high=True)
        lamp.close()
        board.close()
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "wood")
    with pytest.raises(DeviceError, match="Unable to find pin factory 'wood'"):
        open_board()


@pytest.mark.parametrize(
    ("reasons", "remedy"),
    [
        (["Falling back from lgpio: 'can not open gpiochip'"], "usermod -aG gpio"),
        (["Falling back from native: [Errno 13] Permission denied: '/dev/gpiomem'"], "usermod -aG gpio"),
        (["Falling back from lgpio: No module named 'lgpio'", "something else"], "apt install python3-lgpio"),
        (["module 'lgpio' has no attribute 'SET_BIAS_DISABLE'"], "apt install python3-lgpio"),
        (
            ["Falling back from lgpio: No module named 'lgpio'", "unable to locate Pi revision in /proc"],
            "--pins mock",
        ),
    ],
)
def test_what_can_be_done_without_pins(reasons: list[str], remedy: str) -> None:
    error = boards._no_pins(reasons)
    assert remedy in error.remedy
    assert "Falling back" not in error.what


def test_what_nobody_has_heard_of_is_told_whole() -> None:
    assert "(wood; stone)" in boards._no_pins(["wood", "stone"]).what


def test_a_busy_pin_says_who_may_have_it() -> None:
    with pytest.raises(DeviceError) as caught, boards._told(18):
        raise RuntimeError("'GPIO busy'")
    assert str(caught.value).startswith("GPIO 18: the pin is used by another program. Does this device run")


def test_mock_pins_keep_their_levels_as_a_kernel_does(tmp_path: Path) -> None:
    file = tmp_path / "device" / "mock-pins.json"
    (tmp_path / "killed").mkdir()
    first = MockBoard(file)
    lamps = [first.output(18, hertz=500, active_high=True), first.output(23, hertz=None, active_high=False)]
    lamps[0].write(0.5)
    lamps[1].write(1.0)
    assert json.loads(file.read_text()) == {"18": 0.5, "23": 0.0}
    with pytest.raises(DeviceError, match="the mock pins are used by another program"):
        MockBoard(file)
    file = file.replace(tmp_path / "killed" / file.name)  # with the first one's process
    second = MockBoard(file)
    lamps.append(second.output(18, hertz=500, active_high=True))
    assert json.loads(file.read_text())["18"] == 0
    assert json.loads(file.read_text())["23"] == 0, "nobody has claimed it yet"
    lamps.append(second.output(23, hertz=None, active_high=False))
    assert json.loads(file.read_text())["23"] == 1, "a low pin lights this one"
    first.close()
    second.close()


def test_a_file_of_mock_pins_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "mock-pins.json").write_text('{"18": "lit", "19": 1')
    board = MockBoard(tmp_path / "mock-pins.json")
    lamp = board.output(18, hertz=None, active_high=True)
    lamp.write(1)
    assert json.loads((tmp_path / "mock-pins.json").read_text()) == {"18": 1.0}
    board.close()


def test_without_sensors_and_lights_gpiozero_is_not_loaded() -> None:
    program = (
        "import sys; from pathlib import Path; from meerkat_devices.pins.wiring import Pins;"
        "from meerkat_devices.settings.device import DeviceSettings;"
        "from meerkat_devices.clock import SystemClock;"
        "Pins(DeviceSettings(), Path('.'), station=None, clock=SystemClock()).open();"
        "print([name for name in sys.modules if name.startswith('gpiozero')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"
