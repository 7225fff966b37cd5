"""From picamera2's threads to the camera's own: encoded pictures in order, and the newest frame.

picamera2 calls from its event loop and from its encoder, and holds the camera's buffers meanwhile.
So nothing here waits: a reader that is busy (a disk that syncs) finds the packets in a queue and the
newest frame beside it. A frame that is replaced is counted. Packets cannot be skipped one by one: when
they are more than the queue holds, all go up to the next key frame, and are counted.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 16_000_000
"""Of packets that wait: 40 s at 3 Mbit/s."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One encoded picture. `sensor` is microseconds of the sensor's clock."""

    sensor: int
    key: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class View:
    """One low-resolution picture: `pixels` is YUV420, (height × 3/2, stride), and ours to keep."""

    sensor: int
    pixels: Any
    found: Any = None


class Feed:
    """`packet`, `view` and `fail` on picamera2's threads, `take` on the reader's."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._changed = threading.Condition()
        self._max_bytes = max_bytes
        self._packets: deque[Packet] = deque()
        self._size = 0
        self._awaits_key = True
        self._view: View | None = None
        self._failed: BaseException | None = None
        self.views_dropped = 0
        """Frames that a newer one replaced before they were looked at."""
        self.packets_dropped = 0
        """Encoded pictures that were given up because the reader was away for too long."""

    def packet(self, packet: Packet) -> None:
        with self._changed:
            if self._size + len(packet.data) > self._max_bytes:
                self.packets_dropped += len(self._packets)
                self._packets.clear()
                self._size = 0
                self._awaits_key = True
            if self._awaits_key and not packet.key:
                self.packets_dropped += 1
                return
            self._awaits_key = False
            self._packets.append(packet)
            self._size += len(packet.data)
            self._changed.notify()

    def view(self, view: View) -> None:
        with self._changed:
            self.views_dropped += self._view is not None
            self._view = view
            self._changed.notify()

    def fail(self, error: BaseException) -> None:
        """What a callback met: told to the reader, for picamera2's thread must go on."""
        with self._changed:
            self._failed = error
            self._changed.notify()

    def take(self, seconds: float) -> tuple[list[Packet], View | None]:
        """All packets that wait and the newest frame; nothing when none came within `seconds`.

        Raises what `fail` was told.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._packets or self._view or self._failed, timeout=seconds)
            if self._failed is not None:
                raise self._failed
            packets, self._packets = list(self._packets), deque()
            self._size = 0
            view, self._view = self._view, None
            return packets, view
