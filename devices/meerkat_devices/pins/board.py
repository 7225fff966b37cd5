"""The pins of a machine: levels in, levels out. gpiozero behind the few words that we need of it.

gpiozero is imported when a board is opened, so a device without sensors and lights never loads it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, Protocol

from meerkat_contract.errors import DeviceError

Pull = Literal["up", "down", "none"]


class Input(Protocol):
    def high(self) -> bool:
        """The pin's level now. Raises DeviceError."""

    def close(self) -> None: ...


class Output(Protocol):
    def write(self, value: float) -> None:
        """0 is dark, 1 is fully lit; without PWM everything above 0 is. Raises DeviceError."""

    def close(self) -> None: ...


class Board(Protocol):
    name: str
    """What drives the pins, for people."""

    def output(self, gpio: int, *, hertz: int | None, active_high: bool) -> Output:
        """A lamp's pin, dark from here on. `hertz` of PWM; None: on and off only. Raises DeviceError."""

    def input(
        self, gpio: int, *, pull: Pull, samples: float | None, changed: Callable[[bool], None]
    ) -> Input:
        """A pin to read. `changed(high)` comes on any thread at each edge, bounces too.

        `samples`: look so often a second (a motion sensor); None: the kernel tells of every edge.
        Raises DeviceError.
        """

    def close(self) -> None:
        """Give the pins back. Raises DeviceError."""


class GpioZeroBoard:
    """Any pin factory of gpiozero: the Pi's own, or a mock."""

    def __init__(self, factory: Any, *, name: str) -> None:
        self.name = name
        self._factory = factory

    def output(self, gpio: int, *, hertz: int | None, active_high: bool) -> Output:
        from gpiozero import LED, PWMLED

        with _told(gpio):
            if hertz is None:
                lamp = LED(gpio, active_high=active_high, initial_value=False, pin_factory=self._factory)
            else:
                lamp = PWMLED(
                    gpio,
                    active_high=active_high,
                    initial_value=0,
                    frequency=hertz,
                    pin_factory=self._factory,
                )
        return _Output(gpio, lamp)

    def input(
        self, gpio: int, *, pull: Pull, samples: float | None, changed: Callable[[bool], None]
    ) -> Input:
        from gpiozero import DigitalInputDevice, MotionSensor

        # What gpiozero calls active is low with a pull-up, and high else.
        how: dict[str, Any] = {"pin_factory": self._factory, "pull_up": {"up": True, "down": False}.get(pull)}
        if pull == "none":
            how["active_state"] = True
        with _told(gpio):
            if samples is None:
                pin = DigitalInputDevice(gpio, **how)
            else:
                pin = MotionSensor(gpio, sample_rate=samples, **how)
                _ = pin.is_active  # its first look, which tells nobody; each change from now on does
            active_high = pull != "up"
            pin.when_activated = lambda: changed(active_high)
            pin.when_deactivated = lambda: changed(not active_high)
        return _Input(gpio, pin)

    def close(self) -> None:
        try:
            self._factory.close()
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            raise DeviceError(f"the pins are not given back: {said}", where=self.name) from error


class _Output:
    def __init__(self, gpio: int, lamp: Any) -> None:
        self._gpio = gpio
        self._lamp = lamp

    def write(self, value: float) -> None:
        with _told(self._gpio):
            self._lamp.value = value

    def close(self) -> None:
        with _told(self._gpio):
            self._lamp.close()


class _Input:
    def __init__(self, gpio: int, pin: Any) -> None:
        self._gpio = gpio
        self._pin = pin

    def high(self) -> bool:
        with _told(self._gpio):
            return bool(self._pin.pin.state)

    def close(self) -> None:
        with _told(self._gpio):
            self._pin.close()


def open_board() -> Board:
    """The pins of this Raspberry Pi. Raises DeviceError, with the remedy.

    gpiozero chooses: lgpio, else what else it finds; $GPIOZERO_PIN_FACTORY names another. Call it before
    other threads run: it changes the working folder for a moment.
    """
    try:
        import gpiozero
    except ModuleNotFoundError:
        raise DeviceError(
            "gpiozero is not installed",
            where="pins",
            remedy="Type: pip install 'meerkat-home[pins]'; or try without hardware: --pins mock",
        ) from None
    with warnings.catch_warnings(record=True) as fallbacks, _own_folder():
        warnings.simplefilter("always")
        try:
            gpiozero.Device.ensure_pin_factory()
        except Exception as error:
            raise _no_pins([*(str(each.message) for each in fallbacks), str(error)]) from error
    factory = gpiozero.Device.pin_factory
    gpiozero.Device.pin_factory = None  # it is ours to close, and nobody's default
    return GpioZeroBoard(factory, name=type(factory).__name__)


_NO_PINS = (
    (
        ("can not open gpiochip", "ermission denied"),
        "this user may not use the pins",
        "Type: sudo usermod -aG gpio $USER, then log in again",
    ),
    (
        ("unable to locate Pi revision",),
        "this machine has no pins",
        "A Raspberry Pi has. Here, try with --pins mock, or write `pins: none` to leave the sensors and "
        "lights of this device alone",
    ),
    (
        ("No module named 'lgpio'", "'lgpio' has no attribute"),  # the second: an empty package of that name
        "the library lgpio is missing",
        "Type: sudo apt install python3-lgpio, and make the environment with --system-site-packages; on "
        "Python 3.11 and 3.12, pip install 'meerkat-home[pins]' brings it, too",
    ),
)
"""Signs in what gpiozero says, what they mean, and what to do; the first that fits counts."""


def _no_pins(reasons: list[str]) -> DeviceError:
    """gpiozero says of each library why it is not that one; the one that matters is told."""
    for signs, what, remedy in _NO_PINS:
        for reason in reasons:
            if any(sign in reason for sign in signs):
                said = reason.partition(": ")[2] if reason.startswith("Falling back") else reason
                return DeviceError(f"{what} ({said})", where="pins", remedy=remedy)
    return DeviceError(
        f"the pins cannot be used ({'; '.join(reasons)})",
        where="pins",
        remedy="See docs/how-to/pins.md; --pins mock does without",
    )


@contextmanager
def _told(gpio: int) -> Iterator[None]:
    """What a pin's library raises, as a DeviceError that names the pin."""
    try:
        yield
    except DeviceError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        remedy = "Check `gpio` and the wiring; docs/how-to/pins.md has a table"
        if "busy" in said.lower():
            said, remedy = (
                "the pin is used by another program",
                "Does this device run already? Else see who holds it: gpioinfo",
            )
        elif "PWM" in said:
            said, remedy = f"the pin cannot be dimmed ({said})", "Write `dimmable: false` for this light"
        raise DeviceError(said, where=f"GPIO {gpio}", remedy=remedy) from error


@contextmanager
def _own_folder() -> Iterator[None]:
    """lgpio makes a pipe in the working folder as it is loaded, which may be read-only, or a user's own."""
    if os.environ.get("LG_WD"):  # somebody chose one
        yield
        return
    with tempfile.TemporaryDirectory(prefix="meerkat-pins-") as folder, contextlib.chdir(folder):
        yield
