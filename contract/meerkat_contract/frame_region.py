"""A frame that is a part of its camera's picture: user property `region`, `[x, y, width, height]`.

What is found in such a frame is told in fractions of the frame, as of every picture; `in_whole` says where
that is in the camera's picture.
"""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from .errors import BadMessage
from .message import Box

PROPERTY = "region"

_REGION = TypeAdapter(Box)


def to_property(region: Box) -> tuple[str, str]:
    """The user property that says which part of the picture a frame is."""
    return PROPERTY, "[" + ", ".join(f"{value:.6g}" for value in region) + "]"


def parse_region(text: str, *, topic: str = "") -> Box:
    """The part of the picture that a frame is. Raises BadMessage."""
    try:
        region = _REGION.validate_json(text)
    except ValidationError:
        region = (0.0, 0.0, 0.0, 0.0)
    x, y, width, height = region
    if width <= 0 or height <= 0 or x + width > 1.001 or y + height > 1.001:
        raise BadMessage(
            f"user property {PROPERTY!r}: {text[:80]!r} is no part of a picture",
            where=topic,
            remedy="Write [x, y, width, height] in fractions of the whole picture",
        )
    return region


def in_part(box: Box, region: Box | None) -> Box | None:
    """A box of the picture in fractions of its part `region`, cut off there; None when it is outside."""
    if region is None:
        return box
    left, top, wide, high = region
    x0, x1 = ((x - left) / wide for x in (box[0], box[0] + box[2]))
    y0, y1 = ((y - top) / high for y in (box[1], box[1] + box[3]))
    x0, y0, x1, y1 = max(x0, 0.0), max(y0, 0.0), min(x1, 1.0), min(y1, 1.0)
    return (x0, y0, x1 - x0, y1 - y0) if x0 < x1 and y0 < y1 else None


def in_whole(box: Box, region: Box | None) -> Box:
    """A box of a frame that is the part `region` of a picture, in fractions of the whole picture."""
    if region is None:
        return box
    left, top, wide, high = region
    x, y = left + box[0] * wide, top + box[1] * high
    return x, y, min(box[2] * wide, max(0.0, 1 - x)), min(box[3] * high, max(0.0, 1 - y))
