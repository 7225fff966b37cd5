"""Look at a part of a picture with the finder: turned and scaled to what it is best at, and back again."""

from __future__ import annotations

from math import atan2, cos, degrees, hypot, radians, sin
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from . import finder
from .finder import SIDE, Finds, Spot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]
    """(2, 3), from pixels of the picture to the finder's"""

_GREY = (114, 114, 114)


class Seen(NamedTuple):
    """What one look found, in pixels of the picture; tilts against the picture."""

    wheels: list[Spot]
    dials: list[Spot]


class Looker:
    """One picture, (height, width, 3) BGR uint8, in steps of half its size: each look samples the nearest."""

    def __init__(self, picture: NDArray[np.uint8], network: Finds) -> None:
        self.height, self.width = picture.shape[:2]
        self._network = network
        self._levels = [picture]
        while max(self._levels[-1].shape[:2]) > SIDE:
            last = self._levels[-1]
            size = max(1, last.shape[1] // 2), max(1, last.shape[0] // 2)
            self._levels.append(np.asarray(cv2.resize(last, size, interpolation=cv2.INTER_AREA), np.uint8))

    def whole(self, turn: float) -> Seen:
        """All of the picture, turned by degrees clockwise first."""
        across, along = abs(cos(radians(turn))), abs(sin(radians(turn)))
        wide = self.width * across + self.height * along
        high = self.width * along + self.height * across
        return self.at((self.width / 2, self.height / 2), SIDE / max(wide, high), turn)

    def at(self, middle: tuple[float, float], scale: float, turn: float) -> Seen:
        """About `middle` (x, y), `scale` pixels of the finder for each of the picture."""
        matrix = aimed(middle, scale, turn)
        mapped = self._network.look(self.view(matrix))
        return Seen(_back(finder.wheels(mapped), matrix), _back(finder.dials(mapped), matrix))

    def view(self, matrix: Matrix) -> NDArray[np.uint8]:
        """(SIDE, SIDE, 3) RGB"""
        scale = hypot(matrix[0, 0], matrix[1, 0])
        level = 0
        while level + 1 < len(self._levels) and scale * 2 ** (level + 1) <= 1.0:
            level += 1
        source = self._levels[level]
        from_level = np.diag([self.width / source.shape[1], self.height / source.shape[0], 1.0])
        seen = cv2.warpAffine(
            source,
            np.asarray(matrix @ from_level),
            (SIDE, SIDE),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=_GREY,
        )
        return np.ascontiguousarray(seen[..., ::-1], np.uint8)


def aimed(middle: tuple[float, float], scale: float, turn: float) -> Matrix:
    """(2, 3): `middle` comes to the middle, turned by degrees clockwise, at `scale`."""
    c, s = scale * cos(radians(turn)), scale * sin(radians(turn))
    matrix = np.array([[c, -s, 0.0], [s, c, 0.0]])
    matrix[:, 2] = SIDE / 2 - matrix[:, :2] @ np.asarray(middle)
    return matrix


def _back(spots: Iterable[Spot], matrix: Matrix) -> list[Spot]:
    scale = hypot(matrix[0, 0], matrix[1, 0])
    turn = atan2(matrix[1, 0], matrix[0, 0])
    inverse = cv2.invertAffineTransform(matrix)
    found = []
    for spot in spots:
        x, y = inverse @ (spot.x, spot.y, 1.0)
        size = {"width": spot.width / scale, "height": spot.height / scale}
        found.append(spot._replace(x=float(x), y=float(y), tilt=spot.tilt - turn, **size))
    return found


def degrees_between(one: float, other: float) -> float:
    """Of two directions in degrees, -180 to 180."""
    return (one - other + 180) % 360 - 180


def tilt_degrees(spot: Spot) -> float:
    return degrees(spot.tilt)
