"""Detectors: geometry, reading of outputs, calibration, and which one is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat_contract.errors import MediaError, ModelError
from meerkat_contract.vocabulary import LABELS
from meerkat_inference import catalogue, store
from meerkat_inference.detector import FALLBACK, FLOOR
from meerkat_inference.engine import TensorInfo
from meerkat_inference.families.canvas import GREY, Canvas
from meerkat_inference.families.network import Boxes, Calibration
from meerkat_inference.families.yolox import Yolox, grid
from meerkat_inference.hog import _CALIBRATION as HOG_CALIBRATION
from meerkat_inference.loading import load_detector
from support.darknet import DETECTOR, write_random
from support.shared import shared

DETECTORS = [entry for entry in catalogue.entries() if entry.embedding is None]


def test_a_letterboxed_picture_keeps_its_proportions() -> None:
    canvas = Canvas(416, 416, letterbox=True)
    pixels = canvas.lay(np.full((100, 200, 3), 255, np.uint8))
    assert (pixels[:104] == GREY).all()
    assert (pixels[104:312] == 255).all()
    assert (pixels[312:] == GREY).all()


def test_a_canvas_forgets_the_former_picture() -> None:
    canvas = Canvas(64, 64, letterbox=True)
    canvas.lay(np.full((100, 100, 3), 255, np.uint8))
    pixels = canvas.lay(np.full((50, 100, 3), 7, np.uint8))
    assert (pixels[:16] == GREY).all()
    assert (pixels[16:48] == 7).all()


@pytest.mark.parametrize("letterbox", [True, False])
@given(width=st.integers(1, 4000), height=st.integers(1, 4000))
def test_the_whole_picture_is_the_whole_box(letterbox: bool, width: int, height: int) -> None:
    canvas = Canvas(320, 240, letterbox=letterbox)
    canvas._measure(height, width)
    inner = canvas._inner
    left = (320 - inner.shape[1]) // 2
    top = (240 - inner.shape[0]) // 2
    box = np.array([[left, top, left + inner.shape[1], top + inner.shape[0]]], np.float32)
    np.testing.assert_allclose(canvas.fractions(box), [[0, 0, 1, 1]], atol=1e-5)


def test_boxes_beyond_the_picture_are_clipped() -> None:
    canvas = Canvas(100, 100, letterbox=True)
    canvas.lay(np.zeros((50, 100, 3), np.uint8))
    clipped = canvas.fractions(np.array([[-10, 0, 50, 50]], np.float32))
    np.testing.assert_allclose(clipped, [[0, 0, 0.5, 0.5]])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(array: Any) -> None:
    with pytest.raises(MediaError, match="is not a picture"):
        Canvas(32, 32, letterbox=True).lay(array)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_calibration_never_turns_scores_around(one: float, other: float) -> None:
    for entry in DETECTORS:
        low, high = Calibration(entry.calibration).house(np.array(sorted([one, other]), np.float32))
        assert 0 <= low <= high <= 1


def test_the_working_point_is_one_half() -> None:
    for entry in DETECTORS:
        calibration = Calibration(entry.calibration)
        (raw,) = (raw for raw, house in entry.calibration if house == 0.5)
        assert calibration.house(np.array([raw], np.float32))[0] == pytest.approx(0.5)
        assert calibration.raw(0.5) == pytest.approx(raw)


class Script:
    """An engine that answers what the test says."""

    name = "litert"
    device = "cpu"
    outputs = ("out",)

    def __init__(self, answer: np.ndarray, size: int = 416) -> None:
        self.inputs = (TensorInfo("in", (1, 3, size, size), "float32"),)
        self.answer = answer
        self.closed = False

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        assert inputs[0].shape == self.inputs[0].shape
        return [self.answer]

    def close(self) -> None:
        self.closed = True


def yolox(rows: Callable[[np.ndarray], None]) -> Yolox:
    """YOLOX whose network answers nothing but what `rows` writes into its (3549, 85) cells."""
    answer = np.zeros((1, 3549, 85), np.float32)
    rows(answer[0])
    return Yolox(catalogue.get("yolox-nano"), Script(answer), LABELS)


def test_yolox_boxes_land_where_the_cell_says() -> None:
    def rows(cells: np.ndarray) -> None:
        # Stride 32 begins behind 52*52 + 26*26 cells; column 6, row 6 of 13 is the middle.
        cells[52 * 52 + 26 * 26 + 6 * 13 + 6, :5] = [0.5, 0.5, np.log(2), np.log(4), 1]
        cells[52 * 52 + 26 * 26 + 6 * 13 + 6, 5 + LABELS.index("dog")] = 0.85

    (found,) = yolox(rows).detect(np.zeros((416, 416, 3), np.uint8))
    assert found.label == "dog"
    assert found.score == pytest.approx(0.9, abs=1e-5)
    assert found.box == pytest.approx((0.5 - 32 / 416, 0.5 - 64 / 416, 64 / 416, 128 / 416), abs=1e-5)


def test_doubles_are_suppressed_for_each_label_alone() -> None:
    def rows(cells: np.ndarray) -> None:
        for cell, label, score in (
            (100, "cat", 0.9),
            (101, "cat", 0.8),
            (102, "dog", 0.7),
            (400, "cat", 0.6),
        ):
            cells[cell, 2:5] = [3, 3, 1]
            cells[cell, 5 + LABELS.index(label)] = score

    founds = yolox(rows).detect(np.zeros((416, 416, 3), np.uint8))
    assert [found.label for found in founds] == ["cat", "dog", "cat"]
    assert [found.score for found in founds] == sorted((found.score for found in founds), reverse=True)


def test_scores_below_the_floor_are_not_reported() -> None:
    def rows(cells: np.ndarray) -> None:
        cells[100, 4], cells[100, 5] = 1, FLOOR * 0.99
        cells[2000, 4], cells[2000, 5] = 1, FLOOR * 1.01

    assert len(yolox(rows).detect(np.zeros((416, 416, 3), np.uint8))) == 1


def test_an_often_mistaken_label_needs_a_higher_score() -> None:
    def rows(cells: np.ndarray) -> None:
        cells[100, 4], cells[100, 5 + LABELS.index("train")] = 1, 0.65

    (found,) = yolox(rows).detect(np.zeros((416, 416, 3), np.uint8))
    assert found.label == "train"
    assert found.score < 0.5


def test_numbers_that_are_none_are_an_error_and_no_empty_picture() -> None:
    def rows(cells: np.ndarray) -> None:
        cells[100, 4], cells[100, 5], cells[100, 0] = 1, 1, np.nan

    with pytest.raises(ModelError, match="numbers that are none"):
        yolox(rows).detect(np.zeros((416, 416, 3), np.uint8))


def test_thousands_of_candidates_are_cut_to_the_best() -> None:
    boxes = Boxes(
        np.zeros((5000, 4), np.float32), np.arange(5000, dtype=np.float32), np.zeros(5000, np.int32)
    )
    assert sorted(boxes.best(3).scores) == [4997, 4998, 4999]


def test_the_grid_runs_row_by_row() -> None:
    cells, strides = grid(32, 16, (8, 16))
    assert cells[:5].tolist() == [[0, 0], [1, 0], [2, 0], [3, 0], [0, 1]]
    assert strides[:, 0].tolist() == [8] * 8 + [16] * 2


# --- loading --------------------------------------------------------------------------------------


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MEERKAT_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_without_any_model_the_fallback_looks_and_says_so(nowhere: Path) -> None:
    lines: list[str] = []
    looking = load_detector(folders=[nowhere], log=lines.append)
    assert (looking.info.name, looking.info.engine, looking.info.fallback) == (FALLBACK, "hog", True)
    assert "meerkat models pull" in lines[0]


def test_the_fallback_is_never_certain() -> None:
    margins = np.array([0.3, 3.0, 50.0], np.float32)
    assert HOG_CALIBRATION.house(margins) == pytest.approx([0.5, 0.95, 0.95])
    assert HOG_CALIBRATION.raw(0.5) == pytest.approx(0.3)


def test_a_named_model_that_is_absent_is_an_error_and_no_fallback(nowhere: Path) -> None:
    with pytest.raises(ModelError, match="meerkat models pull yolox-nano"):
        load_detector("yolox-nano", folders=[nowhere])


def test_faces_have_no_fallback(nowhere: Path) -> None:
    with pytest.raises(ModelError, match="no model for detect_faces"):
        load_detector(task="detect_faces", folders=[nowhere])


def test_a_model_for_another_task_is_an_error_and_sees_nothing(nowhere: Path) -> None:
    with pytest.raises(ModelError, match=r"yolox-nano is for detect_objects, not for detect_faces\. .*yunet"):
        load_detector("yolox-nano", folders=[nowhere], task="detect_faces")
    with pytest.raises(ModelError, match="dlib-resnet is for recognise_faces"):
        load_detector("dlib-resnet", folders=[nowhere], task="detect_objects")


def test_an_engine_that_is_not_installed_is_an_error_and_no_fallback(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meerkat_inference.opening.installed", lambda kind: kind == "opencv")
    with pytest.raises(ModelError, match=r"engine: libdarknet is not installed\. Install Debian"):
        load_detector(folders=[nowhere], engine="libdarknet")
    lines: list[str] = []
    assert load_detector(folders=[nowhere], engine="opencv", log=lines.append).info.fallback
    assert lines[0].startswith("No model that opencv runs is there")


def test_an_unknown_model_lists_the_known(nowhere: Path) -> None:
    with pytest.raises(ModelError, match="yolox-nano"):
        load_detector("yolox-giga")


@pytest.mark.shared
def test_the_default_is_taken_first(nowhere: Path) -> None:
    folder = shared("models/yolox_nano_drq.tflite").parent
    lines: list[str] = []
    looking = load_detector(folders=[folder], log=lines.append)
    assert looking.info.name == catalogue.default().name
    assert lines == [f"Looking with yolox-nano on {looking.info.engine}"]
    assert looking.info.sha256 == catalogue.default().model.sha256


@pytest.mark.shared
def test_a_model_whose_engine_is_missing_makes_room_for_the_next(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shared("models/yolox_nano_drq.tflite").parent
    monkeypatch.setattr("meerkat_inference.opening.installed", lambda kind: kind == "opencv")
    lines: list[str] = []
    looking = load_detector(folders=[folder], log=lines.append)
    assert looking.info.name == "yolo-fastest"
    assert "yolox-nano is there but cannot be used" in lines[0]


def test_the_cloud_takes_its_own_models_first_and_a_house_only_when_named(nowhere: Path) -> None:
    entry = catalogue.get("yolov4-tiny")
    weights, config = write_random(
        nowhere, DETECTOR.replace("classes=2", "classes=80").replace("=21", "=255")
    )
    for file, path in zip(entry.files, (weights, config), strict=True):
        path.rename(nowhere / file.name)
        store.note(nowhere / file.name)
    assert load_detector(folders=[nowhere]).info.fallback
    for detector in (
        load_detector(folders=[nowhere], place="cloud"),
        load_detector("yolov4-tiny", folders=[nowhere]),
    ):
        assert detector.info.name == "yolov4-tiny"
        assert len(detector.info.sha256) == 64
    assert load_detector(folders=[nowhere], place="cloud", engine="litert").info.fallback


# --- the fallback ---------------------------------------------------------------------------------


def test_the_fallback_sees_nobody_in_a_plain_picture() -> None:
    assert load_detector(FALLBACK).detect(np.full((480, 640, 3), 90, np.uint8)) == []


def test_the_fallback_refuses_a_picture_too_long_to_search() -> None:
    with pytest.raises(MediaError, match="too long"):
        load_detector(FALLBACK).detect(np.zeros((60, 1200, 3), np.uint8))


def test_opencv_keeps_to_one_thread() -> None:
    load_detector(FALLBACK)
    assert cv2.getNumThreads() == 1
