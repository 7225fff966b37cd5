"""What `meerkat_contract.session.Session` promises, over the simulated bus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from random import Random

from meerkat_contract.connection import Connection as Address
from meerkat_contract.errors import BadMessage, BrokerError, MeerkatError
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Delivery, Incoming, Will

from .clock import Clock
from .network import KEEPALIVE, Broker, Connection, Line, Packet, matches

Handler = Callable[[Incoming], None]
Fault = Callable[[str, BaseException], None]

LONGEST_PAUSE = 30.0
"""Seconds between two attempts to connect, at most; the first come within 0.1 s."""

LAST_WORDS = 2.5
"""Seconds in which all that was sent before an orderly end arrives."""


@dataclass(frozen=True, slots=True)
class _Subscription:
    levels: list[str]
    handler: Handler
    auto_ack: bool


@dataclass(slots=True)
class Bus:
    """Where sessions connect to."""

    clock: Clock
    broker: Broker
    fault: Fault
    """Told of an exception in a handler that is no MeerkatError: a mistake in the program."""


class SimulatedSession:
    """One client. It connects by itself for ever; nothing is queued while it is offline."""

    def __init__(
        self,
        bus: Bus,
        line: Line,
        *,
        client_id: str,
        will: Will | None = None,
        persistent: bool = False,
        on_connected: Callable[[], None] | None = None,
        on_disconnected: Callable[[str], None] | None = None,
    ) -> None:
        self.client_id = client_id
        self.persistent = persistent
        self.will = Packet(will.topic, will.payload, will.qos, will.retain) if will else None
        self.connection: Connection | None = None
        self._bus = bus
        self._line = line
        self._chance: Random = bus.clock.chance(f"session {client_id} {bus.clock.new_id()}")
        self._on_connected = on_connected
        self._on_disconnected = on_disconnected
        self._subscriptions: dict[str, _Subscription] = {}
        self._kept: dict[str, tuple[bytes, int, str]] = {}
        self._under_way: dict[int, Delivery] = {}
        self._count = 0
        self._attempts = 0
        self._running = False

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        self._running = True
        self._again()

    def stop(self, *, timeout: float = 0, goodbye: bool = True) -> None:
        """With a goodbye the broker does not publish the will; what was sent before still arrives."""
        del timeout
        connection = self._end()
        if connection is not None:
            self._bus.clock.after(
                self._line.stalled_for() + LAST_WORDS,
                lambda: self._bus.broker.closed(connection, goodbye=goodbye),
            )

    def vanish(self, noticed_after: float) -> None:
        """Die without a word; the broker notices so many seconds later."""
        connection = self._end()
        if connection is not None:
            self._bus.clock.after(noticed_after, lambda: self._bus.broker.closed(connection, goodbye=False))

    def _end(self) -> Connection | None:
        self._running = False
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.deaf = True
        return connection

    def cut(self) -> None:
        """The connection breaks, and both ends notice."""
        if self.connection is not None:
            self._bus.broker.closed(self.connection, goodbye=False)

    def stall(self, seconds: float) -> None:
        """Nothing gets through for a while; beyond the keepalive each end gives the connection up."""
        connection = self.connection
        self._line.stall(seconds)
        if connection is None or seconds <= KEEPALIVE:
            return

        def broker_gives_up() -> None:
            if connection.alive and self._line.stalled_for() > 0:
                self._bus.broker.closed(connection, goodbye=False)

        def client_gives_up() -> None:
            if self.connection is connection and self._line.stalled_for() > 0:
                connection.deaf = True
                self.connection_lost()
                self._bus.clock.after(
                    self._line.stalled_for(), lambda: self._bus.broker.closed(connection, goodbye=False)
                )

        self._bus.clock.after(KEEPALIVE * self._chance.uniform(1, 1.5), broker_gives_up)
        self._bus.clock.after(KEEPALIVE * self._chance.uniform(1, 1.5), client_gives_up)

    @property
    def connected(self) -> bool:
        return self.connection is not None

    @property
    def filters(self) -> tuple[str, ...]:
        return tuple(self._subscriptions)

    def _again(self) -> None:
        pause = min(0.1 * 2.0**self._attempts, LONGEST_PAUSE)
        self._attempts = min(self._attempts + 1, 10)
        self._bus.clock.after(self._chance.random() * pause, self._attempt)

    def _attempt(self) -> None:
        if not self._running or self.connection is not None:
            return
        connection = self._bus.broker.connect(self, self._line)
        if connection is None:
            self._again()
            return
        self.connection = connection
        self._attempts = 0
        for topic, (payload, qos, content_type) in self._kept.items():
            self.publish(topic, payload, qos=qos, retain=True, content_type=content_type)
        if self._on_connected is not None:
            self._guard("on_connected", self._on_connected)

    def connection_lost(self) -> None:
        """All that is under way fails, though the broker may have it."""
        self.connection = None
        lost, self._under_way = self._under_way, {}
        for delivery in lost.values():
            delivery.finish(_offline())
        if self._on_disconnected is not None:
            told = self._on_disconnected
            self._guard("on_disconnected", lambda: told("the connection is lost"))
        if self._running:
            self._again()

    # --- in -------------------------------------------------------------------------------------

    def together(self) -> AbstractContextManager[None]:
        """Nothing is to be gained here: there is one thread."""
        return nullcontext()

    def subscribe(
        self,
        topic: object,
        handler: Handler,
        *,
        qos: int = 1,
        auto_ack: bool = True,
        join_parts: bool = False,
        on_refused: object = None,
    ) -> None:
        """Before `start`. Nothing travels in parts here, and what was sent with QoS 0 comes with it."""
        del qos, join_parts, on_refused
        self._subscriptions[str(topic)] = _Subscription(str(topic).split("/"), handler, auto_ack)

    def packet_came(self, packet: Packet, acknowledge: Callable[[], None]) -> None:
        levels = packet.topic.split("/")
        subscription = next((s for s in self._subscriptions.values() if matches(s.levels, levels)), None)
        if subscription is None:
            acknowledge()
            return
        acknowledged = False

        def once() -> None:
            nonlocal acknowledged
            if not acknowledged:
                acknowledged = True
                acknowledge()

        message = Incoming(
            packet.topic,
            packet.payload,
            list(packet.properties),
            packet.content_type,
            packet.retain,
            packet.qos,
            once,
        )
        try:
            subscription.handler(message)
        except MeerkatError:
            message.ack()  # refused: the real session logs it and goes on
        except Exception as error:  # noqa: BLE001 - told to the world, which ends the run
            self._bus.fault(f"{self.client_id}, handler of {packet.topic}", error)
        else:
            if subscription.auto_ack:
                message.ack()

    # --- out ------------------------------------------------------------------------------------

    def publish(
        self,
        topic: object,
        payload: bytes,
        *,
        qos: int = 0,
        retain: bool = False,
        metadata: Metadata | None = None,
        content_type: str = "",
        properties: Sequence[tuple[str, str]] = (),
    ) -> Delivery:
        connection = self.connection
        if connection is None:
            return Delivery.failed(_offline())
        try:
            pairs = (*(metadata.to_properties() if metadata else ()), *properties)
        except BadMessage as error:
            return Delivery.failed(error)
        kind = content_type or (metadata.content_type if metadata else "")
        packet = Packet(str(topic), bytes(payload), qos, retain, pairs, kind)
        delivery = Delivery()
        self._count += 1
        number = self._count
        if qos:
            self._under_way[number] = delivery

        def confirmed(heard: bool) -> None:
            if self._under_way.pop(number, None) is not None:
                delivery.nobody = not heard
                delivery.finish()

        def accepted() -> None:
            heard = self._bus.broker.publish(packet)
            if qos:
                connection.carry("confirm", lambda: confirmed(heard))

        connection.carry(f"up {packet.topic}", accepted)
        if not qos:
            delivery.finish()
        return delivery

    def keep(self, topic: object, payload: bytes | str, *, qos: int = 1, content_type: str = "") -> None:
        """Retained state: published when it changed, and again after every reconnect."""
        data = payload.encode() if isinstance(payload, str) else bytes(payload)
        if self._kept.get(str(topic)) == (data, qos, content_type):
            return
        self._kept[str(topic)] = (data, qos, content_type)
        if self.connected:
            self.publish(topic, data, qos=qos, retain=True, content_type=content_type)

    def _guard(self, what: str, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001 - told to the world, which ends the run
            self._bus.fault(f"{self.client_id}, {what}", error)


def _offline() -> BrokerError:
    return BrokerError("not connected to the broker")


NOWHERE = Address("simulated", 1883)
"""An address for what asks for one; nobody connects to it."""
