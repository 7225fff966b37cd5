"""Cuts the boxes of a layout out of a picture, each by one warp to the size that its network wants.

The picture as a whole is never turned: of five megapixels a reading looks at some thousands.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import UsageError
from meerkat_contract.meter_layout import MeterLayout, PixelBox

Matrix = NDArray[np.float64]
"""(2, 3): pixels of the turned picture that the layout speaks of, to pixels of the one at hand: `align`."""
Crop = NDArray[np.uint8]
"""(height, width, 3) RGB"""

WHEEL_SIZE = (20, 32)
NEEDLE_SIZE = (48, 48)
"""Width and height that the networks take."""
_FINEST = 24
"""Samples a side for each pixel of a network: enough for a dial of a thousand pixels."""
_INSIDE = 0.75
"""Of a box, the share that must lie in the picture; the missing rim continues its edge."""


@dataclass(frozen=True, slots=True)
class View:
    """A box moved by shares of its own size, to the right and down, and enlarged."""

    dx: float = 0.0
    dy: float = 0.0
    scale: float = 1.0


PLAIN = View()


def check_inside(layout: MeterLayout, matrix: Matrix, width: int, height: int) -> None:
    """Raise UsageError that names the first box that lies outside a picture of this size."""
    for name, counter in layout.all_counters.items():
        for kind, boxes in (("digits", counter.digits), ("pointers", counter.pointers)):
            for index, box in enumerate(boxes):
                if _share_inside(box, matrix, width, height) >= _INSIDE:
                    continue
                field = f"{'counters.' + name + '.' if name else ''}{kind}[{index}]"
                sides = [round(side, 1) for side in box]
                raise UsageError(
                    f"{field} {sides} lies outside the picture of {width}x{height}",
                    where="layout",
                    remedy="Is the layout for another picture, or rotation_deg of the wrong sign? "
                    "`meerkat meter draw` shows the boxes",
                )


def _share_inside(box: PixelBox, matrix: Matrix, width: int, height: int) -> float:
    x, y, w, h = box
    across, down = np.meshgrid(x + w * np.linspace(0, 1, 9), y + h * np.linspace(0, 1, 9))
    points = matrix[:, :2] @ np.stack((across.ravel(), down.ravel())) + matrix[:, 2:]
    inside = (points[0] >= 0) & (points[0] <= width) & (points[1] >= 0) & (points[1] <= height)
    return float(inside.mean())


def cut(
    picture: NDArray[np.uint8],
    box: PixelBox,
    matrix: Matrix,
    size: tuple[int, int],
    *,
    view: View = PLAIN,
    mirrored: bool = False,
) -> Crop:
    """The box as (height, width, 3) RGB of `size` (width, height), each pixel the mean of what it covers.

    `picture` is (H, W, 3) BGR. `mirrored` flips left and right: a dial that runs counter-clockwise.
    """
    width, height = size
    x, y, w, h = box
    x, y = x + w * (view.dx + (1 - view.scale) / 2), y + h * (view.dy + (1 - view.scale) / 2)
    w, h = w * view.scale, h * view.scale
    stretch = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    fine = min(_FINEST, max(1, ceil(stretch * max(w / width, h / height) - 1e-6)))
    across, down = w / (width * fine), h / (height * fine)
    # Pixel i of a picture has its middle at i + 0.5, OpenCV says i.
    to_box = np.array(((across, 0, x + across / 2), (0, down, y + down / 2), (0, 0, 1)))
    if mirrored:
        to_box = to_box @ np.array(((-1, 0, width * fine - 1), (0, 1, 0), (0, 0, 1)))
    warp = matrix @ to_box
    warp[:, 2] -= 0.5
    patch = cv2.warpAffine(
        picture,
        warp,
        (width * fine, height * fine),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if fine > 1:
        patch = cv2.resize(patch, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(patch, cv2.COLOR_BGR2RGB), np.uint8)
