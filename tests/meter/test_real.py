"""The shipped networks on real meters that they were not trained on, and on frames that show none.

The pictures and crops lie beside the checkout; without them these tests are skipped.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from meerkat_contract.meter_layout import MeterLayout
from meerkat_inference.meter.networks import Networks
from meerkat_inference.meter.picture_file import decode, read_picture
from meerkat_inference.meter.reader import read, read_crop
from support.shared import shared

pytest.importorskip("ai_edge_litert")
pytestmark = pytest.mark.shared

NAMES = ("nohn_8.jpg", "hwal.jpg")


@pytest.fixture(scope="module")
def networks() -> Iterator[Networks]:
    opened = Networks()
    yield opened
    opened.close()


def crops() -> list[tuple[np.ndarray, float]]:
    """(picture, position) of each roller."""
    with zipfile.ZipFile(shared("meter/crops.zip")) as archive:
        labels = next(name for name in archive.namelist() if name.endswith("labels.csv"))
        folder = labels.removesuffix("labels.csv")
        rows = csv.DictReader(io.StringIO(archive.read(labels).decode()))
        return [(decode(archive.read(folder + row["file"])), float(row["position"])) for row in rows]


def off(position: float | None, truth: float) -> float:
    return 10.0 if position is None else abs((position - truth + 5) % 10 - 5)


def test_single_wheels(networks: Networks) -> None:
    """Labels are tenths and a tenth or so off themselves: a position counts as the tenth that it is."""
    found = [(read_crop(picture, networks).position, truth) for picture, truth in crops()]
    assert len(found) == 300
    near = [off(None if place is None else round(place, 1), truth) < 0.2001 for place, truth in found]
    steady = [
        place is not None and round(place) % 10 == round(truth) % 10
        for place, truth in found
        if off(truth % 1 * 10, 0) < 2.001
    ]
    assert len(steady) > 100
    assert np.mean(steady) >= 0.99
    assert np.mean(near) >= 0.96


def laid_out(name: str) -> tuple[np.ndarray, MeterLayout, float, float]:
    told = json.loads(shared("meter/pictures.json").read_text(encoding="utf-8"))[name]
    layout = MeterLayout.model_validate(told)
    return read_picture(shared(f"meter/{name}")), layout, told["reading"], told["tolerance"]


@pytest.mark.parametrize("name", NAMES)
def test_whole_meters_to_full_precision(networks: Networks, name: str) -> None:
    picture, layout, reading, tolerance = laid_out(name)
    (counter,) = read(picture, layout, networks).counters
    assert counter.value == pytest.approx(reading, abs=tolerance)
    assert counter.verdict == "accepted", counter.reason


@pytest.mark.parametrize("turned", [-7.0, 5.0])
@pytest.mark.parametrize("name", NAMES)
def test_a_camera_that_hangs_askew(networks: Networks, name: str, turned: float) -> None:
    picture, layout, reading, tolerance = laid_out(name)
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), turned, 1)
    askew = cv2.warpAffine(picture, turn, (width, height))
    (counter,) = read(askew, layout.model_copy(update={"rotation_deg": turned}), networks).counters
    assert counter.value == pytest.approx(reading, abs=tolerance)


@pytest.mark.parametrize("scale", [0.4, 0.6])
@pytest.mark.parametrize("name", NAMES)
def test_a_meter_that_is_far_away(networks: Networks, name: str, scale: float) -> None:
    picture, layout, reading, tolerance = laid_out(name)
    height, width = picture.shape[:2]
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    made_for = layout.model_copy(update={"width": width, "height": height})
    (counter,) = read(small, made_for, networks).counters
    assert counter.value == pytest.approx(reading, abs=tolerance)


def unreadable(picture: np.ndarray, layout: MeterLayout) -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 3, picture.shape)
    _, _, wide, high = layout.digits[0]
    blurred = cv2.GaussianBlur(picture, (0, 0), high / 3)
    yield "black", np.clip(3 + noise, 0, 255)
    yield "white", np.clip(254 + noise, 0, 255)
    yield "fogged", blurred * 0.25 + 170
    yield "covered", np.clip(np.array((60, 80, 110)) + 2 * noise, 0, 255)
    yield "upside down", picture[::-1, ::-1]
    yield "noise", rng.integers(0, 256, picture.shape)
    for name, dx, dy in (
        ("half a digit to the right", wide / 2, 0),
        ("half a digit down", 0, high / 2),
        ("a digit down", 0, high),
        ("two digits up", 0, -2 * high),
    ):
        moved = np.array([[1, 0, dx], [0, 1, dy]], np.float32)
        yield name, cv2.warpAffine(picture, moved, picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize("name", NAMES)
def test_frames_that_show_no_reading_are_never_accepted(networks: Networks, name: str) -> None:
    picture, layout, _, _ = laid_out(name)
    accepted: list[str] = []
    for what, frame in unreadable(picture, layout):
        (counter,) = read(np.ascontiguousarray(frame, np.uint8), layout, networks).counters
        assert counter.reason or counter.verdict == "accepted"
        if counter.verdict == "accepted":
            accepted.append(what)
    assert accepted == []
