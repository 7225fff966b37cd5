"""Darknet's own library, Debian's package `darknet`, in a process of its own that it may take down."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_inference.engine import TensorInfo

from .darknet_files import DarknetFiles, check_darknet
from .darknet_program import no_room
from .darknet_words import complaint, last_line
from .tensors import check_inputs

SECONDS = 120.0
"""What loading, or one picture, may take at most."""


class LibDarknetEngine:
    """A network in a process that Darknet's library shares with nothing.

    When that process ends in the middle of a picture, the picture fails with ModelError and the next one
    gets a new process. One output: rows as OpenCV's, those whose objectness is at least 0.01.
    """

    name = "libdarknet"
    device = "cpu"
    outputs = ("boxes",)

    def __init__(self, files: DarknetFiles, library: Path, *, seconds: float = SECONDS) -> None:
        network = files.network
        self.inputs = (TensorInfo("", (1, network.channels, network.height, network.width), "float32"),)
        self._files = files
        self._library = library
        self._seconds = seconds
        self._closed = False
        self._child: _Child | None = self._start()

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        where = self._files.weights.name
        if self._closed:
            raise ModelError("the engine is closed", where=where)
        check_inputs(self.inputs, inputs, where=where)
        if self._child is None:
            self._child = self._start()
        try:
            return [self._child.look(inputs[0], 5 + self._files.network.classes)]
        except (OSError, EOFError) as error:
            said = self._child.end()
            self._child = None
            raise ModelError(
                f"libdarknet failed: {said or error}", where=where, remedy="Use the engine opencv"
            ) from error

    def close(self) -> None:
        self._closed = True
        if self._child is not None:
            self._child.end()
            self._child = None

    def _start(self) -> _Child:
        files = self._files
        files.still_there()
        try:
            return self._load(files)
        except OSError as error:
            raise no_room(error) from error

    def _load(self, files: DarknetFiles) -> _Child:
        with tempfile.TemporaryDirectory(prefix="meerkat-") as folder:
            config = Path(folder) / "network.cfg"
            config.write_bytes(files.config)
            child = _Child(
                [str(self._library), str(config), str(files.weights.resolve()), str(files.network.classes)],
                self._seconds,
            )
            # The .cfg is needed until the network is loaded.
            try:
                said = child.wait_ready(int(np.prod(self.inputs[0].shape)))
            except (OSError, EOFError) as error:
                said = child.end() or str(error)
        if said:
            child.end()
            raise ModelError(
                f"libdarknet cannot read it: {said}",
                where=str(files.weights),
                remedy="Use the engine opencv, or install Debian's package darknet again",
            )
        return child


class _Child:
    """The process and its pipes."""

    def __init__(self, arguments: list[str], seconds: float) -> None:
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        self._seconds = seconds
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "meerkat_inference.engines.libdarknet_process", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            bufsize=0,
            start_new_session=True,  # a Ctrl-C is for its owner, who may want to finish the picture
        )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        # An engine that nobody closes goes with its owner, and takes its process with it.
        self._finalizer = weakref.finalize(self, _end, self._process, self._words)

    def wait_ready(self, floats: int) -> str:
        """What is wrong once the network is loaded; an empty string when all is well."""
        deadline = time.monotonic() + self._seconds
        line = b""
        while not line.endswith(b"\n"):
            line += self._read(1, deadline)
        said = complaint(self._said())
        if not said and line != f"ready {floats}\n".encode():
            return f"it takes {line.decode(errors='replace').strip()} numbers instead of {floats}"
        return said

    def look(self, pixels: NDArray[Any], columns: int) -> NDArray[np.float32]:
        deadline = time.monotonic() + self._seconds
        self._write(memoryview(np.ascontiguousarray(pixels).data).cast("B"), deadline)
        count = int.from_bytes(self._read(4, deadline), "little")
        rows = np.frombuffer(self._read(count * columns * 4, deadline), np.float32)
        return rows.reshape(count, columns).copy()

    def end(self) -> str:
        """Stop the process; returns what it said of its failure."""
        if not self._finalizer.alive:
            return ""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            status = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            status = 0
        text = self._said()
        self._finalizer()
        if status < 0:
            return f"{last_line(text)} ({signal.Signals(-status).name})".strip()
        return complaint(text) or (last_line(text) if status else "")

    def _write(self, waiting: memoryview, deadline: float) -> None:
        """All of it. Raises OSError when the process has ended, TimeoutError at the deadline."""
        assert self._process.stdin is not None
        descriptor = self._process.stdin.fileno()
        while waiting:
            self._wait(descriptor, select.POLLOUT, deadline)
            waiting = waiting[os.write(descriptor, waiting) :]

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(1000 * max(0.0, deadline - time.monotonic())):
            raise TimeoutError(f"no answer within {self._seconds:g} s")

    def _read(self, size: int, deadline: float) -> bytes:
        """Exactly `size` bytes. Raises EOFError when the process has ended, TimeoutError at the deadline."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        parts = []
        while size:
            self._wait(descriptor, select.POLLIN, deadline)
            part = os.read(descriptor, min(size, 1 << 20))
            if not part:
                raise EOFError("its process ended")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _said(self) -> str:
        # Not by `seek`: the process writes at the same offset.
        size = os.fstat(self._words.fileno()).st_size
        return os.pread(self._words.fileno(), size, 0).decode(errors="replace")


def _end(process: subprocess.Popen[bytes], words: IO[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, words):
        if pipe is not None:
            pipe.close()


def open_libdarknet(weights: Path, config: Path, library: Path) -> LibDarknetEngine:
    """Load a Darknet pair with Darknet's own library. Raises ModelError with the remedy."""
    return LibDarknetEngine(check_darknet(weights, config, "libdarknet"), library)
