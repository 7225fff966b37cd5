"""The session's side of joining parts: whole messages up, acknowledgements of parts down."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from .errors import BadMessage
from .parts import Joiner, Key
from .session_values import Incoming

HELD_PARTS = 8
"""Parts whose acknowledgement waits for the whole, over all messages. It must stay below the window
of the broker, which stops sending at some 20 unacknowledged messages."""

_PART_PROPERTIES = frozenset({"part", "parts", "size", "sha256"})


class Parts:
    """Network thread only."""

    def __init__(self, logger: logging.Logger, count: Callable[[str], None]) -> None:
        self._joiners: dict[str, Joiner] = {}
        self._held: deque[tuple[str, Key, Incoming]] = deque()
        self._logger = logger
        self._count = count

    def take(self, incoming: Incoming, now: float, *, subscription: str) -> Incoming | None:
        """The whole message, if this is it or completes it. Its ack() acknowledges the held parts too.

        Each subscription joins for itself: where two overlap, each gets every part.

        Raises BadMessage when the part cannot be joined; held parts are acknowledged then, this one
        is the caller's.
        """
        for name, _ in incoming.properties:
            if name == "parts":
                break
        else:
            return incoming
        metadata = incoming.metadata()
        key = Key(incoming.topic, metadata.id)
        joiner = self._joiners.setdefault(subscription, Joiner())
        try:
            joined = joiner.add(incoming.topic, metadata, incoming.payload, now)
        except BadMessage:
            for part in self._release(subscription, key):
                part.ack()
            raise
        self._held.append((subscription, key, incoming))
        if joined is None:
            while len(self._held) > HELD_PARTS:
                self._held.popleft()[2].ack()
            return None
        parts = self._release(subscription, key)

        def acknowledge() -> None:
            for part in parts:
                part.ack()

        properties = [pair for pair in incoming.properties if pair[0] not in _PART_PROPERTIES]
        return replace(incoming, payload=joined[1], properties=properties, acknowledge=acknowledge)

    def expire(self, now: float) -> None:
        """Give up what has waited for its missing parts for too long."""
        for subscription, joiner in self._joiners.items():
            for lost in joiner.expire(now):
                self._count("parts_lost")
                self._logger.warning(
                    "%s: message %s was given up: %d of %d parts came. It has to be sent again",
                    lost.key.topic,
                    lost.key.id,
                    lost.arrived,
                    lost.parts,
                )
                for part in self._release(subscription, lost.key):
                    part.ack()

    def disconnected(self) -> None:
        """Acknowledgements of a connection that is gone are void; the parts themselves stay."""
        self._held.clear()

    def _release(self, subscription: str, key: Key) -> list[Incoming]:
        of = (subscription, key)
        released = [entry[2] for entry in self._held if entry[:2] == of]
        self._held = deque(entry for entry in self._held if entry[:2] != of)
        return released
