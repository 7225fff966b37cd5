"""The session over a real broker: it connects, stays, comes back and leaves."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from meerkat_contract.connection import Connection
from meerkat_contract.errors import BrokerError
from meerkat_contract.session import Incoming, Session, Will
from meerkat_contract.session_link import FIRST_DELAY, LONGEST_DELAY, backoff
from support.broker import Mosquitto
from support.wait import wait_for

Connect = Callable[..., Session]


def test_what_is_sent_arrives_with_all_that_rides_beside_it(connect: Connect) -> None:
    got: list[Incoming] = []
    connect("reader", setup=lambda s: s.subscribe("house/+", got.append))
    writer = connect("writer")
    writer.publish(
        "house/porch", b"\xff\xd8", qos=1, content_type="image/jpeg", properties=[("a", "1"), ("b", "grün")]
    ).wait(20)
    message = wait_for(lambda: got)[0]
    assert message == Incoming(
        "house/porch", b"\xff\xd8", [("a", "1"), ("b", "grün")], "image/jpeg", False, 1
    )


@pytest.mark.parametrize("payload", ["wörd", b"bytes", bytearray(b"array"), memoryview(b"a view")[2:]])
@pytest.mark.parametrize("qos", [0, 1])
def test_every_kind_of_payload(connect: Connect, payload: str | bytes, qos: int) -> None:
    got: list[bytes] = []
    session = connect(setup=lambda s: s.subscribe("x", lambda m: got.append(m.payload)))
    session.publish("x", payload, qos=qos).wait(20)
    wait_for(lambda: got)
    assert got == [payload.encode() if isinstance(payload, str) else bytes(payload)]


def test_a_message_in_the_middle_of_a_handler_is_sent_from_there(connect: Connect) -> None:
    got: list[bytes] = []
    session = connect("answering")
    session.subscribe("question", lambda m: session.publish("answer", m.payload.upper(), qos=1) and None)
    session.subscribe("answer", lambda m: got.append(m.payload))
    session.wait_subscribed(20)
    session.publish("question", "why")
    wait_for(lambda: got == [b"WHY"])


def test_the_will_is_published_when_the_connection_is_cut_and_not_after_a_goodbye(connect: Connect) -> None:
    got: list[bytes] = []
    connect("watcher", setup=lambda s: s.subscribe("state", lambda m: got.append(m.payload)))
    connect("first", will=Will("state", b"first is gone")).stop()
    connect("hasty", will=Will("state", b"hasty is gone")).stop(timeout=0)
    connect("second", will=Will("state", b"second is gone")).stop(goodbye=False)
    wait_for(lambda: got)
    assert got == [b"second is gone"]


def test_it_subscribes_again_after_a_restart_of_the_broker(broker: Mosquitto, connect: Connect) -> None:
    got: list[bytes] = []
    lost: list[str] = []
    session = connect(
        setup=lambda s: s.subscribe("x", lambda m: got.append(m.payload)), on_disconnected=lost.append
    )
    broker.kill()
    assert "connection was lost" in wait_for(lambda: lost)[0]
    assert not session.connected
    broker.start()
    session.wait_connected(40)
    session.wait_subscribed(20)
    session.publish("x", b"again", qos=1).wait(20)
    wait_for(lambda: got == [b"again"])
    assert session.counters["reconnects"] == 1


def test_it_starts_before_the_broker(broker: Mosquitto, connect: Connect) -> None:
    broker.kill()
    session = connect(wait=False)
    wait_for(lambda: session.failure, what="a first attempt")
    with pytest.raises(BrokerError, match="no broker listens there") as error:
        session.wait_connected(0.1)
    assert error.value.where == broker.connection.url
    broker.start()
    session.wait_connected(40)


def test_kept_state_comes_again_after_a_restart_the_latest_alone(broker: Mosquitto, connect: Connect) -> None:
    session = connect()
    session.keep("state/a", "one")
    broker.kill()
    wait_for(lambda: not session.connected)
    session.keep("state/a", "two")
    session.keep("state/a", "three")
    session.keep("state/b", b"{}", content_type="application/json")
    broker.start()
    session.wait_connected(40)
    live: dict[str, Incoming] = {}
    connect("soon", setup=lambda s: s.subscribe("state/#", lambda m: live.update({m.topic: m})))
    wait_for(lambda: len(live) == 2)  # the broker has both
    got: dict[str, Incoming] = {}
    connect("late", setup=lambda s: s.subscribe("state/#", lambda m: got.update({m.topic: m})))
    wait_for(lambda: len(got) == 2)
    assert (got["state/a"].payload, got["state/a"].retain) == (b"three", True)
    assert got["state/b"].content_type == "application/json"


def test_kept_state_is_published_when_it_changes_only(connect: Connect) -> None:
    got: list[bytes] = []
    session = connect(setup=lambda s: s.subscribe("state", lambda m: got.append(m.payload)))
    for word in ("on", "on", "off", "off", "on"):
        session.keep("state", word)
    session.publish("state", "end", qos=1)
    wait_for(lambda: b"end" in got)
    assert got == [b"on", b"off", b"on", b"end"]


def test_publishing_while_the_broker_is_away(broker: Mosquitto, connect: Connect) -> None:
    session = connect()
    broker.kill()
    wait_for(lambda: not session.connected)
    perishable, durable = session.publish("x", b""), session.publish("x", b"", qos=1)
    assert perishable.done
    assert durable.done
    with pytest.raises(BrokerError, match="not connected"):
        durable.wait(0)
    assert (session.counters["dropped_offline"], session.counters["failed"]) == (1, 1)


def test_what_is_under_way_at_a_disconnect_fails(connect: Connect) -> None:
    errors: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as mute:
        session = connect(connection=Connection("127.0.0.1", mute.getsockname()[1]), wait=False)
        peer, _ = mute.accept()
        with peer:
            peer.settimeout(20)
            assert peer.recv(1000)[0] == 0x10
            peer.sendall(bytes([0x20, 3, 0, 0, 0]))  # CONNACK without properties
            session.wait_connected(20)
            delivery = session.publish("x", b"payload", qos=1)
            delivery.add_done_callback(lambda d: errors.append(d.error))
            assert peer.recv(1000)[0] == 0x32
        with pytest.raises(BrokerError, match="connection was lost"):
            delivery.wait(20)
    wait_for(lambda: errors)  # who waits is woken first
    assert errors == [delivery.error]


def test_the_window_of_the_broker_is_kept(connect: Connect) -> None:
    """paho ignores the Receive Maximum of CONNACK; here it is 2."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        session = connect(connection=Connection("127.0.0.1", server.getsockname()[1]), wait=False)
        peer, _ = server.accept()
        with peer:
            peer.settimeout(20)
            peer.recv(1000)
            peer.sendall(bytes([0x20, 6, 0, 0, 3, 0x21, 0, 2]))
            session.wait_connected(20)
            deliveries = [session.publish("x", b"%d" % i, qos=1) for i in range(5)]
            session.publish("z", b"behind them")
            seen = b""
            while seen.count(b"\x32") < 2:
                seen += peer.recv(1000)
            first = len(seen)
            assert seen.endswith(b"1")
            mid = seen[5:7]
            peer.sendall(bytes([0x40, 2]) + mid)
            deliveries[0].wait(20)
            while len(seen) < first + first // 2:
                seen += peer.recv(1000)
            assert seen.endswith(b"2")
            assert [d.done for d in deliveries] == [True, False, False, False, False]


def test_nagle_is_off(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[socket.socket] = []
    create = socket.create_connection
    monkeypatch.setattr(
        socket,
        "create_connection",
        lambda *args, **options: opened.append(create(*args, **options)) or opened[-1],
    )
    connect()
    assert opened[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_stop_leaves_no_thread_and_may_come_at_any_time(broker: Mosquitto, connect: Connect) -> None:
    before = set(threading.enumerate())
    session = connect("one")
    assert [t.name for t in set(threading.enumerate()) - before] == ["mqtt-one"]
    session.stop()
    session.stop()
    broker.kill()
    connect("two", wait=False).stop()
    Session(broker.connection, client_id="never started").stop()
    assert set(threading.enumerate()) <= before  # what an earlier test left may have ended


def test_stop_waits_for_what_is_under_way(connect: Connect) -> None:
    got: list[bytes] = []
    connect("reader", setup=lambda s: s.subscribe("x", lambda m: got.append(m.payload)))
    writer = connect("writer")
    deliveries = [writer.publish("x", b"%06d" % i * 10_000, qos=1) for i in range(50)]
    writer.stop(timeout=20)
    assert [d.error for d in deliveries] == [None] * 50
    wait_for(lambda: len(got) == 50)


def test_a_handler_may_stop_its_session(connect: Connect) -> None:
    session = connect()
    session.subscribe("x", lambda m: session.stop())
    session.publish("x", b"")
    wait_for(lambda: not session.connected)


def test_two_programs_with_one_client_id_are_told(connect: Connect) -> None:
    """By a guess, where the broker says nothing."""
    lost: list[str] = []
    first = connect("same", on_disconnected=lost.append)
    second = connect("same", wait=False, on_disconnected=lost.append)
    wait_for(lambda: any("another program uses the same client id 'same'" in words for words in lost))
    first.stop(goodbye=False)
    second.wait_connected(40)


def test_a_session_taken_over_is_told_in_the_words_of_the_broker(connect: Connect) -> None:
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = Connection("127.0.0.1", server.getsockname()[1])
        connect(connection=connection, wait=False, on_disconnected=told.append)
        peer, _ = server.accept()
        with peer:
            peer.settimeout(20)
            peer.recv(1000)
            peer.sendall(bytes([0x20, 3, 0, 0, 0, 0xE0, 2, 0x8E, 0]))
            assert "two programs use the same client id" in wait_for(lambda: told)[0]


def test_backoff() -> None:
    assert [backoff(n, 1.0) for n in range(4)] == [FIRST_DELAY * f for f in (1, 2, 4, 8)]
    assert backoff(1_000_000, 1.0) == LONGEST_DELAY
    assert backoff(5, 0.0) == 0.0


@pytest.mark.parametrize("qos", [-1, 2])
def test_only_what_the_bus_uses(connect: Connect, qos: int) -> None:
    session = connect()
    with pytest.raises(ValueError, match="0 and 1 only"):
        session.publish("x", b"", qos=qos)
    with pytest.raises(ValueError, match="0 and 1 only"):
        session.subscribe("x", print, qos=qos)
    with pytest.raises(RuntimeError, match="starts once"):
        session.start()
