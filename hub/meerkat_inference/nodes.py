"""Further workers of this machine, one for each Coral accelerator: started, watched, ended.

Each is a process and a node of its own on the bus. One that dies is started again after a pause that
doubles; before each start the accelerator is probed, so that one which is absent is waited for.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .coral import Probe

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Seconds before the next try, doubled each time."""
HEALTHY_SECONDS = 60.0
"""A process that lived this long begins with the first pause again."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One further worker: its name on the bus, its command, and how to ask whether it can work."""

    name: str
    arguments: Sequence[str]
    probe: Callable[[], Probe]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class Nodes:
    """`start()` (again does nothing), `ask_to_end()` from anywhere, `end()`: then no process is left."""

    def __init__(self, specs: Sequence[NodeSpec], *, first_pause: float = FIRST_PAUSE) -> None:
        self._nodes = [_Node(spec, first_pause) for spec in specs]

    def start(self) -> None:
        for node in self._nodes:
            node.start()

    def ask_to_end(self) -> None:
        """Safe in a signal handler."""
        for node in self._nodes:
            node.ask_to_end()

    def end(self, seconds: float) -> None:
        """Wait for all to end; what has not after so many seconds is killed."""
        self.ask_to_end()
        deadline = time.monotonic() + seconds
        for node in self._nodes:
            node.end(max(0.0, deadline - time.monotonic()))


class _Node:
    """One process and the thread that keeps it."""

    def __init__(self, spec: NodeSpec, first_pause: float) -> None:
        self._spec = spec
        self._first_pause = first_pause
        self._process: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()
        self._begun = False
        self._thread = threading.Thread(target=self._keep, name=spec.name, daemon=True)

    def start(self) -> None:
        if not self._begun:
            self._begun = True
            self._thread.start()

    def ask_to_end(self) -> None:
        self._ending.set()
        process = self._process
        if process is not None:
            process.terminate()

    def end(self, seconds: float) -> None:
        if not self._begun:
            return
        self._thread.join(seconds)
        process = self._process
        if self._thread.is_alive() and process is not None:
            _logger.warning("Worker %s does not end; killed", self._spec.name)
            process.kill()
            self._thread.join(5)

    def _keep(self) -> None:
        pause, told = self._first_pause, ""
        while not self._ending.is_set():
            state = self._spec.probe()
            if state.ok:
                told = ""
                began = time.monotonic()
                reason = self._live()
                if self._ending.is_set():
                    return
                if time.monotonic() - began >= HEALTHY_SECONDS:
                    pause = self._first_pause
                _logger.warning("Worker %s %s; starting again in %g s", self._spec.name, reason, pause)
            elif state.what != told:
                told = state.what
                _logger.warning("Worker %s waits: %s. %s", self._spec.name, state.what, state.remedy)
            if self._ending.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE)

    def _live(self) -> str:
        """Run the process once, from start to end; the reason why it ended, in words."""
        reading, writing = os.pipe()
        try:
            # Whatever way this process dies, the kernel closes our end, and the child ends too.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "meerkat_cli", *self._spec.arguments],
                env={**os.environ, **self._spec.environment, "MEERKAT_LIFELINE_FD": str(reading)},
                stdin=subprocess.DEVNULL,
                pass_fds=(reading,),
            )
        except OSError as error:
            os.close(writing)
            return f"cannot be started ({error.strerror or error})"
        finally:
            os.close(reading)
        if self._ending.is_set():  # asked while it started
            self._process.terminate()
        try:
            status = self._process.wait()
        finally:
            os.close(writing)
            self._process = None
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"
