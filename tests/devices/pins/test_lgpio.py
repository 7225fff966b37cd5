"""The way down to a Pi's pins: gpiozero's real lgpio factory, with only the C library stubbed."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from meerkat_contract.errors import DeviceError
from meerkat_devices.pins.board import open_board

_OUT, _UP, _DOWN = 1 << 1, 1 << 5, 1 << 6


class Kernel:
    """What lgpio would tell the kernel: modes, levels and PWM by GPIO number."""

    def __init__(self) -> None:
        self.modes: dict[int, int] = {}
        self.levels: dict[int, int] = {}
        self.pwm: dict[int, tuple[float, float]] = {}
        self.busy: set[int] = set()
        self.listeners: dict[int, Callable[[int, int, int, int], None]] = {}
        self.closed = False

    def edge(self, gpio: int, level: int) -> None:
        self.levels[gpio] = level
        self.listeners[gpio](0, gpio, level, 0)

    def module(self) -> types.ModuleType:
        """The functions that gpiozero calls."""
        lgpio: Any = types.ModuleType("lgpio")
        lgpio.error = type("error", (Exception,), {})
        lgpio.SET_PULL_NONE, lgpio.SET_PULL_UP, lgpio.SET_PULL_DOWN = 0, _UP, _DOWN
        lgpio.BOTH_EDGES, lgpio.RISING_EDGE, lgpio.FALLING_EDGE = 3, 1, 2

        def claim(gpio: int, mode: int) -> None:
            if gpio in self.busy:
                raise lgpio.error("GPIO busy")
            self.modes[gpio] = mode

        def claim_output(handle: int, gpio: int, level: int = 0) -> None:
            claim(gpio, _OUT)
            self.levels[gpio] = level

        def claim_input(handle: int, gpio: int, flags: int = 0) -> None:
            claim(gpio, flags)
            self.levels[gpio] = 1 if flags == _UP else self.levels.get(gpio, 0)

        def callback(
            handle: int, gpio: int, edge: int, call: Callable[[int, int, int, int], None]
        ) -> types.SimpleNamespace:
            self.listeners[gpio] = call
            return types.SimpleNamespace(cancel=lambda: self.listeners.pop(gpio, None))

        lgpio.gpiochip_open = lambda chip: 1
        lgpio.gpiochip_close = lambda handle: setattr(self, "closed", True)
        lgpio.gpio_claim_output = claim_output
        lgpio.gpio_claim_input = claim_input
        lgpio.gpio_claim_alert = lambda handle, gpio, edges, flags: claim(gpio, flags)
        lgpio.gpio_get_mode = lambda handle, gpio: self.modes.get(gpio, 0)
        lgpio.gpio_read = lambda handle, gpio: self.levels.get(gpio, 0)
        lgpio.gpio_write = lambda handle, gpio, level: self.levels.__setitem__(gpio, int(level))
        lgpio.gpio_free = lambda handle, gpio: self.modes.pop(gpio, None)
        lgpio.gpio_set_debounce_micros = lambda handle, gpio, micros: None
        lgpio.tx_pwm = lambda handle, gpio, hertz, duty: self.pwm.__setitem__(gpio, (hertz, duty))
        lgpio.callback = callback
        return lgpio


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)
    monkeypatch.delenv("LG_WD", raising=False)
    monkeypatch.setitem(sys.modules, "lgpio", made.module())
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    from gpiozero.pins.lgpio import LGPIOFactory

    monkeypatch.setattr(LGPIOFactory, "_get_revision", lambda self: 0xC03115)  # a Pi 4
    return made


def test_a_lamp_goes_off_as_its_pin_is_taken(kernel: Kernel) -> None:
    kernel.levels[23] = 1  # a killed run left it on
    board = open_board()
    assert board.name == "LGPIOFactory"
    lamp = board.output(23, hertz=None, active_high=True)
    assert (kernel.modes[23], kernel.levels[23]) == (_OUT, 0)
    lamp.write(1.0)
    assert kernel.levels[23] == 1
    lamp.write(0.0)
    lamp.close()
    assert (kernel.modes[23], kernel.levels[23]) == (0, 0)
    board.close()
    assert kernel.closed


def test_a_dimmed_lamp_is_pwm(kernel: Kernel) -> None:
    board = open_board()
    lamp = board.output(18, hertz=500, active_high=True)
    assert kernel.pwm[18] == (500, 0)
    lamp.write(0.4)
    assert kernel.pwm[18] == (500, 40)
    lamp.write(0.0)
    assert kernel.pwm[18] == (500, 0)
    lamp.close()
    board.close()


def test_resistors_and_edges(kernel: Kernel) -> None:
    board = open_board()
    heard: list[bool] = []
    door = board.input(27, pull="up", samples=None, changed=heard.append)
    assert kernel.modes[27] == _UP
    assert door.high()
    kernel.edge(27, 0)
    kernel.edge(27, 1)
    assert heard == [False, True]
    kernel.levels[17] = 1
    pir = board.input(17, pull="down", samples=100, changed=heard.append)
    assert kernel.modes[17] == _DOWN
    assert pir.high(), "high before we came"
    for pin in (door, pir):
        pin.close()
    board.close()


def test_a_pin_that_another_program_has(kernel: Kernel) -> None:
    kernel.busy.add(18)
    board = open_board()
    with pytest.raises(DeviceError) as caught:
        board.output(18, hertz=None, active_high=True)
    assert caught.value.what == "the pin is used by another program"
    board.close()


def test_no_permission(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    lgpio = sys.modules["lgpio"]

    def refuse(chip: int) -> int:
        raise lgpio.error("can not open gpiochip")  # type: ignore[attr-defined]

    monkeypatch.setattr(lgpio, "gpiochip_open", refuse)
    with pytest.raises(DeviceError) as caught:
        open_board()
    assert str(caught.value).startswith(
        "pins: this user may not use the pins (can not open gpiochip). Type: sudo"
    )
