"""A port that anybody may reach: who holds it without asking, who asks at the same time as everybody."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx
import pytest

from hub_support.posted import PICTURE, Running, Start
from meerkat_hub.web import patience
from meerkat_hub.web import websensor as listener
from meerkat_hub.web.websensor import ACK, NACK
from support.wait import wait_for


def test_a_sender_that_stands_still_is_let_go(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "UPLOAD_SECONDS", 0.2)
    running = start()
    with socket.create_connection(running.place, timeout=20) as slow:
        slow.sendall(b"POST /websensor HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000\r\n\r\n\xff\xd8")
        answer = b""
        while not answer.endswith(NACK.encode()) and (more := slow.recv(4096)):
            answer += more
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(NACK.encode())


def test_connections_that_ask_for_nothing_are_closed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LOOK_SECONDS", 1.0)
    running = start()
    with ExitStack() as held:
        idle = [held.enter_context(socket.create_connection(running.place)) for _ in range(100)]
        for number, one in enumerate(idle):
            one.settimeout(20)
            one.sendall(b"POST /websensor HTTP/1.1\r\nHost: x\r\n"[: number % 30])
        assert running.post().text == ACK, "beside a hundred that are not done with their heads"
        asked = held.enter_context(socket.create_connection(running.place, timeout=20))
        asked.sendall(b"GET /websensor HTTP/1.1\r\nHost: x\r\n\r\nGET /webs")
        with suppress(ConnectionError):  # which is another way to be told
            assert all(one.recv(1) == b"" for one in idle)
        with suppress(ConnectionError):
            while asked.recv(65_536):  # the first answer; the second question never ends
                pass


def test_who_does_not_read_the_answer_is_let_go(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.7)
    monkeypatch.setattr(patience, "SEND_LOOKS", 2)
    running = start()
    large = PICTURE[:-2] + bytes(12_000_000) + PICTURE[-2:]
    assert running.post(large).text == ACK
    with socket.create_connection(running.place, timeout=20) as lazy:
        lazy.sendall(b"GET /websensor HTTP/1.1\r\nHost: x\r\n\r\n")

        def gone() -> bool:
            try:
                lazy.sendall(b"\r\n")
            except ConnectionError:
                return True
            return False

        wait_for(gone, what="the hub to hang up")


def test_too_many_at_a_time_hear_the_word_that_scripts_know(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "REQUESTS", 1)
    running = start()
    with socket.create_connection(running.place, timeout=20) as first:
        first.sendall(b"POST /websensor HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n\xff\xd8")
        refused = wait_for(
            lambda: (answer := running.post()).status_code == 503 and answer, what="the hub to be busy"
        )
        assert (refused.text, running.get().status_code) == (NACK, 503)
        assert "come again" in refused.headers["x-reason"]
    wait_for(lambda: running.post().text == ACK, what="the first to be over")


def test_a_hundred_at_a_time_are_all_heard(start: Start) -> None:
    running = start()
    with ThreadPoolExecutor(60) as senders:
        answers = list(senders.map(lambda _: running.post().text, range(100)))
    assert answers == [ACK] * 100
    assert running.stored() == 100


def test_more_connections_than_a_house_has_are_closed_at_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "MOST_CONNECTIONS", 3)
    running = start()
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(socket.create_connection(running.place))
        more = held.enter_context(socket.create_connection(running.place, timeout=5))  # the limit is 10 s
        with suppress(ConnectionError):
            assert more.recv(1) == b""
    wait_for(lambda: heard(running), what="room for somebody else")


def heard(running: Running) -> bool:
    try:
        return running.post().text == ACK
    except httpx.TransportError:
        return False
