"""What an embedder is: it turns one face of a picture into numbers; near means alike.

seen = embedder.describe(picture, box)      # (H, W, 3) uint8 BGR; x, y, width, height in fractions
seen.embedding                              # (D,) float32
seen.quality                                # 0..1: USABLE and more is fit to be recognised
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from meerkat_contract.errors import MediaError
from meerkat_contract.messages import ModelInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from meerkat_inference.catalogue import Embedding

Box = tuple[float, float, float, float]
"""x, y, width, height in fractions of the picture."""

USABLE = 0.3
"""Quality below which a face is neither recognised nor enrolled: the back of a head, a smear."""

GOOD = 0.5
"""Quality that a picture for enrolment should have."""


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """One face in numbers."""

    embedding: NDArray[np.float32]
    """(D,)"""
    quality: float
    """0..1; the weakest of size, sharpness, light and pose. 0 when no face could be made out."""
    reason: str = ""
    """What is wrong with it when the quality is below GOOD, in words: `blurred`, `39 pixels wide`."""


class Embedder(Protocol):
    """Describes faces, one at a time, on the thread that uses it."""

    @property
    def info(self) -> ModelInfo: ...

    @property
    def device(self) -> str:
        """What it truly runs on: cpu, cuda, tensorrt, edgetpu."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the aligned face that the network takes, in pixels."""
        ...

    @property
    def embedding(self) -> Embedding:
        """What its distances mean: dimensions, threshold, margin."""
        ...

    def describe(
        self, picture: NDArray[np.uint8], box: Box, landmarks: NDArray[np.float32] | None = None
    ) -> Description:
        """The face in `box` of a BGR picture (H, W, 3) of uint8, which is not changed.

        `landmarks`, where they are known: (5, 2) pixels of the picture, the eye, the other eye, the tip
        of the nose, the corners of the mouth, in order of x for each pair; found otherwise. Raises
        MediaError for a box without pixels and ModelError when the network fails.
        """
        ...

    def close(self) -> None: ...


def pixels_of(picture: NDArray[np.uint8], box: Box) -> tuple[float, float, float, float]:
    """The box in pixels: left, top, width, height. Raises MediaError when nothing is in it."""
    height, width = picture.shape[:2]
    left, top, wide, high = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    if picture.ndim != 3 or wide < 2 or high < 2:
        raise MediaError(
            f"a face of {wide:.0f}x{high:.0f} pixels cannot be described",
            where="recognise_faces",
            remedy="Give the box of a face in fractions of the picture",
        )
    return left, top, wide, high
