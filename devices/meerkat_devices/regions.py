"""Parts of a camera's picture, in fractions of it: masks, private places, zones, a region of interest.

A polygon is a list of corners `[x, y]`, 0 to 1 from the top left corner, in order; the last is joined to
the first. Where it crosses itself, what is enclosed twice is outside (even-odd), here and on the hub.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from meerkat_contract.messages import Box

if TYPE_CHECKING:
    import numpy as np
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

Corner = tuple[float, float]
Corners = tuple[Corner, ...]

MASK_SIDE = 512
"""Pixels of the square on which masks are drawn; the motion detector's own picture has 100 rows."""

LEAST_PIXELS = 32
"""Of a region's width and height: no model finds anything in less."""

_SUBPIXELS = 8
"""Bits of the fractions of a pixel that OpenCV takes, so that an edge lies where it was drawn."""


def _in_fractions(value: object) -> object:
    """Pixels are the usual mistake, so they are named."""
    if isinstance(value, list | tuple):
        numbers = [n for item in value for n in (item if isinstance(item, list | tuple) else [item])]
        if any(isinstance(n, int | float) and not 0 <= n <= 1 for n in numbers):
            raise ValueError(
                "write fractions of the picture, 0 to 1 from its top left corner: pixels divided by its "
                "width and height"
            )
    return value


def _a_shape(corners: Corners) -> Corners:
    if len(set(corners)) < 3:
        raise ValueError("a polygon has at least three different corners [x, y]")
    return corners


def _within(region: Box) -> Box:
    x, y, width, height = region
    if width <= 0 or height <= 0 or x + width > 1 + 1e-9 or y + height > 1 + 1e-9:
        raise ValueError("a region is [x, y, width, height] and ends within the picture")
    return region


Polygon = Annotated[Corners, BeforeValidator(_in_fractions), Field(max_length=100), AfterValidator(_a_shape)]
Region = Annotated[Box, BeforeValidator(_in_fractions), AfterValidator(_within)]


def motion_mask(polygons: Sequence[Corners]) -> NDArray[np.uint8] | None:
    """Where motion counts (255) and where it does not (0), square; None when it counts everywhere."""
    if not polygons:
        return None
    import numpy as np

    mask: NDArray[np.uint8] = np.full((MASK_SIDE, MASK_SIDE), 255, np.uint8)
    paint(mask, polygons)
    return mask


def paint(picture: Any, polygons: Iterable[Corners], *, region: Box | None = None) -> None:
    """Paint polygons black, in place. `picture` is (H, W) or (H, W, 3), of the camera's `region` if given."""
    import cv2
    import numpy as np

    height, width = picture.shape[:2]
    left, top, wide, high = region or (0.0, 0.0, 1.0, 1.0)
    for corners in polygons:
        inside = (np.array(corners) - (left, top)) / (wide, high)
        points = np.round((inside * (width, height) - 0.5) * (1 << _SUBPIXELS)).astype(np.int32)
        cv2.fillPoly(picture, [points], (0, 0, 0), shift=_SUBPIXELS)


def pixels(region: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """(left, top, width, height) of a region in a picture: even numbers, as 4:2:0 wants them."""
    wide = min(width, max(LEAST_PIXELS, round(region[2] * width))) // 2 * 2
    high = min(height, max(LEAST_PIXELS, round(region[3] * height))) // 2 * 2
    left = min(round(region[0] * width) // 2 * 2, width - wide)
    top = min(round(region[1] * height) // 2 * 2, height - high)
    return max(0, left // 2 * 2), max(0, top // 2 * 2), wide, high


def cut(frame: VideoFrame, region: Box) -> tuple[VideoFrame, Box]:
    """The region of a frame as a frame of its own, in the frame's pixel format, and where it lies exactly.

    4:2:0 is cut in its planes: what lies outside is neither converted nor copied.
    """
    import numpy as np
    from av.video.frame import VideoFrame

    left, top, wide, high = pixels(region, frame.width, frame.height)
    exact = left / frame.width, top / frame.height, wide / frame.width, high / frame.height
    if frame.format.name in ("yuv420p", "yuvj420p"):
        planes: Any = zip(frame.planes, (1, 2, 2), strict=True)
        parts: list[NDArray[np.uint8]] = []
        for plane, shrunk in planes:
            rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            part = rows[top // shrunk : (top + high) // shrunk, left // shrunk : (left + wide) // shrunk]
            parts.append(part.reshape(-1))
        together = np.concatenate(parts).reshape(high * 3 // 2, wide)
        part_frame = VideoFrame.from_ndarray(together, format=frame.format.name)
        part_frame.colorspace, part_frame.color_range = frame.colorspace, frame.color_range
    else:
        whole: Any = frame.reformat(format="bgr24").to_ndarray()
        inside = np.ascontiguousarray(whole[top : top + high, left : left + wide])
        part_frame = VideoFrame.from_ndarray(inside, format="bgr24")
    return part_frame, exact
