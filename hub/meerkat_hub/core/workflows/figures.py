"""What a node's measured figures are worth to a plan: one figure, and how it is believed.

What is measured jitters and dips: a backup runs, a stick is warm, a first look is slow. So a figure is
kept twice:

    steady     what those who run are judged by. It follows what is measured only when all that was heard
               for LASTING seconds lies on the same side of it, by more than DRIFT. A dip that is over sooner
               throws nobody out.
    careful    what newcomers are judged by. The same, but it falls at once when one value is worse by more
               than LEAP, and comes back as slowly as it rises.

Seconds are counted of evidence, not of the clock: between two values at most GAP of them, and none while
nothing is measured. So a node that was slow at its last frame before a quiet hour is not called slow for it.

Nobody measures a node that nobody uses. A figure that is worse than what the node announced is therefore
forgotten after FORGET seconds of silence, and the announced one counts again: what was refused because of it
gets another try. If it turns out to be as bad as before, the next try comes after twice as long.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

LEAP = 0.2
DRIFT = 0.05
"""Relative."""

LASTING = 30.0
"""Seconds of evidence."""

GAP = 10.0

FORGET = 600.0
LONGEST_FORGET = 86_400.0


class Figure:
    """Frames per second: more is better."""

    def __init__(self, announced: float, now: float) -> None:
        self.announced = announced
        self.careful = announced
        self.steady = announced
        self.latest: float | None = None
        """Measured last; None: not yet."""
        self._heard = 0.0
        """Seconds of evidence so far."""
        self._window: deque[tuple[float, float]] = deque([(0.0, announced)])
        """(seconds of evidence, value), the last LASTING of them; the first stands for what was before."""
        self._at = now
        self._patience = FORGET

    # --- which of two is better ------------------------------------------------------------------

    def worse(self, value: float, than: float) -> float:
        """By which part `value` is worse; below 0 when it is better."""
        return (than - value) / than

    def best(self, values: Iterable[float]) -> float:
        return max(values)

    def worst(self, values: Iterable[float]) -> float:
        return min(values)

    # --- what happens ----------------------------------------------------------------------------

    def announce(self, value: float, now: float) -> bool:
        """The node says another figure than before; whether a plan may change.

        It has measured itself with care: newcomers are judged by it at once. Those who run keep a better
        figure until the work shows that it is gone.
        """
        if value == self.announced:
            return False
        self.announced, self._patience = value, FORGET
        return self._begin(now)

    def _begin(self, now: float) -> bool:
        """Believe what was announced."""
        before = (self.careful, self.steady)
        self.careful = self.announced
        self.steady = self.best((self.steady, self.announced))
        self.latest = None
        self._window = deque([(self._heard, self.steady), (self._heard, self.announced)])
        self._at = now
        return before != (self.careful, self.steady)

    def measured(self, value: float, now: float) -> bool:
        """A value from the node's work; whether a plan may change."""
        before = (self.careful, self.steady)
        self._heard += min(max(now - self._at, 0.0), GAP)
        self._at, self.latest = now, value
        window = self._window
        window.append((self._heard, value))
        while len(window) > 1 and window[1][0] <= self._heard - LASTING:
            window.popleft()  # the first is as old as LASTING, or older
        best = self.best(value for _, value in window)
        worst = self.worst(value for _, value in window)
        self.steady = self._followed(self.steady, best, worst)
        self.careful = self._followed(self.careful, best, worst)
        if self.worse(value, self.careful) > LEAP:
            self.careful = value
        self.careful = self.worst((self.careful, self.steady))
        return before != (self.careful, self.steady)

    def _followed(self, figure: float, best: float, worst: float) -> float:
        if self.worse(best, figure) > DRIFT:
            return best
        return worst if self.worse(figure, worst) > DRIFT else figure

    # --- time ------------------------------------------------------------------------------------

    def forget_at(self) -> float | None:
        """When what was measured is forgotten, unless more is; None: it is no worse than announced."""
        return self._at + self._patience if self.worse(self.careful, self.announced) > DRIFT else None

    def pass_time(self, now: float) -> bool:
        """Forget what is due; whether a plan may change."""
        due = self.forget_at()
        if due is None or now < due:
            return False
        self._patience = min(2 * self._patience, LONGEST_FORGET)
        return self._begin(now)


class Way(Figure):
    """Seconds there and back: fewer are better, and half a millisecond is nothing in any case.

    No node announces its way. The best that it ever had for LASTING seconds stands in for it; before that, 0.
    """

    NOTHING = 0.0005

    def worse(self, value: float, than: float) -> float:
        if abs(value - than) <= self.NOTHING:
            return 0.0
        return (value - than) / than if than else math.inf

    def best(self, values: Iterable[float]) -> float:
        return min(values)

    def worst(self, values: Iterable[float]) -> float:
        return max(values)

    def measured(self, value: float, now: float) -> bool:
        changed = super().measured(value, now)
        self.announced = self.best((self.announced, self.steady)) if self.announced else self.steady
        return changed
