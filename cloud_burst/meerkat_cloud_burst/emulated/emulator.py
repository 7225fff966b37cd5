"""The emulator as a process of its own, as tests and the demonstration start it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from meerkat_cli import lifeline
from meerkat_contract.errors import MeerkatError

from .stack import EmulatedStack, credentials

READY_SECONDS = 60.0
HANG_UP, LISTEN = signal.SIGUSR1, signal.SIGUSR2
"""What the process does with these signals; see __main__."""


class Emulator:
    """`start()`, `stop()`; in between `hang_up()` and `listen()`, or `freeze()` and `thaw()`.

    After hang_up connections are refused; while frozen they are taken and nothing answers. In both
    cases the emulated cloud knows everything again afterwards.
    """

    def __init__(self, folder: Path, *arguments: str, port: int = 0) -> None:
        """`folder` takes its log and its ready file. `arguments`: more of __main__'s options."""
        self.log = folder / "emulator.log"
        self._ready = folder / "emulator.json"
        self._arguments = ["--port", str(port), "--ready", str(self._ready), *arguments]
        self._folder = folder
        self._endpoint = ""
        self._stack: EmulatedStack | None = None
        self._lifeline = -1
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return self._endpoint

    @property
    def stack(self) -> EmulatedStack:
        assert self._stack is not None, "the emulator was not started"
        return self._stack

    def start(self) -> None:
        """Returns when it answers. Raises MeerkatError with its last words when it does not."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._ready.unlink(missing_ok=True)
        held, self._lifeline = os.pipe()  # it ends with us, however we end
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", __package__, *self._arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **credentials(), lifeline.VARIABLE: str(held)},
                pass_fds=(held,),
            )
        os.close(held)
        self._wait(self._ready.exists, "does not start")
        said = json.loads(self._ready.read_text())
        self._endpoint = str(said["endpoint"])
        self._stack = EmulatedStack(said["outputs"], said["environment"])

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after ten seconds."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def hang_up(self) -> None:
        self._signal(HANG_UP)
        self._wait(lambda: not self.accepts(), "does not hang up")

    def listen(self) -> None:
        self._signal(LISTEN)
        self._wait(self.accepts, "does not listen again")

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def accepts(self) -> bool:
        """Whether a connection is taken."""
        address = urlsplit(self._endpoint)
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((address.hostname or "", address.port or 0)) == 0

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None, "the emulator was not started"
        self.process.send_signal(number)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        assert self.process is not None
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                words = self.log.read_text(errors="replace")[-2000:].strip()
                raise MeerkatError(
                    f"the emulator of AWS {what}: {words or 'it said nothing'}", where=str(self.log)
                )
            time.sleep(0.02)
