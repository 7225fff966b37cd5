"""What a detector is: it takes a picture and says what is in it.

for found in detector.detect(picture):    # (H, W, 3) uint8, BGR
    print(found.label, found.score, found.box)

`loading` opens one; `families` holds those that run a network, `hog` the one that needs no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from meerkat_contract.messages import ModelInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FALLBACK = "hog-people"
"""Name of the built-in detector of last resort: people only, no file needed."""

FLOOR = 0.1
"""Calibrated score below which a detector does not report a box."""


@dataclass(frozen=True, slots=True)
class Found:
    """One object in one picture.

    `label` is a word of `meerkat_contract.vocabulary`; `score` is calibrated to 0..1 with 0.5 as the
    model's working point (the threshold at which it errs least); `box` is x, y, width, height in
    fractions of the picture from its top left, clipped to it.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]


class Detector(Protocol):
    """Finds objects in pictures, one at a time, on the thread that uses it."""

    @property
    def info(self) -> ModelInfo: ...

    def detect(self, picture: NDArray[np.uint8]) -> list[Found]:
        """Objects in a BGR picture of shape (H, W, 3), best first, with scores of FLOOR and more.

        The picture is not changed. Raises MediaError for an array of another shape or type and
        ModelError when the network fails: no failure reads as an empty picture.
        """
        ...

    def close(self) -> None: ...


@runtime_checkable
class BatchDetector(Detector, Protocol):
    """A detector that can look at several pictures in one go, some of them much more cheaply."""

    @property
    def at_once(self) -> int:
        """Pictures that it had better be given together; 1 when that gains nothing."""
        ...

    def detect_many(self, pictures: Sequence[NDArray[np.uint8]]) -> list[list[Found]]:
        """What `detect` gives, for each of them."""
        ...
