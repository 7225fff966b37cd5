"""A whole camera on the ribbon cable: settings in, motion seen, a clip in the outbox."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from meerkat_devices.camera import Camera
from meerkat_devices.clock import SystemClock
from meerkat_devices.outbox.outbox import Outbox
from meerkat_devices.settings.device import CameraSettings
from meerkat_devices.sources.picamera import board
from support.frames import Station
from support.libcamera_stub import SensorStub
from support.media import background, square_at
from support.wait import wait_for

pytestmark = pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning")

FPS = 15
MOVES = range(8 * FPS, 11 * FPS)


def scene(number: int, width: int, height: int) -> Any:
    empty = background((width, height))
    picture = square_at(empty, (number - MOVES.start) / FPS / 4) if number in MOVES else empty
    return np.ascontiguousarray(picture[:, :, 0])


def test_motion_before_a_ribbon_camera_becomes_a_clip(
    connect: Callable[..., list[SensorStub]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (sensor,) = connect(SensorStub("imx219", paint=scene))
    outbox = Outbox(tmp_path / "outbox", max_bytes=100_000_000, refused_bytes=0)
    station = Station()
    camera = Camera(
        "yard",
        CameraSettings.model_validate(
            {
                "source": "picamera:0",
                "picamera": {"width": 320, "height": 180, "lores_width": 320, "lores_height": 180},
            }
        ),
        station=station,
        outbox=outbox,
        clock=SystemClock(),
    )
    stop = threading.Event()
    thread = threading.Thread(target=camera.run, args=(stop,), daemon=True)
    with caplog.at_level(logging.INFO):
        thread.start()
        while sensor.number < 22 * FPS:
            at = 10**9 + round(sensor.number * 1e9 / FPS)
            wait_for(partial(sensor.tick, at), what="a free buffer")
            stop.wait(0.006)  # ten times as fast as a camera
        wait_for(lambda: any(entry.metadata.last for entry in outbox.waiting()), what="the recording's end")
        stop.set()
        thread.join(20)
    assert not thread.is_alive()
    assert not sensor.taken, "the camera is closed with the thread"
    assert not any(slot.board for slot in board.BOARDS._slots.values())
    clips = outbox.waiting()
    assert clips[0].metadata.trigger == "motion"
    lasts = sum(clip.metadata.duration or 0 for clip in clips)
    assert 3 + 3 + 3 <= lasts <= 3 + 3 + 3 + 3
    path = tmp_path / "clip.mp4"
    content = outbox.lend(clips[0])
    assert content is not None
    path.write_bytes(content)
    with av.open(str(path)) as container:
        shown = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    moved = [np.abs(one.astype(int) - shown[0]).max() > 60 for one in shown]
    assert moved.index(True) in range(3 * FPS - 5, 4 * FPS + 2), "the pre-roll, and the event after it"
    info = camera.info
    assert (info.source, info.width, info.height, info.fps) == ("picamera", 320, 180, 15)
    outbox.close()
