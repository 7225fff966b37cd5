"""Where an .onnx file runs is said with proof: a runtime that lies as a GPU's does is found out."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from meerkat_inference.engines import onnx
from meerkat_inference.engines.onnx import OnnxEngine
from support.networks import write_relu

real = pytest.importorskip("onnxruntime")
CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"


class Runtime:
    """onnxruntime on a machine with a GPU that behaves as told; the arithmetic is the real one's."""

    SessionOptions = real.SessionOptions

    def __init__(self, available: list[str]) -> None:
        self.available = available
        self.absent: set[str] = set()
        """Providers whose libraries are missing: the session falls back without a word."""
        self.kernels: set[str] = set()
        """Providers that load and cannot run: built for another GPU."""
        self.asked: list[list[Any]] = []

    def get_available_providers(self) -> list[str]:
        return self.available

    def InferenceSession(self, path: str, *, sess_options: Any, providers: list[Any]) -> Any:
        runtime = self
        self.asked.append(providers)
        names = [entry if isinstance(entry, str) else entry[0] for entry in providers]
        got = [name for name in names if name not in self.absent]
        session = real.InferenceSession(path, sess_options=sess_options, providers=[CPU])

        class Session:
            get_inputs, get_outputs = session.get_inputs, session.get_outputs

            def get_providers(self) -> list[str]:
                return got

            def run(self, outputs: Any, feed: Any) -> Any:
                if got[0] in runtime.kernels:
                    raise RuntimeError("CUDA error 209: no kernel image is available for execution")
                return session.run(outputs, feed)

        return Session()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_relu(tmp_path / "relu.onnx")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    runtime = Runtime([TENSORRT, CUDA, CPU])
    monkeypatch.setattr(onnx, "_import", lambda: runtime)
    return runtime


def run(engine: OnnxEngine) -> list[float]:
    return engine.run(np.array([[-1.0, 0.0, 2.0]], np.float32))[0].ravel().tolist()


@pytest.mark.parametrize(
    ("device", "ran"), [("auto", "tensorrt"), ("tensorrt", "tensorrt"), ("cuda", "cuda"), ("cpu", "cpu")]
)
def test_a_sound_machine_runs_it_where_it_was_asked_to(
    machine: Runtime, path: Path, device: str, ran: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = OnnxEngine(path, device=device)
    assert engine.device == ran
    assert run(engine) == [0, 0, 2]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_tensorrts_engines_are_kept_for_the_next_start(machine: Runtime, path: Path, tmp_path: Path) -> None:
    OnnxEngine(path, device="auto")
    name, options = machine.asked[0][0]
    assert name == TENSORRT
    assert options["trt_engine_cache_path"] == str(tmp_path / "cache/meerkat/models/tensorrt")
    assert (tmp_path / "cache/meerkat/models/tensorrt").is_dir()


def test_missing_libraries_are_seen_though_the_runtime_says_nothing(
    machine: Runtime, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine.absent = {TENSORRT, CUDA}
    engine = OnnxEngine(path, device="cuda")
    assert (engine.device, run(engine)) == ("cpu", [0, 0, 2])
    assert "asked to run on cuda, onnxruntime gave cpu" in caplog.text
    assert "libraries could not be loaded" in caplog.text


def test_a_build_for_another_gpu_is_seen_at_the_first_run(
    machine: Runtime, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine.kernels = {CUDA, TENSORRT}
    engine = OnnxEngine(path, device="auto")
    assert (engine.device, run(engine)) == ("cpu", [0, 0, 2])
    assert "asked to run on tensorrt, onnxruntime gave cpu" in caplog.text
    assert "no kernel image" in caplog.text


def test_the_second_best_serves_where_the_best_does_not(machine: Runtime, path: Path) -> None:
    machine.absent = {TENSORRT}
    assert OnnxEngine(path, device="auto").device == "cuda"
    assert OnnxEngine(path, device="tensorrt").device == "cuda"


def test_a_build_without_the_provider_is_told_only_when_it_was_asked_for(
    machine: Runtime, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine.available = [CPU]
    assert OnnxEngine(path, device="auto").device == "cpu"
    assert "asked to run" not in caplog.text
    assert OnnxEngine(path, device="tensorrt").device == "cpu"
    assert f"this build of onnxruntime has no {TENSORRT}" in caplog.text
