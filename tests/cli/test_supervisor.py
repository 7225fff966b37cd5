"""The supervisor with small stand-in programs: order, restarts, words, and an end that leaves nobody."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from meerkat_cli import supervisor
from meerkat_cli.supervisor import Output, ProcessSpec, Supervisor
from support.wait import wait_for

LIVE = "import signal, sys; print('INFO lives', flush=True); signal.pause()"
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('INFO lives', flush=True)
while True: signal.pause()
"""
SCRIPTED = """
import pathlib, signal, sys
log, name = pathlib.Path(sys.argv[1]), sys.argv[2]
def note(text):
    with log.open("a") as file: file.write(f"{name} {text}\\n")
def end(*_):
    note("ends"); sys.exit(0)
signal.signal(signal.SIGTERM, end)
note("starts")
while True: signal.pause()
"""


def python(name: str, code: str, *arguments: str, order: int = 0, **more: object) -> ProcessSpec:
    return ProcessSpec(name, (sys.executable, "-c", code, *arguments), order, **more)  # type: ignore[arg-type]


class Run:
    """A supervisor at work, and what it said."""

    def __init__(self, *specs: ProcessSpec) -> None:
        self.stream = io.StringIO()
        self.stop, self.at_once = asyncio.Event(), asyncio.Event()
        self.supervisor = Supervisor(specs, Output(self.stream, colour=False))

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    async def until(self, condition: Callable[[], object], what: str) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.01)
        assert condition(), what

    def pid(self, name: str) -> int:
        child = next(child for child in self.supervisor._children if child.spec.name == name)
        return child.process.pid if child.process else 0


@contextlib.asynccontextmanager
async def running(*specs: ProcessSpec) -> AsyncIterator[Run]:
    run = Run(*specs)
    task = asyncio.create_task(run.supervisor.run(run.stop, at_once=run.at_once))
    try:
        yield run
    finally:
        run.stop.set()
        async with asyncio.timeout(10):
            await task


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie still has its number.
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it has just ended, or there is no /proc here
        return not Path("/proc/self").exists()
    return stat.rpartition(")")[2].split()[0] != "Z"


def go(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def test_lower_orders_start_first_and_end_last(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()

    def spec(name: str, order: int) -> ProcessSpec:
        async def ready() -> bool:
            return f"{name} starts" in log.read_text()

        return python(name, SCRIPTED, str(log), name, order=order, ready=ready, gate=True)

    async def scenario() -> None:
        async with running(spec("camera", 2), spec("broker", 0), spec("hub", 1)) as run:
            await run.until(lambda: "camera starts" in log.read_text(), "all have started")

    go(scenario)
    assert log.read_text().splitlines() == [
        "broker starts",
        "hub starts",
        "camera starts",
        "camera ends",
        "hub ends",
        "broker ends",
    ]


def test_what_dies_is_started_again_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.01)

    async def scenario() -> None:
        async with running(python("hub", LIVE), python("camera", LIVE)) as run:
            await run.until(lambda: run.text.count("lives") == 2, "both live")
            hub, camera = run.pid("hub"), run.pid("camera")
            os.kill(hub, signal.SIGKILL)
            await run.until(lambda: run.text.count("hub: lives") == 2, "the hub lives again")
            assert run.pid("hub") != hub
            assert run.pid("camera") == camera
            assert "WARNING hub: Ended by SIGKILL; starting again in 0.01 s" in run.text

    go(scenario)


def test_the_delay_doubles_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(supervisor, "LONGEST_DELAY", 0.03)

    async def scenario() -> None:
        async with running(python("hub", "raise SystemExit(3)")) as run:
            await run.until(lambda: run.text.count("Ended with exit status 3") >= 4, "four ends")
            delays = [line.rpartition(" in ")[2] for line in run.text.splitlines()][:4]
            assert delays == ["0.01 s", "0.02 s", "0.03 s", "0.03 s"]

    go(scenario)


def test_a_long_life_resets_the_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(supervisor, "HEALTHY_SECONDS", 0.0)

    async def scenario() -> None:
        async with running(python("hub", "raise SystemExit(3)")) as run:
            await run.until(lambda: run.text.count("in 0.01 s") >= 3, "three ends, each with the first delay")

    go(scenario)


def test_nothing_is_started_while_what_it_needs_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub dies while the broker is down: it comes back only when the broker accepts again."""
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.01)
    open_now = True

    async def accepts() -> bool:
        return open_now

    async def scenario() -> None:
        nonlocal open_now
        broker = python("broker", LIVE, ready=accepts, gate=True)
        async with running(broker, python("hub", LIVE, order=1)) as run:
            await run.until(lambda: "broker: lives" in run.text and "hub: lives" in run.text, "both live")
            open_now = False
            os.kill(run.pid("broker"), signal.SIGKILL)
            await run.until(lambda: run.text.count("broker: lives") == 2, "the broker is back, not yet open")
            os.kill(run.pid("hub"), signal.SIGKILL)
            await run.until(lambda: "hub: Ended by SIGKILL" in run.text, "the hub has died")
            await run.until(lambda: run.pid("hub") == 0, "no hub")
            assert run.text.count("hub: lives") == 1
            open_now = True
            await run.until(lambda: run.text.count("hub: lives") == 2, "the hub is back")

    go(scenario)


def test_lines_pass_with_their_name_and_level() -> None:
    code = (
        "import sys; print('WARNING it rains'); print('  and pours'); print('INFO dry'); "
        "print('error: wrong port'); print('half\\rfull'); sys.stdout.buffer.write(b'\\xff!\\n');"
        "print('x' * 20000); sys.stdout.flush(); import signal; signal.pause()"
    )

    async def scenario() -> None:
        async with running(python("hub", code)) as run:
            await run.until(lambda: "xxx" in run.text, "all lines")
            said = [line[9:] for line in run.text.splitlines()]
            assert said[:7] == [
                "WARNING hub: it rains",
                "WARNING hub:   and pours",
                "INFO hub: dry",
                "ERROR hub: wrong port",
                "ERROR hub: half",
                "ERROR hub: full",
                "ERROR hub: �!",
            ]
            assert len(said[7]) <= supervisor.LONGEST_LINE + 20

    go(scenario)


def test_a_foreign_program_speaks_through_its_translator() -> None:
    def translate(line: str) -> tuple[int, str] | None:
        return (40, "in words") if line == "E42" else None

    async def scenario() -> None:
        code = "print('chatter'); print('E42', flush=True); import signal; signal.pause()"
        async with running(python("broker", code, translate=translate)) as run:
            await run.until(lambda: "ERROR broker: in words" in run.text, "the words")
            assert "chatter" not in run.text

    go(scenario)


def test_readiness_is_announced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 0.01)

    async def ready() -> bool:
        return True

    async def scenario() -> None:
        async with running(python("hub", LIVE, ready=ready, announce="Open http://house")) as run:
            await run.until(lambda: "lives" in run.text, "it lives")
            os.kill(run.pid("hub"), signal.SIGKILL)
            await run.until(lambda: run.text.count("lives") == 2, "it lives again")
            assert run.text.count("up: Open http://house") == 1

    go(scenario)


def test_a_missing_program_is_named() -> None:
    async def scenario() -> None:
        async with running(ProcessSpec("broker", ("/no/such/program",), 0)) as run:
            await run.until(lambda: "Cannot be started: No such file or directory" in run.text, "the reason")

    go(scenario)


def test_the_stubborn_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "KILL_AFTER", 0.1)
    pids: list[int] = []

    async def scenario() -> None:
        async with running(python("camera", STUBBORN)) as run:
            await run.until(lambda: "lives" in run.text, "it lives")
            pids.append(run.pid("camera"))
            run.stop.set()
            await run.until(lambda: "Does not end; killed" in run.text, "said so")

    go(scenario)
    assert not alive(pids[0])


def test_a_second_wish_to_stop_does_not_wait() -> None:
    async def scenario() -> None:
        async with running(python("camera", STUBBORN)) as run:
            await run.until(lambda: "lives" in run.text, "it lives")
            pid = run.pid("camera")
            run.stop.set()
            run.at_once.set()
            await run.until(lambda: not alive(pid), "it is gone")

    go(scenario)


def test_what_a_child_started_goes_with_it(tmp_path: Path) -> None:
    """A camera's own helper must not keep the device file open after the camera has died."""
    code = (
        "import subprocess, sys, signal; p = subprocess.Popen([sys.executable, '-c', "
        "'import signal; signal.pause()']); print(f'INFO helper {p.pid}', flush=True); signal.pause()"
    )

    async def scenario() -> None:
        async with running(python("camera", code)) as run:
            await run.until(lambda: "helper" in run.text, "it lives")
            helper = int(run.text.split("helper ")[1].split()[0])
            os.kill(run.pid("camera"), signal.SIGKILL)
            await run.until(lambda: not alive(helper), "the helper is gone")

    go(scenario)


def test_the_journal_gets_levels_and_no_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    stream = io.StringIO()
    Output(stream).say("hub", "it rains", 30)
    assert stream.getvalue() == "<4>hub: it rains\n"


def test_a_quiet_output_says_only_what_is_wrong() -> None:
    stream = io.StringIO()
    output = Output(stream, level=30, colour=False)
    output.say("hub", "all is well")
    output.say("hub", "it rains", 30)
    assert stream.getvalue()[9:] == "WARNING hub: it rains\n"


KILLED_PARENT = """
import asyncio, sys
from meerkat_cli.supervisor import Output, ProcessSpec, Supervisor
foreign = "import os, signal; print('INFO pid', os.getpid(), flush=True); signal.pause()"
child = "from meerkat_cli import lifeline; lifeline.hold(); " + foreign
platform = sys.argv[1]
sys.platform = platform
specs = [ProcessSpec("ours", (sys.executable, "-c", child), 0),
         ProcessSpec("foreign", (sys.executable, "-c", foreign), 0, foreign=True)]
asyncio.run(Supervisor(specs, Output(sys.stdout)).run(asyncio.Event()))
"""


@pytest.mark.parametrize("platform", ["linux", "elsewhere"])
def test_no_child_outlives_a_supervisor_that_is_killed(platform: str) -> None:
    """Even with SIGKILL; `elsewhere` stands for systems whose kernel does not bind children to us."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_PARENT, platform], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        pids = [int(parent.stdout.readline().rpartition(" ")[2]) for _ in range(2)]
        assert all(alive(pid) for pid in pids)
        parent.kill()
        for pid in pids:
            wait_for(lambda pid=pid: not alive(pid), what=f"process {pid} has ended")  # type: ignore[misc]


def test_one_is_begun_and_ended_while_the_others_stay() -> None:
    async def scenario() -> None:
        async with running(python("hub", LIVE)) as run:
            await run.until(lambda: "hub: lives" in run.text, "the hub lives")
            hub = run.pid("hub")
            for time in (1, 2):
                run.supervisor.begin(python("camera", LIVE, order=1))
                await run.until(lambda n=time: run.text.count("camera: lives") == n, "the camera lives")
                camera = run.pid("camera")
                await run.supervisor.dismiss("camera")
                assert not alive(camera)
            await run.supervisor.dismiss("nobody")
            assert run.pid("hub") == hub
            assert "starting again" not in run.text
        run.supervisor.begin(python("camera", LIVE))
        assert len(run.supervisor._children) == 1, "nothing begins when all has ended"

    go(scenario)


def test_one_that_keeps_dying_is_ended_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_DELAY", 3600.0)

    async def scenario() -> None:
        async with running(python("hub", LIVE), python("camera", "raise SystemExit(3)")) as run:
            await run.until(lambda: "starting again in 3600 s" in run.text, "it has died")
            async with asyncio.timeout(10):
                await run.supervisor.dismiss("camera")

    go(scenario)


def test_one_that_waits_for_the_broker_is_ended_too() -> None:
    async def closed() -> bool:
        return False

    async def scenario() -> None:
        broker = python("broker", LIVE, ready=closed, gate=True)
        async with running(broker, python("camera", LIVE, order=1)) as run:
            await run.until(lambda: "broker: lives" in run.text, "the broker lives")
            async with asyncio.timeout(10):
                await run.supervisor.dismiss("camera")
            assert "camera: lives" not in run.text

    go(scenario)


def test_one_that_will_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "KILL_AFTER", 0.1)

    async def scenario() -> None:
        async with running(python("hub", LIVE), python("camera", STUBBORN)) as run:
            await run.until(lambda: "camera: lives" in run.text, "it lives")
            camera = run.pid("camera")
            await run.supervisor.dismiss("camera")
            assert not alive(camera)

    go(scenario)
