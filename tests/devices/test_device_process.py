"""The whole `meerkat device` as a process, against a real broker and a stand-in for the hub."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import groupby, pairwise
from pathlib import Path

import av
import pytest

from meerkat_contract.messages import DeviceInfo, ErrorReport, read
from meerkat_contract.session import Incoming, Session
from support.broker import Mosquitto
from support.media import make_clip
from support.stand_in_hub import StandInHub, Taken
from support.wait import wait_for

MAIN = "from meerkat_devices.command import device; device()"

BUSY = """
import cv2, numpy
from meerkat_devices.sources import opening, rendered
from meerkat_devices.command import device

def endless(*_):
    picture = numpy.zeros((1500, 1500, 3), numpy.uint8)
    print("in OpenCV", flush=True)
    while True:
        cv2.GaussianBlur(picture, (31, 31), 0)

"""
"""Something that never ends: its thread works in C++ when the device is to end."""


@contextmanager
def running(*arguments: str | Path, log: Path, main: str = MAIN) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", main, *map(str, arguments)],
            stdout=file,
            stderr=file,
            env={**os.environ, "MEERKAT_CONFIG": ""},
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


@pytest.fixture
def hub(broker: Mosquitto) -> Iterator[StandInHub]:
    stand_in = StandInHub(broker.connection)
    stand_in.start()
    try:
        yield stand_in
    finally:
        stand_in.stop()


def footage(path: Path, *, seconds: float = 40) -> Path:
    """Two stretches of motion with a still half a minute between."""
    return make_clip(path, seconds=seconds, moving=lambda at: 6 <= at < 14 or 28 <= at < 33)


def words(hub: StandInHub) -> list[bytes]:
    return hub.states.get("meerkat/device/pi/availability", [])


def said_goodbye(hub: StandInHub) -> None:
    """The last word comes a moment after the process has ended."""
    wait_for(lambda: words(hub)[-1:] == [b"offline"], what="its goodbye")


def assert_whole(taken: Taken) -> None:
    """The payload is a playable MP4 of the length that its metadata says."""
    assert taken.content_type == "video/mp4"
    with av.open(BytesIO(taken.payload)) as container:
        frames = sum(1 for _ in container.decode(video=0))
        assert container.duration is not None
        assert taken.metadata.duration == pytest.approx(container.duration / 1e6, abs=0.1)
    assert frames == pytest.approx((taken.metadata.duration or 0) * 15, abs=1.01)


def assert_complete(clips: list[Taken]) -> None:
    """Recordings are numbered without a hole, closed, and their clips follow one another in time."""
    recordings: dict[str | None, list[Taken]] = {}
    for clip in clips:
        recordings.setdefault(clip.metadata.recording, []).append(clip)
    for parts in recordings.values():
        assert [part.metadata.sequence for part in parts] == list(range(len(parts)))
        assert [part.metadata.last for part in parts] == [False] * (len(parts) - 1) + [True]
        for before, after in pairwise(parts):
            gap = (after.metadata.captured_at - before.metadata.captured_at).total_seconds()
            assert gap == pytest.approx(before.metadata.duration or 0, abs=0.01)


def test_a_replay_is_handed_over_whole(broker: Mosquitto, hub: StandInHub, tmp_path: Path) -> None:
    video = footage(tmp_path / "in.mp4")
    log = tmp_path / "log"
    arguments = ["--name", "pi", "--camera", f"porch={video}", "--fast", "--data", tmp_path / "data"]
    with running(*arguments, "--broker", broker.connection.url, log=log) as process:
        assert process.wait(60) == 0, log.read_text()
    clips = hub.clips()
    assert_complete(clips)
    assert len({clip.metadata.recording for clip in clips}) == 2
    for clip in clips:
        assert_whole(clip)
        assert clip.metadata.trigger == "motion"
        assert str(clip.topic) == "meerkat/device/pi/porch/clip"
    states = hub.states
    said_goodbye(hub)
    motion = states["meerkat/device/pi/porch/motion"]
    assert motion[0] == b"OFF"
    assert motion[-1] == b"OFF"
    assert b"ON" in motion
    # What comes while the connection is made may be told twice.
    assert [word for word, _ in groupby(words(hub))] == [b"online", b"offline"]
    assert states["meerkat/device/pi/porch/picture"][0][:2] == b"\xff\xd8"
    info = read(DeviceInfo, states["meerkat/device/pi/info"][-1])
    (camera,) = info.cameras
    assert (camera.name, camera.width, camera.height, camera.fps) == ("porch", 320, 180, 15)
    assert camera.source == "file"
    outbox = tmp_path / "data/devices/pi/outbox"
    assert not list(outbox.glob("*.bin"))
    assert not list(outbox.glob("*.part"))


def test_without_a_broker_it_records_and_hands_over_later(broker: Mosquitto, tmp_path: Path) -> None:
    broker.stop()
    video = footage(tmp_path / "in.mp4")
    log = tmp_path / "log"
    arguments = ["--name", "pi", "--camera", f"porch={video}", "--fast", "--data", tmp_path / "data"]
    outbox = tmp_path / "data/devices/pi/outbox"
    with running(*arguments, "--broker", broker.connection.url, log=log) as process:
        wait_for(lambda: b"has ended" in log.read_bytes(), what="the end of the file")
        wait_for(lambda: not list(outbox.glob("*.part")), what="the disk to have the last clip")
        waiting = {path.stem for path in outbox.glob("*.bin")}
        assert len(waiting) >= 4
        process.kill()
        process.wait(10)
    broker.start()
    hub = StandInHub(broker.connection)
    hub.start()
    try:
        still = make_clip(tmp_path / "still.mp4", seconds=1, moving=False)
        arguments[3] = f"porch={still}"
        with running(*arguments, "--broker", broker.connection.url, log=log) as process:
            assert process.wait(60) == 0, log.read_text()
        assert {clip.metadata.id for clip in hub.clips()} == waiting
        assert_complete(hub.clips())
    finally:
        hub.stop()


def test_a_restart_of_the_broker_loses_nothing(broker: Mosquitto, hub: StandInHub, tmp_path: Path) -> None:
    video = footage(tmp_path / "in.mp4")
    log = tmp_path / "log"
    kills = []

    def answer(taken: Taken) -> str | None:
        if not kills:
            kills.append(taken.metadata.id)
            broker.kill()
            broker.start()
            return None
        return "duplicate" if taken.metadata.id in hub.taken else "stored"

    hub._answer = answer  # type: ignore[assignment]
    arguments = ["--name", "pi", "--camera", f"porch={video}", "--fast", "--data", tmp_path / "data"]
    with running(*arguments, "--broker", broker.connection.url, log=log) as process:
        assert process.wait(90) == 0, log.read_text()
    assert kills
    assert_complete(hub.clips())
    assert len({clip.metadata.recording for clip in hub.clips()}) == 2


def test_a_refused_clip_is_kept_aside(broker: Mosquitto, hub: StandInHub, tmp_path: Path) -> None:
    video = footage(tmp_path / "in.mp4", seconds=20)
    hub._answer = lambda taken: "refused" if taken.metadata.sequence == 0 else "stored"
    arguments = ["--name", "pi", "--camera", f"porch={video}", "--fast", "--data", tmp_path / "data"]
    log = tmp_path / "log"
    with running(*arguments, "--broker", broker.connection.url, log=log) as process:
        assert process.wait(60) == 0, log.read_text()
    refused = tmp_path / "data/devices/pi/outbox/refused"
    (note,) = refused.glob("*.json")
    assert '"reason": "no reason"' in note.read_text()
    assert (refused / note.stem).stat().st_size > 1000
    assert sum(taken.metadata.id == note.stem for taken in hub.arrivals) == 1, "not sent again"
    wait_for(lambda: hub.states.get("meerkat/device/pi/error"), what="the report")
    errors = [read(ErrorReport, payload) for payload in hub.states["meerkat/device/pi/error"]]
    assert any("refused" in error.what for error in errors)


def test_a_stop_saves_the_open_recording(broker: Mosquitto, hub: StandInHub, tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=60)
    log = tmp_path / "log"
    arguments = ["--name", "pi", "--camera", f"porch={video}", "--data", tmp_path / "data"]
    with running(*arguments, "--broker", broker.connection.url, log=log) as process:
        wait_for(lambda: b"ON" in hub.states.get("meerkat/device/pi/porch/motion", []), what="motion")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0, log.read_text()
    files = list((tmp_path / "data/devices/pi/outbox").glob("*.bin"))
    stored = hub.clips()
    assert len(files) + len(stored) >= 1
    said_goodbye(hub)


def test_a_camera_that_never_answers_does_not_hold_up_the_end(
    broker: Mosquitto, hub: StandInHub, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"rtsp://joe:secret@127.0.0.1:{silent.getsockname()[1]}/live"
        arguments = ["--name", "pi", "--camera", f"porch={url}", "--data", tmp_path / "data"]
        with running(*arguments, "--broker", broker.connection.url, log=log) as process:
            silent.settimeout(30)
            with silent.accept()[0] as call:
                assert call.recv(10).startswith(b"OPTIONS")
                wait_for(lambda: words(hub)[-1:] == [b"online"], what="its connection to the broker")
                process.send_signal(signal.SIGTERM)
                assert process.wait(8) == 0, log.read_text()
    said_goodbye(hub)
    assert "secret" not in log.read_text()


def test_one_broken_camera_does_not_stop_the_other(
    broker: Mosquitto, hub: StandInHub, tmp_path: Path
) -> None:
    video = footage(tmp_path / "in.mp4", seconds=20)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no video" * 100)
    log = tmp_path / "log"
    cameras = ["--camera", f"porch={video}", "--camera", f"yard={broken}"]
    arguments = ["--name", "pi", *cameras, "--fast", "--data", tmp_path / "data"]
    with running(*arguments, "--broker", broker.connection.url, log=log) as process:
        assert process.wait(60) == 1, log.read_text()
    assert_complete(hub.clips())
    assert hub.clips()
    wait_for(lambda: hub.states.get("meerkat/device/pi/error"), what="the report")
    errors = [read(ErrorReport, payload) for payload in hub.states["meerkat/device/pi/error"]]
    assert any("not a video" in error.what and "broken.mp4" in error.where for error in errors)


@pytest.mark.parametrize(
    ("place", "left_behind"), [("opening.open_scene", False), ("rendered.RenderedSource.samples", True)]
)
def test_a_thread_inside_a_library_does_not_abort_the_end(
    tmp_path: Path, place: str, *, left_behind: bool
) -> None:
    """An opening is not waited for, since nothing is recorded yet; a camera at work is, for some seconds."""
    log = tmp_path / "log"
    arguments = ["--name", "pi", "--camera", "porch=scene:porch", "--data", tmp_path / "data"]
    main = f"{BUSY}\n{place} = endless\ndevice()"
    with running(*arguments, "--broker", "mqtt://127.0.0.1:9", log=log, main=main) as process:
        wait_for(lambda: b"in OpenCV" in log.read_bytes(), what="the scene is at work")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0, log.read_text()
    assert ("camera porch does not end" in log.read_text()) == left_behind
    assert "terminate" not in log.read_text()


def test_a_missing_source_does_not_stop_the_other(broker: Mosquitto, hub: StandInHub, tmp_path: Path) -> None:
    video = footage(tmp_path / "in.mp4", seconds=20)
    log = tmp_path / "log"
    things = ["--camera", "yard=97", "--camera", f"porch={video}", "--meter", "water=gone.mp4"]
    arguments = ["--name", "pi", *things, "--fast", "--data", tmp_path / "data"]
    with running(*arguments, "--broker", broker.connection.url, log=log) as process:
        wait_for(lambda: b"in.mp4 has ended" in log.read_bytes(), what="the end of the file")
        wait_for(lambda: len(set(hub.states.get("meerkat/device/pi/error", []))) == 2, what="the reports")
        assert process.poll() is None, "a USB camera may be plugged in yet"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 1, log.read_text()
    assert_complete(hub.clips())
    assert hub.clips()


def test_kill_9_at_any_instant_loses_no_clip(broker: Mosquitto, hub: StandInHub, tmp_path: Path) -> None:
    """Every clip that was said to be saved arrives, however often the process dies."""
    video = make_clip(tmp_path / "in.mp4", seconds=60, moving=lambda at: at % 20 > 8)
    log = tmp_path / "log"
    base = ["--name", "pi", "--fast", "--data", tmp_path / "data", "--broker", broker.connection.url]
    chance = random.Random(4)
    for _ in range(4):
        with running(*base, "--camera", f"porch={video}", log=log) as process:
            end = saved(log) + chance.randint(1, 8)
            while process.poll() is None and saved(log) < end:
                time.sleep(0.01)
    still = make_clip(tmp_path / "still.mp4", seconds=1, moving=False)
    with running(*base, "--camera", f"porch={still}", log=log) as process:
        assert process.wait(60) == 0, log.read_text()
    assert len(hub.clips()) >= saved(log)
    for clip in hub.clips():
        assert_whole(clip)
    outbox = tmp_path / "data/devices/pi/outbox"
    assert not list(outbox.glob("*.bin"))
    assert not list(outbox.glob("*.part"))


def saved(log: Path) -> int:
    """How many clips the device's log says were put into the outbox."""
    return log.read_text().count(" of a recording, ") if log.exists() else 0


def test_a_meter_hands_over_its_picture_retained(broker: Mosquitto, hub: StandInHub, tmp_path: Path) -> None:
    face = make_clip(tmp_path / "meter.mp4", seconds=1, moving=False)
    log = tmp_path / "log"
    arguments = ["--name", "pi", "--meter", f"water={face}", "--fast", "--data", tmp_path / "data"]
    with running(*arguments, "--broker", broker.connection.url, log=log) as process:
        assert process.wait(60) == 0, log.read_text()
    (taken,) = hub.taken.values()
    assert str(taken.topic) == "meerkat/device/pi/water/picture"
    assert taken.metadata.trigger == "start"
    assert taken.content_type == "image/jpeg"
    retained: list[Incoming] = []
    late = Session(broker.connection, client_id="late")
    late.subscribe("meerkat/device/pi/water/picture", retained.append)
    late.start()
    wait_for(lambda: retained, what="the retained picture")
    late.stop()
    assert retained[0].retain
    assert retained[0].payload == taken.payload
    assert retained[0].metadata().id == taken.metadata.id
