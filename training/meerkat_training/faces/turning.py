"""How one number turns every wheel and needle of a counter.

The last wheel (or the last dial, where there are dials) goes round all the time. Each other wheel stands
still until its right neighbour goes from 9 to 0, and then moves along with it; on some meters every wheel
creeps. Gears have play, so each wheel stands a little off where it should.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor


@dataclass(frozen=True)
class Gears:
    """A counter's gears, most significant first; what one step counts in units of the reading."""

    wheels: tuple[float, ...]
    dials: tuple[float, ...] = ()
    width: float = 1.0
    """Over how much of its right neighbour's turn a wheel moves, in digits: 1.0 is from 9 to 0."""
    creeps: bool = True
    """The last wheel goes round all the time. Else the first dial moves it as if it were a wheel."""
    all_creep: bool = False
    wheel_play: tuple[float, ...] = ()
    needle_play: tuple[float, ...] = ()

    def wheel_positions(self, reading: float) -> tuple[float, ...]:
        """Of each wheel, 0 up to 10: 2.5 is half-way from 2 to 3."""
        if not self.wheels:
            return ()
        if self.all_creep:
            return self._with_play([reading / factor % 10 for factor in self.wheels])
        steps = round(reading / self.wheels[-1], 7)
        whole = floor(steps)
        part = steps - whole
        if self.creeps or not self.dials:
            place = whole % 10 + part
            moved = max(0.0, (place - 10 + self.width) / self.width)
        else:
            moved = max(0.0, (part * 10 - 10 + self.width) / self.width)
            place = whole % 10 + moved
            moved = moved if whole % 10 == 9 else 0.0
        positions = [place % 10]
        for _ in self.wheels[1:]:
            whole //= 10
            digit = whole % 10
            positions.append((digit + moved) % 10)
            moved = moved if digit == 9 else 0.0
        return self._with_play(positions[::-1])

    def needle_positions(self, reading: float) -> tuple[float, ...]:
        """Of each needle, 0 up to 10: tenths of a turn in the direction its dial counts."""
        play = self.needle_play or (0.0,) * len(self.dials)
        return tuple((reading / factor + off) % 10 for factor, off in zip(self.dials, play, strict=True))

    def _with_play(self, positions: list[float]) -> tuple[float, ...]:
        play = self.wheel_play or (0.0,) * len(positions)
        return tuple((place + off) % 10 for place, off in zip(positions, play, strict=True))

    @property
    def step(self) -> float:
        """What the last wheel or needle counts."""
        return min((*self.wheels, *self.dials))

    @property
    def span(self) -> float:
        """Where the counter begins again at zero."""
        return 10 * max((*self.wheels, *self.dials))
