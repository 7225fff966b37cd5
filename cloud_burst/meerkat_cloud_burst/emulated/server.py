"""moto's server in this process: an emulator of AWS that forgets all at its end."""

from __future__ import annotations

import logging
from typing import Any

from meerkat_cli import ports
from meerkat_contract.errors import UsageError

REMEDY = "Type: pip install 'meerkat-home[burst-demo]' (scripts/run --burst-demo does so by itself)"


class Server:
    """Listens on a loopback port; taken off the network and put back, it still knows everything.

    moto keeps its state in the process and not in the server, so that another server on the same port
    goes on where the first one ended. Raises UsageError where moto is not installed, or the port is taken.
    """

    def __init__(self, port: int = 0) -> None:
        try:
            from moto.server import ThreadedMotoServer
        except ModuleNotFoundError as error:
            raise UsageError(
                f"the emulator of AWS cannot start: {error.name} is not installed", remedy=REMEDY
            ) from None
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
        logging.getLogger("moto").setLevel(logging.ERROR)  # what it leaves out of a template
        self._make: type[ThreadedMotoServer] = ThreadedMotoServer
        self._port = port
        self._server: Any = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def listening(self) -> bool:
        return self._server is not None

    def listen(self) -> None:
        if self._server is None:
            if self._port and not ports.is_free(self._port):  # moto would only say so on a thread of its own
                raise UsageError(
                    f"port {self._port} is taken by {ports.holder(self._port)}",
                    where=self.endpoint,
                    remedy="End that program, or leave the port to be chosen",
                )
            server = self._make(ip_address="127.0.0.1", port=self._port, verbose=False)
            server.start()
            _, self._port = server.get_host_and_port()
            self._server = server

    def hang_up(self) -> None:
        """Connections are refused until it listens again."""
        if self._server is not None:
            self._server.stop()
            self._server = None
