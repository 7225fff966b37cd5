"""The porch: found by the people detector, true boxes, repeatable, and still when only the wind blows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from meerkat_devices.motion.detector import MotionDetector
from meerkat_devices.scenes.porch import Actor, Porch
from meerkat_devices.scenes.story import PASSAGES, PERIOD, is_night

Bytes = NDArray[np.uint8]
Box = tuple[float, float, float, float]

WORKING_HEIGHT = 320
"""Pixels to which a picture is brought for the people detector: its window holds a person of 96 pixels."""

HIT_THRESHOLD = 0.5
"""The classifier's margin above which a window counts."""


@pytest.fixture(scope="module")
def porch() -> Porch:
    return Porch()


@pytest.fixture(scope="module")
def people_detector() -> cv2.HOGDescriptor:
    hog = cv2.HOGDescriptor()
    hog.setSVMDetector(np.asarray(cv2.HOGDescriptor.getDefaultPeopleDetector(), np.float32))
    return hog


def people(hog: cv2.HOGDescriptor, picture: Bytes) -> list[Box]:
    """Boxes of people in fractions, without the margins of the detector's window and without doubles."""
    scale = WORKING_HEIGHT / picture.shape[0]
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    windows, margins = hog.detectMultiScale(
        small, hitThreshold=HIT_THRESHOLD, winStride=(8, 8), padding=(8, 8), scale=1.05, groupThreshold=0
    )
    boxes = np.asarray(windows, np.float64).reshape(-1, 4)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), np.ravel(margins).tolist(), HIT_THRESHOLD, 0.35)
    height, width = small.shape[:2]
    return [
        ((x + 0.15 * w) / width, (y + 0.1 * h) / height, (x + 0.85 * w) / width, (y + 0.9 * h) / height)
        for x, y, w, h in boxes[np.ravel(kept).astype(int)]
    ]


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def moments(rate: float, begin: float = 0.0, end: float = PERIOD) -> Iterator[float]:
    for number in range(round(begin * rate), round(end * rate)):
        yield number / rate


def whole_person(porch: Porch, at: float) -> Actor | None:
    return next((a for a in porch.truth(at) if a.label == "person" and a.visible > 0.999), None)


@pytest.mark.parametrize("night", [False, True], ids=["by day", "in the dark"])
def test_people_detector_finds_the_walker(
    porch: Porch, people_detector: cv2.HOGDescriptor, night: bool
) -> None:
    found = seen = 0
    for at in moments(5):
        walker = whole_person(porch, at)
        if walker is None or is_night(at) != night:
            continue
        seen += 1
        found += any(overlap(box, walker.box) >= 0.4 for box in people(people_detector, porch.render(at)))
    assert seen >= 20, f"the walker is whole in only {seen} samples"
    assert found >= 0.8 * seen, f"found in {found} of {seen} samples"


def test_people_detector_is_silent_without_a_person(porch: Porch, people_detector: cv2.HOGDescriptor) -> None:
    empty = [at for at in moments(0.7) if not any(a.label == "person" for a in porch.truth(at))]
    wrong = [(at, box) for at in empty for box in people(people_detector, porch.render(at))]
    assert len(empty) >= 60
    assert len(wrong) <= 2, wrong


def test_same_time_gives_the_same_picture() -> None:
    one, other = Porch(seed=3, width=480, height=270), Porch(seed=3, width=480, height=270)
    for at in (55.0, 6.2, 72.0, 21.0):
        one.render(at)  # In another order, so that what is kept between frames cannot matter.
    for at in (6.2, 21.0, 55.0, 72.0):
        assert np.array_equal(one.render(at), other.render(at))
        assert np.array_equal(one.render(at), other.render(at + PERIOD))


def test_seed_changes_the_picture() -> None:
    one, other = (Porch(seed=seed, width=480, height=270).render(14.0) for seed in (0, 1))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(("width", "height"), [(480, 270), (640, 480), (640, 300)])
def test_picture_has_the_size_asked_for(width: int, height: int) -> None:
    porch = Porch(width=width, height=height)
    for at in (6.0, 57.0, 75.0):
        picture = porch.render(at)
        assert picture.shape == (height, width, 3)
        assert picture.dtype == np.uint8
        assert picture.flags.c_contiguous


def test_somebody_walks_in_within_four_seconds(porch: Porch) -> None:
    first = next(at for at in moments(10) if any(a.label == "person" for a in porch.truth(at)))
    assert first <= 3.0
    whole = next(at for at in moments(10) if whole_person(porch, at))
    assert whole <= 4.0


def test_story_has_everybody_and_rests_between_them(porch: Porch) -> None:
    seen = {(a.label, is_night(at)) for at in moments(5) for a in porch.truth(at)}
    assert seen == {("person", False), ("dog", False), ("car", False), ("person", True), ("cat", True)}
    ordered = sorted(PASSAGES, key=lambda passage: passage.begin)
    ends = [passage.finish for passage in ordered]
    begins = [*(passage.begin for passage in ordered[1:]), ordered[0].begin + PERIOD]
    assert min(begin - end for begin, end in zip(begins, ends, strict=True)) >= 8.0


def test_truth_is_where_the_picture_changes(porch: Porch) -> None:
    """A walker's box, found from the picture alone by night, where nobody casts a shadow."""
    empty = porch.render(86.0)[..., 0].astype(np.int16)
    for at in (73.0, 73.9, 74.8):
        walker = whole_person(porch, at)
        assert walker is not None
        changed = np.abs(porch.render(at)[..., 0].astype(np.int16) - empty) > 40
        changed[:, round(0.66 * porch.width) :] = False  # The tree sways there.
        columns, rows = np.flatnonzero(changed.sum(axis=0) > 1), np.flatnonzero(changed.sum(axis=1) > 1)
        found = (
            columns[0] / porch.width,
            rows[0] / porch.height,
            (columns[-1] + 1) / porch.width,
            (rows[-1] + 1) / porch.height,
        )
        assert overlap(found, walker.box) > 0.85, (at, found, walker.box)


def test_walkers_move_steadily(porch: Porch) -> None:
    """The middle of the box moves on with every frame, and never jumps."""
    for passage in PASSAGES:
        places = [
            (actor.box[0] + actor.box[2]) / 2
            for at in moments(10, passage.begin, passage.finish)
            for actor in porch.truth(at)
            if actor.visible > 0.999
        ]
        steps = np.diff(places) * np.sign(places[-1] - places[0])
        assert steps.min() > -0.01, passage
        assert steps.max() < 0.08, passage


def test_share_that_is_visible_grows_as_the_walker_enters(porch: Porch) -> None:
    shares = [a.visible for at in moments(20, 1.5, 4.0) for a in porch.truth(at)]
    assert shares[0] < 0.3
    assert shares[-1] == pytest.approx(1.0)
    assert all(later >= earlier - 0.1 for earlier, later in pairwise(shares))


def test_wind_alone_changes_little(porch: Porch) -> None:
    """Brought to a height of 100 pixels, as motion is looked for, hardly a pixel changes within 0.2 s."""

    def small(at: float) -> NDArray[np.int16]:
        picture = cv2.resize(porch.render(at), (178, 100), interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.int16)

    for begin, end in ((10.5, 18.5), (77.5, 87.5)):
        for at in moments(5, begin, end):
            assert porch.truth(at) == ()
            share = float((np.abs(small(at + 0.2) - small(at)) > 12).mean())
            assert share < 0.002, (at, share)
    walking = float((np.abs(small(6.2) - small(6.0)) > 12).mean())
    assert walking > 0.01


def test_night_is_monochrome_and_the_walker_bright(porch: Porch) -> None:
    assert np.ptp(porch.render(6.0).astype(np.int16), axis=2).max() > 60
    at = 75.0
    picture = porch.render(at)
    assert np.ptp(picture, axis=2).max() == 0
    walker = whole_person(porch, at)
    assert walker is not None
    left, top, right, bottom = (round(v * s) for v, s in zip(walker.box, (960, 540, 960, 540), strict=True))
    inside = np.percentile(picture[top:bottom, left:right, 0], 75)
    assert inside > 2.0 * np.median(picture)


def test_dusk_is_darker_than_day(porch: Porch) -> None:
    assert porch.render(58.0).mean() < 0.5 * porch.render(14.0).mean()


def test_motion_is_seen_when_somebody_passes_and_only_then(porch: Porch) -> None:
    """The device's own motion over a story and a half: wind, clouds, nightfall and dawn do not count."""
    motion = MotionDetector()
    missed, wrong = [], []
    for at in moments(5, end=1.5 * PERIOD):
        active = motion.step(cv2.cvtColor(porch.render(at), cv2.COLOR_BGR2GRAY), at).active
        second = at % PERIOD
        inside = any(actor.visible > 0.95 for actor in porch.truth(at))
        near = any(passage.begin - 0.5 <= second <= passage.finish + 2.0 for passage in PASSAGES)
        if inside and not active:
            missed.append(at)
        if active and not near:
            wrong.append(at)
    assert missed == []
    assert wrong == []
