"""What happens in the hub, told to every browser that listens.

The hub tells on its own threads; one call hands a change over to the event loop, where every client
has a bounded queue. A client that does not keep up is dropped and counted: its browser connects again
and reads everything anew, which costs less than a queue without an end. Without clients nothing
listens and nothing is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

from meerkat_hub.adapters.live import Change, Live

WAITING = 256
"""Changes that a client may be behind."""

OF_METERS = ("reading", "verdict", "meter")
"""Changes of meters; `meter`: its layout or settings."""

CLIENTS = 64
"""Streams at a time."""


class Client:
    """One stream. `closed` says why it ended: slow | shutdown."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Change | None] = asyncio.Queue(WAITING + 1)
        self.closed = ""

    async def changes(self) -> AsyncIterator[Change]:
        """What it has to be told, until it is dropped or the server ends."""
        while (change := await self.queue.get()) is not None:
            yield change


class Fanout:
    """Lives on one event loop; only `_hear` is called from other threads."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clients: set[Client] = set()
        self._end: Callable[[], None] | None = None
        self._closing = False
        self.dropped: Counter[str] = Counter()
        """Streams that the hub ended, by reason: slow | full."""

    @property
    def clients(self) -> int:
        return len(self._clients)

    def attach(self) -> Client | None:
        """A new client, or None when there are too many or the server ends."""
        if self._closing:
            return None
        if len(self._clients) >= CLIENTS:
            self.dropped["full"] += 1
            return None
        if self._end is None:
            self._loop = asyncio.get_running_loop()
            self._end = self._live.listen(self._hear)
        client = Client()
        self._clients.add(client)
        return client

    def detach(self, client: Client) -> None:
        self._clients.discard(client)
        if not self._clients and self._end is not None:
            self._end()
            self._end = None

    def close(self) -> None:
        """End all streams, for the server is to end."""
        self._closing = True
        for client in tuple(self._clients):
            self._drop(client, "shutdown")

    def _hear(self, change: Change) -> None:
        assert self._loop is not None
        # A loop that has been closed meanwhile has nobody who listens.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._tell, change)

    def _tell(self, change: Change) -> None:
        for client in tuple(self._clients):
            if client.queue.qsize() >= WAITING:
                self.dropped["slow"] += 1
                self._drop(client, "slow")
            else:
                client.queue.put_nowait(change)

    def _drop(self, client: Client, reason: str) -> None:
        """Forget what it has not been told, and end its stream."""
        client.closed = reason
        while not client.queue.empty():
            client.queue.get_nowait()
        client.queue.put_nowait(None)
        self.detach(client)


def body(change: Change, live: Live) -> dict[str, Any]:
    """The data of one server-sent event."""
    data: dict[str, Any] = {}
    if change.device:
        data["device"] = change.device
    if change.thing:
        data["meter" if change.kind in OF_METERS else "camera"] = change.thing
    match change.kind:
        case "hub":
            data["connected"] = live.connected
            data["hub"] = json.loads(live.hub.to_json())
        case "motion":
            data["motion"] = change.payload == b"ON"
        case "picture":
            picture = live.pictures.get((change.device, change.thing))
            if picture is not None:
                data["captured_at"] = picture.captured_at.isoformat()
        case _ if change.payload:
            data["data"] = json.loads(change.payload)
    return data
