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
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from .connection import Connection
from .errors import BadMessage, BrokerError, MeerkatError, MessageTooLarge
from .metadata import Metadata
from .session_incoming import Handler, Inbox, Refused, Subscription
from .session_kept import Kept, State
from .session_link import Link
from .session_outgoing import Outgoing, as_bytes, make_packets, offline
from .session_transport import Accepted, Message, Transport, Wire
from .session_values import Delivery, Incoming, Will, nothing
from .session_wire import PROTOCOL_LIMIT

__all__ = ["Delivery", "Incoming", "Session", "Will"]

DEFAULT_WIRE: Wire = "paho"

COUNTERS = (
    "published",  # handed over, whatever became of it then
    "received",  # from the broker, parts counted one by one
    "dropped_offline",  # QoS 0 without a connection, or with too much waiting already
    "refused_too_large",  # above the broker's packet limit
    "failed",  # QoS 1 that failed at once, and what cannot be sent at all
    "handler_errors",
    "bad_messages",  # refused by a handler, or parts that do not join
    "unhandled",  # of a filter given up
    "parts_lost",  # messages whose missing parts never came
    "reconnects",
)


class Session:
    """A connection to the broker that comes back by itself. Every method may be called on any thread."""

    def __init__(
        self,
        connection: Connection,
        *,
        client_id: str,
        will: Will | None = None,
        persistent: bool = False,
        wire: Wire | None = None,
        on_connected: Callable[[], None] | None = None,
        on_disconnected: Callable[[str], None] | None = None,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
        log: logging.Logger | None = None,
    ) -> None:
        """Does nothing yet.

        `persistent`: the broker keeps subscriptions and QoS 1 messages for an hour while we are away;
        subscribe before `start()` then, since what it kept comes right after the connection.
        `wire`: `paho`, the usual client, or `own`, which speaks MQTT on the socket itself and costs a
        fraction of it per message; DEFAULT_WIRE unless told.
        `on_connected` runs on the network thread; subscriptions and kept state go out before anything
        it publishes. The handlers of all that came with one read run within `around()`: who wants to
        deal with it as one does so when that ends, still on the network thread.
        """
        self.connection = connection
        self.client_id = client_id
        self.maximum_packet_size = PROTOCOL_LIMIT
        """Bytes of the largest packet the broker takes; known once connected."""
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._around = around
        self._logger = log or logging.getLogger("meerkat.mqtt")
        self._link = Link(
            connection,
            self,
            client_id=client_id,
            will=will,
            persistent=persistent,
            wire=wire or DEFAULT_WIRE,
            logger=self._logger,
        )
        self._outgoing = Outgoing()
        self._inbox = Inbox(self._logger, self._count)
        self._changed = threading.Condition()
        self._connected = False
        self._error: BrokerError | None = None
        self._lasting = False
        self._known = False
        self._lock = threading.Lock()
        self._kept = Kept(self._offer_state, self._logger)
        self._work: deque[Callable[[Transport], None]] = deque()
        self._acks: deque[tuple[int, int]] = deque()
        self._client: Transport | None = None

    # --- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect in the background, for ever: full jitter between 0 and 0.1 s, doubling up to 30 s.

        Raises UsageError when the file of certificate authorities cannot be used.
        """
        self._link.start()

    @property
    def connected(self) -> bool:
        return self._connected

    @property
    def failure(self) -> BrokerError | None:
        """Why it is not connected, where that is known; None while it is."""
        return None if self._connected else self._error

    def wait_connected(self, timeout: float) -> None:
        """Returns once connected. Raises BrokerError that says why not, and the remedy.

        At once when waiting does not help (wrong password, untrusted certificate, no MQTT 5), else
        after `timeout` seconds. The session goes on trying all the same.
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
            if not self._connected:
                return self._lasting
            return all(s.granted or s.error for s in self._inbox.subscriptions)

        with self._changed:
            if not self._changed.wait_for(settled, timeout) or not self._connected:
                raise self._error or BrokerError(
                    f"subscriptions were not confirmed within {timeout:g} s", where=self.connection.url
                )
        for subscription in self._inbox.subscriptions:
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
        `on_refused` hears of a part that never can be joined (wrong SHA-256, above a limit).
        """
        if qos not in (0, 1):
            raise ValueError(f"QoS {qos}: the bus uses 0 and 1 only")
        subscription = Subscription(str(topic), handler, qos, auto_ack, join_parts, no_local, on_refused)
        self._inbox.add(subscription)
        self._do(lambda client: self._inbox.send(client, subscription))

    def unsubscribe(self, topic: object) -> None:
        """The broker sends no more of the filter; what is on its way is acknowledged and dropped."""
        name = str(topic)
        if self._inbox.remove(name):
            self._do(lambda client: self._inbox.cancel(client, name))

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
            return self._failed(qos, offline())
        try:
            packets = make_packets(
                str(topic),
                payload if isinstance(payload, bytes) else as_bytes(payload),
                self.maximum_packet_size,
                qos=qos,
                retain=retain,
                metadata=metadata,
                content_type=content_type,
                extra=properties,
                expiry=expiry,
            )
        except (MessageTooLarge, BadMessage) as error:
            return self._failed(qos, error)
        if refused := self._outgoing.offer(packets):
            return self._failed(qos, refused)
        with self._lock:
            self.counters["published"] += 1
        self._link.wake()
        return packets[0].delivery if len(packets) == 1 else Delivery.of_all([p.delivery for p in packets])

    def together(self) -> AbstractContextManager[None]:
        """What the calling thread publishes, keeps and acknowledges within goes out at the end of it.

        Without it every call wakes the network thread, and two threads then take turns on one
        interpreter for each message. Nothing is held back for long: end it before you wait for anything.
        """
        return self._link.together()

    def keep(self, topic: object, payload: bytes | str, *, qos: int = 1, content_type: str = "") -> None:
        """Retained state: published when it changed, and again after every reconnect.

        While offline the latest wins; above 4 kB (pictures) also while the one before is under way.
        """
        data = payload.encode() if isinstance(payload, str) else bytes(payload)
        self._kept.change(str(topic), State(data, qos, content_type))

    # --- the link's calls, on the network thread --------------------------------------------------

    def link_up(self, client: Transport, accepted: Accepted) -> None:
        self._client = client
        self.maximum_packet_size = accepted.maximum_packet_size or PROTOCOL_LIMIT
        self._outgoing.open(accepted.receive_maximum)
        self._work.clear()
        if self._known:
            self._count("reconnects")
        self._known = True
        self._settle(connected=True)
        self._logger.info("connected to %s as %s", self.connection.url, self.client_id)
        self._inbox.connected(client, identifiers=accepted.identifiers_available)
        self._kept.connected()
        if self._on_connected:
            self._guard(self._on_connected)

    def link_down(self, error: BrokerError, *, was_up: bool, lasting: bool, stopped: bool) -> None:
        # Said before anybody who waits is woken: whoever tells it in words of its own mutes this meanwhile.
        if stopped:
            self._logger.debug("%s", error)
        elif was_up or str(self._error) != str(error):  # not once more for every attempt
            self._logger.warning("%s", error)
        self._client = None
        self._inbox.disconnected()
        self._settle(connected=False, error=error, lasting=lasting)
        self._outgoing.close(error)
        if stopped:
            return
        if was_up and (told := self._on_disconnected):
            self._guard(lambda: told(str(error)))

    def link_work(self, client: Transport) -> bool:
        if self._acks:
            generation = self._link.generation
            mids = []
            while self._acks:
                of, mid = self._acks.popleft()
                if of == generation:
                    mids.append(mid)
            client.acknowledge(mids)
        while self._work:
            self._work.popleft()(client)
        some = self._outgoing.pump(client)
        all_out = not client.blocked and client.flush()  # blocked, the loop writes when there is room
        self._outgoing.written(client)
        return some and all_out

    def link_idle(self) -> bool:
        return self._outgoing.idle and not (self._acks or self._work)

    def link_tick(self, now: float) -> None:
        self._inbox.tick(now)

    def link_reading(self) -> AbstractContextManager[None]:
        return self._around()

    def link_message(self, message: Message) -> None:
        self.counters["received"] += 1  # by this thread alone
        self._inbox.receive(message, self._acknowledger(message.mid) if message.qos else nothing)

    def link_puback(self, mid: int, code: int) -> None:
        self._outgoing.acknowledged(mid, code)

    def link_suback(self, mid: int, code: int) -> None:
        with self._changed:
            self._inbox.confirmed(mid, code)
            self._changed.notify_all()

    # --- inside ----------------------------------------------------------------------------------

    def _settle(self, *, connected: bool, error: BrokerError | None = None, lasting: bool = False) -> None:
        with self._changed:
            self._connected, self._error, self._lasting = connected, error, lasting
            self._changed.notify_all()

    def _acknowledger(self, mid: int) -> Callable[[], None]:
        """Acknowledges once, on the connection that brought the message and on no later one."""
        generation, lock = self._link.generation, threading.Lock()

        def acknowledge() -> None:
            if lock.acquire(blocking=False):  # once, as `session_values.once`
                self._acks.append(
                    (generation, mid)
                )  # the link sends them together when it has dealt with all
                self._link.wake()

        return acknowledge

    def _offer_state(self, topic: str, state: State) -> Delivery | None:
        if not self._connected:
            return None
        return self.publish(topic, state.payload, qos=state.qos, retain=True, content_type=state.content_type)

    def _failed(self, qos: int, error: MeerkatError) -> Delivery:
        if isinstance(error, MessageTooLarge):
            self._count("refused_too_large")
        elif qos == 0 and isinstance(error, BrokerError):
            self._count("dropped_offline")
        else:
            self._count("failed")
        return Delivery.failed(error)

    def _do(self, work: Callable[[Transport], None]) -> None:
        """Run `work` on the network thread, at once if we are there; not at all when offline."""
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
            self._logger.exception("a callback of the session failed")

    def _count(self, name: str) -> None:
        with self._lock:
            self.counters[name] += 1
