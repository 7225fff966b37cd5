"""Workers for whom a job or a call found nobody: each is called once more a little later.

Most come back and say so. One that subscribes to its jobs only after it has said that it is there would not:
it has said so already.
"""

from __future__ import annotations

from .times import soonest

CALL_AGAIN = 3.0
"""Seconds until then."""


class Missing:
    def __init__(self) -> None:
        self._call_at: dict[str, float] = {}

    def absent(self, worker: str, now: float) -> None:
        """Nobody was there."""
        self._call_at[worker] = now + CALL_AGAIN

    def back(self, worker: str) -> None:
        """It says that it is there."""
        self._call_at.pop(worker, None)

    def due(self, now: float) -> list[str]:
        """Those to be called now, once."""
        if not self._call_at:
            return []
        due = [worker for worker, at in self._call_at.items() if now >= at]
        for worker in due:
            del self._call_at[worker]
        return due

    def wake_at(self) -> float | None:
        return soonest(self._call_at.values())
