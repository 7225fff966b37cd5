"""The device looks at its frames by itself: at the newest, beside everything else."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from faces_support.pictures import PORTRAIT_BOX, portrait
from meerkat_contract.errors import ModelError
from meerkat_contract.messages import FrameFindings, read
from meerkat_contract.metadata import Metadata
from meerkat_devices.frames import detector as frame_detector
from meerkat_devices.frames.detector import FrameDetector
from meerkat_devices.sources.source import Shot
from meerkat_inference.detector import Found
from support.frames import Clock, Eyes, Station, ask, frames_of, shot
from support.shared import shared
from support.wait import wait_for


class Looking:
    """Frames with a detector, and its thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, eyes: Eyes, **settings: Any) -> None:
        monkeypatch.setattr(frame_detector, "open_for", eyes.open)
        self.station, self.clock = Station(), Clock()
        wanted = {"detect": "detect_objects", "when": "always", **settings}
        self.frames = frames_of(self.station, clock=self.clock, **wanted)
        detector = self.frames.detector
        assert detector is not None
        self.stop = threading.Event()
        self.raised: list[BaseException] = []
        self.thread = threading.Thread(target=self._run, args=(detector,))
        self.thread.start()
        self.number = 0

    def _run(self, detector: FrameDetector) -> None:
        try:
            detector.run(self.stop)
        except ZeroDivisionError as error:
            self.raised.append(error)

    def look(self) -> None:
        """Offer a frame and wait until its fate is known."""
        before = sum(self.frames.counts.values())
        self.offer()
        wait_for(lambda: sum(self.frames.counts.values()) > before, what="the frame's fate")

    def offer(self) -> None:
        self.frames.offer(shot(self.number), moving=False)
        self.number += 10

    def found(self) -> list[FrameFindings]:
        return [
            read(FrameFindings, dict(properties)["found"].encode())
            for _, _, properties, _ in self.station.sent
        ]

    def end(self) -> None:
        self.frames.end()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Looking]]:
    made: list[Looking] = []

    def make(eyes: Eyes, **settings: Any) -> Looking:
        made.append(Looking(monkeypatch, eyes, **settings))
        return made[-1]

    yield make
    for one in made:
        one.end()


def found(label: str, score: float) -> Any:
    return Found(label, score, (0.123456789, 0.2, 0.3, 0.4))


def test_what_the_device_found_goes_with_the_frame(look: Callable[..., Looking]) -> None:
    eyes = Eyes(
        [found("person", 0.5), found("cat", 0.3), found("chair", 0.9)],
        [found("person", 0.49), found("chair", 0.99)],
        [],
    )
    looking = look(eyes, width=160)
    ask(looking.frames, "1")
    for _ in range(4):
        looking.look()
    first, last = looking.found()
    assert first.task == "detect_objects"
    assert first.model is not None
    assert first.model.name == "eyes"
    assert [(one.label, one.score) for one in first.found] == [("person", 0.5), ("cat", 0.3)]
    assert first.found[0].box == (0.1235, 0.2, 0.3, 0.4)
    assert last.found[0].score == 0.9
    assert looking.frames.counts == {"sent": 2, "nothing": 2, "passed over": 0, "failed": 0}
    assert eyes.looked[0] == (90, 160, 3), "it looks at what is sent"
    jpeg = cv2.imdecode(np.frombuffer(looking.station.sent[0][1], np.uint8), cv2.IMREAD_COLOR)
    assert jpeg.shape == (90, 160, 3)


def test_labels_choose_what_is_of_interest(look: Callable[..., Looking]) -> None:
    looking = look(Eyes([found("chair", 0.9)], [found("person", 0.9)]), labels=("chair",))
    ask(looking.frames, "1")
    looking.look()
    looking.look()
    assert [one.found[0].label for one in looking.found()] == ["chair"]


def test_the_newest_frame_is_looked_at_and_nobody_waits(look: Callable[..., Looking]) -> None:
    eyes = Eyes()
    looking = look(eyes)
    ask(looking.frames, "1")
    eyes.gate.clear()
    looking.offer()
    wait_for(lambda: eyes.looked, what="the first look")
    for _ in range(5):  # on this thread: it would hang if it waited for the detector
        looking.offer()
    assert looking.frames.counts["passed over"] == 4
    eyes.gate.set()
    wait_for(lambda: looking.frames.counts["sent"] == 2, what="the first and the newest")
    times = [Metadata.from_properties(p, content_type=c).captured_at for _, _, p, c in looking.station.sent]
    assert (times[1] - times[0]).total_seconds() == 5


def test_a_failure_is_told_and_never_reads_as_nothing_found(look: Callable[..., Looking]) -> None:
    looking = look(Eyes(ModelError("the network fails", where="eyes"), ModelError("again")))
    ask(looking.frames, "1")
    looking.look()
    looking.look()
    assert looking.frames.counts["failed"] == 2
    assert looking.frames.counts["nothing"] == 0
    assert str(looking.station.errors[0]) == "camera yard, frames, eyes: the network fails"
    assert isinstance(looking.station.errors[0], ModelError)
    assert looking.station.standing == {"camera yard, detector"}
    looking.look()
    wait_for(lambda: not looking.station.standing, what="the all-clear")
    assert looking.frames.counts["sent"] == 1
    assert len(looking.clock.waits) == 2, "it is not tried again at once"
    assert looking.clock.waits[1] > looking.clock.waits[0]


def test_an_error_of_ours_is_counted_and_ends_the_thread_for_its_supervisor(
    look: Callable[..., Looking],
) -> None:
    eyes = Eyes(ZeroDivisionError("a mistake of ours"))
    looking = look(eyes)
    ask(looking.frames, "1")
    looking.look()
    looking.thread.join(10)
    assert len(looking.raised) == 1
    assert eyes.closed == 1
    assert looking.frames.counts["failed"] == 1


def test_without_a_request_no_detector_is_held(look: Callable[..., Looking]) -> None:
    eyes = Eyes()
    looking = look(eyes)
    looking.offer()
    assert eyes.opened == 0
    for turn in (1, 2):
        ask(looking.frames, "1")
        looking.look()
        assert (eyes.opened, eyes.closed) == (turn, turn - 1)
        ask(looking.frames, "0")
        wait_for(lambda turn=turn: eyes.closed == turn, what="the memory to be given back")  # type: ignore[misc]


def test_what_is_found_after_the_request_was_withdrawn_is_not_sent(look: Callable[..., Looking]) -> None:
    eyes = Eyes()
    looking = look(eyes)
    ask(looking.frames, "1")
    eyes.gate.clear()
    looking.offer()
    wait_for(lambda: eyes.looked, what="the look")
    looking.offer()  # waits for its turn
    ask(looking.frames, "0")
    eyes.gate.set()
    wait_for(lambda: eyes.closed, what="the rest")
    assert looking.station.sent == []
    assert len(eyes.looked) == 1
    assert looking.frames.counts["passed over"] == 2


def test_a_frame_that_comes_as_the_request_ends_does_not_keep_the_detector(
    look: Callable[..., Looking],
) -> None:
    """The camera's thread may have read the rate just before it was 0."""
    eyes = Eyes()
    looking = look(eyes)
    ask(looking.frames, "1")
    eyes.gate.clear()
    looking.offer()
    wait_for(lambda: eyes.looked, what="the look")
    ask(looking.frames, "0")
    assert looking.frames.detector is not None
    looking.frames.detector.offer(shot())
    eyes.gate.set()
    wait_for(lambda: eyes.closed, what="the rest")
    assert len(eyes.looked) == 2
    assert looking.station.sent == []


def test_a_missing_extra_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "meerkat_inference.loading", None)
    with pytest.raises(ModelError, match=r"Install the extra `worker`") as caught:
        frame_detector.open_for("detect_objects")
    assert "the device cannot look by itself" in caught.value.what


def test_no_model_for_faces_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEERKAT_MODELS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="no model for detect_faces") as caught:
        frame_detector.open_for("detect_faces")
    assert "meerkat models pull" in caught.value.remedy


def test_a_real_detector_finds_the_face_and_it_goes_with_the_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEERKAT_MODELS", str(shared("models/yunet_n_320_320.onnx").parent))
    station = Station()
    frames = frames_of(station, when="always", detect="detect_faces", width=400)
    detector = frames.detector
    assert detector is not None
    thread = threading.Thread(target=detector.run, args=(threading.Event(),))
    thread.start()
    try:
        ask(frames, "1")
        frames.offer(Shot(0, 0.0, av.VideoFrame.from_ndarray(portrait(), format="bgr24")), moving=False)
        wait_for(lambda: any(frames.counts.values()), seconds=60, what="the frame's fate")
    finally:
        frames.end()
        thread.join(20)
    assert not station.errors
    _, payload, properties, _ = station.sent[0]
    findings = read(FrameFindings, dict(properties)["found"].encode())
    assert findings.task == "detect_faces"
    assert [one.label for one in findings.found] == ["face"]
    assert findings.found[0].box == pytest.approx(PORTRAIT_BOX, abs=0.05)
    assert cv2.imdecode(np.frombuffer(payload, np.uint8), cv2.IMREAD_COLOR).shape == (468, 400, 3)


def test_the_fallback_says_that_it_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MEERKAT_MODELS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    detector = frame_detector.open_for("detect_objects")
    assert detector.info.fallback
    assert [line.levelname for line in caplog.records] == ["WARNING"]
    detector.close()


def test_a_device_without_detection_does_not_load_inference() -> None:
    code = (
        "import sys, meerkat_devices.service, meerkat_devices.camera\n"
        "assert not any(name.startswith('meerkat_inference') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
