"""Starts processes in order, keeps them alive, passes on what they say, and ends them all.

    waiting for what it needs ──▶ running ──▶ (died) back-off ──▶ waiting …
                                     └──▶ stopping: devices first, the broker last, SIGKILL at 3.5 s

It waits for signals, pipes and children, and wakes for nothing else. What the processes are is the
plan's business (plan.py); nothing here knows of brokers or cameras.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TextIO

from . import lifeline, logs

FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""Seconds before a process that died is started again: doubled each time up to the longest."""
HEALTHY_SECONDS = 60.0
"""A process that lived this long begins with the first delay again."""
KILL_AFTER = 3.5
"""Seconds from the wish to stop until what is left is killed."""
LONGEST_LINE = 8192

Translate = Callable[[str], tuple[int, str] | None]
Ready = Callable[[], Awaitable[bool]]

_LEVEL = re.compile(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) (.*)|(error): (.*)")
_COLOURS = (36, 32, 35, 34, 33, 96, 92, 95)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ProcessSpec:
    """One process. Lower orders start first and stop last.

    env: added to this process's environment. ready: asked until it says yes; processes of a higher
    order wait for it when `gate` is set. announce: said once, when it is ready for the first time.
    foreign: the program knows nothing of the lifeline, so the kernel is asked to end it with us.
    """

    name: str
    argv: Sequence[str]
    order: int
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    ready: Ready | None = None
    gate: bool = False
    announce: str = ""
    translate: Translate | None = None
    foreign: bool = False


class Output:
    """Lines for people on one stream, the process's name in front, in colour on a terminal."""

    def __init__(self, stream: TextIO, *, level: int = logging.INFO, colour: bool | None = None) -> None:
        self._stream = stream
        self.level = level
        self._colour = (stream.isatty() and "NO_COLOR" not in os.environ) if colour is None else colour
        self._colours: dict[str, int] = {}
        self._journal = logs.to_journal(stream, os.environ)

    def say(self, name: str, text: str, level: int = logging.INFO) -> None:
        if level < self.level:
            return
        word = logging.getLevelName(level)
        if self._colour:
            number = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
            if level >= logging.WARNING:
                word = f"\x1b[{31 if level >= logging.ERROR else 33}m{word}\x1b[0m"
            name = f"\x1b[{number}m{name}\x1b[0m"
        head = logs.journal_prefix(level) if self._journal else f"{time.strftime('%H:%M:%S')} {word} "
        # A reader of our log that went away (`| head`) must not end the house's cameras.
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(f"{head}{name}: {text}\n")
            self._stream.flush()


class _Child:
    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        self.process: asyncio.subprocess.Process | None = None
        self.is_ready = asyncio.Event()
        self.delay = FIRST_DELAY
        self.announced = False
        self.level = logging.INFO
        self.dismissed = asyncio.Event()
        """It is to end for good, while the others go on."""

    def send(self, number: signal.Signals) -> None:
        """To the process and whatever it started: each child leads its own group."""
        if self.process is None:
            return
        # The group may be gone; macOS says PermissionError of one whose last member is a zombie.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


class Supervisor:
    """`await run(stop)` until `stop` is set; every process is gone when it returns.

    Meanwhile `begin` and `dismiss` add a process and end one.
    """

    def __init__(self, specs: Iterable[ProcessSpec], output: Output) -> None:
        self._specs = sorted(specs, key=lambda spec: spec.order)
        self._children: list[_Child] = []
        self._keepers: dict[_Child, asyncio.Task[None]] = {}
        self._output = output
        self._stopping = asyncio.Event()
        self._broken = asyncio.Event()
        self._lifeline = -1

    async def run(self, stop: asyncio.Event, *, at_once: asyncio.Event | None = None) -> None:
        """Keep all processes alive until `stop`; `at_once` (a second Ctrl-C) kills without waiting."""
        self._lifeline, held = os.pipe()
        for spec in self._specs:
            self.begin(spec)
        try:
            await _first(stop, self._broken)
            await self._stop_all(at_once or asyncio.Event())
        finally:
            for child in self._children:
                child.send(signal.SIGKILL)
            keepers = list(self._keepers.values())
            for keeper in keepers:
                keeper.cancel()
            results = await asyncio.gather(*keepers, return_exceptions=True)
            os.close(held)
            os.close(self._lifeline)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    def begin(self, spec: ProcessSpec) -> None:
        """Keep one more process alive. Nothing begins any more once all is to end."""
        if self._stopping.is_set():
            return
        child = _Child(spec)
        self._children = sorted([*self._children, child], key=lambda one: one.spec.order)
        keeper = asyncio.create_task(self._keep(child), name=spec.name)
        keeper.add_done_callback(self._ended)
        self._keepers[child] = keeper

    def _ended(self, keeper: asyncio.Task[None]) -> None:
        if not keeper.cancelled() and keeper.exception() is not None:
            self._broken.set()  # a mistake of ours: `run` ends everything and raises it

    async def dismiss(self, name: str) -> None:
        """End the process of this name for good, and return when it is gone; the others go on."""
        for child in [one for one in self._children if one.spec.name == name]:
            child.dismissed.set()
            child.send(signal.SIGTERM)
            keeper = self._keepers[child]
            await asyncio.wait([keeper], timeout=KILL_AFTER)
            child.send(signal.SIGKILL)
            await asyncio.wait([keeper])
            self._children.remove(child)
            if not self._broken.is_set():
                del self._keepers[child]

    async def _keep(self, child: _Child) -> None:
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            for other in self._children:
                if other.spec.gate and other.spec.order < child.spec.order:
                    await _first(other.is_ready, child.dismissed)
            if child.dismissed.is_set():
                return
            started = loop.time()
            reason = await self._live(child)
            if self._stopping.is_set() or child.dismissed.is_set():
                return
            if loop.time() - started >= HEALTHY_SECONDS:
                child.delay = FIRST_DELAY
            self._output.say(
                child.spec.name, f"{reason}; starting again in {child.delay:g} s", logging.WARNING
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.dismissed.wait(), child.delay)
            child.delay = min(child.delay * 2, LONGEST_DELAY)

    async def _live(self, child: _Child) -> str:
        """Run the process once, from start to end; the reason why it ended, in words."""
        reading, writing = os.pipe()
        try:
            child.process = await self._start(child.spec, writing)
        except OSError as error:
            os.close(reading)
            return f"Cannot be started: {error.strerror or error}"
        finally:
            os.close(writing)
        if self._stopping.is_set() or child.dismissed.is_set():
            child.send(signal.SIGTERM)
        listener = asyncio.create_task(self._listen(child, reading))
        prober = asyncio.create_task(self._probe(child))
        try:
            status = await child.process.wait()
            # What it started may outlive it and hold its port or camera.
            child.send(signal.SIGKILL)
            await asyncio.wait([listener], timeout=1)
        finally:
            child.is_ready.clear()
            listener.cancel()
            prober.cancel()
            await asyncio.gather(listener, prober, return_exceptions=True)
            child.process = None
        if status < 0:
            return f"Ended by {_signal_name(-status)}"
        return f"Ended with exit status {status}"

    async def _start(self, spec: ProcessSpec, output: int) -> asyncio.subprocess.Process:
        env = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            logs.FORMAT_VARIABLE: "supervised",
            # What nobody is to read need not be written.
            "MEERKAT_LOG": logging.getLevelName(self._output.level).lower(),
            lifeline.VARIABLE: str(self._lifeline),
            **spec.env,
        }
        argv = list(spec.argv)
        bind = spec.foreign and sys.platform == "linux"
        if spec.foreign and not bind:
            argv = [sys.executable, "-P", "-m", "meerkat_cli.lifeline", *argv]
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            # Own group: Ctrl-C of the terminal reaches only us, and we end them in order.
            start_new_session=True,
            pass_fds=() if bind else (self._lifeline,),
            preexec_fn=_die_with(os.getpid()) if bind else None,
        )

    async def _listen(self, child: _Child, reading: int) -> None:
        """Pass on lines; carriage returns of progress bars end lines too."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", buffering=0)
        )
        try:
            rest = b""
            while chunk := await reader.read(65536):
                *lines, rest = re.split(rb"[\r\n]+", rest + chunk)
                if len(rest) > LONGEST_LINE:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._pass_on(child, line)
            self._pass_on(child, rest)
        finally:
            transport.close()

    def _pass_on(self, child: _Child, raw: bytes) -> None:
        text = raw[:LONGEST_LINE].decode("utf-8", "replace").rstrip()
        if not text:
            return
        if child.spec.translate:
            if found := child.spec.translate(text):
                self._output.say(child.spec.name, found[1], found[0])
            return
        if match := _LEVEL.match(text):
            child.level = logging.getLevelNamesMapping()[match[1] or match[3].upper()]
            text = match[2] or match[4] or ""
        # A line without a level goes on with the one before: the rest of a traceback.
        self._output.say(child.spec.name, text, child.level)

    async def _probe(self, child: _Child) -> None:
        if child.spec.ready:
            pause = 0.02
            while not await child.spec.ready():
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, 1.0)
        child.is_ready.set()
        if child.spec.announce and not child.announced:
            child.announced = True
            self._output.say("up", child.spec.announce)

    async def _stop_all(self, at_once: asyncio.Event) -> None:
        """SIGTERM by falling order, then SIGKILL.

        Each order may take half of the time that is left: a worker in the middle of a clip needs a
        moment, and the broker, last, hardly any.
        """
        self._stopping.set()
        loop = asyncio.get_running_loop()
        begin = loop.time()
        orders = [
            list(group) for _, group in groupby(reversed(self._children), key=lambda child: child.spec.order)
        ]
        hurry = asyncio.create_task(at_once.wait(), name="hurry")
        try:
            for index, children in enumerate(orders, start=1):
                for child in children:
                    child.send(signal.SIGTERM)
                until = begin + KILL_AFTER * (1 - 0.5**index)
                await self._gone(children, until, hurry)
            await self._gone(self._children, begin + KILL_AFTER, hurry)
        finally:
            hurry.cancel()
        for child in self._children:
            if child.process is not None and child.process.returncode is None:
                self._output.say(child.spec.name, "Does not end; killed", logging.WARNING)
                child.send(signal.SIGKILL)
        await self._gone(self._children, loop.time() + 1, None)

    async def _gone(self, children: Sequence[_Child], until: float, hurry: asyncio.Task[bool] | None) -> None:
        """Until these processes have ended, or `until` has come, or hurry is asked for."""
        loop = asyncio.get_running_loop()
        waits = [asyncio.create_task(child.process.wait()) for child in children if child.process]
        if not waits:
            return
        everything = asyncio.gather(*waits)
        either: list[asyncio.Future[Any]] = [everything, *([hurry] if hurry else [])]
        await asyncio.wait(either, timeout=max(0.0, until - loop.time()), return_when=asyncio.FIRST_COMPLETED)
        everything.cancel()
        await asyncio.gather(everything, return_exceptions=True)


async def _first(*events: asyncio.Event) -> None:
    """Until one of them is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()


def _die_with(parent: int) -> Callable[[], None]:
    """Run between fork and exec: asks Linux to end this process when its parent ends."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
