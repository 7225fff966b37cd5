"""The proxy holds every byte back, changes none, and ends when either side does."""

from __future__ import annotations

import asyncio

import pytest

from meerkat_experiments.real.dispatch_proxy import Proxy

DELAY = 0.03


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def _through(payload: bytes, delay: float) -> tuple[bytes, float]:
    """What came back through the proxy from an echo, and after how long."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with server, Proxy(server.sockets[0].getsockname()[1], delay).listening() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        begun = asyncio.get_running_loop().time()
        writer.write(payload)
        back = await reader.readexactly(len(payload))
        took = asyncio.get_running_loop().time() - begun
        writer.write_eof()
        assert await reader.read() == b"", "the end of the stream passes both ways too"
        await _close(writer)
    return back, took


@pytest.mark.parametrize("size", [1, 3_000_000])
def test_bytes_come_back_unchanged_after_the_delay_of_both_ways(size: int) -> None:
    payload = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    back, took = asyncio.run(_through(payload, DELAY))
    assert back == payload
    assert took >= 2 * DELAY


def test_a_broker_that_is_not_there_closes_the_connection() -> None:
    async def run() -> bytes:
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        nobody = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        async with Proxy(nobody, 0.0).listening() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            left = await reader.read()
            await _close(writer)
            return left

    assert asyncio.run(run()) == b""
