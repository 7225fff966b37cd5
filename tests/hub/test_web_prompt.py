"""The server sleeps while nobody asks, and ends as soon as it is told."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from uvicorn import Config, Server

from meerkat_hub.web.prompt import DATE_EVERY, PromptServer
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


def looks_within(server: Server, seconds: float) -> int:
    """How often it looks whether it is to end, in time as its own loop counts it."""
    looks = 0
    look = server.on_tick

    async def counted(counter: int) -> bool:
        nonlocal looks
        looks += 1
        return await look(counter)

    server.on_tick = counted  # type: ignore[method-assign]

    async def measured() -> int:
        running = asyncio.create_task(server.main_loop())
        await asyncio.sleep(seconds)
        found = looks
        server.should_exit = True
        await asyncio.wait_for(running, 30)
        return found

    return asyncio.run(measured())


def test_it_looks_once_a_second_where_uvicorn_looks_ten_times() -> None:
    prompt, plain = looks_within(make(), 1.5 * DATE_EVERY), looks_within(make(Server), 1.5 * DATE_EVERY)
    assert 1 <= prompt <= 2
    assert plain > 2 * prompt


def test_it_ends_without_another_look_at_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meerkat_hub.web.prompt.DATE_EVERY", 3600.0)
    with running(make()) as base:
        assert httpx.get(base).status_code == 204


def test_told_before_it_began_it_does_not_begin() -> None:
    server = make()
    server.should_exit = True
    with listen("127.0.0.1", 0) as listener:
        server.run(sockets=[listener])
    assert server.should_exit


def test_a_signal_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meerkat_hub.web.prompt.DATE_EVERY", 3600.0)
    server = make()

    async def signalled() -> None:
        running = asyncio.create_task(server.main_loop())
        await asyncio.sleep(0)
        server.handle_exit(signal.SIGTERM, None)
        await asyncio.wait_for(running, 30)

    asyncio.run(signalled())


def test_the_date_of_its_answers_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meerkat_hub.web.prompt.DATE_EVERY", 0.05)
    with running(make()) as base:
        first = httpx.get(base).headers["date"]
        wait_for(lambda: httpx.get(base).headers["date"] != first, what="another date")
