"""Other threads than the network thread publish: nothing they leave may be overlooked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import pytest

from meerkat_contract.session import Delivery, Incoming, Session
from support.wait import wait_for

Connect = Callable[..., Session]


@pytest.mark.parametrize("gathered", [False, True])
def test_what_many_threads_leave_at_once_all_goes_out(connect: Connect, gathered: bool) -> None:
    """Each waits for its delivery before the next, so that one overlooked would stop it for good."""
    session = connect()
    deliveries: list[Delivery] = []

    def work(name: str) -> None:
        for number in range(200):
            with session.together() if gathered else nullcontext():
                delivery = session.publish(f"x/{name}", b"%d" % number, qos=number % 2)
            delivery.wait(20)
            deliveries.append(delivery)

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [d.error for d in deliveries] == [None] * 800


def test_what_a_handler_and_another_thread_say_arrives(connect: Connect) -> None:
    got: list[str] = []
    session = connect(setup=lambda s: s.subscribe("echo", lambda m: got.append(m.topic), qos=1))

    def pass_on(message: Incoming) -> None:
        session.publish("echo", message.payload, qos=1)

    session.subscribe("x", pass_on)
    session.wait_subscribed(20)
    for number in range(100):
        session.publish("x", b"%d" % number, qos=1)
    wait_for(lambda: len(got) == 100)


def test_gathered_acknowledgements_go_out_too(connect: Connect) -> None:
    """The broker sends twenty at a time: the rest comes only when those are acknowledged."""
    held: list[Incoming] = []
    reader = connect("reader", setup=lambda s: s.subscribe("x", held.append, auto_ack=False))
    writer = connect("writer")
    for number in range(60):
        writer.publish("x", b"%d" % number, qos=1)
    for seen in (20, 40, 60):
        wait_for(lambda seen=seen: len(held) >= seen)  # type: ignore[misc]
        with reader.together():
            for message in held:
                message.ack()


def test_gathering_within_gathering_ends_with_the_outer(connect: Connect) -> None:
    got: list[bytes] = []
    session = connect(setup=lambda s: s.subscribe("x", lambda m: got.append(m.payload)))
    with session.together():
        with session.together():
            session.publish("x", b"1")
        session.publish("x", b"2")
    wait_for(lambda: got == [b"1", b"2"])


def test_what_came_with_one_read_is_handled_within_one_around(connect: Connect) -> None:
    told: list[str] = []
    done = threading.Event()

    @contextmanager
    def around() -> Iterator[None]:
        told.append("(")
        try:
            yield
        finally:
            told.append(")")
            if "last" in told:
                done.set()

    session = connect(
        setup=lambda s: s.subscribe("x", lambda m: told.append(m.payload.decode())), around=around
    )
    with session.together():
        for word in ("a", "b", "last"):
            session.publish("x", word)
    assert done.wait(20)
    said = "".join(told).replace("()", "")
    assert "a" in said
    assert said.count("(") == said.count(")")
    depth = 0
    for part in told:
        depth += {"(": 1, ")": -1}.get(part, 0)
        assert 0 <= depth <= 1
        assert depth == 1 or part in "()", "a handler ran outside of it"


def test_what_a_callback_publishes_leaves_at_once(connect: Connect) -> None:
    """A chain of a hundred: each is published when the one before was written, on the network thread."""
    session = connect()
    over = threading.Event()

    def follow(left: int) -> None:
        if not left:
            over.set()
        else:
            session.publish("x", b"%d" % left).add_done_callback(lambda _: follow(left - 1))

    follow(100)
    assert over.wait(20)  # if each waited for the loop's next look it would take minutes
