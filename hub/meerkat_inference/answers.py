"""A worker's answers, kept until the broker has them.

The bus forgets what was under way when the connection breaks, so each answer stays here until its
delivery is confirmed, and goes out again at the next connection. Bounded: beyond LIMIT the oldest is
given up, since its lease is over long before.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from meerkat_contract.errors import MeerkatError, MessageTooLarge
from meerkat_contract.ids import UtcTime
from meerkat_contract.messages import Result
from meerkat_contract.metadata import Metadata

LIMIT = 64
"""Answers kept for a broker that is away."""
ATTEMPTS = 5
"""Connections over which one answer is tried."""

_logger = logging.getLogger(__name__)


class Delivery(Protocol):
    """What a publish returns: settled once, with an error or without."""

    error: MeerkatError | None

    def add_done_callback(self, fn: Callable[..., None]) -> None: ...


Publish = Callable[[bytes, Metadata], Delivery]


@dataclass(slots=True, eq=False)
class _Answer:
    result: Result
    captured_at: UtcTime
    attempts: int = 0
    under_way: bool = False


class Answers:
    """Send each with `send()`; call `resend()` at every new connection."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._changed = threading.Condition(threading.RLock())
        self._kept: list[_Answer] = []
        self.given_up = 0
        """Answers that never reached the broker."""

    def send(self, result: Result, captured_at: UtcTime) -> None:
        """From any thread."""
        answer = _Answer(result, captured_at)
        with self._changed:
            self._kept.append(answer)
            if len(self._kept) > LIMIT:
                self._give_up(self._kept[0], f"{LIMIT} newer ones wait for the broker too")
        self._attempt(answer)

    def resend(self) -> None:
        """The connection is there again: try all that did not get through, oldest first."""
        with self._changed:
            stuck = [answer for answer in self._kept if not answer.under_way]
        for answer in stuck:
            self._attempt(answer)

    def wait_empty(self, seconds: float) -> bool:
        """Wait until the broker has them all; false when it has not after so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._kept, timeout=seconds)

    def _attempt(self, answer: _Answer) -> None:
        with self._changed:
            if answer.under_way or answer not in self._kept:
                return
            answer.under_way = True
            answer.attempts += 1
        metadata = Metadata(
            id=answer.result.job, captured_at=answer.captured_at, content_type="application/json"
        )
        delivery = self._publish(answer.result.to_json(), metadata)
        delivery.add_done_callback(lambda _: self._settle(answer, delivery.error))

    def _settle(self, answer: _Answer, error: MeerkatError | None) -> None:
        bare = False
        with self._changed:
            answer.under_way = False
            if error is None:
                if answer in self._kept:
                    self._kept.remove(answer)
            elif isinstance(error, MessageTooLarge) and any(t.picture for t in answer.result.tracks):
                _logger.warning("The answer to job %s goes without pictures: %s", answer.result.job, error)
                tracks = tuple(t.model_copy(update={"picture": None}) for t in answer.result.tracks)
                answer.result = answer.result.model_copy(update={"tracks": tracks})
                bare = True
            elif isinstance(error, MessageTooLarge) or answer.attempts >= ATTEMPTS:
                self._give_up(answer, str(error))
            self._changed.notify_all()
        if bare:
            self._attempt(answer)

    def _give_up(self, answer: _Answer, reason: str) -> None:
        if answer in self._kept:
            self._kept.remove(answer)
            self.given_up += 1
            _logger.error("The answer to job %s never reached the broker: %s", answer.result.job, reason)
