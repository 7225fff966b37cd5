"""What a newcomer sees: `meerkat up` with nothing given, until Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import httpx
import pytest

from meerkat_contract.connection import find_connection
from meerkat_contract.messages import Event, Outcome
from meerkat_contract.session import Incoming, Session
from support.broker import free_port
from support.processes import quiet_models
from support.usage import kill_all, tree
from support.wait import wait_for


class Up:
    """`meerkat up` as a process of its own, with its own data folder and ports."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.data = folder / "data"
        self.http = f"http://127.0.0.1:{free_port()}"
        self.log = folder / "up.log"
        command = [sys.executable, "-m", "meerkat_cli", "up", "--data", str(self.data), *arguments]
        command += ["--http-port", self.http.rpartition(":")[2], "--mqtt-port", str(free_port())]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env={**os.environ, **quiet_models(folder)},
            )

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def answers(self) -> bool:
        assert self.process.poll() is None, self.text()
        try:
            return httpx.get(f"{self.http}/healthz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        kill_all(reversed(tree(self.process.pid)))
        self.process.wait(10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def up(folder: Path) -> Iterator[Up]:
    house = Up(folder)
    yield house
    if house.process.poll() is None:
        house.kill()


def test_a_newcomer_sees_an_event_with_its_picture_and_clip_and_a_meter(up: Up) -> None:
    wait_for(up.answers, seconds=60, what="the page")
    heard: list[Incoming] = []
    session = Session(find_connection("client", data=up.data), client_id="newcomer")
    session.subscribe("meerkat/#", heard.append)
    session.start()
    try:
        session.wait_connected(10)

        def of(ending: str) -> list[Incoming]:
            return [message for message in heard if message.topic.endswith(ending)]

        wait_for(lambda: of("/event"), seconds=90, what=f"an event\n{up.text()}")
        event = Event.model_validate_json(of("/event")[0].payload)
        assert event.after.label == "person"
        assert event.after.model is not None
        assert event.after.model.fallback, "without a model the built-in detector looks, and says so"
        assert of("/event/picture")[0].payload[:2] == b"\xff\xd8"
        wait_for(lambda: of("/water/picture"), seconds=90, what=f"the meter's picture\n{up.text()}")
        assert of("/water/picture")[0].payload[:2] == b"\xff\xd8"
        wait_for(lambda: of("/outcome"), seconds=30, what="the clip's outcome")
        assert Outcome.model_validate_json(of("/outcome")[0].payload).state == "done"
    finally:
        session.stop()
    _the_api_has_it(up, event)
    _ends_with_ctrl_c(up)


def _the_api_has_it(up: Up, event: Event) -> None:
    with httpx.Client(base_url=up.http, timeout=20) as api:
        shown = api.get(f"/api/events/{event.after.id}").raise_for_status()
        assert json.loads(shown.text)["label"] == "person"
        clip = api.get(f"/api/clips/{event.after.clips[0]}/media").raise_for_status()
        assert clip.headers["content-type"] == "video/mp4"
        with av.open(io.BytesIO(clip.content)) as container:
            assert sum(1 for _ in container.decode(video=0)) > 10
        picture = api.get(f"/api/events/{event.after.id}/picture").raise_for_status()
        assert picture.headers["content-type"] == "image/jpeg"
        devices = {device["device"] for device in api.get("/api/devices").json()}
        assert {"porch", "basement"} <= devices


def _ends_with_ctrl_c(up: Up) -> None:
    pids = tree(up.process.pid)
    assert len(pids) >= 6, "broker, hub, worker, bridge and two devices"
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(15) in (0, 130)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), what="all children to end")


def test_no_child_is_left_when_up_itself_is_killed(up: Up) -> None:
    wait_for(up.answers, seconds=60, what="the page")
    pids = tree(up.process.pid)
    up.process.kill()
    up.process.wait(10)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), what="all children to end")
