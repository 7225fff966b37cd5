"""TensorFlow Lite files, on LiteRT or on the older tflite_runtime: one adapter, the same Interpreter."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError
from meerkat_inference.engine import TensorInfo

from .quiet import quietly
from .tensors import check_inputs, dequantise

_MODULES = {"litert": "ai_edge_litert.interpreter", "tflite_runtime": "tflite_runtime.interpreter"}


class LiteRtEngine:
    """A .tflite file on the CPU, one thread, with the runtime's own optimised kernels (XNNPACK)."""

    def __init__(self, path: Path, *, kind: str = "litert", device: str = "cpu") -> None:
        if device != "cpu":
            raise ModelError(
                f"engine {kind} runs on the cpu, not on {device!r}", where=str(path), remedy="Set device: cpu"
            )
        self.name = kind
        self.device = device
        self._where = path.name
        module = _import(kind)
        try:
            with quietly():
                self._interpreter: Any = module.Interpreter(model_path=str(path), num_threads=1)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            raise ModelError(
                f"{kind} cannot load it: {_first_line(error)}",
                where=str(path),
                remedy="`meerkat models pull` fetches a sound copy",
            ) from error
        details = self._interpreter.get_input_details()
        self.inputs: tuple[TensorInfo, ...] = tuple(_describe(detail) for detail in details)
        self._input_indices = [detail["index"] for detail in details]
        details = self._interpreter.get_output_details()
        described = [_describe(detail) for detail in details]
        self.outputs: tuple[str, ...] = tuple(info.name for info in described)
        self._reads = [
            (detail["index"], info.scale, info.zero_point)
            for detail, info in zip(details, described, strict=True)
        ]

    def run(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        interpreter = self._interpreter
        if interpreter is None:
            raise ModelError("the engine is closed", where=self._where)
        check_inputs(self.inputs, inputs, where=self._where)
        try:
            for index, array in zip(self._input_indices, inputs, strict=True):
                interpreter.set_tensor(index, array)
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{self.name} failed: {_first_line(error)}", where=self._where) from error
        return [dequantise(interpreter.get_tensor(i), scale, zero) for i, scale, zero in self._reads]

    def close(self) -> None:
        self._interpreter = None


def _import(kind: str) -> Any:
    """The runtime's module. NumPy 2 under tflite_runtime dies at load with a puzzling message."""
    if kind == "tflite_runtime" and int(np.__version__.split(".")[0]) > 1:
        raise ModelError(
            f"tflite_runtime needs NumPy 1, {np.__version__} is installed",
            remedy="Install the extra coral-legacy in its own environment, or use ai-edge-litert",
        )
    try:
        return import_module(_MODULES[kind])
    except (ImportError, OSError) as error:
        raise ModelError(
            f"{kind} cannot be loaded: {_first_line(error)}",
            remedy="Install the extra coral-legacy"
            if kind == "tflite_runtime"
            else "Install ai-edge-litert (extra worker); it needs a 64-bit system",
        ) from error


def _describe(detail: dict[str, Any]) -> TensorInfo:
    scale, zero_point = detail["quantization"]
    return TensorInfo(
        name=str(detail["name"]),
        shape=tuple(int(size) for size in detail["shape"]),
        dtype=np.dtype(detail["dtype"]).name,
        scale=float(scale),
        zero_point=int(zero_point),
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
