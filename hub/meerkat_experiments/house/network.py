"""The bus: a broker, and a connection to it for each client, as unreliable as the faults make them.

MQTT runs over TCP, so a single message is never lost: it comes late, or the connection breaks and all
that was under way in it is gone. What a connection carries keeps its order within a topic and no
further, which is weaker than TCP's promise and what the hub may rely on.

A client that vanishes is noticed by the broker only when its keepalive is over; then its will goes out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Protocol

from .clock import Clock

IN_FLIGHT = 20
"""QoS 1 messages that a client may leave unacknowledged, as Mosquitto has it."""

KEEPALIVE = 22.0
"""Seconds of silence after which either end gives a connection up."""

EXPIRY = 3600.0
"""Seconds for which the broker keeps a persistent session without its client."""

MEAN_DELAY = 0.015
SLOW = 0.02
"""Share of messages that are held up by up to a second."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A message as it travels."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    properties: tuple[tuple[str, str], ...] = ()
    content_type: str = ""


class Client(Protocol):
    """The far end of a connection."""

    client_id: str
    persistent: bool
    will: Packet | None

    @property
    def filters(self) -> tuple[str, ...]: ...

    def connection_lost(self) -> None: ...

    def packet_came(self, packet: Packet, acknowledge: Callable[[], None]) -> None: ...


class Connection:
    """One TCP connection. Lanes keep their order; `broken` ends both ends' trust in it."""

    def __init__(self, clock: Clock, chance: Random, line: Line) -> None:
        self._clock = clock
        self._chance = chance
        self._line = line
        self._lanes: dict[str, deque[Callable[[], None]]] = {}
        self.alive = True
        self.deaf = False
        """The client's end is gone and the broker has not noticed."""

    def carry(self, lane: str, arrive: Callable[[], None]) -> None:
        """Let something arrive at the other end, after all that went on this lane before."""
        if not self.alive:
            return
        self._lanes.setdefault(lane, deque()).append(arrive)
        self._schedule(lane)

    def _schedule(self, lane: str) -> None:
        delay = self._chance.expovariate(1 / MEAN_DELAY)
        if self._chance.random() < SLOW:
            delay += self._chance.random()
        self._clock.after(self._line.stalled_for() + delay, lambda: self._arrive(lane))

    def _arrive(self, lane: str) -> None:
        if not self.alive:
            return
        if self._line.stalled_for() > 0:
            self._schedule(lane)
            return
        self._lanes[lane].popleft()()


class Line:
    """The way between a client and the broker; a partition stalls it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = 0.0

    def stall(self, seconds: float) -> None:
        self._until = max(self._until, self._clock.mono + seconds)

    def stalled_for(self) -> float:
        """Seconds for which nothing gets through yet."""
        return max(self._until - self._clock.mono, 0.0)


@dataclass(slots=True, eq=False)
class _Session:
    """What the broker knows of a client."""

    client: Client
    connection: Connection | None = None
    filters: list[list[str]] = field(default_factory=list)
    queue: deque[Packet] = field(default_factory=deque)
    in_flight: dict[int, Packet] = field(default_factory=dict)
    away_since: float = 0.0


class Broker:
    """`watch` hears of every message that it accepts."""

    def __init__(self, clock: Clock, watch: Callable[[Packet], None], *, duplicates: float) -> None:
        """`duplicates`: share of QoS 1 messages that it delivers twice."""
        self._clock = clock
        self._watch = watch
        self._chance = clock.chance("broker")
        self._duplicates = duplicates
        self._sessions: dict[str, _Session] = {}
        self._retained: dict[str, Packet] = {}
        self._numbers = count(1)
        self.up = True

    # --- connections ----------------------------------------------------------------------------

    def connect(self, client: Client, line: Line) -> Connection | None:
        """A new connection, or None when there is no way to the broker just now."""
        if not self.up or line.stalled_for() > 0:
            return None
        known = self._sessions.get(client.client_id)
        if known is not None and known.connection is not None:
            self._lost(known, known.connection)  # taken over: one connection for each client id
        known = self._sessions.get(client.client_id)
        if known is None or not client.persistent or self._clock.mono - known.away_since > EXPIRY:
            known = self._sessions[client.client_id] = _Session(client)
        known.client = client
        connection = known.connection = Connection(
            self._clock, self._clock.chance(f"line {client.client_id} {next(self._numbers)}"), line
        )
        kept, known.in_flight = list(known.in_flight.values()), {}
        known.queue.extendleft(reversed(kept))
        self._pump(known)
        known.filters = [text.split("/") for text in client.filters]
        for topic, packet in list(self._retained.items()):
            if any(matches(wanted, topic.split("/")) for wanted in known.filters):
                self._offer(known, packet)
        return connection

    def closed(self, connection: Connection, *, goodbye: bool) -> None:
        """The broker learns that a connection is over."""
        for session in list(self._sessions.values()):
            if session.connection is connection:
                if goodbye:
                    session.client.will = None
                self._lost(session, connection)

    def _lost(self, session: _Session, connection: Connection) -> None:
        tell = connection.alive and not connection.deaf
        connection.alive = False
        session.connection = None
        session.away_since = self._clock.mono
        client = session.client
        if not client.persistent:
            del self._sessions[client.client_id]
        if tell:
            client.connection_lost()
        if client.will is not None:
            self.publish(client.will)

    def restart(self, *, keep_retained: bool, keep_sessions: bool) -> None:
        """Go down: every connection breaks, and what is not kept on disk is forgotten."""
        self.up = False
        sessions = list(self._sessions.values())
        self._sessions = {s.client.client_id: s for s in sessions if keep_sessions and s.client.persistent}
        if not keep_retained:
            self._retained.clear()
        for session in sessions:
            connection, session.connection = session.connection, None
            session.away_since = self._clock.mono
            if connection is not None and connection.alive:
                connection.alive = False
                if not connection.deaf:
                    session.client.connection_lost()

    # --- messages -------------------------------------------------------------------------------

    def publish(self, packet: Packet) -> bool:
        """Accept a message; whether anybody has subscribed to it."""
        self._watch(packet)
        if packet.retain:
            self._retained.pop(packet.topic, None)
            if packet.payload:
                self._retained[packet.topic] = packet
        levels = packet.topic.split("/")
        live = Packet(packet.topic, packet.payload, packet.qos, False, packet.properties, packet.content_type)
        heard = False
        for session in list(self._sessions.values()):
            if any(matches(wanted, levels) for wanted in session.filters):
                heard = True
                self._offer(session, live)
                if packet.qos and self._chance.random() < self._duplicates:
                    self._offer(session, live)
        return heard

    def _offer(self, session: _Session, packet: Packet) -> None:
        if packet.qos or session.connection is not None:
            session.queue.append(packet)
            self._pump(session)

    def _pump(self, session: _Session) -> None:
        while session.connection is not None and session.queue and len(session.in_flight) < IN_FLIGHT:
            packet = session.queue.popleft()
            number = next(self._numbers)
            if packet.qos:
                session.in_flight[number] = packet
            self._send(session, session.connection, packet, number)

    def _send(self, session: _Session, connection: Connection, packet: Packet, number: int) -> None:
        def acknowledged() -> None:
            if session.connection is connection and session.in_flight.pop(number, None) is not None:
                self._pump(session)

        def acknowledge() -> None:
            connection.carry("ack", acknowledged)

        def arrive() -> None:
            if not connection.deaf:
                session.client.packet_came(packet, acknowledge if packet.qos else _nothing)

        connection.carry(f"down {packet.topic}", arrive)


def _nothing() -> None:
    """QoS 0 is not acknowledged."""


def matches(wanted: list[str], levels: list[str]) -> bool:
    """Whether a topic matches a filter (MQTT 5, 4.7.1)."""
    for position, name in enumerate(wanted):
        if name == "#":
            return True
        if position >= len(levels) or name not in ("+", levels[position]):
            return False
    return len(wanted) == len(levels)
