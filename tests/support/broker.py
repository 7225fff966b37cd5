"""A real Mosquitto on a free loopback port, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from meerkat_cli import private_broker
from meerkat_contract.connection import Connection

SHARES = 8
"""The tests that run side by side choose among ports of their own."""
SHARE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SHARES
_given: deque[int] = deque(maxlen=500)
"""Of late: where a process is to listen that takes its time to start, the port is free for a while."""


def free_port() -> int:
    """A loopback port that is free now, below those that Linux and macOS give to outgoing connections.

    So nothing but another run's choice can take it until somebody listens there, or while a broker is away.
    """
    for port in random.SystemRandom().sample(range(12_000 + SHARE, 32_000, SHARES), 1000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            if port not in _given:
                probe.bind(("127.0.0.1", port))
                _given.append(port)
                return port
    raise AssertionError("of a thousand ports none is free")


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Mosquitto:
    """Start with `start()`, end with `stop()` or `kill()`; the port stays the same over restarts."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: Sequence[str] = ("allow_anonymous true",),
        environment: Mapping[str, str] = private_broker.ENVIRONMENT,
    ) -> None:
        self.port = free_port()
        self.folder = folder
        self.settings = settings
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def connection(self) -> Connection:
        return Connection("127.0.0.1", self.port)

    def start(self) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
        assert program, "mosquitto is not installed; scripts/test installs it"
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", "set_tcp_nodelay true", "user root", *self.settings]
        configuration.write_text("\n".join(lines) + "\n")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "-c", str(configuration)],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )
        deadline = time.monotonic() + 10
        while not accepts(self.port):
            assert self.process.poll() is None, (self.folder / "mosquitto.log").read_text()
            assert time.monotonic() < deadline, "mosquitto does not listen"
            time.sleep(0.01)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
