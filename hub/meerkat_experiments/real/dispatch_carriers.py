"""What carries the images of the benchmark to the hub, about 50 kB each."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from meerkat_contract.ids import new_id
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Delivery, Session
from meerkat_contract.topics import ThingTopic

from .dispatch_site import DEVICE

CAMERA = "front"
_JPEG_16_BY_16 = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19i"
    "Z2hnPk1xeXBkeFxlZ2P/wAALCAAQABABAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUF"
    "BAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVW"
    "V1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi"
    "4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/ACiiiv/Z"
)
_LONGEST_SEGMENT = 0xFFFF


def jpeg(size: int) -> bytes:
    """A good JPEG of 16 × 16 pixels, padded with comments to exactly `size` bytes if that is above 400."""
    missing = size - len(_JPEG_16_BY_16)
    comments = []
    while missing >= 4:
        length = min(_LONGEST_SEGMENT, missing - 2)
        if 0 < missing - 2 - length < 4:
            length -= 4  # what is left over must hold another segment
        comments.append(struct.pack(">2sH", b"\xff\xfe", length) + bytes(length - 2))
        missing -= 2 + length
    return _JPEG_16_BY_16[:2] + b"".join(comments) + _JPEG_16_BY_16[2:]


def one_frame_clip(size: int) -> bytes:
    """An MP4 by its structure, 0.2 s long: one frame for a worker to look at. It has no pictures in it.

    The hub checks the structure and decodes nothing, nor does the stand-in.
    """
    kind = _box(b"ftyp", b"isom" + struct.pack(">I", 512) + b"isomiso2mp41")
    header = struct.pack(">4xIIII", 0, 0, 1000, 200) + bytes(80)
    index = _box(b"moov", _box(b"mvhd", header))
    return kind + index + _box(b"mdat", bytes(max(0, size - len(kind) - len(index) - 8)))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


class Carrier(Protocol):
    """`task` is what a worker must offer; `settings` belong into the hub's section of meerkat.yaml."""

    name: str
    task: str
    settings: Mapping[str, object]

    def publish(self, session: Session) -> Delivery:
        """Send one image as device `bench`."""
        ...


class Clips:
    """Durable: stored and committed before it is dealt out, its outcome committed and announced."""

    name = "clip"
    task = "detect_objects"
    settings: Mapping[str, object] = {}

    def __init__(self, size: int) -> None:
        self._payload = one_frame_clip(size)

    def publish(self, session: Session) -> Delivery:
        metadata = Metadata(
            id=new_id(), captured_at=datetime.now(UTC), content_type="video/mp4", duration=0.2, last=True
        )
        return session.publish(ThingTopic(DEVICE, CAMERA, "clip"), self._payload, qos=1, metadata=metadata)
