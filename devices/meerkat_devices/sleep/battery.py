"""A device's battery: read by a gauge, told when it changes, reported when it is low.

A gauge of one's own is an entry point of the group `meerkat.batteries`: its name is what `gauge:` says, its
object is called with the BatterySettings and returns something with `read()`.
"""

from __future__ import annotations

import json
import logging
import shlex
import threading
import time
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from meerkat_contract.errors import DeviceError, UsageError
from meerkat_contract.messages import Battery
from meerkat_devices.clock import Clock
from meerkat_devices.programs import run_program
from meerkat_devices.settings.sleep import BatterySettings
from meerkat_devices.station import Station

_log = logging.getLogger("meerkat.device")

GROUP = "meerkat.batteries"
CHANGE = 1.0
"""Percent by which the level differs before it is told again."""
RECOVERED = 5.0
"""Percent above `low` from which the battery is well again."""
COMMAND_SECONDS = 10.0

ABOUT = "battery"


class Gauge(Protocol):
    def read(self) -> Battery:
        """Raises DeviceError."""


class CommandGauge:
    """Asks a program: it prints a number, `87` or `87 %`, or a JSON object like Battery."""

    def __init__(self, command: str) -> None:
        self._words = shlex.split(command)

    def read(self) -> Battery:
        name = self._words[0]
        until = time.monotonic() + COMMAND_SECONDS
        text = run_program(
            self._words,
            where="battery",
            late=lambda: f"took longer than {COMMAND_SECONDS:g} s" if time.monotonic() > until else "",
            cannot="Check devices.<name>.battery.command",
        ).strip()
        try:
            found = json.loads(text.removesuffix("%").strip())
            return Battery.model_validate(found if isinstance(found, dict) else {"level": found})
        except (ValueError, ValidationError):
            raise DeviceError(
                f"{name} printed {text[:80]!r}",
                where="battery",
                remedy='It is to print the level in percent, or JSON such as {"level": 87, "charging": true}',
            ) from None


class SystemGauge:
    """The first battery of the machine itself that the kernel knows of."""

    def __init__(self, folder: Path = Path("/sys/class/power_supply")) -> None:
        self._folder = folder

    def read(self) -> Battery:
        for capacity in sorted(self._folder.glob("*/capacity")):
            if self._text(capacity.with_name("scope")) == "Device":
                continue  # a mouse's or a keyboard's
            try:
                level = min(100.0, max(0.0, float(capacity.read_text())))
            except (OSError, ValueError):  # a driver that is just going; perhaps another knows
                continue
            voltage = self._text(capacity.with_name("voltage_now"))
            status = self._text(capacity.with_name("status"))
            return Battery(
                level=level,
                voltage=round(int(voltage) / 1e6, 3) if voltage.isdecimal() else None,
                charging={"Charging": True, "Discharging": False}.get(status),
            )
        raise DeviceError(
            "the system knows of no battery",
            where=str(self._folder),
            remedy="Load its driver, or name a gauge: devices.<name>.battery.gauge",
        )

    @staticmethod
    def _text(path: Path) -> str:
        try:
            return path.read_text().strip()
        except OSError:  # not every driver tells it
            return ""


class Bus(Protocol):
    """What is used of smbus2.SMBus."""

    def read_word_data(self, i2c_addr: int, register: int) -> int: ...


class Max17048:
    """The fuel gauge of many battery boards. Registers as in its data sheet (Maxim 19-6171)."""

    VOLTAGE, LEVEL, RATE = 0x02, 0x04, 0x16

    def __init__(self, settings: BatterySettings, *, bus: Bus | None = None) -> None:
        self._settings = settings
        self._bus = bus

    def read(self) -> Battery:
        where = f"I2C bus {self._settings.bus}, address {self._settings.address:#04x}"
        try:
            if self._bus is None:
                from smbus2 import SMBus

                self._bus = SMBus(self._settings.bus)
            voltage, level, rate = map(self._word, (self.VOLTAGE, self.LEVEL, self.RATE))
        except ImportError:
            raise DeviceError("reading I2C needs smbus2", where=where, remedy="pip install smbus2") from None
        except OSError as error:
            raise DeviceError(
                f"the gauge does not answer ({error.strerror})",
                where=where,
                remedy="Is I2C switched on (raspi-config), and does `i2cdetect -y 1` show the gauge?",
            ) from error
        signed = rate - 0x10000 if rate & 0x8000 else rate  # 0.208 % an hour each
        return Battery(
            level=round(min(100.0, level / 256), 1),
            voltage=round(voltage * 78.125e-6, 3),
            charging=signed > 0 if signed else None,
        )

    def _word(self, register: int) -> int:
        """The gauge sends the high byte first, SMBus reads the low one first."""
        assert self._bus is not None
        word = self._bus.read_word_data(self._settings.address, register)
        return (word & 0xFF) << 8 | word >> 8


def open_gauge(settings: BatterySettings) -> Gauge:
    """Raises UsageError for a gauge that nobody knows."""
    if settings.gauge == "command" and settings.command:
        return CommandGauge(settings.command)
    if settings.gauge == "system":
        return SystemGauge()
    if settings.gauge == "max17048":
        return Max17048(settings)
    found = {point.name: point for point in entry_points(group=GROUP)}
    if point := found.get(settings.gauge):
        gauge: Gauge = point.load()(settings)
        return gauge
    known = ", ".join(["system", "command", "max17048", *sorted(found)])
    raise UsageError(
        f"there is no gauge {settings.gauge!r}", where="battery.gauge", remedy=f"Write one of: {known}"
    )


class BatteryWatch:
    """Reads the gauge now and then. `level` is None until the first reading."""

    def __init__(
        self, settings: BatterySettings, *, station: Station, clock: Clock, gauge: Gauge | None = None
    ) -> None:
        """Raises UsageError for a gauge that nobody knows."""
        self.battery: Battery | None = None
        self.looked = threading.Event()
        """Set after the first reading, also one that failed."""
        self._settings = settings
        self._station = station
        self._clock = clock
        self._gauge = gauge or open_gauge(settings)

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.look()
            self.looked.set()
            if self._clock.wait(stop, self._settings.every):
                return

    def look(self) -> None:
        """One reading; told when it differs, reported when it cannot be taken or is low."""
        try:
            found = self._gauge.read()
        except DeviceError as error:
            self._station.report(error, about=ABOUT)
            return
        low = self._settings.low
        if found.level < low and not found.charging:
            self._station.report(
                DeviceError(
                    f"the battery is below {low:g} %",
                    where=f"device {self._station.name}",
                    remedy="Charge it. What was recorded is safe on its disk",
                ),
                about=ABOUT,
            )
        elif found.level >= min(100.0, low + RECOVERED) or found.charging:
            self._station.well(ABOUT)
        known = self.battery
        if known is None or abs(known.level - found.level) >= CHANGE or known.charging != found.charging:
            self.battery = found
            _log.info("battery: %g %%%s", found.level, ", charging" if found.charging else "")
            self._station.changed()
