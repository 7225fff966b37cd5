"""The server sleeps while nobody asks, and ends as soon as it is told."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from uvicorn import Config, Server

from meerkat_hub.web.prompt import PromptServer
from meerkat_hub.web.server import listen
from support.wait import wait_for


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def make(kind: type[Server] = PromptServer) -> Server:
    return kind(Config(app, loop="asyncio", lifespan="off", log_level="warning", access_log=False))


@contextmanager
def running(server: Server) -> Iterator[str]:
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_for(lambda: server.started, what="the server")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def looks_within(server: Server, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> int:
    """How often it looks whether it is to end, in time as its own loop counts it; `meanwhile` is called once
    it sleeps."""
    looks = 0
    look = server.on_tick

    async def counted(counter: int) -> bool:
        nonlocal looks
        looks += 1
        return await look(counter)

    server.on_tick = counted  # type: ignore[method-assign]

    async def measured() -> int:
        running = asyncio.create_task(server.main_loop())
        await asyncio.sleep(0.01)
        meanwhile()
        await asyncio.sleep(seconds)
        found = looks
        server.should_exit = True
        await asyncio.wait_for(running, 30)
        return found

    return asyncio.run(measured())


@pytest.fixture
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would not look again of itself."""
    monkeypatch.setattr("meerkat_hub.web.prompt.DATE_EVERY", 3600.0)


@pytest.mark.usefixtures("no_clock")
def test_it_looks_once_where_uvicorn_looks_ten_times_a_second() -> None:
    assert looks_within(make(), 0.5) == 1
    assert looks_within(make(Server), 0.5) > 1


@pytest.mark.usefixtures("no_clock")
def test_it_ends_without_another_look_at_the_clock() -> None:
    with running(make()) as base:
        assert httpx.get(base).status_code == 204


@pytest.mark.usefixtures("no_clock")
def test_told_before_it_began_it_ends_at_once() -> None:
    server = make()
    server.should_exit = True
    assert looks_within(server, 0) <= 1
    asyncio.run(asyncio.wait_for(server.main_loop(), 30))


@pytest.mark.usefixtures("no_clock")
def test_a_signal_ends_it_while_it_sleeps() -> None:
    server = make()
    before = signal.signal(signal.SIGUSR2, server.handle_exit)
    sent = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR2))
    sent.start()
    try:
        asyncio.run(asyncio.wait_for(server.main_loop(), 30))
    finally:
        sent.join()
        signal.signal(signal.SIGUSR2, before)


@pytest.mark.usefixtures("no_clock")
def test_what_is_taken_back_does_not_keep_it_awake() -> None:
    server = make()

    def taken_back() -> None:
        server.should_exit = True
        server.should_exit = False

    assert looks_within(server, 0.2, taken_back) <= 2


def test_the_date_of_its_answers_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meerkat_hub.web.prompt.DATE_EVERY", 0.05)
    with running(make()) as base:
        first = httpx.get(base).headers["date"]
        wait_for(lambda: httpx.get(base).headers["date"] != first, what="another date")
