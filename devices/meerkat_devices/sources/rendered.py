"""The built-in scenes as sources: rendered, then encoded like a camera's pictures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

from av.video.frame import VideoFrame

from meerkat_devices.clock import Clock
from meerkat_devices.recording.recorder import TICKS

from .encoder import Encoder
from .source import Pace, Pacer, Sample, Shot, Source, SourceInfo


class Scene(Protocol):
    """A picture for every moment of media time."""

    fps: float
    width: int
    height: int
    period: float
    """Seconds after which the scene repeats."""

    def render(self, at: float) -> Any:
        """BGR, uint8, height × width × 3."""


class MeterScene:
    """The basement's meter as a slow camera: the picture of the moment, light on."""

    fps = 2.0
    period = 60.0

    def __init__(self) -> None:
        from meerkat_devices.scenes.meter import BasementMeter

        self._meter = BasementMeter()
        self.height, self.width = self.render(0.0).shape[:2]

    def render(self, at: float) -> Any:  # noqa: ARG002 - a meter shows the time of day
        return self._meter.render(datetime.now(UTC).astimezone(), light=True)


def open_scene(name: str) -> Scene:
    """The scene of `scene:<name>`, see address.SCENES."""
    if name == "porch":
        from meerkat_devices.scenes.porch import Porch

        scene: Scene = Porch()
        return scene
    return MeterScene()


class RenderedSource(Source):
    """A scene at its own pace without end; `fast` without `loop` is one period of it."""

    def __init__(self, scene: Scene, *, pace: Pace, loop: bool, clock: Clock) -> None:
        self._scene = scene
        self._ends = pace == "fast" and not loop
        self._pacer = Pacer(clock, pace)
        self._encoder = Encoder(scene.width, scene.height, scene.fps)
        self.template = self._encoder.template
        self.info = SourceInfo("scene", self._encoder.width, self._encoder.height, scene.fps)

    def samples(self, stop: threading.Event) -> Iterator[Sample]:
        number = 0
        while not (self._ends and number >= self._scene.period * self._scene.fps):
            at = round(number * TICKS / self._scene.fps)
            if not self._pacer.wait(at, stop):
                return
            number += 1
            picture = self._scene.render(at / TICKS)
            frame = self._encoder.convert(VideoFrame.from_ndarray(picture, format="bgr24"))
            captured = self._pacer.captured(at)
            chunks = self._encoder.encode(frame, at, captured)
            yield Sample(tuple(chunks), (Shot(at, captured, frame),))

    def close(self) -> None:
        self._encoder.close()
