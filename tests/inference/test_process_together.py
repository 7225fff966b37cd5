"""A detector that had better see several pictures at once is given them so, with the same answer."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from meerkat_contract.ids import new_id
from meerkat_contract.messages import Job, ModelInfo, Result
from meerkat_inference import process as module
from meerkat_inference.detector import Detector, Found
from meerkat_inference.loading import load_detector
from meerkat_inference.process import process
from support.darknet import needs
from support.media import make_clip
from support.shared import shared


class Together:
    """Finds the bright square of the test clips, in up to eight pictures at once."""

    info = ModelInfo(name="together", engine="darknet")

    def __init__(self, at_once: int = 8) -> None:
        self.at_once = at_once
        self.calls: list[int] = []

    def detect(self, picture: NDArray[np.uint8]) -> list[Found]:
        self.calls.append(1)
        return self._find(picture)

    def detect_many(self, pictures: Sequence[NDArray[np.uint8]]) -> list[list[Found]]:
        self.calls.append(len(pictures))
        return [self._find(picture) for picture in pictures]

    def close(self) -> None:
        """Nothing is held."""

    def _find(self, picture: NDArray[np.uint8]) -> list[Found]:
        x, y, width, height = cv2.boundingRect((picture[:, :, 1] > 200).astype(np.uint8))
        if width * height < 50:
            return []
        down, across = picture.shape[:2]
        return [Found("person", 0.9, (x / across, y / down, width / across, height / down))]


def run(payload: bytes, detector: Detector, cancelled: int = 1000) -> Result:
    asked = iter([False] * cancelled + [True] * 1000)
    job = Job(
        job=new_id(),
        token=1,
        device="porch-pi",
        camera="front",
        media=new_id(),
        captured_at=datetime(2026, 11, 20, 8, tzinfo=UTC),
        lease=60,
    )
    return process(
        job, payload, detector, incarnation=new_id(), cancelled=asked.__next__, now=iter(range(9)).__next__
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Four seconds: 20 samples."""
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", seconds=4).read_bytes()


def test_pictures_go_together_and_the_answer_stays(clip: bytes) -> None:
    alone, together = Together(at_once=1), Together()
    one, other = run(clip, alone), run(clip, together)
    assert alone.calls == [1] * 20
    assert together.calls == [8, 8, 4]
    assert (one.frames, one.tracks) == (other.frames, other.tracks)
    assert one.tracks


def test_memory_limits_how_many(clip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    together = Together()
    monkeypatch.setattr(module, "GROUP_BYTES", 3 * 320 * 180 * 3)
    run(clip, together)
    assert together.calls == [3] * 6 + [2]


def test_it_is_asked_before_each_look_whether_the_job_is_called_off(clip: bytes) -> None:
    together = Together()
    assert run(clip, together, cancelled=2).state == "failed"
    assert together.calls == [8, 8]


@pytest.mark.shared
def test_darknets_program_is_started_once_for_a_clip(
    clip: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("darknet")
    told = tmp_path / "told"
    counted = tmp_path / "darknet"
    counted.write_text(f'#!/bin/sh\necho start >> {told}\nexec {shutil.which("darknet")} "$@"\n')
    counted.chmod(0o755)
    monkeypatch.setenv("MEERKAT_DARKNET", str(counted))
    folder = shared("models/yoloface-50k.weights").parent
    detector = load_detector("yoloface-50k", folders=[folder], engine="darknet")
    result = run(clip, detector)
    assert (result.state, result.frames) == ("done", 20)
    assert told.read_text().splitlines() == ["start"]
