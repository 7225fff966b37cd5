"""Frame numbers that survive the encoder: twelve bars along the top of a picture, bright for 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BITS = 12
DARK, BRIGHT = 40, 215


def paint(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """A luma plane (height, width): the number, and below it something that changes with it."""
    rows, columns = np.mgrid[0:height, 0:width]
    picture = ((rows * 2 + columns + 5 * number) % 160 + 48).astype(np.uint8)
    bar = width // BITS
    for bit in range(BITS):
        picture[: height // 4, bit * bar : (bit + 1) * bar] = BRIGHT if number >> bit & 1 else DARK
    return picture


def read(luma: NDArray[Any]) -> int:
    """The number in a luma plane, or in any picture of one channel."""
    height, width = luma.shape
    bar = width // BITS
    middle = luma[height // 16 : height // 6]
    return sum(
        (middle[:, bit * bar + bar // 4 : (bit + 1) * bar - bar // 4].mean() > (DARK + BRIGHT) / 2) << bit
        for bit in range(BITS)
    )
