"""Layouts proposed from one picture: rendered meters of random design, real ones, and what is no meter."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from meerkat_contract.errors import MediaError
from meerkat_contract.meter_layout import MeterLayout
from meerkat_inference.meter.align import align
from meerkat_inference.meter.command import meter
from meerkat_inference.meter.layout_file import load_layout
from meerkat_inference.meter.networks import Networks
from meerkat_inference.meter.propose import propose, proposing
from meerkat_inference.meter.reader import read
from meerkat_training.faces.face import Truth
from meerkat_training.faces.meters import meters
from support.shared import shared

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from meter_propose import LEAST, judge

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks()


@pytest.fixture(scope="module")
def faces() -> list[tuple[Picture, Truth]]:
    return list(meters(12, 77, 0, size=(640, 480)))


def share_found(found: list[tuple[Picture, Truth]], networks: Networks) -> float:
    good = 0
    for picture, truth in found:
        try:
            layout = propose(picture, networks).layout
        except MediaError:
            continue
        wrong, _, _ = judge(layout, truth.layout, (picture.shape[1], picture.shape[0]))
        good += not wrong
    return good / len(found)


def test_each_box_of_most_rendered_meters_is_found(faces, networks):
    assert share_found(faces, networks) >= 11 / 12


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_each_box_is_found_on_95_of_100_rendered_meters(networks):
    assert share_found(list(meters(500, 5, 2)), networks) >= 0.95


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_a_meter_is_found_however_the_camera_hangs(faces, networks, quarter):
    """The same boxes, turned with the picture."""
    picture, _ = next(
        (picture, truth)
        for picture, truth in faces
        if abs(truth.layout.rotation_deg) < 8 and share_found([(picture, truth)], networks)
    )
    straight = propose(picture, networks).layout
    turned = propose(np.ascontiguousarray(np.rot90(picture, quarter)), networks).layout
    assert len(turned.digits) == len(straight.digits)
    assert len(turned.pointers) == len(straight.pointers)
    off = turned.rotation_deg - straight.rotation_deg - 90 * quarter
    assert abs((off + 180) % 360 - 180) < 2


def test_the_layout_carries_landmarks_of_its_picture(faces, networks):
    picture, _ = faces[0]
    layout = propose(picture, networks).layout
    assert (layout.width, layout.height) == (640, 480)
    seen, _ = align(picture, layout)
    assert seen.score > 0.8
    assert abs(seen.dx) < 1
    assert abs(seen.dy) < 1


def test_when_finder_and_wheel_network_count_differently_the_owner_is_told(faces, networks, monkeypatch):
    picture, _ = faces[0]
    assert "count the boxes" not in " ".join(propose(picture, networks).doubts)
    monkeypatch.setattr(proposing, "recount", lambda _, row, __: replace(row, spots=row.spots[1:]))
    assert "count the boxes" in " ".join(propose(picture, networks).doubts)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((480, 640, 3), np.uint8),
        np.full((480, 640, 3), 255, np.uint8),
        np.random.default_rng(1).integers(0, 256, (480, 640, 3)).astype(np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((3000, 8, 3), np.uint8),
    ],
    ids=["black", "white", "noise", "one pixel", "a line"],
)
def test_what_shows_no_meter_is_an_error_with_a_remedy(picture, networks):
    with pytest.raises(MediaError, match="no row of wheels") as raised:
        propose(picture, networks)
    assert "more light" in raised.value.remedy


def real(name: str) -> tuple[Picture, MeterLayout, float, float]:
    about = json.loads(shared("meter/pictures.json").read_text())[name]
    picture = np.asarray(cv2.imread(str(shared(f"meter/{name}"))), np.uint8)
    truth = MeterLayout.model_validate({**about, "width": picture.shape[1], "height": picture.shape[0]})
    return picture, truth, about["reading"], about["tolerance"]


@pytest.mark.parametrize("name", ["hwal.jpg", "nohn_8.jpg"])
def test_real_meters_are_laid_out_and_read_to_their_last_place(name, networks):
    picture, truth, reading, tolerance = real(name)
    proposal = propose(picture, networks)
    wrong, least, _ = judge(proposal.layout, truth, (picture.shape[1], picture.shape[0]))
    assert not wrong
    assert least >= LEAST
    (counter,) = read(picture, proposal.layout, networks).counters
    assert proposal.layout.step == pytest.approx(truth.step) or "decimal point" in " ".join(proposal.doubts)
    assert counter.value is not None
    shift = truth.step / proposal.layout.step  # the decimal point may be a guess, the figures may not
    assert counter.value * shift == pytest.approx(reading, abs=tolerance)


def test_the_command_writes_a_layout_that_people_and_the_reader_understand(faces, networks, tmp_path):
    picture, _ = faces[0]
    (tmp_path / "cellar").mkdir()
    cv2.imwrite(str(tmp_path / "cellar/meter.png"), picture)
    file, drawing = tmp_path / "meter.yaml", tmp_path / "drawn.png"
    words = ["propose", str(tmp_path / "cellar/meter.png"), "-o", str(file), "--draw", str(drawing)]
    result = CliRunner().invoke(meter, words)
    assert result.exit_code == 0, result.output
    layout, warnings = load_layout(file)
    assert warnings == ()
    expected = propose(picture, networks)
    assert layout.digits == expected.layout.digits
    assert layout.pointer_factors == expected.layout.pointer_factors
    assert layout.reference == "cellar/meter.png"
    assert layout.landmarks is None
    assert "most significant first" in file.read_text()
    assert f"{len(layout.digits)} wheels" in result.output
    for doubt in expected.doubts:
        assert doubt in result.output
    assert cv2.imread(str(drawing)).shape == picture.shape
    again = CliRunner().invoke(
        meter, ["read", str(tmp_path / "cellar/meter.png"), "--layout", str(file), "--json"]
    )
    assert again.exit_code == 0, again.output
    assert json.loads(again.output)["alignment"]["score"] > 0.8


def test_a_picture_elsewhere_is_named_from_the_layouts_folder(faces, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "layouts/of me").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "layouts/of me")  # its `..` is not the folder's above
    shot, file = tmp_path / "pictures/meter.png", tmp_path / "linked/meter.yaml"
    cv2.imwrite(str(shot), faces[0][0])
    result = CliRunner().invoke(meter, ["propose", str(shot), "-o", str(file)])
    assert result.exit_code == 0, result.output
    assert load_layout(file)[0].reference == "../../pictures/meter.png"
    assert "aligned with ../../pictures/meter.png" in result.output
    again = CliRunner().invoke(meter, ["read", str(shot), "--layout", str(file), "--json"])
    assert json.loads(again.stdout)["alignment"]["score"] > 0.8


def test_the_command_that_draws_can_be_pasted(faces, tmp_path):
    shot, file = tmp_path / "my meter.png", tmp_path / "my meter.yaml"
    cv2.imwrite(str(shot), faces[0][0])
    result = CliRunner().invoke(meter, ["propose", str(shot), "-o", str(file)])
    told = shlex.split(result.output.rpartition("See it drawn: ")[2])
    assert told == ["meerkat", "meter", "draw", str(shot), "--layout", str(file), "-o", "drawn.png"]
    assert "keep:" not in result.output


def test_a_picture_without_detail_is_no_reference(faces, tmp_path, monkeypatch):
    def plain(*_: object) -> bytes:
        raise MediaError("too little detail", where="reference", remedy="Take another")

    cv2.imwrite(str(tmp_path / "meter.png"), faces[0][0])
    monkeypatch.setattr(proposing.landmarks, "features", plain)
    words = ["propose", str(tmp_path / "meter.png"), "-o", str(tmp_path / "meter.yaml")]
    result = CliRunner().invoke(meter, words)
    assert "too little detail to align later ones" in result.output
    assert load_layout(tmp_path / "meter.yaml")[0].reference == ""
    words = ["read", str(tmp_path / "meter.png"), "--layout", str(tmp_path / "meter.yaml")]
    assert CliRunner().invoke(meter, words).exit_code == 0


def test_the_command_names_the_picture_that_shows_no_meter(tmp_path):
    cv2.imwrite(str(tmp_path / "dark.png"), np.zeros((480, 640, 3), np.uint8))
    words = ["propose", str(tmp_path / "dark.png"), "-o", str(tmp_path / "l.yaml")]
    result = CliRunner().invoke(meter, words)
    assert isinstance(result.exception, MediaError)
    assert result.exception.where == str(tmp_path / "dark.png")
    assert not (tmp_path / "l.yaml").exists()


def test_the_command_tells_it_all_as_json(faces, tmp_path):
    cv2.imwrite(str(tmp_path / "meter.png"), faces[0][0])
    result = CliRunner().invoke(meter, ["propose", str(tmp_path / "meter.png"), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert 0 < told["score"] <= 1
    assert isinstance(told["doubts"], list)
    assert MeterLayout.model_validate(told["layout"]).digits


def test_without_a_file_the_layout_goes_to_the_screen_and_the_rest_beside_it(faces, tmp_path):
    cv2.imwrite(str(tmp_path / "meter.png"), faces[0][0])
    result = CliRunner().invoke(meter, ["propose", str(tmp_path / "meter.png")])
    assert result.exit_code == 0, result.output
    (tmp_path / "layout.yaml").write_text(result.stdout)
    assert load_layout(tmp_path / "layout.yaml")[0].digits
    assert "wheels" in result.stderr
