"""A picture with its layout on it, as a person checks it: boxes, what each was read as, the value."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from meerkat_contract.meter_layout import CounterLayout, MeterLayout, PixelBox
from meerkat_contract.meter_messages import CounterSeen, MeterSeen, PositionSeen

from .boxes import Matrix
from .telling import written

_GOOD, _DOUBT, _BAD = (92, 176, 84), (40, 170, 250), (60, 60, 230)
"""BGR."""
_COLOURS = {"accepted": _GOOD, "held": _DOUBT, "unreadable": _BAD, "implausible": _BAD}
_DARK = (24, 24, 24)
_SURE, _FAINT = 0.8, 0.5


def draw(
    picture: NDArray[np.uint8], layout: MeterLayout, matrix: Matrix, seen: MeterSeen | None = None
) -> NDArray[np.uint8]:
    """A copy of the picture (height, width, 3) BGR. `matrix`: from the layout's pixels to the picture's.

    Without `seen`, boxes and their order only.
    """
    canvas = picture.copy()
    unit = max(0.6, min(canvas.shape[:2]) / 480)
    told = {one.counter or "": one for one in (seen.counters if seen else ())}
    for name, counter in layout.all_counters.items():
        one = told.get(name)
        _boxes(canvas, counter.digits, one.wheels if one else (), matrix, unit, mirrored=None)
        _boxes(
            canvas, counter.pointers, one.needles if one else (), matrix, unit, mirrored=counter.directions
        )
        if one is not None:
            _value(canvas, counter, one, matrix, unit)
    return canvas


def _boxes(
    canvas: NDArray[np.uint8],
    boxes: Sequence[PixelBox],
    seen: Sequence[PositionSeen],
    matrix: Matrix,
    unit: float,
    *,
    mirrored: Sequence[bool] | None,
) -> None:
    for index, (x, y, w, h) in enumerate(boxes):
        one = seen[index] if index < len(seen) else None
        colour = _DOUBT if one is None else _trust(one)
        corners = _onto(matrix, [(x, y), (x + w, y), (x + w, y + h), (x, y + h)])
        _line(canvas, corners, colour, unit, closed=True)
        if mirrored is not None and one is not None and one.position is not None:
            angle = one.position / 10 * 2 * pi * (-1 if mirrored[index] else 1)
            middle = (x + w / 2, y + h / 2)
            tip = (middle[0] + 0.42 * w * sin(angle), middle[1] - 0.42 * h * cos(angle))
            _line(canvas, _onto(matrix, [middle, tip]), colour, unit, closed=False)
        text = f"{index + 1}" if one is None else "?" if one.position is None else f"{one.position:.1f}"
        _text(canvas, text, _onto(matrix, [(x, y + h)])[0], colour, unit, below=True)


def _value(
    canvas: NDArray[np.uint8], counter: CounterLayout, seen: CounterSeen, matrix: Matrix, unit: float
) -> None:
    boxes = counter.digits or counter.pointers
    place = _onto(matrix, [(min(box[0] for box in boxes), min(box[1] for box in boxes))])[0]
    value = "" if seen.value is None else f"{written(seen.value, seen.step)} {seen.unit} "
    text = f"{value}{seen.verdict} {seen.confidence:.0%}".replace("³", "3").replace("²", "2")
    ascii_only = text.encode("ascii", "replace").decode()  # OpenCV's letters are no others
    _text(canvas, ascii_only, place, _COLOURS[seen.verdict], 1.4 * unit, below=False)


def _trust(seen: PositionSeen) -> tuple[int, int, int]:
    if seen.position is None or seen.confidence < _FAINT:
        return _BAD
    return _GOOD if seen.confidence >= _SURE else _DOUBT


def _onto(matrix: Matrix, points: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    return np.asarray(np.array(points) @ matrix[:, :2].T + matrix[:, 2], np.float64)


def _line(
    canvas: NDArray[np.uint8],
    points: NDArray[np.float64],
    colour: tuple[int, int, int],
    unit: float,
    *,
    closed: bool,
) -> None:
    path = [np.rint(points).astype(np.int32).reshape(-1, 1, 2)]
    thick = max(1, round(1.2 * unit))
    # A dark rim keeps the line visible on a bright face.
    cv2.polylines(canvas, path, closed, _DARK, thick + 2, cv2.LINE_AA)
    cv2.polylines(canvas, path, closed, colour, thick, cv2.LINE_AA)


def _text(
    canvas: NDArray[np.uint8],
    text: str,
    place: NDArray[np.float64],
    colour: tuple[int, int, int],
    unit: float,
    *,
    below: bool,
) -> None:
    font, size, weight = cv2.FONT_HERSHEY_DUPLEX, 0.4 * unit, max(1, round(0.8 * unit))
    (width, height), under = cv2.getTextSize(text, font, size, weight)
    pad = max(2, round(2 * unit))
    tall = height + under + 2 * pad
    left = int(np.clip(round(place[0]), 0, max(0, canvas.shape[1] - width - 2 * pad)))
    top = round(place[1]) + pad if below else round(place[1]) - tall - pad
    top = int(np.clip(top, 0, max(0, canvas.shape[0] - tall)))
    cv2.rectangle(canvas, (left, top), (left + width + 2 * pad, top + tall), _DARK, cv2.FILLED)
    cv2.putText(canvas, text, (left + pad, top + pad + height), font, size, colour, weight, cv2.LINE_AA)
