"""Any number of meters, each of its own design, from one seed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from meerkat_training.arrays import Bytes, Random, chance

from .design import Design
from .designing import random_design
from .face import FaceTruth
from .view import photograph, random_view


def meters(
    count: int, seed: int = 0, workers: int = 0, *, size: tuple[int, int] | None = None
) -> Iterator[tuple[Bytes, FaceTruth]]:
    """Pictures (h, w, 3) uint8 BGR with their truth; the same ones for a seed, whatever ``workers`` are.

    ``workers`` processes paint them; 0 is this one. With ``size`` (w, h) all are of that size, else from
    640×480 to 2592×1944.
    """
    if workers <= 0:
        for number in range(count):
            yield meter(seed, number, size)
        return
    # Fork-free: whoever asks may have threads, and OpenCV certainly has.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        ahead = [pool.submit(meter, seed, number, size) for number in range(min(count, 4 * workers))]
        for number in range(count):
            picture, truth = ahead.pop(0).result()
            if (later := number + 4 * workers) < count:
                ahead.append(pool.submit(meter, seed, later, size))
            yield picture, truth


def meter(seed: int, number: int, size: tuple[int, int] | None = None) -> tuple[Bytes, FaceTruth]:
    """One of them."""
    rng = np.random.default_rng([seed, number])
    design = random_design(rng)
    view = random_view(design, rng, size)
    return photograph(design, random_reading(design, rng), rng, view)


def random_reading(design: Design, rng: Random) -> float:
    """Anything the counter can show; often with nines that are about to turn, and leading zeros."""
    span, step = design.gears.span, design.gears.step
    reading = span * float(rng.random()) ** (1.0 if chance(rng, 0.5) else 3.0)
    if chance(rng, 0.15):
        wheel = design.gears.wheels[int(rng.integers(1, len(design.gears.wheels)))]
        reading = (reading // (10 * wheel) + 1) * 10 * wheel + (float(rng.random()) - 0.6) * 3 * step
    return float(reading % span)
