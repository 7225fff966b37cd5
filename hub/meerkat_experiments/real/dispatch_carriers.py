"""What carries the images of the benchmark to the hub, about 50 kB each."""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime
from typing import Protocol

from meerkat_contract.errors import UsageError
from meerkat_contract.ids import new_id
from meerkat_contract.messages import Found, FrameFindings
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Delivery, Session
from meerkat_contract.topics import ThingTopic

from .dispatch_site import DEVICE

_JPEG_16_BY_16 = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19i"
    "Z2hnPk1xeXBkeFxlZ2P/wAALCAAQABABAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUF"
    "BAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVW"
    "V1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi"
    "4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/ACiiiv/Z"
)
_LONGEST_SEGMENT = 0xFFFF
FASTEST_CAMERA = 240
"""Frames per second, the most that a workflow takes."""
MOST_WAITING = 250
"""Frames unanswered at a time."""


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
    """How images reach the hub."""

    name: str
    task: str
    """What a worker must offer."""
    most_waiting: int | None
    """Images that the hub may have unanswered at a time; None: all of them."""
    cameras: tuple[str, ...]
    workflow: str | None
    """The workflow that has to run first."""

    def configuration(self, capacities: tuple[int, ...], /) -> dict[str, object]:
        """Sections of the hub's meerkat.yaml, for workers of these jobs a second."""
        ...

    def publish(self, session: Session, number: int, /) -> Delivery:
        """Send one image as device `bench`, the `number`th of its batch."""
        ...


class Clips:
    """Durable: stored and committed before it is dealt out, its outcome committed and announced."""

    name = "clip"
    task = "detect_objects"
    most_waiting: int | None = None
    cameras: tuple[str, ...] = ("front",)
    workflow: str | None = None

    def __init__(self, size: int) -> None:
        self._payload = one_frame_clip(size)

    def configuration(self, _capacities: tuple[int, ...], /) -> dict[str, object]:
        return {}

    def publish(self, session: Session, _number: int, /) -> Delivery:
        metadata = Metadata(
            id=new_id(), captured_at=datetime.now(UTC), content_type="video/mp4", duration=0.2, last=True
        )
        topic = ThingTopic(DEVICE, self.cameras[0], "clip")
        return session.publish(topic, self._payload, qos=1, metadata=metadata)


class Frames:
    """Perishable: frames of interest of one workflow whose device has found a face in each.

    One workflow of four cameras on all workers. It asks for more frames a second than they can do
    (`overbooking`), because E2 has more images at once than any house would let wait. The hub holds at most
    256 waiting frames of a workflow, so the device keeps fewer than that unanswered: no worker is ever
    without one, and the shortest makespan stays what it is.
    """

    name = "frame"
    task = "recognise_faces"
    most_waiting: int | None = MOST_WAITING
    cameras: tuple[str, ...] = ("east", "north", "south", "west")
    workflow: str | None = "bench"

    def __init__(self, size: int) -> None:
        self._payload = jpeg(size)
        found = Found(label="face", score=0.9, box=(0.25, 0.25, 0.5, 0.5))
        self._found = FrameFindings(found=(found,)).to_json().decode()

    def configuration(self, capacities: tuple[int, ...], /) -> dict[str, object]:
        # Slowest first, it takes all workers to do this; yet what is measured may dip, by half in E2.
        wanted = max(1.15 * (sum(capacities) - max(capacities)), 0.3 * sum(capacities))
        # The device sends so many at once, and then one for each that is answered.
        sent = max(MOST_WAITING, sum(capacities))
        overbooking = max(1.0, 1.2 * sent / wanted)
        fps = overbooking * wanted / len(self.cameras)
        if fps > FASTEST_CAMERA:
            raise UsageError(
                f"these workers could do {sum(capacities)} frames/s, "
                f"which with room for bursts is more than {len(self.cameras)} cameras send",
                where="--capacities",
                remedy="Name slower workers, or take --carrier clip",
            )
        workflow = {
            "cameras": {f"{DEVICE}/{camera}": fps for camera in self.cameras},
            "measurement": "device",
            "feature": self.task,
            "decision": {"rule": "seen", "cooldown": 86_400, "alert": False},
            "max_delay": 3600,
        }
        return {
            "workflows": {self.workflow: workflow},
            "orchestrator": {"reserve": 0, "overbooking": overbooking, "method": "worst_fit"},
        }

    def publish(self, session: Session, number: int, /) -> Delivery:
        metadata = Metadata(
            id=new_id(), captured_at=datetime.now(UTC), content_type="image/jpeg", trigger="frame"
        )
        topic = ThingTopic(DEVICE, self.cameras[number % len(self.cameras)], "frame")
        return session.publish(
            topic, self._payload, qos=0, metadata=metadata, properties=[("found", self._found)]
        )
