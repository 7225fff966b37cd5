"""libcamera without a camera: as much of it as the real picamera2 needs to run.

    cameras = install([SensorStub("imx708", paint=...)])     # before `import picamera2`
    cameras[0].tick()                                          # a frame is exposed, and completes

Only libcamera is played, and what loads other libraries of a Pi (pykms, prctl, pidng, libarchive, the
heap of DMA buffers). A frame carries the controls that were asked for `LATE` frames before, as sensors do.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np

from support.libcamera_types import (
    ColorSpace,
    ControlType,
    Orientation,
    PixelFormat,
    Rectangle,
    Size,
    StreamRole,
    Transform,
)

LATE = 3
"""Frames from a control's request to the frame that was exposed with it."""


class ControlId:
    def __init__(self, name: str) -> None:
        self.name, self.type = name, ControlType.Other


_IDS = {
    name: ControlId(name)
    for name in (
        "AeEnable AwbEnable ExposureTime ExposureTimeMode AnalogueGain AnalogueGainMode ColourGains "
        "FrameDurationLimits NoiseReductionMode ScalerCrop SensorTimestamp HdrMode Model "
        "ColorFilterArrangement CnnOutputTensor"
    ).split()
}


class Stream:
    """One stream's configuration and the stream itself."""

    def __init__(self, role: Any, raw: tuple[int, int]) -> None:
        self.size, self.pixel_format = Size(*raw), PixelFormat("SRGGB10")
        self.buffer_count, self.stride, self.frame_size = 4, 0, 0
        self.color_space: Any = None
        self.stream = self
        self.configuration = self
        sizes = [Size(*raw)]
        self.formats = SimpleNamespace(pixel_formats=[PixelFormat("SRGGB10")], sizes=lambda _: sizes)


class Configuration:
    """Widths come in steps of 64 bytes of memory, as the image processor writes them."""

    def __init__(self, roles: list[Any], raw: tuple[int, int]) -> None:
        self._streams = [Stream(role, raw) for role in roles]
        self.orientation: Any = Orientation.Rotate0
        self.sensor_config: Any = None

    def at(self, index: int) -> Stream:
        return self._streams[index]

    def __iter__(self) -> Any:
        return iter(self._streams)

    def validate(self) -> Any:
        for stream in self._streams:
            kind, width, height = str(stream.pixel_format), stream.size.width, stream.size.height
            if kind == "YUV420":
                stream.stride = -(-width // 64) * 64
                stream.frame_size = stream.stride * height * 3 // 2
            elif kind == "RGB888":
                stream.stride = -(-width * 3 // 64) * 64
                stream.frame_size = stream.stride * height
            else:
                stream.stride, stream.frame_size = 64, 64
        return Status.Valid


Status = Enum("Status", "Valid Adjusted Invalid")


class FrameBuffer:
    def __init__(self, memory: np.ndarray[Any, Any]) -> None:
        self.memory = memory
        self.metadata = SimpleNamespace(status=FrameStatus.Success)


FrameStatus = Enum("FrameStatus", "Success Error")
RequestStatus = Enum("RequestStatus", "Complete Cancelled")


class Request:
    def __init__(self, cookie: int) -> None:
        self.cookie = cookie
        self.buffers: dict[Stream, FrameBuffer] = {}
        self.metadata: dict[ControlId, Any] = {}
        self.status = RequestStatus.Complete
        self.controls: dict[str, Any] = {}

    def add_buffer(self, stream: Stream, buffer: FrameBuffer) -> None:
        self.buffers[stream] = buffer

    def set_control(self, key: ControlId, value: Any) -> None:
        self.controls[key.name] = value

    def reuse(self) -> None:
        self.controls = {}


class SensorStub:
    """One camera. `paint(number, width, height)` gives a frame's luma; the rest is grey."""

    stuck = False
    """Whether no control acts."""

    def __init__(
        self,
        model: str = "imx708",
        *,
        paint: Callable[[int, int, int], np.ndarray[Any, Any]] | None = None,
        raw: tuple[int, int] = (1536, 864),
        lamp: Callable[[], float] = lambda: 1.0,
        more: tuple[str, ...] = (),
    ) -> None:
        """`lamp` is how bright the scene is; the automatic aims at exposure × gain × lamp = 20000.

        `more` controls are there beside the usual ones.
        """
        self.id = f"/base/soc/i2c@1/{model}@1a"
        self.properties = {_IDS["Model"]: model, _IDS["ColorFilterArrangement"]: 0}
        limits = {"ExposureTime": (50, 2_000_000, 20_000), "AnalogueGain": (1.0, 16.0, 1.0)}
        usual = "AeEnable AwbEnable ColourGains FrameDurationLimits NoiseReductionMode ScalerCrop"
        wide = dict.fromkeys((*usual.split(), *more), (0, 1_000_000, 0))
        self.controls = {
            _IDS[name]: SimpleNamespace(min=span[0], max=span[1], default=span[2])
            for name, span in (limits | wide).items()
        }
        self.taken = False
        self.asked: list[dict[str, Any]] = []
        """Controls in the order they were asked for."""
        self.number = 0
        self.running = False
        self.busy = False
        self.waiting: deque[Request] = deque()
        self.completed: deque[Request] = deque()
        self.notify = -1
        self._raw = raw
        self._paint = paint or (
            lambda number, width, height: np.full((height, width), number % 256, np.uint8)
        )
        self._lamp = lamp
        self._acting: dict[str, Any] = {}
        self._coming: deque[dict[str, Any]] = deque()
        self._exposure = 20_000.0
        self._lock = threading.Lock()
        self._exposing = threading.Lock()

    # --- what picamera2 calls -------------------------------------------------------------------

    def generate_configuration(self, roles: list[Any]) -> Configuration:
        return Configuration(roles, self._raw)

    def configure(self, configuration: Configuration) -> None:
        self.configuration = configuration

    def acquire(self) -> None:
        if self.busy or self.taken:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        self.taken = True

    def release(self) -> None:
        self.taken = False

    def create_request(self, cookie: int) -> Request:
        return Request(cookie)

    def start(self, controls: dict[ControlId, Any]) -> None:
        self.running = True
        self._acting = {key.name: value for key, value in controls.items()}
        self.asked.append(dict(self._acting))

    def queue_request(self, request: Request) -> None:
        with self._lock:
            self.waiting.append(request)

    def stop(self) -> None:
        """As libcamera's: no request is completed once it has come back."""
        self.running = False
        with self._exposing, self._lock:
            self.waiting.clear()

    # --- what a test calls ----------------------------------------------------------------------

    def tick(self, timestamp: int | None = None) -> bool:
        """Expose one frame, at `timestamp` (ns); False when every buffer is still with picamera2."""
        with self._exposing:
            return self._tick(timestamp)

    def _tick(self, timestamp: int | None) -> bool:
        with self._lock:
            if not self.running or not self.waiting:
                return False
            request = self.waiting.popleft()
        if request.controls:
            self.asked.append(dict(request.controls))
        self._coming.append(dict(request.controls))
        if len(self._coming) > LATE:
            self._acting |= self._coming.popleft()
        self._expose(request, time.monotonic_ns() if timestamp is None else timestamp)
        self.number += 1
        with self._lock:
            self.completed.append(request)
        os.write(self.notify, b"\0")
        return True

    def _expose(self, request: Request, timestamp: int) -> None:
        acting = self._acting
        if self.stuck:
            acting = {}
        manual_time = acting.get("ExposureTime", 0) if acting.get("ExposureTimeMode") else 0
        manual_gain = acting.get("AnalogueGain", 0) if acting.get("AnalogueGainMode") else 0
        aim = 20_000 / max(self._lamp(), 0.01)
        self._exposure += 0.5 * (aim - self._exposure)
        spent = manual_time or min(self._exposure, 60_000)
        gain = manual_gain or min(max(self._exposure / spent, 1.0), 16.0)
        request.metadata = {
            _IDS["SensorTimestamp"]: timestamp + 1000 * int(spent),  # it ends; it began at `timestamp`
            _IDS["ExposureTime"]: int(spent),
            _IDS["AnalogueGain"]: float(gain),
            _IDS["ColourGains"]: (1.8, 1.4),
        }
        for stream, buffer in request.buffers.items():
            kind, size = str(stream.pixel_format), stream.size
            if kind in ("YUV420", "RGB888"):
                luma = self._paint(self.number, size.width, size.height)
                memory = buffer.memory
                if kind == "YUV420":
                    memory[:] = 128
                    rows = memory[: stream.stride * size.height].reshape(size.height, stream.stride)
                    rows[:, : size.width] = luma
                else:
                    rows = memory.reshape(size.height, stream.stride)
                    rows[:, : size.width * 3] = np.repeat(luma, 3, axis=1)


class CameraManager:
    current: CameraManager

    @classmethod
    def singleton(cls) -> CameraManager:
        return cls.current

    def __init__(self, cameras: list[SensorStub]) -> None:
        self.cameras = cameras
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        for camera in cameras:
            camera.notify = write
        self.event_fd = self._read

    def get_ready_requests(self) -> list[Request]:
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)
        ready = []
        for camera in self.cameras:
            with camera._lock:
                ready += list(camera.completed)
                camera.completed.clear()
        return ready


class MemoryHeap:
    """In place of picamera2's allocator, whose heap of DMA buffers is the kernel's."""

    def __init__(self) -> None:
        self._buffers: dict[Any, list[FrameBuffer]] = {}
        self.mapped_buffers: dict[FrameBuffer, Any] = {}

    class sync:
        def __init__(self, allocator: Any, buffer: FrameBuffer, write: bool) -> None:
            self._memory = buffer.memory

        def __enter__(self) -> Any:
            return self._memory

        def __exit__(self, *_: object) -> None: ...

    def allocate(self, configuration: Configuration, use_case: Any) -> None:
        self._buffers = {
            one.stream: [FrameBuffer(np.zeros(one.frame_size, np.uint8)) for _ in range(one.buffer_count)]
            for one in configuration
        }
        self.mapped_buffers = {b: b.memory for buffers in self._buffers.values() for b in buffers}

    def buffers(self, stream: Any) -> list[FrameBuffer]:
        return self._buffers[stream]

    def acquire(self, buffers: Any) -> None: ...

    def release(self, buffers: Any) -> None: ...

    def close(self) -> None: ...


def modules() -> dict[str, ModuleType]:
    """Everything that a machine without a Pi lacks, by its name in sys.modules."""
    names = (
        "libcamera libcamera._libcamera pykms prctl pidng pidng.camdefs pidng.core libarchive libarchive.read"
    )
    made = {name: ModuleType(name) for name in names.split()}
    lib = made["libcamera"]
    controls = SimpleNamespace(
        **_IDS,
        draft=SimpleNamespace(
            NoiseReductionModeEnum=Enum("NoiseReductionModeEnum", "Fast HighQuality Minimal")
        ),
        HdrModeEnum=Enum("HdrModeEnum", "Off MultiExposure SingleExposure Night"),
    )
    for name, value in {
        "Size": Size,
        "Rectangle": Rectangle,
        "Transform": Transform,
        "ColorSpace": ColorSpace,
        "PixelFormat": PixelFormat,
        "ControlType": ControlType,
        "Orientation": Orientation,
        "StreamRole": StreamRole,
        "controls": controls,
        "properties": SimpleNamespace(draft=SimpleNamespace()),
        "Request": SimpleNamespace(Status=RequestStatus),
        "FrameMetadata": SimpleNamespace(Status=FrameStatus),
        "CameraConfiguration": SimpleNamespace(Status=Status),
        "SensorConfiguration": SimpleNamespace,
        "CameraManager": CameraManager,
        "Camera": SensorStub,
        "FrameBuffer": FrameBuffer,
        "_libcamera": made["libcamera._libcamera"],
    }.items():
        setattr(lib, name, value)
    made["libcamera._libcamera"].__dict__.update(ColorSpace=ColorSpace, Transform=Transform)
    made["pykms"].__dict__.update(PixelFormat=Mock())
    made["pidng.camdefs"].__dict__.update(Picamera2Camera=object)
    made["pidng.core"].__dict__.update(PICAM2DNG=object)
    made["libarchive.read"].__dict__.update(fd_reader=None)
    return made


def install() -> Any:
    """Put the stubs where picamera2 looks for libcamera, and import the real picamera2."""
    for name, module in modules().items():
        sys.modules.setdefault(name, module)
    import picamera2
    import picamera2.picamera2

    picamera2.picamera2.DmaAllocator = MemoryHeap
    return picamera2


def plug(picamera2: Any, cameras: list[SensorStub]) -> None:
    """These cameras are connected from now on."""
    CameraManager.current = CameraManager(cameras)
    picamera2.Picamera2._cm._cms = None
