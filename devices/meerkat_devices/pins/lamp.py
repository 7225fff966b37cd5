"""A lamp that is never left on.

    dark ── somebody holds it ──▶ lit ── the last one lets go ──▶ dark
                                   └── lit for `longest` ──▶ dark, whoever holds it

Who wants light holds the lamp while a block runs; several may. A hand's `set` is one holder more. After
`longest` seconds of light all holds are void, the lamp is off, and it is said. A hold that begins then
lights it anew.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from meerkat_contract.errors import DeviceError, MeerkatError, UsageError
from meerkat_devices.clock import Clock
from meerkat_devices.lamps import DeviceEnds
from meerkat_devices.settings.pins import LightSettings

from .board import Output

_log = logging.getLogger("meerkat.device")

RETRY_SECONDS = 1.0
"""Between tries to switch off a lamp that does not obey."""

LONGEST_WAIT = 60.0
"""Seconds; so often the watchdog looks although nothing is due."""


class PinLamp:
    """Every method may be called on any thread."""

    def __init__(
        self,
        name: str,
        settings: LightSettings,
        *,
        clock: Clock,
        report: Callable[[MeerkatError], None],
        changed: Callable[[PinLamp], None],
    ) -> None:
        """Nothing is driven yet: see `attach`. `changed` hears of each new level, after it is there."""
        self.name = name
        self.settings = settings
        self.level = 0.0
        """Brightness on the pin now, 0 to 1."""
        self._news = threading.Event()
        """Set when `overdue` may say something else."""
        self._clock = clock
        self._report = report
        self._changed = changed
        self._lock = threading.RLock()
        self._output: Output | None = None
        self._why_not = DeviceError("has no pin yet", where=f"light {name}")
        self._holds: dict[object, float] = {}
        self._lit_since = math.inf
        self._closed = False
        self._stuck = False
        """The pin did not take what it was told; nobody knows what it shows."""

    # --- its pin --------------------------------------------------------------------------------

    def attach(self, output: Output) -> None:
        """Its pin, which is dark."""
        with self._lock:
            self._output = output

    def missing(self, error: DeviceError) -> None:
        """Why it has no pin; whoever wants light hears it."""
        with self._lock:
            self._why_not = error

    @property
    def attached(self) -> bool:
        return self._output is not None

    @property
    def closed(self) -> bool:
        """Whether it was given back, dark."""
        return self._closed

    def close(self) -> None:
        """Dark, and the pin given back; nobody lights it any more."""
        with self._lock:
            output, self._output = self._output, None
            self._why_not = DeviceEnds("is switched off: the device ends", where=f"light {self.name}")
            self._news.set()
            self._holds.clear()
            if output is None:
                return
            try:
                output.write(0.0)
                self.level, self._lit_since, self._closed = 0.0, math.inf, True
                self._changed(self)
            finally:
                output.close()

    # --- who wants light ------------------------------------------------------------------------

    @contextmanager
    def lit(self, brightness: float | None = None) -> Iterator[None]:
        """See `Lamp`."""
        hold = object()
        self._hold(hold, self.settings.brightness if brightness is None else brightness)
        try:
            yield
        finally:
            self._let_go(hold)

    def set(self, brightness: float) -> None:
        """See `Lamp`. What others hold stays lit for them. Raises DeviceError."""
        if brightness > 0:
            self._hold("hand", brightness)
        else:
            self._let_go("hand")

    def _hold(self, hold: object, brightness: float) -> None:
        if not 0 < brightness <= 1:
            raise UsageError(
                f"{brightness:g} is no brightness",
                where=f"light {self.name}",
                remedy="It is above 0, at most 1",
            )
        with self._lock:
            before = self._holds.get(hold)
            self._holds[hold] = brightness
            try:
                self._apply()
            except BaseException:  # whatever it was, nobody holds it who does not know
                del self._holds[hold]
                if before is not None:
                    self._holds[hold] = before
                if not self._stuck:
                    self._apply()
                raise

    def _let_go(self, hold: object) -> None:
        """Never raises: a lamp that does not go off is the watchdog's, which tries again."""
        with self._lock:
            if self._holds.pop(hold, None) is not None:
                self._apply_or_tell()

    # --- the watchdog ---------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop` is set; `close` wakes it."""
        while not stop.is_set():
            self._news.clear()
            self.watch()
            self._clock.wait(self._news, min(LONGEST_WAIT, max(0.0, self.overdue())))

    def overdue(self) -> float:
        """Seconds until `watch` has something to do; infinite while it is dark."""
        with self._lock:
            if self._stuck:
                return RETRY_SECONDS
            return self._lit_since + self.settings.longest - self._clock.monotonic()

    def watch(self) -> None:
        """Switch off what has been lit for too long, or would not go off; and say so."""
        with self._lock:
            if self._stuck:
                self._apply_or_tell()
            if self._clock.monotonic() - self._lit_since < self.settings.longest:
                return
            self._holds.clear()
            self._apply_or_tell()
            if self._stuck:
                return
        self._report(
            DeviceError(
                f"lit for {self.settings.longest:g} s, and switched off",
                where=f"light {self.name}",
                remedy="Is it held by something that hangs? If it is to be lit longer, raise `longest`",
            )
        )

    # --- the pin --------------------------------------------------------------------------------

    def _apply_or_tell(self) -> None:
        try:
            self._apply()
        except MeerkatError as error:
            self._report(error)

    def _apply(self) -> None:
        """Bring the pin to what is held. Raises DeviceError."""
        level = max(self._holds.values(), default=0.0)
        if not self.settings.dimmable:
            level = float(level > 0)
        if level == self.level and not self._stuck:
            return
        if self._output is None:
            raise self._why_not
        try:
            self._output.write(level)
        except DeviceError as error:
            self._stuck = True
            self._news.set()
            raise DeviceError(
                f"does not go {'on' if level else 'off'}: {error.what}",
                where=f"light {self.name}, {error.where}",
                remedy=error.remedy,
            ) from error
        self._stuck = False
        if not level:
            self._lit_since = math.inf
        elif not self.level:
            self._lit_since = self._clock.monotonic()
        self.level = level
        self._news.set()
        _log.info("light %s: %s", self.name, f"{level:.0%}" if level else "off")
        self._changed(self)
