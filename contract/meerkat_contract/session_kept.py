"""Retained state that a session keeps up to date at the broker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from .session_reasons import Stopped
from .session_values import Delivery

SMALL = 4096
"""Bytes of a state up to which each change of it is sent. Of larger ones (pictures) one is under way at
a time and the latest waits: on a slow line they would queue up, show the past and hold up clips."""


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
        self._lock = threading.RLock()  # a delivery that failed at once calls back from within `offer`
        self._states: dict[str, State] = {}
        self._under_way: dict[str, Delivery] = {}
        self._waiting: set[str] = set()
        self._told: dict[str, str] = {}
        """What was said of topics whose state does not get through; each picture would say it again."""

    def change(self, topic: str, state: State) -> None:
        """From any thread. The lock sees to it that an older state never follows a newer one."""
        with self._lock:
            if self._states.get(topic) == state:
                return
            self._states[topic] = state
            if topic in self._under_way and len(state.payload) > SMALL:
                self._waiting.add(topic)
            else:
                self._queue(topic, state)

    def connected(self) -> None:
        """All of it again."""
        with self._lock:
            self._under_way.clear()
            for topic, state in self._states.items():
                self._queue(topic, state)

    def _queue(self, topic: str, state: State) -> None:
        self._waiting.discard(topic)
        if delivery := self._offer(topic, state):
            if len(state.payload) > SMALL:
                self._under_way[topic] = delivery
            delivery.add_done_callback(lambda done: self._sent(topic, done))

    def _sent(self, topic: str, delivery: Delivery) -> None:
        error = delivery.error
        if error is None:
            self._told.pop(topic, None)
        elif isinstance(error, Stopped):
            self._logger.debug("the state of %s came while the session was leaving", topic)
        elif self._told.get(topic) != str(error):
            self._told[topic] = str(error)
            self._logger.warning("the state of %s was not published: %s", topic, error)
        with self._lock:
            if self._under_way.get(topic) is delivery:
                del self._under_way[topic]
                if topic in self._waiting:
                    self._queue(topic, self._states[topic])
