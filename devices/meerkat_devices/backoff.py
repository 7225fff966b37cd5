"""How long to wait before trying again: twice as long each time, with some chance in it."""

from __future__ import annotations

import random


class Backoff:
    """`next()` gives the seconds to wait; `reset()` after something worked."""

    def __init__(self, *, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._failures = 0

    @property
    def worth_telling(self) -> bool:
        """Whether this failure is worth telling: the first one, and then every tenth."""
        return self._failures % 10 == 0

    def next(self) -> float:
        wait = min(self._longest, self._first * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return wait * random.uniform(0.75, 1.0)

    def reset(self) -> None:
        self._failures = 0
