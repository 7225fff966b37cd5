"""How fast a task is on this machine, measured before it is announced."""

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


def frames_per_second(look: Callable[[Picture], object], *, now: Callable[[], float]) -> float:
    """Pictures of 1280 x 720 a second, resizing included, decoding not.

    The first run is left out: it loads code and allocates. The median of the others stands for them,
    so that one run beside a busy neighbour does not count. At least one run is measured however
    long it takes. Raises what `look` raises.
    """
    picture = scene()
    look(picture)
    begin = now()
    spans: list[float] = []
    while not spans or (len(spans) < RUNS and now() - begin < SECONDS):
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
