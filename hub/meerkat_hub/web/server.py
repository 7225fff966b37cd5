"""Serving the page and the API until the process is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import threading
from collections.abc import Generator
from typing import TYPE_CHECKING

from uvicorn import Config

from meerkat_contract.errors import UsageError
from meerkat_hub.settings import HubSettings

from .app import create_app
from .fanout import Fanout
from .prompt import PromptServer

if TYPE_CHECKING:
    from meerkat_hub.application import Hub

GRACE = 1
"""Seconds that answers under way have to end; what is still open then is cut."""

CUT = 0.5
"""Seconds that cut answers have to close their files."""


def serve(hub: Hub, settings: HubSettings) -> None:
    """Run the HTTP server in this thread until SIGINT or SIGTERM.

    Raises UsageError when the address cannot be had.
    """
    with listen(settings.http_host, settings.http_port) as listener:
        HubServer(hub, settings).run(sockets=[listener])


class HubServer(PromptServer):
    """Ends its streams when it ends, and returns to its caller instead of raising the signal again."""

    def __init__(self, hub: Hub, settings: HubSettings) -> None:
        self.fanout = Fanout(hub.live)
        super().__init__(
            Config(
                create_app(hub, settings, self.fanout),
                log_level="warning",
                access_log=False,
                server_header=False,
                loop="asyncio",
                lifespan="off",
                timeout_graceful_shutdown=GRACE,
                # X-Forwarded-For would say who asked the ingress; the one who connects is who counts.
                proxy_headers=settings.ingress_from is None,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.fanout.close()
        # A download that is cut is meant to be cut; uvicorn would report each as an error.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()  # its buffer waits for a reader that stands still
        if self.server_state.tasks:
            await asyncio.wait(tuple(self.server_state.tasks), timeout=CUT)
        await asyncio.sleep(0)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {n: signal.signal(n, self.handle_exit) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


PAGE = "--http-host and --http-port, or hub.http_host and hub.http_port in meerkat.yaml"


def listen(host: str, port: int, *, setting: str = PAGE) -> socket.socket:
    """A listening socket. Raises UsageError that names the port and the `setting` to change it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio turns Nagle's algorithm off for such sockets only; without
    # that each answer waits 40 ms for a delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} is taken by another program",
                where=f"{host}:{port}",
                remedy=f"Choose another one with {setting}",
            ) from error
        raise UsageError(
            f"cannot be listened on ({error.strerror or error})",
            where=f"{host}:{port}",
            remedy=f"Choose another address with {setting}",
        ) from error
    return listener
