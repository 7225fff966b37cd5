"""The simulated bus keeps the promises of MQTT that the hub relies on, and no others."""

from __future__ import annotations

import pytest

from meerkat_contract.session import Delivery, Incoming, Will
from meerkat_experiments.house.clock import Clock
from meerkat_experiments.house.network import EXPIRY, KEEPALIVE, Broker, Line, Packet
from meerkat_experiments.house.session import Bus, SimulatedSession


class Net:
    """A broker and whoever is made to connect to it."""

    def __init__(self, *, duplicates: float = 0.0) -> None:
        self.clock = Clock(1)
        self.heard: list[Packet] = []
        self.broker = Broker(self.clock, self.heard.append, duplicates=duplicates)
        self.bus = Bus(self.clock, self.broker, self.fault)

    def fault(self, where: str, error: BaseException) -> None:
        raise AssertionError(where) from error

    def client(self, name: str, *, persistent: bool = False, will: Will | None = None) -> SimulatedSession:
        return SimulatedSession(self.bus, Line(self.clock), client_id=name, persistent=persistent, will=will)

    def turn(self, seconds: float) -> None:
        self.clock.run_until(self.clock.mono + seconds)


@pytest.fixture
def net() -> Net:
    return Net()


def listener(
    net: Net, *, persistent: bool = False, auto_ack: bool = True
) -> tuple[SimulatedSession, list[Incoming]]:
    came: list[Incoming] = []
    session = net.client("listener", persistent=persistent)
    session.subscribe("a/#", came.append, auto_ack=auto_ack)
    session.start()
    net.turn(1)
    return session, came


def speaker(net: Net, *, will: Will | None = None) -> SimulatedSession:
    session = net.client("speaker", will=will)
    session.start()
    net.turn(1)
    return session


def test_order_holds_within_a_topic_and_not_between_topics(net: Net) -> None:
    _, came = listener(net)
    session = speaker(net)
    for number in range(100):
        session.publish(f"a/{number % 2}", str(number).encode(), qos=1)
    net.turn(60)
    numbers = [int(message.payload) for message in came]
    assert [n for n in numbers if n % 2 == 0] == list(range(0, 100, 2))
    assert [n for n in numbers if n % 2 == 1] == list(range(1, 100, 2))
    assert numbers != sorted(numbers)


def test_a_broken_connection_fails_what_is_under_way_and_the_client_comes_back(net: Net) -> None:
    session = speaker(net)
    delivery = session.publish("a/1", b"x", qos=1)
    session.cut()
    assert delivery.error is not None
    assert session.publish("a/1", b"y", qos=1).error is not None, "nothing is queued while offline"
    net.turn(5)
    assert session.connected


def test_the_publisher_hears_that_nobody_was_there(net: Net) -> None:
    session = speaker(net)
    fates: list[Delivery] = []
    session.publish("b/1", b"x", qos=1).add_done_callback(fates.append)
    net.turn(5)
    assert [(fate.nobody, fate.error) for fate in fates] == [(True, None)]


def test_a_persistent_session_gets_again_what_it_had_not_acknowledged(net: Net) -> None:
    session, came = listener(net, persistent=True, auto_ack=False)
    other = speaker(net)
    other.publish("a/1", b"first", qos=1)
    net.turn(5)
    session.cut()
    other.publish("a/1", b"second", qos=1)
    net.turn(5)
    assert [message.payload for message in came] == [b"first", b"first", b"second"]
    for message in came:
        message.ack()
    net.turn(5)
    session.cut()
    net.turn(5)
    assert len(came) == 3


def test_the_broker_forgets_a_session_that_was_away_too_long(net: Net) -> None:
    session, came = listener(net, persistent=True)
    session.stop()
    net.turn(5)
    speaker(net).publish("a/1", b"x", qos=1)
    net.turn(EXPIRY)
    session.start()
    net.turn(5)
    assert came == []


def test_the_will_goes_out_when_the_broker_notices_and_never_after_a_goodbye(net: Net) -> None:
    will = Will("a/will", b"gone", retain=True)
    session = speaker(net, will=will)
    session.vanish(30.0)
    net.turn(29)
    assert net.heard == []
    net.turn(2)
    assert [packet.payload for packet in net.heard] == [b"gone"]
    polite = speaker(net, will=will)
    polite.stop()
    net.turn(60)
    assert len(net.heard) == 1


def test_a_second_client_of_the_same_id_takes_the_connection_over(net: Net) -> None:
    first, second = net.client("twin"), net.client("twin")
    first.start()
    net.turn(1)
    second.start()
    net.turn(0.05)
    net.turn(0.05)
    assert first.connected != second.connected


@pytest.mark.parametrize(("seconds", "lost"), [(KEEPALIVE - 1, False), (KEEPALIVE * 2, True)])
def test_a_partition_delays_and_one_beyond_the_keepalive_breaks(net: Net, seconds: float, lost: bool) -> None:
    session = speaker(net)
    session.stall(seconds)
    delivery = session.publish("a/1", b"x", qos=1)
    net.turn(seconds - 0.1)
    assert net.heard == []
    assert (delivery.error is not None) == lost
    net.turn(5)
    assert bool(net.heard) != lost


def test_retained_messages_greet_a_new_subscriber_until_the_broker_forgets_them(net: Net) -> None:
    session = speaker(net)
    session.publish("a/state", b"here", qos=1, retain=True)
    net.turn(5)
    _, came = listener(net)
    net.turn(5)
    assert [(message.payload, message.retain) for message in came] == [(b"here", True)]
    net.broker.restart(keep_retained=False, keep_sessions=False)
    net.broker.up = True
    net.turn(10)
    assert len(came) == 1


def test_some_messages_come_twice() -> None:
    net = Net(duplicates=1.0)
    _, came = listener(net)
    speaker(net).publish("a/1", b"x", qos=1)
    net.turn(5)
    assert len(came) == 2
