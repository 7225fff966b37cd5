"""`meerkat device try`: a first picture of a camera, or why there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from meerkat_devices.glance import glance
from meerkat_devices.settings.address import parse_source
from meerkat_devices.sources.source import SourceError
from support.http_camera import HttpCamera
from support.media import make_clip
from support.rtsp_camera import RtspCamera


def attempt(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "meerkat_cli", "device", "try", *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def camera() -> Iterator[int]:
    with HttpCamera(login="digest").serving() as port:
        yield port


def test_a_network_camera_shows_a_picture(tmp_path: Path) -> None:
    camera = RtspCamera(make_clip(tmp_path / "in.mp4", seconds=3, size=(640, 360)))
    picture = tmp_path / "seen.jpg"
    with camera.serving() as port:
        done = attempt(f"rtsp://joe:secret@127.0.0.1:{port}/live?token=hunter2", "--picture", str(picture))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"rtsp://127.0.0.1:{port}/live: 640×360, 15 frames/s"
    assert cv2.imread(str(picture)).shape == (360, 640, 3)
    assert "secret" not in done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_a_program_asks_over_a_pipe(camera: int, tmp_path: Path) -> None:
    picture = tmp_path / "seen.jpg"
    source = f"http://joe:s%3Acret@127.0.0.1:{camera}/shot\n"
    done = attempt("-", "--json", "--picture", str(picture), given=source)
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["width"], told["height"]) == (320, 180)
    assert told["source"] == f"http://127.0.0.1:{camera}/shot"
    assert picture.read_bytes().startswith(b"\xff\xd8")


def test_what_is_wrong_is_said_in_words_and_as_json(camera: int) -> None:
    source = f"http://joe:wrong@127.0.0.1:{camera}/shot"
    done = attempt(source)
    assert done.returncode == 1
    assert f"error: http://127.0.0.1:{camera}/shot: the camera refuses the user or password" in done.stderr
    assert "wrong" not in done.stderr
    done = attempt("-", "--json", given="no/such.mp4")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "what": "there is no such file",
        "where": "no/such.mp4",
        "remedy": "Check the path",
    }
    assert attempt("rtsp:/joe:s3cret@camera").returncode == 2


def test_a_picture_that_cannot_be_written_is_named(camera: int, tmp_path: Path) -> None:
    source = f"http://joe:s%3Acret@127.0.0.1:{camera}/shot"
    done = attempt(source, "--picture", str(tmp_path / "absent" / "seen.jpg"))
    assert done.returncode == 1
    assert "seen.jpg: cannot be written (No such file or directory)" in done.stderr


def test_a_camera_that_sends_nothing_is_given_up(tmp_path: Path) -> None:
    """It plays, and then is silent before the first picture."""
    camera = RtspCamera(make_clip(tmp_path / "in.mp4", seconds=1))
    camera.play = lambda handler: None  # type: ignore[method-assign]
    with camera.serving() as port, pytest.raises(SourceError) as caught:
        glance(parse_source(f"rtsp://joe:secret@127.0.0.1:{port}/live"), seconds=2)
    assert "secret" not in str(caught.value)
