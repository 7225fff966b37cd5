"""The session's own client, byte by byte: what a broker may send, in whatever pieces it arrives."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from meerkat_contract import session_own, session_packets
from meerkat_contract.connection import Connection
from meerkat_contract.errors import BrokerError
from meerkat_contract.session import Incoming, Session
from meerkat_contract.session_own import BUFFER, OwnTransport
from meerkat_contract.session_packets import Malformed, read_length, read_packet
from meerkat_contract.session_transport import Accepted, Acknowledged, Ended, Event, Granted, Hello, Message
from meerkat_contract.session_values import Will
from meerkat_contract.session_wire import pack_properties, variable_length
from support.wait import wait_for

Connect = Callable[..., Session]
WELCOME = bytes([0x20, 3, 0, 0, 0])


def packet(data: bytes) -> Event | None:
    """One whole packet, read."""
    found = read_length(memoryview(data), 1, len(data))
    assert found is not None
    length, at = found
    assert len(data) == at + length
    return read_packet(data[0], memoryview(data)[at:])


def publish(topic: str, payload: bytes, *, qos: int = 0, mid: int = 0, properties: bytes = b"") -> bytes:
    head = session_packets.publish_head(topic.encode(), properties, len(payload), qos, mid, retain=False)
    return head + payload


@pytest.fixture
def peers() -> Iterator[tuple[OwnTransport, socket.socket]]:
    """A client that has said CONNECT, and the broker's end of its connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = Connection("127.0.0.1", server.getsockname()[1])
        client = OwnTransport(Hello(where, "one", None, 20, 0, 20, 4.0, 128 * 1024))
        client.open()
        peer, _ = server.accept()
        with peer:
            peer.settimeout(20)
            peer.recv(1000)
            yield client, peer
        client.close()


def hear(client: OwnTransport, count: int) -> list[Event]:
    def enough() -> bool:
        client.read()
        return len(client.events) >= count or client.socket is None

    wait_for(enough)
    return list(client.events)


# --- packets --------------------------------------------------------------------------------------


def test_connect_says_who_we_are_and_what_is_to_be_said_of_us() -> None:
    connection = Connection("house", username="hub", password="x")
    hello = Hello(connection, "me", Will("a/b", b"off"), 20, 3600, 15, 4.0, 1)
    body = b"\0\4MQTT\5\xec\0\x14" + b"\x08\x21\0\x0f\x11\0\0\x0e\x10" + b"\0\2me"
    body += b"\0\0\3a/b\0\3off" + b"\0\3hub\0\1x"
    assert session_packets.connect(hello) == b"\x10" + bytes([len(body)]) + body
    plain = session_packets.connect(Hello(Connection("house"), "me", None, 20, 0, 20, 4.0, 1))
    assert plain == b"\x10\x12\0\4MQTT\5\2\0\x14\3\x21\0\x14\0\2me"


def test_the_welcome_says_what_the_broker_can_do() -> None:
    said = bytes([0x21, 0, 7, 0x24, 1, 0x25, 0, 0x27, 0, 1, 0, 0, 0x29, 0, 0x13, 0, 9, 0x1F, 0, 1, 65])
    data = bytes([0x20, 3 + len(said), 0, 0, len(said)]) + said
    assert packet(data) == Accepted(0, 7, 65_536, 1, False, False, 9)
    assert packet(WELCOME) == Accepted(0)
    assert packet(b"\x20\x02\x00\x01") == Accepted(0x84), "a broker that speaks MQTT 3 only"


def test_a_message_is_read_with_all_its_properties() -> None:
    block = pack_properties([("a", "1"), ("b", "grün")], content_type="image/jpeg", expiry=5)
    length = block[0] + 3
    block = bytes([length]) + b"\x0b" + variable_length(300) + block[1:]
    read = packet(publish("x/y", b"payload", qos=1, mid=513, properties=block))
    assert read == Message("x/y", b"payload", [("a", "1"), ("b", "grün")], "image/jpeg", [300], False, 1, 513)
    assert packet(b"\x31\x05\0\1x\0!") == Message("x", b"!", [], "", [], True, 0, 0)
    assert packet(b"\x30\x05\0\1\xff\0!") == Message(None, b"!", [], "", [], False, 0, 0)


def test_answers_are_read() -> None:
    assert packet(b"\x40\x02\x01\x02") == Acknowledged(258, 0)
    assert packet(b"\x40\x04\x00\x07\x10\x00") == Acknowledged(7, 0x10)
    assert packet(b"\x90\x04\x00\x07\x00\x01") == Granted(7, 1)
    assert packet(b"\xe0\x00") == Ended(0)
    assert packet(b"\xe0\x02\x8e\x00") == Ended(0x8E)
    assert packet(b"\xd0\x00") is None


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\x03\0\x09x",  # a topic longer than its packet
        b"\x30\x05\0\1x\x09!",  # properties longer than their packet
        b"\x30\x06\0\1x\x02\x26\0",  # a property without its end
        b"\x30\x06\0\1x\x02\x7e\0",  # an unknown property
        b"\x34\x06\0\1x\0\1\0",  # QoS 2
        b"\x10\x02\0\0",  # CONNECT, from a broker
        b"\x40\x01\0",
        b"\x90\x02\0\1",
        b"\x20\x00",
    ],
)
def test_what_is_no_mqtt_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        packet(data)


def test_no_bytes_make_the_reader_fail_otherwise() -> None:
    chance = random.Random(5)
    for _ in range(20_000):
        data = bytes(chance.choices((0, 1, 2, 3, 0x26, 0x0B, 0x80, 0xFF, 65), k=chance.randrange(12)))
        try:
            read_packet(chance.choice((0x20, 0x30, 0x32, 0x40, 0x90, 0xE0)), memoryview(data))
        except Malformed:
            continue


def test_lengths_are_written_and_read_alike() -> None:
    for value in (0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455):
        data = memoryview(variable_length(value))
        assert read_length(data, 0, len(data)) == (value, len(data))
        assert read_length(data, 0, len(data) - 1) is None
    with pytest.raises(Malformed):
        read_length(memoryview(b"\xff\xff\xff\xff\x01"), 0, 5)


# --- the socket -----------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 7, 4096, 10**7])
def test_messages_arrive_whole_in_whatever_pieces(
    peers: tuple[OwnTransport, socket.socket], piece: int
) -> None:
    client, peer = peers
    sizes = (
        [0, 1, 126, 127, 200, 5, 3]
        if piece < 100
        else [50_000, BUFFER - 8, BUFFER + 1, 3, 900_000, 70_000, 0]
    )
    sent = WELCOME + b"".join(publish("x", bytes([n]) * size) for n, size in enumerate(sizes))

    def send() -> None:
        for at in range(0, len(sent), piece):
            peer.sendall(sent[at : at + piece])

    sender = threading.Thread(target=send)
    sender.start()
    welcome, *messages = hear(client, len(sizes) + 1)
    sender.join()
    assert welcome == Accepted(0)
    assert [m.payload for m in messages if isinstance(m, Message)] == [
        bytes([n]) * size for n, size in enumerate(sizes)
    ]


def test_what_the_socket_does_not_take_leaves_later_in_order(
    peers: tuple[OwnTransport, socket.socket],
) -> None:
    client, peer = peers
    payloads = [bytes([n]) * 300_000 for n in range(20)]
    tickets = [client.publish("x", memoryview(data), 0, False, b"") for data in payloads]
    assert not client.flush()
    assert client.blocked
    assert not client.is_written(tickets[-1])
    expected = b"".join(publish("x", data) for data in payloads)
    got = bytearray()
    while len(got) < len(expected):
        got += peer.recv(100_000)
        client.flush()
    assert got == expected
    assert not client.blocked
    assert client.is_written(tickets[-1])


def test_a_packet_identifier_under_way_is_not_used_again(
    peers: tuple[OwnTransport, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, peer = peers
    first = client.publish("x", b"", 1, False, b"")
    client.publish("x", b"", 1, False, b"")
    peer.sendall(bytes([0x40, 2, 0, 2]))
    hear(client, 1)
    monkeypatch.setattr(client, "_mid", 0)
    assert first == 1
    assert [client.publish("x", b"", 1, False, b"") for _ in range(2)] == [2, 3]


def test_a_silent_broker_is_asked_and_then_given_up(peers: tuple[OwnTransport, socket.socket]) -> None:
    client, peer = peers
    peer.sendall(bytes([0x20, 6, 0, 0, 3, 0x13, 0, 9]))  # it wants to hear from us every 9 s, not 20
    hear(client, 1)
    began = client._heard
    client.check(began + 8.9)
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(10)
    client.check(began + 9.1)
    peer.setblocking(True)
    assert peer.recv(10) == session_packets.PINGREQ
    peer.sendall(b"\xd0\x00")

    def answered() -> bool:
        client.read()
        return client._pinged is None

    wait_for(answered)
    client.check(began + 20)
    assert peer.recv(10) == session_packets.PINGREQ
    client.check(began + 28.9)
    assert client.socket is not None
    client.check(began + 29)
    assert client.socket is None


def test_a_broker_that_never_answers_is_given_up_without_being_asked(
    peers: tuple[OwnTransport, socket.socket],
) -> None:
    client, peer = peers
    began = client._heard
    client.check(began + 19.9)
    assert client.socket is not None
    client.check(began + 20)
    assert client.socket is None
    assert peer.recv(10) == b""


def test_a_peer_that_is_no_broker_is_named(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = Connection("127.0.0.1", server.getsockname()[1])
        session = connect(connection=where, wait=False, wire="own")
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(100))
            wait_for(lambda: session.failure, what="the reason")
            with pytest.raises(BrokerError, match="no MQTT 5"):
                session.wait_connected(0)


def test_it_costs_one_write_a_round(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that one batch of another thread says leaves in one call to the kernel."""
    rounds: list[int] = []
    flush = session_own.OwnTransport.flush

    def counted(client: OwnTransport) -> bool:
        if client._out:
            rounds.append(len(client._out))
        return flush(client)

    monkeypatch.setattr(session_own.OwnTransport, "flush", counted)
    got: list[Incoming] = []
    session = connect(wire="own", setup=lambda s: s.subscribe("x", got.append))
    rounds.clear()
    with session.together():
        for number in range(10):
            session.publish("x", b"%d" % number)
        assert not rounds, "nobody was woken yet"
    wait_for(lambda: len(got) == 10)
    assert [m.payload for m in got] == [b"%d" % number for number in range(10)]
    assert rounds[0] == 20
