"""The thread that makes lasting what was added without waiting for the disk."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from .files import Entry

MOST = 8
"""Entries that may wait for the disk; who adds one more waits with them. It bounds what a power cut takes."""


class Keeper:
    """Takes entries on any thread and calls `keep` with each, in their order, on its own."""

    def __init__(self, keep: Callable[[Entry], None]) -> None:
        """`keep` must not raise."""
        self._keep = keep
        self._waiting: queue.Queue[Entry | None] = queue.Queue(MOST)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def take(self, entry: Entry) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="outbox's disk", daemon=True)
                self._thread.start()
        self._waiting.put(entry)

    def close(self, seconds: float) -> None:
        """End once all is kept, or after `seconds` on a disk that hangs: the files are whole all the same."""
        if self._thread is None:
            return
        deadline = time.monotonic() + seconds
        try:
            self._waiting.put(None, timeout=seconds)
        except queue.Full:
            return
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while entry := self._waiting.get():
            self._keep(entry)
