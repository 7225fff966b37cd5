"""MQTT 5 on the socket itself: the session's client where the cost of a message counts.

Reads as much as the kernel has in one call, and writes as much as it takes in one call; a payload is
copied once, from the buffer into the message, and not at all on its way out. What is handed over
waits in `_out` until `flush`, so that everything a round of the loop has to say leaves together.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any

from . import session_packets as packets
from .errors import BrokerError
from .session_packets import Malformed, read_length, read_packet
from .session_sockets import prepare, tls_context
from .session_transport import Accepted, Acknowledged, Event, Granted, Hello, Message

BUFFER = 256 * 1024
"""Bytes read in one call at most; a larger packet gets a buffer of its own while it comes."""

_CHUNKS = 64
"""Buffers written in one call at most."""

_NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

_ANSWERS = (Acknowledged, Granted)


class OwnTransport:
    """See `session_transport.Transport`."""

    def __init__(self, hello: Hello) -> None:
        """Raises UsageError when the CA file cannot be used."""
        self.events: deque[Event] = deque()
        self.failure: BrokerError | None = None
        self.blocked = False
        self._hello = hello
        self._tls = tls_context(hello.connection) if hello.connection.tls else None
        self._socket: Any = None
        self._out: deque[bytes | bytearray | memoryview] = deque()
        self._offered = self._written = 0
        """Bytes of this connection, from its beginning."""
        self._mid = 0
        self._mids: set[int] = set()
        self._usual = memoryview(bytearray(BUFFER))
        self._buffer, self._filled = self._usual, 0
        self._keep_alive = float(hello.keep_alive)
        self._heard = self._said = 0.0
        self._pinged: float | None = None
        self._welcome = False
        """Whether the broker has answered CONNECT; nothing may be asked before."""

    @property
    def socket(self) -> Any:
        return self._socket

    # --- life -------------------------------------------------------------------------------------

    def open(self) -> None:
        self.close()
        self.events.clear()
        self.failure = None
        self._offered = self._written = 0
        self._keep_alive = float(self._hello.keep_alive)
        where = (self._hello.connection.host, self._hello.connection.port)
        sock: Any = socket.create_connection(where, self._hello.connect_timeout)
        try:
            prepare(sock, self._hello.send_buffer)
            if self._tls is not None:
                sock = self._tls.wrap_socket(
                    sock, server_hostname=self._hello.connection.host, do_handshake_on_connect=False
                )
                sock.do_handshake()
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
        self._socket = sock
        self._heard = self._said = time.monotonic()
        self._offer(packets.connect(self._hello))
        self.flush()

    def close(self) -> None:
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()
        self._out.clear()
        self._mids.clear()
        self._buffer, self._filled = self._usual, 0
        self.blocked = self._welcome = False
        self._pinged = None

    def check(self, now: float) -> None:
        silent = self._pinged if self._welcome else self._heard
        if silent is not None and now - silent >= self._keep_alive:
            self.close()
        elif (
            self._welcome and self._pinged is None and now - min(self._heard, self._said) >= self._keep_alive
        ):
            self._pinged = now
            self._offer(packets.PINGREQ)
            self.flush()

    def disconnect(self) -> None:
        self._offer(packets.DISCONNECT)
        self.flush()

    # --- out --------------------------------------------------------------------------------------

    def publish(
        self, topic: str, payload: bytes | bytearray | memoryview, qos: int, retain: bool, properties: bytes
    ) -> object:
        if self._socket is None:
            return None
        mid = self._next_mid() if qos else 0
        size = len(payload)
        head = packets.publish_head(topic.encode(), properties, size, qos, mid, retain=retain)
        self._out.append(head)
        if size:
            self._out.append(payload)
        self._offered += len(head) + size
        return mid if qos else self._offered

    def is_written(self, ticket: Any) -> bool:
        return bool(self._written >= ticket)

    def acknowledge(self, mids: Sequence[int]) -> None:
        self._offer(b"".join([packets.puback(mid) for mid in mids]))

    def subscribe(self, topic: str, *, qos: int, no_local: bool, identifier: int | None) -> int:
        mid = self._next_mid()
        self._offer(packets.subscribe(mid, topic, qos=qos, no_local=no_local, identifier=identifier))
        return mid

    def unsubscribe(self, topic: str) -> None:
        self._offer(packets.unsubscribe(self._next_mid(), topic))

    def flush(self) -> bool:
        out, sock = self._out, self._socket
        if not out:
            return True
        if sock is None:
            return False
        try:
            while out:
                # A TLS socket knows no sendmsg.
                left = sock.sendmsg(list(islice(out, _CHUNKS))) if self._tls is None else sock.send(out[0])
                self._written += left
                while out and left >= (size := len(out[0])):
                    out.popleft()
                    left -= size
                if left:
                    out[0] = memoryview(out[0])[left:]
                    if self._tls is None:  # the kernel took what it has room for
                        self.blocked = True
                        return False
        except _NOT_NOW:
            self.blocked = True
            return False
        except OSError:
            self.close()
            return False
        finally:
            self._said = time.monotonic()
        self.blocked = False
        return True

    def _offer(self, data: bytes) -> None:
        if self._socket is not None:
            self._out.append(data)
            self._offered += len(data)

    def _next_mid(self) -> int:
        while True:
            self._mid = self._mid % 65_535 + 1
            if self._mid not in self._mids:
                self._mids.add(self._mid)
                return self._mid

    # --- in ---------------------------------------------------------------------------------------

    def read(self) -> bool:
        sock = self._socket
        if sock is None:
            return False
        room = self._buffer[self._filled :]
        try:
            count = sock.recv_into(room)
        except _NOT_NOW:
            return False
        except OSError:
            count = 0
        if not count:
            self.close()
            return False
        self._heard = time.monotonic()
        self._filled += count
        try:
            self._take()
        except Malformed as error:
            self.failure = BrokerError(
                f"what came is no MQTT 5 ({error})",
                where=self._hello.connection.url,
                remedy="Is this an MQTT broker?",
            )
            self.close()
            return False
        return bool(count == len(room))

    def _take(self) -> None:
        """Every whole packet in the buffer becomes an event; what is left moves to its front."""
        data, end, at = self._buffer, self._filled, 0
        missing = 0
        while end - at >= 2:
            found = read_length(data, at + 1, end)
            if found is None:
                break
            length, body = found
            stop = body + length
            if stop > end:
                missing = stop - at
                break
            event = read_packet(data[at], data[body:stop])
            if type(event) is Message:  # the most frequent by far
                self.events.append(event)
            elif event is None:
                self._pinged = None
            else:
                self._note(event)
            at = stop
        self._keep(at, end, missing)

    def _keep(self, at: int, end: int, missing: int) -> None:
        """The rest of the buffer stays, in a larger one if its packet of `missing` bytes needs that."""
        rest = end - at
        old = self._buffer
        if missing > len(old):
            self._buffer = memoryview(bytearray(missing))
        elif len(old) > BUFFER and at:
            self._buffer = self._usual
        if rest and (at or self._buffer is not old):
            self._buffer[:rest] = old[at:end]
        self._filled = rest

    def _note(self, event: Event) -> None:
        if isinstance(event, _ANSWERS):
            self._mids.discard(event.mid)
        elif isinstance(event, Accepted):
            self._welcome = True
            if event.keep_alive is not None:
                self._keep_alive = float(event.keep_alive or "inf")  # 0: it never asks
        self.events.append(event)
