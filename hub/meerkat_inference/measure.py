"""How fast a task is on this machine, measured before it is announced, and again in quiet times."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .picture import Picture

SIZE = (1280, 720)
SECONDS = 0.6
"""Measuring ends after this long, the warm-up not included…"""
RUNS = 15
"""…or after so many runs."""

IDLE_SECONDS, LONGEST_PAUSE = 60.0, 3600.0
"""Without a job for so long a worker measures again; the pause doubles up to the longer one."""
GLANCES = 5
"""Runs of such a measurement."""


class QuietTimes:
    """When to measure again. Pure; times are monotonic seconds.

    What was measured beside a busy neighbour is too low, and stays so for a task that gets no job: the
    hub corrects a figure by what jobs take, and gives none to a node that seems too slow.
    """

    def __init__(self, now: float) -> None:
        self._since = now
        self._pause = IDLE_SECONDS

    def worked(self, now: float) -> None:
        """A job, or another task was loaded."""
        self._since = now

    def due(self, now: float) -> bool:
        return now - self._since >= self._pause

    def measured(self, now: float, *, news: bool) -> None:
        """`news`: some figure was better. Where it was not, the next look comes later."""
        self._since = now
        self._pause = IDLE_SECONDS if news else min(2 * self._pause, LONGEST_PAUSE)


def frames_per_second(
    look: Callable[[Picture], object],
    *,
    now: Callable[[], float],
    runs: int = RUNS,
    go_on: Callable[[], bool] = lambda: True,
) -> float | None:
    """Pictures of 1280 x 720 a second, resizing included, decoding not.

    The first run is left out: it loads code and allocates. The median of the others stands for them,
    so that one run beside a busy neighbour does not count. At least one run is measured however
    long it takes. None when `go_on`, asked before each run, said no. Raises what `look` raises.
    """
    picture = scene()
    if not go_on():
        return None
    look(picture)
    begin = now()
    spans: list[float] = []
    while not spans or (len(spans) < runs and now() - begin < SECONDS):
        if not go_on():
            return None
        start = now()
        look(picture)
        spans.append(now() - start)
    return 1 / max(median(spans), 1e-6)


def scene() -> Picture:
    """A soft gradient with a dark upright shape: work for a detector, the same on every machine."""
    width, height = SIZE
    y, x = np.mgrid[0:height, 0:width]
    tones = np.stack([x * 160 // width + 60, y * 120 // height + 80, (x + y) % 200 + 30], axis=2)
    tones[height // 4 : height * 3 // 4, width * 9 // 20 : width * 11 // 20] = 40
    return tones.astype(np.uint8)
