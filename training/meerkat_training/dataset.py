"""Rendered crops with their truth, in any number, on any number of processes.

The same seed gives the same crops whatever the number of workers: work is cut into blocks of fixed size
and each block has a generator of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import cv2
import numpy as np

from .arrays import Bytes, Floats, chance
from .crops import DIAL, HEIGHT, WIDTH, needle_crop, wheel_shot
from .negatives import negative_needle, negative_wheel
from .segment_negatives import negative_segment
from .segments import photograph_segment, random_display, random_shown
from .wheels import random_style, telling_position

BLOCK = 250
NEGATIVES = 0.08
"""Share of crops without a digit or needle; their position is NaN."""
WHEEL_STREAM, NEEDLE_STREAM, SEGMENT_STREAM = 1, 2, 3
NO_SEGMENTS = 0.14
"""The same share for displays: what is no digit there is often made of the same segments."""

Crops = tuple[Bytes, Floats]
"""Pictures (n, h, w, 3) uint8 RGB and positions (n,) float32, NaN for negatives."""


def _single_thread() -> None:
    cv2.setNumThreads(1)


def wheel_block(seed: int, count: int, block: int) -> Crops:
    """The first `count` wheels of one block of a seed."""
    rng = np.random.default_rng([seed, WHEEL_STREAM, block])
    crops, positions = np.empty((count, HEIGHT, WIDTH, 3), np.uint8), np.full(count, np.nan, np.float32)
    style = random_style(rng)
    for index in range(count):
        if chance(rng, NEGATIVES):
            crops[index] = negative_wheel(rng)
            continue
        if chance(rng, 0.5):  # Two wheels of a counter on average: its font is drawn once.
            style = random_style(rng)
        position = telling_position(style, rng)
        crops[index], readable = wheel_shot(style, position, rng)
        if readable:  # Else one more picture of no digit: to label it would teach guessing.
            positions[index] = position
    return crops, positions


def needle_block(seed: int, count: int, block: int) -> Crops:
    """The first `count` needles of one block of a seed."""
    rng = np.random.default_rng([seed, NEEDLE_STREAM, block])
    crops, positions = np.empty((count, DIAL, DIAL, 3), np.uint8), np.full(count, np.nan, np.float32)
    for index in range(count):
        if chance(rng, NEGATIVES):
            crops[index] = negative_needle(rng)
        else:
            position = 10.0 * float(rng.random())
            crops[index], positions[index] = needle_crop(rng, position), position
    return crops, positions


def segment_block(seed: int, count: int, block: int) -> Crops:
    """The first `count` places of displays of one block of a seed."""
    rng = np.random.default_rng([seed, SEGMENT_STREAM, block])
    crops, shown = np.empty((count, HEIGHT, WIDTH, 3), np.uint8), np.full(count, np.nan, np.float32)
    for index in range(count):
        if chance(rng, NO_SEGMENTS):
            crops[index] = negative_segment(rng)
            continue
        digit = random_shown(rng)
        crops[index], shown[index] = photograph_segment(random_display(rng), digit, rng), digit
    return crops, shown


_MAKERS = {"wheels": wheel_block, "needles": needle_block, "segments": segment_block}


def _kind_block(kind: str, seed: int, job: tuple[int, int]) -> Crops:
    block, count = job
    return _MAKERS[kind](seed, count, block)


def _blocks(kind: str, n: int, seed: int, workers: int) -> Iterator[Crops]:
    jobs = [(block, min(BLOCK, n - block * BLOCK)) for block in range(-(-n // BLOCK))]
    work = partial(_kind_block, kind, seed)
    if workers <= 1 or len(jobs) == 1:
        yield from map(work, jobs)
        return
    # Spawned, not forked: the parent may hold a training library's threads.
    with ProcessPoolExecutor(
        min(workers, len(jobs)), get_context("spawn"), initializer=_single_thread
    ) as pool:
        yield from pool.map(work, jobs)


def render_of(kind: str) -> Callable[[int, int, int], Crops]:
    """What draws for the network `wheel`, `needle` or `segment`."""
    return {"wheel": wheels, "needle": needles, "segment": segments}[kind]


def _gather(kind: str, n: int, seed: int, workers: int, shape: tuple[int, int]) -> Crops:
    crops, positions = np.empty((n, *shape, 3), np.uint8), np.empty(n, np.float32)
    start = 0
    for pictures, truths in _blocks(kind, n, seed, workers):
        crops[start : start + len(truths)] = pictures
        positions[start : start + len(truths)] = truths
        start += len(truths)
    return crops, positions


def wheels(n: int, seed: int, workers: int = 1) -> Crops:
    """`n` wheels: (n, 32, 20, 3) uint8 RGB and their positions 0 to 10."""
    return _gather("wheels", n, seed, workers, (HEIGHT, WIDTH))


def needles(n: int, seed: int, workers: int = 1) -> Crops:
    """`n` needles: (n, 48, 48, 3) uint8 RGB and their positions 0 to 10."""
    return _gather("needles", n, seed, workers, (DIAL, DIAL))


def segments(n: int, seed: int, workers: int = 1) -> Crops:
    """`n` places of displays: (n, 32, 20, 3) uint8 RGB and what they show: 0 to 9, 10 for nothing, NaN."""
    return _gather("segments", n, seed, workers, (HEIGHT, WIDTH))
