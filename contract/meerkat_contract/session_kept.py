"""Retained state that a session keeps up to date at the broker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from .errors import MeerkatError
from .session_values import Delivery


@dataclass(frozen=True, slots=True)
class State:
    payload: bytes
    qos: int
    content_type: str


class Kept:
    """The latest state of each topic.

    `offer` queues a state, or returns None when offline. It must not send: that would run callbacks of
    deliveries with the lock held, and they may take locks of their own.
    """

    def __init__(self, offer: Callable[[str, State], Delivery | None], logger: logging.Logger) -> None:
        self._offer = offer
        self._logger = logger
        self._lock = threading.Lock()
        self._states: dict[str, State] = {}
        self._told: dict[str, str] = {}
        """What was said of topics whose state does not get through; each picture would say it again."""

    def change(self, topic: str, state: State) -> None:
        """From any thread. The lock sees to it that an older state never follows a newer one."""
        with self._lock:
            if self._states.get(topic) == state:
                return
            self._states[topic] = state
            self._queue(topic, state)

    def connected(self) -> None:
        """All of it again."""
        with self._lock:
            for topic, state in self._states.items():
                self._queue(topic, state)

    def _queue(self, topic: str, state: State) -> None:
        if delivery := self._offer(topic, state):
            delivery.add_done_callback(lambda done: self._sent(topic, done.error))

    def _sent(self, topic: str, error: MeerkatError | None) -> None:
        if error is None:
            self._told.pop(topic, None)
        elif self._told.get(topic) != str(error):
            self._told[topic] = str(error)
            self._logger.warning("the state of %s was not published: %s", topic, error)
