"""Reads what a broker holds: every discovery message, and what stands on the topics that they name."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from meerkat_contract.connection import Connection
from meerkat_contract.errors import BrokerError
from meerkat_contract.ids import new_id
from meerkat_contract.session import Incoming, Session

from .check.payload import Message, Told, read
from .discovery.payloads import ORIGIN

CONNECT_SECONDS = 10.0
QUIET_SECONDS = 2.0
"""Without the echo of its own message, what is retained has come when nothing more comes for so long."""

_OBJECTS = "meerkat_"


def is_ours(message: Message) -> bool:
    return message.origin == ORIGIN or message.object_id.startswith(_OBJECTS)


def discovered(
    connection: Connection,
    prefix: str,
    *,
    everything: bool = False,
    states: bool = True,
    listen: float = 0.0,
) -> Told:
    """What the broker holds under `prefix`: Meerkat's own messages, or with `everything` those of others too.

    `states` reads the retained topics that they name; `listen` then waits so many seconds for what is
    said on them. Raises BrokerError when the broker cannot be reached, or does not let us read.
    """
    reader = _Reader(connection, prefix)
    try:
        messages = [read(topic, payload, prefix) for topic, payload in sorted(reader.configs().items())]
        ours = tuple(message for message in messages if everything or is_ours(message))
        others = tuple(message for message in messages if message not in ours)
        kept = reader.states(_topics(ours)) if states else {}
        heard = reader.listen(listen) if listen else []
        return Told(ours, kept, tuple(heard), others)
    finally:
        reader.stop()


def _topics(messages: Iterable[Message]) -> list[str]:
    """Every topic that their entities listen to, once, in order; wildcards left out."""
    named = [
        topic
        for message in messages
        for component in message.components
        for topic in (
            *(topic for _, topic in component.topics()),
            *(str(item["topic"]) for item in component.availability),
        )
    ]
    return list(dict.fromkeys(one for one in named if "+" not in one and "#" not in one))


class _Reader:
    """One connection, and everything that came over it."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self._prefix = prefix
        self._echo = f"{prefix}/meerkat/check/{new_id()}"
        self._changed = threading.Condition()
        self._retained: dict[str, bytes] = {}
        self._heard: list[tuple[str, bytes]] = []
        self._echoes = 0
        self._last = time.monotonic()
        self._session = Session(connection, client_id=f"meerkat-ha-{new_id()[-8:]}")
        self._session.subscribe(self._echo, self._take_echo, qos=1)
        self._session.start()

    def stop(self) -> None:
        self._session.stop()

    def configs(self) -> dict[str, bytes]:
        """Discovery topic → payload."""
        self._session.wait_connected(CONNECT_SECONDS)
        self._session.subscribe(f"{self._prefix}/#", self._take, qos=1)
        self._settle()
        with self._changed:
            return {topic: body for topic, body in self._retained.items() if topic.endswith("/config")}

    def states(self, topics: list[str]) -> dict[str, bytes]:
        """What is retained on each of `topics`; those that hold nothing are left out."""
        with self._session.together():
            for topic in topics:
                self._session.subscribe(topic, self._take, qos=1)
        self._settle()
        with self._changed:
            return {topic: self._retained[topic] for topic in topics if topic in self._retained}

    def listen(self, seconds: float) -> list[tuple[str, bytes]]:
        """What is said in the next `seconds`, in order."""
        threading.Event().wait(seconds)
        with self._changed:
            return list(self._heard)

    def _settle(self) -> None:
        """Wait until everything that is retained has come: what we send now comes after it."""
        self._session.wait_subscribed(CONNECT_SECONDS)
        with self._changed:
            echoes = self._echoes
            self._last = time.monotonic()
        sent = self._session.publish(self._echo, b"", qos=1)
        end = time.monotonic() + CONNECT_SECONDS
        with self._changed:
            while self._echoes == echoes:
                now = time.monotonic()
                if now - self._last >= QUIET_SECONDS:
                    break  # a broker that does not let us write
                if now >= end and not sent.done:
                    raise BrokerError("the broker went away", where=self._session.connection.url)
                self._changed.wait(self._last + QUIET_SECONDS - now)

    def _take_echo(self, _: Incoming) -> None:
        with self._changed:
            self._echoes += 1
            self._changed.notify_all()

    def _take(self, message: Incoming) -> None:
        if message.topic == self._echo:
            return
        with self._changed:
            if message.retain:
                self._retained[message.topic] = message.payload
            else:
                self._heard.append((message.topic, message.payload))
            self._last = time.monotonic()
            self._changed.notify_all()
