"""The network that sees where wheels and dials are: a map of what stands about each cell of a picture.

It takes one picture of SIDE × SIDE pixels and gives, for each cell of STRIDE × STRIDE pixels, how likely a
wheel's window (or a dial) has its middle there, and where and how large it is then. All numbers of a box
are relative to the cell, so the same network serves wheels of 8 to 60 pixels: see `Channel`. It is trained
on rendered meters (training/meerkat_training/finder.py).
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from meerkat_contract.errors import ModelError
from meerkat_inference.opening import open_engine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from meerkat_inference.engine import Engine

SIDE = 320
STRIDE = 8
CELLS = SIDE // STRIDE
WHEEL = (20.0, 32.0)
"""Width and height in pixels at which a wheel's logarithms are zero."""
DIAL = 64.0
OFFSET, SIZE, TILT = 0.25, 4.0, 8.0
"""What a pixel, a natural logarithm and a radian count in the network's output: they share its int8 range
with the logits."""
FILE = Path(__file__).parents[1] / "models" / "finder.tflite"


class Channel(IntEnum):
    """What the network says of each cell. Logits of a likelihood; else see OFFSET, SIZE, TILT."""

    WHEEL = 0
    """Logit: a wheel's window has its middle about here."""
    WHEEL_X = 1
    """Its middle is so far to the right of the cell's middle,"""
    WHEEL_Y = 2
    """and so far down."""
    WHEEL_WIDTH = 3
    WHEEL_HEIGHT = 4
    WHEEL_AFTER = 5
    """Logit: it stands after the decimal point."""
    WHEEL_TILT = 6
    """By how much the row is turned clockwise."""
    DIAL = 7
    DIAL_X = 8
    DIAL_Y = 9
    DIAL_SIZE = 10
    DIAL_MIRRORED = 11
    """Logit: it counts counter-clockwise."""


class Spot(NamedTuple):
    """A wheel or a dial as found: its middle and size in the network's pixels."""

    x: float
    y: float
    width: float
    height: float
    score: float
    told: float
    """Of a wheel, how likely it stands after the point; of a dial, that it counts counter-clockwise."""
    tilt: float
    """Radians clockwise; 0 for a dial."""


class Finds(Protocol):
    """What maps a picture: `Finder`, or a stand-in for tests."""

    def look(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(SIDE, SIDE, 3) RGB to (CELLS, CELLS, len(Channel))."""
        ...


class Finder:
    """The network on the CPU, loaded when the first picture comes."""

    def __init__(self, file: Path = FILE) -> None:
        self._file = file
        self._engine: Engine | None = None

    def look(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._engine is None:
            self._engine = open_engine(self._file)
        seen = np.asarray(self._engine.run(picture[None])[0], np.float32)
        if seen.size != CELLS * CELLS * len(Channel):
            raise ModelError(
                f"it gives {seen.shape}, and (1, {CELLS}, {CELLS}, {len(Channel)}) is wanted",
                where=str(self._file),
                remedy="Install Meerkat again: pip install --force-reinstall meerkat-home",
            )
        return seen.reshape(CELLS, CELLS, len(Channel))

    def close(self) -> None:
        """Give the memory back; the next picture loads it again."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def wheels(seen: NDArray[np.float32], least: float = 0.3) -> list[Spot]:
    """Wheels of at least this score, the surest first; no two on each other."""
    x, y = _middles(seen, Channel.WHEEL_X, Channel.WHEEL_Y)
    width = WHEEL[0] * np.exp(seen[..., Channel.WHEEL_WIDTH] / SIZE)
    height = WHEEL[1] * np.exp(seen[..., Channel.WHEEL_HEIGHT] / SIZE)
    score = likelihood(seen[..., Channel.WHEEL])
    told, tilt = likelihood(seen[..., Channel.WHEEL_AFTER]), seen[..., Channel.WHEEL_TILT] / TILT
    return _merged(np.stack([x, y, width, height, score, told, tilt], -1).reshape(-1, 7), least)


def dials(seen: NDArray[np.float32], least: float = 0.1) -> list[Spot]:
    """Dials of at least this score, the surest first; no two on each other."""
    x, y = _middles(seen, Channel.DIAL_X, Channel.DIAL_Y)
    size = DIAL * np.exp(seen[..., Channel.DIAL_SIZE] / SIZE)
    score, told = likelihood(seen[..., Channel.DIAL]), likelihood(seen[..., Channel.DIAL_MIRRORED])
    return _merged(np.stack([x, y, size, size, score, told, np.zeros_like(x)], -1).reshape(-1, 7), least)


def likelihood(logit: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -20, 20))), np.float32)


def cells() -> NDArray[np.float32]:
    """(CELLS, CELLS, 2): x, y of each cell's middle in pixels."""
    line = (np.arange(CELLS, dtype=np.float32) + 0.5) * STRIDE
    return np.stack(np.meshgrid(line, line), -1)


def _middles(
    seen: NDArray[np.float32], across: Channel, down: Channel
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    middle = cells()
    return middle[..., 0] + seen[..., across] / OFFSET, middle[..., 1] + seen[..., down] / OFFSET


def _merged(found: NDArray[np.float32], least: float) -> list[Spot]:
    """Of (n, 7) rows x, y, width, height, score, …: those that say the same become one, by their scores."""
    found = found[found[:, 4] >= least]
    found = found[np.argsort(-found[:, 4], kind="stable")]
    spots = []
    while len(found):
        best = found[0]
        near = (np.abs(found[:, 0] - best[0]) < 0.5 * np.minimum(best[2], found[:, 2])) & (
            np.abs(found[:, 1] - best[1]) < 0.5 * np.minimum(best[3], found[:, 3])
        )
        same = found[near & (found[:, 4] > 0.5 * best[4])]
        mean = (same * same[:, 4:5] ** 2).sum(0) / (same[:, 4] ** 2).sum()
        x, y, width, height, _, told, tilt = (float(value) for value in mean)
        spots.append(Spot(x, y, width, height, float(best[4]), told, tilt))
        found = found[~near]
    return spots
