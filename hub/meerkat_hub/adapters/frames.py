"""The bytes of frames, in memory, while the core deals with them.

Bounded in bytes: beyond it a frame is refused and counted, so that a hub that has fallen behind loses
new frames and not its memory. What the core is done with it says with `ForgetFrame`.
"""

from __future__ import annotations

import threading

from meerkat_contract.values import value

LIMIT = 256 * 1024 * 1024
"""Bytes of all frames together."""


@value
class StoredFrame:
    payload: bytes
    qos: int
    """With which it came, and goes to a worker."""
    captured_at: str
    """When it was taken, as `format_time` writes it; empty where it did not come so."""


class FrameStore:
    """Put by the network thread; read and forgotten by the hub's."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._frames: dict[str, StoredFrame] = {}
        self._bytes = 0
        self._lock = threading.Lock()
        self.refused = 0
        """Frames for which there was no room."""
        self.lost = 0
        """Frames that were cleared before the core heard of them."""

    def put(self, frame: str, payload: bytes, qos: int, captured_at: str = "") -> bool:
        """Whether it is kept: false when there is no room, or a frame of this id is here already."""
        size = len(payload)
        with self._lock:
            if frame in self._frames:
                return False
            if self._bytes + size > self._limit:
                self.refused += 1
                return False
            self._frames[frame] = StoredFrame(payload, qos, captured_at)
            self._bytes += size
            return True

    def get(self, frame: str) -> StoredFrame | None:
        return self._frames.get(frame)

    def missed(self, frame: str) -> bool:
        """Whether a frame that the core is about to hear of was cleared meanwhile; it is counted then."""
        if frame in self._frames:
            return False
        self.lost += 1
        return True

    def forget(self, frame: str) -> None:
        with self._lock:
            stored = self._frames.pop(frame, None)
            if stored is not None:
                self._bytes -= len(stored.payload)

    def clear(self) -> None:
        with self._lock:
            self._frames.clear()
            self._bytes = 0

    @property
    def held(self) -> tuple[int, int]:
        """Frames, and their bytes."""
        return len(self._frames), self._bytes
