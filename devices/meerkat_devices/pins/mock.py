"""Pins of no hardware, for a desk and for tests: gpiozero's mock pins, with levels in a file.

Sensors are played by whoever holds the board (`drive`). The lamps' levels are kept in a file, as the
kernel keeps those of real pins: a lamp that was lit when its process was killed is lit still, until
somebody switches it off. Anyone may look at it: {"18": 1.0} says that GPIO 18 is high. One program at a
time has them, also as with real ones.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from meerkat_contract.errors import DeviceError, StorageError

from .board import GpioZeroBoard

FILE = "mock-pins.json"


class MockBoard(GpioZeroBoard):
    """`drive` on any thread."""

    def __init__(self, file: Path) -> None:
        """`file` need not be there yet.

        Raises DeviceError when gpiozero is not installed, or another program has the pins.
        """
        factory = _factory(self._recall, self._remember)
        self.file = file
        self._writing = threading.Lock()
        self._held = _hold(file)
        self._levels = _read(file)
        super().__init__(factory, name="mock pins")

    def close(self) -> None:
        try:
            super().close()
        finally:
            held, self._held = self._held, -1
            if held >= 0:
                os.close(held)

    def drive(self, gpio: int, *, high: bool) -> None:
        """Put a level on a pin that something reads."""
        pin = self._factory.pin(gpio)
        if high:
            pin.drive_high()
        else:
            pin.drive_low()

    def _recall(self, gpio: str) -> float | None:
        return self._levels.get(gpio)

    def _remember(self, gpio: str, level: float) -> None:
        temporary = self.file.with_suffix(".new")
        try:
            with self._writing:  # each lamp has a thread of its own
                self._levels[gpio] = level
                self.file.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_text(json.dumps(self._levels))
                temporary.replace(self.file)
        except OSError as error:
            raise StorageError(
                f"{error.strerror}", where=str(self.file), remedy="Mock pins live there"
            ) from None


def _hold(file: Path) -> int:
    """A descriptor: the pins are ours until it is closed, or this program ends."""
    lock = file.with_suffix(".lock")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DeviceError(f"{error.strerror}", where=str(lock), remedy="Mock pins live there") from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise DeviceError(
            "the mock pins are used by another program",
            where=str(file),
            remedy="Does this device run already?",
        ) from None
    return held


def _read(file: Path) -> dict[str, float]:
    """What an earlier run left; nothing where there is no such file, or something else in it."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    levels = found.items() if isinstance(found, dict) else ()
    return {str(gpio): float(level) for gpio, level in levels if isinstance(level, int | float)}


def _factory(recall: Callable[[str], float | None], remember: Callable[[str, float], None]) -> Any:
    """gpiozero's mock factory, with pins that begin with the level that they had, and tell of each other."""
    try:
        from gpiozero.pins.mock import MockFactory, MockPWMPin
    except ModuleNotFoundError:
        raise DeviceError(
            "mock pins need gpiozero, which is not installed",
            where="--pins mock",
            remedy="Type: pip install 'meerkat-home[pins]'",
        ) from None

    class KeptPin(MockPWMPin):  # type: ignore[misc, unused-ignore] # gpiozero has no types
        def __init__(self, factory: Any, info: Any) -> None:
            super().__init__(factory, info)
            self._tell: Callable[[float], None] = partial(remember, info.name.removeprefix("GPIO"))
            kept = recall(info.name.removeprefix("GPIO"))
            if kept is not None:
                self._state = kept

            self._closing = False

        def close(self) -> None:
            self._closing = True  # gpiozero's mock drives the pin low as it gives it up; a kernel does not
            try:
                super().close()
            finally:
                self._closing = False

        def _change_state(self, value: float) -> bool:
            changed = bool(super()._change_state(value))
            if changed and self._function == "output" and not self._closing:
                self._tell(float(value))
            return changed

    return MockFactory(pin_class=KeptPin)
