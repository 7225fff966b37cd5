"""The way in of one session: its subscriptions, and each message to the handlers it is for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from zlib import crc32

from paho.mqtt.client import topic_matches_sub

from .errors import BadMessage, BrokerError
from .parts import NoRoom
from .session_parts import Parts
from .session_reasons import is_failure, subscription_refused
from .session_transport import Message, Transport
from .session_values import Incoming, once
from .session_wire import PROTOCOL_LIMIT

Handler = Callable[[Incoming], None]
Refused = Callable[[Incoming, BadMessage], None]


@dataclass(slots=True, eq=False)
class Subscription:
    """A filter, its handler and what the broker said."""

    topic: str
    handler: Handler
    qos: int
    auto_ack: bool
    join_parts: bool
    no_local: bool
    on_refused: Refused | None
    identifier: int = 0
    granted: bool = False
    error: BrokerError | None = None


class Inbox:
    """`add` and `remove` on any thread, everything else on the network thread."""

    def __init__(self, logger: logging.Logger, count: Callable[[str], None]) -> None:
        self._logger = logger
        self._count = count
        self._parts = Parts(logger, count)
        self._lock = threading.Lock()
        self._subscriptions: dict[str, Subscription] = {}
        self._by_identifier: dict[int, Subscription] = {}
        self._given_up: set[str] = set()
        self._identifiers = True
        self._awaited: dict[int, Subscription] = {}

    @property
    def subscriptions(self) -> list[Subscription]:
        with self._lock:
            return list(self._subscriptions.values())

    def add(self, subscription: Subscription) -> None:
        """The same filter again replaces its handler."""
        with self._lock:
            subscription.identifier = self._identify(subscription.topic)
            self._subscriptions[subscription.topic] = subscription
            self._by_identifier[subscription.identifier] = subscription
            self._given_up.discard(subscription.topic)

    def remove(self, topic: str) -> bool:
        with self._lock:
            subscription = self._subscriptions.pop(topic, None)
            if subscription:
                del self._by_identifier[subscription.identifier]
                self._given_up.add(topic)
            return subscription is not None

    def _identify(self, topic: str) -> int:
        """The same in every process, since a persistent session keeps them."""
        if known := self._subscriptions.get(topic):
            return known.identifier
        identifier = crc32(topic.encode()) % PROTOCOL_LIMIT + 1
        while identifier in self._by_identifier:
            identifier = identifier % PROTOCOL_LIMIT + 1
        return identifier

    # --- connection ------------------------------------------------------------------------------

    def connected(self, client: Transport, *, identifiers: bool) -> None:
        """Subscribe anew. `identifiers`: whether the broker knows subscription identifiers."""
        self._identifiers = identifiers
        self._awaited.clear()
        with self._lock:
            given_up = list(self._given_up)
        for topic in given_up:  # a persistent session may know them still
            self.cancel(client, topic)
        for subscription in self.subscriptions:
            self.send(client, subscription)

    def disconnected(self) -> None:
        self._parts.disconnected()
        for subscription in self.subscriptions:
            subscription.granted, subscription.error = False, None

    def send(self, client: Transport, subscription: Subscription) -> None:
        """SUBSCRIBE, unless the filter was given up or another handler took it over meanwhile."""
        with self._lock:
            if self._subscriptions.get(subscription.topic) is not subscription:
                return
        mid = client.subscribe(
            subscription.topic,
            qos=subscription.qos,
            no_local=subscription.no_local,
            identifier=subscription.identifier if self._identifiers else None,
        )
        self._awaited[mid] = subscription

    def cancel(self, client: Transport, topic: str) -> None:
        """UNSUBSCRIBE, unless somebody subscribed again meanwhile. The answer does not matter."""
        with self._lock:
            if topic in self._given_up:
                self._given_up.discard(topic)
                client.unsubscribe(topic)

    def confirmed(self, mid: int, code: int) -> None:
        """SUBACK"""
        subscription = self._awaited.pop(mid, None)
        if subscription is None:
            return
        if is_failure(code):
            subscription.error = subscription_refused(subscription.topic, code)
            self._logger.warning("%s", subscription.error)
        else:
            subscription.granted = True

    def tick(self, now: float) -> None:
        self._parts.expire(now)

    # --- messages --------------------------------------------------------------------------------

    def receive(self, message: Message, acknowledge: Callable[[], None]) -> None:
        """Hand a message to its handlers. `acknowledge` is idempotent; it is called in every case,
        by a handler's side if that is what the subscription says."""
        topic, payload, properties, content_type, identifiers, retain, qos, _ = message
        if topic is None:
            self._count("bad_messages")
            self._logger.warning("a message whose topic is not UTF-8 was dropped")
            acknowledge()
            return
        incoming = Incoming(topic, payload, properties, content_type, retain, qos, acknowledge)
        if len(identifiers) == 1 and (only := self._by_identifier.get(identifiers[0])):
            if only.join_parts and properties:
                self._deliver(only, incoming)
            else:  # it is no part
                self._handle(only, incoming)
            return
        targets = self._targets(topic, identifiers)
        if not targets:
            self._count("unhandled")
            acknowledge()
            return
        for subscription, copy in zip(targets, _for_several(incoming, len(targets)), strict=True):
            self._deliver(subscription, copy)

    def _targets(self, topic: str, identifiers: list[int]) -> list[Subscription]:
        if identifiers:
            found = [s for i in dict.fromkeys(identifiers) if (s := self._by_identifier.get(i))]
            if found:
                return found
        # A broker without identifiers, or what a persistent session kept under a filter of old.
        return [s for s in self.subscriptions if topic_matches_sub(s.topic, topic)]

    def _deliver(self, subscription: Subscription, incoming: Incoming) -> None:
        whole: Incoming | None = incoming
        if subscription.join_parts:
            try:
                whole = self._parts.take(incoming, time.monotonic(), subscription=subscription.topic)
            except BadMessage as error:
                self._refuse(subscription, incoming, error)
                return
        if whole is not None:
            self._handle(subscription, whole)

    def _handle(self, subscription: Subscription, message: Incoming) -> None:
        try:
            subscription.handler(message)
        except BadMessage as error:
            self._count("bad_messages")
            self._logger.warning("%s", error)
            message.ack()
        except Exception:
            self._count("handler_errors")
            self._logger.exception("the handler of %s failed on %s", subscription.topic, message.topic)
            message.ack()
        else:
            if subscription.auto_ack and message.qos:
                message.acknowledge()

    def _refuse(self, subscription: Subscription, part: Incoming, error: BadMessage) -> None:
        self._count("bad_messages")
        self._logger.warning("%s", error)
        try:
            if subscription.on_refused and not isinstance(error, NoRoom):
                subscription.on_refused(part, error)
        except Exception:
            self._count("handler_errors")
            self._logger.exception("on_refused of %s failed on %s", subscription.topic, part.topic)
        part.ack()


def _for_several(incoming: Incoming, handlers: int) -> list[Incoming]:
    """One each; acknowledged to the broker once every handler has done so."""
    left = handlers
    lock = threading.Lock()

    def acknowledge() -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            incoming.ack()

    return [replace(incoming, acknowledge=once(acknowledge)) for _ in range(handlers)]
