"""Server-sent events: what happens in the hub reaches every page, and no page can hold the hub up."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hub_support.web_house import JPEG, NOW, Served, WebHouse
from meerkat_hub.adapters.live import Change, Live, LivePicture
from meerkat_hub.web.fanout import CLIENTS, WAITING, Fanout
from support.wait import wait_for


@contextmanager
def listening(web: Served) -> Iterator[Iterator[tuple[str, Any]]]:
    """(event, data) of one stream, as they come."""
    with web.http.stream("GET", "/api/stream") as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")

        def read() -> Iterator[tuple[str, Any]]:
            event = ""
            for line in response.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    yield event, json.loads(value)

        yield read()


def test_every_kind_of_change_is_told_in_order(house: WebHouse, web: Served) -> None:
    live = house.hub.live
    live.connected = True
    live.pictures["porch", "front"] = LivePicture(JPEG, NOW)
    with listening(web) as stream:
        kind, hello = next(stream)
        assert (kind, hello["connected"], hello["hub"]["backlog"]) == ("hub", True, 0)
        live.tell(Change("event", "porch", "front", b'{"type": "new", "after": {"id": "x"}}'))
        live.tell(Change("outcome", "porch", "front", b'{"state": "done"}'))
        live.tell(Change("picture", "porch", "front"))
        live.tell(Change("motion", "porch", "front", b"ON"))
        live.tell(Change("device", "porch"))
        live.tell(Change("worker", payload=b'{"worker": "cpu"}'))
        live.tell(Change("hub"))
        here = {"device": "porch", "camera": "front"}
        assert next(stream) == ("event", {**here, "data": {"type": "new", "after": {"id": "x"}}})
        assert next(stream) == ("outcome", {**here, "data": {"state": "done"}})
        assert next(stream) == ("picture", {**here, "captured_at": "2026-11-20T08:00:00+00:00"})
        assert next(stream) == ("motion", {**here, "motion": True})
        assert next(stream) == ("device", {"device": "porch"})
        assert next(stream) == ("worker", {"data": {"worker": "cpu"}})
        assert next(stream)[0] == "hub"


def test_nothing_listens_when_the_last_page_has_gone(house: WebHouse, web: Served) -> None:
    with listening(web) as stream:
        next(stream)
        assert web.server.fanout.clients == 1
        assert len(house.hub.live._listeners) == 1
    wait_for(lambda: web.server.fanout.clients == 0, what="the stream's end to be noticed")
    assert house.hub.live._listeners == []


def test_the_end_of_the_server_ends_open_streams(house: WebHouse) -> None:
    with house.served() as web, listening(web) as stream:
        next(stream)
        web.server.should_exit = True
        assert list(stream) == [], "it ends cleanly, and without waiting for the pages"


def test_too_many_pages_are_told_so(web: Served) -> None:
    fanout = web.server.fanout
    fanout._clients.update(object() for _ in range(CLIENTS))  # type: ignore[misc]
    problem = web.json("/api/stream", status=503)
    assert problem["what"] == "too many pages listen already"
    assert fanout.dropped["full"] == 1
    fanout._clients.clear()


def test_a_page_that_does_not_keep_up_is_dropped_and_counted() -> None:
    async def scenario() -> None:
        live = Live()
        fanout = Fanout(live)
        slow, quick = fanout.attach(), fanout.attach()
        assert slow is not None
        assert quick is not None
        heard: list[Change] = []

        async def listen() -> None:
            heard.extend([change async for change in quick.changes()])

        listener = asyncio.create_task(listen())
        for n in range(WAITING + 1):
            live.tell(Change("picture", "porch", str(n)))
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert slow.closed == "slow"
        assert fanout.dropped == {"slow": 1}
        assert fanout.clients == 1, "the one that keeps up stays"
        assert [change async for change in slow.changes()] == [], "its stream ends at once"
        fanout.close()
        await listener
        assert len(heard) == WAITING + 1
        assert quick.closed == "shutdown"
        assert fanout.attach() is None
        assert live._listeners == []

    asyncio.run(scenario())


def test_the_hub_may_tell_from_any_thread() -> None:
    async def scenario() -> list[str]:
        live = Live()
        fanout = Fanout(live)
        client = fanout.attach()
        assert client is not None
        thread = threading.Thread(target=lambda: [live.tell(Change("motion", str(n))) for n in range(100)])
        thread.start()
        changes = client.changes()
        heard = [(await anext(changes)).device for _ in range(100)]
        thread.join()
        fanout.close()
        return heard

    assert asyncio.run(scenario()) == [str(n) for n in range(100)]
