"""What was decided and why, for people: the last decisions; what is decided again is one with it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from meerkat_hub.core.cloud_records import Decided

REMEMBERED = 50
"""Decisions that are shown."""


class Minutes:
    def __init__(self) -> None:
        self._made: deque[Decided] = deque(maxlen=REMEMBERED)

    @property
    def all(self) -> tuple[Decided, ...]:
        """The latest first."""
        return tuple(self._made)

    @property
    def latest(self) -> Decided | None:
        return self._made[0] if self._made else None

    def note(self, made: Decided) -> str:
        """Keep it; what the log is to say: nothing when it is the same as before and nothing is done."""
        latest = self.latest
        if latest is not None and latest.code == made.code and not (_acts(made) or _acts(latest)):
            self._made[0] = replace(latest, reason=made.reason)
            return ""
        self._made.appendleft(made)
        return f"cloud burst: {made.code}: {made.reason}"


def _acts(made: Decided) -> bool:
    return bool(made.sent or made.taken_back or made.desired is not None)
