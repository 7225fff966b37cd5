"""Contact sheets: many rendered meters with what is known of them drawn in."""

from __future__ import annotations

import cv2
import numpy as np

from meerkat_contract.meter_layout import MeterLayout
from meerkat_training.arrays import Bytes

from .face import Truth
from .meters import meters

_WHEEL, _NEEDLE, _TEXT = (0, 200, 0), (255, 120, 0), (255, 255, 255)


def sheet(count: int = 24, seed: int = 0, *, columns: int = 4, cell: int = 400, workers: int = 0) -> Bytes:
    """``count`` meters, upright, boxes and reading drawn in: (h, w, 3) BGR, cells ``cell`` wide, of 4:3."""
    high = cell * 3 // 4
    page: Bytes = np.zeros((-(-count // columns) * high, columns * cell, 3), np.uint8)
    for number, (picture, truth) in enumerate(meters(count, seed, workers)):
        drawn = with_truth(picture, truth)
        share = min(cell / drawn.shape[1], high / drawn.shape[0])
        small = cv2.resize(drawn, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)[:high, :cell]
        top, left = number // columns * high, number % columns * cell
        page[top : top + small.shape[0], left : left + small.shape[1]] = small
    return page


def with_truth(picture: Bytes, truth: Truth) -> Bytes:
    """The picture turned upright, its boxes, where each wheel and needle stands, and the reading."""
    upright = turned(picture, truth.layout)
    zoom = max(1, round(max(upright.shape[:2]) / 640))
    shown = [
        (box, place, colour)
        for boxes, places, colour in (
            (truth.layout.digits, truth.wheels, _WHEEL),
            (truth.layout.pointers, truth.needles, _NEEDLE),
        )
        for box, place in zip(boxes, places, strict=True)
    ]
    for (x, y, width, height), place, colour in shown:
        corner, end = (round(x), round(y)), (round(x + width), round(y + height))
        cv2.rectangle(upright, corner, end, colour, zoom)
        _say(upright, f"{place:.1f}", (corner[0], corner[1] - 3 * zoom), 0.4 * zoom, colour)
    decimals = max(0, round(-np.log10(truth.layout.step)))
    line = f"{truth.reading:.{decimals + 1}f} {truth.layout.unit.replace('³', '3')}"
    _say(upright, line, (4 * zoom, upright.shape[0] - 6 * zoom), 0.7 * zoom, _TEXT)
    return upright


def turned(picture: Bytes, layout: MeterLayout) -> Bytes:
    """The picture as its layout's boxes are meant, turned about its centre."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), -layout.rotation_deg, 1.0)
    upright: Bytes = cv2.warpAffine(picture, matrix, (width, height)).astype(np.uint8, copy=False)
    return upright


def _say(picture: Bytes, text: str, at: tuple[int, int], size: float, colour: tuple[int, int, int]) -> None:
    thick = max(1, round(size * 1.8))
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), thick + 2, cv2.LINE_AA)
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thick, cv2.LINE_AA)
