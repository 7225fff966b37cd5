"""What a camera hears of the pins: motion sensors, a doorbell, lamps; and the lamp that it asks for.

Sensors speak on the pins' thread; the camera takes what was said with its next picture, a pulse between
two pictures too. A press that comes while the camera is not there rings nothing later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from meerkat_contract.errors import MeerkatError
from meerkat_contract.metadata import Trigger
from meerkat_devices.clock import Clock
from meerkat_devices.lamps import DeviceEnds
from meerkat_devices.settings.motion import MotionSettings
from meerkat_devices.settings.pins import CameraLight
from meerkat_devices.station import Station

from .judgement import Judgement

_log = logging.getLogger("meerkat.device")

RING_SECONDS = 5.0
"""How long a press waits for the next picture of a camera that sends several a second."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one picture: whether something moves, and whether and why it is to be recorded."""

    moving: bool
    record: bool
    trigger: Trigger


class Senses:
    """`hear`, `feel`, `ring` and `relight` on any thread; the rest is the camera thread's."""

    def __init__(
        self,
        camera: str,
        motion: MotionSettings,
        light: CameraLight | None,
        *,
        station: Station,
        clock: Clock,
    ) -> None:
        self._camera = camera
        self.ring_seconds = RING_SECONDS
        """How long a press counts, unless a picture comes before."""
        self._light = None if light is None or light.when == "never" else light
        self._station = station
        self._clock = clock
        self._judgement = Judgement(motion)
        self._lock = threading.Lock()
        self._on: set[str] = set()
        self._pulse = False
        self._rung: float | None = None
        self._relit = False
        self._lamp: ExitStack | None = None

    def hear(self, sensor: str, *, on: bool) -> None:
        """A sensor of this camera is ON or OFF."""
        with self._lock:
            if on:
                self._on.add(sensor)
                self._pulse = True
            else:
                self._on.discard(sensor)

    def feel(self) -> None:
        """Something that lasts no time: a door that opens."""
        with self._lock:
            self._pulse = True

    def ring(self) -> None:
        """Somebody pressed this camera's button."""
        with self._lock:
            self._rung = self._clock.monotonic()

    def relight(self) -> None:
        """The camera's lamp went on, off, or to another brightness, whoever did it."""
        with self._lock:
            self._relit = True

    def look(self, at: float, see: Callable[[bool], bool], *, enabled: bool = True) -> Verdict:
        """Judge the picture of media time `at` (seconds).

        `see` asks vision whether something moves in it, and tells it whether to forget what was before;
        it is called only when it has to be. Not `enabled`: nothing counts as motion, a ring does.
        """
        with self._lock:
            sensed, self._pulse = self._pulse or bool(self._on), False
            rung, self._rung = self._rung, None
            relit, self._relit = self._relit, False
        moving = False
        if enabled:
            look = self._judgement.before(at, sensed=sensed, relit=relit)
            moving = self._judgement.after(see(look.forget) if look.see else None)
        rings = rung is not None and self._clock.monotonic() - rung <= self.ring_seconds
        return Verdict(moving, moving or rings, "doorbell" if rings else "motion")

    def shine(self, wanted: bool, brightness: Callable[[], float]) -> None:
        """Hold the camera's lamp while `wanted`. `brightness`: of the picture, 0 to 1, asked as it begins."""
        light = self._light
        if light is None or wanted == (self._lamp is not None):
            return
        if not wanted:
            self.rest()
            return
        self._lamp = stack = ExitStack()
        if light.when == "dark" and brightness() >= light.dark_below:
            return
        about = f"camera {self._camera}, light"
        try:
            stack.enter_context(self._station.lamp(light.name).lit())
        except DeviceEnds:
            return
        except MeerkatError as error:
            self._station.report(error, about=about)
            return
        self._station.well(about)

    def rest(self) -> None:
        """Give up the lamp."""
        stack, self._lamp = self._lamp, None
        if stack is not None:
            stack.close()
