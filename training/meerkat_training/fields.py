"""Pools of noise: drawing fresh noise for every crop would cost more than the rest of the picture.

Each pool is made once a process from a fixed seed and then cut at random places, so that results depend
on the caller's generator alone.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from .arrays import Floats, Random

_GRAIN = 1 << 19
_CLOUD = 320


@cache
def _grain() -> Floats:
    return np.random.default_rng(7).standard_normal(_GRAIN, np.float32)


def grain(rng: Random, height: int, width: int, channels: int) -> Floats:
    """White noise (height, width, channels) of unit deviation."""
    size = height * width * channels
    pool = _grain()
    if size > _GRAIN // 2:
        return rng.standard_normal((height, width, channels), np.float32)
    start = int(rng.integers(_GRAIN - size))
    return pool[start : start + size].reshape(height, width, channels)


@cache
def _cloud(level: int) -> Floats:
    rng = np.random.default_rng(11 + level)
    total = np.zeros((_CLOUD, _CLOUD), np.float32)
    for octave in range(3):
        cells = max(2, (4 << level) << octave)
        coarse = rng.standard_normal((cells, cells), np.float32)
        total += cv2.resize(coarse, (_CLOUD, _CLOUD), interpolation=cv2.INTER_CUBIC) / (1 + octave)
    low, high = np.percentile(total, (1, 99))
    clouds: Floats = np.clip((total - low) / (high - low), 0, 1).astype(np.float32)
    return clouds


def cloud(rng: Random, height: int, width: int, level: int) -> Floats:
    """Smooth noise (height, width) in 0..1; `level` 0 is broad, 4 is fine. Large pictures stretch it."""
    pool = _cloud(level)
    high, wide = min(height, _CLOUD), min(width, _CLOUD)
    top, left = int(rng.integers(_CLOUD - high + 1)), int(rng.integers(_CLOUD - wide + 1))
    part = pool[top : top + high, left : left + wide]
    if (high, wide) != (height, width):
        return cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    return part


@cache
def _axes(height: int, width: int) -> tuple[Floats, Floats]:
    down = ((np.arange(height, dtype=np.float32) + 0.5) / height - 0.5)[:, None]
    across = ((np.arange(width, dtype=np.float32) + 0.5) / width - 0.5)[None, :]
    return down, across


def axes(height: int, width: int) -> tuple[Floats, Floats]:
    """Row (height, 1) and column (1, width) coordinates -0.5..0.5 of pixel centres. Do not write to them."""
    return _axes(height, width)
