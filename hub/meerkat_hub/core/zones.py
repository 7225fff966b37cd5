"""In which zones of a camera something is. Pure.

A thing stands where its box ends: the middle of the box's lower edge is what has to lie in the zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from meerkat_contract.messages import Box

Polygon = Sequence[tuple[float, float]]
"""Corners (x, y) in fractions of the picture; the last is joined to the first."""

Zones = Mapping[str, Polygon]


class ZonesOf(Protocol):
    """Who knows the cameras' zones."""

    def __call__(self, device: str, camera: str) -> Zones: ...


def no_zones(device: str, camera: str) -> Zones:  # noqa: ARG001 - as ZonesOf
    return {}


def contains(polygon: Polygon, x: float, y: float) -> bool:
    """Whether a point lies in a polygon (even-odd: what is enclosed twice is outside).

    A left or upper edge belongs to it, a right or lower one does not, so that of two zones that share
    an edge a point is in one.
    """
    if len(polygon) < 3:  # a device may say anything
        return False
    inside = False
    x0, y0 = polygon[-1]
    for x1, y1 in polygon:
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            inside = not inside
        x0, y0 = x1, y1
    return inside


def foot(box: Box) -> tuple[float, float]:
    """Where a thing stands. Kept inside the picture: a box that ends with it stands on its last row."""
    return min(box[0] + box[2] / 2, 1 - 1e-9), min(box[1] + box[3], 1 - 1e-9)


def zones_of(boxes: Iterable[Box], zones: Zones) -> tuple[str, ...]:
    """The zones that any of the boxes stands in, in the order of their names."""
    if not zones:
        return ()
    feet = [foot(box) for box in boxes]
    return tuple(
        sorted(name for name, polygon in zones.items() if any(contains(polygon, x, y) for x, y in feet))
    )
