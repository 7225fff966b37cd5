"""What counts as motion of a camera that has motion sensors, too. Pure: readings in, a verdict out.

| `combine` | there is motion when                                     | vision looks                 |
|-----------|----------------------------------------------------------|------------------------------|
| `any`     | a sensor says so, or vision                              | always                       |
| `all`     | vision says so, and a sensor did within `sensor_seconds` | always                       |
| `wake`    | vision says so                                           | within `sensor_seconds` of a |
|           |                                                          | sensor, and while it moves   |
| `sensors` | a sensor says so                                         | never                        |

Without sensors, vision alone judges. All times are seconds of media time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from meerkat_devices.settings.motion import MotionSettings

BLIND_SECONDS = 1.0
"""After a lamp was switched: the camera finds its exposure, and all that it sees has changed."""

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Look:
    """Whether vision is asked about a picture, and whether it forgets what it has seen before."""

    see: bool
    forget: bool = False


class Judgement:
    """One camera's. For each picture that is looked at: `before`, then `after` with what vision says."""

    def __init__(self, settings: MotionSettings) -> None:
        self._combine = settings.combine if settings.sensors else "vision"
        self._lasts = settings.sensor_seconds
        self._last = self._sensed_at = self._blind_until = -math.inf
        self._sensed = False
        self._awake = False
        self._forget = False
        self._seen = False
        self.active = False

    def before(self, at: float, *, sensed: bool, relit: bool = False) -> Look:
        """A picture of media time `at`.

        `sensed`: a sensor is ON, or was since the picture before. `relit`: a lamp was switched since.
        """
        if at < self._last:  # the stream's clock began again
            self._sensed_at = self._blind_until = -math.inf
        self._last = at
        self._sensed = sensed
        if sensed:
            self._sensed_at = at
        if relit:
            self._blind_until = at + BLIND_SECONDS
            self._forget = True
        if self._combine == "sensors":
            return Look(see=False)
        if self._combine == "wake" and not (self._recently(at) or self._seen):
            self._awake = False
            return Look(see=False)
        if at < self._blind_until - _ROUNDING:
            return Look(see=False)
        forget, self._forget, self._awake = self._forget, False, True
        return Look(see=True, forget=forget)

    def after(self, seen: bool | None) -> bool:
        """Whether there is motion. `seen`: vision's word; None (not asked) leaves its last one."""
        if seen is not None:
            self._seen = seen
        elif not self._awake:
            self._seen = False
        recently = self._recently(self._last)
        match self._combine:
            case "any":
                self.active = self._sensed or self._seen
            case "all":
                self.active = self._seen and recently
            case "sensors":
                self.active = self._sensed
            case _:  # vision, wake
                self.active = self._seen
        return self.active

    def _recently(self, at: float) -> bool:
        return at - self._sensed_at <= self._lasts + _ROUNDING
