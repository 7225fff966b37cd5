"""What a device is asked to do once: say which one it is, or start again.

Which one it is, its LED shows (`/sys/class/leds`, where this user may write it), else a lamp, sooner a white
one than one that nobody sees: it blinks for BLINK_SECONDS, and then does again what it did before. What has
neither is not asked.

To start again means that this program ends cleanly, with an exit status after which systemd and `meerkat up`
start it anew. So it is only offered where one of them looks after it; the machine itself is never touched.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from meerkat_contract.errors import DeviceError, MeerkatError
from meerkat_contract.messages import SettingInfo
from meerkat_devices.clock import Clock
from meerkat_devices.lamps import DeviceEnds, Lamp

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger("meerkat.device")

IDENTIFY = SettingInfo(name="identify", label="Which one is it?", kind="button")
RESTART = SettingInfo(name="restart", label="Restart", kind="button")

RESTART_STATUS = 75
"""Of sysexits(3): try again. Not 2, after which the service stays down."""

BLINK_SECONDS = 5.0
HALF_BLINK = 0.25
"""Seconds on, and off."""

LEDS = Path("/sys/class/leds")
LED_NAMES = ("ACT", "led0")
"""Of a Raspberry Pi's activity LED, by age of the system."""


def is_looked_after(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether systemd or `meerkat up` starts this program again when it ends."""
    return bool(environment.get("NOTIFY_SOCKET")) or environment.get("MEERKAT_LOG_FORMAT") == "supervised"


class Led:
    """An LED of the kernel's (Documentation/leds/leds-class.rst)."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._brightness, self._trigger = folder / "brightness", folder / "trigger"

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Nobody else switches it while the block runs; then its trigger is as it was."""
        before = self._trigger.read_text().partition("[")[2].partition("]")[0] or "none"
        self._trigger.write_text("none")
        try:
            yield
        finally:
            self._brightness.write_text("0")
            self._trigger.write_text(before)

    @contextmanager
    def lit(self) -> Iterator[None]:
        self._brightness.write_text("1")
        try:
            yield
        finally:
            self._brightness.write_text("0")


def find_led(folder: Path = LEDS) -> Led | None:
    """One that this user may switch."""
    for name in LED_NAMES:
        if all(os.access(folder / name / file, os.W_OK) for file in ("brightness", "trigger")):
            return Led(folder / name)
    return None


class Blinker:
    """`start` on any thread; it blinks on one of its own."""

    def __init__(
        self,
        led: Led | None,
        lamp: Lamp | None,
        *,
        clock: Clock,
        stop: threading.Event,
        report: Callable[[MeerkatError], None],
    ) -> None:
        self._led = led
        self._lamp = lamp
        self._clock = clock
        self._stop = stop
        self._report = report
        self._blinking = threading.Lock()

    @property
    def possible(self) -> bool:
        return self._led is not None or self._lamp is not None

    def start(self) -> None:
        """Blink, unless it does already."""
        if self._blinking.acquire(blocking=False):
            threading.Thread(target=self._run, name="identify", daemon=True).start()

    def _run(self) -> None:
        try:
            self.blink()
        except DeviceEnds:
            return
        except MeerkatError as error:
            self._report(error)
        finally:
            self._blinking.release()

    def blink(self) -> None:
        """For BLINK_SECONDS, or until the device ends. Raises DeviceError when nothing can be lit."""
        if self._led is not None:
            _log.info("asked which one it is: LED %s blinks", self._led.name)
            try:
                with self._led.taken():
                    self._alternate(self._led.lit)
            except OSError as error:
                raise DeviceError(
                    f"the LED cannot be switched ({error.strerror})",
                    where=str(LEDS / self._led.name),
                    remedy="Let this user write it, or set up a lamp",
                ) from error
        elif self._lamp is not None:
            _log.info("asked which one it is: lamp %s blinks", self._lamp.name)
            self._alternate(self._lamp.lit)

    def _alternate(self, lit: Callable[[], AbstractContextManager[None]]) -> None:
        for _ in range(round(BLINK_SECONDS / (2 * HALF_BLINK))):
            with lit():
                if self._clock.wait(self._stop, HALF_BLINK):
                    return
            if self._clock.wait(self._stop, HALF_BLINK):
                return
