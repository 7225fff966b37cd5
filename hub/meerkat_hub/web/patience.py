"""HTTP for whoever reaches a port without a login: nobody holds a connection without asking for anything.

uvicorn waits for ever for the head of a request, and for a reader who does not read. A hundred such
connections, meant ill or left behind by a microcontroller, would keep out everybody else.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

LOOK_SECONDS = 10.0
"""What the head of a request may take: at least this, at most twice as long."""

SEND_LOOKS = 6
"""Looks, one after the other, that an answer may be on its way."""

MOST_CONNECTIONS = 256


class PatientHttp(H11Protocol):
    """Give it to uvicorn's Config as `http`."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._seen: RequestResponseCycle | None = None
        self._answering = 0
        self._next_look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
            return
        self._next_look = self.loop.call_later(LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        request = cast(RequestResponseCycle | None, self.cycle)
        same, self._seen = request is self._seen, request
        asks = request is not None and not request.response_complete
        answers = request is not None and asks and request.response_started
        self._answering = self._answering + 1 if same and answers else 0
        if (same and not asks) or self._answering >= SEND_LOOKS:
            self.transport.abort()
            return
        self._next_look = self.loop.call_later(LOOK_SECONDS, self._look)
