"""What happened, line by line: a hash over all of it, and the last lines for a person to read."""

from __future__ import annotations

from collections import Counter, deque
from hashlib import sha256
from typing import TextIO

from .clock import Clock

KEPT = 60
"""Lines that are shown when an invariant breaks."""


class Trace:
    def __init__(self, clock: Clock, copy_to: TextIO | None = None) -> None:
        self._clock = clock
        self._copy_to = copy_to
        self._hash = sha256()
        self.tail: deque[str] = deque(maxlen=KEPT)
        self.counts: Counter[str] = Counter()
        """How often each kind of thing happened."""

    def note(self, who: str, what: str, *, count: str = "") -> None:
        """One line; `count` is the kind under which it is counted."""
        line = f"{_hours(self._clock.mono)}  {who:<12} {what}"
        self._hash.update(line.encode())
        self.tail.append(line)
        if count:
            self.counts[count] += 1
        if self._copy_to is not None:
            print(line, file=self._copy_to)

    @property
    def digest(self) -> str:
        """The same for two runs exactly when the same things happened at the same times."""
        return self._hash.hexdigest()


def _hours(mono: float) -> str:
    minutes, seconds = divmod(mono, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:3d}:{minutes:02d}:{seconds:07.4f}"
