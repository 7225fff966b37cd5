"""A camera's frames without a camera: a station that remembers, a clock, shots, a detector that is told."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import av

from meerkat_contract.errors import MeerkatError
from meerkat_contract.messages import ModelInfo
from meerkat_contract.session import Delivery, Incoming
from meerkat_devices.clock import SystemClock
from meerkat_devices.frames.frames import Frames
from meerkat_devices.recording.recorder import TICKS
from meerkat_devices.settings.frames import FrameSettings
from meerkat_devices.sources.source import Shot
from meerkat_inference.detector import Found

from .media import background

SET = "meerkat/device/pi/yard/frames/set"


class Clock(SystemClock):
    """Stands still until it is turned. Nobody waits; how long it would have been is kept."""

    def __init__(self) -> None:
        self.turned = 0.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.turned

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        return event.is_set()


class Station:
    name = "pi"

    def __init__(self) -> None:
        self.connected = True
        self.kept: list[tuple[str, bytes | str]] = []
        self.sent: list[tuple[str, bytes, list[tuple[str, str]], str]] = []
        self.deliveries: list[Delivery] = []
        self.settle = True
        """Whether what is sent leaves at once."""
        self.errors: list[MeerkatError] = []
        self.standing: set[str] = set()

    def send(
        self, topic: object, payload: bytes, *, properties: Sequence[tuple[str, str]], content_type: str
    ) -> Delivery:
        self.sent.append((str(topic), payload, list(properties), content_type))
        self.deliveries.append(Delivery())
        if self.settle:
            self.deliveries[-1].finish()
        return self.deliveries[-1]

    def keep(self, topic: object, payload: bytes | str, *, content_type: str = "") -> None:
        self.kept.append((str(topic), payload))

    def report(self, error: MeerkatError, *, about: str = "") -> None:
        self.errors.append(error)
        if about:
            self.standing.add(about)

    def well(self, about: str) -> None:
        self.standing.discard(about)

    def changed(self) -> None: ...

    @property
    def rates(self) -> list[bytes | str]:
        return [payload for topic, payload in self.kept if topic == "meerkat/device/pi/yard/frames/state"]


def picture(width: int = 320, height: int = 180) -> Any:
    return background((width, height))


def shot(number: int = 0, *, fps: float = 10, size: tuple[int, int] = (320, 180)) -> Shot:
    frame = av.VideoFrame.from_ndarray(picture(*size), format="bgr24").reformat(format="yuv420p")
    return Shot(round(number * TICKS / fps), 1_790_000_000 + number / fps, frame)


def frames_of(station: Station, *, clock: Clock | None = None, **settings: Any) -> Frames:
    return Frames("yard", FrameSettings(**settings), station=station, clock=clock or Clock())


def ask(frames: Frames, payload: str | bytes) -> None:
    data = payload.encode() if isinstance(payload, str) else payload
    frames.told(Incoming(SET, data, retain=True))


class Eyes:
    """A detector whose answers the test gives; it waits for each when `gate` is closed."""

    info = ModelInfo(name="eyes", engine="none")

    def __init__(self, *answers: Any) -> None:
        self.default = [Found("person", 0.9, (0.1, 0.2, 0.3, 0.4))]
        self.answers = list(answers)
        self.gate = threading.Event()
        self.gate.set()
        self.looked: list[tuple[int, ...]] = []
        self.opened = 0
        self.closed = 0

    def open(self, task: str, **_: str) -> Eyes:
        self.opened += 1
        return self

    def detect(self, picture: Any) -> list[Any]:
        self.looked.append(picture.shape)
        assert self.gate.wait(10)
        answer = self.answers.pop(0) if self.answers else self.default
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed += 1
