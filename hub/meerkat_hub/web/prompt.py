"""uvicorn's server without its ten looks a second at whether it is to end.

Each look wakes a process that would sleep. A hub with nothing to do spent three quarters of its CPU on that
(0.2 % of a core, now 0.06), and beside 70 pictures a second 3 to 4 %. Here whoever sets `should_exit` wakes
the loop.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from uvicorn import Config, Server

DATE_EVERY = 1.0
"""Seconds between two looks at the clock, for the date in the answers' heads."""


class PromptServer(Server):
    """`should_exit` may be set from any thread, and in a signal's handler."""

    def __init__(self, config: Config) -> None:
        self._ends = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        return self._ends

    @should_exit.setter
    def should_exit(self, ends: bool) -> None:
        self._ends = ends
        loop = self._loop
        if ends and loop is not None:
            with suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(self._told.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while True:
            self._told.clear()  # before looking, so that nothing said meanwhile is overlooked
            if await self.on_tick(0):
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), DATE_EVERY)
