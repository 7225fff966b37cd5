"""A TCP proxy that delays what passes by a constant time each way, as a longer network would.

    python -m meerkat_experiments.real.dispatch_proxy --to 1883 --delay 0.006

It prints the port that it listens on. Every byte is held back for `delay` seconds from when it came,
in either direction, acknowledgements and keep-alives included, and any number of bytes is on its way at
a time: the bandwidth stays that of the loopback, only the round trip grows by twice the delay. The hub
and its clocks are not touched, so that what it learns of the round trip is learned as in a house.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator

from meerkat_cli import lifeline

CHUNK = 256 * 1024
UNDER_WAY = 256
"""Chunks held at a time; beyond it the sender has to wait, as it would for a full pipe."""


class Proxy:
    def __init__(self, port: int, delay: float) -> None:
        self._port = port
        self._delay = delay
        self._open: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Yields the port that it listens on, on the loopback."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=CHUNK)
        async with server:
            try:
                yield int(server.sockets[0].getsockname()[1])
            finally:
                for connection in self._open:
                    connection.cancel()
                await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        try:
            there_in, there_out = await asyncio.open_connection("127.0.0.1", self._port, limit=CHUNK)
        except OSError:
            await _close(writer)  # the broker is not there: the worker sees that, and tries again
            return
        for stream in (writer, there_out):
            stream.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._way(reader, there_out))
                ways.create_task(self._way(there_in, writer))
        finally:
            await _close(writer)
            await _close(there_out)

    async def _way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, until either end is closed; what is on its way then still arrives."""
        loop = asyncio.get_running_loop()
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(UNDER_WAY)

        async def release() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    due, data = await held.get()
                    if (left := due - loop.time()) > 0:
                        await asyncio.sleep(left)
                    if not data:
                        break
                    writer.write(data)
                    await writer.drain()
            writer.close()

        async with asyncio.TaskGroup() as group:
            group.create_task(release())
            data = b"-"
            while data:
                try:
                    data = await reader.read(CHUNK)
                except ConnectionError:
                    data = b""
                await held.put((loop.time() + self._delay, data))


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _run(port: int, delay: float) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with Proxy(port, delay).listening() as here:
        print(here, flush=True)
        await ended.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--to", type=int, required=True, help="port on this machine")
    parser.add_argument("--delay", type=float, required=True, help="seconds each way")
    options = parser.parse_args()
    lifeline.hold()
    asyncio.run(_run(options.to, options.delay))
    return 0


if __name__ == "__main__":
    sys.exit(main())
