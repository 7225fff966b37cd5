"""One suite for every engine. It also runs in the environment of the extra coral-legacy, see
docs/how-to/models.md; engines whose package is missing are skipped there and here."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from meerkat_contract.errors import ModelError
from meerkat_inference import opening
from meerkat_inference.engine import Engine
from meerkat_inference.engines.quiet import quietly
from meerkat_inference.opening import choose, installed, kinds_for, open_engine
from support.networks import write_darknet, write_relu
from support.shared import shared


@dataclass(frozen=True)
class Case:
    kind: str
    file: str
    shape: tuple[int, ...]
    dtype: str
    outputs: tuple[tuple[int, ...], ...]


CASES = [
    *(
        case
        for kind in ("litert", "tflite_runtime")
        for case in (
            Case(kind, "kz_person.tflite", (1, 3, 192, 192), "float32", ((1, 756, 6),)),
            Case(
                kind,
                "ssd_mobilenet_v1.tflite",
                (1, 300, 300, 3),
                "uint8",
                ((1, 10, 4), (1, 10), (1, 10), (1,)),
            ),
            Case(kind, "slim320.tflite", (1, 240, 320, 3), "float32", ((1, 4420, 4), (1, 4420, 2))),
        )
    ),
    Case("onnxruntime", "FastestDet.onnx", (1, 3, 352, 352), "float32", ((1, 85, 22, 22),)),
    Case("opencv", "FastestDet.onnx", (1, 3, 352, 352), "float32", ((1, 85, 22, 22),)),
    Case("opencv", "yolo-fastest-1.1.weights", (1, 3, 320, 320), "float32", ((300, 85), (1200, 85))),
    Case("onnxruntime", "relu", (1, 3), "float32", ((1, 3),)),
    Case("opencv", "relu", (1, 3), "float32", ((1, 3),)),
    Case("opencv", "darknet", (1, 3, 32, 32), "float32", ((192, 6),)),
    Case("libdarknet", "darknet", (1, 3, 32, 32), "float32", ((192, 6),)),
    Case("darknet", "darknet", (1, 3, 32, 32), "float32", ((158, 6),)),  # doubles are dropped
]


def build(case: Case, folder: Path) -> Engine:
    if not installed(case.kind):
        pytest.skip(f"{case.kind} is not installed in this environment")
    if case.kind == "tflite_runtime" and int(np.__version__[0]) > 1:
        pytest.skip("tflite_runtime needs NumPy 1")
    if case.file == "relu":
        path = write_relu(folder / "relu.onnx")
    elif case.file == "darknet":
        path = write_darknet(folder)[0]
    else:
        path = shared(f"models/{case.file}")
    return open_engine(path, kind=case.kind)


@pytest.fixture(params=CASES, ids=lambda case: f"{case.kind}-{case.file}")
def case(request: pytest.FixtureRequest) -> Case:
    value = request.param
    assert isinstance(value, Case)
    return value


@pytest.fixture
def engine(case: Case, tmp_path: Path) -> Engine:
    return build(case, tmp_path)


def picture(case: Case, seed: int = 1) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 256, case.shape).astype(case.dtype)
    return values if case.dtype == "uint8" else values / values.dtype.type(255)


def test_engine_says_what_it_takes(case: Case, engine: Engine) -> None:
    assert engine.name == case.kind
    assert engine.device == "cpu"
    (info,) = engine.inputs
    assert info.dtype == case.dtype
    assert info.shape in (case.shape, ())
    assert len(engine.outputs) == len(case.outputs)


def test_engine_answers_in_the_shapes_of_the_network(case: Case, engine: Engine) -> None:
    answers = engine.run(picture(case))
    assert tuple(answer.shape for answer in answers) == case.outputs
    assert all(answer.dtype == np.float32 and np.isfinite(answer).all() for answer in answers)


def test_answers_belong_to_the_caller(case: Case, engine: Engine) -> None:
    first = engine.run(picture(case))
    kept = [answer.copy() for answer in first]
    engine.run(picture(case, seed=2))
    for answer, before in zip(first, kept, strict=True):
        np.testing.assert_array_equal(answer, before)
    for again, before in zip(engine.run(picture(case)), kept, strict=True):
        np.testing.assert_array_equal(again, before)


def test_a_wrong_type_is_refused(case: Case, engine: Engine) -> None:
    with pytest.raises(ModelError, match="int64 was given"):
        engine.run(picture(case).astype(np.int64))


def test_a_wrong_shape_is_refused(case: Case, engine: Engine) -> None:
    if case.file == "relu" and not engine.inputs[0].shape:
        pytest.skip("OpenCV does not tell an ONNX file's shape, and this network takes any")
    with pytest.raises(ModelError):
        engine.run(np.zeros((1, 7), case.dtype))


def test_a_wrong_number_of_inputs_is_refused(case: Case, engine: Engine) -> None:
    with pytest.raises(ModelError, match="takes 1 inputs, 2 were given"):
        engine.run(picture(case), picture(case))


def test_a_closed_engine_says_so(case: Case, engine: Engine) -> None:
    engine.close()
    engine.close()
    with pytest.raises(ModelError, match="closed"):
        engine.run(picture(case))


@pytest.mark.parametrize("name", ["x.tflite", "x.onnx"])
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"this is no network" * 10)
    if not any(installed(kind) for kind in kinds_for(path)):
        pytest.skip("no engine for it in this environment")
    with pytest.raises(ModelError) as caught:
        open_engine(path)
    assert str(path) in str(caught.value)
    assert caught.value.remedy


def test_relu_is_computed(tmp_path: Path) -> None:
    relu = Case("opencv", "relu", (1, 3), "float32", ((1, 3),))
    (answer,) = build(relu, tmp_path).run(np.array([[-1.0, 0.0, 2.0]], np.float32))
    np.testing.assert_array_equal(answer, [[0, 0, 2]])


def test_onnx_runtime_and_opencv_agree(tmp_path: Path) -> None:
    kinds = ("onnxruntime", "opencv")
    cases = [Case(kind, "FastestDet.onnx", (1, 3, 352, 352), "float32", ()) for kind in kinds]
    pixels = picture(cases[0])
    (ours,), (theirs,) = (build(case, tmp_path).run(pixels) for case in cases)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_a_missing_file_names_the_command_that_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="meerkat models pull"):
        open_engine(tmp_path / "gone.tflite")


def test_an_unknown_type_lists_the_known(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.touch()
    with pytest.raises(ModelError, match=r"\.tflite, \.onnx, \.weights"):
        open_engine(path)


def test_the_wrong_engine_for_a_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Use onnxruntime or opencv"):
        choose(tmp_path / "x.onnx", "litert")


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "installed", lambda kind: False)
    with pytest.raises(ModelError, match=r"Install ai-edge-litert \(extra worker\)"):
        choose(tmp_path / "x.tflite")


def test_the_second_engine_serves_where_the_first_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "installed", lambda kind: kind == "opencv")
    assert choose(tmp_path / "x.onnx") == "opencv"


def test_onnx_runtime_says_when_it_fell_back_to_the_cpu(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("onnxruntime")
    path = write_relu(tmp_path / "relu.onnx")
    with caplog.at_level(logging.WARNING):
        engine = open_engine(path, kind="onnxruntime", device="cuda")
    if engine.device == "cuda":
        pytest.skip("there is a GPU here")
    assert engine.device == "cpu"
    assert "asked to run on cuda, onnxruntime gave cpu" in caplog.text


@pytest.mark.parametrize("kind", ["litert", "onnxruntime", "opencv"])
def test_an_unknown_device_is_refused(tmp_path: Path, kind: str) -> None:
    if not installed(kind):
        pytest.skip(f"{kind} is not installed in this environment")
    path = tmp_path / "x.tflite" if kind == "litert" else write_relu(tmp_path / "x.onnx")
    path.touch()
    with pytest.raises(ModelError, match="abacus"):
        open_engine(path, kind=kind, device="abacus")


def test_native_chatter_does_not_reach_standard_error(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with quietly():
        os.write(2, b"INFO: Created a delegate\nERROR: out of memory\n")
    assert capfd.readouterr().err == "ERROR: out of memory\n"
    assert caplog.messages == ["INFO: Created a delegate"]


@pytest.mark.shared
def test_litert_says_nothing_when_it_opens_a_model(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ai_edge_litert", reason="litert is not installed in this environment")
    open_engine(shared("models/yolox_nano_drq.tflite"), kind="litert")
    assert capfd.readouterr().err == ""
