"""What is remembered of the picture that a layout was made for, so that later ones can be laid on it.

Bytes, little-endian, of the picture as the camera gave it (before `rotation_deg`):

    4   "MKL1"
    8   width, height of the picture; columns, rows of the texture       4 x uint16
    16  x, y, width, height of the texture's place in the picture        4 x float32, pixels
    2   number of keypoints n                                            uint16
    4n  their x, y, in 1/32 pixel of a picture scaled to WIDTH           2n x uint16
    32n their ORB descriptors (Rublee et al., ICCV 2011)
    2·columns·rows   the texture: how steep it is across and down, 255 where it is looked at nowhere

About 16 kB. Wheels and dials turn, so nothing within them is remembered.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from meerkat_contract.errors import MediaError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from meerkat_contract.meter_layout import MeterLayout

    Grey = NDArray[np.uint8]
    """(height, width)"""

WIDTH = 640
"""Pixels: pictures are compared at this width, or at their own when it is smaller."""
KEPT = 300
"""Keypoints in the landmarks: 10.8 kB of them."""
UNSEEN = 255
"""In the texture: nothing is looked at there."""

_MAGIC = b"MKL1"
_HEAD = struct.Struct("<4s4H4fH")
_CELLS = 2400
_STEEPEST = 254
_FOG = 0.15
"""Contrast beside the brightest part, below which there is only fog, or a cover. A black frame's is noise."""
_GRID = (8, 6)
"""Keypoints are taken from all over the picture: the best of each of these fields."""


class Landmarks(NamedTuple):
    """Of a reference picture; pixels of the picture as the camera gave it."""

    width: int
    height: int
    points: NDArray[np.float32]
    """(n, 2), at the scale of `working_scale`"""
    descriptors: NDArray[np.uint8]
    """(n, 32)"""
    place: tuple[float, float, float, float]
    """x, y, width, height of the texture"""
    texture: NDArray[np.uint8]
    """(2, rows, columns)"""


def features(picture: NDArray[np.uint8], layout: MeterLayout | None = None) -> bytes:
    """The landmarks of a picture, at most 24,000 bytes, to be put into its layout.

    `picture`: (height, width) grey or (height, width, 3) BGR, uint8, as the camera gave it. What turns is
    left out where the layout says so, and the comparison looks most closely around what it lays out.
    Raises MediaError when there is next to nothing to recognise in the picture.
    """
    grey = working(picture)
    scale = working_scale(picture.shape[1])
    moving = None if layout is None else moving_parts(picture.shape[:2], layout)
    allowed = None
    if moving is not None:
        allowed = np.asarray(
            cv2.resize(moving, grey.shape[::-1], interpolation=cv2.INTER_NEAREST) == 0, np.uint8
        )
        allowed *= 255
    points, descriptors = keypoints(grey, count=3 * KEPT, mask=allowed)
    if len(points) < 12:
        raise MediaError(
            f"only {len(points)} points of the picture can be recognised again",
            where="landmarks",
            remedy="Take the reference picture with more light, and sharp",
        )
    chosen = _spread(points, grey.shape)
    points, descriptors = points[chosen], descriptors[chosen]
    place = _texture_place(picture.shape[:2], layout)
    sparse = texture(grey, _placed(place, scale), _grid_of(place))
    if moving is not None:
        rows, columns = sparse.shape[1:]
        matrix = np.array(
            [
                [columns / place[2], 0, -place[0] * columns / place[2]],
                [0, rows / place[3], -place[1] * rows / place[3]],
            ]
        )
        hidden = cv2.warpAffine(moving, matrix, (columns, rows), flags=cv2.INTER_LINEAR)
        sparse[:, hidden > 64] = UNSEEN
    return _pack(Landmarks(picture.shape[1], picture.shape[0], points, descriptors, place, sparse))


@lru_cache(maxsize=16)
def unpack(data: bytes) -> Landmarks:
    """Raises UsageError when the bytes are not landmarks."""
    wrong = UsageError(
        "these are not landmarks of a picture",
        where="landmarks",
        remedy="Leave them out, and give `reference`",
    )
    if len(data) < _HEAD.size:
        raise wrong
    magic, width, height, columns, rows, x, y, w, h, count = _HEAD.unpack_from(data)
    cells = 2 * columns * rows
    good = magic == _MAGIC and len(data) == _HEAD.size + 36 * count + cells
    if not (good and width and height and columns and rows and w > 0 and h > 0):
        raise wrong
    at = _HEAD.size
    points = np.frombuffer(data, "<u2", 2 * count, at).reshape(count, 2).astype(np.float32) / np.float32(32)
    descriptors = np.frombuffer(data, np.uint8, 32 * count, at + 4 * count).reshape(count, 32)
    sparse = np.frombuffer(data, np.uint8, cells, at + 36 * count).reshape(2, rows, columns)
    return Landmarks(width, height, points, descriptors, (x, y, w, h), sparse)


def _pack(marks: Landmarks) -> bytes:
    _, rows, columns = marks.texture.shape
    count = len(marks.points)
    head = _HEAD.pack(_MAGIC, marks.width, marks.height, columns, rows, *marks.place, count)
    fine = np.clip(np.rint(marks.points * 32), 0, 65535).astype("<u2")
    return head + fine.tobytes() + marks.descriptors.tobytes() + marks.texture.tobytes()


def working_scale(width: int) -> float:
    """By what a picture of this width is scaled to be compared."""
    return min(1.0, WIDTH / width)


def working(picture: NDArray[np.uint8]) -> Grey:
    """Grey, at most WIDTH wide, its brightest parts bright: a dark picture has the same corners.

    An even grey when the picture is black, white or fogged.
    """
    scale = working_scale(picture.shape[1])
    small = picture
    if scale < 1:
        size = (WIDTH, max(1, round(picture.shape[0] * scale)))
        small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    grey = small if small.ndim == 2 else np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
    grey = np.asarray(cv2.GaussianBlur(grey, (3, 3), 0), np.uint8)
    sample = grey[::4, ::4]
    low, high = np.percentile(sample, (2, 98))
    if high - low < _FOG * max(high, 16.0):
        return np.full_like(grey, 128)
    gain = min(6.0, 230 / max(high - low, 1.0))
    return (
        np.asarray(cv2.convertScaleAbs(grey, alpha=gain, beta=-low * gain), np.uint8) if gain > 1.1 else grey
    )


def keypoints(
    grey: Grey, *, count: int, mask: NDArray[np.uint8] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Corners (n, 2) and their descriptors (n, 32), the strongest first."""
    orb = cv2.ORB.create(nfeatures=count, scaleFactor=1.3, nlevels=3, edgeThreshold=19, fastThreshold=9)
    found, descriptors = orb.detectAndCompute(grey, mask)
    if descriptors is None or not len(found):
        return np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8)
    order = np.argsort([-point.response for point in found], kind="stable")
    points = np.asarray(cv2.KeyPoint.convert(found), np.float32)
    return points[order], np.asarray(descriptors, np.uint8)[order]


def _spread(points: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Indices of at most KEPT points, as evenly over the picture as there are points."""
    columns, rows = _GRID
    column = np.minimum((points[:, 0] * columns / shape[1]).astype(int), columns - 1)
    row = np.minimum((points[:, 1] * rows / shape[0]).astype(int), rows - 1)
    field = row * columns + column
    rank = np.zeros(len(points), int)
    for one in np.unique(field):
        rank[field == one] = np.arange(int((field == one).sum()))
    return np.argsort(rank, kind="stable")[:KEPT]


def turning(rotation_deg: float, width: int, height: int) -> NDArray[np.float64]:
    """(2, 3): from pixels of the picture to pixels after `rotation_deg` about its centre."""
    centre = (width / 2, height / 2)
    return np.asarray(cv2.getRotationMatrix2D(centre, -rotation_deg, 1), np.float64)


def _outlines(shape: tuple[int, ...], layout: MeterLayout) -> list[tuple[NDArray[np.float32], bool]]:
    """Corners (4, 2) of each box in the picture as the camera gave it, and whether it is a dial."""
    height, width = shape[:2]
    sx = width / layout.width if layout.width else 1.0
    sy = height / layout.height if layout.height else 1.0
    back = cv2.invertAffineTransform(turning(layout.rotation_deg, width, height))
    outlines = []
    for counter in layout.all_counters.values():
        for boxes, dial in ((counter.digits, False), (counter.pointers, True)):
            for x, y, w, h in boxes:
                corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]]) * (sx, sy)
                outlines.append((np.asarray(cv2.transform(corners[None], back)[0], np.float32), dial))
    return outlines


def moving_parts(shape: tuple[int, ...], layout: MeterLayout) -> NDArray[np.uint8]:
    """(height, width): 255 where wheels and needles turn."""
    mask = np.zeros(shape[:2], np.uint8)
    for corners, _ in _outlines(shape, layout):
        cv2.fillConvexPoly(mask, np.rint(corners).astype(np.int32), UNSEEN)
    return mask


def _texture_place(shape: tuple[int, ...], layout: MeterLayout | None) -> tuple[float, float, float, float]:
    """Around all boxes, with some of the face about them; the whole picture without a layout."""
    height, width = shape[:2]
    outlines = [] if layout is None else _outlines(shape, layout)
    if not outlines:
        return 0.0, 0.0, float(width), float(height)
    corners = np.concatenate([outline for outline, _ in outlines])
    left, top = corners.min(0)
    right, bottom = corners.max(0)
    margin = 0.25 * max(right - left, bottom - top)
    left, top = max(0.0, float(left) - margin), max(0.0, float(top) - margin)
    right, bottom = min(float(width), float(right) + margin), min(float(height), float(bottom) + margin)
    if right - left < 8 or bottom - top < 8:
        raise UsageError(
            f"the boxes lie outside the picture of {width}x{height} pixels",
            where="layout",
            remedy="Make the layout for this camera's picture size",
        )
    return left, top, right - left, bottom - top


def _grid_of(place: tuple[float, float, float, float]) -> tuple[int, int]:
    """Columns, rows of the texture: about _CELLS, as square as they can be."""
    aspect = place[2] / place[3]
    columns = int(np.clip(round((_CELLS * aspect) ** 0.5), 12, 120))
    return columns, int(np.clip(round(columns / aspect), 12, 120))


def _placed(place: tuple[float, float, float, float], scale: float) -> NDArray[np.float64]:
    """(2, 3): from the unit square to the texture's place in the working picture."""
    x, y, w, h = place
    return np.array([[w * scale, 0, x * scale], [0, h * scale, y * scale]])


def texture(grey: Grey, where: NDArray[np.float64], cells: tuple[int, int]) -> NDArray[np.uint8]:
    """How steep the picture is across and down in each cell, beside its surroundings: (2, rows, columns).

    `where`: (2, 3), from the unit square to the picture. Cells outside the picture are UNSEEN.
    """
    columns, rows = cells
    fine = (3 * columns, 3 * rows)
    matrix = where @ np.diag([1 / fine[0], 1 / fine[1], 1.0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(grey, matrix, fine, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    steep = np.stack([np.abs(cv2.Sobel(patch, cv2.CV_32F, 1, 0)), np.abs(cv2.Sobel(patch, cv2.CV_32F, 0, 1))])
    around = cv2.blur(steep.sum(0), (31, 31)) + 12
    coarse = [cv2.resize(one / around, cells, interpolation=cv2.INTER_AREA) for one in steep]
    sparse = np.clip(np.sqrt(np.stack(coarse)) * 110, 0, _STEEPEST).astype(np.uint8)
    corners = np.stack(np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows), -1)
    places = corners @ where[:, :2].T + where[:, 2]
    inside = ((places >= 0) & (places < [grey.shape[1], grey.shape[0]])).all(-1)
    sparse[:, ~inside] = UNSEEN
    return np.asarray(sparse, np.uint8)
