"""Lay a picture on the one that its layout was made for: a camera is knocked, a meter sits askew.

Corners of both are matched, the shift, turn and scale that most of them agree on is taken (RANSAC), and
then the two are compared around the boxes under it. A score below 0.5 refuses the picture: better no
reading than one of what is not there.
"""

from __future__ import annotations

from math import atan2, degrees, hypot
from typing import TYPE_CHECKING

import cv2
import numpy as np

from meerkat_contract.errors import MediaError, UsageError
from meerkat_contract.meter_messages import Alignment

from . import landmarks
from .landmarks import UNSEEN, Landmarks, features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from meerkat_contract.meter_layout import MeterLayout

    Matrix = NDArray[np.float64]
    """(2, 3)"""

__all__ = ["ENOUGH", "MOST_SCALE", "MOST_SHIFT", "MOST_TURN", "align", "features", "plain", "refusal"]

ENOUGH = 0.5
"""A score below it refuses the picture."""
MOST_TURN = 20.0
"""Degrees. A camera that was turned further shows another scene than the one that was laid out."""
MOST_SHIFT = 0.25
"""Of the picture's longer side."""
MOST_SCALE = 1.25

_DOUBTFUL = 0.8
"""A match whose second best is nearly as near says nothing (Lowe, IJCV 2004, section 7.1)."""
_NEAR = 3.0
"""Pixels at the working scale within which a point agrees."""
_FEW, _MANY = 7, 20
"""Agreeing points: chance, and beyond doubt."""
_UNLIKE, _ALIKE = 0.15, 0.45
"""Correlation of textures: of two meters, and of one in two lights."""


def plain(layout: MeterLayout, width: int, height: int) -> Matrix:
    """(2, 3), from the layout's pixels to a picture's that was not aligned: turned back, and scaled.

    Raises MediaError when the picture has another shape than the layout's.
    """
    to_width, to_height = layout.width or width, layout.height or height
    if abs(width / height - to_width / to_height) > 0.02 * to_width / to_height:
        raise MediaError(
            f"the picture is {width}x{height}, and the layout is for {to_width}x{to_height}",
            where="layout",
            remedy="Make a layout for this picture's shape, or set the camera back to the old one",
        )
    back = np.vstack([_turn_back(layout, to_width, to_height), [0, 0, 1]])
    return np.asarray(np.diag([width / to_width, height / to_height]) @ back[:2], np.float64)


def align(picture: NDArray[np.uint8], layout: MeterLayout) -> tuple[Alignment, Matrix]:
    """How the picture lies on the layout's reference, and (2, 3) from the layout's pixels to the picture's.

    `picture`: (height, width) grey or (height, width, 3) BGR, uint8, as the camera gave it: the matrix holds
    `rotation_deg` as well, so that boxes are cut out of the picture in one step. With a score below ENOUGH
    (see `refusal`) the matrix is only what `plain` says. Raises UsageError when the layout has no landmarks,
    MediaError when the picture has another shape than its reference.
    """
    if layout.landmarks is None:
        raise UsageError("no landmarks", where="layout", remedy="Give `reference`, or make the layout again")
    known = landmarks.unpack(layout.landmarks)
    height, width = picture.shape[:2]
    if abs(width / height - known.width / known.height) > 0.02 * known.width / known.height:
        raise MediaError(
            f"the picture is {width}x{height}, and its reference was {known.width}x{known.height}",
            where="layout",
            remedy="Make a layout for this picture's shape, or set the camera back to the old one",
        )
    grey = landmarks.working(picture)
    moved, agreeing = _movement(known, grey)
    unmoved = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    unmoved *= grey.shape[1] / (known.width * landmarks.working_scale(known.width))
    if moved is None:
        seen = Alignment(score=0.0, dx=0.0, dy=0.0, rotation_deg=0.0)
    else:
        seen = _described(known, grey, moved, unmoved=unmoved, agreeing=agreeing)
    good = moved is not None and seen.score >= ENOUGH
    return seen, _from_layout(layout, known, moved if good and moved is not None else unmoved, width)


def refusal(seen: Alignment) -> str:
    """Why the picture is refused, and the remedy; empty when it is not."""
    if seen.score >= ENOUGH:
        return ""
    if abs(seen.rotation_deg) > MOST_TURN:
        return (
            f"the picture is turned by {seen.rotation_deg:.0f} degrees against the reference: "
            "turn the camera back, or propose a new layout"
        )
    return (
        f"the picture does not match the reference (score {seen.score:.2f}): look whether the meter is lit, "
        "clean and in view; after the camera was moved, propose a new layout"
    )


def _movement(known: Landmarks, grey: NDArray[np.uint8]) -> tuple[Matrix | None, int]:
    """(2, 3) from the reference to the picture, both at the working scale, and how many points agree."""
    points, descriptors = landmarks.keypoints(grey, count=600)
    if len(points) < _FEW or len(known.points) < _FEW:
        return None, 0
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(known.descriptors, descriptors, k=2)
    chosen = [
        (best.queryIdx, best.trainIdx)
        for best, second in pairs
        if best.distance < _DOUBTFUL * second.distance and best.distance < 80
    ]
    if len(chosen) < _FEW:
        return None, 0
    index = np.array(chosen)
    before, after = known.points[index[:, 0]], points[index[:, 1]]
    found, agree = cv2.estimateAffinePartial2D(
        before, after, method=cv2.RANSAC, ransacReprojThreshold=_NEAR, maxIters=1000, confidence=0.995
    )
    if found is None:
        return None, 0
    if hypot(found[0, 0], found[1, 0]) < 0.2:  # all of them on one point: no movement
        return None, 0
    # Many corners of one letter are one piece of evidence: count the places, not the points.
    places = np.unique(np.rint(before[agree.ravel() == 1] / 8), axis=0)
    return np.asarray(found, np.float64), len(places)


def _described(
    known: Landmarks, grey: NDArray[np.uint8], moved: Matrix, *, unmoved: Matrix, agreeing: int
) -> Alignment:
    """The movement as people say it, with its score."""
    scale = hypot(moved[0, 0], moved[1, 0]) / unmoved[0, 0]
    turn = degrees(atan2(moved[1, 0], moved[0, 0]))
    to_picture = 1 / (landmarks.working_scale(known.width) * unmoved[0, 0])
    height, width = grey.shape
    centre = np.array([width / 2, height / 2, 1.0])
    shift = moved @ np.array([width / 2 / unmoved[0, 0], height / 2 / unmoved[0, 0], 1.0]) - centre[:2]
    far = np.abs(shift).max() > MOST_SHIFT * max(width, height)
    if far or abs(turn) > MOST_TURN or not 1 / MOST_SCALE <= scale <= MOST_SCALE:
        score = 0.0
    else:
        points = _share(agreeing, _FEW, _MANY)
        alike = _share(_likeness(known, grey, moved), _UNLIKE, _ALIKE)
        score = float((points * alike) ** 0.5)
    dx, dy = shift * to_picture
    return Alignment(
        score=round(score, 3),
        dx=round(float(dx), 2),
        dy=round(float(dy), 2),
        rotation_deg=round(turn, 2),
        scale=round(scale, 4),
    )


def _likeness(known: Landmarks, grey: NDArray[np.uint8], moved: Matrix) -> float:
    """How the textures around the boxes correlate, -1 to 1; 0 where too little of them is in view."""
    x, y, w, h = known.place
    scale = landmarks.working_scale(known.width)
    place = np.array([[w * scale, 0, x * scale], [0, h * scale, y * scale], [0, 0, 1]])
    _, rows, columns = known.texture.shape
    now = landmarks.texture(grey, moved @ place, (columns, rows))
    seen = known.texture[0] != UNSEEN
    both = seen & (now[0] != UNSEEN)
    if both.sum() < 0.6 * seen.sum():
        return 0.0
    whole, much = _correlation(known.texture, now, both)
    # A hand, a cable or a glare on one side leaves the rest alike: each half must be.
    halves = []
    for start, end in ((0, columns // 2), (columns // 2, columns)):
        halves.append(_correlation(known.texture[:, :, start:end], now[:, :, start:end], both[:, start:end]))
    for start, end in ((0, rows // 2), (rows // 2, rows)):
        halves.append(_correlation(known.texture[:, start:end], now[:, start:end], both[start:end]))
    return min(whole, *(1.3 * alike for alike, detail in halves if detail > 0.4 * much))


def _correlation(
    one: NDArray[np.uint8], other: NDArray[np.uint8], where: NDArray[np.bool_]
) -> tuple[float, float]:
    """Of two textures, and how much there is to see in the first: its standard deviation."""
    if where.sum() < 20:
        return 0.0, 0.0
    before, after = one[:, where].astype(np.float32), other[:, where].astype(np.float32)
    before -= before.mean(1, keepdims=True)
    after -= after.mean(1, keepdims=True)
    much, spread = float(before.std()), float(after.std())
    if much < 1 or spread < 1:
        return 0.0, much
    return float((before * after).mean()) / (much * spread), much


def _share(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _turn_back(layout: MeterLayout, width: int, height: int) -> Matrix:
    return np.asarray(
        cv2.invertAffineTransform(landmarks.turning(layout.rotation_deg, width, height)), np.float64
    )


def _from_layout(layout: MeterLayout, known: Landmarks, moved: Matrix, width: int) -> Matrix:
    """The layout's pixels → turned back → the reference at working scale → the picture."""
    to_width, to_height = layout.width or known.width, layout.height or known.height
    back = np.vstack([_turn_back(layout, to_width, to_height), [0, 0, 1]])
    down = landmarks.working_scale(known.width) * known.width / to_width
    whole = np.vstack([moved, [0, 0, 1]]) @ np.diag([down, down, 1.0]) @ back
    return np.asarray(whole[:2] / landmarks.working_scale(width), np.float64)
