"""Pictures in and out: JPEG bytes to pixels and back, and boxes drawn for people to see.

OpenCV and NumPy load when pixels are wanted: the hub reads sizes only, and needs neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from meerkat_contract.errors import MediaError
from meerkat_contract.vocabulary import category

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .detector import Found

    Picture = NDArray[np.uint8]
    """(height, width, 3), BGR"""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers that start a frame and state its size (ITU T.81, table B.1)."""

_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""JPEG markers without a length behind them."""

_COLOURS = {  # BGR; each legible under white or dark text
    "person": (66, 138, 250),
    "vehicle": (214, 146, 58),
    "animal": (92, 176, 84),
    "object": (150, 118, 128),
}


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height from a JPEG's header, without decoding. Raises MediaError when it is no JPEG."""
    if data[:2] != b"\xff\xd8":
        raise MediaError(
            f"{len(data)} bytes that do not begin like a JPEG", where="picture", remedy="Send a JPEG"
        )
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
        elif marker in _FRAMES:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise MediaError(
        f"a JPEG of {len(data)} bytes whose header does not state a size",
        where="picture",
        remedy="It is damaged or cut off; send it again",
    )


def decode_jpeg(data: bytes, *, max_pixels: int = 50_000_000) -> Picture:
    """Decode a JPEG to (height, width, 3) BGR.

    The size is read from the header first, so that a small file that unpacks to gigabytes costs
    nothing. Raises MediaError that says what is wrong and the remedy.
    """
    import cv2
    import numpy as np

    width, height = jpeg_size(data)
    if not width or not height or width * height > max_pixels:
        raise MediaError(
            f"a JPEG of {width}x{height} pixels, more than {max_pixels:,} are not decoded"
            if width * height > max_pixels
            else f"a JPEG of {width}x{height} pixels",
            where="picture",
            remedy="Set a smaller picture size on the camera",
        )
    if data.rfind(b"\xff\xd9") < 0:
        raise MediaError(
            f"a JPEG of {len(data)} bytes that is cut off", where="picture", remedy="Send it whole"
        )
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise MediaError(
            f"a JPEG that cannot be decoded: {error.err}", where="picture", remedy="Send it again"
        ) from error
    if picture is None:
        raise MediaError("a JPEG that cannot be decoded", where="picture", remedy="Send it again")
    return np.asarray(picture, np.uint8)


def encode_jpeg(picture: Picture, *, quality: int = 85, max_bytes: int = 200_000) -> bytes:
    """A JPEG of at most `max_bytes`: first the quality gives way (down to 50), then the size.

    Raises MediaError when the picture cannot be encoded or not even a thumbnail fits.
    """
    import cv2
    import numpy as np

    while True:
        for attempt in range(quality, min(quality, 50) - 1, -12):
            data = _encode(picture, attempt)
            if len(data) <= max_bytes:
                return data
        height, width = picture.shape[:2]
        if min(height, width) < 32:
            raise MediaError(
                f"no JPEG of this picture fits {max_bytes} bytes", where="picture", remedy="Raise the limit"
            )
        smaller = (max(1, width * 3 // 4), max(1, height * 3 // 4))
        picture = np.asarray(cv2.resize(picture, smaller, interpolation=cv2.INTER_AREA), np.uint8)


def _encode(picture: Picture, quality: int) -> bytes:
    import cv2

    try:
        done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    except cv2.error as error:
        raise MediaError(
            f"an array of {picture.dtype} with shape {picture.shape} cannot become a JPEG: {error.err}",
            where="picture",
            remedy="Give (height, width, 3), uint8",
        ) from error
    if not done:
        raise MediaError("OpenCV cannot write JPEG", where="picture", remedy="Reinstall opencv")
    return data.tobytes()


def draw_boxes(picture: Picture, founds: Sequence[Found]) -> Picture:
    """A copy of the picture with each object framed and named, lines and letters fit to its size.

    The best is drawn last, on top of the others.
    """
    canvas = picture.copy()
    unit = max(1.0, min(canvas.shape[:2]) / 360)
    for found in sorted(founds, key=lambda found: found.score):
        _draw(canvas, found, unit)
    return canvas


def _draw(canvas: Picture, found: Found, unit: float) -> None:
    import cv2

    height, width = canvas.shape[:2]
    x, y, w, h = found.box
    left, top = round(x * (width - 1)), round(y * (height - 1))
    right, bottom = round((x + w) * (width - 1)), round((y + h) * (height - 1))
    colour = _COLOURS[category(found.label)]
    line = max(1, round(1.6 * unit))
    # A dark rim keeps the frame visible on a bright background.
    cv2.rectangle(canvas, (left, top), (right, bottom), (24, 24, 24), line + 2, cv2.LINE_AA)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, line, cv2.LINE_AA)

    text = f"{found.label.replace('_', ' ')} {found.score:.0%}"
    font, size, weight = cv2.FONT_HERSHEY_DUPLEX, 0.42 * unit, max(1, round(0.8 * unit))
    (text_width, text_height), below = cv2.getTextSize(text, font, size, weight)
    pad = round(3 * unit)
    tab_width, tab_height = text_width + 2 * pad, text_height + below + 2 * pad
    # The tab sits on the frame; where there is no room above, inside it; never beyond the edge.
    tab_top = top - tab_height if top >= tab_height else min(top, height - tab_height)
    tab_left = max(0, min(left - line // 2, width - tab_width))
    cv2.rectangle(
        canvas, (tab_left, tab_top), (tab_left + tab_width, tab_top + tab_height), colour, cv2.FILLED
    )
    origin = (tab_left + pad, tab_top + pad + text_height)
    cv2.putText(canvas, text, origin, font, size, (255, 255, 255), weight, cv2.LINE_AA)
