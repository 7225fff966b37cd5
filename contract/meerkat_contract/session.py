"""The MQTT session of every component: one connection to the broker, kept for ever.

Rules of the house:

- Handlers run on the network thread, one after another. What takes long belongs on another thread,
  with `auto_ack=False` and `Incoming.ack()` once it is done. Publishing from a handler is cheap.
- A message is acknowledged after its handler returned. A handler that raises has the message logged,
  counted and acknowledged all the same: a poison message must not come back for ever.
- Nothing is queued for a broker that is away. QoS 0 is dropped and counted; a QoS 1 delivery fails at
  once. One that is under way when the connection is lost fails too, though the broker may have it:
  send it again with the same id. Retained state belongs to `keep()`, durable things to an outbox.
- Every subscription has its own subscription identifier, derived from its filter, and the broker
  says with each message which ones it matches. So every handler sees a message once, whether the
  broker sends overlapping subscriptions once or once per filter. A broker without identifiers is
  served by comparing topics; if it also sends overlaps once per filter, handlers see them as often.
- MQTT 5 only, QoS 0 and 1 only: the bus uses no other.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from zlib import crc32

from paho.mqtt.client import Client, MQTTMessage, topic_matches_sub
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from .connection import Connection
from .errors import BadMessage, BrokerError, MeerkatError, MessageTooLarge
from .metadata import Metadata
from .parts import split
from .session_link import Link
from .session_outgoing import Outgoing, Packet, offline
from .session_parts import Parts
from .session_reasons import FORBIDDEN
from .session_values import Delivery, Incoming, Will
from .session_wire import PROTOCOL_LIMIT, check_topic, pack_properties, packet_size

__all__ = ["Delivery", "Incoming", "Session", "Will"]

Handler = Callable[[Incoming], None]
Refused = Callable[[Incoming, BadMessage], None]

COUNTERS = (
    "published",
    "received",
    "dropped_offline",
    "refused_too_large",
    "failed",
    "handler_errors",
    "bad_messages",
    "unhandled",
    "parts_lost",
    "connections",
    "reconnects",
)


@dataclass(slots=True)
class _Subscription:
    topic: str
    identifier: int
    handler: Handler
    qos: int
    auto_ack: bool
    join_parts: bool
    no_local: bool
    on_refused: Refused | None
    granted: bool = False
    error: BrokerError | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    payload: bytes
    qos: int
    content_type: str


class Session:
    """A connection to the broker that comes back by itself. Every method may be called on any thread."""

    def __init__(
        self,
        connection: Connection,
        *,
        client_id: str,
        will: Will | None = None,
        persistent: bool = False,
        on_connected: Callable[[], None] | None = None,
        on_disconnected: Callable[[str], None] | None = None,
        log: logging.Logger | None = None,
    ) -> None:
        """Does nothing yet.

        `persistent`: the broker keeps subscriptions and QoS 1 messages for an hour while we are away;
        subscribe before `start()` then, since what it kept comes right after the connection.
        `on_connected` runs on the network thread after subscriptions and kept state were sent again.
        """
        self.connection = connection
        self.client_id = client_id
        self.maximum_packet_size = PROTOCOL_LIMIT
        """Bytes of the largest packet the broker takes; known once connected."""
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._log = log or logging.getLogger("meerkat.mqtt")
        self._link = Link(
            connection, self, client_id=client_id, will=will, persistent=persistent, log=self._log
        )
        self._outgoing = Outgoing()
        self._parts = Parts(self._log, self._count)
        self._changed = threading.Condition()
        self._connected = False
        self._error: BrokerError | None = None
        self._lasting = False
        self._lock = threading.Lock()
        self._subscriptions: dict[str, _Subscription] = {}
        self._by_identifier: dict[int, _Subscription] = {}
        self._identifiers = True
        self._awaited: dict[int, _Subscription] = {}
        self._kept: dict[str, _Kept] = {}
        self._work: deque[Callable[[Client], None]] = deque()
        self._acks: deque[tuple[int, int]] = deque()
        self._client: Client | None = None

    # --- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect in the background, for ever: full jitter between 0 and 0.1 s, doubling up to 30 s.

        Raises UsageError when the file of certificate authorities cannot be used.
        """
        self._link.start()

    @property
    def connected(self) -> bool:
        return self._connected

    def wait_connected(self, timeout: float) -> None:
        """Returns once connected. Raises BrokerError that says why not, and the remedy.

        At once when waiting does not help (wrong password, no MQTT 5), else after `timeout` seconds.
        The session goes on trying all the same.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._connected or self._lasting, timeout)
            if self._connected:
                return
            error = self._error
        raise error or BrokerError(
            f"no connection within {timeout:g} s",
            where=self.connection.url,
            remedy="Check the address, the network and the firewall",
        )

    def wait_subscribed(self, timeout: float) -> None:
        """Returns once the broker has confirmed every subscription; raises BrokerError if it refused one."""

        def settled() -> bool:
            return self._connected and all(
                subscription.granted or subscription.error for subscription in self._subscriptions.values()
            )

        with self._changed:
            if not self._changed.wait_for(settled, timeout):
                raise self._error or BrokerError(
                    f"subscriptions were not confirmed within {timeout:g} s", where=self.connection.url
                )
        for subscription in list(self._subscriptions.values()):
            if subscription.error:
                raise subscription.error

    def stop(self, *, timeout: float = 5, goodbye: bool = True) -> None:
        """Wait up to `timeout` seconds for what is under way, disconnect, end the thread.

        With a goodbye the broker does not publish the will: publish the offline state before. Without
        one the connection is cut, nothing is waited for, and the broker publishes the will.
        """
        self._link.stop(timeout=timeout, goodbye=goodbye)

    # --- in --------------------------------------------------------------------------------------

    def subscribe(
        self,
        topic: object,
        handler: Handler,
        *,
        qos: int = 1,
        auto_ack: bool = True,
        join_parts: bool = False,
        no_local: bool = False,
        on_refused: Refused | None = None,
    ) -> None:
        """Call `handler` for each message of the filter `str(topic)`; again after every reconnect.

        Before or after `start()`. The same filter again replaces its handler.

        `auto_ack=False`: the handler's side calls `Incoming.ack()`, from any thread. An exception from
        the handler acknowledges the message all the same.

        `join_parts`: the handler sees whole messages only. The parts are acknowledged when the whole
        is handled or refused, but at most eight are held back at a time, over all messages: brokers
        stop sending at some 20 unacknowledged messages, and holding more could wait for ever. Parts
        beyond that are acknowledged on arrival. If we die in between, the sender has to send the
        message again: that is what the hub's receipt is for, not the broker's acknowledgement.
        `on_refused` hears of a part that cannot be joined (wrong SHA-256, above a limit).
        """
        if qos not in (0, 1):
            raise ValueError(f"QoS {qos}: the bus uses 0 and 1 only")
        name = str(topic)
        with self._lock:
            subscription = _Subscription(
                name, self._identifier(name), handler, qos, auto_ack, join_parts, no_local, on_refused
            )
            self._subscriptions[name] = subscription
            self._by_identifier[subscription.identifier] = subscription
        self._do(lambda client: self._send_subscription(client, subscription))

    def unsubscribe(self, topic: object) -> None:
        """The broker sends no more of the filter; what is on its way is acknowledged and dropped."""
        with self._lock:
            subscription = self._subscriptions.pop(str(topic), None)
            if subscription is None:
                return
            del self._by_identifier[subscription.identifier]
        self._do(lambda client: client.unsubscribe(subscription.topic))

    # --- out -------------------------------------------------------------------------------------

    def publish(
        self,
        topic: object,
        payload: bytes | bytearray | memoryview | str,
        *,
        qos: int = 0,
        retain: bool = False,
        metadata: Metadata | None = None,
        content_type: str = "",
        properties: Sequence[tuple[str, str]] = (),
        expiry: int | None = None,
    ) -> Delivery:
        """Send a message; never blocks and never raises for what the broker or network does.

        `metadata` becomes user properties, and its content type counts unless one is given.
        `expiry` in seconds. Above the broker's packet limit a message with metadata goes in parts, one
        without fails with MessageTooLarge. The buffer must not change until the delivery is done.
        """
        if qos not in (0, 1):
            raise ValueError(f"QoS {qos}: the bus uses 0 and 1 only")
        if not self._connected:
            self._count("dropped_offline" if qos == 0 else "failed")
            return Delivery.failed(offline())
        name = str(topic)
        data = payload.encode() if isinstance(payload, str) else payload
        try:
            packets = self._packets(name, data, qos, retain, metadata, content_type, properties, expiry)
        except MessageTooLarge as error:
            self._count("refused_too_large")
            return Delivery.failed(error)
        except BadMessage as error:
            self._count("failed")
            return Delivery.failed(error)
        if error := self._outgoing.offer(packets):
            self._count("dropped_offline" if qos == 0 else "failed")
            return Delivery.failed(error)
        self._count("published")
        if self._link.here and self._client is not None:
            self._outgoing.pump(self._client)
        else:
            self._link.wake()
        return packets[0].delivery if len(packets) == 1 else Delivery.of_all([p.delivery for p in packets])

    def keep(self, topic: object, payload: bytes | str, *, qos: int = 1, content_type: str = "") -> None:
        """Retained state: published when it changed, and again after every reconnect.

        While offline the latest wins.
        """
        name = str(topic)
        kept = _Kept(payload.encode() if isinstance(payload, str) else bytes(payload), qos, content_type)
        with self._lock:
            if self._kept.get(name) == kept:
                return
            self._kept[name] = kept
        self._do(lambda _: self._send_kept(name, kept))

    # --- the link's calls, on the network thread --------------------------------------------------

    def link_up(self, client: Client, properties: Properties) -> None:
        self._client = client
        self.maximum_packet_size = getattr(properties, "MaximumPacketSize", PROTOCOL_LIMIT)
        self._identifiers = bool(getattr(properties, "SubscriptionIdentifierAvailable", 1))
        self._outgoing.open(getattr(properties, "ReceiveMaximum", 65_535))
        with self._lock:
            self._work.clear()
            self._awaited.clear()
            subscriptions, kept = list(self._subscriptions.values()), list(self._kept.items())
        with self._changed:
            self._connected, self._error, self._lasting = True, None, False
            self._count("connections")
            again = self.counters["connections"] > 1
            self._changed.notify_all()
        if again:
            self._count("reconnects")
        self._log.info("connected to %s as %s", self.connection.url, self.client_id)
        for subscription in subscriptions:
            self._send_subscription(client, subscription)
        for name, state in kept:
            self._send_kept(name, state)
        if self._on_connected:
            self._guard(self._on_connected)

    def link_down(self, error: BrokerError, *, was_up: bool, lasting: bool) -> None:
        with self._changed:
            known = self._error
            self._connected, self._error, self._lasting = False, error, lasting
            self._changed.notify_all()
        self._client = None
        self._parts.disconnected()
        for subscription in list(self._subscriptions.values()):
            subscription.granted, subscription.error = False, None
        self._outgoing.close(error)
        if was_up or known is None or str(known) != str(error):
            self._log.log(logging.INFO if was_up and not error.where else logging.WARNING, "%s", error)
        if was_up and (told := self._on_disconnected):
            self._guard(lambda: told(str(error)))

    def link_work(self, client: Client) -> None:
        while self._acks:
            generation, mid = self._acks.popleft()
            if generation == self._link.generation:
                client.ack(mid, 1)
        while self._work:
            self._work.popleft()(client)
        self._outgoing.written()
        self._outgoing.pump(client)

    def link_written(self) -> None:
        self._outgoing.written()

    def link_idle(self) -> bool:
        return self._outgoing.idle and not (self._acks or self._work)

    def link_tick(self, now: float) -> None:
        self._parts.expire(now)

    def link_puback(self, mid: int, reason: ReasonCode) -> None:
        self._outgoing.acknowledged(mid, reason)

    def link_suback(self, mid: int, reasons: list[ReasonCode]) -> None:
        subscription = self._awaited.pop(mid, None)
        if subscription is None:
            return
        with self._changed:
            if reasons[0].is_failure:
                words = "not authorised to subscribe" if reasons[0].value in FORBIDDEN else str(reasons[0])
                subscription.error = BrokerError(
                    words, where=subscription.topic, remedy="Allow it to this user in the broker's ACL"
                )
                self._log.warning("%s", subscription.error)
            else:
                subscription.granted = True
            self._changed.notify_all()

    def link_message(self, message: MQTTMessage) -> None:
        self._count("received")
        acknowledge = self._acknowledger(message)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            self._count("bad_messages")
            self._log.warning("a message whose topic is not UTF-8 was dropped")
            acknowledge()
            return
        properties = message.properties
        incoming = Incoming(
            topic,
            message.payload,
            getattr(properties, "UserProperty", []),
            getattr(properties, "ContentType", ""),
            message.retain,
            message.qos,
            acknowledge,
        )
        targets = self._targets(topic, getattr(properties, "SubscriptionIdentifier", None))
        if not targets:
            self._count("unhandled")
            acknowledge()
            return
        copies = [incoming] if len(targets) == 1 else _for_several(incoming, len(targets))
        for subscription, copy in zip(targets, copies, strict=True):
            self._deliver(subscription, copy)

    # --- inside ----------------------------------------------------------------------------------

    def _deliver(self, subscription: _Subscription, incoming: Incoming) -> None:
        whole: Incoming | None = incoming
        if subscription.join_parts:
            try:
                whole = self._parts.take(incoming, time.monotonic())
            except BadMessage as error:
                self._count("bad_messages")
                self._log.warning("%s", error)
                if refused := subscription.on_refused:
                    self._guard(lambda: refused(incoming, error))
                incoming.ack()
                return
        if whole is None:
            return
        done = False
        try:
            subscription.handler(whole)
            done = subscription.auto_ack
        except BadMessage as error:
            done = True
            self._count("bad_messages")
            self._log.warning("%s", error)
        except Exception:
            done = True
            self._count("handler_errors")
            self._log.exception(
                "the handler of %s failed on a message of %s", subscription.topic, whole.topic
            )
        finally:
            if done:
                whole.ack()

    def _acknowledger(self, message: MQTTMessage) -> Callable[[], None]:
        if message.qos == 0:
            return _nothing
        generation, mid = self._link.generation, message.mid

        def acknowledge() -> None:
            if self._link.here and self._client is not None and generation == self._link.generation:
                self._client.ack(mid, 1)
            else:
                self._acks.append((generation, mid))
                self._link.wake()

        return _once(acknowledge)

    def _targets(self, topic: str, identifiers: list[int] | None) -> list[_Subscription]:
        if identifiers is not None and len(identifiers) == 1:
            found = self._by_identifier.get(identifiers[0])
            return [found] if found else self._matching(topic)
        if identifiers:
            return [s for i in dict.fromkeys(identifiers) if (s := self._by_identifier.get(i))]
        return self._matching(topic)

    def _matching(self, topic: str) -> list[_Subscription]:
        """For brokers without identifiers, and for what a persistent session kept under a filter of old."""
        return [s for s in list(self._subscriptions.values()) if topic_matches_sub(s.topic, topic)]

    def _identifier(self, name: str) -> int:
        """The same in every process, since a persistent session keeps them. Call with the lock held."""
        if known := self._subscriptions.get(name):
            return known.identifier
        identifier = crc32(name.encode()) % PROTOCOL_LIMIT + 1
        while identifier in self._by_identifier:
            identifier = identifier % PROTOCOL_LIMIT + 1
        return identifier

    def _send_subscription(self, client: Client, subscription: _Subscription) -> None:
        if self._subscriptions.get(subscription.topic) is not subscription:
            return
        properties = None
        if self._identifiers:
            properties = Properties(PacketTypes.SUBSCRIBE)
            properties.SubscriptionIdentifier = subscription.identifier
        options = SubscribeOptions(qos=subscription.qos, noLocal=subscription.no_local)
        _, mid = client.subscribe(subscription.topic, options=options, properties=properties)
        if mid is not None:
            self._awaited[mid] = subscription

    def _send_kept(self, name: str, kept: _Kept) -> None:
        if self._kept.get(name) is not kept:
            return  # a later one is on its way
        delivery = self.publish(name, kept.payload, qos=kept.qos, retain=True, content_type=kept.content_type)
        delivery.add_done_callback(lambda done: self._kept_sent(name, done.error))

    def _kept_sent(self, name: str, error: MeerkatError | None) -> None:
        if error and self._connected:
            self._log.warning("the state of %s could not be published: %s", name, error)

    def _packets(
        self,
        topic: str,
        payload: bytes | bytearray | memoryview,
        qos: int,
        retain: bool,
        metadata: Metadata | None,
        content_type: str,
        extra: Sequence[tuple[str, str]],
        expiry: int | None,
    ) -> list[Packet]:
        """The message as one packet, or as its parts. Raises MessageTooLarge or BadMessage."""
        _checked(topic)

        def pack(of: Metadata | None) -> bytes:
            if of is None:
                return _packed(content_type, tuple(extra), expiry)
            pairs = [*of.to_properties(), *extra]
            return pack_properties(
                pairs, content_type=content_type or of.content_type, expiry=expiry, topic=topic
            )

        block = pack(metadata)
        size = packet_size(topic, block, len(payload), qos)
        if size <= self.maximum_packet_size:
            return [Packet(topic, payload, qos, retain, block)]
        widest = metadata and metadata.model_copy(
            update={"part": 10_000, "parts": 10_000, "size": len(payload), "sha256": "0" * 64}
        )
        room = self.maximum_packet_size - packet_size(topic, pack(widest), 0, qos) - 3
        if metadata is None or room < 1 or retain:
            raise MessageTooLarge(
                f"{size:,} bytes, and the broker takes {self.maximum_packet_size:,} at most",
                where=topic,
                remedy="Raise max_packet_size in the broker's configuration",
            )
        return [Packet(topic, data, qos, retain, pack(part)) for part, data in split(payload, metadata, room)]

    def _do(self, work: Callable[[Client], None]) -> None:
        """Run `work` on the network thread, at once if we are there; nothing when offline."""
        client = self._client
        if client is None:
            return
        if self._link.here:
            work(client)
        else:
            self._work.append(work)
            self._link.wake()

    def _guard(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:
            self._count("handler_errors")
            self._log.exception("a callback of the session failed")

    def _count(self, name: str) -> None:
        self.counters[name] += 1


def _nothing() -> None:
    """QoS 0 is not acknowledged."""


def _once(action: Callable[[], None]) -> Callable[[], None]:
    """Idempotent, also over threads: the lock is taken once and never given back."""
    lock = threading.Lock()
    return lambda: action() if lock.acquire(blocking=False) else None


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

    return [replace(incoming, acknowledge=_once(acknowledge)) for _ in range(handlers)]


@lru_cache(maxsize=1024)
def _checked(topic: str) -> None:
    check_topic(topic)


@lru_cache(maxsize=256)
def _packed(content_type: str, extra: tuple[tuple[str, str], ...], expiry: int | None) -> bytes:
    return pack_properties(extra, content_type=content_type, expiry=expiry)
