"""What `meerkat bench dispatch` measures in: a private broker, the production hub, stand-ins for workers.

Each is a process of its own and ends with us, whatever way we end. The broker is configured as that of
`meerkat up`, passwords and access list included. The folder is temporary.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from meerkat_cli import lifeline, ports, private_broker
from meerkat_contract.connection import Connection
from meerkat_contract.errors import MeerkatError

DEVICE = "bench"
START_SECONDS = 30.0
STOP_SECONDS = 10.0


class SiteError(MeerkatError):
    """A process of the site has ended, or does not come up; the message has the end of its log."""


@dataclass(slots=True)
class Running:
    """A process and where it writes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises SiteError if it has ended."""
        if (status := self.process.poll()) is not None:
            raise SiteError(f"it has ended with status {status}: {self.tail()}", where=self.name)

    def tail(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"

    def cpu_seconds(self) -> float | None:
        """User and system time so far, of all its threads; None where the system does not tell.

        /proc tells it in steps of 10 ms, a tenth of a millisecond of each of a hundred images; Linux's clock
        of another process (clock_getcpuclockid(3), whose number is made as there) in nanoseconds.
        """
        try:
            return time.clock_gettime((~self.process.pid << 3) | 2)
        except (OSError, AttributeError):
            return None

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(STOP_SECONDS)


def cpu_of(processes: Sequence[Running]) -> float | None:
    """User and system time of all of them so far; None where the system does not tell."""
    known = [seconds for running in processes if (seconds := running.cpu_seconds()) is not None]
    return sum(known) if len(known) == len(processes) else None


class Site:
    """Open with `open_site`. Everything that runs is in `processes`."""

    def __init__(self, folder: Path, held: int) -> None:
        self.folder = folder
        self.processes: dict[str, Running] = {}
        self.stand_ins: list[Running] = []
        self._held = held
        self._broker: private_broker.PrivateBroker | None = None

    @property
    def hub(self) -> Running:
        return self.processes["hub"]

    def connection(self, role: str) -> Connection:
        assert self._broker is not None, "start_broker() comes first"
        return self._broker.connection(role)

    def check(self) -> None:
        for running in self.processes.values():
            running.check()

    def start_broker(self) -> None:
        port = free_port()
        self._broker = private_broker.prepare(self.folder, devices=[DEVICE], port=port)
        # Mosquitto knows nothing of the lifeline: the guard holds it for it.
        argv = [sys.executable, "-P", "-m", "meerkat_cli.lifeline", *self._broker.argv]
        self.start("mosquitto", argv, more=self._broker.environment)
        self._await(lambda: not ports.is_free(port), "mosquitto", "does not listen")

    def start_hub(self, configuration: Mapping[str, object]) -> None:
        """The hub as `meerkat hub` runs it; `configuration` is what its meerkat.yaml says."""
        file = self.folder / "meerkat.yaml"
        file.write_text(json.dumps(configuration))  # JSON is YAML too
        argv = [sys.executable, "-P", "-m", "meerkat_cli", "hub", "--config", str(file)]
        argv += ["--data", str(self.folder / "data"), "--http-port", str(free_port())]
        self.start("hub", argv, broker=self.connection("hub"))

    def start_worker(
        self, name: str, capacity: float, tasks: Sequence[str], *, window: int, round_trip: float
    ) -> None:
        """A stand-in; with a round trip, behind a proxy of its own that delays each way by half of it."""
        connection = self.connection("worker")
        if round_trip:
            module = "meerkat_experiments.real.dispatch_proxy"
            argv = [
                sys.executable,
                "-m",
                module,
                "--to",
                str(connection.port),
                "--delay",
                str(round_trip / 2),
            ]
            proxy = self.start(f"proxy-{name}", argv)
            self._await(lambda: proxy.log.read_text().strip(), proxy.name, "does not say its port")
            connection = replace(connection, port=int(proxy.log.read_text().split()[0]))
        module = "meerkat_experiments.real.dispatch_stand_in"
        argv = [sys.executable, "-P", "-m", module, "--name", name, "--capacity", str(capacity)]
        argv += ["--window", str(window), *(word for task in tasks for word in ("--task", task))]
        self.stand_ins.append(self.start(name, argv, broker=connection))

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        broker: Connection | None = None,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> Running:
        """`more` of its environment than ours."""
        environment = {**os.environ, **more, lifeline.VARIABLE: str(self._held)}
        environment.pop("MEERKAT_BROKER", None)
        if broker is not None:
            environment["MEERKAT_BROKER"] = broker.secret_url
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                pass_fds=(self._held,),
            )
        running = Running(name, process, log)
        self.processes[name] = running
        return running

    def stop(self) -> None:
        """The latest first."""
        for running in reversed(self.processes.values()):
            running.stop()

    def _await(self, condition: Callable[[], object], name: str, what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            self.processes[name].check()
            if time.monotonic() > deadline:
                raise SiteError(
                    f"{what} within {START_SECONDS:g} s: {self.processes[name].tail()}", where=name
                )
            time.sleep(0.01)


@contextmanager
def open_site() -> Iterator[Site]:
    """An empty site with a broker; all that was started is stopped at the end, and the folder removed.

    SIGTERM is such an end, too, where this is the main thread.
    """
    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _end))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="meerkat-bench-")))
        held, ours = os.pipe()
        stack.callback(os.close, held)
        stack.callback(os.close, ours)
        site = Site(folder, held)
        stack.callback(site.stop)
        site.start_broker()
        yield site


def _end(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def free_port() -> int:
    """A port of the loopback that nobody listens on now.

    Below those that the system gives to outgoing connections: one of them would take it in between.
    """
    import random
    import socket

    while True:
        port = random.randint(15_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
