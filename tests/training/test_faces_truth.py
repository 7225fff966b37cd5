"""A rendered meter's truth is what its picture shows: boxes, positions, rotation."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from meerkat_training import wheels
from meerkat_training.faces.designing import random_design
from meerkat_training.faces.face import Face, FaceTruth, paint, truth_of
from meerkat_training.faces.meters import meter, meters, random_reading
from meerkat_training.faces.preview import sheet, turned
from meerkat_training.faces.view import compose, lit, photograph, random_view

Bytes = NDArray[np.uint8]
SMALL = (640, 480)


def cut(picture: NDArray[np.generic], box: tuple[float, float, float, float]) -> NDArray[np.float32]:
    x, y, width, height = (round(part) for part in box)
    return picture[y : y + height, x : x + width].astype(np.float32)


def likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Correlation of two pictures of one size."""
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


@pytest.mark.parametrize("seed", range(8))
def test_each_wheel_stands_where_the_truth_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    design = random_design(rng)
    clear = replace(wheels.random_style(rng), paper=(0.95, 0.95, 0.95), ink=(0.0, 0.0, 0.0))
    clear = replace(clear, digit_share=0.6, stretch=0.5 / clear.font.width, pitch=1.3, wear=0, texture=0)
    design = replace(design, wheels=(clear,) * len(design.wheels))
    picture, truth = paint(design, random_reading(design, rng), rng)
    for box, position in zip(truth.layout.digits, truth.wheels, strict=True):
        seen = cut(picture, box)
        height = seen.shape[0]
        width = round(height * design.row.width / design.row.height)
        places = {}
        for offset in (-2.5, 0.0, 2.5):
            window = wheels.paint_window(clear, (position + offset) % 10, width, height, rng)
            shared = min(width, seen.shape[1])
            a, b = (seen.shape[1] - shared) // 2, (width - shared) // 2
            places[offset] = likeness(seen[:, a : a + shared], window[:, b : b + shared])
        assert places[0.0] > 0.7
        assert max(places, key=lambda offset: places[offset]) == 0.0


@pytest.mark.parametrize("seed", range(6))
def test_boxes_hit_the_windows_in_the_picture_turned_upright(seed: int) -> None:
    """Painted bright as beacons, the windows and dials are where their boxes are, and nowhere else."""
    rng = np.random.default_rng(100 + seed)
    design = random_design(rng)
    view = random_view(design, rng, SMALL)
    truth = truth_of(design, 0.0, view.matrix, view.size)
    upright = turned(beacons(truth), truth.layout)
    for x, y, width, height in (*truth.layout.digits, *truth.layout.pointers):
        assert upright[round(y + height / 2), round(x + width / 2), 0] > 200
    for x, y, width, height in truth.layout.pointers:
        spare = 0.1 * width
        corner, end = (
            (round(x - spare), round(y - spare)),
            (round(x + width + spare), round(y + height + spare)),
        )
        cv2.rectangle(upright, corner, end, (0, 0, 0), -1)
    rows, columns = np.nonzero(upright[..., 0] > 128)
    boxes = np.array(truth.layout.digits)
    near = 0.2 * float(boxes[:, 3].mean())
    assert rows.min() == pytest.approx(boxes[:, 1].min(), abs=near)
    assert rows.max() == pytest.approx((boxes[:, 1] + boxes[:, 3]).max(), abs=near)
    middle = (boxes[:, 0].min() + (boxes[:, 0] + boxes[:, 2]).max()) / 2
    assert (columns.min() + columns.max()) / 2 == pytest.approx(middle, abs=near)


def beacons(truth: FaceTruth) -> Bytes:
    """A black picture with the windows and dials white, through the truth's own matrix."""
    design = truth.design
    picture = np.zeros((truth.layout.height, truth.layout.width, 3), np.uint8)
    half_width, half_height = design.row.width / 2, design.row.height / 2
    outlines = []
    for number in range(len(design.wheels)):
        x, y = design.row.middle(number)
        corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        outlines.append([(x + a * half_width, y + b * half_height) for a, b in corners])
    for dial in design.dials:
        turns, radius = np.linspace(0, 2 * np.pi, 40), dial.size / 2
        outlines.append([(dial.x + radius * np.cos(t), dial.y + radius * np.sin(t)) for t in turns])
    for outline in outlines:
        points = np.column_stack([np.array(outline), np.ones(len(outline))]) @ truth.matrix.T
        cv2.fillPoly(picture, [np.round(points[:, :2] / points[:, 2:]).astype(np.int32)], (255, 255, 255))
    return picture


def test_meter_seen_turned_clockwise_is_turned_back_counter_clockwise() -> None:
    rng = np.random.default_rng(5)
    design = random_design(rng)
    view = random_view(design, rng, SMALL)
    # A quarter turn clockwise about the middle takes what is right of it below it.
    quarter = np.array([[0, -1, 320 + 240], [1, 0, 240 - 320], [0, 0, 1]], np.float64)
    straight = truth_of(design, 1.0, view.matrix, view.size).layout.rotation_deg
    clockwise = truth_of(design, 1.0, quarter @ view.matrix, view.size).layout.rotation_deg
    assert (clockwise - straight) % 360 == pytest.approx(270, abs=0.1)


def test_same_seed_same_meter() -> None:
    one, truth = meter(3, 1, SMALL)
    other, again = meter(3, 1, SMALL)
    assert np.array_equal(one, other)
    assert truth.layout == again.layout
    assert not np.array_equal(one, meter(4, 1, SMALL)[0])


def test_workers_paint_the_same_meters() -> None:
    alone = list(meters(2, seed=2, size=SMALL))
    shared = list(meters(2, seed=2, workers=1, size=SMALL))
    assert all(np.array_equal(one[0], other[0]) for one, other in zip(alone, shared, strict=True))


def test_pictures_are_what_a_camera_gives() -> None:
    for picture, truth in meters(6, seed=8, size=SMALL):
        assert picture.shape == (480, 640, 3)
        assert picture.dtype == np.uint8
        boxes = (*truth.layout.digits, *truth.layout.pointers)
        assert all(x >= 0 and y >= 0 and x + w <= 640 and y + h <= 480 for x, y, w, h in boxes)
        assert 4 <= len(truth.layout.digits) <= 9
        assert len(truth.needles) == len(truth.layout.pointers) <= 5


def test_designs_differ_in_everything() -> None:
    designs = [random_design(np.random.default_rng(seed)) for seed in range(120)]
    assert {design.kind for design in designs} == {"water", "gas", "electricity"}
    assert {design.row.kind for design in designs} == {"long", "single", "ledges"}
    assert {design.case.shape for design in designs} == {"round", "box"}
    assert len({len(design.wheels) for design in designs}) >= 4
    assert {len(design.dials) for design in designs} >= {0, 1, 2, 3, 4}
    assert {print_.kind for design in designs for print_ in design.prints} >= {
        "text", "ce", "boxed", "barcode", "logo", "star", "patch", "slot",
    }  # fmt: skip
    assert any(any(design.mirrored) for design in designs)


def test_perfect_camera_shows_the_scene() -> None:
    rng = np.random.default_rng(11)
    design = random_design(rng)
    view = random_view(design, rng, SMALL)
    picture, truth = photograph(design, 12.0, np.random.default_rng(1), view, strength=0)
    face = Face(design, view.scale())
    scene = lit(compose(face, face.turned(12.0, np.random.default_rng(1)), view), view)
    expected = np.clip(scene[..., ::-1], 0, 1) * 255
    assert np.abs(picture - expected).max() < 1
    assert truth.reading == 12.0


def test_contact_sheet_has_its_meters() -> None:
    page = sheet(1, 1, columns=2, cell=120)
    assert page.shape == (90, 240, 3)
    assert page[:120, :120].std() > 10
    assert page[:, 120:].max() == 0
