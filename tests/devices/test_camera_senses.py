"""The real camera with sensors, a doorbell and a lamp, over real video; they speak at media times."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from meerkat_contract.errors import MeerkatError
from meerkat_contract.metadata import Metadata
from meerkat_devices.camera import Camera
from meerkat_devices.clock import SystemClock
from meerkat_devices.motion.detector import MotionDetector, MotionReading
from meerkat_devices.motion.senses import Verdict
from meerkat_devices.outbox.outbox import Outbox
from meerkat_devices.recording.recorder import TICKS, Chunk, Limits, Recorder
from meerkat_devices.settings.device import CameraSettings
from support.media import make_clip
from support.pins import HandClock


class Lamp:
    name = "ir"

    def __init__(self) -> None:
        self.holders = 0
        self.on_change: Callable[[], None] = lambda: None

    @contextmanager
    def lit(self, brightness: float | None = None) -> Iterator[None]:
        self.holders += 1
        self.on_change()
        yield
        self.holders -= 1
        self.on_change()


class Station:
    name = "pi"
    connected = False

    def __init__(self) -> None:
        self.motion: list[str] = []
        self.errors: list[MeerkatError] = []
        self.one_lamp = Lamp()

    def keep(self, topic: object, payload: bytes | str, *, content_type: str = "") -> None:
        if str(topic).endswith("/motion"):
            assert isinstance(payload, str)
            self.motion.append(payload)

    def report(self, error: MeerkatError, *, about: str = "") -> None:
        self.errors.append(error)

    def well(self, about: str) -> None: ...

    def changed(self) -> None: ...

    def lamp(self, name: str) -> Lamp:
        return self.one_lamp


class Watched:
    """`at` maps media times to what happens then."""

    def __init__(
        self, video: Path, folder: Path, at: dict[float, Callable[[Camera], None]], **settings: Any
    ) -> None:
        self.station = Station()
        self.outbox = Outbox(folder / "outbox", max_bytes=1_000_000_000, refused_bytes=0)
        self.camera = Camera(
            "yard",
            CameraSettings.model_validate({"source": str(video), **settings}),
            station=self.station,
            outbox=self.outbox,
            clock=SystemClock(),
            pace="fast",
        )
        self.verdicts: list[tuple[float, bool, int]] = []
        """Media time, whether something moves, how many hold the lamp."""
        due = sorted(at.items())
        look = self.camera.senses.look

        def looked(now: float, see: Callable[[bool], bool], *, enabled: bool = True) -> Verdict:
            while due and due[0][0] <= now:
                due.pop(0)[1](self.camera)
            verdict = look(now, see, enabled=enabled)
            self.verdicts.append((now, verdict.moving, self.station.one_lamp.holders))
            return verdict

        self.camera.senses.look = looked  # type: ignore[method-assign]
        self.station.one_lamp.on_change = self.camera.senses.relight

    def run(self) -> list[Metadata]:
        self.camera.run(threading.Event())
        waiting = [entry.metadata for entry in self.outbox.waiting()]
        self.outbox.close()
        assert not self.station.errors
        return waiting

    def moving(self) -> list[tuple[float, float]]:
        """Stretches of motion, media time."""
        found: list[tuple[float, float]] = []
        began = None
        for at, moving, _ in [*self.verdicts, (self.verdicts[-1][0], False, 0)]:
            if moving and began is None:
                began = at
            elif not moving and began is not None:
                found.append((began, at))
                began = None
        return found


def on(camera: Camera) -> None:
    camera.senses.hear("pir", on=True)


def off(camera: Camera) -> None:
    camera.senses.hear("pir", on=False)


def ring(camera: Camera) -> None:
    camera.senses.ring()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Media times at which vision looked."""
    seen: list[float] = []
    step = MotionDetector.step

    def counted(self: MotionDetector, gray: Any, at: float) -> MotionReading:
        seen.append(at)
        return step(self, gray, at)

    monkeypatch.setattr(MotionDetector, "step", counted)
    return seen


def by(combine: str, **more: Any) -> dict[str, Any]:
    return {"motion": {"sensors": ["pir"], "combine": combine, **more}}


def test_a_sensor_alone_records_without_vision(tmp_path: Path, steps: list[float]) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=24, moving=False, gop=1)
    watched = Watched(video, tmp_path, {10.0: on, 12.0: off}, **by("sensors"))
    clips = watched.run()
    assert steps == []
    assert watched.station.motion == ["OFF", "ON", "OFF"]
    assert watched.moving() == [(pytest.approx(10, abs=0.1), pytest.approx(12, abs=0.1))]
    assert sum(clip.duration or 0 for clip in clips) == pytest.approx(3 + 2 + 3, abs=1.1)
    assert {clip.trigger for clip in clips} == {"motion"}


def test_either_will_do(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=40, moving=lambda at: 26 <= at < 30)
    watched = Watched(video, tmp_path, {8.0: on, 9.0: off}, **by("any"))
    clips = watched.run()
    assert watched.station.motion == ["OFF", "ON", "OFF", "ON", "OFF"]
    assert len({clip.recording for clip in clips}) == 2


def test_both_are_wanted(tmp_path: Path) -> None:
    """The first time both, then something moves that the sensor does not feel, then a draught."""
    video = make_clip(tmp_path / "in.mp4", seconds=50, moving=lambda at: 8 <= at < 11 or 28 <= at < 31)
    watched = Watched(
        video,
        tmp_path,
        {7.0: on, 10.0: off, 40.0: on, 43.0: off},
        **by("all", sensor_seconds=5),
    )
    clips = watched.run()
    ((began, ended),) = watched.moving()
    assert 8 <= began < 9
    assert ended < 16
    assert len({clip.recording for clip in clips}) == 1


def test_a_sensor_wakes_vision(tmp_path: Path, steps: list[float]) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=50, moving=lambda at: 8 <= at < 11 or 28 <= at < 31)
    watched = Watched(video, tmp_path, {27.0: on, 29.0: off}, **by("wake", sensor_seconds=5))
    clips = watched.run()
    ((began, _),) = watched.moving()
    assert 28 <= began < 29, "what moved before the sensor was nobody's business"
    assert min(steps) >= 27
    assert max(steps) <= 29 + 5 + 0.1
    assert len(steps) < 0.2 * len(watched.verdicts)
    assert sum(clip.duration or 0 for clip in clips) >= 3 + 3 + 3, "the ring ran all the while"


def test_a_doorbell_records_at_once(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=24, moving=False, gop=1)
    watched = Watched(video, tmp_path, {10.0: ring})
    clips = watched.run()
    assert {clip.trigger for clip in clips} == {"doorbell"}
    assert sum(clip.duration or 0 for clip in clips) == pytest.approx(3 + 3, abs=1.1)
    assert watched.station.motion == ["OFF"], "a finger is no motion"


def test_a_doorbell_waits_for_the_next_picture_of_a_slow_camera() -> None:
    """An HTTP camera may be asked for a picture every ten seconds: it is there all the while."""
    clock = HandClock()
    slow = CameraSettings.model_validate(
        {"source": "http://192.168.1.20/picture.jpg", "snapshot_seconds": 10}
    )
    fast = CameraSettings.model_validate({"source": "0"})
    for settings, waits in ((slow, 15.0), (fast, 5.0)):
        outbox: Any = None
        camera = Camera("yard", settings, station=Station(), outbox=outbox, clock=clock)
        for late, rings in ((0.0, True), (0.001, False)):
            camera.senses.ring()
            clock.seconds += waits + late
            assert camera.senses.look(clock.seconds, lambda forget: False).record == rings


def test_a_doorbell_makes_a_recording_urgent(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=40, moving=lambda at: 8 <= at < 24, gop=1)
    clips = Watched(video, tmp_path, {16.0: ring}).run()
    assert len({clip.recording for clip in clips}) == 1
    triggers = [clip.trigger for clip in clips]
    assert triggers == sorted(triggers, reverse=True), "motion first"
    assert triggers[0] == "motion"
    assert triggers[-1] == "doorbell"


def test_a_ring_before_the_first_key_frame_is_not_forgotten() -> None:
    recorder = Recorder(Limits())
    assert recorder.motion(True, 0, trigger="doorbell") == []
    assert recorder.motion(True, TICKS // 10) == []
    recorder.add(Chunk(TICKS, TICKS, 3000, key=True, size=10, captured=0.0, packet=None))
    (clip,) = recorder.finish()
    assert clip.trigger == "doorbell"


def test_motion_detection_that_is_switched_off_still_rings(tmp_path: Path, steps: list[float]) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=24, moving=False, gop=1)
    settings = {"motion": {"sensors": ["pir"], "enabled": False}}
    watched = Watched(video, tmp_path, {8.0: on, 9.0: off, 16.0: ring}, **settings)
    clips = watched.run()
    assert steps == []
    assert watched.station.motion == ["OFF"]
    assert {clip.trigger for clip in clips} == {"doorbell"}


def test_the_lamp_is_lit_from_motion_to_the_end_of_the_recording(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=24, moving=False, gop=1)
    settings = {**by("sensors"), "light": {"name": "ir", "when": "motion"}}
    watched = Watched(video, tmp_path, {10.0: on, 12.0: off}, **settings)
    watched.run()
    lit = [at for at, _, holders in watched.verdicts if holders]
    assert (lit[0], lit[-1]) == (pytest.approx(10, abs=0.2), pytest.approx(15, abs=1.2))
    assert watched.station.one_lamp.holders == 0


def test_the_lamp_stays_off_by_day(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=20, moving=False)
    watched = Watched(video, tmp_path, {10.0: on, 12.0: off}, **by("sensors"), light="ir")
    watched.run()
    assert not any(holders for _, _, holders in watched.verdicts)


def test_a_source_that_ends_leaves_no_light(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "in.mp4", seconds=12, moving=False)
    settings = {**by("sensors"), "light": {"name": "ir", "when": "motion"}}
    watched = Watched(video, tmp_path, {10.0: on}, **settings)
    watched.run()
    assert watched.verdicts[-1][2] == 1
    assert watched.station.one_lamp.holders == 0
