"""Embedders: a network of the catalogue on each engine, and dlib."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faces_support import networks
from faces_support.pictures import PORTRAIT_BOX, painted, portrait
from meerkat_contract.errors import MediaError, ModelError, UsageError
from meerkat_inference import catalogue
from meerkat_inference.faces.alignment import TEMPLATE, align, cut_out, similarity
from meerkat_inference.faces.embedder import USABLE
from meerkat_inference.faces.engine_embedder import EngineEmbedder, frontal
from meerkat_inference.faces.landmarks import CloseLook, Landmarks, open_close_look
from meerkat_inference.faces.loading import load_embedder
from meerkat_inference.opening import open_engine
from support.edge_tpu import build_stub, write_compiled_model
from support.shared import shared

WHOLE = (0.0, 0.0, 1.0, 1.0)


class Eyes:
    """Says that the eyes are wherever the test wants them."""

    def __init__(self, points: np.ndarray, score: float = 1.0) -> None:
        self.points, self.score, self.closed = points, score, False

    def find(self, picture: np.ndarray, box: Any) -> Landmarks:
        return Landmarks(self.points, self.score)

    def close(self) -> None:
        self.closed = True


def tiny(path: Path, finder: Eyes | None = None, **embedding: Any) -> EngineEmbedder:
    entry = networks.entry(path, **embedding)
    return EngineEmbedder(entry, open_engine(path), finder)


def tiles(picture: np.ndarray) -> np.ndarray:
    """What the tiny networks say: mean RGB of 4 x 4 tiles, (4, 4, 3)."""
    small = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)[..., ::-1].astype(np.float32)
    return small.reshape(4, 16, 4, 16, 3).mean(axis=(1, 3))


# --- a network of the catalogue -------------------------------------------------------------------


def test_an_onnx_embedder_says_what_its_network_says(tmp_path: Path) -> None:
    picture = painted(1)
    seen = tiny(networks.write_onnx(tmp_path / "e.onnx"), rim=0).describe(picture, WHOLE)
    expected = tiles(picture).transpose(2, 0, 1).ravel()
    assert seen.embedding.dtype == np.float32
    np.testing.assert_allclose(seen.embedding, expected / np.linalg.norm(expected), atol=1e-5)


@pytest.mark.parametrize(("quantised", "near"), [(False, 1e-5), (True, 0.002)])
def test_a_tflite_embedder_says_what_its_network_says(tmp_path: Path, quantised: bool, near: float) -> None:
    picture = painted(1)
    path = networks.write_tflite(tmp_path / "e.tflite", quantised=quantised)
    seen = tiny(path, rim=0).describe(picture, WHOLE)
    expected = tiles(picture).ravel()
    np.testing.assert_allclose(seen.embedding, expected / np.linalg.norm(expected), atol=near)


def test_pixels_are_shifted_and_scaled_as_the_entry_says(tmp_path: Path) -> None:
    path = networks.write_onnx(tmp_path / "e.onnx")
    picture = painted(1)
    plain = tiny(path, rim=0, normalise=False).describe(picture, WHOLE).embedding
    centred = tiny(path, rim=0, normalise=False, mean=127.5, scale=1 / 128).describe(picture, WHOLE)
    np.testing.assert_allclose(centred.embedding, (plain - 127.5) / 128, atol=1e-4)
    blue = tiny(path, rim=0, normalise=False, colour="bgr").describe(picture, WHOLE).embedding
    np.testing.assert_allclose(blue.reshape(3, 16), plain.reshape(3, 16)[::-1], atol=1e-4)


def test_the_box_and_nothing_else_is_described(tmp_path: Path) -> None:
    embedder = tiny(networks.write_onnx(tmp_path / "e.onnx"), rim=0)
    scene = np.concatenate([painted(1), painted(2)], axis=1)
    np.testing.assert_allclose(
        embedder.describe(scene, (0.5, 0, 0.5, 1)).embedding,
        embedder.describe(painted(2), WHOLE).embedding,
        atol=1e-6,
    )


def test_a_face_that_is_turned_comes_out_upright(tmp_path: Path) -> None:
    points = (TEMPLATE * 120 + 100).astype(np.float32)
    path = networks.write_onnx(tmp_path / "e.onnx")
    picture = painted(3, side=320)
    straight = tiny(path, Eyes(points), alignment="arcface").describe(picture, WHOLE)
    matrix = cv2.getRotationMatrix2D((160, 160), 20, 1)
    turned = cv2.warpAffine(picture, matrix, (320, 320), borderMode=cv2.BORDER_REPLICATE)
    moved = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    upright = tiny(path, Eyes(moved), alignment="arcface").describe(turned, WHOLE)
    unaligned = tiny(path, Eyes(points), alignment="arcface").describe(turned, WHOLE)
    assert np.linalg.norm(upright.embedding - straight.embedding) < 0.02
    assert np.linalg.norm(unaligned.embedding - straight.embedding) > 0.05


def test_what_is_no_face_or_is_in_profile_is_not_usable(tmp_path: Path) -> None:
    path = networks.write_onnx(tmp_path / "e.onnx")
    points = (TEMPLATE * 200).astype(np.float32)
    assert tiny(path, Eyes(points)).describe(painted(3), WHOLE).quality >= USABLE
    assert tiny(path, Eyes(points, score=0.1)).describe(painted(3), WHOLE).quality < USABLE
    profile = points.copy()
    profile[2, 0] = profile[0, 0]
    seen = tiny(path, Eyes(profile)).describe(painted(3), WHOLE)
    assert seen.quality < USABLE
    assert seen.reason == "no face that looks this way"
    assert frontal(points) > 0.9


@pytest.mark.parametrize(
    ("nose", "least", "most"),
    [((0, 0.55), 1, 1), ((0.25, 0.55), 0.5, 0.7), ((0.5, 0.55), 0, 0), ((0, 1.05), 0, 0), ((0, -0.2), 0, 0)],
)
@pytest.mark.parametrize("turn", [0.0, 0.6, -1.2])
def test_a_face_looks_this_way_when_its_nose_is_below_the_middle_of_the_eyes(
    nose: tuple[float, float], least: float, most: float, turn: float
) -> None:
    points = np.array([[-0.5, 0], [0.5, 0], nose, [-0.4, 1], [0.4, 1]], np.float32) * 40
    c, s = np.cos(turn), np.sin(turn)
    turned = (points @ np.array([[c, s], [-s, c]]) + 100).astype(np.float32)
    assert least - 1e-4 <= frontal(turned) <= most + 1e-4


def test_an_embedder_that_needs_eyes_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="pull yunet"):
        tiny(networks.write_onnx(tmp_path / "e.onnx"), alignment="arcface")


def test_a_network_with_other_numbers_is_refused(tmp_path: Path) -> None:
    embedder = tiny(networks.write_onnx(tmp_path / "e.onnx"), dimensions=128)
    with pytest.raises(ModelError, match="48 numbers"):
        embedder.describe(painted(1), WHOLE)


def test_a_box_without_pixels_is_refused(tmp_path: Path) -> None:
    embedder = tiny(networks.write_onnx(tmp_path / "e.onnx"))
    with pytest.raises(MediaError, match="cannot be described"):
        embedder.describe(painted(1), (0.5, 0.5, 0.0, 0.1))


def test_closing_closes_all(tmp_path: Path) -> None:
    eyes = Eyes((TEMPLATE * 200).astype(np.float32))
    embedder = tiny(networks.write_onnx(tmp_path / "e.onnx"), eyes)
    embedder.close()
    assert eyes.closed
    with pytest.raises(ModelError, match="closed"):
        embedder.describe(painted(1), WHOLE)


# --- alignment ------------------------------------------------------------------------------------


def test_a_similarity_finds_shift_turn_and_scale() -> None:
    points = np.random.default_rng(5).uniform(0, 100, (5, 2)).astype(np.float32)
    turn = 1.7 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    targets = (points @ turn.T + [12, -7]).astype(np.float32)
    matrix = similarity(points, targets)
    np.testing.assert_allclose(matrix, np.column_stack([turn, [12, -7]]), atol=1e-3)


def test_aligning_what_lies_on_the_template_changes_nothing() -> None:
    picture = painted(4, side=112)
    aligned = align(picture, (TEMPLATE * 112).astype(np.float32), (112, 112))
    assert np.abs(aligned.astype(int) - picture).max() <= 2


@pytest.mark.parametrize("box", [(-0.1, -0.2, 0.5, 0.5), (0.8, 0.7, 0.4, 0.4), (0.0, 0.0, 1.0, 1.0)])
def test_a_cut_out_is_square_beyond_the_edge_too(box: tuple[float, float, float, float]) -> None:
    close = cut_out(painted(4), box, rim=0.5)
    assert close.shape[0] == close.shape[1]
    assert close.shape[0] == pytest.approx(max(box[2:]) * 200 * 2, abs=1)


# --- opening --------------------------------------------------------------------------------------


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any model but what lies in the folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MEERKAT_MODELS", str(tmp_path))
    monkeypatch.delenv("MEERKAT_CATALOGUE", raising=False)
    return tmp_path


OWN = """
[[model]]
name = "mine"
title = "my own embedder"
task = "recognise_faces"
family = "embedding"
engines = ["onnxruntime"]
licence = "mine"
input = [64, 64]
[model.embedding]
dimensions = 48
alignment = "box"
threshold = 0.4
measured_on = "my family"
[[model.files]]
role = "model"
name = "mine.onnx"
bytes = {bytes}
sha256 = "{sha256}"
"""


def test_an_owner_adds_an_embedder_with_a_catalogue_of_their_own(
    alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = networks.write_onnx(alone / "any-name.onnx")
    file = networks.entry(path).model
    (alone / "mine.toml").write_text(OWN.format(bytes=file.bytes, sha256=file.sha256))
    monkeypatch.setenv("MEERKAT_CATALOGUE", str(alone / "mine.toml"))
    embedder = load_embedder("mine")
    assert embedder.info.sha256 == file.sha256
    assert embedder.info.engine == "onnxruntime"
    assert embedder.embedding.threshold == 0.4
    assert embedder.describe(painted(1), WHOLE).embedding.shape == (48,)


def test_an_embedder_that_is_compiled_for_it_runs_on_an_edge_tpu(
    alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in for a Coral says where the bright pixels are: ten boxes, taken as 40 numbers."""
    library = str(build_stub(alone))
    path = write_compiled_model(alone / "compiled.tflite", side=64)
    file = networks.entry(path).model
    text = OWN.format(bytes=file.bytes, sha256=file.sha256).replace("onnxruntime", "litert")
    text = text.replace("dimensions = 48", "dimensions = 40\nrim = 0\nnormalise = false")
    text = text.replace('licence = "mine"', 'licence = "mine"\ndevices = ["edgetpu"]')
    (alone / "mine.toml").write_text(text)
    monkeypatch.setenv("MEERKAT_CATALOGUE", str(alone / "mine.toml"))
    embedder = load_embedder(device="usb:0", library=library)
    assert (embedder.info.name, embedder.device) == ("mine", "edgetpu usb:0")
    picture = np.full((200, 200, 3), 90, np.uint8)
    picture[50:100, 100:200] = 250
    seen = embedder.describe(picture, WHOLE)
    np.testing.assert_allclose(seen.embedding[:4], [0.25, 0.5, 0.5, 1.0], atol=0.02)
    embedder.close()
    with pytest.raises(ModelError, match="mine runs on edgetpu, not on cpu"):
        load_embedder("mine")
    with pytest.raises(ModelError, match="dlib-resnet runs on cpu, not on usb:0"):
        load_embedder("dlib-resnet", device="usb:0", library=library)


def test_without_one_for_the_edge_tpu_no_other_is_taken(alone: Path) -> None:
    with pytest.raises(ModelError, match="Compile one for it"):
        load_embedder(device="usb:0")


def test_a_wrong_catalogue_is_told_with_its_file(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (alone / "mine.toml").write_text(OWN.format(bytes=1, sha256="ab"))
    monkeypatch.setenv("MEERKAT_CATALOGUE", str(alone / "mine.toml"))
    with pytest.raises(UsageError, match=r"mine\.toml: the catalogue cannot be read"):
        catalogue.entries()
    (alone / "other.toml").write_text(OWN.replace('"mine"', '"yunet"').format(bytes=1, sha256="0" * 64))
    monkeypatch.setenv("MEERKAT_CATALOGUE", str(alone / "other.toml"))
    with pytest.raises(UsageError, match="'yunet' is Meerkat's own"):
        catalogue.entries()


def test_without_any_embedder_the_remedy_is_told(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "face_recognition_models")
    with pytest.raises(UsageError, match=r"pip install 'meerkat-home\[faces\]'"):
        load_embedder()


def test_without_dlib_its_remedy_is_told(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "dlib")
    with pytest.raises(UsageError, match=r"pip install 'meerkat-home\[faces\]'") as caught:
        load_embedder("dlib-resnet")
    assert caught.value.exit_status == 2


def test_a_detector_is_no_embedder() -> None:
    with pytest.raises(ModelError, match="dlib-resnet, sface"):
        load_embedder("yunet")


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """As if it were not installed."""
    import importlib
    import importlib.util

    really: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(
        "meerkat_inference.store.find_spec", lambda name, *a: None if name == package else really(name, *a)
    )
    importing = importlib.import_module

    def refuse(name: str, *given: Any) -> Any:
        if name == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return importing(name, *given)

    monkeypatch.setattr("meerkat_inference.faces.dlib_embedder.import_module", refuse)
    assert builtins.__import__


# --- real faces -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dlib_embedder() -> Any:
    pytest.importorskip("dlib", reason="needs the extra faces")
    embedder = load_embedder("dlib-resnet")
    yield embedder
    embedder.close()


def test_dlib_says_the_same_of_a_face_that_is_smaller_turned_and_darker(dlib_embedder: Any) -> None:
    picture = portrait()
    sharp = dlib_embedder.describe(picture, PORTRAIT_BOX)
    assert sharp.embedding.shape == (128,)
    assert sharp.embedding.dtype == np.float32
    assert sharp.quality > 0.9
    half = cv2.resize(picture, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    dark = (picture * 0.4).astype(np.uint8)
    for other in (half, dark, np.ascontiguousarray(picture[:, ::-1])):
        box = PORTRAIT_BOX if other.shape != picture.shape or other is dark else (0.306, 0.201, 0.352, 0.366)
        seen = dlib_embedder.describe(other, box)
        assert seen.quality >= USABLE
        assert np.linalg.norm(seen.embedding - sharp.embedding) < dlib_embedder.embedding.threshold / 2


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: cv2.GaussianBlur(p, (0, 0), 8), "blurred"),
        (lambda p: cv2.resize(p, None, fx=0.08, fy=0.08, interpolation=cv2.INTER_AREA), "pixels wide"),
        (lambda p: (p * 0.06 + 90).astype(np.uint8), "flat"),
        (lambda p: np.ascontiguousarray(p[::-1]), "no face"),
    ],
)
def test_a_face_that_cannot_be_made_out_is_not_usable(dlib_embedder: Any, spoil: Any, reason: str) -> None:
    seen = dlib_embedder.describe(np.asarray(spoil(portrait()), np.uint8), PORTRAIT_BOX)
    assert seen.quality < USABLE
    assert reason in seen.reason


def test_a_picture_is_not_changed_by_looking_at_it(dlib_embedder: Any) -> None:
    picture = portrait()
    before = picture.copy()
    dlib_embedder.describe(picture, PORTRAIT_BOX)
    assert (picture == before).all()


@pytest.mark.shared
def test_a_close_look_finds_eyes_nose_and_mouth() -> None:
    folder = shared("models/yunet_n_320_320.onnx").parent
    look: CloseLook = open_close_look(folders=[folder])
    found = look.find(portrait(), PORTRAIT_BOX)
    assert found.score > 0.9
    # Read off the picture by hand, to within a few pixels.
    by_hand = np.array([[222, 192], [306, 189], [271, 240], [230, 279], [304, 276]], np.float32)
    assert np.abs(found.points - by_hand).max() < 14
    assert frontal(found.points) > 0.7


@pytest.mark.shared
def test_heads_from_behind_and_from_the_side_are_never_usable(dlib_embedder: Any, tmp_path: Path) -> None:
    """Face detectors take the backs of heads in this footage for faces, and they must have no name."""
    from meerkat_inference.loading import load_detector
    from meerkat_inference.sampling import Clip

    folder = shared("models/yunet_n_320_320.onnx").parent
    detector = load_detector("yunet", folders=[folder])
    path = networks.write_onnx(tmp_path / "e.onnx")
    with_a_close_look = EngineEmbedder(
        networks.entry(path), open_engine(path), open_close_look(folders=[folder])
    )
    assert with_a_close_look.describe(portrait(), PORTRAIT_BOX).quality > 0.8
    heads = []
    with Clip(shared("media/one-by-one-person-detection.mp4").read_bytes(), sample_fps=0.7) as clip:
        for sample in clip:
            for found in detector.detect(sample.picture):
                if found.score >= 0.3:
                    heads += [
                        e.describe(sample.picture, found.box) for e in (dlib_embedder, with_a_close_look)
                    ]
    assert len(heads) >= 30
    assert max(head.quality for head in heads) < USABLE
