"""A line that is slower than what is to be sent over it."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from meerkat_contract import session_link
from meerkat_contract.connection import Connection
from meerkat_contract.parts import NoRoom
from meerkat_contract.session import Incoming, Session
from meerkat_contract.session_incoming import Inbox, Subscription
from support.broker import Mosquitto
from support.wait import wait_for

Connect = Callable[..., Session]


class SlowLine:
    """A proxy before the broker that takes at most `rate` bytes a second from the client."""

    def __init__(self, port: int, *, rate: float) -> None:
        self.port = port
        self.rate = rate
        self.connections = 0

    @contextmanager
    def serving(self) -> Iterator[Connection]:
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            server.bind(("127.0.0.1", 0))
            server.listen()
            threading.Thread(target=self._accept, args=(server,), daemon=True).start()
            yield Connection("127.0.0.1", server.getsockname()[1])
            server.shutdown(socket.SHUT_RDWR)

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:  # the test is over
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self.port))
            for pair in ((near, far, self.rate), (far, near, 0.0)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket, rate: float) -> None:
        with source, target:
            try:
                while data := source.recv(8192):
                    target.sendall(data)
                    if rate:
                        time.sleep(len(data) / rate)
                target.shutdown(socket.SHUT_RDWR)
            except OSError:  # the other direction has closed both
                return


def test_a_message_that_takes_longer_than_the_keep_alive_arrives(
    connect: Connect, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_link, "KEEP_ALIVE", 1)
    monkeypatch.setattr(session_link, "TICK", 0.1)
    got: list[int] = []
    connect("reader", setup=lambda s: s.subscribe("clip", lambda m: got.append(len(m.payload))))
    line = SlowLine(broker.port, rate=400_000)
    with line.serving() as connection:
        session = connect("slow", connection=connection)
        session.publish("clip", bytes(1_600_000), qos=1).wait(20)
        wait_for(lambda: got == [1_600_000])
        assert line.connections == 1, "it was never given up"
        session.stop(goodbye=False)


def test_a_message_that_found_no_room_is_not_called_refused() -> None:
    """A refusal is for ever; this one is sent again when no receipt comes."""
    refused: list[Incoming] = []
    counted: list[str] = []
    inbox = Inbox(logging.getLogger("test"), counted.append)

    def full(*_: object, **__: object) -> None:
        raise NoRoom("no room for it")

    inbox._parts.take = full  # type: ignore[method-assign, assignment]
    acknowledged: list[bool] = []
    subscription = Subscription("clip", lambda m: None, 1, False, True, False, lambda m, e: refused.append(m))
    part = Incoming("clip", b"", acknowledge=lambda: acknowledged.append(True))
    inbox._deliver(subscription, part)
    assert (refused, counted, acknowledged) == ([], ["bad_messages"], [True])
