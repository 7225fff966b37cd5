"""The network thread of a session: connects, serves, and connects again.

One thread owns the MQTT client and nobody else touches it. The client notes what came; the loop acts
on it outside of the client's calls, so that a handler may publish, subscribe or stop. Other threads
leave their work in queues and wake the loop through a socket pair. Idle it sleeps in poll() and wakes
every few seconds for the keep-alive.
"""

from __future__ import annotations

import logging
import random
import select
import socket
import ssl
import threading
import time
from contextlib import AbstractContextManager, suppress
from typing import Protocol

from .connection import Connection
from .errors import BrokerError
from .session_reasons import LASTING, Stopped, hung_up, is_failure, lacking, lost, refusal, unreachable
from .session_transport import Accepted, Acknowledged, Ended, Granted, Hello, Message, Transport, Wire
from .session_values import Will
from .values import Around

KEEP_ALIVE = 20
"""Seconds; the broker calls us dead after one and a half of it."""
TICK = 5.0
"""Seconds between looks at the keep-alive and at messages that stay incomplete."""
CONNECT_TIMEOUT = 4.0
SESSION_EXPIRY = 3600
"""Seconds for which the broker keeps a persistent session."""
RECEIVE_MAXIMUM = 20
"""Unacknowledged messages the broker may have under way to us."""
SEND_BUFFER: dict[Wire, int] = {"paho": 128 * 1024, "own": 256 * 1024}
"""Bytes that the kernel may hold (Linux takes twice as much). Left alone it takes 4 MB, and we could not see
whether the other side takes any; on a line of 100 kB/s a ping would come out behind them after 40 s. What is
dealt with in one round of the loop is also what fits here: the hub, near its broker, spends a tenth less on a
frame of 50 kB with twice as much as a device."""
FIRST_DELAY, LONGEST_DELAY = 0.1, 30.0
READS = 4
"""Times that is read before what was heard is dealt with, as long as there is more."""
GOOD_CONNECTION = 10.0
"""Seconds a connection must last before the back-off begins anew: two programs with the same client
id throw each other out, and would do so ten times a second otherwise."""


def backoff(attempt: int, chance: float) -> float:
    """Seconds before attempt `attempt` (from 0): full jitter over a doubling span; `chance` in 0..1."""
    return chance * min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(attempt, 30))


class Owner(Protocol):
    """What the link tells the session, always on the network thread."""

    def link_up(self, client: Transport, accepted: Accepted) -> None: ...
    def link_down(self, error: BrokerError, *, was_up: bool, lasting: bool, stopped: bool) -> None: ...
    def link_work(self, client: Transport) -> bool:
        """Hand over what waits: acknowledgements, subscriptions, messages. Whether more can go at once."""

    def link_tick(self, now: float) -> None: ...
    def link_idle(self) -> bool: ...
    def link_reading(self) -> AbstractContextManager[None]:
        """Within it is told what came with one read."""

    def link_message(self, message: Message) -> None: ...
    def link_puback(self, mid: int, code: int) -> None: ...
    def link_suback(self, mid: int, code: int) -> None: ...


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
        wire: Wire,
        logger: logging.Logger,
    ) -> None:
        self.generation = 0
        """Counts connections: what belongs to an earlier one is void."""
        self._connection = connection
        self._owner = owner
        self._client_id = client_id
        self._will = will
        self._persistent = persistent
        self._wire = wire
        self._logger = logger
        self._thread: threading.Thread | None = None
        self._ident = 0
        self._stop = threading.Event()
        self._goodbye = True
        self._deadline = 0.0
        self._called = False
        """Somebody has left work since the loop last looked."""
        self._asleep = False
        """The loop is about to sleep or does; otherwise it needs no waking, which costs a system call."""
        self._gathering: dict[int, int] = {}
        """Threads within `together`, and how deep."""
        self._together = Around(self._begin_together, self._end_together)
        self._up = False
        self._ended: BrokerError | None = None
        self._lasting = False
        self._leaving = False
        self._all_out = False
        """The goodbye was said when nothing waited any more."""
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
        self._wake()
        if not self.here:
            self._thread.join(timeout + 2 * CONNECT_TIMEOUT)
            if self._thread.is_alive():
                self._logger.warning("%s: the network thread is busy and ends later", self._connection.url)

    @property
    def here(self) -> bool:
        """Whether the caller is the network thread."""
        return threading.get_ident() == self._ident

    def wake(self) -> None:
        """Have the loop look at its queues; from any thread. Within `together`, at its end."""
        if not self._called and threading.get_ident() not in self._gathering:
            self._called = True
            if self._asleep:
                self._wake()

    def together(self) -> AbstractContextManager[None]:
        """The calling thread wakes the loop once, at the end."""
        return self._together

    def _begin_together(self) -> None:
        ident = threading.get_ident()
        self._gathering[ident] = self._gathering.get(ident, 0) + 1

    def _end_together(self) -> None:
        ident = threading.get_ident()
        self._gathering[ident] -= 1
        if not self._gathering[ident]:
            del self._gathering[ident]
            self.wake()

    def _wake(self) -> None:
        with suppress(OSError):  # the thread has ended: there is nobody to wake
            self._wake_writer.send(b"\0")

    def _make_client(self) -> Transport:
        hello = Hello(
            self._connection,
            self._client_id,
            self._will,
            keep_alive=KEEP_ALIVE,
            session_expiry=SESSION_EXPIRY if self._persistent else 0,
            receive_maximum=RECEIVE_MAXIMUM,
            connect_timeout=CONNECT_TIMEOUT,
            send_buffer=SEND_BUFFER[self._wire],
        )
        if self._wire == "own":
            from .session_own import OwnTransport

            return OwnTransport(hello)
        from .session_paho import PahoTransport

        return PahoTransport(hello)

    # --- the network thread ----------------------------------------------------------------------

    def _run(self, client: Transport) -> None:
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
        self._up, self._ended, self._lasting = False, None, False
        self._leaving = self._all_out = False

    def _connect(self, client: Transport) -> bool:
        try:
            client.open()
        except (OSError, ValueError) as error:  # ValueError: a name that is none, in idna's words
            self._ended = unreachable(error, self._connection)
            self._lasting = isinstance(error, ssl.SSLCertVerificationError)
            return False
        return True

    def _end(self, client: Transport) -> None:
        """Whatever ended the connection: no socket stays open, nothing stays under way."""
        client.close()
        was_up, self._up = self._up, False
        self._lasted = time.monotonic() - self._up_since if was_up else 0.0
        self._cut_short = self._cut_short + 1 if was_up and self._lasted < GOOD_CONNECTION else 0
        if self._stop.is_set():
            kind = Stopped if self._all_out or not self._goodbye else BrokerError
            self._ended = kind("the session was stopped", where=self._connection.url)
        elif self._ended is None:
            self._ended = (
                lost(self._connection, self._client_id, self._cut_short)
                if was_up
                else hung_up(self._connection)
            )
        stopped = self._stop.is_set()
        self._owner.link_down(self._ended, was_up=was_up, lasting=self._lasting, stopped=stopped)

    def _serve(self, client: Transport) -> None:
        """Until the connection is lost or stopped: the client drops its socket then."""
        sock = client.socket
        if sock is None:
            return
        descriptor = sock.fileno()
        poller = select.poll()
        poller.register(self._wake_reader, select.POLLIN)
        poller.register(descriptor, select.POLLIN)
        waker = self._wake_reader.fileno()
        pending = getattr(sock, "pending", None)  # bytes that TLS has decoded already
        wants_write = False
        next_tick = time.monotonic() + TICK
        drained_at = 0.0
        while client.socket is sock:
            self._called = False  # before looking, so that nothing left meanwhile is overlooked
            more = self._up and self._owner.link_work(client)
            if self._stop.is_set() and (self._leave(client) or client.socket is not sock):
                break
            if client.socket is not sock:
                break
            if client.blocked != wants_write:
                wants_write = not wants_write
                poller.modify(descriptor, select.POLLIN | (select.POLLOUT if wants_write else 0))
            until = min(next_tick, self._deadline) if self._stop.is_set() else next_tick
            self._asleep = True  # from here on who calls wakes us; who called before is seen now
            at_once = more or self._called or (pending is not None and pending())
            wait = 0.0 if at_once else max(0.0, until - time.monotonic())
            events = dict(poller.poll(wait * 1000))
            self._asleep = False
            if waker in events:
                self._wake_reader.recv(4096)
            state = events.get(descriptor, 0)
            if state & ~select.POLLOUT or (pending is not None and pending()):
                with self._owner.link_reading():
                    for _ in range(READS):
                        full = client.read()
                        self._act(client)
                        if not full or client.socket is not sock:
                            break
            now = time.monotonic()
            if state & select.POLLOUT and client.socket is sock:
                drained_at = now
                client.flush()
            if now >= next_tick and client.socket is sock:
                next_tick = now + TICK
                # On a slow line a ping waits behind a clip for longer than the keep-alive. As long as
                # the other side takes our bytes it is there, and it does not miss the ping either.
                if not (client.blocked and now - drained_at < KEEP_ALIVE):
                    client.check(now)
                self._owner.link_tick(now)
        self._act(client)

    def _leave(self, client: Transport) -> bool:
        """Stopping: whether it is time to go. Says goodbye once everything is out, or time is up."""
        if not (self._goodbye and self._up):
            return True
        late = time.monotonic() >= self._deadline
        if not self._leaving and (late or self._owner.link_idle()):
            self._leaving = True
            self._all_out = self._owner.link_idle()
            client.disconnect()
        return late

    def _act(self, client: Transport) -> None:
        """On what the client has noted."""
        events, owner = client.events, self._owner
        while events:
            match events.popleft():
                case Message() as message:
                    owner.link_message(message)
                case Acknowledged(mid, code):
                    owner.link_puback(mid, code)
                case Granted(mid, code):
                    owner.link_suback(mid, code)
                case Accepted() as accepted:
                    self._welcomed(client, accepted)
                case Ended(code) if self._ended is None:
                    self._ended = refusal(code, self._connection.url)
        self._ended = self._ended or client.failure

    def _welcomed(self, client: Transport, accepted: Accepted) -> None:
        if is_failure(accepted.code):
            self._ended = refusal(accepted.code, self._connection.url)
            self._lasting = accepted.code in LASTING
            client.close()
        elif lack := lacking(accepted, self._connection.url):
            self._ended, self._lasting = lack, True
            client.disconnect()
            client.close()
        else:
            self._up, self._up_since = True, time.monotonic()
            self._owner.link_up(client, accepted)
