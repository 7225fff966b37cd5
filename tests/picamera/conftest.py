"""The real picamera2 over a libcamera that is played: see support/libcamera_stub.py."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from meerkat_devices.sources.picamera.board import Boards
from support.libcamera_stub import SensorStub, install, plug


@pytest.fixture(scope="session")
def picamera2() -> Any:
    pytest.importorskip("videodev2", reason="picamera2 is for Linux")
    return install()


@pytest.fixture
def connect(picamera2: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[SensorStub]]]:
    """Connect cameras, by their models or as stubs. Their H.264 is made by libx264, as on a Pi 5."""
    from picamera2 import encoders

    monkeypatch.setattr(encoders, "H264Encoder", encoders.LibavH264Encoder)

    def connected(*cameras: str | SensorStub) -> list[SensorStub]:
        stubs = [SensorStub(camera) if isinstance(camera, str) else camera for camera in cameras]
        plug(picamera2, stubs)
        return stubs

    yield connected
    plug(picamera2, [])


@pytest.fixture
def boards() -> Boards:
    return Boards()


@pytest.fixture
def running() -> Iterator[Callable[[SensorStub], None]]:
    """Let a camera's frames come one after the other, as quickly as they are taken."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def run(camera: SensorStub) -> None:
        def expose() -> None:
            while not stop.wait(0.002):
                camera.tick()

        threads.append(threading.Thread(target=expose, daemon=True))
        threads[-1].start()

    yield run
    stop.set()
    for thread in threads:
        thread.join()
