"""What happens before the porch, when, and in which light. Pure functions of the second of the story."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, hypot, pi, sin
from typing import Literal

PERIOD = 120.0
"""Seconds after which the story begins again."""

NIGHT_FROM, NIGHT_UNTIL = 60.0, 101.0
"""The camera's infrared lamp is on and its picture is monochrome."""

_DUSK, _DAWN = (39.0, 59.5), (95.0, 118.0)  # The dawn begins unseen, while the infrared lamp is still on.

Label = Literal["person", "dog", "cat", "car"]


@dataclass(frozen=True, slots=True)
class Passage:
    """Somebody crosses the picture on a straight line of the ground, in metres (x right, z away)."""

    label: Label
    look: str
    begin: float
    start: tuple[float, float]
    end: tuple[float, float]
    speed: float

    @property
    def length(self) -> float:
        """Metres from the start to the end."""
        return hypot(self.end[0] - self.start[0], self.end[1] - self.start[1])

    @property
    def finish(self) -> float:
        """The second at which the end is reached."""
        return self.begin + self.length / self.speed

    @property
    def yaw(self) -> float:
        """Where the walker looks: 0 towards the camera, a quarter turn to the right of the picture."""
        return atan2(self.end[0] - self.start[0], self.start[1] - self.end[1])

    def walked(self, second: float) -> float | None:
        """Metres since the start, or None before and after."""
        if not self.begin <= second < self.finish:
            return None
        return (second - self.begin) * self.speed

    def place(self, walked: float) -> tuple[float, float]:
        """Where that is on the ground."""
        share = walked / self.length
        return (
            self.start[0] + share * (self.end[0] - self.start[0]),
            self.start[1] + share * (self.end[1] - self.start[1]),
        )


PASSAGES = (
    Passage("person", "day walker", 1.5, (-4.9, 6.4), (3.4, 3.95), 1.22),
    Passage("dog", "dog", 19.0, (3.2, 3.7), (-3.1, 3.6), 1.5),
    Passage("car", "car", 34.0, (-9.2, 9.3), (9.2, 9.3), 5.5),
    Passage("person", "night walker", 69.0, (5.0, 6.1), (-3.3, 3.95), 1.22),
    Passage("cat", "cat", 88.0, (-3.0, 3.8), (3.0, 3.6), 0.95),
)


def is_night(second: float) -> bool:
    """Whether the infrared lamp is on."""
    return NIGHT_FROM <= second < NIGHT_UNTIL


def dusk(second: float) -> float:
    """0 by day, 1 when it is nearly dark, eased in between."""
    if _DUSK[0] < second < NIGHT_FROM:
        share = (second - _DUSK[0]) / (_DUSK[1] - _DUSK[0])
    elif NIGHT_UNTIL <= second < _DAWN[1]:
        share = (_DAWN[1] - second) / (_DAWN[1] - _DAWN[0])
    else:
        return 0.0
    share = min(1.0, max(0.0, share))
    return share * share * (3 - 2 * share)


def cloud(second: float) -> float:
    """The light's factor under passing clouds; the waves fit the period a whole number of times."""
    turn = 2 * pi * second / PERIOD
    return 1 + 0.025 * sin(3 * turn + 1) + 0.018 * sin(7 * turn)
