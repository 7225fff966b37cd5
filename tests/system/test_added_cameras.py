"""Somebody adds a camera on the page of a fresh `meerkat up`, and it stays, whatever is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.broker import free_port
from support.http_camera import HttpCamera
from support.processes import quiet_models
from support.usage import kill_all, tree
from support.wait import wait_for


class Up:
    """`meerkat up` in one data folder, started again and again; its log goes on."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.log = folder / "up.log"
        self._folder = folder
        self._http, self._mqtt = str(free_port()), str(free_port())
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self._http}/api", timeout=30)
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "meerkat_cli", "up", "--data", str(self.data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--http-port", self._http, "--mqtt-port", self._mqtt],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
                env={**os.environ, **quiet_models(self._folder)},
            )
        wait_for(lambda: self.devices() is not None, seconds=60, what="the page")

    def devices(self) -> dict[str, dict[str, Any]] | None:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return {one["device"]: one for one in self.api.get("/devices").raise_for_status().json()}
        except httpx.HTTPError:
            return None

    def shows(self, *names: str) -> None:
        """These devices, and no others, with pictures of all cameras."""

        def there() -> bool:
            found = self.devices() or {}
            cameras = [camera for one in found.values() for camera in one["cameras"]]
            online = all(one["availability"] == "online" for one in found.values())
            return set(found) == set(names) and online and all(camera["picture_at"] for camera in cameras)

        wait_for(there, seconds=60, what=f"{names} and nothing else\n{self.log.read_text()}")

    def pid_of(self, *words: str) -> int:
        """The child whose command has these words; 0 when there is none."""
        for pid in tree(self.process.pid):
            with contextlib.suppress(OSError):  # it has just ended
                arguments = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                if all(word in arguments for word in words):
                    return pid
        return 0

    def kill(self) -> None:
        """A power cut."""
        kill_all(tree(self.process.pid))
        self.process.wait(10)

    def end(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self.api.close()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    made = Up(tmp_path)
    yield made
    made.end()


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
def test_a_camera_is_added_without_a_file_and_without_a_restart(up: Up) -> None:
    with HttpCamera(login="basic").serving() as port:
        up.shows("porch", "basement")
        assert not up.pid_of("device", "home"), "no process runs for no camera"
        source = f"http://joe:s%3Acret@127.0.0.1:{port}/shot?token=s%3Acret"
        tried = up.api.post("/cameras/try", json={"source": source})
        assert tried.headers["content-type"] == "image/jpeg"
        before = up.pid_of("hub")
        assert up.api.put("/cameras/yard", json={"source": source, "label": "Yard"}).status_code == 204
        up.shows("home")
        assert up.pid_of("hub") == before
        assert not up.pid_of("device", "porch"), "the demo is over"
        (camera,) = up.devices()["home"]["cameras"]  # type: ignore[index]
        assert (camera["name"], camera["label"], camera["width"]) == ("yard", "Yard", 320)
        assert stat.S_IMODE((up.data / "cameras.yaml").stat().st_mode) == 0o600

        os.kill(up.pid_of("hub"), signal.SIGKILL)
        wait_for(lambda: up.devices() is not None and up.pid_of("hub") not in (0, before), seconds=60)
        up.shows("home")
        up.kill()
        up.start()
        up.shows("home")
        assert [one["name"] for one in up.api.get("/cameras").json()["cameras"]] == ["yard"]

        device = up.pid_of("device", "home")
        assert up.api.put("/cameras/door", json={"source": source}).status_code == 204
        wait_for(lambda: len((up.devices() or {}).get("home", {}).get("cameras", ())) == 2, seconds=60)
        up.shows("home")
        assert up.pid_of("device", "home") != device
        for name in ("yard", "door"):
            headers = {"Content-Type": "application/json"}
            assert up.api.delete(f"/cameras/{name}", headers=headers).status_code == 204
        up.shows()
        assert not up.pid_of("device", "home")
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(15) == 0
    assert "s%3Acret" not in up.log.read_text()
    assert "s:cret" not in up.log.read_text()
