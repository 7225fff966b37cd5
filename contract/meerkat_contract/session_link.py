"""The network thread of a session: connects, serves, and connects again.

One thread owns the paho client and nobody else touches it. paho's callbacks only note what came;
the loop acts on it outside of paho's locks, so that a handler may publish, subscribe or stop. Other
threads leave their work in queues and wake the loop through a socket pair. Idle it sleeps in poll()
and wakes every few seconds for the keep-alive.
"""

from __future__ import annotations

import logging
import random
import select
import socket
import ssl
import threading
import time
from collections import deque
from typing import Any, Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from .connection import Connection
from .errors import BrokerError, UsageError
from .session_reasons import LASTING, hung_up, lacking, lost, refusal, unreachable
from .session_values import Will
from .session_wire import empty_properties

KEEP_ALIVE = 20
"""Seconds; the broker calls us dead after one and a half of it."""
TICK = 5.0
"""Seconds between looks at the keep-alive and at messages that stay incomplete."""
CONNECT_TIMEOUT = 4.0
SESSION_EXPIRY = 3600
"""Seconds for which the broker keeps a persistent session."""
RECEIVE_MAXIMUM = 20
"""Unacknowledged messages the broker may have under way to us."""
SEND_BUFFER = 128 * 1024
"""Bytes that the kernel may hold. Left alone it takes 4 MB, and we could not see whether the other side
takes any; on a line of 100 kB/s a ping would come out behind them after 40 s."""
FIRST_DELAY, LONGEST_DELAY = 0.1, 30.0
GOOD_CONNECTION = 10.0
"""Seconds a connection must last before the back-off begins anew: two programs with the same client
id throw each other out, and would do so ten times a second otherwise."""


def backoff(attempt: int, chance: float) -> float:
    """Seconds before attempt `attempt` (from 0): full jitter over a doubling span; `chance` in 0..1."""
    return chance * min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(attempt, 30))


class Owner(Protocol):
    """What the link tells the session, always on the network thread."""

    def link_up(self, client: Client, properties: Properties) -> None: ...
    def link_down(self, error: BrokerError, *, was_up: bool, lasting: bool, stopped: bool) -> None: ...
    def link_work(self, client: Client) -> None:
        """Hand over what waits: acknowledgements, subscriptions, messages."""

    def link_tick(self, now: float) -> None: ...
    def link_idle(self) -> bool: ...
    def link_message(self, message: MQTTMessage) -> None: ...
    def link_puback(self, mid: int, reason: ReasonCode) -> None: ...
    def link_suback(self, mid: int, reasons: list[ReasonCode]) -> None: ...


class Link:
    """One connection at a time, for as long as it is not stopped."""

    def __init__(
        self,
        connection: Connection,
        owner: Owner,
        *,
        client_id: str,
        will: Will | None,
        persistent: bool,
        logger: logging.Logger,
    ) -> None:
        self.generation = 0
        """Counts connections: what belongs to an earlier one is void."""
        self._connection = connection
        self._owner = owner
        self._client_id = client_id
        self._will = will
        self._persistent = persistent
        self._logger = logger
        self._thread: threading.Thread | None = None
        self._ident = 0
        self._stop = threading.Event()
        self._goodbye = True
        self._deadline = 0.0
        self._woken = False
        self._notes: deque[tuple[str, Any, Any]] = deque()
        self._up = False
        self._ended: BrokerError | None = None
        self._lasting = False
        self._leaving = False
        self._up_since = 0.0
        self._lasted = 0.0
        self._cut_short = 0

    def start(self) -> None:
        """Raises UsageError when the CA file cannot be used, RuntimeError when started before."""
        if self._thread is not None:
            raise RuntimeError("a session starts once")
        client = self._make_client()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._thread = threading.Thread(
            target=self._run, args=(client,), name=f"mqtt-{self._client_id}", daemon=True
        )
        self._thread.start()

    def stop(self, *, timeout: float, goodbye: bool) -> None:
        if self._thread is None:
            return
        self._goodbye = goodbye
        self._deadline = time.monotonic() + timeout
        self._stop.set()
        self.wake()
        if not self.here:
            self._thread.join(timeout + 2 * CONNECT_TIMEOUT)
            if self._thread.is_alive():
                self._logger.warning("%s: the network thread is busy and ends later", self._connection.url)

    @property
    def here(self) -> bool:
        """Whether the caller is the network thread."""
        return threading.get_ident() == self._ident

    def wake(self) -> None:
        """Have the loop look at its queues; from any thread."""
        if self._woken or self._thread is None or self.here:
            return
        self._woken = True
        try:
            self._wake_writer.send(b"\0")
        except OSError:
            self._woken = False  # the thread has ended: there is nobody to wake

    def _make_client(self) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_TIMEOUT
        client.max_inflight_messages_set(0)  # the window is ours: paho cannot change its own once connected
        client.on_connect = self._note_connack
        client.on_disconnect = self._note_disconnect
        client.on_message = self._note_message
        client.on_subscribe = self._note_suback
        client.on_socket_open = _prepare_socket
        if self._connection.username is not None:
            client.username_pw_set(self._connection.username, self._connection.password)
        if self._will:
            will = self._will
            client.will_set(str(will.topic), will.payload, will.qos, will.retain)
        if self._connection.tls:
            client.tls_set_context(_tls(self._connection))
        properties = empty_properties(PacketTypes.CONNECT)
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        if self._persistent:
            properties.SessionExpiryInterval = SESSION_EXPIRY
        client.connect_async(
            self._connection.host,
            self._connection.port,
            KEEP_ALIVE,
            clean_start=not self._persistent,
            properties=properties,
        )
        return client

    # --- paho's callbacks: they hold paho's locks, so they only take notes -----------------------

    def _note_connack(
        self, _client: Client, _data: Any, _flags: ConnectFlags, reason: ReasonCode, said: Properties | None
    ) -> None:
        self._notes.append(("connack", reason, said))

    def _note_disconnect(
        self,
        _client: Client,
        _data: Any,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _said: Properties | None,
    ) -> None:
        self._notes.append(("disconnect", flags.is_disconnect_packet_from_server, reason))

    def _note_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self._notes.append(("message", message, None))

    def _note_puback(
        self, _client: Client, _data: Any, mid: int, reason: ReasonCode, _said: Properties
    ) -> None:
        self._notes.append(("puback", mid, reason))

    def _note_suback(
        self, _client: Client, _data: Any, mid: int, reasons: list[ReasonCode], _said: Properties | None
    ) -> None:
        self._notes.append(("suback", mid, reasons))

    # --- the network thread ----------------------------------------------------------------------

    def _run(self, client: Client) -> None:
        self._ident = threading.get_ident()
        attempt = 0
        try:
            while not self._stop.is_set():
                self._begin()
                try:
                    if self._connect(client):
                        self._serve(client)
                except Exception as error:
                    self._logger.exception("%s: the connection is given up", self._connection.url)
                    self._ended = BrokerError(f"internal error ({error})", where=self._connection.url)
                self._end(client)
                if self._lasted >= GOOD_CONNECTION:
                    attempt = 0
                self._stop.wait(backoff(attempt, random.random()))
                attempt += 1
        finally:
            self._wake_reader.close()
            self._wake_writer.close()

    def _begin(self) -> None:
        self.generation += 1
        self._notes.clear()
        self._up, self._ended, self._lasting, self._leaving = False, None, False, False

    def _connect(self, client: Client) -> bool:
        try:
            client.reconnect()
        except (OSError, ValueError) as error:  # ValueError: a name that is none, in idna's words
            self._ended = unreachable(error, self._connection)
            self._lasting = isinstance(error, ssl.SSLCertVerificationError)
            return False
        return True

    def _end(self, client: Client) -> None:
        """Whatever ended the connection: no socket stays open, nothing stays under way."""
        client.on_disconnect = None
        if sock := client.socket():
            sock.close()
            client.loop_read()  # paho notices, and forgets the socket
        client.on_disconnect = self._note_disconnect
        client.drop_out_messages()
        was_up, self._up = self._up, False
        self._lasted = time.monotonic() - self._up_since if was_up else 0.0
        self._cut_short = self._cut_short + 1 if was_up and self._lasted < GOOD_CONNECTION else 0
        if self._stop.is_set():
            self._ended = BrokerError("the session was stopped", where=self._connection.url)
        elif self._ended is None:
            self._ended = (
                lost(self._connection, self._client_id, self._cut_short)
                if was_up
                else hung_up(self._connection)
            )
        stopped = self._stop.is_set()
        self._owner.link_down(self._ended, was_up=was_up, lasting=self._lasting, stopped=stopped)

    def _serve(self, client: Client) -> None:
        """Until the connection is lost or stopped: paho drops its socket then."""
        sock = client.socket()
        assert sock is not None, "reconnect() made a socket"
        descriptor = sock.fileno()
        poller = select.poll()
        poller.register(self._wake_reader, select.POLLIN)
        poller.register(descriptor, select.POLLIN)
        pending = getattr(sock, "pending", None)  # bytes that TLS has decoded already
        wants_write = False
        next_tick = time.monotonic() + TICK
        drained_at = 0.0
        while client.socket() is sock:
            if self._up:
                self._owner.link_work(client)
                if client.socket() is not sock:
                    break
            if self._stop.is_set() and (self._leave(client) or client.socket() is not sock):
                break
            if client.want_write() != wants_write:
                wants_write = not wants_write
                poller.modify(descriptor, select.POLLIN | (select.POLLOUT if wants_write else 0))
            until = min(next_tick, self._deadline) if self._stop.is_set() else next_tick
            wait = 0.0 if pending is not None and pending() else max(0.0, until - time.monotonic())
            events = dict(poller.poll(wait * 1000))
            if self._wake_reader.fileno() in events:
                self._wake_reader.recv(4096)
                self._woken = False
            state = events.get(descriptor, 0)
            if state & ~select.POLLOUT or (pending is not None and pending()):
                self._read(client)
            now = time.monotonic()
            if state & select.POLLOUT and client.socket() is sock:
                drained_at = now
                client.loop_write()
            if now >= next_tick and client.socket() is sock:
                next_tick = now + TICK
                # On a slow line a ping waits behind a clip for longer than the keep-alive. As long as
                # the other side takes our bytes it is there, and it does not miss the ping either.
                if not (client.want_write() and now - drained_at < KEEP_ALIVE):
                    client.loop_misc()
                self._owner.link_tick(now)
        self._act_on_notes(client)

    def _leave(self, client: Client) -> bool:
        """Stopping: whether it is time to go. Says goodbye once everything is out, or time is up."""
        if not (self._goodbye and self._up):
            return True
        late = time.monotonic() >= self._deadline
        if not self._leaving and (late or self._owner.link_idle()):
            self._leaving = True
            client.disconnect()
        return late

    def _read(self, client: Client) -> None:
        client.on_publish = self._note_puback  # set for PUBACKs alone: it is costly and useless at QoS 0
        client.loop_read()
        client.on_publish = None
        self._act_on_notes(client)

    def _act_on_notes(self, client: Client) -> None:
        notes, owner = self._notes, self._owner
        while notes:
            kind, first, second = notes.popleft()
            match kind:
                case "message":
                    owner.link_message(first)
                case "puback":
                    owner.link_puback(first, second)
                case "suback":
                    owner.link_suback(first, second)
                case "connack" if first.is_failure:
                    self._ended = refusal(first, self._connection.url)
                    self._lasting = first.value in LASTING
                case "connack" if lack := lacking(second, self._connection.url):
                    self._ended, self._lasting = lack, True
                    client.disconnect()
                case "connack":
                    self._up, self._up_since = True, time.monotonic()
                    owner.link_up(client, second or empty_properties(PacketTypes.CONNACK))
                case "disconnect" if first and self._ended is None:
                    self._ended = refusal(second, self._connection.url)


def _prepare_socket(_client: Client, _data: Any, sock: Any) -> None:
    """Small messages must not wait for the acknowledgement of earlier ones (Nagle)."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


class _TlsSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails; paho leaves it open."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def _tls(connection: Connection) -> ssl.SSLContext:
    """Authorities of the system, or those of the file; the host's name is checked."""
    try:
        context = ssl.create_default_context(cafile=connection.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"cannot be used as a file of certificate authorities ({error})",
            where=str(connection.ca_file),
            remedy="Name a PEM file that can be read",
        ) from None
    context.sslsocket_class = _TlsSocket
    return context
