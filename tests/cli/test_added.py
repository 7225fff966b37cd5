"""The device of the cameras that were added on the page follows their file."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from meerkat_cli import added
from meerkat_cli.supervisor import Output, ProcessSpec, Supervisor
from meerkat_contract.added_cameras import AddedCameras, cameras_file, read_cameras, write_cameras
from meerkat_contract.errors import UsageError

YARD = {"yard": {"source": "rtsp://10.0.0.5/1", "label": "Yard"}}
LIVE = "import signal, sys; print('INFO lives', *sys.argv[1:], flush=True); signal.pause()"


def test_their_device_is_called_home_unless_somebody_else_is(tmp_path: Path) -> None:
    assert added.prepare(tmp_path, ("porch",)).device == "home"
    assert added.prepare(tmp_path, ("porch", "home", "home-2")).device == "home-3"
    assert read_cameras(cameras_file(tmp_path)).device == "home-3"
    assert added.prepare(tmp_path, ("porch",)).device == "home-3", "it keeps its name"


def test_a_device_of_the_configuration_cannot_take_its_name(tmp_path: Path) -> None:
    write_cameras(cameras_file(tmp_path), AddedCameras("home", YARD))
    assert added.prepare(tmp_path, ("porch",)).cameras == YARD
    with pytest.raises(UsageError, match="the configuration has a device 'home'"):
        added.prepare(tmp_path, ("home",))


def test_a_file_that_cannot_be_read_stays_and_the_rest_of_the_house_runs(tmp_path: Path) -> None:
    file = cameras_file(tmp_path)
    assert added.is_readable(tmp_path), "none at all is none"
    file.write_text("devices: [")
    assert added.prepare(tmp_path, ("porch", "home")) == AddedCameras("home-2")
    assert file.read_text() == "devices: ["
    assert not added.is_readable(tmp_path)


class Run:
    def __init__(self, file: Path, demo: tuple[str, ...]) -> None:
        self.file = file
        self.stream = io.StringIO()
        output = Output(self.stream, colour=False)
        self.supervisor = Supervisor([self.spec(name) for name in demo], output)
        self.following = added.follow(file, self.supervisor, output, self.spec("home"), demo=demo)

    @staticmethod
    def spec(name: str) -> ProcessSpec:
        return ProcessSpec(name, (sys.executable, "-c", LIVE), 0)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def runs(self) -> set[str]:
        return {child.spec.name for child in self.supervisor._children if child.process}

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(file: Path, *demo: str) -> AsyncIterator[Run]:
    run, stop = Run(file, demo), asyncio.Event()
    follower = asyncio.create_task(run.following)
    task = asyncio.create_task(run.supervisor.run(stop))
    try:
        yield run
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await task
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)


def test_it_starts_with_the_first_camera_and_ends_with_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(added, "LOOK_SECONDS", 0.02)
    file = tmp_path / "cameras.yaml"
    write_cameras(file, AddedCameras())

    async def scenario() -> None:
        async with running(file, "porch", "basement") as run:
            await run.until(lambda: run.text.count("lives") == 2)
            assert run.runs() == {"porch", "basement"}, "no process runs for no camera"
            write_cameras(file, AddedCameras("home", YARD))
            await run.until(lambda: "home: lives" in run.text)
            assert run.runs() == {"home"}
            assert "porch and basement are drawn no longer" in run.text
            write_cameras(file, AddedCameras("home", {**YARD, "door": {"source": "0"}}))
            await run.until(lambda: run.text.count("home: lives") == 2)
            write_cameras(file, AddedCameras("home", {**YARD, "door": {"source": "0"}}))
            file.write_text("devices: [")
            await run.until(lambda: "cannot be read" in run.text)
            assert run.runs() == {"home"}, "what runs goes on"
            assert run.text.count("home: lives") == 2
            write_cameras(file, AddedCameras())
            await run.until(lambda: not run.runs())
            write_cameras(file, AddedCameras("home", YARD))
            await run.until(lambda: run.text.count("home: lives") == 3)

    asyncio.run(scenario())


def test_what_the_device_cannot_run_with_is_said_and_what_runs_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(added, "LOOK_SECONDS", 0.02)
    file = tmp_path / "cameras.yaml"
    wrong = {**YARD["yard"], "sensitivty": 0.5, "source": "rtsp://joe:s3cret@10.0.0.5/1"}
    write_cameras(file, AddedCameras("home", {"yard": wrong}))
    (clip,) = lies_unsent(tmp_path, "a.bin")

    async def scenario() -> None:
        async with running(file) as run:
            await run.until(lambda: f"ERROR up: {file}:5:" in run.text and "sensitivty" in run.text)
            file.write_text("devices: [")
            await run.until(lambda: "cannot be read" in run.text)
            assert "Its last camera is gone" not in run.text, "nobody knows that"
            clip.unlink()
            write_cameras(file, AddedCameras("home", YARD))
            await run.until(lambda: run.text.count("home: lives") == 1)
            write_cameras(file, AddedCameras("home", {"yard": wrong}))
            await run.until(lambda: run.text.count("sensitivty") == 2)
            write_cameras(file, AddedCameras("house", YARD))
            await run.until(lambda: "hang on device 'home' here, and not on 'house'" in run.text)
            assert run.runs() == {"home"}
            assert run.text.count("home: lives") == 1
            assert "s3cret" not in run.text

    asyncio.run(scenario())


def lies_unsent(data: Path, *names: str) -> list[Path]:
    outbox = data / "devices" / "home" / "outbox"
    outbox.mkdir(parents=True, exist_ok=True)
    files = [outbox / name for name in names]
    for file in files:
        file.touch()
    return files


def test_it_goes_on_without_cameras_until_its_outbox_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(added, "LOOK_SECONDS", 0.02)
    file = tmp_path / "cameras.yaml"
    write_cameras(file, AddedCameras("home", YARD))
    lies_unsent(tmp_path, "meerkat.db")

    async def scenario() -> None:
        async with running(file) as run:
            await run.until(lambda: run.text.count("home: lives") == 1)
            clip, part = lies_unsent(tmp_path, "a.bin", "b.part")
            write_cameras(file, AddedCameras())
            await run.until(lambda: run.text.count("home: lives --hand-over") == 1)
            assert "home: Its last camera is gone; 2 recordings lie in its outbox" in run.text
            clip.unlink()
            write_cameras(file, AddedCameras("home", YARD))
            await run.until(lambda: run.text.count("home: lives") == 3)
            assert run.text.count("--hand-over") == 1, "there is a camera again"
            write_cameras(file, AddedCameras())
            await run.until(lambda: run.text.count("home: lives --hand-over") == 2)
            assert "one recording lies in its outbox" in run.text
            part.unlink()
            await run.until(lambda: not run.runs())
            await run.until(lambda: "The hub has all that it had recorded" in run.text)

    asyncio.run(scenario())


def test_what_the_hub_never_takes_is_named_and_tried_again_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(added, "LOOK_SECONDS", 0.02)
    file = tmp_path / "cameras.yaml"
    write_cameras(file, AddedCameras())
    (clip,) = lies_unsent(tmp_path, "a.bin")

    async def scenario() -> None:
        with pytest.MonkeyPatch.context() as hurry:
            hurry.setattr(added, "HAND_OVER_SECONDS", 0.0)
            async with running(file) as run:
                await run.until(lambda: "and the hub does not take them" in run.text)
                assert f"WARNING home: one recording lies in {clip.parent}" in run.text
                assert not run.runs()
                write_cameras(file, AddedCameras("home", YARD))
                await run.until(lambda: "home: lives\n" in run.text)
                assert run.text.count("Its last camera is gone") == 1, "once in a run is enough"
        async with running(file) as run:
            write_cameras(file, AddedCameras())
            await run.until(lambda: "lives --hand-over" in run.text)

    asyncio.run(scenario())
