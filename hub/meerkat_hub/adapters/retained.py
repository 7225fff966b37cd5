"""Clears what the broker retains of a device, or of a camera of it, that is over for good.

Its info goes first: with that page, database and Home Assistant let go of it. What it recorded stays.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection
from types import TracebackType

from meerkat_contract.connection import Connection
from meerkat_contract.errors import UsageError
from meerkat_contract.ids import new_id
from meerkat_contract.session import Incoming, Session
from meerkat_contract.topics import DeviceTopic

AFTERWARDS = 120.0
"""Seconds after which it is cleared once more: the last clips are looked at when all else is over."""
CONNECT_SECONDS, QUIET_SECONDS, MOST_SECONDS = 5.0, 0.5, 10.0
"""Until connected; after the last retained message, which come one after the other; and in all."""
TREES = ("device", "camera", "meter")
REMEDIES = {
    "online": "End it first, or take its power: then it is offline",
    "asleep": "Switch it off. When it has not come at its next wake it is offline, and can be forgotten",
}

_quiet = logging.getLogger("meerkat.mqtt.retained")
"""Of connections that last a second: each would say that it is there."""
_quiet.setLevel(logging.WARNING)


class StillThere(UsageError):
    """The device is online, or sleeps and will wake."""


def check_silent(device: str, word: str) -> None:
    """Raises StillThere when its availability says so."""
    if remedy := REMEDIES.get(word):
        raise StillThere(f"device {device} is {word}", where=f"device {device}", remedy=remedy)


def clear(connection: Connection, device: str, *, says: Callable[[], str]) -> None:
    """Empty all that is retained of a device that is silent.

    It may come back just now: what the broker retains of its availability, and what `says` has heard of it,
    are looked at right before. Raises StillThere, BrokerError.
    """
    info, availability = str(DeviceTopic(device, "info")), str(DeviceTopic(device, "availability"))
    with _Retained(connection, device) as retained:
        found = retained.read()
        for word in (found.get(availability, b"").decode(errors="replace"), says()):
            check_silent(device, word)
        retained.empty(list(dict.fromkeys([info, *found])))  # also where the broker has none


def clear_things(connection: Connection, device: str, *, besides: Collection[str]) -> None:
    """Empty what is retained of a device's cameras and meters, but of these not. Raises BrokerError."""
    stay = {*besides, "device"}  # under this are settings of the device itself
    with _Retained(connection, device) as retained:
        things = ((topic, topic.split("/")[3:]) for topic in retained.read())
        retained.empty([topic for topic, parts in things if len(parts) > 1 and parts[0] not in stay])


class _Retained:
    """A connection of its own: the hub's takes part in nothing of this."""

    def __init__(self, connection: Connection, device: str) -> None:
        self._changed = threading.Condition()
        self._found: dict[str, bytes] = {}
        self._last = time.monotonic()
        self._session = Session(connection, client_id=f"meerkat-hub-{new_id()[-8:]}", log=_quiet)
        self._filters = [f"meerkat/{tree}/{device}/#" for tree in TREES]
        for one in self._filters:
            self._session.subscribe(one, self._take)

    def __enter__(self) -> _Retained:
        self._session.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.stop()

    def read(self) -> dict[str, bytes]:
        """Topics that hold something, in the order of their coming, and what. Raises BrokerError."""
        self._session.wait_connected(CONNECT_SECONDS)
        self._session.wait_subscribed(CONNECT_SECONDS)
        with self._changed:
            self._last = begun = time.monotonic()
            while (now := time.monotonic()) < min(self._last + QUIET_SECONDS, begun + MOST_SECONDS):
                self._changed.wait(self._last + QUIET_SECONDS - now)
            found = dict(self._found)
        for one in self._filters:
            self._session.unsubscribe(one)
        return found

    def empty(self, topics: list[str]) -> None:
        """One after the other. Raises BrokerError."""
        for topic in topics:
            self._session.publish(topic, b"", qos=1, retain=True).wait(CONNECT_SECONDS)

    def _take(self, message: Incoming) -> None:
        if message.retain and message.payload:
            with self._changed:
                self._found[message.topic] = bytes(message.payload)
                self._last = time.monotonic()
                self._changed.notify_all()
