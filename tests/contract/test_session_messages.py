"""What happens to single messages: acknowledgement, poison, overlaps, sizes, parts."""

from __future__ import annotations

import logging
import socket
from array import array
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meerkat_contract.connection import Connection
from meerkat_contract.errors import BadMessage, BrokerError, MessageTooLarge
from meerkat_contract.ids import new_id
from meerkat_contract.metadata import Metadata
from meerkat_contract.session import Incoming, Session
from meerkat_contract.session_outgoing import QUEUE_LIMIT, Outgoing, Packet
from meerkat_contract.session_parts import HELD_PARTS, Parts
from support.broker import Mosquitto
from support.wait import wait_for

Connect = Callable[..., Session]


def metadata() -> Metadata:
    return Metadata(id=new_id(), captured_at=datetime(2026, 11, 20, tzinfo=UTC), content_type="video/mp4")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that takes packets of 100,000 bytes."""
    server = Mosquitto(tmp_path / "small", settings=("allow_anonymous true", "max_packet_size 100000"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


# --- acknowledgement ------------------------------------------------------------------------------


def test_what_was_not_acknowledged_comes_again(connect: Connect) -> None:
    seen: list[Incoming] = []
    first = connect("hub", persistent=True, setup=lambda s: s.subscribe("x", seen.append, auto_ack=False))
    connect("writer").publish("x", b"precious", qos=1).wait(20)
    wait_for(lambda: seen)
    first.stop(goodbye=False)
    seen[0].ack()  # too late, and of no harm
    again: list[Incoming] = []
    second = connect("hub", persistent=True, setup=lambda s: s.subscribe("x", again.append, auto_ack=False))
    wait_for(lambda: again)[0].ack()
    again[0].ack()
    second.stop()
    third: list[bytes] = []
    last = connect(
        "hub", persistent=True, setup=lambda s: s.subscribe("x", lambda m: third.append(m.payload))
    )
    last.publish("x", b"end", qos=1).wait(20)
    wait_for(lambda: third)
    assert third == [b"end"]


@pytest.mark.parametrize("error", [BadMessage("the id is missing", where="x"), ZeroDivisionError("oops")])
@pytest.mark.parametrize("auto_ack", [True, False])
def test_a_poison_message_is_named_counted_and_gone(
    connect: Connect, caplog: pytest.LogCaptureFixture, error: Exception, auto_ack: bool
) -> None:
    good: list[bytes] = []

    def handler(message: Incoming) -> None:
        if message.payload == b"poison":
            raise error
        good.append(message.payload)
        message.ack()

    caplog.set_level(logging.WARNING)
    session = connect("hub", persistent=True, setup=lambda s: s.subscribe("x", handler, auto_ack=auto_ack))
    for payload in (b"poison", b"good"):
        session.publish("x", payload, qos=1).wait(20)
    wait_for(lambda: good)
    kind = "bad_messages" if isinstance(error, BadMessage) else "handler_errors"
    assert session.counters[kind] == 1
    assert session.counters["reconnects"] == 0
    assert str(error) in caplog.text
    session.stop()
    again: list[bytes] = []
    late = connect(
        "hub", persistent=True, setup=lambda s: s.subscribe("x", lambda m: again.append(m.payload))
    )
    late.publish("x", b"end", qos=1).wait(20)
    wait_for(lambda: again)
    assert again == [b"end"]


def test_a_message_of_a_filter_given_up_is_acknowledged(connect: Connect) -> None:
    connect("hub", persistent=True, setup=lambda s: s.subscribe("old", print)).stop()
    connect("writer").publish("old", b"", qos=1).wait(20)
    session = connect("hub", persistent=True)
    wait_for(lambda: session.counters["unhandled"] == 1)
    session.unsubscribe("never subscribed")


def test_unsubscribe(connect: Connect) -> None:
    got: list[bytes] = []
    session = connect(setup=lambda s: s.subscribe("x", lambda m: got.append(m.payload)))
    session.publish("x", b"1", qos=1).wait(20)
    wait_for(lambda: got)
    session.unsubscribe("x")
    session.publish("x", b"2", qos=1).wait(20)
    session.subscribe("y", lambda m: got.append(m.payload))
    session.publish("y", b"3", qos=1).wait(20)
    wait_for(lambda: got == [b"1", b"3"])


def test_a_filter_given_up_while_away_is_taken_from_the_persistent_session(connect: Connect) -> None:
    connect("hub", persistent=True, setup=lambda s: s.subscribe("old", print)).stop()

    def setup(session: Session) -> None:
        session.subscribe("old", print)
        session.unsubscribe("old")

    hub = connect("hub", persistent=True, setup=setup)
    writer = connect("writer")
    writer.publish("old", b"", qos=1).wait(20)
    hub.subscribe("new", print)
    hub.publish("new", b"", qos=1).wait(20)
    wait_for(lambda: hub.counters["received"])
    assert hub.counters["unhandled"] == 0


def test_overlapping_subscriptions_see_each_message_once(connect: Connect) -> None:
    got: dict[str, list[bytes]] = {"a/#": [], "a/+": [], "a/b": [], "+/b": []}

    def setup(session: Session) -> None:
        for topic, seen in got.items():
            session.subscribe(topic, lambda m, seen=seen: seen.append(m.payload))  # type: ignore[misc]

    session = connect(setup=setup)
    for i in range(20):
        session.publish("a/b", b"%d" % i, qos=i % 2)
    session.publish("a/b", b"end", qos=1).wait(20)
    wait_for(lambda: all(seen[-1:] == [b"end"] for seen in got.values()))
    for seen in got.values():
        assert sorted(seen) == sorted([*(b"%d" % i for i in range(20)), b"end"])


def test_a_broker_without_identifiers_sends_one_copy_for_several_handlers(connect: Connect) -> None:
    """It is acknowledged once the last of them has it."""
    got: list[Incoming] = []

    def setup(session: Session) -> None:
        session.subscribe("a/#", got.append, auto_ack=False)
        session.subscribe("+/b", got.append, auto_ack=False)
        session.subscribe("c", print)

    with socket.create_server(("127.0.0.1", 0)) as server:
        connect(connection=Connection("127.0.0.1", server.getsockname()[1]), setup=setup, wait=False)
        peer, _ = server.accept()
        with peer:
            peer.settimeout(20)
            peer.recv(1000)
            peer.sendall(bytes([0x20, 5, 0, 0, 2, 0x29, 0]))  # CONNACK: no subscription identifiers
            asked = b""
            while b"\x00\x01c" not in asked:
                asked += peer.recv(1000)
            assert b"\x00\x03a/#" in asked
            assert b"\x0b" not in asked
            peer.sendall(bytes([0x32, 8, 0, 3]) + b"a/b" + bytes([0, 9, 0]))
            wait_for(lambda: len(got) == 2)
            got[0].ack()
            got[0].ack()
            peer.settimeout(0.1)
            with pytest.raises(TimeoutError):
                peer.recv(1000)
            peer.settimeout(20)
            got[1].ack()
            assert peer.recv(1000)[:4] == bytes([0x40, 2, 0, 9])


def test_no_local(connect: Connect) -> None:
    got: list[bytes] = []
    session = connect(setup=lambda s: s.subscribe("x", lambda m: got.append(m.payload), no_local=True))
    session.publish("x", b"mine", qos=1).wait(20)
    connect("other").publish("x", b"yours", qos=1).wait(20)
    wait_for(lambda: got == [b"yours"])


# --- sizes and parts ------------------------------------------------------------------------------


def exact(connect: Connect, small: Mosquitto, size: int) -> tuple[Session, list[bytes]]:
    got: list[bytes] = []
    session = connect(
        connection=small.connection,
        setup=lambda s: s.subscribe("x", lambda m: got.append(m.payload)),
    )
    session.publish("x", bytes(size), qos=1, properties=[("a", "b")]).wait(20)
    return session, got


def test_the_largest_packet_goes_and_one_byte_more_does_not(connect: Connect, small: Mosquitto) -> None:
    head = 1 + 3 + 2 + len("x") + 2 + 1 + 7  # of the packet on the wire, MQTT 5.0 section 3.3
    session, _ = exact(connect, small, 100_000 - head)
    assert session.maximum_packet_size == 100_000
    with pytest.raises(MessageTooLarge, match=r"x: 100,001 bytes, and the broker takes 100,000 at most"):
        exact(connect, small, 100_000 - head + 1)
    assert session.counters["reconnects"] == 0


def test_too_large_without_metadata_fails_and_nothing_else_is_held_up(
    connect: Connect, small: Mosquitto
) -> None:
    session = connect(connection=small.connection)
    refused = session.publish("x", bytes(200_000), qos=1)
    with pytest.raises(MessageTooLarge):
        refused.wait(20)
    session.keep("state", bytes(200_000))
    session.publish("y", b"next", qos=1).wait(20)
    assert session.counters["refused_too_large"] == 2
    assert session.counters["reconnects"] == 0


@pytest.mark.parametrize("auto_ack", [True, False])
def test_more_parts_than_the_window_join_to_the_whole(
    connect: Connect, small: Mosquitto, auto_ack: bool
) -> None:
    got: list[Incoming] = []
    session = connect(
        connection=small.connection,
        setup=lambda s: s.subscribe("clip", got.append, join_parts=True, auto_ack=auto_ack),
    )
    clip, described = bytes(range(256)) * 16_000, metadata()
    session.publish("clip", clip, qos=1, metadata=described, properties=[("extra", "1")]).wait(20)
    message = wait_for(lambda: got)[0]
    assert session.counters["received"] > 40
    assert message.payload == clip
    assert message.metadata() == described
    assert message.content_type == "video/mp4"
    assert ("extra", "1") in message.properties
    message.ack()
    session.publish("clip", b"small", qos=1, metadata=metadata()).wait(20)
    wait_for(lambda: len(got) == 2)


def test_the_last_parts_are_acknowledged_with_the_whole(connect: Connect, small: Mosquitto) -> None:
    got: list[Incoming] = []
    hub = connect(
        "hub",
        connection=small.connection,
        persistent=True,
        setup=lambda s: s.subscribe("clip", got.append, join_parts=True, auto_ack=False),
    )
    clip = bytes(350_000)
    connect("device", connection=small.connection).publish("clip", clip, qos=1, metadata=metadata()).wait(20)
    wait_for(lambda: got)
    assert hub.counters["received"] == 4 < HELD_PARTS
    hub.stop(goodbye=False)
    got.clear()
    hub = connect(
        "hub",
        connection=small.connection,
        persistent=True,
        setup=lambda s: s.subscribe("clip", got.append, join_parts=True),
    )
    assert wait_for(lambda: got)[0].payload == clip
    hub.stop()


def test_two_overlapping_subscriptions_join_each_for_itself(connect: Connect, small: Mosquitto) -> None:
    got: list[Incoming] = []

    def setup(session: Session) -> None:
        session.subscribe("clip/+", got.append, join_parts=True)
        session.subscribe("clip/#", got.append, join_parts=True)

    session = connect(connection=small.connection, setup=setup)
    session.publish("clip/a", bytes(2_500_000), qos=1, metadata=metadata()).wait(20)
    wait_for(lambda: len(got) == 2)
    assert {len(m.payload) for m in got} == {2_500_000}


def test_missing_parts_are_given_up_and_acknowledged(caplog: pytest.LogCaptureFixture) -> None:
    counted: list[str] = []
    acknowledged: list[int] = []
    parts = Parts(logging.getLogger("test"), counted.append)
    of = metadata().model_copy(update={"parts": 30, "size": 60, "sha256": "0" * 64})
    for number in range(1, HELD_PARTS + 4):
        described = of.model_copy(update={"part": number})
        part = Incoming(
            "clip", b"ab", described.to_properties(), acknowledge=lambda n=number: acknowledged.append(n)
        )
        assert parts.take(part, 0.0, subscription="clip") is None
    assert acknowledged == [1, 2, 3]
    parts.expire(59.9)
    assert counted == []
    parts.expire(60.0)
    assert counted == ["parts_lost"]
    assert acknowledged == list(range(1, HELD_PARTS + 4))
    assert f"clip: message {of.id} was given up: {HELD_PARTS + 3} of 30 parts came" in caplog.text


def test_what_may_wait_is_bounded() -> None:
    outgoing = Outgoing()
    outgoing.open(20)

    def offer(size: int) -> object:
        return outgoing.offer([Packet("x", memoryview(bytes(size)), 1, False, b"")])

    assert offer(QUEUE_LIMIT + 1) is None
    assert "wait for the network already" in str(offer(1))
    outgoing.close(BrokerError("the connection was lost"))
    assert "not connected" in str(offer(1))


def test_a_view_of_wider_items_counts_in_bytes(connect: Connect, small: Mosquitto) -> None:
    got: list[bytes] = []
    session = connect(
        connection=small.connection, setup=lambda s: s.subscribe("x", lambda m: got.append(m.payload))
    )
    wide = memoryview(array("I", range(30_000)))
    with pytest.raises(MessageTooLarge):
        session.publish("x", wide, qos=1).wait(20)
    session.publish("x", wide[::2], qos=1).wait(20)
    wait_for(lambda: got == [array("I", range(0, 30_000, 2)).tobytes()])


def test_damaged_parts_are_refused_by_name(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    got: list[Incoming] = []
    refused: list[tuple[Incoming, BadMessage]] = []
    session = connect(
        setup=lambda s: s.subscribe(
            "clip", got.append, join_parts=True, on_refused=lambda m, e: refused.append((m, e))
        )
    )
    of = metadata().model_copy(update={"parts": 2, "size": 4, "sha256": "0" * 64})
    for part in (1, 2):
        session.publish("clip", b"ab", qos=1, metadata=of.model_copy(update={"part": part})).wait(20)
    session.publish("clip", b"ab", qos=1, properties=[("parts", "many")]).wait(20)
    session.publish("clip", b"whole", qos=1, metadata=metadata()).wait(20)
    wait_for(lambda: got)
    assert [m.payload for m in got] == [b"whole"]
    assert "do not join" in str(refused[0][1])
    assert refused[0][0].metadata().id == of.id
    assert "clip: user property" in str(refused[1][1])
    assert session.counters["bad_messages"] == 2
    assert str(refused[0][1]) in caplog.text


# --- what the broker would hang up on -------------------------------------------------------------


@pytest.mark.parametrize("topic", ["", "a/+", "a/#", "a\nb"])
def test_topics_that_cannot_be_published_to(connect: Connect, topic: str) -> None:
    session = connect()
    with pytest.raises(BadMessage, match="cannot be published to"):
        session.publish(topic, b"", qos=1).wait(20)
    session.publish("x", b"", qos=1).wait(20)


def test_properties_that_brokers_refuse(connect: Connect) -> None:
    session = connect()
    with pytest.raises(BadMessage, match=r"user property 'job' has the character U\+000A"):
        session.publish("x", b"", qos=1, properties=[("job", "a\nb")]).wait(20)
    with pytest.raises(MessageTooLarge, match=r"65,536 bytes, at most 65,535"):
        session.publish("x", b"", qos=1, properties=[("job", "x" * 65_536)]).wait(20)
    session.publish("x", b"", qos=1, properties=[("job", "x" * 65_535)], expiry=60).wait(20)
    assert session.counters["reconnects"] == 0


def test_a_delivery_that_takes_too_long_says_so(connect: Connect) -> None:
    session = connect()
    session.subscribe("x", lambda m: None)
    gate: list[BrokerError] = []

    def block(_: Incoming) -> None:
        try:
            session.publish("y", b"", qos=1).wait(0.05)
        except BrokerError as error:
            gate.append(error)

    session.subscribe("x", block)
    session.publish("x", b"")
    assert "not confirmed a message within 0.05 s" in str(wait_for(lambda: gate)[0])


def test_metadata_names_the_topic() -> None:
    with pytest.raises(BadMessage, match="some/topic: user property 'id'"):
        Incoming("some/topic", b"").metadata()
