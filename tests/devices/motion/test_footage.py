"""Motion by vision on real footage, against labels made by eye and beside plain methods, in one run."""

from __future__ import annotations

from itertools import pairwise

import pytest

from footage.baselines import frame_difference, knn, spotted
from footage.labels import FootageLabels, labels
from footage.video import luma_planes
from meerkat_devices.motion.detector import MotionDetector, MotionReading
from meerkat_devices.settings.motion import MotionSettings
from support.shared import shared


def test_people_are_found_without_ghosts() -> None:
    """At most KNN's ghosts, at least the frame difference's hits, and one motion for each person."""
    video = shared("media/one-by-one-person-detection.mp4")
    truth = labels(video)
    detector, plain = MotionDetector(), {"knn": knn(), "difference": frame_difference()}
    readings: list[tuple[float, MotionReading]] = []
    ghosts, hits = {"knn": 0, "difference": 0}, {"knn": 0, "difference": 0}
    for gray, at in luma_planes(video):
        readings.append((at, detector.step(gray, at)))
        for name, mask_of in plain.items():
            mask = mask_of(gray)
            moves = spotted(mask, MotionSettings().minimum_area * mask.size)
            ghosts[name] += moves and truth.is_empty(at)
            hits[name] += moves and truth.is_moving(at)

    empty = [(at, reading) for at, reading in readings if truth.is_empty(at)]
    moving = [(at, reading) for at, reading in readings if truth.is_moving(at)]
    assert (len(empty), len(moving)) == (245, 303)
    assert sum(reading.area > 0 for _, reading in empty) <= min(3, ghosts["knn"])
    assert sum(reading.active for _, reading in empty) <= min(3, ghosts["knn"])
    assert sum(reading.area > 0 for _, reading in moving) >= hits["difference"]
    assert sum(reading.active for _, reading in moving) >= len(moving) - 3
    assert_one_motion_each(readings, truth)


def assert_one_motion_each(readings: list[tuple[float, MotionReading]], truth: FootageLabels) -> None:
    starts = [at for (_, a), (at, b) in pairwise(readings) if b.active and not a.active]
    ends = [at for (at, a), (_, b) in pairwise(readings) if a.active and not b.active]
    assert len(starts) == len(ends) == len(truth.crossings) == 6
    for start, end, crossing in zip(starts, ends, truth.crossings, strict=True):
        assert abs(start - crossing.start) <= 0.3
        assert crossing.end <= end <= crossing.end + 1.0


@pytest.mark.parametrize("fps", [12.5, 6.0])
def test_motion_is_on_during_every_passage_of_a_car(fps: float) -> None:
    """White cars make this camera close its iris and darken the whole picture by half."""
    video = shared("media/car-detection.mp4")
    truth = labels(video)
    detector = MotionDetector()
    readings = [(at, detector.step(gray, at)) for gray, at in luma_planes(video, fps=fps)]

    assert len(readings) / 30.16 == pytest.approx(fps, rel=0.01)
    for passage in truth.passages:
        seen = [reading.active for at, reading in readings if passage.start + 0.2 <= at <= passage.end]
        assert seen
        assert all(seen)
    empty = [reading for at, reading in readings if truth.is_empty(at)]
    assert sum(reading.active for reading in empty) <= 0.06 * len(empty)


def test_the_porch_moves_when_somebody_passes_and_not_with_the_wind_or_the_light() -> None:
    """The built-in scene: its tree swings all the time, dusk falls, an infrared lamp goes on and off."""
    import cv2
    import numpy as np

    from meerkat_devices.scenes.porch import Porch

    porch, detector, fps = Porch(width=480, height=270), MotionDetector(), 5.0
    wrong: list[float] = []
    for index in range(round(porch.period * fps)):
        at = index / fps
        gray = np.asarray(cv2.cvtColor(porch.render(at), cv2.COLOR_BGR2GRAY), np.uint8)
        active = detector.step(gray, at).active
        around = {bool(porch.truth(near)) for near in (at - 0.6, at, at + 0.6)}
        if active not in around:
            wrong.append(at)
    assert wrong == []
